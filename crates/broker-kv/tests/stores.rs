//! What reaches the database, and what is left of operations that were cut short.
#![allow(clippy::unwrap_used)]

use broker_api::{
    BrokerOptions, DeviceHealth, Direction, Durability, Error, ErrorKind, Facts, HashPath,
    Initialized, Location, NewAccount, NewContainer, ObjectRecord, Outcome, PolicyIndex, Result,
    RowFilter, RowId, StoreKind, Timestamp,
};
use broker_kv::{
    Batch, Description, Devices, KvEngine, MemoryOrdered, MemoryView, OrderedStore, Presence, View,
    Walk, describe_entry,
};
use broker_runtime::ops;
use broker_runtime::sync::{Access, ContainerStore, StatChange, Store, SyncEngine};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A map in memory that counts, and fails when told to.
#[derive(Debug, Default)]
struct Watched {
    map: Arc<MemoryOrdered>,
    batches: Mutex<Vec<usize>>,
    syncs: AtomicUsize,
    fail_apply: AtomicBool,
    fail_sync: AtomicBool,
    fail_drop: AtomicBool,
}

impl Watched {
    fn fail(&self, switch: &AtomicBool) -> Result<()> {
        match switch.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Full, "told to").with_outcome(Outcome::NotApplied)),
            false => Ok(()),
        }
    }

    /// The sizes of the batches since the last call.
    fn batches(&self) -> Vec<usize> {
        std::mem::take(&mut *self.batches.lock().unwrap())
    }

    fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let view = self.map.view().unwrap();
        let mut cursor = view.cursor(&[]..&[0xff], Walk::Up).unwrap();
        let mut entries = Vec::new();
        while let Some((key, value)) = cursor.entry() {
            entries.push((key.to_vec(), value.to_vec()));
            cursor.step().unwrap();
        }
        entries
    }

    fn described(&self) -> Vec<String> {
        let entries = self.entries();
        entries
            .iter()
            .map(|(key, value)| describe_entry(key, value))
            .collect()
    }
}

impl OrderedStore for Watched {
    type View = MemoryView;

    fn view(self: &Arc<Self>) -> Result<MemoryView> {
        self.map.view()
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        self.fail(&self.fail_apply)?;
        self.batches.lock().unwrap().push(batch.len());
        self.map.apply(batch)
    }

    fn view_of_memory(self: &Arc<Self>) -> Result<Option<MemoryView>> {
        self.map.view_of_memory()
    }

    fn sync(&self) -> Result<()> {
        self.fail(&self.fail_sync)?;
        self.syncs.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn drop_range(&self, range: Range<&[u8]>) -> Result<()> {
        self.fail(&self.fail_drop)?;
        self.map.drop_range(range)
    }

    fn describe(&self) -> Description {
        Description {
            sync_to_acknowledge: true,
            ..self.map.describe()
        }
    }
}

#[derive(Debug, Clone, Default)]
struct OneDevice(Arc<Watched>);

impl Devices for OneDevice {
    type Store = Watched;

    fn name(&self) -> &str {
        "watched"
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }

    fn open(&self, _: &str, kind: StoreKind, _: Presence) -> Result<Option<Arc<Watched>>> {
        // The tests have no accounts but in one of their own.
        Ok((kind == StoreKind::Container).then(|| Arc::clone(&self.0)))
    }

