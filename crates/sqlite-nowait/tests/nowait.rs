//! What is refused, what is answered, and what connections are like afterwards.
#![allow(clippy::unwrap_used)]

use rusqlite::Connection;
use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags};
use sqlite_nowait::{WouldWait, must_not_wait, prepare, without_waiting};
use std::fs::File;
use std::io::IoSliceMut;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

const EFFORT: u32 = 1000;
const ROWS: i64 = 400;

/// A database with some rows of half a page.
struct Bench {
    dir: tempfile::TempDir,
    conn: Connection,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let conn = connect(&dir.path().join("db"));
        conn.execute_batch("CREATE TABLE t (x INTEGER PRIMARY KEY, filler)")
            .unwrap();
        let fill = format!(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {ROWS})
            INSERT INTO t SELECT x, zeroblob(2000) FROM n"
        );
        conn.execute_batch(&fill).unwrap();
        Self { dir, conn }
    }

    fn db(&self) -> PathBuf {
        self.dir.path().join("db")
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("db-journal")
    }

    /// Another connection, which has nothing in its own memory.
    fn another(&self) -> Connection {
        connect(&self.db())
    }
}

fn connect(db: &Path) -> Connection {
    let mut conn = Connection::open(db).unwrap();
    prepare(&mut conn).unwrap();
    conn.busy_timeout(Duration::ZERO).unwrap();
    conn
}

/// What a read of the file from the page cache comes to.
fn peek(db: &Path, offset: u64) -> Result<usize, Errno> {
    let mut byte = [0];
    let parts = &mut [IoSliceMut::new(&mut byte)];
    rustix::io::preadv2(
        File::open(db).unwrap(),
        parts,
        offset,
        ReadWriteFlags::NOWAIT,
    )
}

/// Whether the file system says what is in memory. Some cannot, and then everything is refused.
fn can_tell(db: &Path) -> bool {
    peek(db, 0).is_ok()
}

/// Takes the file out of memory from an offset on.
fn forget(db: &Path, from: u64) {
    let file = File::open(db).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, from, None, Advice::DontNeed).unwrap();
}

/// Whether the system forgets files when asked. Another file is looked at: the look has the system read ahead.
fn can_forget(dir: &Path) -> bool {
    let other = dir.join("other");
    std::fs::write(&other, [0; 8192]).unwrap();
    forget(&other, 0);
    peek(&other, 0) == Err(Errno::AGAIN)
}

fn answer(conn: &Connection, x: i64) -> rusqlite::Result<i64> {
    conn.query_row("SELECT x FROM t WHERE x = ?", [x], |row| row.get(0))
}

fn length(conn: &Connection, x: i64) -> rusqlite::Result<i64> {
    let sql = "SELECT length(filler) FROM t WHERE x = ?";
    conn.query_row(sql, [x], |row| row.get(0))
}

fn assert_serves(conn: &Connection) {
    assert!(!must_not_wait());
    assert_eq!(answer(conn, 5).unwrap(), 5);
    conn.execute("UPDATE t SET filler = 'new' WHERE x = 5", [])
        .unwrap();
    assert_eq!(length(conn, 5).unwrap(), 3);
}

#[test]
fn what_is_in_memory_is_answered() {
    let bench = Bench::new();
    let answered = without_waiting(EFFORT, || answer(&bench.conn, 7));
    match can_tell(&bench.db()) {
        true => assert_eq!(answered.unwrap().unwrap(), 7),
        false => assert!(answered.is_err()),
    }
    assert_serves(&bench.conn);
}

#[test]
fn a_file_on_the_device_is_refused_until_it_was_read() {
    let bench = Bench::new();
    if !can_forget(bench.dir.path()) {
        return;
    }
    for conn in [&bench.conn, &bench.another()] {
        forget(&bench.db(), 0);
        let refused = without_waiting(EFFORT, || answer(conn, 7));
        assert_eq!(refused, Err(WouldWait));
        assert_eq!(answer(conn, 7).unwrap(), 7);
        let answered = without_waiting(EFFORT, || answer(conn, 7));
        assert_eq!(answered.unwrap().unwrap(), 7);
    }
    assert_serves(&bench.conn);
}

