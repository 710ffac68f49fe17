//! Folders that are refused, what is found again, cursors, dropped ranges, figures.
#![allow(clippy::unwrap_used)]

use broker_api::{Durability, ErrorKind, Outcome, StoreKind};
use broker_kv::{Batch, Devices, DumpKeys, OrderedStore, Presence, View, Walk, dump_keys};
use engine_rocksdb::{Compaction, Compression, RocksdbDevices, RocksdbOptions, RocksdbStore};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

const KIND: StoreKind = StoreKind::Container;

fn options(devices: &Path) -> RocksdbOptions {
    let mut options = RocksdbOptions::new(devices).with_mount_check(false);
    options.block_cache_mb = 8;
    options.write_buffer_mb = 8;
    options
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("sda1")).unwrap();
    dir
}

fn open(options: RocksdbOptions) -> Arc<RocksdbStore> {
    let devices = RocksdbDevices::new(options).unwrap();
    devices
        .open("sda1", KIND, Presence::Create)
        .unwrap()
        .unwrap()
}

fn key(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn fill(store: &RocksdbStore, numbers: std::ops::Range<u32>) {
    let batch = numbers.map(|number| (key(number), Some(vec![1; 100])));
    store.apply(batch.collect()).unwrap();
}

fn keys(view: &impl View, range: std::ops::Range<u32>, walk: Walk) -> Vec<u32> {
    let mut cursor = view
        .cursor(&key(range.start)..&key(range.end), walk)
        .unwrap();
    let mut seen = Vec::new();
    while let Some((key, _)) = cursor.entry() {
        seen.push(u32::from_be_bytes(key.try_into().unwrap()));
        cursor.step().unwrap();
    }
    seen
}

/// A failure would mean that what another program keeps in the folder is overwritten.
#[test]
fn folders_of_others_are_refused_and_left_alone() {
    let dir = folder();
    drop(open(options(dir.path())));
    let marker = dir.path().join("sda1/apus-rocksdb/containers/FORMAT");
    let ours = std::fs::read(&marker).unwrap();
    for other in [
        Some(&b"apus engine-rocksdb, folder 2\n"[..]),
        Some(b""),
        None,
    ] {
        match other {
            Some(text) => std::fs::write(&marker, text).unwrap(),
            None => std::fs::remove_file(&marker).unwrap(),
        }
        for presence in [Presence::Existing, Presence::Create] {
            let devices = RocksdbDevices::new(options(dir.path())).unwrap();
            let error = devices.open("sda1", KIND, presence).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(
                error.message().contains("apus engine-rocksdb, folder 1"),
                "{error}"
            );
        }
        assert_eq!(std::fs::read(&marker).ok().as_deref(), other);
    }
    std::fs::write(&marker, ours).unwrap();
    drop(open(options(dir.path())));
}

/// A failure would mean that two processes write to one database.
#[test]
fn a_database_that_is_open_elsewhere_is_busy() {
    let dir = folder();
    let first = open(options(dir.path()));
    let second = RocksdbDevices::new(options(dir.path())).unwrap();
    let error = second.open("sda1", KIND, Presence::Create).unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Busy, Outcome::NotApplied)
    );
    drop(first);
    assert!(
        second
            .open("sda1", KIND, Presence::Existing)
            .unwrap()
            .is_some()
    );
}

/// A failure would mean that reading makes folders on devices that use another engine.
#[test]
fn opening_what_is_not_there_makes_nothing() {
    let dir = folder();
    let devices = RocksdbDevices::new(options(dir.path())).unwrap();
    for device in ["sda1", "sdb1", "../sda1"] {
        assert!(
            devices
                .open(device, KIND, Presence::Existing)
                .unwrap()
                .is_none()
        );
    }
    assert_eq!(
        std::fs::read_dir(dir.path().join("sda1")).unwrap().count(),
        0
    );
}

/// A failure would mean that listings show rows of the wrong side of a marker, or of another moment.
#[test]
fn cursors_keep_to_their_range_and_their_moment() {
    let dir = folder();
    let store = open(options(dir.path()));
    fill(&store, 0..10);
    let view = store.view().unwrap();
    fill(&store, 10..20);
    store.apply(Batch::new().delete(key(5))).unwrap();
    assert_eq!(keys(&view, 0..100, Walk::Up), Vec::from_iter(0..10));
    assert_eq!(keys(&view, 3..8, Walk::Down), [7, 6, 5, 4, 3]);
    assert_eq!(keys(&store.view().unwrap(), 3..8, Walk::Up), [3, 4, 6, 7]);
    let seek = |walk, to| {
        let mut cursor = view.cursor(&key(1)..&key(9), walk).unwrap();
        cursor.seek(&key(to)).unwrap();
        cursor.entry().map(|(found, _)| found.to_vec())
    };
    assert_eq!(seek(Walk::Up, 6), Some(key(6)));
    assert_eq!(seek(Walk::Down, 6), Some(key(5)));
    assert_eq!(seek(Walk::Down, 1), None);
}

/// A failure would mean that the rows of a removed container stay, or that its neighbour's go with them.
#[test]
fn dropped_ranges_end_at_their_bounds_however_many_keys_they_hold() {
    let dir = folder();
    for few in [10, 5000] {
        let store = open(options(dir.path()));
        fill(&store, 0..few + 10);
        store.compact().unwrap();
        store.drop_range(&key(5)..&key(few)).unwrap();
        let left: Vec<u32> = (0..5).chain(few..few + 10).collect();
        assert_eq!(keys(&store.view().unwrap(), 0..10_000, Walk::Up), left);
        drop(store);
        let store = open(options(dir.path()));
        assert_eq!(keys(&store.view().unwrap(), 0..10_000, Walk::Up), left);
        store.drop_range(&key(0)..&key(10_000)).unwrap();
    }
}