    fn health(&self, _: &str) -> Result<DeviceHealth> {
        Ok(DeviceHealth::Ready {
            free_bytes: 1,
            total_bytes: 1,
        })
    }
}

fn location(container: &str) -> Location {
    let hash = HashPath::new("", "end").container("a", container);
    Location::new(StoreKind::Container, "sda1", "7", hash).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn create(engine: &KvEngine<OneDevice>, container: &str) -> Result<Initialized> {
    let new = NewContainer {
        account: "a".into(),
        container: container.into(),
        put_timestamp: at(1).into(),
        policy_index: PolicyIndex(0),
        created_at: at(1),
        id: "id-sda1".into(),
    };
    engine.create_container(&location(container), &new, &BrokerOptions::default())
}

type Handle = <KvEngine<OneDevice> as SyncEngine>::Container;

fn open(engine: &KvEngine<OneDevice>, container: &str) -> Handle {
    engine
        .open_container(&location(container))
        .unwrap()
        .unwrap()
}

fn write(store: &mut Handle, work: impl FnOnce(&mut Handle)) -> Result<()> {
    store.begin(Access::Write, &BrokerOptions::default())?;
    work(store);
    store.commit()
}

fn merge(store: &mut Handle, names: Range<u32>, time: u64) -> Result<()> {
    let put = |n| ObjectRecord::put(format!("{n:06}"), at(time), 1, "t/x", "e");
    let records: Vec<_> = names.map(put).collect();
    write(store, |store| {
        ops::merge_objects(store, &records, None).unwrap();
    })
}

/// A failure would mean that counts are written row by row, or that a commit can be half applied.
#[test]
fn a_commit_is_one_batch_with_one_stat_record_and_one_sync() {
    let devices = OneDevice::default();
    let engine = KvEngine::new(devices.clone());
    create(&engine, "c").unwrap();
    let mut store = open(&engine, "c");
    devices.0.batches();
    let syncs = devices.0.syncs.load(Ordering::SeqCst);
    merge(&mut store, 0..1000, 2).unwrap();
    assert_eq!(devices.0.batches(), [2 * 1000 + 1]);
    // An overwritten row keeps its key; its entry in the row log moves.
    merge(&mut store, 0..1000, 3).unwrap();
    assert_eq!(devices.0.batches(), [3 * 1000 + 1]);
    assert_eq!(devices.0.syncs.load(Ordering::SeqCst), syncs + 2);
    // What changes nothing writes nothing.
    merge(&mut store, 0..1000, 3).unwrap();
    assert_eq!(devices.0.batches(), [0; 0]);
}

/// A failure would mean that quarantining a large container blocks its device.
#[test]
fn quarantine_writes_two_keys_whatever_the_rows() {
    let devices = OneDevice::default();
    let engine = KvEngine::new(devices.clone());
    create(&engine, "c").unwrap();
    let mut store = open(&engine, "c");
    merge(&mut store, 0..500, 2).unwrap();
    devices.0.batches();
    engine.quarantine(&location("c"), "bit rot").unwrap();
    assert_eq!(devices.0.batches(), [2]);
    assert!(!store.is_current().unwrap());
    let error = store.begin(Access::Read, &BrokerOptions::default());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(create(&engine, "c").unwrap(), Initialized::Created);
    assert!(!engine.exists(&location("d")).unwrap());
    let shown = devices.0.described();
    assert!(shown.iter().any(|line| line.contains("due to bit rot")));
    // The rows are still there for a person to look at.
    let kept = shown
        .iter()
        .filter(|line| line.starts_with("store 0 live object"));
    assert_eq!(kept.count(), 500);
}

/// A failure would mean that a removed container comes back, or that its room is never given back.
#[test]
fn a_removal_that_was_cut_short_is_ended_at_the_next_start() {
    let devices = OneDevice::default();
    let engine = KvEngine::new(devices.clone());
    create(&engine, "c").unwrap();
    create(&engine, "d").unwrap();
    merge(&mut open(&engine, "c"), 0..50, 2).unwrap();
    merge(&mut open(&engine, "d"), 0..50, 2).unwrap();
    devices.0.fail_drop.store(true, Ordering::SeqCst);
    let failed = engine.remove(&location("c")).unwrap_err();
    assert_eq!(failed.outcome(), Outcome::Unknown);
    assert!(!engine.exists(&location("c")).unwrap());
    // Made anew before the old rows are gone, it is empty all the same.
    create(&engine, "c").unwrap();
    let mut anew = open(&engine, "c");
    anew.begin(Access::Read, &BrokerOptions::default()).unwrap();
    assert_eq!(anew.facts().unwrap().store().max_row, RowId::NONE);
    drop((anew, engine));

    devices.0.fail_drop.store(false, Ordering::SeqCst);
    let engine = KvEngine::new(devices.clone());
    assert!(engine.exists(&location("c")).unwrap());
    let shown = devices.0.described();
    let starting = |start: &str| shown.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((starting("store 0 "), starting("being removed")), (0, 0));
    assert_eq!(
        (
            starting("store 1 live object"),
            starting("store 2 live object")
        ),
        (50, 0)
    );
}

/// A failure would mean that a read shows what a loss of power then takes back, or that it waits for a sync.
#[test]
fn a_read_that_does_not_wait_shows_only_what_is_synced() {
    let devices = OneDevice::default();
    let engine = KvEngine::new(devices.clone());
    create(&engine, "c").unwrap();
    let (mut writer, mut reader) = (open(&engine, "c"), open(&engine, "c"));
    let options = BrokerOptions::default();
    merge(&mut writer, 0..1, 2).unwrap();
    assert!(reader.begin_without_waiting(&options));
    assert_eq!(reader.facts().unwrap().store().max_row, RowId(1));
    reader.commit().unwrap();
    devices.0.fail_sync.store(true, Ordering::SeqCst);
    assert!(merge(&mut writer, 1..2, 2).is_err());
    assert!(
        !reader.begin_without_waiting(&options),
        "applied and not synced"
    );
    devices.0.fail_sync.store(false, Ordering::SeqCst);
    reader
        .begin(Access::Read, &BrokerOptions::default())
        .unwrap();
    reader.commit().unwrap();
    assert!(
        reader.begin_without_waiting(&options),
        "the read had it synced"
    );
}

/// A failure would mean that rows which nobody can reach fill the device.
#[test]
fn commits_that_race_with_removals_leave_no_rows_behind() {
    let devices = OneDevice::default();
    let engine = KvEngine::new(devices.clone());
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let engine = &engine;
            scope.spawn(move || {
                for round in 0..100u32 {
                    create(engine, "c").unwrap();
                    if let Some(mut store) = engine.open_container(&location("c")).unwrap() {
                        let at = u64::from(100 * thread + round + 2);
                        match merge(&mut store, 0..5, at) {
                            Ok(()) => {}
                            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
                        }
                        store.rollback();
                    }
                    match (thread + round) % 3 {
                        0 => engine.remove(&location("c")).unwrap(),
                        1 => match engine.quarantine(&location("c"), "x") {
                            Ok(()) => {}
                            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
                        },
                        _ => {}
                    }
                }
            });
        }
    });
    engine.remove(&location("c")).unwrap();
    let shown = devices.0.described();
    let hidden: Vec<_> = shown
        .iter()
        .filter_map(|line| line.strip_prefix("quarantined ")?.split_once(": store "))
        .filter_map(|(_, rest)| Some(format!("store {} ", rest.split_once(',')?.0)))
        .collect();
    for line in shown.iter().filter(|line| line.starts_with("store ")) {
        assert!(hidden.iter().any(|store| line.starts_with(store)), "{line}");
    }
}

