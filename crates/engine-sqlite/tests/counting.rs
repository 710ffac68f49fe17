//! Hash and statistics, which the engine keeps in the place of Swift's triggers.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{
    BrokerOptions, ContainerBrokerExt, ContainerInfo, Facts, MergeOptions, ObjectRecord,
    ReclaimAge, RowFilter, RowId,
};
use broker_runtime::ops;
use broker_runtime::sync::{Access, Store, SyncEngine};
use common::*;
use engine_sqlite::{SqliteEngine, SqliteOptions};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// What another program does to the file, with no trigger in its way.
fn by_hand(bench: &Bench, sql: &str) {
    let conn = Connection::open(bench.db_of(&container_at("c"))).unwrap();
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)
        .unwrap();
    conn.execute_batch(sql).unwrap();
}

async fn merge(broker: &dyn broker_api::ContainerBroker, records: Vec<ObjectRecord>) {
    let merged = broker.merge_items(records, MergeOptions::default());
    merged.await.unwrap();
}

/// What a container of these records alone says of itself.
async fn counted(records: Vec<ObjectRecord>) -> ContainerInfo {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    merge(&*broker, records).await;
    broker.get_info().await.unwrap()
}

fn assert_counts(info: &ContainerInfo, expected: &ContainerInfo) {
    assert_eq!(info.store.hash, expected.store.hash);
    assert_eq!(info.policy_stats, expected.policy_stats);
}

/// A failure would mean that a later version of Swift misses what its own triggers would have done.
#[tokio::test(flavor = "multi_thread")]
async fn file_with_triggers_of_others_is_left_to_all_of_them() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    by_hand(
        &bench,
        "CREATE TABLE seen (name TEXT);
        CREATE TRIGGER of_others AFTER INSERT ON object BEGIN INSERT INTO seen VALUES (new.name); END;",
    );
    let records = vec![object("a", 5), object("b", 5)];
    merge(&*broker, records.clone()).await;
    let info = broker.get_info().await.unwrap();
    assert_counts(&info, &counted(records).await);
    let conn = Connection::open(bench.db_of(&container_at("c"))).unwrap();
    let seen = conn.query_row("SELECT count(*) FROM seen", [], |row| row.get(0));
    assert_eq!(seen, Ok(2));
}

/// A failure would mean that a container counts an object for ever that is in no listing.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_name_are_counted_anew_when_they_are_replaced() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    merge(&*broker, vec![object("a", 5), object("b", 5)]).await;
    let hash = broker.get_info().await.unwrap().store.hash;
    let hash = hash.toggled("a", "0000000004.00000");
    by_hand(
        &bench,
        &format!(
            "INSERT INTO object (name, created_at, size, content_type, etag) VALUES
                ('a', '0000000004.00000', 7, 't', 'e');
            UPDATE policy_stat SET object_count = object_count + 1, bytes_used = bytes_used + 7;
            UPDATE container_info SET hash = '{hash}';"
        ),
    );
    merge(&*broker, vec![object("a", 6)]).await;
    let expected = counted(vec![object("b", 5), object("a", 6)]).await;
    assert_counts(&broker.get_info().await.unwrap(), &expected);
}

/// A failure would mean that one bad row keeps all tombstones of a container from being reclaimed.
#[tokio::test(flavor = "multi_thread")]
async fn tombstone_that_cannot_be_read_is_reclaimed_and_counted() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let records = vec![
        ObjectRecord::delete("a", at(5)),
        ObjectRecord::delete("b", at(5)),
        object("c", 5),
    ];
    merge(&*broker, records).await;
    by_hand(
        &bench,
        "DROP TRIGGER object_update; UPDATE object SET etag = CAST(x'ff' AS TEXT) WHERE name = 'b';",
    );
    let age = ReclaimAge {
        tombstones: at(6),
        sync_points: at(6),
    };
    let reclaimed = broker.replicate().reclaim(age).await.unwrap();
    assert_eq!(reclaimed.removed, 2);
    let expected = counted(vec![object("c", 5)]).await;
    assert_counts(&broker.get_info().await.unwrap(), &expected);
    merge(&*broker, vec![object("d", 5)]).await;
    let expected = counted(vec![object("c", 5), object("d", 5)]).await;
    assert_counts(&broker.get_info().await.unwrap(), &expected);
}

/// A failure would mean that a transaction does not see what it has written itself.
#[tokio::test(flavor = "multi_thread")]
async fn transaction_sees_its_own_counts() {
    let bench = Bench::new();
    bench.new_container("c").await;
    let options = SqliteOptions::new(bench.devices()).with_mount_check(false);
    let engine = SqliteEngine::new(options);
    let mut store = engine.open_container(&container_at("c")).unwrap().unwrap();
    let waiting = BrokerOptions::default();
    store.begin(Access::Write, &waiting).unwrap();
    for (name, count) in [("a", 1), ("b", 2)] {
        ops::merge_objects(&mut store, &[object(name, 5)], None).unwrap();
        let Facts::Container(info) = store.facts().unwrap() else {
            panic!("a container")
        };
        assert_eq!(info.object_count(), count);
    }
    ops::merge_objects(&mut store, &[object("never", 5)], None).unwrap();
    store.rollback();
    store.begin(Access::Write, &waiting).unwrap();
    ops::merge_objects(&mut store, &[object("c", 5)], None).unwrap();
    store.commit().unwrap();
    let info = bench.container("c").get_info().await.unwrap();
    assert_counts(&info, &counted(vec![object("c", 5)]).await);
}

/// A failure would mean that one bad row makes a whole store go away with the next PUT of another object.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_name_are_replaced_beside_a_row_that_cannot_be_read() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    merge(&*broker, vec![object("a", 5), object("b", 5)]).await;
    by_hand(
        &bench,
        "DROP TRIGGER object_update;
        INSERT INTO object (name, created_at, size, content_type, etag) VALUES
            ('a', '0000000004.00000', 7, 't', CAST(x'ff' AS TEXT));
        UPDATE object SET etag = CAST(x'ff' AS TEXT) WHERE name = 'b';",
    );
    merge(&*broker, vec![object("a", 6)]).await;
    assert!(broker.exists().await.unwrap());
    let rows = broker.items_since(RowId(3), 10, RowFilter::All).await;
    let names: Vec<_> = rows.unwrap().into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["a"]);
}
