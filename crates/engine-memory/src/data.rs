//! What a store holds, and how a row counts.

use broker_api::{ContainerRow, Direction, Facts, ObjectRow, PolicyIndex, RowId, SyncPoint};
use std::collections::BTreeMap;

/// Name and, for objects, policy: what there is one row of.
pub(crate) type Key = (String, PolicyIndex);

/// A row of either kind.
pub(crate) trait Row: Clone + Send + Sync + 'static {
    fn key(&self) -> Key;
    fn row_id(&self) -> RowId;
    fn is_deleted(&self) -> bool;
    /// The text that decides whether a tombstone is old enough to go.
    fn reclaim_text(&self) -> &str;
    /// Adds the row to the facts, or with `sign` -1 takes it out of them.
    fn count(&self, facts: &mut Facts, sign: i64);
    /// The same row under another number.
    fn numbered(&self, row_id: RowId) -> Self;
}

impl Row for ObjectRow {
    fn key(&self) -> Key {
        (self.name.clone(), self.policy_index)
    }

    fn row_id(&self) -> RowId {
        self.row_id
    }

    fn is_deleted(&self) -> bool {
        self.deleted
    }

    fn reclaim_text(&self) -> &str {
        &self.created_at
    }

    fn count(&self, facts: &mut Facts, sign: i64) {
        if let Facts::Container(info) = facts {
            info.count(&self.as_ref(), sign);
        }
    }

    fn numbered(&self, row_id: RowId) -> Self {
        Self {
            row_id,
            ..self.clone()
        }
    }
}

impl Row for ContainerRow {
    /// Accounts hold one row for each name, whatever its policy.
    fn key(&self) -> Key {
        (self.name.clone(), PolicyIndex(0))
    }

    fn row_id(&self) -> RowId {
        self.row_id
    }

    fn is_deleted(&self) -> bool {
        self.deleted
    }

    fn reclaim_text(&self) -> &str {
        self.delete_timestamp.as_str()
    }

    fn count(&self, facts: &mut Facts, sign: i64) {
        if let Facts::Account(info) = facts {
            info.count(self, sign);
        }
    }

    fn numbered(&self, row_id: RowId) -> Self {
        Self {
            row_id,
            ..self.clone()
        }
    }
}

/// A store.
#[derive(Debug)]
pub(crate) struct Data<R> {
    pub(crate) facts: Facts,
    pub(crate) rows: BTreeMap<Key, R>,
    pub(crate) numbers: BTreeMap<RowId, Key>,
    pub(crate) incoming: Vec<SyncPoint>,
    pub(crate) outgoing: Vec<SyncPoint>,
}

impl<R: Row> Data<R> {
    pub(crate) fn new(facts: Facts) -> Self {
        Self {
            facts,
            rows: BTreeMap::new(),
            numbers: BTreeMap::new(),
            incoming: Vec::new(),
            outgoing: Vec::new(),
        }
    }

    pub(crate) fn points(&mut self, direction: Direction) -> &mut Vec<SyncPoint> {
        match direction {
            Direction::Incoming => &mut self.incoming,
            Direction::Outgoing => &mut self.outgoing,
        }
    }

    /// Inserts a row under the next number.
    pub(crate) fn insert(&mut self, row: &R) -> RowId {
        let last = self.facts.store().max_row.0.max(0);
        let row_id = RowId(last + 1);
        self.facts.store_mut().max_row = row_id;
        self.put_back(row.numbered(row_id));
        row_id
    }

    /// Inserts a row that has its number.
    pub(crate) fn put_back(&mut self, row: R) {
        row.count(&mut self.facts, 1);
        self.numbers.insert(row.row_id(), row.key());
        self.rows.insert(row.key(), row);
    }

    /// Removes a row and takes it out of the facts.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<R> {
        let row = self.rows.remove(key)?;
        self.numbers.remove(&row.row_id());
        row.count(&mut self.facts, -1);
        Some(row)
    }
}
