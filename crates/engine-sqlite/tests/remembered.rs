//! What is remembered of stores that are not open, beside files that change.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{BrokerOptions, Facts, Initialized, Location};
use broker_runtime::sync::{Access, Buffered, ContainerStore, StatChange, Store, SyncEngine};
use common::{connect, container_at, new_container, object};
use engine_sqlite::{Container, SqliteEngine, SqliteOptions, SqliteStore};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How many objects are put while others look.
const PUTS: i64 = 100;

/// A container that is not open, and whose facts are remembered.
struct Closed {
    devices: tempfile::TempDir,
    engine: SqliteEngine,
    location: Location,
}

/// What changed before is old enough to be remembered then.
fn until_times_are_past() {
    std::thread::sleep(Duration::from_millis(100));
}

fn make(engine: &SqliteEngine, name: &str) -> Location {
    let location = container_at(name);
    let made = engine.create_container(&location, &new_container(name), &BrokerOptions::default());
    assert_eq!(made.unwrap(), Initialized::Created);
    location
}

fn open(engine: &SqliteEngine, location: &Location) -> SqliteStore<Container> {
    engine.open_container(location).unwrap().unwrap()
}

fn read(store: &mut SqliteStore<Container>) -> Facts {
    until_times_are_past();
    read_now(store)
}

fn read_now(store: &mut SqliteStore<Container>) -> Facts {
    store
        .begin(Access::Read, &BrokerOptions::default())
        .unwrap();
    let facts = store.facts().unwrap();
    store.commit().unwrap();
    facts
}

impl Closed {
    fn new() -> Self {
        let closed = Self::unread();
        assert_eq!(closed.remembered(), None);
        let read = closed.read();
        assert_eq!(closed.remembered(), Some(read));
        closed
    }

    fn unread() -> Self {
        let devices = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(devices.path()).with_mount_check(false);
        let engine = SqliteEngine::new(options);
        let location = make(&engine, "c");
        Self {
            devices,
            engine,
            location,
        }
    }

    fn db(&self) -> PathBuf {
        let hash = self.location.hash().to_string();
        let dir = self.devices.path().join("sda1/containers/7");
        let dir = dir.join(self.location.hash().suffix()).join(&hash);
        dir.join(format!("{hash}.db"))
    }

    fn open(&self) -> SqliteStore<Container> {
        open(&self.engine, &self.location)
    }

    /// The facts by a transaction of a handle that is closed again.
    fn read(&self) -> Facts {
        read(&mut self.open())
    }

    fn remembered(&self) -> Option<Facts> {
        let options = BrokerOptions::default();
        self.engine.remembered_facts(&self.location, &options)
    }

    /// Nothing is remembered after a change, and what it made of the facts when they are read again.
    fn assert_forgotten(&self) {
        assert_eq!(self.remembered(), None);
        let read = self.read();
        assert_eq!(self.remembered(), Some(read));
    }
}

#[test]
fn what_others_commit_is_seen() {
    let closed = Closed::new();
    for (status, mode) in [
        ("one", "DELETE"),
        ("two", "TRUNCATE"),
        ("three", "PERSIST"),
        ("four", "MEMORY"),
        ("five", "OFF"),
    ] {
        let conn = connect(&closed.db());
        conn.pragma_update(None, "journal_mode", mode).unwrap();
        let sql = "UPDATE container_info SET status = ?";
        conn.execute(sql, [status]).unwrap();
        closed.assert_forgotten();
        assert_eq!(closed.remembered().unwrap().store().status, status);
    }
}

/// A failure would mean that commits which go to another file are not seen. Opening a store makes it keep a journal again.
#[test]
fn a_log_written_ahead_of_an_open_store_is_not_remembered() {
    let closed = Closed::unread();
    let mut store = closed.open();
    read(&mut store);
    let conn = connect(&closed.db());
    conn.pragma_update(None, "journal_mode", "WAL").unwrap();
    // The first one makes the files beside it.
    read(&mut store);
    read(&mut store);
    assert_eq!(closed.remembered(), None);
}

