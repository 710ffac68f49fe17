//! Stores through the contract: creation, reopening, removal, corruption, sharding.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{
    AccountBrokerExt, BrokerOptions, ContainerBrokerExt, ContainerRecord, DeviceHealth, Durability,
    ErrorKind, Initialized, ListObjects, ListingQuery, MergeOptions, PolicyIndex, RowFilter, RowId,
    StoreKind, TimestampText,
};
use common::*;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn new_container_has_one_zero_statistic() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let info = broker.get_info().await.unwrap();
    assert_eq!(info.policy_stats.len(), 1);
    assert_eq!(info.store.max_row, RowId::NONE);
    assert_eq!(info.store.delete_timestamp.as_str(), "0");
    assert_eq!(info.store.status_changed_at, text(1));
    assert_eq!(info.container, "c");
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_are_listed_and_survive_reopening() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    for name in ["b", "a", "☃", "d/1", "d/2"] {
        broker.put_object(object(name, 5)).await.unwrap();
    }
    broker.delete_object("b", at(6)).await.unwrap();
    let list = |mut names: ListingQuery, delimiter: &str| {
        names.delimiter = delimiter.into();
        ListObjects::new(names)
    };
    let query = list(ListingQuery::new(100), "/");
    let names = |page: Vec<broker_api::ObjectEntry>| -> Vec<String> {
        page.iter().map(|entry| entry.name().to_owned()).collect()
    };
    let page = broker.object_page(&query).await.unwrap();
    assert_eq!(names(page), ["a", "d/", "☃"]);
    let again = reopen(bench.devices(), Durability::Disk);
    let broker = again.container(&container_at("c"), &BrokerOptions::default());
    let page = broker
        .object_page(&list(ListingQuery::new(2), ""))
        .await
        .unwrap();
    assert_eq!(names(page), ["a", "d/1"]);
    let info = broker.get_info().await.unwrap();
    assert_eq!((info.object_count(), info.bytes_used()), (4, 40));
}

/// Several small directories in a row are stepped over or sought; both must show the same.
#[tokio::test(flavor = "multi_thread")]
async fn listings_in_both_directions_roll_up_alike() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let mut records = Vec::new();
    for dir in 0..20 {
        for file in 0..dir {
            records.push(object(&format!("{dir:02}/{file:02}"), 5));
        }
        records.push(object(&format!("{dir:02}~"), 5).in_policy(PolicyIndex(1)));
    }
    broker
        .merge_items(records, MergeOptions::default())
        .await
        .unwrap();
    let mut names = ListingQuery::new(1000);
    names.delimiter = "/".into();
    let mut query = ListObjects::new(names);
    let up = broker.object_page(&query).await.unwrap();
    assert_eq!(up.len(), 19);
    query.names.reverse = true;
    let mut down = broker.object_page(&query).await.unwrap();
    down.reverse();
    assert_eq!(up, down);
    query.policy = broker_api::PolicyFilter::All;
    query.deleted = broker_api::DeletedFilter::Both;
    assert_eq!(broker.object_page(&query).await.unwrap().len(), 39);
}

#[tokio::test(flavor = "multi_thread")]
async fn live_rows_and_tombstones_come_in_one_order() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    for (i, name) in ["a", "b", "c", "d"].iter().enumerate() {
        match i % 2 {
            0 => broker.put_object(object(name, 5)).await.unwrap(),
            _ => broker.delete_object(name, at(5)).await.unwrap(),
        }
    }
    let mut query = ListObjects::new(ListingQuery::new(3));
    query.deleted = broker_api::DeletedFilter::Both;
    query.names.reverse = true;
    let page = broker.object_page(&query).await.unwrap();
    let names: Vec<_> = page.iter().map(|entry| entry.name()).collect();
    assert_eq!(names, ["d", "c", "b"]);
    query.since_row = Some(RowId(3));
    assert_eq!(broker.object_page(&query).await.unwrap().len(), 1);
}

