//! What a history must leave, written from the contract's text and apart from the rules of
//! `broker-api`. It knows only histories whose times grow, so the later record always wins.

use super::history::{Op, Place};
use super::look::place_name;
use super::text::{Picture, RowText, StoreText};
use crate::fixture::STORE_ID;
use crate::model::is_removed_name;
use broker_api::{ContainerRecord, Direction, ObjectRecord, RemoveObjects, Reported, StoreKind};
use std::collections::{BTreeMap, BTreeSet};

/// All stores of a case.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    stores: BTreeMap<String, Store>,
    synced: BTreeSet<u64>,
}

#[derive(Debug, Clone)]
struct Store {
    kind: StoreKind,
    id: String,
    created: u64,
    put: u64,
    deleted: u64,
    has_status: bool,
    changed: u64,
    policy: i64,
    marks: [i64; 3],
    reported: Reported,
    /// Key, then value and time.
    metadata: BTreeMap<String, (String, u64)>,
    sync_points: BTreeMap<String, i64>,
    rows: BTreeMap<i64, Row>,
    max_row: i64,
}

#[derive(Debug, Clone)]
struct Row {
    name: String,
    policy: i64,
    /// Objects: the data time. Containers: the put and the delete time.
    at: u64,
    deleted_at: u64,
    is_deleted: bool,
    /// Objects: size; containers: object count.
    count: i64,
    /// Objects: content type and etag; containers: bytes.
    rest: String,
}

/// `0`, or ten digits and a fraction.
fn stamp(at: u64) -> String {
    match at {
        0 => "0".into(),
        at => format!("{at:010}.00000"),
    }
}

impl World {
    pub(super) fn exists(&self, place: Place) -> bool {
        self.stores.contains_key(&place_name(place))
    }

    /// Does an operation. On an absent store nothing happens: that is how an operation is repeated
    /// that had removed it.
    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::Create(place, put) => {
                let store = self.stores.entry(place_name(*place));
                store.or_insert_with(|| Store::new(place.0, *put));
            }
            Op::Remove(place) | Op::Quarantine(place) => {
                self.stores.remove(&place_name(*place));
            }
            Op::SetSynced(number, true) => {
                self.synced.insert(*number);
            }
            Op::SetSynced(number, false) => {
                self.synced.remove(number);
            }
            op => {
                if let Some(store) = self.stores.get_mut(&place_name(op.place())) {
                    store.apply(op);
                }
            }
        }
    }

    pub(super) fn picture(&self) -> Picture {
        let stores = self.stores.iter();
        Picture {
            stores: stores
                .map(|(name, store)| (name.clone(), store.text()))
                .collect(),
            synced: self.synced.clone(),
        }
    }
}

impl Op {
    /// The store that it is about.
    pub(super) fn place(&self) -> Place {
        match self {
            Op::PutObject(number, _)
            | Op::MergeObjects(number, ..)
            | Op::RemoveObjects(number, _)
            | Op::SetPolicy(number, ..)
            | Op::SetReported(number, _)
            | Op::SetSynced(number, _)
            | Op::SetMarks(number, _) => (StoreKind::Container, *number),
            Op::MergeReports(number, ..) | Op::PutReport(number, _) => {
                (StoreKind::Account, *number)
            }
            Op::Create(place, _)
            | Op::Remove(place)
            | Op::Quarantine(place)
            | Op::Metadata(place, ..)
            | Op::PutTimestamp(place, _)
            | Op::StatusChangedAt(place, _)
            | Op::Timestamps(place, _)
            | Op::Delete(place, _)
            | Op::SyncPoint(place, ..)
            | Op::NewId(place, ..)
            | Op::Reclaim(place, _) => *place,
        }
    }
}

