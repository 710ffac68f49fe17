//! Reads for clients, which see buffered records without committing them.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{
    AccountBrokerExt, BrokerOptions, ContainerBrokerExt, ContainerRecord, ListObjects,
    ListingQuery, PolicyIndex, RowFilter, RowId, TimestampText,
};
use common::*;
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
    for number in 0..100 {
        broker
            .put_object(object(&format!("o{number}"), 5))
            .await
            .unwrap();
    }
    let pending = bench.pending_of(&container_at("c"));
    assert!(state(&pending).0 > 2048);
    let client = bench
        .engine
        .container(&container_at("c"), &BrokerOptions::for_reading());
    assert_eq!(client.get_info().await.unwrap().object_count(), 100);
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
