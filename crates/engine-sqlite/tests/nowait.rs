//! Reads on the caller's thread: what they refuse, and that they say what the others say.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::listing::NameRange;
use broker_api::{
    BrokerOptions, Entry, ErrorKind, Facts, ListObjects, ListingQuery, Location, ObjectEntry,
    ObjectRowRef, ObjectVisitor, PolicyFilter, PolicyIndex, Result,
};
use broker_runtime::ops;
use broker_runtime::sync::{
    Access, Buffered, ContainerStore, ObjectFilter, StatChange, Store, SyncEngine,
};
use common::{container_at, new_container, object};
use engine_sqlite::{Container, SqliteEngine, SqliteOptions, SqliteStore};
use rusqlite::Connection;
use rustix::fs::{Advice, FlockOperation};
use rustix::io::{Errno, ReadWriteFlags};
use std::fs::File;
use std::io::IoSliceMut;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const ROWS: usize = 5000;

/// A container with rows of one policy, all of them merged.
struct Bench {
    dir: tempfile::TempDir,
    engine: SqliteEngine,
    location: Location,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = SqliteEngine::new(SqliteOptions::new(dir.path()).with_mount_check(false));
        let location = container_at("c");
        let options = BrokerOptions::default();
        engine
            .create_container(&location, &new_container("c"), &options)
            .unwrap();
        let bench = Self {
            dir,
            engine,
            location,
        };
        let names = (0..ROWS).map(|n| format!("object-{n:05}"));
        let records: Vec<_> = names.map(|name| object(&name, 5)).collect();
        let mut store = bench.store();
        store.begin(Access::Write, &options).unwrap();
        ops::merge_objects(&mut store, &records, None).unwrap();
        store.commit().unwrap();
        bench
    }

    fn store(&self) -> SqliteStore<Container> {
        self.engine.open_container(&self.location).unwrap().unwrap()
    }

    /// A handle that has read, as those are that the runtime keeps.
    fn reader(&self) -> SqliteStore<Container> {
        let mut reader = self.store();
        waiting(&mut reader, Store::facts).unwrap();
        settle(&mut reader);
        reader
    }

    fn db(&self) -> PathBuf {
        let hash = self.location.hash();
        let below = format!("sda1/containers/7/{}/{hash}/{hash}.db", hash.suffix());
        self.dir.path().join(below)
    }

    /// Whether the file system says what is in memory. Some cannot, and then everything is refused.
    fn can_tell(&self) -> bool {
        peek(&self.db()).is_ok()
    }

    /// Whether the system forgets files when asked. Another file is looked at: the look has the system read ahead.
    fn can_forget(&self) -> bool {
        let other = self.dir.path().join("other");
        std::fs::write(&other, [0; 8192]).unwrap();
        forget(&other);
        peek(&other) == Err(Errno::AGAIN)
    }
}

/// Lets a change of the store's directory grow so old that a look into it is remembered, and has it looked into.
fn settle(reader: &mut SqliteStore<Container>) {
    std::thread::sleep(Duration::from_millis(120));
    assert!(reader.is_current().unwrap());
}

/// Takes the file out of memory.
fn forget(path: &Path) {
    let file = File::open(path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
}

/// What a read of the file from the page cache comes to.
fn peek(path: &Path) -> std::result::Result<usize, Errno> {
    let mut byte = [0];
    let parts = &mut [IoSliceMut::new(&mut byte)];
    let file = File::open(path).unwrap();
    rustix::io::preadv2(file, parts, 0, ReadWriteFlags::NOWAIT)
}

/// Reads as the runtime does on a thread of its own.
fn waiting<R>(
    store: &mut SqliteStore<Container>,
    read: impl FnOnce(&mut SqliteStore<Container>) -> Result<R>,
) -> Result<R> {
    store.begin(Access::Read, &BrokerOptions::for_reading())?;
    let answer = read(store)?;
    store.commit().map(|()| answer)
}

/// Whether a read on the thread of a connection begins.
fn begins(store: &mut SqliteStore<Container>) -> bool {
    store.begin_without_waiting(&BrokerOptions::default())
}

/// Reads as the runtime does on the thread of a connection; `None` when the read did not begin.
fn at_once<R>(
    store: &mut SqliteStore<Container>,
    read: impl FnOnce(&mut SqliteStore<Container>) -> Result<R>,
) -> Option<Result<R>> {
    let answer =
        begins(store).then(|| read(store).and_then(|answer| store.commit().map(|()| answer)));
    store.rollback();
    answer
}

fn is_refused<R>(answer: &Option<Result<R>>) -> bool {
    match answer {
        None => true,
        Some(answer) => answer
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::Busy),
    }
}

