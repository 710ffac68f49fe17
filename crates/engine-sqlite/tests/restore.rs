//! What is on the disk while a store is restored, and after it.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{
    Broker, ContainerBroker, ContainerBrokerExt, Facts, MergeOptions, RowFilter, RowId, Rows,
    StoreImage,
};
use common::*;
use std::path::{Path, PathBuf};

/// The image and the rows of a container with a few rows.
async fn whole(bench: &Bench) -> (StoreImage, Rows) {
    let broker = bench.new_container("source").await;
    let records = (1..6).map(|i| object(&format!("o{i}"), i)).collect();
    broker
        .merge_items(records, MergeOptions::default())
        .await
        .unwrap();
    let rows = broker
        .items_since(RowId::NONE, 9, RowFilter::All)
        .await
        .unwrap();
    let image = StoreImage {
        facts: Facts::Container(broker.get_info().await.unwrap()),
        incoming: Vec::new(),
        outgoing: Vec::new(),
    };
    (image, Rows::Objects(rows))
}

/// Every file below a folder, without locks, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false if path.ends_with(".lock") => {}
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// A failure would mean that Swift's replicators and auditors find half a database, or that restoring
/// leaves something behind.
#[tokio::test]
async fn a_store_grows_out_of_sight_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let (image, rows) = whole(&bench).await;
    let broker = bench.container("copy");
    let snapshot = broker.snapshot().unwrap();
    snapshot.begin(&image).await.unwrap();
    snapshot.add(rows.clone()).await.unwrap();
    let device = bench.devices().join("sda1");
    assert_eq!(files(&device.join("tmp")).len(), 1);
    assert_eq!(
        files(&device.join("containers")),
        [bench.db_of(&container_at("source"))]
    );
    snapshot.finish().await.unwrap();
    assert!(files(&device.join("tmp")).is_empty());
    assert!(bench.db_of(&container_at("copy")).is_file());
    snapshot.abandon().await.unwrap();
    assert_eq!(broker.get_info().await.unwrap().object_count(), 5);
}

/// A failure would mean that what a loss of power spoilt keeps a store from ever being restored.
#[tokio::test]
async fn a_spoilt_beginning_is_begun_afresh() {
    let bench = Bench::new();
    let (image, rows) = whole(&bench).await;
    let broker = bench.container("copy");
    let snapshot = broker.snapshot().unwrap();
    for spoil in [
        &b""[..],
        b"SQLite format 3\0 and then nothing of it",
        &[0; 20_000],
    ] {
        snapshot.begin(&image).await.unwrap();
        snapshot.add(rows.clone()).await.unwrap();
        assert_eq!(snapshot.begin(&image).await.unwrap(), RowId(5));
        let unfinished = files(&bench.devices().join("sda1/tmp")).remove(0);
        std::fs::write(unfinished, spoil).unwrap();
        assert_eq!(snapshot.begin(&image).await.unwrap(), RowId::NONE);
    }
    snapshot.add(rows).await.unwrap();
    snapshot.finish().await.unwrap();
    assert!(broker.exists().await.unwrap());
}
