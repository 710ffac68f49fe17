//! Files of every age that Swift can still read: Swift works on one copy, engine-sqlite on the other.
//!
//! For each age and each short story: equal steps, then equal files (objects by name, columns, rows),
//! then Swift goes on with both files and must see no difference either.

mod stories;

use crate::driver::Driver;
use crate::error::Result;
use crate::op::{History, Op};
use crate::stage::{Stage, location};
use crate::subject::{EngineName, open_engine};
use broker_api::{Engine, Location, StoreKind};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Ages of container files; see `legacy.py`.
pub const CONTAINER_AGES: [&str; 10] = [
    "pre-index",
    "pre-sync-timestamp",
    "pre-metadata",
    "pre-x-sync",
    "pre-policy",
    "pre-shard",
    "pre-reported",
    "pre-tombstones",
    "without-index",
    "without-sync-timestamp",
];

/// Ages of account files.
pub const ACCOUNT_AGES: [&str; 9] = [
    "pre-index",
    "pre-sync-timestamp",
    "pre-metadata",
    "pre-policy",
    "half-migrated",
    "pre-container-count",
    "pre-container-count-of-two",
    "without-index",
    "without-sync-timestamp",
];

/// One age and one story.
#[derive(Debug, Clone)]
pub struct Case {
    kind: StoreKind,
    age: &'static str,
    story: &'static str,
    ops: Vec<Op>,
    filled: bool,
}

impl Case {
    /// The case in words.
    pub fn name(&self) -> String {
        let filled = if self.filled { "" } else { ", empty" };
        format!("{} {}{filled}: {}", self.kind, self.age, self.story)
    }
}

/// Every case: all ages with all stories of their kind, with rows and without.
pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for kind in [StoreKind::Container, StoreKind::Account] {
        let (ages, stories): (&[&'static str], _) = match kind {
            StoreKind::Container => (&CONTAINER_AGES, stories::of_containers()),
            StoreKind::Account => (&ACCOUNT_AGES, stories::of_accounts()),
        };
        for (age, filled) in ages.iter().flat_map(|age| [(*age, true), (*age, false)]) {
            for (story, ops) in &stories {
                all.push(Case {
                    kind,
                    age,
                    story,
                    ops: ops.clone(),
                    filled,
                });
            }
        }
    }
    all
}

/// Two devices folders, one for Swift and one for the engine.
#[derive(Debug)]
pub struct Bench {
    driver: Driver,
    engine: Arc<dyn Engine>,
    devices: PathBuf,
    runtime: tokio::runtime::Runtime,
    number: u64,
}

impl Bench {
    /// Sets up below a folder.
    ///
    /// # Errors
    /// When the driver or the engine does not start.
    pub fn new(folder: &Path) -> Result<Self> {
        let devices = folder.join("engine");
        std::fs::create_dir_all(devices.join(crate::driver::DEVICE))?;
        Ok(Self {
            driver: Driver::start_in(&folder.join("swift"))?,
            engine: open_engine(EngineName::Sqlite, &devices)?,
            devices,
            runtime: tokio::runtime::Builder::new_current_thread().build()?,
            number: 0,
        })
    }

    /// Plays a case; tells what differed, or `None`.
    ///
    /// # Errors
    /// When a side cannot be asked.
    pub fn play(&mut self, case: &Case) -> Result<Option<String>> {
        self.number += 1;
        let history = History {
            is_account: case.kind == StoreKind::Account,
            seed: 0,
            ops: case.ops.clone(),
        };
        let location = location(&history, self.number);
        let theirs = self.driver.place(&location);
        let mut ours = theirs.clone();
        ours["devices"] = json!(self.devices);
        let stores = json!([&theirs, &ours]);
        self.driver.ask(&json!({
            "do": "make_legacy", "age": case.age, "filled": case.filled, "stores": stores,
        }))?;
        let difference = match self.differing_step(&location, &theirs, &case.ops)? {
            Some(difference) => Some(difference),
            None => self.differing_file(&theirs, &ours, &case.ops)?,
        };
        self.runtime.block_on(self.engine.remove(&location))?;
        Ok(difference.map(|difference| format!("{}\n{difference}", case.name())))
    }

    fn differing_step(
        &mut self,
        location: &Location,
        theirs: &Value,
        ops: &[Op],
    ) -> Result<Option<String>> {
        let swift = self.swift_steps(theirs, ops)?;
        let stage = Stage::new(&self.engine, location);
        let ours: Vec<Value> = self.runtime.block_on(async {
            let mut steps = Vec::new();
            for op in ops {
                steps.push(stage.perform(op).await);
            }
            steps
        });
        Ok(first_difference(ops, &swift, &ours, "engine"))
    }

    /// Compares the files, lets Swift go on with both, and compares them again.
    fn differing_file(
        &mut self,
        theirs: &Value,
        ours: &Value,
        ops: &[Op],
    ) -> Result<Option<String>> {
        if let Some(difference) = self.compare_files(theirs, ours)? {
            return Ok(Some(format!("{difference}\nafter {}", lines(ops))));
        }
        let more = match theirs["kind"].as_str() {
            Some("account") => stories::account_sequel(),
            _ => stories::container_sequel(),
        };
        let on_theirs = self.swift_steps(theirs, &more)?;
        let on_ours = self.swift_steps(ours, &more)?;
        if let Some(difference) = first_difference(&more, &on_theirs, &on_ours, "Swift on our file")
        {
            return Ok(Some(format!("{difference}\nafter {}", lines(ops))));
        }
        let difference = self.compare_files(theirs, ours)?;
        Ok(difference.map(|text| format!("{text}\nafter Swift went on, after {}", lines(ops))))
    }

    fn compare_files(&mut self, theirs: &Value, ours: &Value) -> Result<Option<String>> {
        let swift = self
            .driver
            .ask(&json!({"do": "describe", "store": theirs}))?;
        let engine = self.driver.ask(&json!({"do": "describe", "store": ours}))?;
        let mut text = String::new();
        crate::report::tell(&mut text, "file", &swift, &engine);
        Ok((!text.is_empty()).then_some(text))
    }

    fn swift_steps(&mut self, place: &Value, ops: &[Op]) -> Result<Vec<Value>> {
        let mut store = place.clone();
        store["legacy"] = true.into();
        store["keep"] = true.into();
        let request = json!({"do": "play", "store": store, "ops": ops, "full": true});
        match self.driver.ask(&request)?["steps"].take() {
            Value::Array(steps) => Ok(steps),
            _ => Ok(Vec::new()),
        }
    }
}

fn first_difference(ops: &[Op], swift: &[Value], other: &[Value], who: &str) -> Option<String> {
    let mut pairs = swift.iter().zip(other).enumerate();
    let (step, (swift, other)) = pairs.find(|(_, (swift, other))| swift != other)?;
    let mut text = format!("Swift and {who} differ at: {}\n", ops[step].line());
    crate::report::tell(&mut text, "step", swift, other);
    Some(text)
}

fn lines(ops: &[Op]) -> String {
    let mut text = String::new();
    for op in ops.iter().filter(|op| !op.only_reads()) {
        let _ = write!(text, "\n    {}", op.line());
    }
    text
}