#[derive(Default)]
struct Page(Vec<ObjectEntry>);

impl ObjectVisitor for Page {
    fn visit(&mut self, entry: Entry<'_, ObjectRowRef<'_>>) -> ControlFlow<()> {
        self.0.push(match entry {
            Entry::Row(row) => ObjectEntry::Row(row.to_owned()),
            Entry::Subdir(name) => ObjectEntry::Subdir(name.to_owned()),
        });
        ControlFlow::Continue(())
    }
}

fn list(store: &mut SqliteStore<Container>, query: &ListObjects) -> Result<Vec<ObjectEntry>> {
    let mut page = Page::default();
    ops::list_objects(store, query, &mut page)?;
    Ok(page.0)
}

fn queries() -> Vec<ListObjects> {
    let mut rolled_up = ListingQuery::new(10);
    rolled_up.delimiter = "9".into();
    let mut reverse = ListingQuery::new(50);
    reverse.marker = "object-01234".into();
    reverse.reverse = true;
    let queries = [ListingQuery::new(200), rolled_up, reverse];
    queries.map(ListObjects::new).into()
}

/// Another handle and the same one must work as ever.
fn assert_serves(bench: &Bench, reader: &mut SqliteStore<Container>) {
    for store in [reader, &mut bench.store()] {
        let facts = waiting(store, Store::facts).unwrap();
        store
            .begin(Access::Write, &BrokerOptions::default())
            .unwrap();
        let records = [object("one more", 7)];
        ops::merge_objects(store, &records, None).unwrap();
        assert_ne!(store.facts().unwrap(), facts);
        store.rollback();
    }
}

/// The system forgets pages of files when it likes, so that a read which finds none is tried again.
const TRIES: usize = 5;

#[test]
fn answers_are_those_of_a_read_that_may_wait() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    let expected = waiting(&mut reader, Store::facts).unwrap();
    let facts = at_once(&mut reader, Store::facts);
    if !bench.can_tell() {
        assert!(is_refused(&facts));
        return assert_serves(&bench, &mut reader);
    }
    assert_eq!(facts.unwrap().unwrap(), expected);
    for query in queries() {
        let expected = waiting(&mut reader, |store| list(store, &query)).unwrap();
        assert!(!expected.is_empty());
        let listed = at_once(&mut reader, |store| list(store, &query));
        assert_eq!(listed.unwrap().unwrap(), expected, "{query:?}");
        // With nothing in the memory of its own connection.
        let fresh = (0..TRIES).find_map(|_| {
            std::fs::read(bench.db()).unwrap();
            let mut fresh = bench.reader();
            at_once(&mut fresh, |store| list(store, &query))?.ok()
        });
        assert_eq!(fresh.as_ref(), Some(&expected), "{query:?}");
    }
    assert_serves(&bench, &mut reader);
}

/// A commit that leaves the directory as it was.
fn commit_quietly(bench: &Bench, mark: i64) {
    let other = Connection::open(bench.db()).unwrap();
    let change = format!("UPDATE container_stat SET x_container_sync_point1 = {mark}");
    other
        .execute_batch(&format!("PRAGMA journal_mode = MEMORY; {change}"))
        .unwrap();
}

#[test]
fn facts_that_are_kept_are_those_of_the_last_commit() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    for mark in [0, 7, 8] {
        commit_quietly(&bench, mark);
        for _ in 0..3 {
            let facts = at_once(&mut reader, Store::facts);
            if !bench.can_tell() {
                return assert!(is_refused(&facts));
            }
            let Facts::Container(info) = facts.unwrap().unwrap() else {
                panic!("not a container");
            };
            assert_eq!(info.x_container_sync_point1, mark);
        }
    }
    assert_serves(&bench, &mut reader);
}

#[test]
fn facts_and_rows_of_a_read_are_of_one_commit() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    if !bench.can_tell() {
        return;
    }
    let query = ListObjects::new(ListingQuery::new(10));
    let both = |reader: &mut SqliteStore<Container>, between: &dyn Fn()| {
        at_once(reader, |store| {
            let facts = store.facts()?;
            between();
            list(store, &query).map(|page| (facts, page))
        })
    };
    let before = both(&mut reader, &|| ()).unwrap().unwrap();
    assert_eq!(both(&mut reader, &|| ()).unwrap().unwrap(), before);
    // Nothing is locked yet between them, so that somebody may commit.
    let torn = both(&mut reader, &|| commit_quietly(&bench, 5));
    assert!(is_refused(&torn));
    assert_ne!(both(&mut reader, &|| ()).unwrap().unwrap().0, before.0);
    assert_serves(&bench, &mut reader);
}

