//! A model of stores, written from the contract's text and apart from the rules of `broker-api`:
//! what random histories must end in, and what listings must show.

mod reports;

pub(crate) use reports::Reports;

use crate::door::NOT_SHOWN;
use crate::rng::Rng;
use broker_api::{
    AccountInfo, ContainerInfo, ContainerRecord, ContainerRow, DeletedFilter, ListObjects,
    ListingQuery, ObjectRecord, ObjectRow, ObjectTimestamps, PolicyFilter, PolicyIndex,
    RemoveObjects, RowId, Timestamp, TimestampText,
};
use md5::{Digest, Md5};
use std::collections::{BTreeMap, BTreeSet};

/// Counts by policy, and the hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Policy: containers (zero for containers themselves), objects, bytes.
    policies: BTreeMap<i64, (i64, i64, i64)>,
    hash: String,
}

impl Totals {
    /// What a container says about itself.
    pub(crate) fn of_container(info: &ContainerInfo) -> Self {
        let stats = info.policy_stats.iter();
        let policies = stats.map(|s| (s.policy_index.0, (0, s.object_count, s.bytes_used)));
        Self {
            policies: policies.collect(),
            hash: info.store.hash.to_string(),
        }
    }

    /// What an account says about itself.
    pub(crate) fn of_account(info: &AccountInfo) -> Self {
        let stats = info.policy_stats.iter();
        let counts = stats.map(|s| {
            (
                s.policy_index.0,
                (
                    s.container_count.unwrap_or(-1),
                    s.object_count,
                    s.bytes_used,
                ),
            )
        });
        Self {
            policies: counts.collect(),
            hash: info.store.hash.to_string(),
        }
    }

    /// Without policies that have nothing: whether they are listed depends on the history.
    pub(crate) fn without_zeros(mut self) -> Self {
        self.policies.retain(|_, counts| *counts != (0, 0, 0));
        self
    }
}

/// Both halves of a comparison, cut down to what the facts show: over HTTP the counts of a container's own
/// policy and no hash. Bytes of tombstones do not show in rows there, so they must have none.
pub(crate) fn comparable(info: &ContainerInfo, rows: &[ObjectRow]) -> (Totals, Totals) {
    let (mut found, mut expected) = (Totals::of_container(info), totals_of_objects(rows));
    if info.store.id == NOT_SHOWN {
        for totals in [&mut found, &mut expected] {
            totals
                .policies
                .retain(|policy, _| *policy == info.policy_index.0);
            totals.hash.clear();
        }
    }
    (found.without_zeros(), expected.without_zeros())
}

/// The same for an account, all of whose policies show.
pub(crate) fn comparable_accounts(info: &AccountInfo, rows: &[ContainerRow]) -> (Totals, Totals) {
    let (mut found, mut expected) = (Totals::of_account(info), totals_of_containers(rows));
    if info.store.id == NOT_SHOWN {
        found.hash.clear();
        expected.hash.clear();
    }
    (found.without_zeros(), expected.without_zeros())
}

fn hash<'a>(rows: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut hash = [0u8; 16];
    for (name, suffix) in rows {
        let digest = Md5::digest(format!("{name}-{suffix}"));
        hash.iter_mut()
            .zip(digest)
            .for_each(|(byte, other)| *byte ^= other);
    }
    hash.map(|byte| format!("{byte:02x}")).concat()
}

/// What a container with these rows must say about itself.
pub(crate) fn totals_of_objects(rows: &[ObjectRow]) -> Totals {
    let mut totals = Totals::default();
    for row in rows {
        let counts = totals.policies.entry(row.policy_index.0).or_default();
        counts.1 += i64::from(!row.deleted);
        counts.2 += row.size;
    }
    totals.hash = hash(
        rows.iter()
            .map(|row| (row.name.as_str(), row.created_at.clone())),
    );
    totals
}

/// What an account with these rows must say about itself.
pub(crate) fn totals_of_containers(rows: &[ContainerRow]) -> Totals {
    let mut totals = Totals::default();
    for row in rows {
        let counts = totals.policies.entry(row.policy_index.0).or_default();
        counts.0 += i64::from(!row.deleted);
        counts.1 += row.object_count;
        counts.2 += row.bytes_used;
    }
    let suffix = |row: &ContainerRow| {
        let (put, delete) = (&row.put_timestamp, &row.delete_timestamp);
        format!("{put}-{delete}-{}-{}", row.object_count, row.bytes_used)
    };
    totals.hash = hash(rows.iter().map(|row| (row.name.as_str(), suffix(row))));
    totals
}

