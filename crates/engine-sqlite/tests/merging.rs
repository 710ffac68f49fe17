//! Buffered records that are merged while others append.
//!
//! Each test holds the merge where it matters: a reader of the database holds up its commit, the lock of the
//! directory what comes after it.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{BrokerOptions, ContainerBrokerExt, Durability, ErrorKind};
use broker_runtime::sync::{Buffered, ContainerStore, Store, SyncEngine};
use common::*;
use engine_sqlite::{Container, SqliteEngine, SqliteOptions, SqliteStore};
use std::fs::{self, File};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A container with a buffered record, and a merge of it that cannot end.
struct Merge {
    bench: Bench,
    engine: SqliteEngine,
    reader: rusqlite::Connection,
    merge: JoinHandle<broker_api::Result<()>>,
}

impl Merge {
    fn begin(durability: Durability) -> Self {
        let (bench, engine, mut merger) = one_buffered(durability);
        let db = bench.db_of(&container_at("c"));
        let reader = rusqlite::Connection::open(&db).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM object").unwrap();
        let merge = std::thread::spawn(move || merger.merge_buffered(&BrokerOptions::default()));
        // Nobody begins to read any more once a commit waits for those who do.
        let other = rusqlite::Connection::open(&db).unwrap();
        other.busy_timeout(Duration::ZERO).unwrap();
        until(|| other.execute_batch("SELECT * FROM object").is_err());
        Self {
            bench,
            engine,
            reader,
            merge,
        }
    }

    fn pending(&self) -> Vec<u8> {
        fs::read(self.bench.pending_of(&container_at("c"))).unwrap()
    }

    /// Holds the lock of the directory until it is dropped.
    fn lock(&self) -> File {
        let dir = self.bench.dir_of(&container_at("c"));
        let file = File::options().write(true).open(dir.join(".lock")).unwrap();
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
        file
    }

    /// Waits for the end of the merge, and tells what it left in the pending file.
    fn ends_with(self) -> Vec<u8> {
        self.merge.join().unwrap().unwrap();
        fs::read(self.bench.pending_of(&container_at("c"))).unwrap()
    }
}

/// A container with one buffered record, and a handle on it.
fn one_buffered(durability: Durability) -> (Bench, SqliteEngine, SqliteStore<Container>) {
    let bench = Bench::with(durability);
    let options = SqliteOptions::new(bench.devices())
        .with_mount_check(false)
        .with_durability(durability);
    let engine = SqliteEngine::new(options);
    let new = new_container("c");
    let created = engine.create_container(&container_at("c"), &new, &BrokerOptions::default());
    created.unwrap();
    let mut store = open(&engine);
    append(&mut store, "first", 5);
    (bench, engine, store)
}

fn open(engine: &SqliteEngine) -> SqliteStore<Container> {
    engine.open_container(&container_at("c")).unwrap().unwrap()
}

fn append(store: &mut SqliteStore<Container>, name: &str, seconds: u64) {
    let buffered = store.buffer(&[object(name, seconds)], &BrokerOptions::default());
    assert_eq!(buffered.unwrap(), Buffered::Yes);
}

