//! What each operation of the contract does, over the primitives of [`sync`](crate::sync).
//!
//! These run inside a transaction that the caller began and will end. An operation that fails with
//! `InvalidInput` has changed nothing, so that others of the same transaction may go on.

use crate::sync::{AccountStore, ContainerStore, ObjectFilter, StatChange, Store};
use broker_api::container::ListObjects;
use broker_api::content_type::extract_swift_bytes;
use broker_api::info::STATUS_DELETED;
use broker_api::listing::{ListingDriver, ListingQuery, Shown, Step};
use broker_api::merge::{
    container_batch_sync_point, merge_container, merge_object, object_batch_sync_point,
};
use broker_api::{
    ContainerRecord, ContainerRow, ContainerVisitor, Direction, Entry, Error, ErrorKind, Facts,
    MergeTimestamps, MetadataEntry, MetadataLimits, ObjectRecord, ObjectRow, ObjectVisitor,
    PolicyIndex, ReclaimAge, Result, RowId, SyncPoint, Timestamp, TimestampText,
};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::Hash;

/// How many tombstones one transaction of a reclaim looks at.
pub const RECLAIM_PAGE: usize = 10_000;

/// Blanks metadata, then marks the store deleted.
///
/// # Errors
/// When the store fails.
pub fn delete<S: Store>(store: &mut S, timestamp: Timestamp) -> Result<()> {
    let facts = store.facts()?;
    let keep_sharding = matches!(facts, Facts::Container(_));
    let at = TimestampText::from(timestamp);
    let mut metadata = facts.store().metadata()?;
    let mut change = StatChange::default();
    if metadata.update(&metadata.cleared_at(at.as_str(), keep_sharding), None)? {
        change.raw_metadata = Some(metadata.to_json());
    }
    if facts.store().delete_timestamp < at {
        change.status = Some(STATUS_DELETED);
        change.status_changed_at = Some(at.clone());
        change.delete_timestamp = Some(at);
    }
    store.update(&change)
}

/// Raises the put timestamp.
///
/// # Errors
/// When the store fails.
pub fn update_put_timestamp<S: Store>(store: &mut S, timestamp: Timestamp) -> Result<()> {
    let at = TimestampText::from(timestamp);
    if at <= store.facts()?.store().put_timestamp {
        return Ok(());
    }
    store.update(&StatChange {
        put_timestamp: Some(at),
        ..StatChange::default()
    })
}

/// Raises `status_changed_at`.
///
/// # Errors
/// When the store fails.
pub fn update_status_changed_at<S: Store>(store: &mut S, timestamp: Timestamp) -> Result<()> {
    let at = TimestampText::from(timestamp);
    if at <= store.facts()?.store().status_changed_at {
        return Ok(());
    }
    store.update(&StatChange {
        status_changed_at: Some(at),
        ..StatChange::default()
    })
}

/// Takes over another replica's timestamps.
///
/// # Errors
/// When the store fails.
pub fn merge_timestamps<S: Store>(store: &mut S, merge: &MergeTimestamps) -> Result<()> {
    let mut facts = store.facts()?;
    let before = facts.clone();
    let info = facts.store_mut();
    info.created_at = merge.created_at.clone().min(info.created_at.clone());
    info.put_timestamp = merge.put_timestamp.clone().max(info.put_timestamp.clone());
    info.delete_timestamp = merge
        .delete_timestamp
        .clone()
        .max(info.delete_timestamp.clone());
    if facts == before {
        // Replicas that agree tell each other so again and again: nothing is written for that.
        return Ok(());
    }
    let now = TimestampText::from(merge.now);
    let flips = facts.is_deleted() != before.is_deleted() && now > facts.store().status_changed_at;
    let info = facts.store();
    store.update(&StatChange {
        created_at: Some(info.created_at.clone()),
        put_timestamp: Some(info.put_timestamp.clone()),
        delete_timestamp: Some(info.delete_timestamp.clone()),
        status_changed_at: flips.then_some(now),
        ..StatChange::default()
    })
}

