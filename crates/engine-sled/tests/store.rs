//! Folders that are refused, and what is found again.
#![allow(clippy::unwrap_used)]

use broker_api::{
    BrokerOptions, ErrorKind, HashPath, Initialized, Location, NewContainer, ObjectRecord, Outcome,
    PolicyIndex, Result, StoreKind, Timestamp,
};
use broker_kv::{Devices, KvEngine, OrderedStore, Presence, View, Walk, testing};
use broker_runtime::ops;
use broker_runtime::sync::{Access, Store, SyncEngine};
use engine_sled::{SledDevices, SledOptions};
use std::path::{Path, PathBuf};

type Engine = KvEngine<SledDevices>;

fn engine(devices: &Path) -> Engine {
    let options = SledOptions::new(devices).with_mount_check(false);
    KvEngine::new(SledDevices::new(options.with_cache_capacity_mb(8)))
}

fn location() -> Location {
    let hash = HashPath::new("", "end").container("a", "c");
    Location::new(StoreKind::Container, "sda1", "7", hash).unwrap()
}

fn create(engine: &Engine) -> Result<Initialized> {
    let new = NewContainer {
        account: "a".into(),
        container: "c".into(),
        put_timestamp: Timestamp::from_seconds(1).into(),
        policy_index: PolicyIndex(0),
        created_at: Timestamp::from_seconds(1),
        id: "id-sda1".into(),
    };
    engine.create_container(&location(), &new, &BrokerOptions::default())
}

fn devices() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("sda1")).unwrap();
    let folder = dir.path().join("sda1/apus-sled/containers");
    (dir, folder)
}

/// A failure would mean that sled does not do what brokers need of it.
#[test]
fn sled_is_an_ordered_store() {
    for seed in 1..4 {
        let (dir, _) = devices();
        let open = || {
            let options = SledOptions::new(dir.path()).with_mount_check(false);
            let devices = SledDevices::new(options.with_cache_capacity_mb(8));
            let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
            loop {
                match devices.open("sda1", StoreKind::Container, Presence::Create) {
                    // sled's own threads hold a closed database for a moment longer.
                    Err(error) if error.kind() == ErrorKind::Busy => {
                        assert!(std::time::Instant::now() < patience, "{error}");
                    }
                    opened => return opened.unwrap().unwrap(),
                }
            }
        };
        testing::check_reopen(open, seed);
        let store = open();
        store.drop_range(&[]..&[0xff; 12]).unwrap();
        testing::check_store(&store, seed);
    }
}

/// A failure would mean that a database of another sled version is taken for an empty one.
#[test]
fn folders_of_others_are_refused_and_left_alone() {
    let (dir, folder) = devices();
    create(&engine(dir.path())).unwrap();
    let marker = folder.join("FORMAT");
    let ours = std::fs::read(&marker).unwrap();
    for other in [
        Some(&b"apus engine-sled, sled 1.0, folder 2\n"[..]),
        Some(b"apus engine-sled, sled 0.34, folder 1\n"),
        Some(b""),
        None,
    ] {
        match other {
            Some(text) => std::fs::write(&marker, text).unwrap(),
            None => std::fs::remove_file(&marker).unwrap(),
        }
        let engine = engine(dir.path());
        let error = engine.exists(&location()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("sled 0.34"), "{error}");
        assert_eq!(create(&engine).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(std::fs::read(&marker).ok().as_deref(), other);
    }
    std::fs::write(&marker, ours).unwrap();
    assert!(engine(dir.path()).exists(&location()).unwrap());
}

/// A failure would mean that two processes write to one database.
#[test]
fn a_database_that_is_open_elsewhere_is_busy() {
    let (dir, _) = devices();
    let first = engine(dir.path());
    create(&first).unwrap();
    let second = engine(dir.path());
    let error = create(&second).unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Busy, Outcome::NotApplied)
    );
    drop(first);
    assert_eq!(create(&second).unwrap(), Initialized::AlreadyExisted);
}

/// A failure would mean that reading makes folders on devices that use another engine.
#[test]
fn reading_makes_nothing() {
    let (dir, _) = devices();
    let engine = engine(dir.path());
    assert!(!engine.exists(&location()).unwrap());
    assert!(engine.open_container(&location()).unwrap().is_none());
    engine.remove(&location()).unwrap();
    engine.set_synced(&location(), false).unwrap();
    assert!(engine.synced("sda1", None, 9).unwrap().is_empty());
    assert!(
        engine
            .stores("../sda1", StoreKind::Container, None, 9)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        std::fs::read_dir(dir.path().join("sda1")).unwrap().count(),
        0
    );
}

/// A failure would mean that a store is made below the mount point of a device that is not mounted.
#[test]
fn a_device_that_is_not_mounted_is_refused() {
    let (dir, _) = devices();
    let unmounted = KvEngine::new(SledDevices::new(SledOptions::new(dir.path())));
    assert_eq!(
        create(&unmounted).unwrap_err().outcome(),
        Outcome::NotApplied
    );
    assert_eq!(
        std::fs::read_dir(dir.path().join("sda1")).unwrap().count(),
        0
    );
    std::fs::write(dir.path().join("sda1/.ismount"), "").unwrap();
    assert_eq!(create(&unmounted).unwrap(), Initialized::Created);
}

