//! What happens on a full device. Needs a small file system of its own:
//! `mount -t tmpfs -o size=32m tmpfs /mnt && APUS_SMALL_DEVICES=/mnt cargo test -p engine-sled --test full -- --ignored --test-threads=1`.
#![allow(clippy::unwrap_used)]

use broker_api::{
    BrokerOptions, ErrorKind, HashPath, Location, NewContainer, ObjectRecord, Outcome, PolicyIndex,
    RowFilter, RowId, StoreKind, Timestamp,
};
use broker_kv::KvEngine;
use broker_runtime::ops;
use broker_runtime::sync::{Access, ContainerStore, Store, SyncEngine};
use engine_sled::{SledDevices, SledOptions};

fn merge<S: ContainerStore>(store: &mut S, from: usize) -> broker_api::Result<()> {
    let at = Timestamp::from_seconds(2);
    let put = |i| ObjectRecord::put(format!("{i:08}"), at, 1, "t/x", "e".repeat(100));
    let records: Vec<_> = (from..from + 100).map(put).collect();
    store.begin(Access::Write, &BrokerOptions::default())?;
    ops::merge_objects(store, &records, None)?;
    store.commit()
}

/// A failure would mean that rows that were acknowledged before a device was full are gone.
#[test]
#[ignore = "needs a small file system"]
fn what_was_acknowledged_before_the_device_was_full_is_there() {
    let devices = std::env::var_os("APUS_SMALL_DEVICES").unwrap();
    let device = std::path::Path::new(&devices).join("sda1");
    let _ = std::fs::remove_dir_all(&device);
    std::fs::create_dir_all(&device).unwrap();
    let ballast = device.join("ballast");
    std::fs::write(&ballast, vec![1; 8 << 20]).unwrap();
    let open = || {
        let options = SledOptions::new(&devices).with_mount_check(false);
        KvEngine::new(SledDevices::new(options.with_cache_capacity_mb(8)))
    };
    let hash = HashPath::new("", "end").container("a", "c");
    let location = Location::new(StoreKind::Container, "sda1", "7", hash).unwrap();
    let new = NewContainer {
        account: "a".into(),
        container: "c".into(),
        put_timestamp: Timestamp::from_seconds(1).into(),
        policy_index: PolicyIndex(0),
        created_at: Timestamp::from_seconds(1),
        id: "id-sda1".into(),
    };
    let engine = open();
    let options = BrokerOptions::default();
    engine.create_container(&location, &new, &options).unwrap();
    let mut store = engine.open_container(&location).unwrap().unwrap();
    let mut acknowledged = 0;
    let error = loop {
        match merge(&mut store, acknowledged) {
            Ok(()) => acknowledged += 100,
            Err(error) => break error,
        }
    };
    println!("{acknowledged} rows, then {error:?}");
    assert!(matches!(error.kind(), ErrorKind::Full | ErrorKind::Io));
    store.rollback();
    let stopped = store.begin(Access::Read, &options).unwrap_err();
    assert_eq!(
        (stopped.kind(), stopped.outcome()),
        (error.kind(), Outcome::NotApplied)
    );
    println!("removing: {:?}", engine.remove(&location));
    drop((store, engine));
    println!("opened while full: {:?}", open().exists(&location));
    std::fs::remove_file(ballast).unwrap();
    let engine = open();
    let mut store = engine.open_container(&location).unwrap().unwrap();
    store.begin(Access::Read, &options).unwrap();
    let rows = store
        .rows_since(RowId::NONE, usize::MAX, RowFilter::All)
        .unwrap();
    println!("{} rows after opening again with more room", rows.len());
    assert!(rows.len() == acknowledged || rows.len() == acknowledged + 100);
    assert_eq!(
        store.facts().unwrap().store().max_row,
        RowId(rows.len() as i64)
    );
    store.rollback();
    merge(&mut store, rows.len()).unwrap();
}