#[test]
fn one_page_on_the_device_is_refused_in_the_middle_of_a_transaction() {
    let bench = Bench::new();
    let conn = bench.another();
    assert_eq!(answer(&conn, 1).unwrap(), 1);
    if !can_forget(bench.dir.path()) {
        return;
    }
    forget(&bench.db(), 64 * 4096);
    conn.execute_batch("BEGIN").unwrap();
    let warm = without_waiting(EFFORT, || answer(&conn, 1));
    assert_eq!(warm.unwrap().unwrap(), 1);
    let cold = without_waiting(EFFORT, || answer(&conn, ROWS));
    assert_eq!(cold, Err(WouldWait));
    if !conn.is_autocommit() {
        conn.execute_batch("ROLLBACK").unwrap();
    }
    assert_eq!(answer(&conn, ROWS).unwrap(), ROWS);
    assert_serves(&conn);
}

#[test]
fn changes_are_refused_and_leave_nothing() {
    let bench = Bench::new();
    let before = std::fs::read(bench.db()).unwrap();
    let refused = without_waiting(EFFORT, || bench.conn.execute("DELETE FROM t", []));
    assert_eq!(refused, Err(WouldWait));
    if !bench.conn.is_autocommit() {
        bench.conn.execute_batch("ROLLBACK").unwrap();
    }
    assert!(!bench.journal().exists());
    assert_eq!(std::fs::read(bench.db()).unwrap(), before);
    assert_serves(&bench.conn);
}

/// A database in the middle of a transaction whose process died.
#[test]
fn a_hot_journal_is_left_to_those_who_may_wait() {
    let bench = Bench::new();
    bench
        .conn
        .execute_batch("PRAGMA cache_size = 5; BEGIN; UPDATE t SET filler = 'lost'")
        .unwrap();
    let (db, journal) = (
        std::fs::read(bench.db()).unwrap(),
        std::fs::read(bench.journal()).unwrap(),
    );
    bench.conn.execute_batch("ROLLBACK").unwrap();
    assert_ne!(std::fs::read(bench.db()).unwrap(), db);
    std::fs::write(bench.db(), &db).unwrap();
    std::fs::write(bench.journal(), &journal).unwrap();
    let conn = bench.another();
    for conn in [&bench.conn, &conn] {
        let refused = without_waiting(EFFORT, || answer(conn, 7));
        assert_eq!(refused, Err(WouldWait));
        assert_eq!(std::fs::read(bench.db()).unwrap(), db);
        assert_eq!(std::fs::read(bench.journal()).unwrap(), journal);
    }
    assert_eq!(length(&conn, 7).unwrap(), 2000);
    assert!(!bench.journal().exists());
    assert_serves(&bench.conn);
    assert_serves(&conn);
}

#[test]
fn work_without_end_is_stopped() {
    let bench = Bench::new();
    let count = || -> rusqlite::Result<i64> {
        let sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 99999)
            SELECT count(*) FROM n";
        bench.conn.query_row(sql, [], |row| row.get(0))
    };
    assert_eq!(without_waiting(EFFORT, count), Err(WouldWait));
    assert_eq!(count().unwrap(), 99999);
    let another = bench.another();
    let pages = || -> rusqlite::Result<i64> {
        let sql = "SELECT count(length(filler)) FROM t";
        another.query_row(sql, [], |row| row.get(0))
    };
    assert_eq!(
        without_waiting(100, pages),
        Err(WouldWait),
        "every page counts"
    );
    assert_serves(&bench.conn);
}

#[test]
fn a_panic_ends_it() {
    let bench = Bench::new();
    let work = || {
        without_waiting(EFFORT, || -> () {
            assert!(must_not_wait());
            panic!("as wanted");
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
    assert_serves(&bench.conn);
}

#[test]
fn other_threads_may_wait_meanwhile() {
    let bench = Bench::new();
    let conn = bench.another();
    let meanwhile = without_waiting(EFFORT, || {
        let other = std::thread::spawn(move || assert_serves(&conn));
        other.join()
    });
    assert!(meanwhile.unwrap().is_ok());
    assert_serves(&bench.conn);
}