impl Store {
    fn new(kind: StoreKind, put: u64) -> Self {
        Self {
            kind,
            id: STORE_ID.into(),
            created: 1,
            put,
            deleted: 0,
            has_status: false,
            changed: put,
            policy: 0,
            marks: [-1; 3],
            reported: Reported::default(),
            metadata: BTreeMap::new(),
            sync_points: BTreeMap::new(),
            rows: BTreeMap::new(),
            max_row: -1,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::PutObject(_, record) => self.put_object(record),
            Op::MergeObjects(_, records, source) => {
                records.iter().for_each(|record| self.put_object(record));
                let last = records.last().and_then(|record| record.row_id);
                self.raise_source(source, last.map(|row| row.0));
            }
            Op::PutReport(_, record) => self.put_report(record),
            Op::MergeReports(_, records, source) => {
                records.iter().for_each(|record| self.put_report(record));
                let largest = records.iter().filter_map(|record| record.row_id).max();
                self.raise_source(source, largest.map(|row| row.0));
            }
            Op::RemoveObjects(_, remove) => self.remove_objects(remove),
            Op::SetPolicy(_, index, at) if index.0 != self.policy => {
                self.policy = index.0;
                self.changed = self.changed.max(*at);
            }
            Op::SetReported(_, reported) => self.reported = reported.clone(),
            Op::SetMarks(_, marks) => self.marks = *marks,
            Op::Metadata(_, entries, at) => self.set_metadata(entries, *at),
            Op::PutTimestamp(_, at) => self.put = self.put.max(*at),
            Op::StatusChangedAt(_, at) => self.changed = self.changed.max(*at),
            Op::Timestamps(_, [created, put, deleted]) => self.merge([*created, *put, *deleted]),
            Op::Delete(_, at) => self.delete(*at),
            Op::SyncPoint(_, direction, remote, point) => {
                self.raise(*direction, remote, *point);
            }
            Op::NewId(_, remote, id) => {
                self.id.clone_from(id);
                let highest = self.rows.keys().next_back().copied().unwrap_or(-1);
                let key = sync_key(Direction::Incoming, remote);
                self.sync_points.insert(key, highest);
                self.reported = Reported::default();
            }
            Op::Reclaim(_, age) => self.reclaim(*age),
            _ => {}
        }
    }

    fn is_deleted(&self) -> bool {
        let live = |row: &&Row| {
            !row.is_deleted && (self.kind == StoreKind::Account || row.policy == self.policy)
        };
        let is_status_deleted = self.kind == StoreKind::Account && self.has_status;
        let is_empty = !self.rows.values().any(|row| live(&row));
        is_status_deleted || (is_empty && self.deleted > self.put)
    }

    fn merge(&mut self, [created, put, deleted]: [u64; 3]) {
        let was_deleted = self.is_deleted();
        self.created = self.created.min(created);
        self.put = self.put.max(put);
        self.deleted = self.deleted.max(deleted);
        if was_deleted != self.is_deleted() {
            self.changed = self.changed.max(super::play::merged_at(deleted));
        }
    }

    fn delete(&mut self, at: u64) {
        for (value, time) in self.metadata.values_mut() {
            if *time < at {
                (*value, *time) = (String::new(), at);
            }
        }
        if self.deleted < at {
            (self.deleted, self.changed, self.has_status) = (at, at, true);
        }
    }

    fn set_metadata(&mut self, entries: &[(String, String)], at: u64) {
        for (key, value) in entries {
            let is_newer = self.metadata.get(key).is_none_or(|(_, time)| *time < at);
            if is_newer {
                self.metadata.insert(key.clone(), (value.clone(), at));
            }
        }
    }

    fn reclaim(&mut self, age: u64) {
        let is_old = |row: &Row| match self.kind {
            StoreKind::Container => row.at < age,
            StoreKind::Account => row.deleted_at < age,
        };
        self.rows.retain(|_, row| !(row.is_deleted && is_old(row)));
        self.metadata
            .retain(|_, (value, time)| !(value.is_empty() && *time < age));
    }

    fn remove_objects(&mut self, remove: &RemoveObjects) {
        self.rows
            .retain(|number, row| !is_removed_name(remove, &row.name, *number));
    }

    fn put_object(&mut self, record: &ObjectRecord) {
        let (at, policy) = (
            record.created_at.data.raw() / 100_000,
            record.policy_index.0,
        );
        let is_it = |row: &Row| row.name == record.name && row.policy == policy;
        let present = self.rows.iter().find(|(_, row)| is_it(row));
        match present.map(|(number, row)| (*number, row.at)) {
            Some((_, time)) if time >= at => return,
            Some((number, _)) => drop(self.rows.remove(&number)),
            None => {}
        }
        self.add(Row {
            name: record.name.clone(),
            policy,
            at,
            deleted_at: 0,
            is_deleted: record.deleted,
            count: record.size,
            rest: format!("{} {}", record.content_type, record.etag),
        });
    }

