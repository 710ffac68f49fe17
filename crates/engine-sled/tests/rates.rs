//! How fast the engine merges, lists and creates. Not a check: run it with
//! `cargo test -p engine-sled --release --test rates -- --ignored --nocapture`.
#![allow(clippy::unwrap_used)]

use broker_api::listing::{NameRange, Step};
use broker_api::{
    BrokerOptions, HashPath, Location, NewContainer, ObjectRecord, PolicyIndex, StoreKind,
    Timestamp,
};
use broker_kv::KvEngine;
use broker_runtime::ops;
use broker_runtime::sync::{Access, ContainerStore, ObjectFilter, Store, SyncEngine};
use engine_sled::{SledDevices, SledOptions};
use std::ops::Bound;
use std::time::Instant;

const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";

type Engine = KvEngine<SledDevices>;
type Handle = <Engine as SyncEngine>::Container;

fn record(i: usize, time: u64) -> ObjectRecord {
    let name = format!("photos/2024/{:04}/img_{i:08}.jpg", i % 1000);
    ObjectRecord::put(
        name,
        Timestamp::from_seconds(time),
        123_456,
        "image/jpeg",
        MD5,
    )
}

fn head(i: usize, time: u64) -> ObjectRecord {
    let at = Timestamp::from_seconds(time);
    ObjectRecord::put(format!("img_{i:08}.jpg"), at, 123_456, "image/jpeg", MD5)
}

fn location(container: &str) -> Location {
    let hash = HashPath::new("", "end").container("a", container);
    Location::new(StoreKind::Container, "sda1", "7", hash).unwrap()
}

fn create(engine: &Engine, container: &str) {
    let new = NewContainer {
        account: "a".into(),
        container: container.into(),
        put_timestamp: Timestamp::from_seconds(1).into(),
        policy_index: PolicyIndex(0),
        created_at: Timestamp::from_seconds(1),
        id: "id-sda1".into(),
    };
    let options = BrokerOptions::default();
    let made = engine.create_container(&location(container), &new, &options);
    made.unwrap();
}

fn open(engine: &Engine, container: &str) -> Handle {
    create(engine, container);
    engine
        .open_container(&location(container))
        .unwrap()
        .unwrap()
}

fn merge(store: &mut Handle, records: &[ObjectRecord]) {
    store
        .begin(Access::Write, &BrokerOptions::default())
        .unwrap();
    ops::merge_objects(store, records, None).unwrap();
    store.commit().unwrap();
}

fn time(what: &str, count: usize, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    let rate = count as f64 / start.elapsed().as_secs_f64();
    println!("{what:<52} {rate:>10.0} /s");
}

fn scan(store: &mut Handle, range: &NameRange, mut visit: impl FnMut(&str) -> Step) -> usize {
    let mut count = 0;
    store
        .begin(Access::Read, &BrokerOptions::default())
        .unwrap();
    store
        .scan(range, &ObjectFilter::default(), &mut |row| {
            count += 1;
            visit(row.name)
        })
        .unwrap();
    store.commit().unwrap();
    count
}

fn everything() -> NameRange {
    NameRange {
        lower: Bound::Unbounded,
        upper: Bound::Unbounded,
        reverse: false,
    }
}

fn deletions_at_the_head(engine: &Engine) {
    let head: Vec<_> = (0..100_000).map(|i| head(i, 2)).collect();
    let mut store = open(engine, "head");
    head.chunks(1000).for_each(|group| merge(&mut store, group));
    let mut page = || {
        let mut left = 1000;
        let start = Instant::now();
        let last = |_: &str| {
            left -= 1;
            if left == 0 { Step::Stop } else { Step::Next }
        };
        scan(&mut store, &everything(), last);
        start.elapsed()
    };
    println!("first page of 1000: {:?}, again {:?}", page(), page());
    let deleted = head[..99_000].iter();
    let deleted: Vec<_> = deleted
        .map(|record| ObjectRecord::delete(record.name.clone(), Timestamp::from_seconds(4)))
        .collect();
    deleted
        .chunks(1000)
        .for_each(|group| merge(&mut store, group));
    let mut page = || {
        let start = Instant::now();
        assert_eq!(scan(&mut store, &everything(), |_| Step::Next), 1000);
        start.elapsed()
    };
    println!(
        "the same after 99,000 deletions at its head: {:?}, again {:?}",
        page(),
        page()
    );
}

#[test]
#[ignore = "measures"]
fn rates() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::create_dir(dir.path().join("sda1")).unwrap();
    let options = SledOptions::new(dir.path()).with_mount_check(false);
    let engine = KvEngine::new(SledDevices::new(options));
    for (group, total) in [(1, 1000), (100, 20_000), (1000, 100_000)] {
        let mut store = open(&engine, &format!("c{group}"));
        let records: Vec<_> = (0..total).map(|i| record(i, 2)).collect();
        time(
            &format!("rows merged, new, {group} a commit"),
            total,
            || {
                records
                    .chunks(group)
                    .for_each(|group| merge(&mut store, group));
            },
        );
        let again: Vec<_> = (0..total).map(|i| record(i, 3)).collect();
        time(
            &format!("rows merged, overwriting, {group} a commit"),
            total,
            || {
                again
                    .chunks(group)
                    .for_each(|group| merge(&mut store, group));
            },
        );
    }
    let mut store = engine.open_container(&location("c1000")).unwrap().unwrap();
    time("rows listed", 100_000, || {
        assert_eq!(scan(&mut store, &everything(), |_| Step::Next), 100_000);
    });
    time(
        "directories of 100 rows listed, one seek each",
        1000,
        || {
            let past = |name: &str| Step::Seek(Bound::Excluded(format!("{}~", &name[..16])));
            assert_eq!(scan(&mut store, &everything(), past), 1000);
        },
    );
    time("rows by number, pages of 1000", 100_000, || {
        store
            .begin(Access::Read, &BrokerOptions::default())
            .unwrap();
        let mut since = broker_api::RowId::NONE;
        while let Some(last) = store
            .rows_since(since, 1000, broker_api::RowFilter::All)
            .unwrap()
            .last()
        {
            since = last.row_id;
        }
        store.commit().unwrap();
    });
    let deleted = |i: usize| ObjectRecord::delete(record(i, 4).name, Timestamp::from_seconds(4));
    let deleted: Vec<_> = (0..90_000).map(deleted).collect();
    time("rows deleted, 1000 a commit", 90_000, || {
        deleted
            .chunks(1000)
            .for_each(|group| merge(&mut store, group));
    });
    for run in ["first", "second"] {
        time(
            &format!("rows listed after 9 of 10 were deleted, {run} run"),
            10_000,
            || {
                assert_eq!(scan(&mut store, &everything(), |_| Step::Next), 10_000);
            },
        );
    }
    deletions_at_the_head(&engine);
    time("containers created", 500, || {
        (0..500).for_each(|i| create(&engine, &format!("small{i}")));
    });
    drop(store);
    let start = Instant::now();
    engine.remove(&location("c1000")).unwrap();
    println!("container of 100,000 rows removed in {:?}", start.elapsed());
    drop(engine);
    let start = Instant::now();
    let options = SledOptions::new(dir.path()).with_mount_check(false);
    let engine = KvEngine::new(SledDevices::new(options));
    assert!(engine.exists(&location("c100")).unwrap());
    println!("opened again in {:?}", start.elapsed());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{}", peak.unwrap_or_default());
}
