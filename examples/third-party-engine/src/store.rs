//! redb as an [`OrderedStore`]: one table of bytes.

use crate::failed;
use broker_api::{Durability, Result};
use broker_kv::{Batch, Cursor, Description, OrderedStore, Pair, View, Views, Walk};
use redb::ReadableDatabase;
use redb::{AccessGuard, Database, ReadOnlyTable, StorageError, Table, TableDefinition};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

type Bytes = &'static [u8];

const ROWS: TableDefinition<Bytes, Bytes> = TableDefinition::new("rows");

/// An open database.
#[derive(Debug)]
pub struct RedbStore {
    db: Database,
}

impl RedbStore {
    /// Opens the database in a file, or makes it. redb keeps other processes out.
    ///
    /// # Errors
    /// `Busy` when the file is open already, in this process or another.
    pub fn open(file: &Path, cache_bytes: usize) -> Result<Self> {
        let opened = Database::builder().set_cache_size(cache_bytes).create(file);
        let store = Self {
            db: opened.map_err(failed)?,
        };
        // A view needs the table to be there.
        store.write(redb::Durability::Immediate, |_| Ok(()))?;
        Ok(store)
    }

    /// One write transaction, all or nothing; redb has one at a time.
    fn write(
        &self,
        durability: redb::Durability,
        change: impl FnOnce(&mut Table<'_, Bytes, Bytes>) -> std::result::Result<(), StorageError>,
    ) -> Result<()> {
        let mut transaction = self.db.begin_write().map_err(failed)?;
        transaction.set_durability(durability).map_err(failed)?;
        let mut table = transaction.open_table(ROWS).map_err(failed)?;
        change(&mut table).map_err(failed)?;
        drop(table);
        transaction.commit().map_err(failed)
    }
}

impl OrderedStore for RedbStore {
    type View = RedbView;

    fn view(self: &Arc<Self>) -> Result<RedbView> {
        let transaction = self.db.begin_read().map_err(failed)?;
        // The table keeps the transaction's view alive.
        Ok(RedbView(transaction.open_table(ROWS).map_err(failed)?))
    }

    /// Visible at once, and kept by the next `sync`: commits that wait share it.
    fn apply(&self, batch: Batch) -> Result<()> {
        self.write(redb::Durability::None, |rows| {
            for (key, value) in batch.changes() {
                match value {
                    Some(value) => drop(rows.insert(key, value)?),
                    None => drop(rows.remove(key)?),
                }
            }
            Ok(())
        })
    }

    /// A durable commit without changes writes out those that were committed before it.
    fn sync(&self) -> Result<()> {
        self.write(redb::Durability::Immediate, |_| Ok(()))
    }

    fn drop_range(&self, range: Range<&[u8]>) -> Result<()> {
        self.write(redb::Durability::None, |rows| {
            rows.retain_in(range, |_, _| false)
        })
    }

    fn describe(&self) -> Description {
        Description {
            views: Views::Snapshot,
            durability: Durability::Disk,
            sync_to_acknowledge: true,
        }
    }
}

/// The table as it was when the view was taken.
pub struct RedbView(ReadOnlyTable<Bytes, Bytes>);

impl View for RedbView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found = self.0.get(key).map_err(failed)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn cursor<'a>(&'a self, range: Range<&[u8]>, direction: Walk) -> Result<Box<dyn Cursor + 'a>> {
        let mut cursor = RedbCursor {
            entries: self.0.range(range.clone()).map_err(failed)?,
            table: &self.0,
            range: range.start.to_vec()..range.end.to_vec(),
            direction,
            current: None,
        };
        cursor.step()?;
        Ok(Box::new(cursor))
    }
}

type Entry = (AccessGuard<'static, Bytes>, AccessGuard<'static, Bytes>);

struct RedbCursor<'a> {
    table: &'a ReadOnlyTable<Bytes, Bytes>,
    range: Range<Vec<u8>>,
    direction: Walk,
    entries: redb::Range<'static, Bytes, Bytes>,
    current: Option<Entry>,
}

impl Cursor for RedbCursor<'_> {
    fn entry(&self) -> Option<Pair<'_>> {
        let (key, value) = self.current.as_ref()?;
        Some((key.value(), value.value()))
    }

    fn step(&mut self) -> Result<()> {
        let next = match self.direction {
            Walk::Up => self.entries.next(),
            Walk::Down => self.entries.next_back(),
        };
        self.current = next.transpose().map_err(failed)?;
        Ok(())
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        let rest = match self.direction {
            Walk::Up => key..self.range.end.as_slice(),
            Walk::Down => self.range.start.as_slice()..key,
        };
        self.entries = self.table.range(rest).map_err(failed)?;
        self.step()
    }
}