/// A failure would mean that a number is used twice, and with it the rows of a removed store.
#[test]
fn store_numbers_are_not_used_again_after_a_restart() {
    let devices = OneDevice::default();
    let engine = KvEngine::new(devices.clone());
    create(&engine, "c").unwrap();
    engine.remove(&location("c")).unwrap();
    drop(engine);
    let engine = KvEngine::new(devices.clone());
    create(&engine, "d").unwrap();
    assert!(
        devices
            .0
            .described()
            .iter()
            .any(|line| line.ends_with(": store 1"))
    );
}

/// A failure would mean that a full device damages what is on it.
#[test]
fn a_batch_that_is_refused_leaves_everything_as_it_was() {
    let devices = OneDevice::default();
    let engine = KvEngine::new(devices.clone());
    create(&engine, "c").unwrap();
    let mut store = open(&engine, "c");
    merge(&mut store, 0..10, 2).unwrap();
    let before = devices.0.entries();
    devices.0.fail_apply.store(true, Ordering::SeqCst);
    let error = merge(&mut store, 5..20, 3).unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Full, Outcome::NotApplied)
    );
    assert!(create(&engine, "d").is_err());
    assert!(engine.remove(&location("c")).is_err());
    assert!(engine.quarantine(&location("c"), "x").is_err());
    assert_eq!(devices.0.entries(), before);
    devices.0.fail_apply.store(false, Ordering::SeqCst);
    assert!(store.is_current().unwrap());
    merge(&mut store, 5..20, 3).unwrap();
    assert_eq!(create(&engine, "d").unwrap(), Initialized::Created);
}

