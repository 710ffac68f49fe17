//! RocksDB as an [`OrderedStore`].

use crate::error::Failure;
use crate::figures::Figures;
use crate::room::{Growth, Reserve};
use crate::stall::Writer;
use broker_api::{Durability, Result};
use broker_kv::{Batch, Cursor, Description, Folder, OrderedStore, Pair, View, Views, Walk};
use rocksdb::{DB, DBRawIterator, ErrorKind, ReadOptions, ReadTier, Snapshot, WriteBatch};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A range of fewer keys is dropped key by key: each range that is deleted as such costs all reads a
/// little until it is compacted away.
const FEW_KEYS: usize = 256;

/// How many deleted keys a step may go over that does not wait.
const DELETED_KEYS_AT_ONCE: u64 = 1024;

/// What RocksDB writes at the beginning of a batch, and before each key and its value: some bytes too many do no harm.
const HEADER: usize = 12;
const CHANGE: usize = 6;

/// How many keys are looked for at once.
const KEYS_AT_ONCE: usize = 512;

/// An open database.
#[derive(Debug)]
pub struct RocksdbStore {
    // Closed before the folder is let go.
    db: DB,
    _folder: Folder,
    durability: Durability,
    reserve: Reserve,
    writer: Writer,
}

impl RocksdbStore {
    pub(crate) fn new(db: DB, folder: Folder, durability: Durability, reserve: Reserve) -> Self {
        Self {
            db,
            _folder: folder,
            durability,
            reserve,
            writer: Writer::default(),
        }
    }

    /// What the database says about itself now.
    ///
    /// # Errors
    /// When the database fails.
    pub fn figures(&self) -> Result<Figures> {
        Ok(Figures::read(&self.db).map_err(Failure::from)?)
    }

    /// One of RocksDB's properties by its name, such as `rocksdb.stats`; `None` when it has none of it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn property(&self, name: &str) -> Result<Option<String>> {
        Ok(self.db.property_value(name).map_err(Failure::from)?)
    }

    /// Waits until everything is in tables and deleted rows are gone from them: for measuring.
    ///
    /// # Errors
    /// When the database fails.
    pub fn compact(&self) -> Result<()> {
        self.db.flush().map_err(Failure::from)?;
        self.db.compact_range::<&[u8], &[u8]>(None, None);
        Ok(())
    }

    /// The keys of a range when they are few.
    fn few_keys(&self, range: Range<&[u8]>) -> Result<Option<Vec<Box<[u8]>>>> {
        let mut keys = Vec::new();
        let mut iterator = self.db.raw_iterator_opt(Reads::Everywhere.within(range));
        iterator.seek_to_first();
        while let Some(key) = iterator.key() {
            if keys.len() == FEW_KEYS {
                return Ok(None);
            }
            keys.push(key.into());
            iterator.next();
        }
        iterator.status().map_err(Failure::from)?;
        Ok(Some(keys))
    }
}

/// A key before another, with few in between: RocksDB takes tables that end with the last key of a range, too.
fn before(key: &[u8]) -> Vec<u8> {
    let mut before = key.to_vec();
    if let Some(last) = before.pop().and_then(|last| last.checked_sub(1)) {
        before.push(last);
        before.extend([u8::MAX; 16]);
    }
    before
}

/// Where reads look.
#[derive(Debug, Clone, Copy)]
enum Reads {
    Everywhere,
    /// In write buffers and the block cache.
    InMemory,
}

impl Reads {
    fn options(self) -> ReadOptions {
        let mut options = ReadOptions::default();
        if let Reads::InMemory = self {
            options.set_read_tier(ReadTier::BlockCache);
            options.set_max_skippable_internal_keys(DELETED_KEYS_AT_ONCE);
            options.set_background_purge_on_iterator_cleanup(true);
        }
        options
    }

    /// How a range is read.
    fn within(self, range: Range<&[u8]>) -> ReadOptions {
        let mut options = self.options();
        options.set_iterate_range(range.start..range.end);
        options
    }
}

/// What a read failed of: one that needs more than the memory is incomplete.
fn failed(error: rocksdb::Error) -> Failure {
    match error.kind() {
        ErrorKind::Incomplete => Failure::NotInMemory,
        _ => Failure::Rocksdb(error),
    }
}

impl OrderedStore for RocksdbStore {
    type View = RocksdbView;

    fn view(self: &Arc<Self>) -> Result<RocksdbView> {
        Ok(RocksdbView::take(self, Reads::Everywhere))
    }

