//! `apus engines`: what this binary can choose from.

use crate::Failure;
use crate::cli::EnginesArgs;
use crate::registry::{EngineEntry, Registry};
use broker_api::Durability;
use broker_conformance::Level;
use broker_runtime::settings::Setting;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Runs the command.
pub(crate) fn run(registry: &Registry, args: &EnginesArgs) -> Result<(), Failure> {
    if args.json {
        println!("{:#}", to_json(registry));
        return Ok(());
    }
    let mut text = String::new();
    for entry in registry.entries() {
        push_engine(&mut text, entry);
    }
    for left_out in registry.left_out() {
        let (name, summary) = (left_out.name, left_out.summary);
        push(&mut text, name, &format!("{summary}; not in this binary"));
        push(&mut text, "", left_out.how);
    }
    print!("{text}");
    Ok(())
}

/// A level with what the report says of it.
struct Certified {
    level: String,
    cases: u64,
}

/// The levels that an engine's report certifies for the contract of this binary; `None` without such
/// a report.
fn certified(entry: &EngineEntry) -> Option<Vec<Certified>> {
    let report: Value = serde_json::from_str(entry.report?).ok()?;
    if report["contract"] != broker_api::contract::VERSION {
        return None;
    }
    let levels = report["levels"].as_array()?.iter();
    let certified = levels.filter(|level| level["certified"] == true);
    let certified = certified.map(|level| {
        Some(Certified {
            level: level["level"].as_str()?.to_owned(),
            cases: level["cases"].as_u64()?,
        })
    });
    certified.collect()
}

fn push_engine(text: &mut String, entry: &EngineEntry) {
    push(text, entry.name, entry.summary);
    push(
        text,
        "",
        &format!("durability  {}", durability(entry).join(", or ")),
    );
    let claims: Vec<_> = claims(entry).map(Level::as_str).collect();
    push(text, "", &format!("claims      {}", claims.join(", ")));
    let certified = match certified(entry) {
        None => "no report for this version; `apus certify --engine NAME` makes one".to_owned(),
        Some(levels) if levels.is_empty() => "not certified".to_owned(),
        Some(levels) => {
            let level = |c: &Certified| format!("{} ({} cases)", c.level, c.cases);
            levels.iter().map(level).collect::<Vec<_>>().join(", ")
        }
    };
    push(text, "", &format!("certified   {certified}"));
    for (index, setting) in entry.settings.iter().enumerate() {
        let Setting {
            name,
            default,
            values,
            meaning,
        } = setting;
        let title = if index == 0 { "settings" } else { "" };
        push(
            text,
            "",
            &format!("{title:<12}{name} = {default}: {meaning}"),
        );
        push(text, "", &format!("{:<12}{:4}{values}", "", ""));
    }
    text.push('\n');
}

fn push(text: &mut String, name: &str, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{name:<10}{line}");
}

fn claims(entry: &EngineEntry) -> impl Iterator<Item = Level> {
    std::iter::once(Level::Core).chain(entry.claims.iter().copied())
}

fn durability(entry: &EngineEntry) -> Vec<&'static str> {
    let durability = entry.durability.iter();
    durability
        .map(|survives| Durability::as_str(*survives))
        .collect()
}

fn to_json(registry: &Registry) -> Value {
    let setting = |setting: &Setting| {
        json!({
            "name": setting.name,
            "default": setting.default,
            "values": setting.values,
            "meaning": setting.meaning,
        })
    };
    let engine = |entry: &EngineEntry| {
        let certified = certified(entry);
        let certified = certified.map(|c| c.into_iter().map(|c| c.level).collect::<Vec<_>>());
        json!({
            "name": entry.name,
            "summary": entry.summary,
            "durability": durability(entry),
            "claims": claims(entry).map(Level::as_str).collect::<Vec<_>>(),
            "certified": certified,
            "settings": entry.settings.iter().map(setting).collect::<Vec<_>>(),
        })
    };
    let left_out = registry.left_out();
    let left_out = left_out.map(
        |left_out| json!({"name": left_out.name, "summary": left_out.summary, "how": left_out.how}),
    );
    json!({
        "contract": broker_api::contract::VERSION,
        "engines": registry.entries().iter().map(engine).collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
    })
}
