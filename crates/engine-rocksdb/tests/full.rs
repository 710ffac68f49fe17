//! What happens on a full device. Needs a small file system of its own:
//! `mount -t tmpfs -o size=32m tmpfs /mnt && APUS_SMALL_DEVICES=/mnt cargo test -p engine-rocksdb --test full -- --ignored --test-threads=1`.
#![allow(clippy::unwrap_used)]

use broker_api::{
    BrokerOptions, Error, ErrorKind, Facts, HashPath, Location, NewContainer, ObjectRecord,
    Outcome, PolicyIndex, RowFilter, RowId, StoreKind, Timestamp,
};
use broker_kv::KvEngine;
use broker_runtime::ops;
use broker_runtime::sync::{Access, ContainerStore, Store, SyncEngine};
use engine_rocksdb::{RocksdbDevices, RocksdbOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

type Engine = KvEngine<RocksdbDevices>;
type Handle = <Engine as SyncEngine>::Container;

/// RocksDB looks for room every five seconds.
const PATIENCE: usize = 60;

fn merge(store: &mut Handle, records: &[ObjectRecord]) -> broker_api::Result<()> {
    store.begin(Access::Write, &BrokerOptions::default())?;
    ops::merge_objects(store, records, None)?;
    store.commit()
}

fn rows(from: usize) -> Vec<ObjectRecord> {
    let at = Timestamp::from_seconds(2);
    let put = |i| ObjectRecord::put(format!("{i:08}"), at, 1, "t/x", "e".repeat(100));
    (from..from + 100).map(put).collect()
}

fn location() -> Location {
    let hash = HashPath::new("", "end").container("a", "c");
    Location::new(StoreKind::Container, "sda1", "7", hash).unwrap()
}

/// A device with some room taken away, and an engine and a container on it.
struct Small {
    ballast: PathBuf,
    devices: PathBuf,
    reserve_mb: u64,
}

impl Small {
    fn new(reserve_mb: u64, ballast_mb: usize) -> Self {
        let devices = PathBuf::from(std::env::var_os("APUS_SMALL_DEVICES").unwrap());
        let device = devices.join("sda1");
        let _ = std::fs::remove_dir_all(&device);
        std::fs::create_dir_all(&device).unwrap();
        let ballast = device.join("ballast");
        std::fs::write(&ballast, vec![1; ballast_mb << 20]).unwrap();
        Self {
            ballast,
            devices,
            reserve_mb,
        }
    }

    fn open(&self) -> Engine {
        let mut options = RocksdbOptions::new(Path::new(&self.devices)).with_mount_check(false);
        options.reserve_mb = self.reserve_mb;
        options.write_buffer_mb = 1;
        KvEngine::new(RocksdbDevices::new(options).unwrap())
    }

    fn fill(&self, engine: &Engine) -> (Handle, usize, Error) {
        let new = NewContainer {
            account: "a".into(),
            container: "c".into(),
            put_timestamp: Timestamp::from_seconds(1).into(),
            policy_index: PolicyIndex(0),
            created_at: Timestamp::from_seconds(1),
            id: "id-sda1".into(),
        };
        let options = BrokerOptions::default();
        engine
            .create_container(&location(), &new, &options)
            .unwrap();
        let mut store = engine.open_container(&location()).unwrap().unwrap();
        let mut acknowledged = 0;
        let error = write_until_refused(&mut store, &mut acknowledged);
        (store, acknowledged, error)
    }
}

fn write_until_refused(store: &mut Handle, acknowledged: &mut usize) -> Error {
    loop {
        match merge(store, &rows(*acknowledged)) {
            Ok(()) => *acknowledged += 100,
            Err(error) => {
                store.rollback();
                println!("{acknowledged} rows, then {error:?}");
                return error;
            }
        }
    }
}

fn count(store: &mut Handle) -> usize {
    store
        .begin(Access::Read, &BrokerOptions::default())
        .unwrap();
    let rows = store
        .rows_since(RowId::NONE, usize::MAX, RowFilter::All)
        .unwrap();
    assert_eq!(
        store.facts().unwrap().store().max_row,
        RowId(rows.len() as i64)
    );
    store.rollback();
    rows.len()
}

/// A failure would mean that rows that were acknowledged before a device was full are gone, or that an
/// operator has to restart a server after he made room.
#[test]
#[ignore = "needs a small file system"]
fn without_a_reserve_a_full_database_goes_on_when_there_is_room() {
    let small = Small::new(0, 16);
    let engine = small.open();
    let (mut store, mut acknowledged, error) = small.fill(&engine);
    assert_eq!(error.kind(), ErrorKind::Full);
    assert_eq!(count(&mut store), acknowledged, "reads go on");
    // A compaction that ends now may make room for some more, once.
    let again = write_until_refused(&mut store, &mut acknowledged);
    assert_eq!(again.kind(), ErrorKind::Full);
    assert_eq!(count(&mut store), acknowledged, "reads go on");
    std::fs::remove_file(&small.ballast).unwrap();
    let mut seconds = 0;
    while let Err(error) = merge(&mut store, &rows(acknowledged)) {
        store.rollback();
        assert!(seconds < PATIENCE, "{error:?}");
        seconds += 1;
        std::thread::sleep(Duration::from_secs(1));
    }
    println!("writes went on {seconds} s after there was room");
    assert_eq!(count(&mut store), acknowledged + 100);
    drop((store, engine));
    let engine = small.open();
    let mut store = engine.open_container(&location()).unwrap().unwrap();
    assert_eq!(count(&mut store), acknowledged + 100);
}

/// A failure would mean that a full device cannot be emptied through the server.
#[test]
#[ignore = "needs a small file system"]
fn with_a_reserve_deletions_go_on_when_a_device_is_full() {
    let small = Small::new(8, 1);
    let engine = small.open();
    let (mut store, acknowledged, error) = small.fill(&engine);
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Full, Outcome::NotApplied)
    );
    let deleted =
        |record: ObjectRecord| ObjectRecord::delete(record.name, Timestamp::from_seconds(3));
    let deleted: Vec<_> = rows(0).into_iter().map(deleted).collect();
    merge(&mut store, &deleted).unwrap();
    store
        .begin(Access::Read, &BrokerOptions::default())
        .unwrap();
    let Facts::Container(info) = store.facts().unwrap() else {
        panic!("a container");
    };
    assert_eq!(info.object_count(), acknowledged as i64 - 100);
    store.rollback();
    drop(store);
    engine.remove(&location()).unwrap();
    assert!(engine.open_container(&location()).unwrap().is_none());
}