    fn view_of_memory(self: &Arc<Self>) -> Result<Option<RocksdbView>> {
        Ok(Some(RocksdbView::take(self, Reads::InMemory)))
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let puts = batch.changes().filter(|(_, value)| value.is_some()).count();
        self.reserve.admit(Growth {
            puts,
            deletes: batch.len() - puts,
        })?;
        let size = HEADER + batch.bytes() + batch.len() * CHANGE;
        let batch = || {
            let mut written = WriteBatch::with_capacity_bytes(size);
            for (key, value) in batch.changes() {
                match value {
                    Some(value) => written.put(key, value),
                    None => written.delete(key),
                }
            }
            written
        };
        Ok(self.writer.write(&self.db, batch)?)
    }

    /// The log is written to the kernel when a batch is applied; this brings it to the disk.
    fn sync(&self) -> Result<()> {
        Ok(self.db.flush_wal(true).map_err(Failure::from)?)
    }

    fn drop_range(&self, range: Range<&[u8]>) -> Result<()> {
        let few = self.few_keys(range.clone())?;
        if few.is_none() {
            // Tables that hold nothing else go at once, which makes room even on a full device.
            let last = before(range.end);
            if range.start < last.as_slice() {
                let drop = self.db.delete_file_in_range(range.start, &last);
                drop.map_err(Failure::from)?;
            }
        }
        let batch = || {
            let mut batch = WriteBatch::default();
            match &few {
                Some(keys) => keys.iter().for_each(|key| batch.delete(key)),
                None => batch.delete_range(range.start, range.end),
            }
            batch
        };
        Ok(self.writer.write(&self.db, batch)?)
    }

    fn describe(&self) -> Description {
        Description {
            views: Views::Snapshot,
            durability: self.durability,
            sync_to_acknowledge: self.durability == Durability::Disk,
        }
    }
}

self_cell::self_cell!(
    /// A snapshot with the database that it is of.
    struct Seen {
        owner: Arc<RocksdbStore>,
        #[covariant]
        dependent: Snapshot,
    }
);

/// A snapshot of the database.
pub struct RocksdbView {
    seen: Seen,
    reads: Reads,
}

impl RocksdbView {
    fn take(store: &Arc<RocksdbStore>, reads: Reads) -> Self {
        let seen = Seen::new(Arc::clone(store), |store| store.db.snapshot());
        Self { seen, reads }
    }
}

impl fmt::Debug for RocksdbView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksdbView").finish_non_exhaustive()
    }
}

impl View for RocksdbView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let snapshot = self.seen.borrow_dependent();
        let found = snapshot.get_opt(key, self.reads.options());
        Ok(found.map_err(failed)?)
    }

    /// RocksDB goes through filters and tables once for some tens of keys. In memory each is asked for alone: many at
    /// once are read from the device all the same, and what is not in memory may look empty.
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        if keys.len() < 2 || matches!(self.reads, Reads::InMemory) {
            return keys.iter().map(|key| self.get(key)).collect();
        }
        let snapshot = self.seen.borrow_dependent();
        let mut found = Vec::with_capacity(keys.len());
        // The blocks of all that were found stay in memory until the call ends.
        for keys in keys.chunks(KEYS_AT_ONCE) {
            for value in snapshot.multi_get_opt(keys, self.reads.options()) {
                found.push(value.map_err(failed)?);
            }
        }
        Ok(found)
    }

    fn cursor<'a>(&'a self, range: Range<&[u8]>, direction: Walk) -> Result<Box<dyn Cursor + 'a>> {
        let snapshot = self.seen.borrow_dependent();
        let mut entries = snapshot.raw_iterator_opt(self.reads.within(range));
        match direction {
            Walk::Up => entries.seek_to_first(),
            Walk::Down => entries.seek_to_last(),
        }
        let cursor = RocksdbCursor { entries, direction };
        cursor.check()?;
        Ok(Box::new(cursor))
    }
}

struct RocksdbCursor<'a> {
    entries: DBRawIterator<'a>,
    direction: Walk,
}

impl RocksdbCursor<'_> {
    /// An iterator stops at a failure as at its end.
    fn check(&self) -> Result<()> {
        match self.entries.valid() {
            true => Ok(()),
            false => Ok(self.entries.status().map_err(failed)?),
        }
    }
}

impl Cursor for RocksdbCursor<'_> {
    fn entry(&self) -> Option<Pair<'_>> {
        self.entries.item()
    }

    fn step(&mut self) -> Result<()> {
        match self.direction {
            Walk::Up => self.entries.next(),
            Walk::Down => self.entries.prev(),
        }
        self.check()
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        match self.direction {
            Walk::Up => self.entries.seek(key),
            Walk::Down => {
                self.entries.seek_for_prev(key);
                if self.entries.key() == Some(key) {
                    self.entries.prev();
                }
            }
        }
        self.check()
    }
}
