//! A container and an account as one caller at a time would see them.

use crate::linear::Sequential;
use std::collections::BTreeMap;

/// A record of one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Written {
    pub(crate) name: String,
    /// Seconds; a container's row takes the later one, and keeps its own when they are equal.
    pub(crate) time: u64,
    /// Which record it is. In an account, its object count.
    pub(crate) tag: i64,
    pub(crate) deleted: bool,
}

/// What is asked of a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    /// Merges records of different names.
    Merge(Vec<Written>),
    /// Lists live rows whose names begin with a prefix.
    List(String),
    /// Reads every row by number.
    Rows,
    /// Reads the counts.
    Info,
}

/// What a store answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Seen {
    Done,
    /// Name and tag of live rows.
    Listed(Vec<(String, i64)>),
    /// Number, name, tag, deleted.
    Rows(Vec<(i64, String, i64, bool)>),
    /// Live rows, the sum of all tags, the highest number.
    Info(i64, i64, i64),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Row {
    number: i64,
    time: u64,
    tag: i64,
    deleted: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Rows {
    by_name: BTreeMap<String, Row>,
    highest: i64,
}

impl Rows {
    fn add(&mut self, written: &Written) {
        self.highest += 1;
        let row = Row {
            number: self.highest,
            time: written.time,
            tag: written.tag,
            deleted: written.deleted,
        };
        self.by_name.insert(written.name.clone(), row);
    }

    fn read(&self, asked: &Asked) -> Seen {
        let live = || self.by_name.iter().filter(|(_, row)| !row.deleted);
        match asked {
            Asked::Merge(_) => Seen::Done,
            Asked::List(prefix) => {
                let rows = live().filter(|(name, _)| name.starts_with(prefix));
                Seen::Listed(rows.map(|(name, row)| (name.clone(), row.tag)).collect())
            }
            Asked::Rows => {
                let rows = self.by_name.iter();
                let mut rows: Vec<_> = rows
                    .map(|(name, row)| (row.number, name.clone(), row.tag, row.deleted))
                    .collect();
                rows.sort_unstable();
                Seen::Rows(rows)
            }
            Asked::Info => {
                let highest = if self.highest == 0 { -1 } else { self.highest };
                let sum = self.by_name.values().map(|row| row.tag).sum();
                Seen::Info(live().count() as i64, sum, highest)
            }
        }
    }
}

/// A container: the later record wins, and what wins nothing takes no number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct ContainerModel(Rows);

impl Sequential for ContainerModel {
    type Call = Asked;
    type Answer = Seen;

    fn step(&self, asked: &Asked) -> (Self, Seen) {
        let mut after = self.clone();
        if let Asked::Merge(records) = asked {
            for written in records {
                let row = self.0.by_name.get(&written.name);
                if row.is_none_or(|row| row.time < written.time) {
                    after.0.add(written);
                }
            }
        }
        (after, self.0.read(asked))
    }
}

/// An account: whatever comes last counts, and every record takes a number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct AccountModel(Rows);

impl Sequential for AccountModel {
    type Call = Asked;
    type Answer = Seen;

    fn step(&self, asked: &Asked) -> (Self, Seen) {
        let mut after = self.clone();
        if let Asked::Merge(records) = asked {
            records.iter().for_each(|written| after.0.add(written));
        }
        (after, self.0.read(asked))
    }
}