/// The names of the rows that are merged.
fn names(conn: &rusqlite::Connection) -> String {
    let sql = "SELECT group_concat(name) FROM object";
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn until(happens: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !happens() {
        assert!(Instant::now() < end, "it never happens");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What came meanwhile was acknowledged and must stay.
#[test]
fn writes_go_on_while_records_are_merged_and_stay_for_the_next_time() {
    for durability in [Durability::Process, Durability::Disk] {
        let merge = Merge::begin(durability);
        let mut writer = open(&merge.engine);
        append(&mut writer, "second", 5);
        let both = merge.pending();
        merge.reader.execute_batch("COMMIT").unwrap();
        let (bench, engine) = (merge.bench, merge.engine);
        merge.merge.join().unwrap().unwrap();
        let rest = fs::read(bench.pending_of(&container_at("c"))).unwrap();
        assert!(both.ends_with(&rest) && !rest.is_empty() && rest.len() < both.len());
        // The writer finds the file that is there now.
        append(&mut writer, "third", 5);
        let reader = rusqlite::Connection::open(bench.db_of(&container_at("c"))).unwrap();
        assert_eq!(names(&reader), "first");
        let mut merger = open(&engine);
        merger.merge_buffered(&BrokerOptions::default()).unwrap();
        assert_eq!(names(&reader), "first,second,third");
        assert_eq!(fs::read(bench.pending_of(&container_at("c"))).unwrap(), b"");
        let names = fs::read_dir(bench.dir_of(&container_at("c"))).unwrap();
        let left = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(left.into_iter().all(|name| !name.ends_with(".tmp")));
    }
}

/// The same bytes may have been appended anew after others merged the first ones.
#[test]
fn what_others_merged_meanwhile_is_not_taken_away_again() {
    let merge = Merge::begin(Durability::Process);
    let bytes = merge.pending();
    let lock = merge.lock();
    merge.reader.execute_batch("COMMIT").unwrap();
    until(|| {
        merge
            .reader
            .execute_batch("UPDATE container_stat SET metadata = 'theirs'")
            .is_ok()
    });
    fs::write(merge.bench.pending_of(&container_at("c")), &bytes).unwrap();
    drop(lock);
    assert_eq!(merge.ends_with(), bytes);
}

/// Nothing is taken away but what was merged.
#[test]
fn a_file_that_others_emptied_and_filled_is_left_alone() {
    let merge = Merge::begin(Durability::Process);
    let lock = merge.lock();
    let bytes = b":anything".to_vec();
    fs::write(merge.bench.pending_of(&container_at("c")), &bytes).unwrap();
    merge.reader.execute_batch("COMMIT").unwrap();
    drop(lock);
    assert_eq!(merge.ends_with(), bytes);
}

/// A merge in good time is no reason to make writers wait.
#[test]
fn who_finds_another_writer_gives_up_at_once_and_loses_nothing() {
    let (bench, _engine, mut merger) = one_buffered(Durability::Process);
    let path = bench.pending_of(&container_at("c"));
    let before = fs::read(&path).unwrap();
    let other = rusqlite::Connection::open(bench.db_of(&container_at("c"))).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = merger.merge_buffered(&BrokerOptions::default());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Busy);
    assert_eq!(fs::read(&path).unwrap(), before);
    other.execute_batch("COMMIT").unwrap();
    merger.merge_buffered(&BrokerOptions::default()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
    assert_eq!(names(&other), "first");
}

/// Entries that are no records would otherwise be looked at again with every put.
#[test]
fn what_cannot_be_read_is_taken_away_as_well() {
    let (bench, engine, _) = one_buffered(Durability::Process);
    let path = bench.pending_of(&container_at("c"));
    fs::write(&path, b":no base64:").unwrap();
    let mut merger = open(&engine);
    merger.merge_buffered(&BrokerOptions::default()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
    merger.merge_buffered(&BrokerOptions::default()).unwrap();
    append(&mut merger, "next", 5);
    assert!(fs::read(&path).unwrap().starts_with(b":gA"));
}

/// Without this the put that finds the file full waits for the whole merge.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_fills_up_is_merged_before_it_is_full() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let path = bench.pending_of(&container_at("c"));
    let size = || fs::metadata(&path).map_or(0, |file| file.len());
    let mut puts = 0;
    while size() <= 65_536 {
        let record = object(&format!("o{puts:05}"), 5);
        broker.put_object(record).await.unwrap();
        puts += 1;
        assert!(puts < 2000, "it never fills up");
    }
    // No put is left to find it full.
    until(|| size() == 0);
    assert_eq!(broker.get_info().await.unwrap().object_count(), puts);
}
