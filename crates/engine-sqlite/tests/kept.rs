//! What listings keep of rows, in files that change.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::listing::{NameRange, Step};
use broker_api::{
    BrokerOptions, DeletedFilter, ErrorKind, ObjectRecord, ObjectRow, PolicyFilter, PolicyIndex,
    Result,
};
use broker_runtime::ops;
use broker_runtime::sync::{Access, ContainerStore, ObjectFilter, Store, SyncEngine};
use common::{Bench, at, connect, container_at, new_container, object};
use engine_sqlite::{Container, SqliteEngine, SqliteOptions, SqliteStore};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::ops::Bound;
use std::os::unix::fs::FileExt;

/// Enough for rows to be kept.
const ROWS: usize = 1500;

/// Listings until rows are kept: two show many, the third is remembered, the fourth keeps.
const LISTINGS: usize = 4;

/// A container whose rows lie in another order than their names.
struct Scattered {
    bench: Bench,
    store: SqliteStore<Container>,
}

fn name(n: usize) -> String {
    format!("object-{:04}", n * 7 % ROWS)
}

impl Scattered {
    fn new() -> Self {
        Self::with_room(4)
    }

    fn with_room(page_cache_mb: u64) -> Self {
        let bench = Bench::new();
        let mut options = SqliteOptions::new(bench.devices()).with_mount_check(false);
        options.page_cache_mb = page_cache_mb;
        let engine = SqliteEngine::new(options);
        let (location, for_all) = (container_at("c"), BrokerOptions::default());
        engine
            .create_container(&location, &new_container("c"), &for_all)
            .unwrap();
        let store = engine.open_container(&location).unwrap().unwrap();
        let mut scattered = Self { bench, store };
        let records: Vec<_> = (0..ROWS).map(|n| object(&name(n), 5)).collect();
        scattered.merge(&records);
        scattered
    }

    /// The same, with rows that are kept.
    fn kept() -> Self {
        let mut scattered = Self::new();
        for _ in 0..LISTINGS {
            assert_eq!(scattered.listed(false).len(), ROWS);
        }
        scattered
    }

    fn begin(&mut self, access: Access) {
        self.store.begin(access, &BrokerOptions::default()).unwrap();
    }

    fn merge(&mut self, records: &[ObjectRecord]) {
        self.begin(Access::Write);
        ops::merge_objects(&mut self.store, records, None).unwrap();
        self.store.commit().unwrap();
    }

    /// Names, sizes and numbers of live rows of policy 0, in the open transaction.
    fn scanned(&mut self, reverse: bool) -> Result<Vec<(String, i64, i64)>> {
        let everything = NameRange {
            lower: Bound::Unbounded,
            upper: Bound::Unbounded,
            reverse,
        };
        let live = ObjectFilter {
            policy: PolicyFilter::Own,
            deleted: DeletedFilter::Live,
            since_row: None,
        };
        let mut rows = Vec::new();
        let scanned = self.store.scan(&everything, &live, &mut |row| {
            rows.push((row.name.to_owned(), row.size, row.row_id.0));
            Step::Next
        });
        scanned.map(|()| rows)
    }

    /// The same in a transaction of its own.
    fn listed(&mut self, reverse: bool) -> Vec<(String, i64, i64)> {
        self.begin(Access::Read);
        let rows = self.scanned(reverse).unwrap();
        self.store.commit().unwrap();
        rows
    }

    /// What a listing shows, once it is seen that it shows what another connection reads.
    fn compared(&mut self) -> Vec<(String, i64, i64)> {
        let listed = self.listed(false);
        let other = self.other();
        let sql = "SELECT name, size, ROWID FROM object
            WHERE deleted = 0 AND storage_policy_index = 0 ORDER BY name";
        let mut rows = other.prepare(sql).unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let rows: Vec<(String, i64, i64)> = rows.unwrap().map(|row| row.unwrap()).collect();
        assert!(listed == rows);
        let mut back = self.listed(true);
        back.reverse();
        assert!(back == rows);
        listed
    }

