//! Files of older versions: read as they are, completed when Swift completes them.
#![allow(clippy::unwrap_used)]

#[path = "common/legacy.rs"]
mod legacy;

mod common;

use broker_api::{
    AccountBroker, AccountBrokerExt, ContainerBroker, ContainerBrokerExt, ContainerMarks,
    ContainerRecord, Direction, ListObjects, ListingQuery, MergeOptions, MetadataEntry,
    PolicyFilter, PolicyIndex, ReclaimAge, RowFilter, RowId, TimestampText,
};
use common::*;
use legacy::{Age, OLDEST, PRE_POLICY};
use std::sync::Arc;

fn old_container(age: Age) -> (Bench, Arc<dyn ContainerBroker>) {
    let bench = Bench::new();
    legacy::container(&bench.db_of(&container_at("old")), age);
    let broker = bench.container("old");
    (bench, broker)
}

fn old_account(age: Age) -> (Bench, Arc<dyn AccountBroker>) {
    let bench = Bench::new();
    legacy::account(&bench.db_of(&account_at()), age);
    let broker = bench.account();
    (bench, broker)
}

fn schema(db: &std::path::Path) -> Vec<String> {
    let conn = rusqlite::Connection::open(db).unwrap();
    let mut names = conn
        .prepare("SELECT type || ' ' || name FROM sqlite_master ORDER BY 1")
        .unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

const AGES: [Age; 4] = [
    OLDEST,
    Age {
        index: true,
        ..OLDEST
    },
    Age {
        metadata: true,
        sync_dates: true,
        ..OLDEST
    },
    PRE_POLICY,
];

#[tokio::test(flavor = "multi_thread")]
async fn old_containers_are_read_without_a_change() {
    for age in AGES {
        let (bench, broker) = old_container(age);
        let db = bench.db_of(&container_at("old"));
        let before = schema(&db);
        let info = broker.get_info().await.unwrap();
        assert_eq!((info.object_count(), info.bytes_used()), (2, 15));
        assert_eq!(info.policy_stats.len(), 1);
        assert_eq!(
            (info.policy_index, info.reconciler_sync_point),
            (PolicyIndex(0), -1)
        );
        assert_eq!(
            (info.x_container_sync_point1, info.x_container_sync_point2),
            (-1, -1)
        );
        assert_eq!(
            (info.store.raw_metadata.as_str(), info.store.max_row),
            ("", RowId(3))
        );
        for policy in [PolicyFilter::Own, PolicyFilter::Only(PolicyIndex(5))] {
            let mut names = ListingQuery::new(10);
            names.delimiter = "/".into();
            let mut query = ListObjects::new(names);
            query.policy = policy;
            let page = broker.object_page(&query).await.unwrap();
            assert_eq!(page.len(), 2, "{age:?}");
        }
        let rows = broker
            .items_since(RowId(1), 10, RowFilter::All)
            .await
            .unwrap();
        assert_eq!(rows.len(), 2);
        let rows = broker
            .items_since(RowId(0), 10, RowFilter::Misplaced)
            .await
            .unwrap();
        assert_eq!(rows.len(), 0);
        let points = broker
            .replicate()
            .sync_points(Direction::Incoming)
            .await
            .unwrap();
        assert_eq!(points[0].sync_point, RowId(7));
        assert_eq!(schema(&db), before, "{age:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_containers_are_completed_by_a_merge() {
    for age in AGES {
        let (_bench, broker) = old_container(age);
        let before = broker.get_info().await.unwrap();
        // What wins nothing migrates all the same, as in Swift.
        let stale = vec![object("a", 1)];
        broker
            .merge_items(stale, MergeOptions::default())
            .await
            .unwrap();
        let info = broker.get_info().await.unwrap();
        assert_eq!(info.store.hash, before.store.hash);
        assert_eq!(info.store.max_row, RowId(3));
        assert_eq!(info.reported.put_timestamp, "5");
        assert_eq!(info.reported.delete_timestamp, "0");
        let new = object("n", 9).in_policy(PolicyIndex(2));
        broker.put_object(new).await.unwrap();
        broker.delete_object("c", at(9)).await.unwrap();
        let info = broker.get_info().await.unwrap();
        assert_eq!(
            (info.object_count(), info.policy_stats.len()),
            (1, 2),
            "{age:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_containers_are_completed_by_marks_and_metadata() {
    for age in AGES {
        let (_bench, broker) = old_container(age);
        let mut marks = ContainerMarks::default();
        marks.x_container_sync_point2 = Some(4);
        broker.set_marks(&marks).await.unwrap();
        let entry = MetadataEntry::new("X-Container-Meta-A", "v", at(5).internal());
        broker.update_metadata(&[entry], None).await.unwrap();
        let age_all = ReclaimAge {
            tombstones: at(100),
            sync_points: at(4_000_000_000),
        };
        let reclaimed = broker.replicate().reclaim(age_all).await.unwrap();
        assert_eq!(reclaimed.removed, 1);
        marks.reconciler_sync_point = Some(9);
        broker.set_marks(&marks).await.unwrap();
        broker
            .set_storage_policy_index(PolicyIndex(3), at(50))
            .await
            .unwrap();
        let info = broker.get_info().await.unwrap();
        assert_eq!(
            (info.x_container_sync_point1, info.x_container_sync_point2),
            (-1, 4)
        );
        assert_eq!(
            (info.reconciler_sync_point, info.policy_index),
            (9, PolicyIndex(3))
        );
        assert!(info.store.raw_metadata.contains("X-Container-Meta-A"));
        assert_eq!(info.store.status_changed_at, text(50));
        let points = broker
            .replicate()
            .sync_points(Direction::Incoming)
            .await
            .unwrap();
        assert_eq!(points.is_empty(), age.sync_dates);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_accounts_are_read_and_completed() {
    for age in AGES {
        let (bench, broker) = old_account(age);
        let before = schema(&bench.db_of(&account_at()));
        let info = broker.get_info().await.unwrap();
        assert_eq!((info.container_count, info.object_count), (1, 3));
        assert!(info.policy_stats.is_empty());
        assert_eq!(
            broker
                .container_page(&ListingQuery::new(9))
                .await
                .unwrap()
                .len(),
            1
        );
        assert_eq!(broker.items_since(RowId(0), 9).await.unwrap().len(), 2);
        assert_eq!(schema(&bench.db_of(&account_at())), before);
        let never = TimestampText::never();
        let record = ContainerRecord::report("n", text(5), never, 1, 5, PolicyIndex(2));
        broker.put_container(record).await.unwrap();
        let info = broker.get_info().await.unwrap();
        assert_eq!((info.container_count, info.bytes_used), (2, 35));
        let counts: Vec<_> = info
            .policy_stats
            .iter()
            .map(|stat| stat.container_count)
            .collect();
        assert_eq!(counts, [Some(1), Some(1)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_account_gets_statistics_alone_by_an_upgrade() {
    let (_bench, broker) = old_account(PRE_POLICY);
    broker.upgrade().await.unwrap();
    let info = broker.get_info().await.unwrap();
    assert_eq!(info.policy_stats.len(), 1);
    // The other half follows with the next merge.
    let never = TimestampText::never();
    let record = ContainerRecord::report("a", text(5), never, 1, 5, PolicyIndex(0));
    broker.put_container(record).await.unwrap();
    let info = broker.get_info().await.unwrap();
    assert_eq!(info.policy_stats[0].container_count, Some(1));
    assert_eq!((info.policy_stats[0].object_count, info.bytes_used), (1, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_without_container_counts_are_counted_by_an_upgrade() {
    for (policies, wanted) in [(1, vec![Some(2)]), (3, vec![Some(2), Some(1), Some(1)])] {
        let bench = Bench::new();
        legacy::account_without_container_counts(&bench.db_of(&account_at()), policies);
        let broker = bench.account();
        let never = TimestampText::never;
        let record = ContainerRecord::report("n", text(5), never(), 1, 5, PolicyIndex(0));
        broker.put_container(record).await.unwrap();
        let counts = |info: &broker_api::AccountInfo| -> Vec<_> {
            info.policy_stats
                .iter()
                .map(|stat| stat.container_count)
                .collect()
        };
        let before = broker.get_info().await.unwrap();
        assert!(counts(&before).iter().all(Option::is_none));
        broker.upgrade().await.unwrap();
        assert_eq!(counts(&broker.get_info().await.unwrap()), wanted);
        let record = ContainerRecord::report("m", text(5), never(), 1, 5, PolicyIndex(0));
        broker.put_container(record).await.unwrap();
        assert_eq!(counts(&broker.get_info().await.unwrap())[0], Some(3));
        broker.upgrade().await.unwrap();
    }
}

/// A file that another process completes while it is open here is read by its new schema.
#[tokio::test(flavor = "multi_thread")]
async fn schema_that_others_change_is_noticed() {
    let (bench, broker) = old_container(PRE_POLICY);
    assert_eq!(broker.get_info().await.unwrap().object_count(), 2);
    let other = reopen(bench.devices(), broker_api::Durability::Process);
    let other = other.container(&container_at("old"), &Default::default());
    let record = object("n", 5).in_policy(PolicyIndex(1));
    other
        .merge_items(vec![record], MergeOptions::default())
        .await
        .unwrap();
    assert_eq!(broker.get_info().await.unwrap().policy_stats.len(), 2);
}