/// Merges metadata.
///
/// # Errors
/// `InvalidInput` when `limits` are broken.
pub fn update_metadata<S: Store>(
    store: &mut S,
    updates: &[MetadataEntry],
    limits: Option<&MetadataLimits>,
) -> Result<()> {
    let mut metadata = store.facts()?.store().metadata()?;
    if !metadata.update(updates, limits)? {
        return Ok(());
    }
    let raw_metadata = Some(metadata.to_json());
    store.update(&StatChange {
        raw_metadata,
        ..StatChange::default()
    })
}

/// Raises sync points.
///
/// # Errors
/// When the store fails.
pub fn merge_sync_points<S: Store>(
    store: &mut S,
    direction: Direction,
    points: &[SyncPoint],
) -> Result<()> {
    let stored = store.sync_points(direction)?;
    let mut known: HashMap<_, _> = stored
        .iter()
        .map(|point| (point.remote_id.as_str(), point.sync_point))
        .collect();
    for point in points {
        let raised = known.entry(&point.remote_id).or_insert(point.sync_point);
        *raised = point.sync_point.max(*raised);
        store.set_sync_point(direction, &point.remote_id, *raised)?;
    }
    Ok(())
}

/// Gives the store a new identity.
///
/// # Errors
/// When the store fails.
pub fn new_id<S: Store>(store: &mut S, remote_id: &str, new_id: &str) -> Result<()> {
    let highest = store.highest_row_present()?;
    store.set_sync_point(Direction::Incoming, remote_id, highest)?;
    store.update(&StatChange {
        id: Some(new_id.to_owned()),
        ..StatChange::default()
    })
}

/// What one transaction of a reclaim did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReclaimedPage {
    /// Tombstones removed.
    pub removed: u64,
    /// Tombstones seen and left.
    pub left: u64,
    /// Where the next transaction goes on; `None` after the last.
    pub next: Option<String>,
}

/// One short transaction of a reclaim, beginning at the name `from`. The last one also removes
/// sync points and metadata.
///
/// # Errors
/// When the store fails.
pub fn reclaim_page<S: Store>(
    store: &mut S,
    age: &ReclaimAge,
    from: &str,
    page: usize,
) -> Result<ReclaimedPage> {
    // One name has a tombstone in each of several policies: a page that ends where it begins would
    // be looked at for ever, so it takes all the rest.
    let next = store.tombstone_after(from, page)?;
    let next = next.filter(|next| next.as_str() > from);
    let removed = store.remove_tombstones(from, next.as_deref(), &age.tombstones.internal())?;
    let left = match &next {
        Some(_) => (page as u64).saturating_sub(removed),
        None => store.count_tombstones(from)?,
    };
    if next.is_none() {
        reclaim_rest(store, age)?;
    }
    Ok(ReclaimedPage {
        removed,
        left,
        next,
    })
}

fn reclaim_rest<S: Store>(store: &mut S, age: &ReclaimAge) -> Result<()> {
    store.remove_sync_points_before(&age.sync_points.internal())?;
    let mut metadata = store.facts()?.store().metadata()?;
    if metadata.reclaim(age.tombstones.normalized()) {
        let raw_metadata = Some(metadata.to_json());
        store.update(&StatChange {
            raw_metadata,
            ..StatChange::default()
        })?;
    }
    Ok(())
}

/// Merges object records; all of it is decided before the first row is written.
///
/// # Errors
/// `InvalidInput` for a bad batch from a source, or a stored row that does not decode.
pub fn merge_objects<S: ContainerStore>(
    store: &mut S,
    records: &[ObjectRecord],
    source: Option<&str>,
) -> Result<()> {
    let point = source
        .map(|source| incoming(store, source, object_batch_sync_point(records)?))
        .transpose()?;
    if merge_distinct_objects(store, records)? {
        return set_incoming(store, point);
    }
    let names = object_names(records);
    let stored = names.answers(store.rows(&names.names)?)?;
    let mut merged: Vec<(usize, ObjectRow)> = Vec::with_capacity(stored.len());
    let mut merged_at = vec![None; stored.len()];
    for (record, place) in records.iter().zip(&names.places) {
        let Some(first) = merge_object(stored[*place].as_ref(), record)? else {
            continue;
        };
        let Some(at) = merged_at[*place] else {
            merged_at[*place] = Some(merged.len());
            merged.push((*place, first));
            continue;
        };
        // Swift goes on with what the merge with the stored row made of the content type, and
        // normalises that of a winner too: spelling it again may spell it differently.
        let record = ObjectRecord {
            content_type: first.content_type,
            ..record.clone()
        };
        let (_, row): &mut (usize, ObjectRow) = &mut merged[at];
        match merge_object(Some(row), &record)? {
            Some(next) => *row = next,
            None => row.content_type = extract_swift_bytes(&row.content_type).join(),
        }
    }
    for (place, row) in &merged {
        store.replace(stored[*place].as_ref(), row)?;
    }
    set_incoming(store, point)
}