/// Records of a few names, no two of whose times are equal.
pub(crate) fn random_history(rng: &mut Rng, count: usize) -> Vec<ObjectRecord> {
    let mut used = BTreeSet::new();
    let mut time = |rng: &mut Rng| loop {
        let raw = 100_000_000 + rng.below(1_000_000);
        if used.insert(raw) {
            return Timestamp::new(raw, 0).expect("far below the bound");
        }
    };
    (0..count)
        .map(|_| {
            let data = time(rng);
            let content_type = if rng.one_in(3) { time(rng) } else { data };
            let metadata = if rng.one_in(3) {
                time(rng)
            } else {
                content_type
            };
            let deleted = rng.one_in(4);
            let (size, bytes) = (rng.below(1000) as i64, rng.below(5));
            ObjectRecord {
                name: (*rng.pick(&["a", "b/1", "b/2", "\u{2603}", "z\0"])).to_owned(),
                created_at: ObjectTimestamps {
                    data,
                    content_type,
                    metadata,
                },
                ctype_timestamp: None,
                meta_timestamp: None,
                size: if deleted { 0 } else { size },
                content_type: match bytes {
                    0 => format!("type/{}", content_type.raw()),
                    _ => format!("type/{};swift_bytes={bytes}", content_type.raw()),
                },
                etag: format!("etag-{}", data.raw()),
                deleted,
                policy_index: PolicyIndex(rng.below(2) as i64),
                row_id: None,
            }
        })
        .collect()
}

/// The rows that a history with distinct times must leave, in whatever order it came: for each name
/// and policy the latest data, the latest content type and the latest metadata time.
pub(crate) fn rows_of_history(history: &[ObjectRecord]) -> Vec<ObjectRow> {
    let mut objects: BTreeMap<(&str, i64), Vec<&ObjectRecord>> = BTreeMap::new();
    for record in history {
        let key = (record.name.as_str(), record.policy_index.0);
        objects.entry(key).or_default().push(record);
    }
    objects.values().map(|records| latest(records)).collect()
}

fn latest(records: &[&ObjectRecord]) -> ObjectRow {
    let by = |time: fn(&ObjectTimestamps) -> Timestamp| {
        let latest = records.iter().max_by_key(|record| time(&record.created_at));
        *latest.expect("every object has a record")
    };
    let (data, kind) = (by(|times| times.data), by(|times| times.content_type));
    let metadata = by(|times| times.metadata);
    let d = data.created_at.data.raw() as i64;
    let c = kind.created_at.content_type.raw() as i64;
    let m = metadata.created_at.metadata.raw() as i64;
    let delta = |delta: i64| match delta < 0 {
        true => format!("-{:x}", -delta),
        false => format!("+{delta:x}"),
    };
    let deltas = match (c - d, m - c) {
        (0, 0) => String::new(),
        (to_type, to_metadata) => delta(to_type) + &delta(to_metadata),
    };
    let plain = |text: &str| text.split(';').next().unwrap_or_default().to_owned();
    let bytes = data
        .content_type
        .split_once(';')
        .map_or(String::new(), |(_, b)| format!(";{b}"));
    ObjectRow {
        row_id: RowId::NONE,
        name: data.name.clone(),
        created_at: format!("{:010}.{:05}{deltas}", d / 100_000, d % 100_000),
        size: data.size,
        content_type: plain(&kind.content_type) + &bytes,
        etag: data.etag.clone(),
        deleted: data.deleted,
        policy_index: data.policy_index,
    }
}

/// A report of one of a few containers, with times that may be equal.
pub(crate) fn random_report(rng: &mut Rng) -> ContainerRecord {
    let time = |rng: &mut Rng| {
        let offset = if rng.one_in(5) { 1 } else { 0 };
        let at = Timestamp::from_seconds(1 + rng.below(9)).with_added_offset(offset);
        TimestampText::from(at.expect("a small offset"))
    };
    let never = rng.one_in(2);
    let count = rng.below(3) as i64;
    ContainerRecord {
        name: (*rng.pick(&["a", "b", "c"])).to_owned(),
        put_timestamp: Some(time(rng)),
        delete_timestamp: Some(if never {
            TimestampText::never()
        } else {
            time(rng)
        }),
        object_count: Some(count),
        bytes_used: Some(count * 7),
        deleted: rng.one_in(4),
        policy_index: PolicyIndex(rng.below(3) as i64),
        row_id: None,
    }
}

/// Bounds for a removal, often wide.
pub(crate) fn random_removal(rng: &mut Rng) -> RemoveObjects {
    let bound = |rng: &mut Rng| (*rng.pick(&["", "", "a", "b", "b/1", "c", "z"])).to_owned();
    let bounded = rng.one_in(2);
    RemoveObjects {
        lower: bound(rng),
        upper: bound(rng),
        max_row: bounded.then(|| RowId(rng.below(60) as i64)),
    }
}

/// Whether a removal takes a row.
pub(crate) fn is_removed(remove: &RemoveObjects, row: &ObjectRow) -> bool {
    is_removed_name(remove, &row.name, row.row_id.0)
}

/// The same of a row's name and number.
pub(crate) fn is_removed_name(remove: &RemoveObjects, name: &str, number: i64) -> bool {
    (remove.lower.is_empty() || name > remove.lower.as_str())
        && (remove.upper.is_empty() || name <= remove.upper.as_str())
        && remove.max_row.is_none_or(|max| number <= max.0)
}

const PARTS: [&str; 12] = [
    "a",
    "b",
    "/",
    "/",
    "-",
    "0",
    "\0",
    "\u{2603}",
    "\u{10ffff}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{1}",
];