/// A failure would mean that a commit that is being applied shows in part.
#[test]
fn a_commit_waits_for_readers_and_says_busy() {
    let (dir, _) = devices();
    let engine = engine(dir.path());
    create(&engine).unwrap();
    let open = || engine.open_container(&location()).unwrap().unwrap();
    let (mut reader, mut writer) = (open(), open());
    reader
        .begin(Access::Read, &BrokerOptions::default())
        .unwrap();
    let mut options = BrokerOptions::default();
    options.timeout = std::time::Duration::from_millis(50);
    writer.begin(Access::Write, &options).unwrap();
    let record = ObjectRecord::put("o", Timestamp::from_seconds(2), 1, "t/x", "e");
    ops::merge_objects(&mut writer, &[record], None).unwrap();
    let error = writer.commit().unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Busy, Outcome::NotApplied)
    );
    assert_eq!(reader.facts().unwrap().store().max_row.0, -1);
}

/// A failure would mean that a process killed while it opened a database leaves one that never opens again.
#[test]
fn what_sled_left_unfinished_is_removed() {
    let (dir, folder) = devices();
    // Killed before the database had any data, in the middle of its configuration.
    std::fs::create_dir_all(folder.join("db/blobs")).unwrap();
    std::fs::write(folder.join("FORMAT"), marker()).unwrap();
    std::fs::write(folder.join("db/conf"), "segment_size: 524288\nversi").unwrap();
    create(&engine(dir.path())).unwrap();
    // Killed in the middle of a snapshot that would be the newest.
    let unfinished = folder.join("db/snap.7FFFFFFFFFFFFFFF.generating");
    std::fs::write(&unfinished, "half").unwrap();
    assert!(engine(dir.path()).exists(&location()).unwrap());
    assert!(!unfinished.exists());
}

/// A failure would mean that a reader misses rows, or sees some twice, while rows of other stores between his
/// come and go and their blocks are cut; or that of two stores that write to one block, one loses its rows.
#[test]
fn walks_pass_keys_that_stay_once_while_blocks_are_cut() {
    const STAY: u32 = 400;
    const ROUNDS: u32 = 300;
    let (dir, _) = devices();
    let options = SledOptions::new(dir.path()).with_mount_check(false);
    let devices = SledDevices::new(options);
    let store = devices.open("sda1", StoreKind::Container, Presence::Create);
    let store = store.unwrap().unwrap();
    let keys = |rest: &str| -> Vec<_> {
        let keys = (0..STAY).map(|number| format!("{number:05}{rest}"));
        keys.map(String::into_bytes).collect()
    };
    let found = |rest: &str, walk| {
        let (view, mut found) = (store.view().unwrap(), Vec::new());
        let mut cursor = view.cursor(b"0"..b"1", walk).unwrap();
        while let Some((key, _)) = cursor.entry() {
            if key[5..] == *rest.as_bytes() {
                found.push(key.to_vec());
            }
            cursor.step().unwrap();
        }
        if walk == Walk::Down {
            found.reverse();
        }
        found
    };
    let put = |key| (key, Some(vec![1; 150]));
    let stay = keys("");
    store
        .apply(stay.iter().cloned().map(put).collect())
        .unwrap();
    // Ends with a round that puts every seventh key.
    let come_and_go = |rest: &str| {
        for round in 0..=2 * ROUNDS {
            let some = keys(rest).into_iter().skip(3).step_by(7).map(put);
            let change = some.map(|(key, value)| (key, value.filter(|_| round % 2 == 0)));
            store.apply(change.collect()).unwrap();
        }
    };
    std::thread::scope(|scope| {
        let others = ["other", "third"].map(|rest| scope.spawn(move || come_and_go(rest)));
        while others.iter().any(|other| !other.is_finished()) {
            for walk in [Walk::Up, Walk::Down] {
                let found = found("", walk);
                assert!(found == stay, "{walk:?}: {} of {STAY} keys", found.len());
            }
        }
    });
    for rest in ["other", "third"] {
        let wanted: Vec<_> = keys(rest).into_iter().skip(3).step_by(7).collect();
        assert_eq!(found(rest, Walk::Up), wanted);
    }
}

/// A failure would mean that a batch against the rules spoils rows of other stores.
#[test]
fn of_a_key_that_is_twice_in_a_batch_the_later_change_counts() {
    let (dir, _) = devices();
    let options = SledOptions::new(dir.path()).with_mount_check(false);
    let store = SledDevices::new(options).open("sda1", StoreKind::Container, Presence::Create);
    let store = store.unwrap().unwrap();
    let put = |value: u8| (b"b".to_vec(), Some(vec![value]));
    let others = [(b"a".to_vec(), Some(vec![0])), (b"c".to_vec(), None)];
    let batch = others.into_iter().chain([put(1), put(2), put(3)]);
    store.apply(batch.collect()).unwrap();
    let view = store.view().unwrap();
    let found = view.get_many(&[b"b", b"a", b"c"]).unwrap();
    assert_eq!(found, [Some(vec![3]), Some(vec![0]), None]);
}

/// The marker that this version writes.
fn marker() -> Vec<u8> {
    let (dir, folder) = devices();
    create(&engine(dir.path())).unwrap();
    std::fs::read(folder.join("FORMAT")).unwrap()
}