/// Merges object records that are each of another row, for which it is all the same whether they are merged together
/// or one after the other; false, with nothing done, when some are of one row.
///
/// # Errors
/// `InvalidInput` with nothing done.
pub(crate) fn merge_distinct_objects<S: ContainerStore>(
    store: &mut S,
    records: &[ObjectRecord],
) -> Result<bool> {
    let names = object_names(records);
    if !names.came_once() {
        return Ok(false);
    }
    let stored = names.answers(store.rows(&names.names)?)?;
    merge_each(store, records, &stored, merge_object, S::replace)?;
    Ok(true)
}

/// Merges each record with what is stored of its row; all of it is decided before the first row is written.
fn merge_each<S, Record, Row>(
    store: &mut S,
    records: &[Record],
    stored: &[Option<Row>],
    merge: impl Fn(Option<&Row>, &Record) -> Result<Option<Row>>,
    replace: impl Fn(&mut S, Option<&Row>, &Row) -> Result<RowId>,
) -> Result<()> {
    let pairs = stored.iter().zip(records);
    let merged = pairs.map(|(stored, record)| merge(stored.as_ref(), record));
    let merged: Vec<_> = merged.collect::<Result<_>>()?;
    for (old, new) in stored.iter().zip(&merged) {
        if let Some(new) = new {
            replace(store, old.as_ref(), new)?;
        }
    }
    Ok(())
}

fn object_names(records: &[ObjectRecord]) -> Distinct<(&str, PolicyIndex)> {
    let names = records.iter();
    Distinct::of(names.map(|record| (record.name.as_str(), record.policy_index)))
}

/// Merges container records, one after the other; all of it is decided before the first is written.
///
/// # Errors
/// `InvalidInput` when a record lacks a value that no row has, or a row number that a source needs.
pub fn merge_containers<S: AccountStore>(
    store: &mut S,
    records: &[ContainerRecord],
    source: Option<&str>,
) -> Result<()> {
    let point = source
        .map(|source| incoming(store, source, container_batch_sync_point(records)?))
        .transpose()?;
    if merge_distinct_containers(store, records)? {
        return set_incoming(store, point);
    }
    let names = container_names(records);
    let mut rows = names.answers(store.rows(&names.names)?)?;
    let mut merged = Vec::with_capacity(records.len());
    for (record, place) in records.iter().zip(&names.places) {
        let stored = &mut rows[*place];
        let row = merge_container(stored.as_ref(), record)?;
        let old = stored.replace(row.clone());
        merged.push((old, row));
    }
    let mut present: HashMap<&str, ContainerRow> = HashMap::new();
    for (old, row) in &merged {
        // The row that this batch wrote has a number by now.
        let written = present.remove(row.name.as_str());
        let old = written.or_else(|| old.clone());
        let row_id = store.replace(old.as_ref(), row)?;
        present.insert(
            &row.name,
            ContainerRow {
                row_id,
                ..row.clone()
            },
        );
    }
    set_incoming(store, point)
}

/// As [`merge_distinct_objects`].
///
/// # Errors
/// `InvalidInput` with nothing done.
pub(crate) fn merge_distinct_containers<S: AccountStore>(
    store: &mut S,
    records: &[ContainerRecord],
) -> Result<bool> {
    let names = container_names(records);
    if !names.came_once() {
        return Ok(false);
    }
    let stored = names.answers(store.rows(&names.names)?)?;
    let merge = |stored: Option<&_>, record: &_| merge_container(stored, record).map(Some);
    merge_each(store, records, &stored, merge, S::replace)?;
    Ok(true)
}

fn container_names(records: &[ContainerRecord]) -> Distinct<&str> {
    Distinct::of(records.iter().map(|record| record.name.as_str()))
}