#[test]
fn a_store_that_was_not_read_yet_is_refused() {
    let bench = Bench::new();
    assert!(!begins(&mut bench.store()));
}

#[test]
fn pages_on_the_device_are_refused_until_they_were_read() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    if !bench.can_forget() {
        return;
    }
    forget(&bench.db());
    assert!(is_refused(&at_once(&mut reader, Store::facts)));
    waiting(&mut reader, Store::facts).unwrap();
    assert!(at_once(&mut reader, Store::facts).unwrap().is_ok());
    assert_serves(&bench, &mut reader);
}

/// A record among the buffered ones.
fn put(bench: &Bench, name: &str) {
    let buffered = bench
        .store()
        .buffer(&[object(name, 6)], &BrokerOptions::default());
    assert_eq!(buffered.unwrap(), Buffered::Yes);
}

/// What a client is shown of the newest records on the thread of its connection.
fn shown_at_once(reader: &mut SqliteStore<Container>) -> Option<Result<(Facts, Vec<ObjectEntry>)>> {
    let patient = BrokerOptions::for_reading().with_pending_timeout(Duration::from_secs(10));
    let begun = reader.begin_without_waiting(&patient);
    let answer = begun.then(|| {
        let shown = show(reader)?;
        reader.commit().map(|()| shown)
    });
    reader.rollback();
    answer
}

fn show(reader: &mut SqliteStore<Container>) -> Result<(Facts, Vec<ObjectEntry>)> {
    let mut newest = ListingQuery::new(5);
    newest.reverse = true;
    let facts = reader.facts()?;
    list(reader, &ListObjects::new(newest)).map(|page| (facts, page))
}

/// A failure would mean that a client misses what it wrote, or that each read after a write changes threads.
#[test]
fn few_buffered_records_are_laid_over_the_rows_at_once() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    put(&bench, "p0");
    settle(&mut reader);
    // The files would have to be opened.
    assert!(is_refused(&shown_at_once(&mut reader)));
    waiting(&mut reader, show).unwrap();
    for (name, new) in [("p1", 2), ("p2", 3), ("object-00000", 3), ("p1", 3)] {
        put(&bench, name);
        let shown = shown_at_once(&mut reader);
        if !bench.can_tell() {
            return assert!(is_refused(&shown));
        }
        let expected = waiting(&mut bench.store(), show).unwrap();
        assert_eq!(shown.unwrap().unwrap(), expected, "{name}");
        let Facts::Container(info) = expected.0 else {
            panic!("not a container");
        };
        assert_eq!(info.object_count(), (ROWS + new) as i64);
    }
    assert_serves(&bench, &mut reader);
}

/// A container with a buffered record, and a handle that has shown it.
fn read_with_one_buffered() -> (Bench, SqliteStore<Container>, (Facts, Vec<ObjectEntry>)) {
    let bench = Bench::new();
    let mut reader = bench.reader();
    put(&bench, "p");
    settle(&mut reader);
    let shown = waiting(&mut reader, show).unwrap();
    (bench, reader, shown)
}

/// A failure would mean that the records of one store keep a connection's thread from all others.
#[test]
fn many_buffered_records_are_merged_by_those_who_may_wait() {
    let (bench, mut reader, _) = read_with_one_buffered();
    for number in 0..100 {
        put(&bench, &format!("p{number:02}"));
    }
    assert!(is_refused(&shown_at_once(&mut reader)));
    let expected = waiting(&mut reader, show).unwrap();
    if bench.can_tell() {
        assert_eq!(shown_at_once(&mut reader).unwrap().unwrap(), expected);
        // On other rows they have to be merged again.
        commit_quietly(&bench, 5);
        assert!(is_refused(&shown_at_once(&mut reader)));
        waiting(&mut reader, show).unwrap();
        // As they have to be together with one of a name that was merged already.
        put(&bench, "p00");
        assert!(is_refused(&shown_at_once(&mut reader)));
    }
    assert_serves(&bench, &mut reader);
}

