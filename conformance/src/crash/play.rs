//! Does the operations of a history on an engine.

use super::history::{Op, Place};
use crate::check::Check;
use crate::fixture::{Fixture, at, new_account, new_container, seconds};
use broker_api::{
    Broker, ContainerBroker, ContainerMarks, ErrorKind, MergeOptions, MergeTimestamps,
    MetadataEntry, ReclaimAge, RowId, StoreKind, SyncPoint, Timestamp,
};
use std::sync::Arc;

/// The `now` with which another replica's timestamps are merged.
pub(super) fn merged_at(deleted: u64) -> u64 {
    deleted + 1
}

/// Does one operation. It may be the repetition of one that had happened before a kill: then a store
/// that is there already, or is gone, is no failure.
pub(super) async fn play(fixture: &Fixture, op: &Op) -> Check {
    match done(fixture, op).await {
        Err(error) if error.kind() == ErrorKind::NotFound && matches!(op, Op::Quarantine(_)) => {
            Ok(())
        }
        done => Ok(done?),
    }
}

async fn done(fixture: &Fixture, op: &Op) -> broker_api::Result<()> {
    let container = |number| fixture.container_at(&fixture.location(StoreKind::Container, number));
    let account = |number| fixture.account_at(&fixture.location(StoreKind::Account, number));
    let location = |place: &Place| fixture.location(place.0, place.1);
    match op {
        Op::Create((StoreKind::Container, number), put) => {
            let broker = container(*number);
            let new = new_container(&*broker, &at(*put), 0);
            broker.initialize(&new).await.map(drop)
        }
        Op::Create((StoreKind::Account, number), put) => {
            let broker = account(*number);
            let new = new_account(&*broker, &at(*put));
            broker.initialize(&new).await.map(drop)
        }
        Op::Remove(place) => fixture.engine().remove(&location(place)).await,
        Op::Quarantine(place) => {
            let engine = fixture.engine();
            engine.quarantine(&location(place), "a test").await
        }
        Op::SetSynced(number, synced) => {
            let location = fixture.location(StoreKind::Container, *number);
            fixture.engine().set_synced(&location, *synced).await
        }
        Op::PutReport(number, record) => {
            let records = vec![record.clone()];
            let broker = account(*number);
            broker.merge_items(records, MergeOptions::put()).await
        }
        Op::MergeReports(number, records, source) => {
            let broker = account(*number);
            broker.merge_items(records.clone(), options(source)).await
        }
        op => match op.place() {
            (StoreKind::Container, number) => on_container(&container(number), op).await,
            (StoreKind::Account, number) => on_store(&*account(number), op).await,
        },
    }
}

fn options(source: &Option<String>) -> MergeOptions {
    source
        .as_ref()
        .map_or_else(MergeOptions::default, MergeOptions::from_source)
}

async fn on_container(broker: &Arc<dyn ContainerBroker>, op: &Op) -> broker_api::Result<()> {
    match op {
        Op::PutObject(_, record) => {
            let records = vec![record.clone()];
            broker.merge_items(records, MergeOptions::put()).await
        }
        Op::MergeObjects(_, records, source) => {
            broker.merge_items(records.clone(), options(source)).await
        }
        Op::RemoveObjects(_, remove) => broker.remove_objects(remove).await,
        Op::SetPolicy(_, index, at) => broker.set_storage_policy_index(*index, seconds(*at)).await,
        Op::SetReported(_, reported) => {
            let mut marks = ContainerMarks::default();
            marks.reported = Some(reported.clone());
            broker.set_marks(&marks).await
        }
        Op::SetMarks(_, [one, two, reconciler]) => {
            let mut marks = ContainerMarks::default();
            marks.x_container_sync_point1 = Some(*one);
            marks.x_container_sync_point2 = Some(*two);
            marks.reconciler_sync_point = Some(*reconciler);
            broker.set_marks(&marks).await
        }
        op => on_store(&**broker, op).await,
    }
}

/// Operations that accounts and containers have in common.
async fn on_store(broker: &(impl Broker + ?Sized), op: &Op) -> broker_api::Result<()> {
    match op {
        Op::Metadata(_, entries, at) => {
            let time = seconds(*at).to_string();
            let entries = entries.iter();
            let updates: Vec<_> = entries
                .map(|(key, value)| MetadataEntry::new(key.clone(), value.clone(), time.clone()))
                .collect();
            broker.update_metadata(&updates, None).await
        }
        Op::PutTimestamp(_, at) => broker.update_put_timestamp(seconds(*at)).await,
        Op::StatusChangedAt(_, at) => broker.update_status_changed_at(seconds(*at)).await,
        Op::Timestamps(_, [created, put, deleted]) => {
            let merge = MergeTimestamps {
                created_at: at(*created),
                put_timestamp: at(*put),
                delete_timestamp: at(*deleted),
                now: seconds(merged_at(*deleted)),
            };
            broker.merge_timestamps(&merge).await
        }
        Op::Delete(_, at) => broker.delete(seconds(*at)).await,
        Op::SyncPoint(_, direction, remote, point) => {
            let points = [SyncPoint::new(remote.clone(), RowId(*point))];
            broker
                .replicate()
                .merge_sync_points(*direction, &points)
                .await
        }
        Op::NewId(_, remote, id) => broker.replicate().new_id(remote, id).await,
        Op::Reclaim(_, age) => {
            let age = ReclaimAge {
                tombstones: seconds(*age),
                sync_points: Timestamp::from_seconds(0),
            };
            broker.replicate().reclaim(age).await.map(drop)
        }
        op => unreachable!("not an operation of every store: {op:?}"),
    }
}