fn random_text(rng: &mut Rng, parts: u64) -> String {
    (0..rng.below(parts + 1))
        .map(|_| *rng.pick(&PARTS))
        .collect()
}

/// Objects of random names and ages, some of them tombstones, most of policy 0.
pub(crate) fn random_names(rng: &mut Rng, count: usize) -> Vec<ObjectRecord> {
    let record = |rng: &mut Rng| {
        let at = Timestamp::from_seconds(1 + rng.below(100));
        let name = random_text(rng, 5);
        let record = match rng.one_in(5) {
            true => ObjectRecord::delete(name, at),
            false => ObjectRecord::put(name, at, 1, "t", "e"),
        };
        record.in_policy(PolicyIndex(i64::from(rng.one_in(8))))
    };
    (0..count).map(|_| record(rng)).collect()
}

/// A listing of anything.
pub(crate) fn random_query(rng: &mut Rng) -> ListingQuery {
    let mut query = ListingQuery::new(*rng.pick(&[0, 1, 2, 5, 1000, 1000, 1000]));
    let text = |rng: &mut Rng, n| {
        if rng.one_in(n) {
            random_text(rng, 3)
        } else {
            String::new()
        }
    };
    query.marker = text(rng, 2);
    query.end_marker = text(rng, 3);
    query.prefix = text(rng, 2);
    query.delimiter = if rng.one_in(2) {
        "/".into()
    } else {
        text(rng, 2)
    };
    query.path = rng.one_in(5).then(|| random_text(rng, 3));
    query.reverse = rng.one_in(2);
    query.allow_reserved = rng.one_in(2);
    query
}

/// Without the characters after which there is none, or no next one: Swift stumbles where a prefix ends so.
fn plain(text: &str) -> String {
    text.replace(['\u{10ffff}', '\u{d7ff}'], "y")
}

/// Objects of random names that a request can name.
pub(crate) fn plain_names(rng: &mut Rng, count: usize) -> Vec<ObjectRecord> {
    let mut records = random_names(rng, count);
    records.retain(|record| !record.name.is_empty());
    for record in &mut records {
        record.name = plain(&record.name);
    }
    records
}

/// A listing of anything but of a path, where Swift loses names.
pub(crate) fn plain_query(rng: &mut Rng) -> ListingQuery {
    let mut query = random_query(rng);
    query.path = None;
    for text in [
        &mut query.marker,
        &mut query.end_marker,
        &mut query.prefix,
        &mut query.delimiter,
    ] {
        *text = plain(text);
    }
    query
}

/// What a listing of these rows must show, by looking at every one: the contract word for word.
pub(crate) fn listed(rows: &[ObjectRow], ask: &ListObjects) -> Vec<String> {
    let query = &ask.names;
    let mut names: Vec<&str> = rows
        .iter()
        .filter(|row| match ask.deleted {
            DeletedFilter::Live => !row.deleted,
            DeletedFilter::Tombstones => row.deleted,
            DeletedFilter::Both => true,
        })
        .filter(|row| match ask.policy {
            PolicyFilter::Own => row.policy_index == PolicyIndex(0),
            PolicyFilter::Only(index) => row.policy_index == index,
            PolicyFilter::All => true,
        })
        .map(|row| row.name.as_str())
        .filter(|name| is_candidate(name, query))
        .collect();
    names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    if query.reverse {
        names.reverse();
    }
    let mut shown: Vec<String> = Vec::new();
    for name in names {
        let Some(entry) = entry_for(name, query) else {
            continue;
        };
        if shown.last() != Some(&entry) {
            shown.push(entry);
        }
    }
    shown.truncate(query.limit);
    shown
}

fn prefix_of(query: &ListingQuery) -> String {
    match query.path.as_deref() {
        None => query.prefix.clone(),
        Some("") => String::new(),
        Some(path) => format!("{}/", path.trim_end_matches('/')),
    }
}

fn is_candidate(name: &str, query: &ListingQuery) -> bool {
    let prefix = prefix_of(query);
    let (low, high) = match query.reverse {
        false => (&query.marker, &query.end_marker),
        true => (&query.end_marker, &query.marker),
    };
    name.starts_with(&prefix)
        && (low.is_empty() || name > low.as_str())
        && (high.is_empty() || name < high.as_str())
        && (query.allow_reserved || name >= "\u{1}")
}

fn entry_for(name: &str, query: &ListingQuery) -> Option<String> {
    let prefix = prefix_of(query);
    let rest = &name[prefix.len()..];
    if query.path.is_some() {
        let is_direct = match rest.find('/') {
            None => !rest.is_empty(),
            Some(at) => at + 1 == rest.len(),
        };
        return is_direct.then(|| name.to_owned());
    }
    if query.delimiter.is_empty() {
        return Some(name.to_owned());
    }
    let Some(at) = rest.find(query.delimiter.as_str()) else {
        return Some(name.to_owned());
    };
    let dir = &name[..prefix.len() + at + query.delimiter.len()];
    let low = if query.reverse {
        &query.end_marker
    } else {
        &query.marker
    };
    (dir != low).then(|| format!("+{dir}"))
}