/// Many new names are merged without a look for each tombstone when none is near; a late write to a deleted object
/// must not bring it back, wherever among the others its name is.
#[test]
fn a_large_batch_finds_the_one_tombstone_among_its_names() {
    for deleted in [0, 50, 99] {
        let engine = KvEngine::new(OneDevice::default());
        create(&engine, "c").unwrap();
        let mut store = open(&engine, "c");
        let gone = ObjectRecord::delete(format!("{deleted:06}"), at(9));
        write(&mut store, |store| {
            ops::merge_objects(store, &[gone], None).unwrap();
        })
        .unwrap();
        merge(&mut store, 0..100, 5).unwrap();
        store
            .begin(Access::Read, &BrokerOptions::default())
            .unwrap();
        let Facts::Container(info) = store.facts().unwrap() else {
            panic!("not a container");
        };
        assert_eq!((info.object_count(), info.store.max_row), (99, RowId(100)));
        assert_eq!(store.count_tombstones("").unwrap(), 1);
        store.rollback();
    }
}

/// What a writer learned of tombstones must be true after a rollback as well: a put would not see that the deletion which
/// it meets is newer.
#[test]
fn tombstones_that_a_rollback_brings_back_are_found() {
    let engine = KvEngine::new(OneDevice::default());
    create(&engine, "c").unwrap();
    let mut store = open(&engine, "c");
    let deleted = ObjectRecord::delete("gone", at(5));
    write(&mut store, |store| {
        ops::merge_objects(store, &[deleted], None).unwrap();
    })
    .unwrap();
    drop(store);
    let mut store = open(&engine, "c");
    let put = |name: &str| [ObjectRecord::put(name, at(3), 1, "t/x", "e")];
    let options = BrokerOptions::default();
    store.begin(Access::Write, &options).unwrap();
    let removed = store.remove_tombstones("", None, &at(9).internal());
    assert_eq!(removed.unwrap(), 1);
    ops::merge_objects(&mut store, &put("other"), None).unwrap();
    store.rollback();
    write(&mut store, |store| {
        ops::merge_objects(store, &put("gone"), None).unwrap();
    })
    .unwrap();
    store.begin(Access::Read, &options).unwrap();
    let row = store.row("gone", PolicyIndex(0)).unwrap().unwrap();
    assert!(row.deleted);
    store.rollback();
}

/// Replicators ask for thousands of rows by number, which are looked for in groups and by name: one that is skipped, or
/// out of its order, is never sent.
#[test]
fn many_rows_come_in_the_order_of_their_numbers() {
    const ROWS: u32 = 4000;
    let engine = KvEngine::new(OneDevice::default());
    create(&engine, "c").unwrap();
    let mut store = open(&engine, "c");
    let put = |n: u32| {
        let name = format!("{:06}", n * 7919 % ROWS);
        let mut record = ObjectRecord::put(name, at(2), 1, "t/x", "e");
        record.policy_index = PolicyIndex(i64::from(n % 3 == 2));
        record
    };
    let records: Vec<_> = (0..ROWS).map(put).collect();
    write(&mut store, |store| {
        ops::merge_objects(store, &records, None).unwrap();
    })
    .unwrap();
    let (all, options) = (0..ROWS as usize, BrokerOptions::default());
    let misplaced: Vec<_> = all.clone().filter(|n| n % 3 == 2).collect();
    store.begin(Access::Read, &options).unwrap();
    for (filter, wanted) in [
        (RowFilter::All, all.collect::<Vec<_>>()),
        (RowFilter::Misplaced, misplaced),
    ] {
        for (start, limit) in [
            (0, 0),
            (0, 1023),
            (0, 1024),
            (7, 1025),
            (100, 2048),
            (2400, 5000),
            (0, usize::MAX),
        ] {
            let rows = store.rows_since(RowId(start as i64), limit, filter);
            let rows = rows.unwrap().into_iter();
            let found: Vec<_> = rows.map(|row| (row.row_id.0, row.name)).collect();
            let wanted = wanted.iter().filter(|n| **n >= start).take(limit);
            let wanted = wanted.map(|n| (*n as i64 + 1, records[*n].name.clone()));
            assert!(found == wanted.collect::<Vec<_>>(), "{start} {limit}");
        }
    }
    store.rollback();
}

