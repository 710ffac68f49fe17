//! Whole stores from engine to engine.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use broker_api::{
    ContainerBroker, ContainerRecord, Direction, Engine, HashPath, Location, MergeOptions,
    MetadataEntry, NewAccount, NewContainer, ObjectRecord, PolicyIndex, RowId, StoreKind,
    SyncPoint, Timestamp, TimestampText,
};
use broker_copy::{CopyError, PAGE, StoreBroker, copy_store, same_image};
use broker_runtime::RuntimeOptions;
use engine_sled::SledOptions;
use engine_sqlite::SqliteOptions;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More than two pages.
const ROWS: usize = 2 * PAGE + 500;

fn container_at() -> Location {
    let hash = HashPath::new("", "test").container("a", "c");
    Location::new(StoreKind::Container, "sda1", "1", hash).unwrap()
}

fn account_at() -> Location {
    let hash = HashPath::new("", "test").account("a");
    Location::new(StoreKind::Account, "sda1", "1", hash).unwrap()
}

fn devices() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sda1")).unwrap();
    folder
}

fn sqlite(devices: &Path) -> Arc<dyn Engine> {
    let options = SqliteOptions::new(devices).with_mount_check(false);
    engine_sqlite::open(options, &RuntimeOptions::default()).unwrap()
}

fn sled(devices: &Path) -> Arc<dyn Engine> {
    let options = SledOptions::new(devices).with_mount_check(false);
    engine_sled::open(options, &RuntimeOptions::default()).unwrap()
}

fn memory() -> Arc<dyn Engine> {
    engine_memory::MemoryEngine::open().unwrap()
}

fn at(seconds: u64) -> TimestampText {
    Timestamp::from_seconds(seconds).into()
}

async fn make_container(broker: &dyn ContainerBroker, rows: usize) {
    let new = NewContainer {
        account: "a".into(),
        container: "c".into(),
        put_timestamp: at(1),
        policy_index: PolicyIndex(1),
        created_at: Timestamp::from_seconds(1),
        id: "an-id".into(),
    };
    broker.initialize(&new).await.unwrap();
    let record = |number: usize| {
        let name = format!("{:05}", number * 7919 % rows.max(1));
        match number % 10 {
            0 => ObjectRecord::delete(name, Timestamp::from_seconds(2)),
            digit => ObjectRecord::put(name, Timestamp::from_seconds(2), 1, "t", "e")
                .in_policy(PolicyIndex(i64::from(digit > 5))),
        }
    };
    let records = (0..rows).map(record).collect();
    broker
        .merge_items(records, MergeOptions::default())
        .await
        .unwrap();
    let again = (0..rows / 50).map(|number| ObjectRecord {
        created_at: broker_api::ObjectTimestamps::all(Timestamp::from_seconds(3)),
        ..record(number)
    });
    broker
        .merge_items(again.collect(), MergeOptions::default())
        .await
        .unwrap();
    let metadata = [MetadataEntry::new("k", "v", "1")];
    broker.update_metadata(&metadata, None).await.unwrap();
    let points = [SyncPoint::new("peer", RowId(7))];
    broker
        .replicate()
        .merge_sync_points(Direction::Incoming, &points)
        .await
        .unwrap();
}

async fn source(devices: &Path, rows: usize) -> (Arc<dyn Engine>, StoreBroker) {
    let engine = sqlite(devices);
    let broker = StoreBroker::open(&*engine, &container_at());
    let StoreBroker::Container(container) = &broker else {
        unreachable!()
    };
    make_container(&**container, rows).await;
    (engine, broker)
}

fn target(engine: &dyn Engine) -> StoreBroker {
    StoreBroker::open(engine, &container_at())
}

/// A failure would mean that a journey through engines changes a container.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_goes_round_and_is_the_same() {
    let (one, two, three) = (devices(), devices(), devices());
    let (_sqlite, start) = source(one.path(), ROWS).await;
    let engines = [sled(two.path()), sqlite(three.path()), memory()];
    let mut digests = Vec::new();
    let mut from = start.clone();
    for engine in &engines {
        let to = target(&**engine);
        let copied = copy_store(&from, &to, &|_| ()).await.unwrap();
        assert_eq!((copied.rows, copied.was_there), (ROWS as u64, false));
        assert!(same_image(&start, &to).await.unwrap());
        digests.push(copied.digest);
        from = to;
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    let again = copy_store(&start, &from, &|_| ()).await.unwrap();
    assert_eq!((again.was_there, &again.digest), (true, &digests[0]));
}

/// A failure would mean that a copy of what nobody ever had passes for a good one.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changes_is_noticed() {
    let (one, two) = (devices(), devices());
    let (_engine, from) = source(one.path(), ROWS).await;
    let StoreBroker::Container(container) = &from else {
        unreachable!()
    };
    let engine = sled(two.path());
    let (pages, handle) = (AtomicUsize::new(0), tokio::runtime::Handle::current());
    let watch = |_| {
        if pages.fetch_add(1, Ordering::SeqCst) == 1 {
            let record = ObjectRecord::put("00001", Timestamp::from_seconds(9), 5, "t", "e");
            let merged = container.merge_items(vec![record], MergeOptions::default());
            tokio::task::block_in_place(|| handle.block_on(merged)).unwrap();
        }
    };
    let error = copy_store(&from, &target(&*engine), &watch)
        .await
        .unwrap_err();
    assert!(matches!(error, CopyError::Changed), "{error}");
    assert!(target(&*engine).facts().await.unwrap().is_none());
    copy_store(&from, &target(&*engine), &|_| ()).await.unwrap();
}