#[test]
fn buffered_records_that_another_holds_or_the_device_has_are_not_waited_for() {
    let (bench, mut reader, expected) = read_with_one_buffered();
    if !bench.can_tell() {
        return;
    }
    let dir = bench.db().parent().unwrap().to_owned();
    let lock = File::open(dir.join(".lock")).unwrap();
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
    let begun = Instant::now();
    assert!(is_refused(&shown_at_once(&mut reader)));
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(lock);
    assert_eq!(shown_at_once(&mut reader).unwrap().unwrap(), expected);
    if bench.can_forget() {
        forget(&bench.db().with_extension("db.pending"));
        assert!(is_refused(&shown_at_once(&mut reader)));
        assert_eq!(waiting(&mut reader, show).unwrap(), expected);
    }
    assert_serves(&bench, &mut reader);
}

#[test]
fn buffered_records_are_committed_by_those_who_may_wait() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    put(&bench, "new");
    settle(&mut reader);
    assert!(!begins(&mut reader));
    let facts = waiting(&mut reader, Store::facts).unwrap();
    let Facts::Container(info) = facts else {
        panic!("not a container");
    };
    assert_eq!(info.object_count(), ROWS as i64 + 1);
}

/// A failure would mean that every report of a container changes threads to learn that its account is there, or that
/// it sees what it asked not to.
#[test]
fn who_skips_buffered_records_need_not_wait_for_them() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    put(&bench, "new");
    settle(&mut reader);
    let skipping = BrokerOptions::default().skipping_commits();
    assert_eq!(reader.begin_without_waiting(&skipping), bench.can_tell());
    if !bench.can_tell() {
        return;
    }
    let facts = reader.facts().unwrap();
    reader.commit().unwrap();
    let Facts::Container(info) = facts else {
        panic!("not a container");
    };
    assert_eq!(info.object_count(), ROWS as i64);
}

#[test]
fn a_lock_of_another_is_not_waited_for() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    let other = Connection::open(bench.db()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let begun = Instant::now();
    assert!(is_refused(&at_once(&mut reader, Store::facts)));
    assert!(begun.elapsed() < Duration::from_millis(50));
    other.execute_batch("ROLLBACK").unwrap();
    assert_serves(&bench, &mut reader);
}

#[test]
fn a_store_that_was_replaced_or_is_being_sharded_is_refused() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    let dir = bench.db().parent().unwrap().to_owned();
    let sharded = dir.join(format!("{}_0000000009.00000.db", bench.location.hash()));
    std::fs::write(&sharded, "").unwrap();
    assert!(!begins(&mut reader));
    std::fs::remove_file(&sharded).unwrap();
    // The directory would have to be read.
    assert!(!begins(&mut reader));
    settle(&mut reader);
    assert_eq!(begins(&mut reader), bench.can_tell());
    reader.rollback();
    std::fs::copy(bench.db(), dir.join("copy")).unwrap();
    std::fs::rename(dir.join("copy"), bench.db()).unwrap();
    assert!(!begins(&mut reader));
}

/// A failure would mean that one listing keeps a connection's thread, and all others of it, for as long as it likes.
#[test]
fn a_listing_that_goes_over_many_directories_is_refused_also_when_they_are_known() {
    let bench = Bench::new();
    // So many are remembered.
    let names = (0..2000).map(|n| object(&format!("x/{n:05}/o"), 6));
    let mut store = bench.store();
    store
        .begin(Access::Write, &BrokerOptions::default())
        .unwrap();
    ops::merge_objects(&mut store, &names.collect::<Vec<_>>(), None).unwrap();
    store.commit().unwrap();
    let mut query = ListObjects::new(ListingQuery::new(10));
    query.names.path = Some("x".into());
    let mut reader = bench.reader();
    for _ in 0..2 {
        let page = waiting(&mut reader, |store| list(store, &query)).unwrap();
        assert!(page.is_empty());
    }
    assert!(is_refused(&at_once(&mut reader, |store| list(
        store, &query
    ))));
}

/// A failure would mean that a quarantined store is served on, or one whose partition was moved away.
#[test]
fn a_store_that_was_moved_is_refused() {
    let bench = Bench::new();
    let dir = bench.db().parent().unwrap().to_owned();
    let partition = dir.parent().unwrap().parent().unwrap().to_owned();
    for (moved, seen_after) in [
        (dir, Duration::ZERO),
        (partition, Duration::from_millis(11)),
    ] {
        let mut reader = bench.reader();
        assert_eq!(begins(&mut reader), bench.can_tell());
        reader.rollback();
        let away = bench.dir.path().join("away");
        std::fs::rename(&moved, &away).unwrap();
        std::thread::sleep(seen_after);
        assert!(!begins(&mut reader));
        assert!(!reader.is_current().unwrap());
        std::fs::rename(&away, &moved).unwrap();
    }
}

