//! The limit of a merge: the store below an engine writes what the broker writes, and nothing is decided. A key-value
//! store is given the very batches of the broker; SQLite the same rows, without triggers.

use crate::bench::{Failure, merge, new_container, put_numbered};
use broker_api::{BrokerOptions, DeviceHealth, Durability, Engine, Result, StoreKind};
use broker_kv::{
    Batch, Description, Devices, MemoryDevices, MemoryOrdered, MemoryView, OrderedStore, Presence,
};
use broker_runtime::RuntimeOptions;
use engine_rocksdb::{RocksdbDevices, RocksdbOptions};
use engine_sled::{SledDevices, SledOptions};
use rusqlite::Connection;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the store of an engine takes to write what a merge of new rows writes; `None` for an engine whose
/// store is not known here.
pub(crate) async fn merge_of_new_rows(
    engine: &str,
    folder: &Path,
    rows: usize,
    group: usize,
) -> std::result::Result<Option<Duration>, Failure> {
    let folder = tempfile::tempdir_in(folder)?;
    std::fs::create_dir(folder.path().join("sda1"))?;
    Ok(Some(match engine {
        "sqlite" => in_sqlite(&folder.path().join("raw.db"), rows, group)?,
        "rocksdb" => {
            let options = RocksdbOptions::new(folder.path()).with_mount_check(false);
            replay(&RocksdbDevices::new(options)?, record(rows, group).await?)?
        }
        "sled" => {
            let options = SledOptions::new(folder.path()).with_mount_check(false);
            replay(&SledDevices::new(options), record(rows, group).await?)?
        }
        _ => return Ok(None),
    }))
}

/// The columns and the index of Swift's table, without its triggers.
const TABLE: &str = "
    PRAGMA synchronous = NORMAL;
    CREATE TABLE object (
        ROWID INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created_at TEXT, size INTEGER, content_type TEXT,
        etag TEXT, deleted INTEGER DEFAULT 0, storage_policy_index INTEGER DEFAULT 0);
    CREATE INDEX ix_object_deleted_name ON object (deleted, name);";

fn in_sqlite(file: &Path, rows: usize, group: usize) -> std::result::Result<Duration, Failure> {
    let mut conn = Connection::open(file)?;
    conn.execute_batch(TABLE)?;
    let records: Vec<_> = (0..rows).map(|i| put_numbered(i, 2)).collect();
    let begin = Instant::now();
    for records in records.chunks(group) {
        let transaction = conn.transaction()?;
        let mut insert = transaction.prepare_cached(
            "INSERT INTO object (name, created_at, size, content_type, etag, deleted, storage_policy_index)
             VALUES (?, ?, ?, ?, ?, 0, 0)",
        )?;
        for record in records {
            insert.execute((
                &record.name,
                record.created_at.encode(),
                record.size,
                &record.content_type,
                &record.etag,
            ))?;
        }
        drop(insert);
        transaction.commit()?;
    }
    Ok(begin.elapsed())
}

/// The batches that a broker applies.
async fn record(rows: usize, group: usize) -> std::result::Result<Vec<Batch>, Failure> {
    let devices = RecordingDevices::default();
    let batches = Arc::clone(&devices.batches);
    let engine: Arc<dyn Engine> = broker_kv::open(devices, &RuntimeOptions::default())?;
    let location = crate::bench::location("recorded").ok_or("no location")?;
    let container = engine.container(&location, &BrokerOptions::default());
    container.initialize(&new_container("recorded")).await?;
    lock(&batches).clear();
    merge(&container, (0..rows).map(|i| put_numbered(i, 2)), group).await?;
    let recorded = std::mem::take(&mut *lock(&batches));
    Ok(recorded)
}

fn replay<D: Devices>(devices: &D, batches: Vec<Batch>) -> std::result::Result<Duration, Failure> {
    let store = devices.open("sda1", StoreKind::Container, Presence::Create)?;
    let store = store.ok_or("the device is not there")?;
    let begin = Instant::now();
    for batch in batches {
        store.apply(batch)?;
    }
    Ok(begin.elapsed())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stores in memory that keep the batches that are applied to them.
#[derive(Debug, Default)]
struct RecordingDevices {
    memory: MemoryDevices,
    batches: Arc<Mutex<Vec<Batch>>>,
}

impl Devices for RecordingDevices {
    type Store = Recording;

    fn name(&self) -> &str {
        "recording"
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }

    fn open(
        &self,
        device: &str,
        kind: StoreKind,
        presence: Presence,
    ) -> Result<Option<Arc<Recording>>> {
        let opened = self.memory.open(device, kind, presence)?;
        let recording = |memory| {
            let batches = Arc::clone(&self.batches);
            Arc::new(Recording { memory, batches })
        };
        Ok(opened.map(recording))
    }

    fn health(&self, device: &str) -> Result<DeviceHealth> {
        self.memory.health(device)
    }
}

#[derive(Debug)]
struct Recording {
    memory: Arc<MemoryOrdered>,
    batches: Arc<Mutex<Vec<Batch>>>,
}

impl OrderedStore for Recording {
    type View = MemoryView;

    fn view(self: &Arc<Self>) -> Result<MemoryView> {
        self.memory.view()
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        lock(&self.batches).push(batch.clone());
        self.memory.apply(batch)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn drop_range(&self, range: Range<&[u8]>) -> Result<()> {
        self.memory.drop_range(range)
    }

    fn describe(&self) -> Description {
        self.memory.describe()
    }
}
