//! Stores to work on, and random histories of calls.

#![allow(dead_code, reason = "each test uses a part of it")]

use broker_api::{
    BrokerOptions, ContainerInfo, ContainerMarks, Direction, Engine, ListObjects, ListingQuery,
    Location, MergeOptions, MetadataEntry, NameHash, NewContainer, ObjectRecord, ObjectRow,
    PolicyIndex, ReclaimAge, RemoveObjects, Result, RowFilter, RowId, StoreKind, SyncPoint,
    Timestamp,
};
use broker_layers::{Call, Target};
use proptest::prelude::*;
use std::sync::Arc;

/// More rows than any history makes.
pub(crate) const MANY: usize = 10_000;

/// A container on an engine, which need not exist.
pub(crate) fn container(engine: &Arc<dyn Engine>, number: u8) -> Target {
    let hash = NameHash([number; 16]);
    let location = Location::new(StoreKind::Container, "sda", "7", hash).unwrap();
    Target::open(engine, &location, &BrokerOptions::default())
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// Makes a container.
pub(crate) fn initialize() -> Call {
    Call::InitializeContainer(NewContainer {
        account: "a".into(),
        container: "c".into(),
        put_timestamp: at(1).into(),
        policy_index: PolicyIndex(0),
        created_at: at(1),
        id: "id".into(),
    })
}

/// Merges records without a source.
pub(crate) fn merge(records: Vec<ObjectRecord>) -> Call {
    Call::MergeObjects(records, MergeOptions::default())
}

/// A live object.
pub(crate) fn put(name: &str, seconds: u64) -> ObjectRecord {
    ObjectRecord::put(name, at(seconds), seconds as i64, "text/plain", "e")
}

/// The facts of a container that exists.
pub(crate) async fn info(target: &Target) -> Result<ContainerInfo> {
    let info: Option<ContainerInfo> = target.ask(Call::ContainerInfo).await?.try_into()?;
    Ok(info.unwrap())
}

/// The rows of a container without their numbers, by name.
pub(crate) async fn contents(target: &Target) -> Result<Vec<ObjectRow>> {
    let all = Call::ObjectsSince(RowId::NONE, MANY, RowFilter::All);
    let mut rows: Vec<ObjectRow> = target.ask(all).await?.try_into()?;
    rows.iter_mut().for_each(|row| row.row_id = RowId::NONE);
    rows.sort_by(|a, b| (&a.name, a.policy_index).cmp(&(&b.name, b.policy_index)));
    Ok(rows)
}

/// What is read after every change.
pub(crate) fn reads() -> Vec<Call> {
    vec![
        Call::Exists,
        Call::ContainerInfo,
        Call::ObjectsSince(RowId::NONE, MANY, RowFilter::All),
        Call::SyncPoints(Direction::Incoming),
    ]
}

/// A listing of everything.
pub(crate) fn everything() -> ListObjects {
    ListObjects::new(ListingQuery::new(MANY))
}

fn record() -> impl Strategy<Value = ObjectRecord> {
    let parts = ("[a-e]", 1..40u64, any::<bool>(), 0..3i64, 1..1000i64);
    parts.prop_map(|(name, seconds, deleted, policy, row)| ObjectRecord {
        deleted,
        row_id: Some(RowId(row)),
        ..put(&name, seconds).in_policy(PolicyIndex(policy))
    })
}

fn options() -> impl Strategy<Value = MergeOptions> {
    prop_oneof![
        Just(MergeOptions::default()),
        Just(MergeOptions::put()),
        "[rs]".prop_map(MergeOptions::from_source),
    ]
}

/// One change of a container.
pub(crate) fn change() -> impl Strategy<Value = Call> {
    let merged = (proptest::collection::vec(record(), 1..5), options());
    let point = ("[rs]", -1..100i64);
    let entry = ("[k-m]", "[a-c]{0,2}", 1..40u64);
    prop_oneof![
        6 => merged.prop_map(|(records, options)| Call::MergeObjects(records, options)),
        1 => (1..40u64).prop_map(|seconds| Call::Delete(at(seconds))),
        1 => (1..40u64).prop_map(|seconds| Call::UpdatePutTimestamp(at(seconds))),
        2 => entry.prop_map(|(key, value, seconds)| {
            Call::UpdateMetadata(vec![MetadataEntry::new(key, value, at(seconds).internal())], None)
        }),
        1 => point.prop_map(|(id, point)| {
            Call::MergeSyncPoints(Direction::Incoming, vec![SyncPoint::new(id, RowId(point))])
        }),
        1 => (1..40u64).prop_map(|seconds| Call::Reclaim(ReclaimAge {
            tombstones: at(seconds),
            sync_points: Timestamp::ZERO,
        })),
        1 => ("[a-e]", 1..30i64).prop_map(|(upper, max_row)| {
            let (lower, max_row) = (String::new(), Some(RowId(max_row)));
            Call::RemoveObjects(RemoveObjects { lower, upper, max_row })
        }),
        1 => (0..3i64, 1..40u64).prop_map(|(index, seconds)| {
            Call::SetStoragePolicyIndex(PolicyIndex(index), at(seconds))
        }),
        1 => (-1..9i64).prop_map(|mark| {
            let mut marks = ContainerMarks::default();
            marks.reconciler_sync_point = Some(mark);
            Call::SetMarks(marks)
        }),
    ]
}

/// A history of one container.
pub(crate) fn history() -> impl Strategy<Value = Vec<Call>> {
    proptest::collection::vec(change(), 20..40)
}

/// A runtime for one history.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}
