//! Reads for clients, which see buffered records without committing them.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{
    AccountBrokerExt, BrokerOptions, ContainerBrokerExt, ContainerEntry, ContainerRecord,
    DeletedFilter, ListObjects, ListingQuery, ObjectEntry, ObjectRecord, PolicyFilter, PolicyIndex,
    RowFilter, RowId, TimestampText,
};
use common::*;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn all_names() -> ListObjects {
    ListObjects::new(ListingQuery::new(1000))
}

/// Size and time of a file. (Reading a database's bytes would take SQLite's locks away.)
fn state(file: &Path) -> (u64, std::time::SystemTime) {
    let metadata = fs::metadata(file).unwrap();
    (metadata.len(), metadata.modified().unwrap())
}

/// A failure would mean that a GET after a PUT misses the object, or waits for the disk.
#[tokio::test(flavor = "multi_thread")]
async fn client_reads_see_buffered_records_and_write_nothing() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    broker.put_object(object("old", 5)).await.unwrap();
    assert_eq!(broker.get_info().await.unwrap().object_count(), 1);
    broker.put_object(object("new", 5)).await.unwrap();
    broker.delete_object("old", at(6)).await.unwrap();
    let location = container_at("c");
    let (database, pending) = (bench.db_of(&location), bench.pending_of(&location));
    let before = (state(&database), state(&pending));
    assert!(before.1.0 > 0);
    let client = bench
        .engine
        .container(&container_at("c"), &BrokerOptions::for_reading());
    for _ in 0..3 {
        let info = client.get_info().await.unwrap();
        assert_eq!(info.object_count(), 1);
        assert_eq!(
            info.store.max_row,
            RowId(1),
            "row numbers are not given out before a commit"
        );
        let page = client.object_page(&all_names()).await.unwrap();
        assert_eq!(
            page.iter().map(|entry| entry.name()).collect::<Vec<_>>(),
            ["new"]
        );
    }
    assert_eq!((state(&database), state(&pending)), before);
    assert!(!database.with_extension("db-journal").exists());
    // The same handles commit, with a journal on disk, what is really written.
    let rows = broker
        .items_since(RowId::NONE, 100, RowFilter::All)
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        broker.get_info().await.unwrap().store.hash,
        client.get_info().await.unwrap().store.hash
    );
    assert_eq!(state(&pending).0, 0);
}

/// A failure would mean that a busy container's reads merge ever more records that nobody commits.
#[tokio::test(flavor = "multi_thread")]
async fn many_buffered_records_are_committed_by_the_first_read() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    // Nobody can merge it in good time.
    let other = rusqlite::Connection::open(bench.db_of(&container_at("c"))).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 0..1000 {
        broker
            .put_object(object(&format!("o{number}"), 5))
            .await
            .unwrap();
    }
    let pending = bench.pending_of(&container_at("c"));
    assert!(state(&pending).0 > 81_920);
    other.execute_batch("COMMIT").unwrap();
    let client = bench
        .engine
        .container(&container_at("c"), &BrokerOptions::for_reading());
    assert_eq!(client.get_info().await.unwrap().object_count(), 1000);
    assert_eq!(state(&pending).0, 0);
}