    /// A handle that keeps nothing.
    fn another_handle(&self) -> SqliteStore<Container> {
        let mut options = SqliteOptions::new(self.bench.devices()).with_mount_check(false);
        options.page_cache_mb = 0;
        let engine = SqliteEngine::new(options);
        engine.open_container(&container_at("c")).unwrap().unwrap()
    }

    fn other(&self) -> Connection {
        connect(&self.bench.db_of(&container_at("c")))
    }
}

/// What no process of Swift does: its trigger is kept from firing.
fn update_in_place(other: &Connection, size: i64) {
    let triggers = DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER;
    other.set_db_config(triggers, false).unwrap();
    let updated = other.execute(
        "UPDATE object SET size = ? WHERE name = 'object-0007'",
        [size],
    );
    assert_eq!(updated, Ok(1));
}

fn size_of(rows: &[(String, i64, i64)], name: &str) -> Option<i64> {
    let row = rows.iter().find(|(of, _, _)| of == name);
    row.map(|(_, size, _)| *size)
}

fn sized(name: &str, seconds: u64, size: i64) -> ObjectRecord {
    ObjectRecord {
        size,
        ..object(name, seconds)
    }
}

/// A failure would mean that a listing looks into the table for what it has shown lately.
#[test]
fn what_is_listed_again_is_not_read_again() {
    let mut scattered = Scattered::kept();
    update_in_place(&scattered.other(), 11);
    let listed = scattered.listed(false);
    assert_eq!(size_of(&listed, "object-0007"), Some(10), "read again");
    // The names of another page come from the index, some rows of it from the table.
    scattered.merge(&[sized("object-0007", 6, 12), sized("object-9999", 6, 13)]);
    let listed = scattered.compared();
    assert_eq!(size_of(&listed, "object-0007"), Some(12));
    assert_eq!(size_of(&listed, "object-9999"), Some(13));
}

/// A failure would mean that walking through a container fills the memory, or that few rows or no room are enough.
#[test]
fn who_begins_elsewhere_each_time_keeps_nothing() {
    let mut without_room = Scattered::with_room(3);
    for _ in 0..=LISTINGS {
        without_room.listed(false);
    }
    update_in_place(&without_room.other(), 11);
    assert_eq!(
        size_of(&without_room.listed(false), "object-0007"),
        Some(11)
    );

    let mut walked = Scattered::new();
    for _ in 0..2 {
        walked.listed(false);
    }
    walked.listed(true);
    walked.listed(false);
    update_in_place(&walked.other(), 11);
    assert_eq!(size_of(&walked.listed(false), "object-0007"), Some(11));
}

/// A failure would mean that a listing shows what was overwritten, deleted, reclaimed or of another policy.
#[test]
fn what_changes_is_shown() {
    let mut scattered = Scattered::kept();
    let mut elsewhere = sized("object-0010+", 6, 14);
    elsewhere.policy_index = PolicyIndex(1);
    scattered.merge(&[
        sized("object-0000", 6, 11),
        ObjectRecord::delete("object-0001", at(6)),
        elsewhere,
    ]);
    let listed = scattered.compared();
    assert_eq!(size_of(&listed, "object-0000"), Some(11));
    assert_eq!(listed.len(), ROWS - 1);

    let other = scattered.other();
    let change = "DELETE FROM object WHERE name IN ('object-0002', 'object-0003');
        INSERT INTO object
            (name, created_at, size, content_type, etag, deleted, storage_policy_index)
            VALUES ('object-0002', '0000000007.00000', 12, 't', 'e', 0, 0),
                ('object-0004+', '0000000007.00000', NULL, 't', 'e', 0, '0'),
                ('object-0005+', '0000000007.00000', 13, 't', 'e', 0, NULL);";
    other.execute_batch(change).unwrap();
    let listed = scattered.listed(false);
    assert_eq!(size_of(&listed, "object-0002"), Some(12));
    assert_eq!(size_of(&listed, "object-0003"), None);
    assert_eq!(size_of(&listed, "object-0004+"), Some(0));
    assert_eq!(scattered.listed(false), listed);

    scattered.begin(Access::Write);
    let removed = scattered
        .store
        .remove_tombstones("", None, "0000000009.00000");
    assert_eq!(removed.unwrap(), 1);
    scattered.store.commit().unwrap();
    scattered.merge(&[sized("object-0001", 8, 15)]);
    let listed = scattered.listed(false);
    assert_eq!(size_of(&listed, "object-0001"), Some(15));
    assert_eq!(listed.len(), ROWS);
}

