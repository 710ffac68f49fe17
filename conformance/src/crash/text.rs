//! What a store says, as texts that two sides can compare: what the engine shows, and what a
//! [`World`](super::world::World) expects.

use crate::check::{Check, check};
use std::collections::{BTreeMap, BTreeSet};

/// Everything about one store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StoreText {
    /// Id, timestamps, status, policy, marks and reports, by name.
    pub(super) facts: BTreeMap<&'static str, String>,
    /// Key, then value and timestamp.
    pub(super) metadata: BTreeMap<String, String>,
    /// Direction and remote id, then the point.
    pub(super) sync_points: BTreeMap<String, i64>,
    /// Number, then name and attributes.
    pub(super) rows: BTreeMap<i64, RowText>,
}

/// One row; the number is beside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowText {
    pub(super) name: String,
    pub(super) attributes: String,
}

/// Everything about the stores of a case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(super) stores: BTreeMap<String, StoreText>,
    /// The containers on the list of container sync.
    pub(super) synced: BTreeSet<u64>,
}

impl Picture {
    /// Only what a writer did whose names, keys and remotes begin with a prefix, without the numbers
    /// of its rows, which depend on the other writers.
    pub(super) fn of_writer(&self, prefix: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for (place, store) in &self.stores {
            let rows = store.rows.values();
            let rows = rows.filter(|row| row.name.starts_with(prefix));
            let mut own: Vec<_> = rows
                .map(|row| format!("{place} row {} {}", row.name, row.attributes))
                .collect();
            own.sort();
            lines.extend(own);
            for (key, value) in &store.metadata {
                if key.starts_with(prefix) {
                    lines.push(format!("{place} metadata {key} {value}"));
                }
            }
            for (remote, point) in &store.sync_points {
                if remote.contains(prefix) {
                    lines.push(format!("{place} sync point {remote} {point}"));
                }
            }
        }
        lines
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("synced {:?}", self.synced)];
        for (place, store) in &self.stores {
            lines.push(format!("{place} exists"));
            let facts = store.facts.iter();
            lines.extend(facts.map(|(name, value)| format!("{place} {name} {value}")));
            for (key, value) in &store.metadata {
                lines.push(format!("{place} metadata {key} {value}"));
            }
            for (remote, point) in &store.sync_points {
                lines.push(format!("{place} sync point {remote} {point}"));
            }
            for (number, row) in &store.rows {
                let (name, attributes) = (&row.name, &row.attributes);
                lines.push(format!("{place} row {number} {name} {attributes}"));
            }
        }
        lines
    }

    /// Fails unless this is one of the pictures that may be.
    pub(super) fn check_is_one_of(&self, expected: &[Picture], when: &str) -> Check {
        let lines = expected.iter().map(Picture::lines).collect::<Vec<_>>();
        check_is_one_of(&self.lines(), &lines, when)
    }
}

/// Fails, with the lines that differ from the first expectation, unless one of them is met.
pub(super) fn check_is_one_of(found: &[String], expected: &[Vec<String>], when: &str) -> Check {
    if expected.iter().any(|expected| expected == found) {
        return Ok(());
    }
    let differences = expected.iter().map(|expected| difference(found, expected));
    let differences: Vec<_> = differences.collect();
    check!(
        false,
        "{when}: {}",
        differences.join("; nor is it as after the next operation: ")
    );
    Ok(())
}

/// A few of the lines that only one side has.
fn difference(found: &[String], expected: &[String]) -> String {
    let only = |one: &[String], other: &[String]| {
        let other: BTreeSet<_> = other.iter().collect();
        let lines = one.iter().filter(|line| !other.contains(line)).cloned();
        lines.take(4).collect::<Vec<_>>().join(", ")
    };
    let (missing, unexpected) = (only(expected, found), only(found, expected));
    format!("missing [{missing}], unexpected [{unexpected}]")
}