/// A failure would mean that the first row of a container goes with the one that was removed before it.
#[test]
fn a_table_that_ends_with_the_first_key_after_a_dropped_range_stays() {
    let dir = folder();
    let store = open(options(dir.path()));
    fill(&store, 0..5001);
    store.compact().unwrap();
    store.drop_range(&key(0)..&key(5000)).unwrap();
    assert_eq!(keys(&store.view().unwrap(), 0..10_000, Walk::Up), [5000]);
}

/// A failure would mean that some settings open and then lose rows, or do not open what others wrote.
#[test]
fn every_choice_opens_what_the_others_wrote() {
    let dir = folder();
    let mut number = 0;
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        for compaction in [Compaction::Level, Compaction::Universal] {
            for bloom_bits in [0, 10] {
                let mut options = options(dir.path()).with_durability(Durability::Disk);
                options.compression = compression;
                options.compaction = compaction;
                options.bloom_bits = bloom_bits;
                options.rate_limit_mb = 100;
                let store = open(options);
                fill(&store, number..number + 100);
                store.sync().unwrap();
                store.compact().unwrap();
                number += 100;
                let seen = keys(&store.view().unwrap(), 0..10_000, Walk::Up);
                assert_eq!(seen, Vec::from_iter(0..number));
            }
        }
    }
}

/// A failure would mean that looking into a database disturbs the server that has it open.
#[test]
fn keys_are_dumped_while_a_server_has_the_database_open() {
    let dir = folder();
    let store = open(options(dir.path()));
    fill(&store, 0..10);
    let logs = || std::fs::read(dir.path().join("sda1/apus-rocksdb/containers/db/LOG")).unwrap();
    let log = logs();
    let devices = RocksdbDevices::read_only(options(dir.path()));
    let wanted = DumpKeys {
        device: "sda1".into(),
        kind: KIND,
        store: None,
    };
    let mut seen = 0;
    dump_keys(&devices, &wanted, &mut |_, _| {
        seen += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seen, 10);
    assert!(logs().starts_with(&log));
    let looked = devices
        .open("sda1", KIND, Presence::Existing)
        .unwrap()
        .unwrap();
    let error = looked.apply(Batch::new().put(key(1), vec![])).unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Unsupported, Outcome::NotApplied)
    );
    fill(&store, 10..20);
}

/// A failure would mean that operators do not see what a database is doing.
#[test]
fn figures_and_properties_are_there() {
    let dir = folder();
    let mut options = options(dir.path());
    options.statistics = true;
    let store = open(options);
    fill(&store, 0..1000);
    let view = store.view().unwrap();
    let figures = store.figures().unwrap();
    assert_eq!(
        (figures.keys, figures.snapshots, figures.errors),
        (1000, 1, 0)
    );
    drop(view);
    store.compact().unwrap();
    assert!(store.figures().unwrap().table_bytes > 0);
    assert!(figures.to_string().starts_with("1000 keys, "));
    assert!(store.property("rocksdb.stats").unwrap().is_some());
    assert_eq!(store.property("rocksdb.no-such").unwrap(), None);
}

/// A failure would mean that a thread that serves many requests waits for a device, or that nothing is ever read
/// without a change of threads.
#[test]
fn a_view_of_memory_refuses_what_is_only_on_the_device() {
    let dir = folder();
    let store = open(options(dir.path()));
    fill(&store, 0..1000);
    let in_memory = |store: &Arc<RocksdbStore>| {
        let view = store.view_of_memory().unwrap().unwrap();
        view.get(&key(500))
    };
    assert!(in_memory(&store).unwrap().is_some(), "in a write buffer");
    store.compact().unwrap();
    drop(store);
    let store = open(options(dir.path()));
    let refused = in_memory(&store).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.outcome()),
        (ErrorKind::Busy, Outcome::NotApplied)
    );
    let view = store.view_of_memory().unwrap().unwrap();
    let cursor = view.cursor(&key(0)..&key(1000), Walk::Up);
    assert_eq!(
        cursor.err().map(|error| error.kind()),
        Some(ErrorKind::Busy)
    );
    assert!(store.view().unwrap().get(&key(500)).unwrap().is_some());
    assert!(in_memory(&store).unwrap().is_some(), "in the block cache");
}

/// A failure would mean that such a thread steps over a million deleted keys.
#[test]
fn a_view_of_memory_goes_over_few_deleted_keys() {
    let dir = folder();
    let store = open(options(dir.path()));
    fill(&store, 0..5000);
    let deleted = (0..4999).map(key).fold(Batch::new(), Batch::delete);
    store.apply(deleted).unwrap();
    let view = store.view_of_memory().unwrap().unwrap();
    let cursor = view.cursor(&key(0)..&key(5000), Walk::Up);
    assert_eq!(
        cursor.err().map(|error| error.kind()),
        Some(ErrorKind::Busy)
    );
    let cursor = view.cursor(&key(4500)..&key(5000), Walk::Up).unwrap();
    assert!(cursor.entry().is_some());
}