/// A failure would mean that damage is served, or that it is never told apart from other failures.
#[test]
fn damaged_values_are_corruption() {
    let devices = OneDevice::default();
    let engine = KvEngine::new(devices.clone());
    create(&engine, "c").unwrap();
    let mut store = open(&engine, "c");
    merge(&mut store, 0..3, 2).unwrap();
    // While anybody has the store open, its facts are in memory.
    drop(store);
    for (key, value) in devices
        .0
        .entries()
        .into_iter()
        .filter(|(key, _)| key[0] == 0x10)
    {
        let cut = Batch::new().put(&key, &value[..value.len() - 1]);
        devices.0.map.apply(cut).unwrap();
        let whole = |store: &mut Handle| -> Result<usize> {
            store.begin(Access::Read, &BrokerOptions::default())?;
            store.facts()?;
            let rows = broker_runtime::sync::ContainerStore::rows_since(
                store,
                RowId::NONE,
                10,
                broker_api::RowFilter::All,
            )?;
            Ok(rows.len())
        };
        let mut store = open(&engine, "c");
        assert_eq!(whole(&mut store).unwrap_err().kind(), ErrorKind::Corrupt);
        store.rollback();
        devices.0.map.apply(Batch::new().put(key, value)).unwrap();
        assert_eq!(whole(&mut store).unwrap(), 3);
        store.rollback();
    }
}

/// A failure would mean that a person who looks at a database is shown bytes.
#[test]
fn every_key_that_is_written_is_described() {
    let devices = OneDevice::default();
    let engine = KvEngine::new(devices.clone());
    create(&engine, "c").unwrap();
    create(&engine, "hidden").unwrap();
    engine.quarantine(&location("hidden"), "bit rot").unwrap();
    engine.set_synced(&location("c"), true).unwrap();
    let mut store = open(&engine, "c");
    write(&mut store, |store| {
        let deleted = ObjectRecord::delete("gone\0\u{ff}", at(3));
        let put = ObjectRecord::put("here", at(3), 5, "t/x", "e").in_policy(PolicyIndex(-2));
        ops::merge_objects(store, &[deleted, put], None).unwrap();
        for direction in [Direction::Incoming, Direction::Outgoing] {
            store.set_sync_point(direction, "peer", RowId(4)).unwrap();
        }
        let raw_metadata = Some("{}".to_owned());
        let change = StatChange {
            raw_metadata,
            ..StatChange::default()
        };
        store.update(&change).unwrap();
    })
    .unwrap();
    let shown = devices.0.described();
    assert!(
        shown.iter().all(|line| !line.starts_with("unknown")),
        "{shown:#?}"
    );
    for wanted in [
        "layout: 1",
        "next store number: 2",
        "live object \"here\" in policy -2: row 2, created 0000000003.00000, 5 bytes",
        "tombstone object \"gone\\0ÿ\" in policy 0",
        "row 2 is live object \"here\" in policy -2",
        "sync point from peer: row 4",
        "sync point to peer: row 4",
        "metadata: {}",
        "synced containers/7/",
        "container \"c\" of \"a\"",
    ] {
        assert!(
            shown.iter().any(|line| line.contains(wanted)),
            "{wanted}: {shown:#?}"
        );
    }
}

/// A failure would mean that an absent device is an error where Swift answers 404.
#[test]
fn what_is_not_there_is_absent() {
    let engine = KvEngine::new(OneDevice::default());
    let hash = HashPath::new("", "end").account("a");
    let account = Location::new(StoreKind::Account, "sda1", "7", hash).unwrap();
    assert!(engine.open_account(&account).unwrap().is_none());
    engine.remove(&account).unwrap();
    let stores = engine.stores("sda1", StoreKind::Account, None, 9);
    assert!(stores.unwrap().is_empty());
    let new = NewAccount {
        account: "a".into(),
        put_timestamp: at(1).into(),
        created_at: at(1),
        id: "id".into(),
    };
    let refused = engine.create_account(&account, &new, &BrokerOptions::default());
    assert_eq!(refused.unwrap_err().outcome(), Outcome::NotApplied);
}
