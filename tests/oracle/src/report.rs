//! Tells a difference to a person, and keeps the history that shows it in a file.

use crate::compare::Difference;
use crate::error::Result;
use crate::op::History;
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The text for a person: the small history, the step at which the two part, and every place where
/// they do.
pub fn text(engine: &str, history: &History, difference: &Difference) -> String {
    let kind = history.kind();
    let mut text = format!("engine {engine} differs from Swift on this {kind}:\n\n");
    for (number, op) in history.ops.iter().enumerate() {
        let mark = if number == difference.step { '>' } else { ' ' };
        let _ = writeln!(text, "{mark}{:>3}  {}", number + 1, op.line());
    }
    let _ = writeln!(text, "\nafter step {}:", difference.step + 1);
    for (part, index) in [("result", 0), ("state", 1)] {
        let (swift, engine) = (&difference.swift[index], &difference.engine[index]);
        tell(&mut text, part, swift, engine);
    }
    let _ = writeln!(text, "\nmade from seed {}", history.seed);
    text
}

/// Adds one line pair for every place at which two values differ.
pub(crate) fn tell(text: &mut String, place: &str, swift: &Value, engine: &Value) {
    match (swift, engine) {
        _ if swift == engine => {}
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            for (key, value) in a {
                tell(text, &format!("{place}.{key}"), value, &b[key]);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() && a.iter().any(is_nested) => {
            for (at, value) in a.iter().enumerate() {
                tell(text, &format!("{place}[{at}]"), value, &b[at]);
            }
        }
        _ => {
            let _ = writeln!(text, "  {place}\n    swift   {swift}\n    engine  {engine}");
        }
    }
}

fn is_nested(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

/// Writes the history to a file in `folder`, to be read by `--replay`.
///
/// # Errors
/// When it cannot be written.
pub fn keep(folder: &Path, engine: &str, history: &History) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let name = format!(
        "difference-{}-{}.json",
        engine.replace(' ', "-"),
        history.seed
    );
    let file = folder.join(name);
    std::fs::write(&file, serde_json::to_vec_pretty(history)?)?;
    Ok(file)
}

/// Reads a history that [`keep`] wrote.
///
/// # Errors
/// When the file is not one.
pub fn read(file: &Path) -> Result<History> {
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}
