//! What restoring leaves in the database.
#![allow(clippy::unwrap_used)]

use broker_api::{
    AccountInfo, Facts, HashPath, Location, RollingHash, RowId, Rows, StoreImage, StoreInfo,
    StoreKind, SyncPoint, Timestamp, TimestampText,
};
use broker_kv::{
    Cursor, Devices, KvEngine, MemoryDevices, OrderedStore, Presence, View, Walk, describe_entry,
};
use broker_runtime::sync::SyncEngine;

fn account_at(name: &str) -> Location {
    let hash = HashPath::new("", "test").account(name);
    Location::new(StoreKind::Account, "sda1", "1", hash).unwrap()
}

fn image(max_row: i64) -> StoreImage {
    let at: TimestampText = Timestamp::from_seconds(1).into();
    let store = StoreInfo {
        account: "a".into(),
        created_at: at.clone(),
        put_timestamp: at.clone(),
        delete_timestamp: TimestampText::never(),
        status: String::new(),
        status_changed_at: at,
        hash: RollingHash::default(),
        id: "an-id".into(),
        raw_metadata: "{}".into(),
        max_row: RowId(max_row),
    };
    StoreImage {
        facts: Facts::Account(AccountInfo {
            store,
            container_count: 0,
            object_count: 0,
            bytes_used: 0,
            policy_stats: Vec::new(),
        }),
        incoming: vec![SyncPoint::new("peer", RowId(7))],
        outgoing: Vec::new(),
    }
}

fn rows(count: i64) -> Rows {
    let row = |number| broker_api::ContainerRow {
        row_id: RowId(number),
        name: format!("c{number}"),
        put_timestamp: Timestamp::from_seconds(2).into(),
        delete_timestamp: TimestampText::never(),
        object_count: 1,
        bytes_used: 1,
        deleted: false,
        policy_index: broker_api::PolicyIndex(0),
    };
    Rows::Containers((1..=count).map(row).collect())
}

/// What people would see of the database of accounts.
fn dump(devices: &MemoryDevices) -> Vec<String> {
    let store = devices
        .open("sda1", StoreKind::Account, Presence::Existing)
        .unwrap()
        .unwrap();
    let view = store.view().unwrap();
    let mut cursor = view.cursor(&[]..&[0xff], Walk::Up).unwrap();
    let mut lines = Vec::new();
    while let Some((key, value)) = cursor.entry() {
        lines.push(describe_entry(key, value));
        cursor.step().unwrap();
    }
    lines
}

/// A failure would mean that attempts that were given up fill the disk.
#[test]
fn what_is_abandoned_or_begun_afresh_leaves_nothing() {
    let devices = MemoryDevices::default();
    let engine = KvEngine::new(devices.clone());
    let (restore, location) = (engine.restore().unwrap(), account_at("a"));
    restore.begin(&location, &image(5000)).unwrap();
    restore.add(&location, &rows(2500)).unwrap();
    let during = dump(&devices);
    assert!(
        during
            .iter()
            .any(|line| line.starts_with("being restored accounts/1/")),
        "{during:?}"
    );
    // Each row, and its entry in the log.
    assert_eq!(of_rows(&during), 2 * 2500);
    restore.begin(&location, &image(4000)).unwrap();
    assert_eq!(of_rows(&dump(&devices)), 0);
    restore.abandon(&location).unwrap();
    assert_eq!(dump(&devices), ["layout: 1", "next store number: 2"]);
}

/// How many lines are about rows.
fn of_rows(lines: &[String]) -> usize {
    let is_row = |line: &&String| line.contains("live container");
    lines.iter().filter(is_row).count()
}