/// A failure would mean that readers and writers at once lose rows or see counts that were never true.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn client_reads_beside_writers_lose_nothing() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let client = bench
        .engine
        .container(&container_at("c"), &BrokerOptions::for_reading());
    let reader = tokio::spawn(async move {
        let mut last = 0;
        while last < 400 {
            let now = client.get_info().await.unwrap().object_count();
            assert!(now >= last, "{now} objects after {last}");
            let page = client.object_page(&all_names()).await.unwrap();
            assert!(page.len() as i64 >= now);
            last = now;
        }
    });
    let writers = (0..4).map(|writer| {
        let broker = std::sync::Arc::clone(&broker);
        tokio::spawn(async move {
            for number in 0..100 {
                broker
                    .put_object(object(&format!("{writer}/{number}"), 5))
                    .await
                    .unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    reader.await.unwrap();
    let rows = broker
        .items_since(RowId::NONE, 1000, RowFilter::All)
        .await
        .unwrap();
    assert_eq!(rows.len(), 400);
}

/// A failure would mean that an account's list lags behind what container servers were told.
#[tokio::test(flavor = "multi_thread")]
async fn account_reads_see_buffered_reports() {
    let bench = Bench::new();
    let broker = bench.new_account().await;
    let never = TimestampText::never();
    let report = ContainerRecord::report("c1", at(5).into(), never, 3, 30, PolicyIndex(0));
    broker.put_container(report).await.unwrap();
    let client = bench
        .engine
        .account(&account_at(), &BrokerOptions::for_reading());
    let info = client.get_info().await.unwrap();
    assert_eq!((info.container_count, info.object_count), (1, 3));
    assert_eq!(
        client
            .container_page(&ListingQuery::new(10))
            .await
            .unwrap()
            .len(),
        1
    );
}

/// Few names, so that records meet rows and each other.
fn some_name() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "a", "a/1", "a/2", "a0", "b/", "b/1/x", "b/1/y", "c", "d/é",
    ])
    .prop_map(str::to_owned)
}

prop_compose! {
    fn some_object()(
        name in some_name(),
        seconds in 5u64..9,
        deleted in proptest::bool::weighted(0.3),
        policy in 0i64..2,
        size in 0i64..9,
        content_type in proptest::sample::select(vec!["a/b", "a/b; c", "a/b;c ;swift_bytes=1;d=e"]),
        ctype in proptest::option::of(5u64..12),
    ) -> ObjectRecord {
        let mut record = match deleted {
            true => ObjectRecord::delete(&name, at(seconds)),
            false => object(&name, seconds),
        };
        record.policy_index = PolicyIndex(policy);
        record.size = size;
        record.content_type = content_type.into();
        record.ctype_timestamp = ctype.map(at);
        record
    }
}

prop_compose! {
    fn some_report()(
        name in some_name(),
        (put, deleted) in (5u64..9, 0u64..9),
        (objects, bytes) in (0i64..9, 0i64..9),
        policy in 0i64..2,
    ) -> ContainerRecord {
        let (put, deleted) = (at(put).into(), at(deleted).into());
        ContainerRecord::report(name, put, deleted, objects, bytes, PolicyIndex(policy))
    }
}

prop_compose! {
    fn some_names()(
        limit in 0usize..6,
        marker in proptest::option::of(some_name()),
        end_marker in proptest::option::of(some_name()),
        prefix in proptest::sample::select(vec!["", "a", "a/", "b/", "zz"]),
        delimiter in proptest::sample::select(vec!["", "/"]),
        reverse: bool,
    ) -> ListingQuery {
        let mut names = ListingQuery::new(limit);
        names.marker = marker.unwrap_or_default();
        names.end_marker = end_marker.unwrap_or_default();
        names.prefix = prefix.into();
        names.delimiter = delimiter.into();
        names.reverse = reverse;
        names
    }
}

prop_compose! {
    fn some_query()(
        names in some_names(),
        policy in proptest::sample::select(vec![
            PolicyFilter::Own,
            PolicyFilter::Only(PolicyIndex(1)),
        ]),
        deleted in proptest::sample::select(vec![DeletedFilter::Live, DeletedFilter::Tombstones]),
    ) -> ListObjects {
        let mut query = ListObjects::new(names);
        query.policy = policy;
        query.deleted = deleted;
        query
    }
}

/// Lets a change of the directory grow so old that most reads are answered at once from then on.
async fn rest() {
    tokio::time::sleep(std::time::Duration::from_millis(12)).await;
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A failure would mean that a client reads something that is never committed.
    #[test]
    fn clients_read_of_a_container_what_is_committed_later(
        committed in proptest::collection::vec(some_object(), 0..8),
        buffered in proptest::collection::vec(some_object(), 1..12),
        read_after in 0usize..12,
        queries in proptest::collection::vec(some_query(), 8),
    ) {
        run(async {
            let bench = Bench::new();
            let broker = bench.new_container("c").await;
            broker.merge_items(committed, Default::default()).await.unwrap();
            let client = bench.engine.container(&container_at("c"), &BrokerOptions::for_reading());
            // A read on the way, so that the next one goes on from what it merged.
            for (number, record) in buffered.into_iter().enumerate() {
                broker.put_object(record).await.unwrap();
                if number == read_after {
                    client.get_info().await.unwrap();
                }
            }
            rest().await;
            let mut seen = Vec::new();
            for query in &queries {
                seen.push(numberless(client.object_page(query).await.unwrap()));
            }
            let info = client.get_info().await.unwrap();
            assert!(state(&bench.pending_of(&container_at("c"))).0 > 0);
            let mut committed = broker.get_info().await.unwrap();
            committed.store.max_row = info.store.max_row;
            assert_eq!(info, committed);
            for (query, seen) in queries.iter().zip(seen) {
                assert_eq!(numberless(broker.object_page(query).await.unwrap()), seen, "{query:?}");
            }
        });
    }

    /// A failure would mean that a client reads something that is never committed.
    #[test]
    fn clients_read_of_an_account_what_is_committed_later(
        committed in proptest::collection::vec(some_report(), 0..6),
        buffered in proptest::collection::vec(some_report(), 1..9),
        read_after in 0usize..9,
        queries in proptest::collection::vec(some_names(), 8),
    ) {
        run(async {
            let bench = Bench::new();
            let broker = bench.new_account().await;
            broker.merge_items(committed, Default::default()).await.unwrap();
            let client = bench.engine.account(&account_at(), &BrokerOptions::for_reading());
            for (number, record) in buffered.into_iter().enumerate() {
                broker.put_container(record).await.unwrap();
                if number == read_after {
                    client.get_info().await.unwrap();
                }
            }
            rest().await;
            let mut seen: Vec<Vec<ContainerEntry>> = Vec::new();
            for query in &queries {
                seen.push(client.container_page(query).await.unwrap());
            }
            let info = client.get_info().await.unwrap();
            assert!(state(&bench.pending_of(&account_at())).0 > 0);
            let mut committed = broker.get_info().await.unwrap();
            committed.store.max_row = info.store.max_row;
            assert_eq!(info, committed);
            for (query, seen) in queries.iter().zip(seen) {
                assert_eq!(broker.container_page(query).await.unwrap(), seen, "{query:?}");
            }
        });
    }
}

/// Rows without their numbers, which a commit gives in another order when readers merged in steps.
fn numberless(mut entries: Vec<ObjectEntry>) -> Vec<ObjectEntry> {
    for entry in &mut entries {
        if let ObjectEntry::Row(row) = entry {
            row.row_id = RowId::NONE;
        }
    }
    entries
}

/// A failure would mean that a reader keeps showing what another process has changed since.
#[tokio::test(flavor = "multi_thread")]
async fn overlay_is_made_again_when_the_rows_below_change() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let client = bench
        .engine
        .container(&container_at("c"), &BrokerOptions::for_reading());
    broker.put_object(object("a", 5)).await.unwrap();
    assert_eq!(client.get_info().await.unwrap().object_count(), 1);
    // As another process would, without a look at the pending file.
    let other = reopen(bench.devices(), broker_api::Durability::Process);
    let other = other.container(&container_at("c"), &BrokerOptions::default());
    let newer = ObjectRecord::delete("a", at(6));
    other
        .merge_items(vec![newer, object("b", 5)], Default::default())
        .await
        .unwrap();
    broker.put_object(object("c", 5)).await.unwrap();
    for _ in 0..2 {
        let page = client.object_page(&all_names()).await.unwrap();
        let names: Vec<_> = page.iter().map(ObjectEntry::name).collect();
        assert_eq!(names, ["b", "c"]);
        assert_eq!(client.get_info().await.unwrap().object_count(), 2);
    }
}