/// If two creators won, the second would wipe what was put into the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn exactly_one_of_many_creators_wins() {
    let bench = Bench::new();
    let engines: Vec<_> = (0..4)
        .map(|_| reopen(bench.devices(), Durability::Process))
        .collect();
    for round in 0..10 {
        let name = format!("c{round}");
        let mut races = Vec::new();
        for engine in engines.iter().cycle().take(12) {
            let broker = engine.container(&container_at(&name), &BrokerOptions::default());
            let new = new_container(&name);
            races.push(tokio::spawn(async move { broker.initialize(&new).await }));
        }
        let mut created = 0;
        for race in races {
            if race.await.unwrap().unwrap() == Initialized::Created {
                created += 1;
            }
        }
        assert_eq!(created, 1);
        let left = fs::read_dir(bench.dir_of(&container_at(&name))).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_under_an_open_handle_is_noticed() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    broker.put_object(object("a", 5)).await.unwrap();
    fs::remove_dir_all(bench.dir_of(&container_at("c"))).unwrap();
    assert!(!broker.exists().await.unwrap());
    assert!(broker.info().await.unwrap().is_none());
    let error = broker.put_object(object("b", 5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!bench.dir_of(&container_at("c")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn replacement_under_an_open_handle_is_noticed() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let other = bench.new_container("other").await;
    broker.put_object(object("a", 5)).await.unwrap();
    assert_eq!(broker.get_info().await.unwrap().object_count(), 1);
    other.put_object(object("x", 5)).await.unwrap();
    other.put_object(object("y", 5)).await.unwrap();
    assert_eq!(other.get_info().await.unwrap().object_count(), 2);
    // As rsync_then_merge does: another file is renamed over the live one.
    let (from, to) = (container_at("other"), container_at("c"));
    fs::rename(bench.db_of(&from), bench.db_of(&to)).unwrap();
    assert_eq!(broker.get_info().await.unwrap().object_count(), 2);
    broker.put_object(object("z", 5)).await.unwrap();
    assert_eq!(broker.get_info().await.unwrap().object_count(), 3);
    assert!(!other.exists().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_store_leaves_no_directories_and_can_be_made_again() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    broker.put_object(object("a", 5)).await.unwrap();
    bench.engine.remove(&container_at("c")).await.unwrap();
    bench.engine.remove(&container_at("c")).await.unwrap();
    let containers = bench.devices().join("sda1/containers");
    assert_eq!(fs::read_dir(containers).unwrap().count(), 0);
    let broker = bench.new_container("c").await;
    assert_eq!(broker.get_info().await.unwrap().object_count(), 0);
}

async fn corrupted(spoil: impl Fn(&std::path::Path)) -> (Bench, String) {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let records = (0..2000).map(|i| object(&format!("o{i:05}"), 5)).collect();
    broker
        .merge_items(records, MergeOptions::default())
        .await
        .unwrap();
    drop(broker);
    bench
        .engine
        .container(&container_at("c"), &BrokerOptions::default());
    spoil(&bench.db_of(&container_at("c")));
    // A fresh process meets the damage.
    let engine = reopen(bench.devices(), Durability::Process);
    let broker = engine.container(&container_at("c"), &BrokerOptions::default());
    let error = match broker.get_info().await {
        Err(error) => error,
        Ok(_) => broker
            .items_since(RowId::NONE, 10_000, RowFilter::All)
            .await
            .unwrap_err(),
    };
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
    assert!(!broker.exists().await.unwrap());
    let hash = container_at("c").hash().to_string();
    let moved = bench
        .devices()
        .join("sda1/quarantined/containers")
        .join(&hash);
    assert!(moved.join(format!("{hash}.db")).exists());
    (bench, error.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_is_no_database_is_quarantined() {
    let (bench, message) = corrupted(|db| fs::write(db, vec![b'x'; 8192]).unwrap()).await;
    assert_eq!(message, "corrupted database");
    // A second quarantine of the same name goes beside the first.
    bench.new_container("c").await;
    bench
        .engine
        .quarantine(&container_at("c"), "a test")
        .await
        .unwrap();
    let quarantined = bench.devices().join("sda1/quarantined/containers");
    assert_eq!(fs::read_dir(quarantined).unwrap().count(), 2);
    let again = bench.engine.quarantine(&container_at("c"), "a test").await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_database_is_quarantined() {
    let (_, message) = corrupted(|db| {
        let mut bytes = fs::read(db).unwrap();
        // Keeps the header and the schema, spoils the rows.
        for page in bytes.chunks_mut(4096).skip(20) {
            page.fill(0xa5);
        }
        fs::write(db, bytes).unwrap();
    })
    .await;
    assert_eq!(message, "malformed database");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_stat_row_is_quarantined() {
    let (_, message) = corrupted(|db| {
        let conn = rusqlite::Connection::open(db).unwrap();
        conn.execute("DELETE FROM container_info", []).unwrap();
    })
    .await;
    assert_eq!(message, "missing row in container_stat table");
}

/// Swift leaves such a file where it is; so does this engine.
#[tokio::test(flavor = "multi_thread")]
async fn empty_file_is_refused_and_stays() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    fs::write(bench.db_of(&container_at("c")), b"").unwrap();
    let error = broker.info().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(broker.exists().await.unwrap());
}

/// Rows that went into a retiring database would never reach the shards.
#[tokio::test(flavor = "multi_thread")]
async fn container_that_begins_to_shard_is_refused_at_once() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    broker.put_object(object("a", 5)).await.unwrap();
    let hash = container_at("c").hash();
    let fresh = bench
        .dir_of(&container_at("c"))
        .join(format!("{hash}_1234567890.12345.db"));
    fs::copy(bench.db_of(&container_at("c")), &fresh).unwrap();
    let error = broker.put_object(object("b", 5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        broker.info().await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert!(broker.exists().await.unwrap());
    let again = broker.initialize(&new_container("c")).await.unwrap();
    assert_eq!(again, Initialized::AlreadyExisted);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_that_holds_the_lock_makes_puts_busy() {
    let bench = Bench::new();
    let options = BrokerOptions::for_reading();
    bench
        .new_container("c")
        .await
        .put_object(object("a", 5))
        .await
        .unwrap();
    let lock = fs::File::open(bench.dir_of(&container_at("c")).join(".lock")).unwrap();
    lock.lock().unwrap();
    let broker = bench.engine.container(&container_at("c"), &options);
    let error = broker.put_object(object("b", 5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(error.outcome(), broker_api::Outcome::NotApplied);
    // A reader that accepts stale answers gets one.
    assert_eq!(broker.get_info().await.unwrap().object_count(), 0);
    drop(lock);
    assert_eq!(broker.get_info().await.unwrap().object_count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_that_writes_makes_merges_busy() {
    let bench = Bench::new();
    bench.new_container("c").await;
    let mut options = BrokerOptions::default();
    options.timeout = std::time::Duration::from_millis(50);
    let broker = bench.engine.container(&container_at("c"), &options);
    let db = bench.db_of(&container_at("c"));
    let other = tokio::task::spawn_blocking(move || {
        let conn = rusqlite::Connection::open(db).unwrap();
        conn.execute_batch("BEGIN IMMEDIATE").unwrap();
        conn
    });
    let other = other.await.unwrap();
    let merge = broker.merge_items(vec![object("a", 5)], MergeOptions::default());
    let error = merge.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(broker.get_info().await.unwrap().object_count(), 0);
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    let merge = broker.merge_items(vec![object("a", 5)], MergeOptions::default());
    merge.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_are_found_page_by_page() {
    let bench = Bench::new();
    let mut made = Vec::new();
    for i in 0..25 {
        let name = format!("c{i}");
        bench.new_container(&name).await;
        made.push(container_at(&name));
    }
    let mut found = Vec::new();
    loop {
        let after = found.last();
        let page = bench
            .engine
            .stores("sda1", StoreKind::Container, after, 4)
            .await
            .unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    let mut sorted = found.clone();
    sorted.sort();
    made.sort();
    assert_eq!(sorted, made);
    let none = bench
        .engine
        .stores("sdz", StoreKind::Account, None, 4)
        .await;
    assert!(none.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn account_totals_follow_its_rows() {
    let bench = Bench::new();
    let broker = bench.new_account().await;
    assert!(broker.get_info().await.unwrap().policy_stats.is_empty());
    let report = |name: &str, put: u64, delete: TimestampText, count: i64, policy: i64| {
        ContainerRecord::report(
            name,
            text(put),
            delete,
            count,
            count * 10,
            PolicyIndex(policy),
        )
    };
    let never = TimestampText::never;
    broker
        .put_container(report("c", 5, never(), 3, 0))
        .await
        .unwrap();
    let info = broker.get_info().await.unwrap();
    assert_eq!(
        info.store.hash.to_string(),
        "8dca61ef466f20457ee785e6ed47527f"
    );
    broker
        .put_container(report("d", 5, never(), 1, 2))
        .await
        .unwrap();
    broker
        .put_container(report("c", 5, text(6), 0, 0))
        .await
        .unwrap();
    let info = broker.get_info().await.unwrap();
    assert_eq!(
        (info.container_count, info.object_count, info.bytes_used),
        (1, 1, 10)
    );
    assert_eq!(info.policy_stats.len(), 2);
    let page = broker.container_page(&ListingQuery::new(10)).await.unwrap();
    assert_eq!(page.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unmounted_device_is_absent_and_takes_no_stores() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sda1")).unwrap();
    let options = engine_sqlite::SqliteOptions::new(dir.path());
    let engine = engine_sqlite::open(options, &Default::default()).unwrap();
    assert_eq!(
        engine.device_health("sda1").await.unwrap(),
        DeviceHealth::Absent
    );
    let broker = engine.container(&container_at("c"), &BrokerOptions::default());
    assert!(broker.initialize(&new_container("c")).await.is_err());
    fs::write(dir.path().join("sda1/.ismount"), b"").unwrap();
    let health = engine.device_health("sda1").await.unwrap();
    assert!(matches!(health, DeviceHealth::Ready { .. }));
    broker.initialize(&new_container("c")).await.unwrap();
}

/// Guessing at a name would replicate another row than the one that is hashed.
#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf8_is_named_and_not_quarantined() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let records = vec![object("a", 5), object("b", 5)];
    let merge = broker.merge_items(records, MergeOptions::default());
    merge.await.unwrap();
    {
        let conn = rusqlite::Connection::open(bench.db_of(&container_at("c"))).unwrap();
        conn.execute_batch(
            "DROP TRIGGER object_update;
            UPDATE object SET etag = CAST(x'ff' AS TEXT) WHERE name = 'b';
            UPDATE object SET etag = NULL, size = NULL WHERE name = 'a';",
        )
        .unwrap();
    }
    let rows = broker.items_since(RowId::NONE, 1, RowFilter::All).await;
    let rows = rows.unwrap();
    assert_eq!((rows[0].etag.as_str(), rows[0].size), ("", 0));
    let query = ListObjects::new(ListingQuery::new(10));
    let error = broker.object_page(&query).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.message(), "etag of row 2 of object is not UTF-8");
    assert!(broker.exists().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn preallocation_gives_room_without_changing_the_size() {
    use std::os::unix::fs::MetadataExt;
    let bench = Bench::new();
    let options = engine_sqlite::SqliteOptions::new(bench.devices())
        .with_mount_check(false)
        .with_db_preallocation(true);
    let engine = engine_sqlite::open(options, &Default::default()).unwrap();
    let broker = engine.container(&container_at("c"), &BrokerOptions::default());
    broker.initialize(&new_container("c")).await.unwrap();
    broker.put_object(object("a", 5)).await.unwrap();
    assert_eq!(broker.get_info().await.unwrap().object_count(), 1);
    let metadata = fs::metadata(bench.db_of(&container_at("c"))).unwrap();
    assert!(metadata.size() < 200_000);
    assert!(
        metadata.blocks() * 512 >= 1024 * 1024,
        "{}",
        metadata.blocks()
    );
}

/// The list is one of links, which nobody follows to tell what is on it.
#[tokio::test(flavor = "multi_thread")]
async fn synced_containers_are_links_to_their_databases() {
    let bench = Bench::new();
    let (c, absent) = (container_at("c"), container_at("absent"));
    bench.new_container("c").await;
    for location in [&c, &absent] {
        bench.engine.set_synced(location, true).await.unwrap();
        bench.engine.set_synced(location, true).await.unwrap();
        let link = link_of(&bench, location);
        assert_eq!(fs::read_link(link).unwrap(), bench.db_of(location));
    }
    // A link that Swift made to a database named after an epoch counts, too.
    let link = link_of(&bench, &absent);
    let epoch = link.with_file_name(format!("{}_1.db", absent.hash()));
    fs::rename(&link, &epoch).unwrap();
    bench.engine.set_synced(&absent, true).await.unwrap();
    assert!(!link.is_symlink());
    let mut wanted = vec![absent.clone(), c.clone()];
    wanted.sort_by_key(|location| (location.hash().suffix(), location.hash()));
    assert_eq!(bench.engine.synced("sda1", None, 10).await.unwrap(), wanted);

    bench.engine.set_synced(&absent, false).await.unwrap();
    assert!(!epoch.is_symlink());
    let list = bench.devices().join("sda1/sync_containers");
    assert_eq!(fs::read_dir(list.join("7")).unwrap().count(), 1);
    fs::write(link_of(&bench, &c).with_file_name("foreign"), "").unwrap();
    bench.engine.set_synced(&c, false).await.unwrap();
    assert_eq!(bench.engine.synced("sda1", None, 10).await.unwrap(), []);
    assert!(list.exists(), "a directory that is not empty went");
    fs::remove_file(link_of(&bench, &c).with_file_name("foreign")).unwrap();
    bench.engine.set_synced(&c, false).await.unwrap();
    assert!(!list.exists(), "empty directories stay");
    bench.engine.set_synced(&c, false).await.unwrap();
    bench.engine.remove(&c).await.unwrap();
    assert!(bench.devices().join("sda1").exists(), "the device went");
}

fn link_of(bench: &Bench, location: &broker_api::Location) -> std::path::PathBuf {
    let dir = bench.devices().join("sda1/sync_containers/7");
    let hash = location.hash().to_string();
    dir.join(location.hash().suffix())
        .join(&hash)
        .join(format!("{hash}.db"))
}

/// Links below the mount point of a device that is not mounted would hide from the device.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_listed_on_a_device_that_is_not_mounted() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sda1")).unwrap();
    let options = engine_sqlite::SqliteOptions::new(dir.path());
    let engine = engine_sqlite::open(options, &Default::default()).unwrap();
    let error = engine
        .set_synced(&container_at("c"), true)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(fs::read_dir(dir.path().join("sda1")).unwrap().count(), 0);
}

/// Begins a transaction, as another process would, and holds it.
async fn other_process(bench: &Bench, begin: &'static str) -> rusqlite::Connection {
    let db = bench.db_of(&container_at("c"));
    let begun = tokio::task::spawn_blocking(move || {
        let conn = rusqlite::Connection::open(db).unwrap();
        conn.execute_batch(begin).unwrap();
        conn
    });
    begun.await.unwrap()
}

/// Swift's replicator renames a file over the store without any lock. What is committed to the old file
/// at that moment would be acknowledged and gone.
#[tokio::test(flavor = "multi_thread")]
async fn write_that_is_committed_while_the_store_is_replaced_is_not_lost() {
    for is_buffered in [true, false] {
        let bench = Bench::new();
        let broker = bench.new_container("c").await;
        let db = bench.db_of(&container_at("c"));
        let staged = bench.devices().join("staged.db");
        fs::copy(&db, &staged).unwrap();
        if is_buffered {
            broker.put_object(object("buffered", 5)).await.unwrap();
        }
        // A reader lets others write, and holds up their commit.
        let other = other_process(&bench, "BEGIN; SELECT * FROM container_info").await;
        let writer = std::sync::Arc::clone(&broker);
        let merge = tokio::spawn(async move {
            let records = vec![object("merged", 5)];
            writer.merge_items(records, MergeOptions::default()).await
        });
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        fs::rename(&staged, &db).unwrap();
        drop(other);
        let error = merge.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        let there = broker.get_info().await.unwrap().object_count();
        assert_eq!(there, i64::from(is_buffered));
    }
}

/// A GET would take as long as another process holds the file, and keep a worker and `.lock` with it.
#[tokio::test(flavor = "multi_thread")]
async fn reader_for_a_client_does_not_wait_for_a_writer() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    broker.put_object(object("a", 5)).await.unwrap();
    let _other = other_process(&bench, "BEGIN IMMEDIATE").await;
    let reader = bench
        .engine
        .container(&container_at("c"), &BrokerOptions::for_reading());
    let soon = std::time::Duration::from_secs(10);
    let info = tokio::time::timeout(soon, reader.get_info()).await;
    assert_eq!(info.expect("it waits").unwrap().object_count(), 1);
}