/// The names of a batch, each once, and the place of each record's name among them.
struct Distinct<N> {
    names: Vec<N>,
    places: Vec<usize>,
}

impl<N: Copy + Eq + Hash> Distinct<N> {
    fn of(all: impl ExactSizeIterator<Item = N>) -> Self {
        let mut names = Vec::with_capacity(all.len());
        if all.len() == 1 {
            // Each put by a client comes alone.
            names.extend(all);
            return Self {
                names,
                places: vec![0],
            };
        }
        let mut known = HashMap::with_capacity_and_hasher(all.len(), RandomState::default());
        let places = all.map(|name| {
            *known.entry(name).or_insert_with(|| {
                names.push(name);
                names.len() - 1
            })
        });
        Self {
            places: places.collect(),
            names,
        }
    }

    /// Whether no name came twice.
    fn came_once(&self) -> bool {
        self.names.len() == self.places.len()
    }

    /// What a store answered, one for each name.
    fn answers<R>(&self, answers: Vec<R>) -> Result<Vec<R>> {
        match answers.len() == self.names.len() {
            true => Ok(answers),
            false => Err(Error::new(
                ErrorKind::Internal,
                "the store did not answer for each row of a batch",
            )),
        }
    }
}

/// The incoming point that a batch leaves for its source. It is read before rows are written, since
/// reading may fail.
fn incoming<S: Store>(store: &mut S, source: &str, point: RowId) -> Result<SyncPoint> {
    let stored = store.sync_points(Direction::Incoming)?;
    let known = stored.iter().find(|known| known.remote_id == source);
    let raised = known.map_or(point, |known| known.sync_point.max(point));
    Ok(SyncPoint::new(source, raised))
}

fn set_incoming<S: Store>(store: &mut S, point: Option<SyncPoint>) -> Result<()> {
    point.map_or(Ok(()), |point| {
        store.set_sync_point(Direction::Incoming, &point.remote_id, point.sync_point)
    })
}

/// Makes a policy the container's own.
///
/// # Errors
/// When the store fails.
pub fn set_storage_policy_index<S: ContainerStore>(
    store: &mut S,
    index: PolicyIndex,
    timestamp: Timestamp,
) -> Result<()> {
    let Facts::Container(info) = store.facts()? else {
        return Ok(());
    };
    // The policy that is set already is set again: that completes a file from before policies.
    store.set_policy(index)?;
    if info.policy_index == index {
        return Ok(());
    }
    update_status_changed_at(store, timestamp)
}

/// Shows an object listing to a visitor.
///
/// # Errors
/// When the store fails.
pub fn list_objects<S: ContainerStore>(
    store: &mut S,
    query: &ListObjects,
    visitor: &mut dyn ObjectVisitor,
) -> Result<()> {
    let Some(mut driver) = ListingDriver::new(&query.names) else {
        return Ok(());
    };
    let filter = ObjectFilter {
        policy: query.policy,
        deleted: query.deleted,
        since_row: query.since_row,
    };
    let range = driver.range().clone();
    store.scan(&range, &filter, &mut |row| {
        let (shown, step) = driver.visit(row.name);
        let flow = match shown {
            Shown::Row => visitor.visit(Entry::Row(row)),
            Shown::Subdir(name) => visitor.visit(Entry::Subdir(name)),
            Shown::Hidden => return step,
        };
        if flow.is_break() { Step::Stop } else { step }
    })
}

/// Shows a container listing to a visitor.
///
/// # Errors
/// When the store fails.
pub fn list_containers<S: AccountStore>(
    store: &mut S,
    query: &ListingQuery,
    visitor: &mut dyn ContainerVisitor,
) -> Result<()> {
    // Accounts have no path mode.
    let mut query = query.clone();
    query.path = None;
    let Some(mut driver) = ListingDriver::new(&query) else {
        return Ok(());
    };
    let range = driver.range().clone();
    store.scan(&range, &mut |row| {
        let (shown, step) = driver.visit(row.name);
        let flow = match shown {
            Shown::Row => visitor.visit(Entry::Row(row)),
            Shown::Subdir(name) => visitor.visit(Entry::Subdir(name)),
            Shown::Hidden => return step,
        };
        if flow.is_break() { Step::Stop } else { step }
    })
}