    fn put_report(&mut self, record: &ContainerRecord) {
        let time = |text: &Option<broker_api::TimestampText>| {
            text.as_ref().map_or(0, |text| text.value().raw() / 100_000)
        };
        let (mut put, mut deleted) = (time(&record.put_timestamp), time(&record.delete_timestamp));
        let present = self.rows.iter().find(|(_, row)| row.name == record.name);
        if let Some((number, row)) = present.map(|(number, row)| (*number, row.clone())) {
            (put, deleted) = (put.max(row.at), deleted.max(row.deleted_at));
            self.rows.remove(&number);
        }
        let count = record.object_count.unwrap_or_default();
        self.add(Row {
            name: record.name.clone(),
            policy: record.policy_index.0,
            at: put,
            deleted_at: deleted,
            is_deleted: deleted > put && count == 0,
            count,
            rest: record.bytes_used.unwrap_or_default().to_string(),
        });
    }

    fn add(&mut self, row: Row) {
        self.max_row = self.max_row.max(0) + 1;
        self.rows.insert(self.max_row, row);
    }

    fn raise_source(&mut self, source: &Option<String>, point: Option<i64>) {
        if let (Some(source), Some(point)) = (source, point) {
            self.raise(Direction::Incoming, source, point);
        }
    }

    fn raise(&mut self, direction: Direction, remote: &str, point: i64) {
        let known = self.sync_points.entry(sync_key(direction, remote));
        let known = known.or_insert(point);
        *known = point.max(*known);
    }

    fn text(&self) -> StoreText {
        let mut text = StoreText::default();
        let status = if self.has_status { "DELETED" } else { "" };
        text.facts = BTreeMap::from([
            ("id", self.id.clone()),
            ("created", stamp(self.created)),
            ("put", stamp(self.put)),
            ("deleted", stamp(self.deleted)),
            ("status", status.to_owned()),
            ("changed", stamp(self.changed)),
            ("highest number", self.max_row.to_string()),
        ]);
        if self.kind == StoreKind::Container {
            let facts = container_facts(self.policy, self.marks, &self.reported);
            text.facts.extend(facts);
        }
        let metadata = self.metadata.iter();
        text.metadata = metadata
            .map(|(key, (value, time))| (key.clone(), format!("{value:?} {}", stamp(*time))))
            .collect();
        text.sync_points.clone_from(&self.sync_points);
        let rows = self.rows.iter();
        text.rows = rows
            .map(|(number, row)| (*number, row.text(self.kind)))
            .collect();
        text
    }
}

impl Row {
    fn text(&self, kind: StoreKind) -> RowText {
        let time = match kind {
            StoreKind::Container => stamp(self.at),
            StoreKind::Account => format!("{} {}", stamp(self.at), stamp(self.deleted_at)),
        };
        let (deleted, policy) = (self.is_deleted, self.policy);
        RowText {
            name: self.name.clone(),
            attributes: row_attributes(&time, self.count, &self.rest, deleted, policy),
        }
    }
}

/// The line of a row, without number and name.
pub(super) fn row_attributes(
    times: &str,
    count: i64,
    rest: &str,
    deleted: bool,
    policy: i64,
) -> String {
    let state = if deleted { "tombstone" } else { "live" };
    format!("{times} {count} {rest} {state} policy {policy}")
}

/// What only containers have.
pub(super) fn container_facts(
    policy: i64,
    marks: [i64; 3],
    reported: &Reported,
) -> [(&'static str, String); 3] {
    [
        ("policy", policy.to_string()),
        ("marks", format!("{marks:?}")),
        ("reported", format!("{reported:?}")),
    ]
}

/// The name of a sync point.
pub(super) fn sync_key(direction: Direction, remote: &str) -> String {
    format!("{direction:?} {remote}")
}