/// A failure would mean that a listing shows rows of a transaction that was rolled back: their numbers are given again.
#[test]
fn what_is_rolled_back_is_not_kept() {
    let mut scattered = Scattered::kept();
    scattered.begin(Access::Write);
    let record = sized("object-9999", 6, 11);
    ops::merge_objects(&mut scattered.store, &[record], None).unwrap();
    let seen = scattered.scanned(false).unwrap();
    assert_eq!(size_of(&seen, "object-9999"), Some(11));
    scattered.store.rollback();
    scattered.merge(&[sized("object-9999", 6, 12)]);
    assert_eq!(
        scattered.compared()[ROWS],
        ("object-9999".into(), 12, seen[ROWS].2)
    );
}

/// A failure would mean that a row of another policy, whose name cannot be read, stands in the way of the others.
#[test]
fn a_name_that_is_no_text_fails_its_own_policy_only() {
    let mut scattered = Scattered::kept();
    let other = scattered.other();
    // The function that triggers call here wants texts.
    let triggers = DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER;
    other.set_db_config(triggers, false).unwrap();
    let put = "INSERT INTO object
        (name, created_at, size, content_type, etag, deleted, storage_policy_index)
        VALUES (CAST(x'6ffe' AS TEXT), '0000000007.00000', 12, 't', 'e', 0, ?)";
    other.execute(put, [1]).unwrap();
    for _ in 0..LISTINGS {
        assert_eq!(scattered.listed(false).len(), ROWS);
    }
    other.execute(put, [0]).unwrap();
    scattered.begin(Access::Read);
    let error = scattered.scanned(false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    scattered.store.rollback();
}

/// A failure would mean that some listing shows other rows when it is asked for again: from a name on, in reverse, of
/// another policy or of all, from folder to folder, before and after changes.
#[test]
fn every_listing_is_the_same_when_it_is_asked_for_again() {
    let mut scattered = Scattered::kept();
    let mut policies = vec![PolicyFilter::Own, PolicyFilter::All];
    policies.push(PolicyFilter::Only(PolicyIndex(1)));
    let bound = |n: usize| match n % 4 {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Included(format!("object-{:04}", n * 37 % ROWS)),
        _ => Bound::Excluded(format!("object-{:04}", n * 37 % ROWS)),
    };
    for change in 0..6 {
        for n in 0..30 {
            let range = NameRange {
                lower: bound(n),
                upper: bound(n * 7 + 3),
                reverse: n % 3 == 0,
            };
            let filter = ObjectFilter {
                policy: policies[(n / 10) % 3],
                deleted: DeletedFilter::Live,
                since_row: None,
            };
            let by_folders = n % 5 == 0;
            let mut fresh = scattered.another_handle();
            let wanted = shown(&mut fresh, &range, &filter, by_folders);
            for time in 0..3 {
                let found = shown(&mut scattered.store, &range, &filter, by_folders);
                assert!(found == wanted, "{change} {range:?} {filter:?} {time}");
            }
        }
        let mut elsewhere = sized(&format!("object-{change:04}"), 6, 21);
        elsewhere.policy_index = PolicyIndex(1);
        let deleted = ObjectRecord::delete(format!("object-{:04}", change * 100), at(6));
        let over = sized(&format!("object-{:04}", change * 100 + 7), 6, 22);
        scattered.merge(&[elsewhere, deleted, over]);
    }
}

/// All that a scan shows in a transaction of its own; by folders, one row of each ten names.
fn shown(
    store: &mut SqliteStore<Container>,
    range: &NameRange,
    filter: &ObjectFilter,
    by_folders: bool,
) -> Vec<ObjectRow> {
    let mut rows = Vec::new();
    store
        .begin(Access::Read, &BrokerOptions::default())
        .unwrap();
    let scanned = store.scan(range, filter, &mut |row| {
        rows.push(row.to_owned());
        match by_folders && !range.reverse {
            true => Step::Seek(Bound::Included(format!("{}~", &row.name[..10]))),
            false => Step::Next,
        }
    });
    scanned.unwrap();
    store.commit().unwrap();
    rows
}

/// A failure would mean that a file in which a number means another row later is listed with rows of before.
#[test]
fn numbers_that_are_given_again_are_not_kept() {
    let mut scattered = Scattered::new();
    let other = scattered.other();
    let version: i64 = other
        .query_row("PRAGMA schema_version", [], |row| row.get(0))
        .unwrap();
    let change = format!(
        "PRAGMA writable_schema = ON;
        UPDATE sqlite_master SET sql = replace(sql, 'AUTOINCREMENT', '') WHERE name = 'object';
        PRAGMA schema_version = {};",
        version + 1
    );
    other.execute_batch(&change).unwrap();
    for _ in 0..LISTINGS {
        scattered.listed(false);
    }
    let last = name(ROWS - 1);
    let before = scattered.compared();
    scattered.merge(&[sized(&last, 6, 11)]);
    let listed = scattered.compared();
    assert_eq!(size_of(&listed, &last), Some(11));
    let number = |rows: &[(String, i64, i64)]| rows.iter().find(|row| row.0 == last).unwrap().2;
    assert_eq!(
        number(&before),
        number(&listed),
        "the number is given again"
    );
}

/// A failure would mean that an update is not seen in a file that does not refuse it.
#[test]
fn rows_that_may_be_updated_are_not_kept() {
    let mut scattered = Scattered::kept();
    let other = scattered.other();
    other.execute_batch("DROP TRIGGER object_update").unwrap();
    for size in 11..11 + LISTINGS as i64 {
        update_in_place(&other, size);
        assert_eq!(size_of(&scattered.listed(false), "object-0007"), Some(size));
    }
    let refuse = "CREATE TRIGGER object_update BEFORE UPDATE ON object BEGIN
        SELECT RAISE(FAIL, 'UPDATE not allowed; DELETE and INSERT'); END;";
    other.execute_batch(refuse).unwrap();
    assert_eq!(scattered.compared()[7].1, 10 + LISTINGS as i64);
}

/// A failure would mean that rows of before are shown after a copy of the file was put back over it.
#[test]
fn a_file_that_was_put_back_is_read_again() {
    let mut scattered = Scattered::kept();
    let db = scattered.bench.db_of(&container_at("c"));
    let copy = std::fs::read(&db).unwrap();
    scattered.merge(&[sized("object-9998", 6, 11)]);
    scattered.merge(&[sized("object-9999", 6, 12)]);
    assert_eq!(scattered.compared().len(), ROWS + 2);
    std::fs::OpenOptions::new()
        .write(true)
        .open(&db)
        .unwrap()
        .write_all_at(&copy, 0)
        .unwrap();
    assert_eq!(scattered.compared().len(), ROWS);
    scattered.merge(&[sized("object-9998", 6, 21)]);
    assert_eq!(scattered.compared()[ROWS].1, 21);
}

/// A failure would mean that damage is passed over in silence.
#[test]
fn a_row_that_only_the_index_has_is_damage() {
    let mut scattered = Scattered::kept();
    scattered.merge(&[sized("object-9999", 6, 11)]);
    let damage = "PRAGMA writable_schema = ON;
        CREATE TEMP TABLE aside AS SELECT * FROM sqlite_master WHERE type = 'index';
        DELETE FROM sqlite_master WHERE type = 'index';";
    let other = scattered.other();
    other.execute_batch(damage).unwrap();
    // Prepared anew, statements know of no index.
    other
        .execute_batch("PRAGMA writable_schema = RESET")
        .unwrap();
    let deleted = other.execute("DELETE FROM object WHERE name = 'object-9999'", []);
    assert_eq!(deleted, Ok(1));
    let back = "PRAGMA writable_schema = ON;
        INSERT INTO sqlite_master SELECT * FROM aside;";
    other.execute_batch(back).unwrap();
    scattered.begin(Access::Read);
    let error = scattered.scanned(false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    scattered.store.rollback();
}
