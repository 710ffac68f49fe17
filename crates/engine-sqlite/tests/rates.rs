//! How fast the engine appends, merges, lists and creates. Not a check: run it with
//! `cargo test -p engine-sqlite --release --test rates -- --ignored --nocapture`.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{
    BrokerOptions, ContainerBrokerExt, Durability, Entry, ListObjects, ListingQuery, MergeOptions,
    ObjectRecord, ObjectRowRef, ObjectVisitor,
};
use broker_runtime::sync::{Access, Buffered, ContainerStore, Store, SyncEngine};
use common::*;
use engine_sqlite::{SqliteEngine, SqliteOptions};
use std::ops::ControlFlow;
use std::time::Instant;

const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn record(i: usize) -> ObjectRecord {
    let name = format!("photos/2024/{:04}/img_{i:08}.jpg", i % 1000);
    ObjectRecord::put(
        name,
        at(1_700_000_000 + i as u64),
        123_456,
        "image/jpeg",
        MD5,
    )
}

struct Count(usize);

impl ObjectVisitor for Count {
    fn visit(&mut self, _: Entry<'_, ObjectRowRef<'_>>) -> ControlFlow<()> {
        self.0 += 1;
        ControlFlow::Continue(())
    }
}

fn appends(durability: Durability, group: usize) {
    let bench = Bench::new();
    let options = SqliteOptions::new(bench.devices())
        .with_mount_check(false)
        .with_durability(durability);
    let engine = SqliteEngine::new(options);
    let broker = BrokerOptions::default();
    let location = container_at("c");
    let made = engine.create_container(&location, &new_container("c"), &broker);
    made.unwrap();
    let mut store = engine.open_container(&location).unwrap().unwrap();
    let records: Vec<_> = (0..40_000).map(record).collect();
    let (mut appending, mut merging) = (0.0, 0.0);
    for group in records.chunks(group) {
        let start = Instant::now();
        let current = store.is_current().unwrap();
        let buffered = store.buffer(group, &broker).unwrap();
        appending += start.elapsed().as_secs_f64();
        assert!(current);
        if buffered == Buffered::No {
            let start = Instant::now();
            store.begin(Access::Write, &broker).unwrap();
            broker_runtime::ops::merge_objects(&mut store, group, None).unwrap();
            store.commit().unwrap();
            merging += start.elapsed().as_secs_f64();
        }
    }
    let total = records.len() as f64;
    println!(
        "{:>8} groups of {group:>4}: {:>9.0} appends/s alone, {:>7.0} puts/s with their merges",
        durability.as_str(),
        total / appending,
        total / (appending + merging)
    );
}

#[test]
#[ignore = "measures"]
fn append_rates() {
    for durability in [Durability::Process, Durability::Disk] {
        for group in [1, 16, 128, 1024] {
            appends(durability, group);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn merge_and_creation_rates() {
    for durability in [Durability::Process, Durability::Disk] {
        let bench = Bench::with(durability);
        let broker = bench.new_container("c").await;
        for batch in [1, 100, 1000] {
            let count = (batch * 100).min(50_000);
            let records: Vec<_> = (0..count).map(record).collect();
            let start = Instant::now();
            for group in records.chunks(batch) {
                broker
                    .merge_items(group.to_vec(), MergeOptions::default())
                    .await
                    .unwrap();
            }
            let rate = count as f64 / start.elapsed().as_secs_f64();
            println!(
                "{:>8} merges in batches of {batch:>4}: {rate:>8.0} rows/s",
                durability.as_str()
            );
        }
    }
    let bench = Bench::new();
    let start = Instant::now();
    for i in 0..200 {
        bench.new_container(&format!("n{i}")).await;
    }
    println!(
        "creating: {:.0} stores/s",
        200.0 / start.elapsed().as_secs_f64()
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn concurrent_put_rates() {
    for durability in [Durability::Process, Durability::Disk] {
        for clients in [1, 16, 256, 2048] {
            let bench = Bench::with(durability);
            let broker = bench.new_container("c").await;
            let each = (40_000 / clients).min(4000);
            let start = Instant::now();
            let mut tasks = Vec::new();
            for client in 0..clients {
                let broker = broker.clone();
                tasks.push(tokio::spawn(async move {
                    for i in 0..each {
                        broker.put_object(record(client * each + i)).await.unwrap();
                    }
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
            let rate = (clients * each) as f64 / start.elapsed().as_secs_f64();
            println!(
                "{:>8} {clients:>4} clients: {rate:>8.0} puts/s",
                durability.as_str()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn listing_rates() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    for group in (0..200_000).map(record).collect::<Vec<_>>().chunks(10_000) {
        broker
            .merge_items(group.to_vec(), MergeOptions::default())
            .await
            .unwrap();
    }
    let start = Instant::now();
    let query = ListObjects::new(ListingQuery::new(200_000));
    let seen = broker.visit_objects(&query, Count(0)).await.unwrap().0;
    println!(
        "listing: {:.0} rows/s",
        seen as f64 / start.elapsed().as_secs_f64()
    );
    let mut names = ListingQuery::new(10_000);
    names.prefix = "photos/2024/".into();
    names.delimiter = "/".into();
    let start = Instant::now();
    let seen = broker
        .visit_objects(&ListObjects::new(names), Count(0))
        .await
        .unwrap()
        .0;
    println!(
        "listing with a delimiter: {:.0} subdirs/s",
        seen as f64 / start.elapsed().as_secs_f64()
    );
}
