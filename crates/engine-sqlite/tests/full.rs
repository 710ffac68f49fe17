//! What happens on a full device. Needs a small file system of its own:
//! `mount -t tmpfs -o size=32m tmpfs /mnt && APUS_SMALL_DEVICES=/mnt cargo test -p engine-sqlite --test full -- --ignored --test-threads=1`.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{
    BrokerOptions, ContainerBroker, ContainerBrokerExt, Durability, Engine, ErrorKind,
    MergeOptions, ObjectRecord, Outcome, RowFilter, RowId,
};
use common::*;
use std::path::Path;
use std::sync::Arc;

const BATCH: usize = 100;

async fn new_in(engine: &dyn Engine) -> Arc<dyn ContainerBroker> {
    let broker = engine.container(&container_at("c"), &BrokerOptions::default());
    broker.initialize(&new_container("c")).await.unwrap();
    broker
}

async fn merge(broker: &dyn ContainerBroker, from: usize) -> broker_api::Result<()> {
    let put = |i| ObjectRecord::put(format!("{i:08}"), at(2), 1, "t/x", "e".repeat(100));
    let records = (from..from + BATCH).map(put).collect();
    broker.merge_items(records, MergeOptions::default()).await
}

async fn count(broker: &dyn ContainerBroker) -> usize {
    let rows = broker.items_since(RowId::NONE, usize::MAX, RowFilter::All);
    rows.await.unwrap().len()
}

/// A failure would mean that a full device loses rows, keeps half a batch, or cannot be made room on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a small file system"]
async fn full_device_refuses_whole_batches_and_still_deletes() {
    let devices = std::env::var_os("APUS_SMALL_DEVICES").unwrap();
    let device = Path::new(&devices).join("sda1");
    let _ = std::fs::remove_dir_all(&device);
    std::fs::create_dir_all(&device).unwrap();
    let engine = reopen(Path::new(&devices), Durability::Disk);
    let broker = new_in(&*engine).await;
    let mut acknowledged = 0;
    let error = loop {
        match merge(&*broker, acknowledged).await {
            Ok(()) => acknowledged += BATCH,
            Err(error) => break error,
        }
    };
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Full, Outcome::NotApplied)
    );
    // Reads go on, and show nothing of the batch that found no room.
    assert!(acknowledged > 1000, "{acknowledged}");
    assert_eq!(count(&*broker).await, acknowledged);
    let info = broker.get_info().await.unwrap();
    assert_eq!(info.object_count() as usize, acknowledged);
    assert_eq!(info.store.max_row, RowId(acknowledged as i64));
    // A store that goes makes room.
    engine.remove(&container_at("c")).await.unwrap();
    let again = new_in(&*engine).await;
    merge(&*again, 0).await.unwrap();
    assert_eq!(count(&*again).await, BATCH);
}