/// A failure would mean that what another client wrote at the target is lost, or taken for a copy.
#[tokio::test(flavor = "multi_thread")]
async fn another_store_at_the_target_is_left_alone() {
    let one = devices();
    let (_engine, from) = source(one.path(), 20).await;
    let engine = memory();
    let to = target(&*engine);
    let StoreBroker::Container(container) = &to else {
        unreachable!()
    };
    make_container(&**container, 19).await;
    let before = to.image().await.unwrap();
    let error = copy_store(&from, &to, &|_| ()).await.unwrap_err();
    assert!(matches!(error, CopyError::Occupied("facts")), "{error}");
    assert_eq!(to.image().await.unwrap(), before);
}

/// A failure would mean that rows that differ where the hash does not look are taken for equal.
#[tokio::test(flavor = "multi_thread")]
async fn rows_with_another_etag_are_another_store() {
    let one = devices();
    let (_engine, from) = source(one.path(), 20).await;
    let engine = memory();
    let to = target(&*engine);
    let image = from.image().await.unwrap().unwrap();
    let broker_api::Rows::Objects(mut rows) = from.rows_since(RowId::NONE, 100).await.unwrap()
    else {
        unreachable!()
    };
    rows[3].etag = "another".into();
    let snapshot = to.broker().snapshot().unwrap();
    snapshot.begin(&image).await.unwrap();
    snapshot.add(broker_api::Rows::Objects(rows)).await.unwrap();
    snapshot.finish().await.unwrap();
    let error = copy_store(&from, &to, &|_| ()).await.unwrap_err();
    assert!(matches!(error, CopyError::Occupied("rows")), "{error}");
}

/// A failure would mean that a file whose hash is wrong becomes the truth on another engine.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_facts_do_not_fit_its_rows_is_refused() {
    let (one, two) = (devices(), devices());
    let (engine, from) = source(one.path(), 20).await;
    drop((engine, from));
    let file = walk(one.path()).pop().unwrap();
    let sql = "UPDATE policy_stat SET object_count = object_count + 1";
    rusqlite::Connection::open(&file)
        .unwrap()
        .execute(sql, [])
        .unwrap();
    let engine = sqlite(one.path());
    let to = sled(two.path());
    let error = copy_store(&target(&*engine), &target(&*to), &|_| ())
        .await
        .unwrap_err();
    assert!(matches!(error, CopyError::Unproven(_)), "{error}");
    assert!(target(&*to).facts().await.unwrap().is_none());
}

/// A failure would mean that half a copy of an older state spoils every later attempt.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_attempt_left_is_used_or_dropped() {
    let (one, two) = (devices(), devices());
    let (_engine, from) = source(one.path(), ROWS).await;
    let engine = sqlite(two.path());
    let to = target(&*engine);
    let image = from.image().await.unwrap().unwrap();
    let snapshot = to.broker().snapshot().unwrap();
    for spoil in [false, true] {
        let broker_api::Rows::Objects(mut rows) = from.rows_since(RowId::NONE, PAGE).await.unwrap()
        else {
            unreachable!()
        };
        if spoil {
            rows[5].created_at = "0000000007.00000".into();
        }
        let last = rows.last().unwrap().row_id;
        snapshot.begin(&image).await.unwrap();
        snapshot.add(broker_api::Rows::Objects(rows)).await.unwrap();
        let copied = copy_store(&from, &to, &|_| ()).await.unwrap();
        let expected = if spoil { RowId::NONE } else { last };
        assert_eq!((copied.resumed_at, copied.rows), (expected, ROWS as u64));
        engine.remove(&container_at()).await.unwrap();
    }
}

/// A failure would mean that accounts from before Swift 2.1 cannot leave their files.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_statistics_gets_them_from_its_rows() {
    let one = devices();
    let engine = sqlite(one.path());
    let StoreBroker::Account(account) = StoreBroker::open(&*engine, &account_at()) else {
        unreachable!()
    };
    let new = NewAccount {
        account: "a".into(),
        put_timestamp: at(1),
        created_at: Timestamp::from_seconds(1),
        id: "an-id".into(),
    };
    account.initialize(&new).await.unwrap();
    let report = |name: &str, policy| {
        ContainerRecord::report(
            name,
            at(2),
            TimestampText::never(),
            3,
            30,
            PolicyIndex(policy),
        )
    };
    let records = vec![report("a", 0), report("b", 0), report("c", 1)];
    account
        .merge_items(records, MergeOptions::default())
        .await
        .unwrap();
    let expected = account.info().await.unwrap().unwrap();
    drop((engine, account));
    let file = walk(one.path()).pop().unwrap();
    let sql = "ALTER TABLE policy_stat DROP COLUMN container_count";
    let old = rusqlite::Connection::open(&file).unwrap();
    old.execute_batch("DROP TRIGGER container_insert_ps; DROP TRIGGER container_delete_ps")
        .unwrap();
    old.execute_batch(sql).unwrap();
    let (engine, to) = (sqlite(one.path()), memory());
    let (from, to) = (
        StoreBroker::open(&*engine, &account_at()),
        StoreBroker::open(&*to, &account_at()),
    );
    copy_store(&from, &to, &|_| ()).await.unwrap();
    let StoreBroker::Account(copy) = &to else {
        unreachable!()
    };
    assert_eq!(copy.info().await.unwrap().unwrap(), expected);
    assert!(copy_store(&from, &to, &|_| ()).await.unwrap().was_there);
}

#[tokio::test]
async fn nothing_is_no_source() {
    let (from, to) = (memory(), memory());
    let error = copy_store(&target(&*from), &target(&*to), &|_| ())
        .await
        .unwrap_err();
    assert!(matches!(error, CopyError::SourceAbsent));
}

/// Every database below a folder.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false if path.extension().is_some_and(|ending| ending == "db") => found.push(path),
            false => {}
        }
    }
    found
}