/// A failure would mean that a client does not see what was acknowledged to him.
#[test]
fn what_waits_to_be_merged_is_not_passed_over() {
    let closed = Closed::new();
    let before = closed.remembered().unwrap();
    let options = BrokerOptions::default();
    let mut store = closed.open();
    let buffered = store.buffer(&[object("o", 5)], &options).unwrap();
    assert_eq!(buffered, Buffered::Yes);
    assert_eq!(closed.remembered(), None);

    until_times_are_past();
    let mut alone = options;
    alone.skip_commits = true;
    store.begin(Access::Read, &alone).unwrap();
    assert_eq!(store.facts().unwrap(), before);
    store.commit().unwrap();
    assert_eq!(closed.remembered(), None);
    let remembered = closed.engine.remembered_facts(&closed.location, &alone);
    assert_eq!(remembered, Some(before));

    drop(store);
    assert_eq!(closed.remembered(), None);
    // The first one merges, so that the file has only just changed.
    closed.read();
    let read = closed.read();
    assert_eq!(closed.remembered(), Some(read));
    let Some(Facts::Container(info)) = closed.remembered() else {
        panic!("a container's facts");
    };
    assert_eq!(info.object_count(), 1);
}

#[test]
fn a_file_that_took_its_place_is_seen() {
    let closed = Closed::new();
    let copy = closed.devices.path().join("copy");
    std::fs::copy(closed.db(), &copy).unwrap();
    connect(&copy)
        .execute("UPDATE container_info SET status = 'other'", [])
        .unwrap();
    std::fs::rename(&copy, closed.db()).unwrap();
    closed.assert_forgotten();
    assert_eq!(closed.remembered().unwrap().store().status, "other");
}

#[test]
fn a_store_that_is_gone_is_gone() {
    let closed = Closed::new();
    closed.engine.remove(&closed.location).unwrap();
    assert_eq!(closed.remembered(), None);
}

/// A failure would mean that a container is served whose rows are going elsewhere.
#[test]
fn a_container_that_is_being_split_is_not_answered_for() {
    let closed = Closed::new();
    let hash = closed.location.hash().to_string();
    let shards = closed.db().with_file_name(format!("{hash}_1.db"));
    std::fs::write(&shards, b"").unwrap();
    assert_eq!(closed.remembered(), None);
}

/// A failure would mean that memory grows with the stores of a device.
#[test]
fn no_more_is_remembered_than_there_is_room_for() {
    let Closed {
        devices: _devices,
        engine,
        ..
    } = Closed::unread();
    let options = BrokerOptions::default();
    let locations = ["one", "two", "three"].map(|name| {
        let location = make(&engine, name);
        let mut store = open(&engine, &location);
        store.begin(Access::Write, &options).unwrap();
        let much = StatChange {
            raw_metadata: Some(" ".repeat(6 << 20)),
            ..StatChange::default()
        };
        store.update(&much).unwrap();
        store.commit().unwrap();
        // What takes the place of the same is not counted twice.
        (0..3).for_each(|_| drop(read(&mut store)));
        location
    });
    let is_known = |location| engine.remembered_facts(location, &options).is_some();
    let known: Vec<_> = locations.iter().map(is_known).collect();
    assert_eq!(known, [false, true, true]);
}

/// A failure would mean that a client is told less than was acknowledged before he asked.
#[test]
fn what_is_acknowledged_meanwhile_is_seen() {
    let closed = Closed::new();
    let options = BrokerOptions::default();
    let (acknowledged, mut shown) = (AtomicI64::new(0), 0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut store = closed.open();
            for number in 0..PUTS {
                let put = [object(&format!("o{number}"), 5)];
                assert_eq!(store.buffer(&put, &options).unwrap(), Buffered::Yes);
                acknowledged.store(number + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(number as u64 % 5 * 15));
            }
        });
        // Each read merges what waits, and once the files are old enough it is remembered.
        scope.spawn(|| {
            while acknowledged.load(Ordering::SeqCst) < PUTS {
                read_now(&mut closed.open());
            }
        });
        while !writer.is_finished() {
            let before = acknowledged.load(Ordering::SeqCst);
            if let Some(Facts::Container(info)) = closed.remembered() {
                let count = info.object_count();
                assert!(count >= before, "{count} of {before}");
                shown += 1;
            }
        }
    });
    assert!(shown > 0);
}