/// A failure would mean that a reader is told a row number that the row does not get.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_row_numbers_commits() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let pending = bench.pending_of(&container_at("c"));
    let client = bench
        .engine
        .container(&container_at("c"), &BrokerOptions::for_reading());
    broker.put_object(object("a", 5)).await.unwrap();
    let rows = client.items_since(RowId::NONE, 10, RowFilter::All).await;
    assert_eq!(rows.unwrap()[0].row_id, RowId(1));
    assert_eq!(state(&pending).0, 0);
    broker.put_object(object("b", 5)).await.unwrap();
    let mut since = all_names();
    since.since_row = Some(RowId(1));
    assert_eq!(client.object_page(&since).await.unwrap().len(), 1);
    assert_eq!(state(&pending).0, 0);
}

/// A failure would mean that a reader shows what it knew before it committed something itself.
#[tokio::test(flavor = "multi_thread")]
async fn overlay_is_made_again_after_a_commit_of_its_own_connection() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let client = bench
        .engine
        .container(&container_at("c"), &BrokerOptions::for_reading());
    broker.put_object(object("a", 5)).await.unwrap();
    assert_eq!(client.get_info().await.unwrap().object_count(), 1);
    // Readers share connections, and these commit what they find.
    broker.get_info().await.unwrap();
    broker.delete_object("a", at(6)).await.unwrap();
    broker.get_info().await.unwrap();
    // The pending file is again as it was for the first reader.
    broker.put_object(object("a", 5)).await.unwrap();
    assert_eq!(client.get_info().await.unwrap().object_count(), 0);
}

/// A failure would mean that a reader misses what another process writes while records wait.
#[tokio::test(flavor = "multi_thread")]
async fn overlay_is_made_again_after_a_commit_of_others() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let client = bench
        .engine
        .container(&container_at("c"), &BrokerOptions::for_reading());
    broker.put_object(object("a", 5)).await.unwrap();
    assert_eq!(client.get_info().await.unwrap().store.status, "");
    let conn = rusqlite::Connection::open(bench.db_of(&container_at("c"))).unwrap();
    conn.execute_batch("UPDATE container_info SET status = 'theirs'")
        .unwrap();
    let info = client.get_info().await.unwrap();
    assert_eq!(
        (info.store.status.as_str(), info.object_count()),
        ("theirs", 1)
    );
}

/// A failure would mean that a reader shows records that were merged, dropped or replaced since.
#[tokio::test(flavor = "multi_thread")]
async fn overlay_is_made_again_when_other_records_wait() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let client = bench
        .engine
        .container(&container_at("c"), &BrokerOptions::for_reading());
    broker.put_object(object("a", 5)).await.unwrap();
    assert_eq!(
        client.object_page(&all_names()).await.unwrap()[0].name(),
        "a"
    );
    let elsewhere = bench.new_container("d").await;
    elsewhere.put_object(object("b", 5)).await.unwrap();
    let others = fs::read(bench.pending_of(&container_at("d"))).unwrap();
    fs::write(bench.pending_of(&container_at("c")), others).unwrap();
    let page = client.object_page(&all_names()).await.unwrap();
    let names: Vec<_> = page.iter().map(ObjectEntry::name).collect();
    assert_eq!(names, ["b"]);
}