/// A process that died in the middle of a commit leaves a journal, and a database that nobody may read without it.
#[test]
fn a_hot_journal_is_left_to_those_who_may_wait() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    let expected = waiting(&mut reader, Store::facts).unwrap();
    let journal = PathBuf::from(format!("{}-journal", bench.db().display()));
    let dying = Connection::open(bench.db()).unwrap();
    dying
        .execute_batch(
            "PRAGMA cache_size = 5; BEGIN; DROP TRIGGER object_update;
            UPDATE object SET name = 'lost ' || name;",
        )
        .unwrap();
    let left = [&bench.db(), &journal].map(|path| std::fs::read(path).unwrap());
    dying.execute_batch("ROLLBACK").unwrap();
    assert_ne!(std::fs::read(bench.db()).unwrap(), left[0]);
    std::fs::write(bench.db(), &left[0]).unwrap();
    std::fs::write(&journal, &left[1]).unwrap();
    settle(&mut reader);
    assert!(is_refused(&at_once(&mut reader, Store::facts)));
    let now = [&bench.db(), &journal].map(|path| std::fs::read(path).unwrap());
    assert!(now == left, "the files were touched");
    assert_eq!(waiting(&mut reader, Store::facts).unwrap(), expected);
    assert!(!journal.exists());
    assert_serves(&bench, &mut reader);
}

/// Rows that only SQLite sees, because it leaves them out, count as well.
#[test]
fn a_listing_that_goes_over_many_rows_is_refused() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    let names = ListingQuery::new(10);
    let mut query = ListObjects::new(names);
    query.policy = PolicyFilter::Only(PolicyIndex(1));
    let listed = at_once(&mut reader, |store| list(store, &query));
    assert!(is_refused(&listed));
    let listed = waiting(&mut reader, |store| list(store, &query));
    assert_eq!(listed.unwrap(), []);
    assert_serves(&bench, &mut reader);
}

/// A damaged store is quarantined by who may wait; what cannot wait has only the answer that it cannot.
#[test]
fn damage_is_no_more_than_a_refusal() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    // What the reader has in its own memory is out of date, and all but the first page is spoilt.
    let mut other = bench.store();
    other
        .begin(Access::Write, &BrokerOptions::default())
        .unwrap();
    ops::merge_objects(&mut other, &[object("one more", 7)], None).unwrap();
    other.commit().unwrap();
    let mut bytes = std::fs::read(bench.db()).unwrap();
    bytes[4096..].fill(b'x');
    std::fs::write(bench.db(), bytes).unwrap();
    settle(&mut reader);
    assert_eq!(begins(&mut reader), bench.can_tell());
    reader.rollback();
    assert!(is_refused(&at_once(&mut reader, Store::facts)));
    let error = waiting(&mut reader, Store::facts).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// What is no part of a short read has not been taught to go without waiting.
#[test]
fn other_questions_are_refused_in_such_a_read() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    let asked = at_once(&mut reader, |store| {
        store.row("object-00001", PolicyIndex(0))
    });
    assert!(is_refused(&asked));
    let change = StatChange {
        id: Some("other".into()),
        ..StatChange::default()
    };
    let changed = at_once(&mut reader, |store| store.update(&change));
    assert!(is_refused(&changed));
    assert_serves(&bench, &mut reader);
}

#[test]
#[should_panic(expected = "as wanted")]
fn a_panic_leaves_the_thread_free_to_wait() {
    let bench = Bench::new();
    let mut reader = bench.reader();
    if !bench.can_tell() {
        panic!("as wanted");
    }
    let read = || {
        at_once(&mut reader, |store| {
            let all = ObjectFilter::default();
            let names = NameRange {
                lower: Bound::Unbounded,
                upper: Bound::Unbounded,
                reverse: false,
            };
            store.scan(&names, &all, &mut |_| panic!("as wanted"))
        })
    };
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    assert!(!sqlite_nowait::must_not_wait());
    drop(reader);
    assert_serves(&bench, &mut bench.reader());
    if let Err(panic) = panicked {
        std::panic::resume_unwind(panic);
    }
}
