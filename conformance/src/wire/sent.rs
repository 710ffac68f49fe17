//! What went in, as far as it is needed to tell what came out.
//!
//! A response shows the value of a metadata item and not its time. The time is that of the update which
//! brought this value: cases give each update of a key a value of its own. The policies whose listings
//! make up all rows are those of records that were sent.

use broker_api::{Location, MetadataEntry, PolicyIndex};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// What was sent to one store.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    metadata: Vec<MetadataEntry>,
    pub(super) policies: BTreeSet<i64>,
}

impl Sent {
    /// The entry that brought a value, and the place of its key in the order of first mention.
    pub(super) fn metadata(&self, key: &str, value: &str) -> Option<(usize, &MetadataEntry)> {
        let place = self.metadata.iter().position(|entry| entry.key == key)?;
        let is_it = |entry: &&MetadataEntry| entry.key == key && entry.text() == Some(value);
        Some((place, self.metadata.iter().rev().find(is_it)?))
    }
}

/// What was sent to each store of a case.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<HashMap<Location, Sent>>);

impl Ledger {
    pub(super) fn of(&self, location: &Location) -> Sent {
        self.with(location, |sent| sent.clone())
    }

    pub(super) fn metadata_was_sent(&self, location: &Location, entries: &[MetadataEntry]) {
        self.with(location, |sent| sent.metadata.extend_from_slice(entries));
    }

    pub(super) fn policies_were_sent(
        &self,
        location: &Location,
        policies: impl Iterator<Item = PolicyIndex>,
    ) {
        self.with(location, |sent| {
            sent.policies.extend(policies.map(|policy| policy.0))
        });
    }

    fn with<T>(&self, location: &Location, act: impl FnOnce(&mut Sent) -> T) -> T {
        let mut ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(ledger.entry(location.clone()).or_default())
    }
}
