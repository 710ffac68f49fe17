//! sled as an [`OrderedStore`].

use crate::error::Failure;
use broker_api::{Durability, Error, ErrorKind, Result};
use broker_kv::{Batch, Cursor, Description, Folder, OrderedStore, Pair, View, Views, Walk};
use sled::IVec;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// How many keys are removed at once when a range is dropped.
const DROP_PAGE: usize = 1000;

/// An open database.
#[derive(Debug)]
pub struct SledStore {
    // Closed before the folder is let go.
    db: sled::Db,
    _folder: Folder,
    /// How the first change failed that did. What sled shows in memory after that may be half a batch;
    /// what it finds when it is opened again is whole.
    failed: OnceLock<ErrorKind>,
}

impl SledStore {
    pub(crate) fn new(db: sled::Db, folder: Folder) -> Self {
        Self {
            db,
            _folder: folder,
            failed: OnceLock::new(),
        }
    }

    /// Changes the database, unless an earlier change failed.
    fn change<R>(&self, change: impl FnOnce(&sled::Db) -> sled::Result<R>) -> Result<R> {
        self.require_whole()?;
        change(&self.db).map_err(|error| {
            let error = Error::from(Failure::from(error));
            self.failed.get_or_init(|| error.kind());
            error
        })
    }

    /// Applies so many changes as one, and frees what they replaced.
    fn apply_batch(&self, changes: sled::Batch, count: usize) -> Result<()> {
        self.change(|db| db.apply_batch(changes))?;
        free_replaced(count);
        Ok(())
    }

    fn require_whole(&self) -> Result<()> {
        match self.failed.get() {
            None => Ok(()),
            Some(kind) => Err(Failure::Stopped(*kind).into()),
        }
    }
}

impl OrderedStore for SledStore {
    type View = SledView;

    fn view(self: &Arc<Self>) -> Result<SledView> {
        self.require_whole()?;
        Ok(SledView(Arc::clone(self)))
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let (mut changes, mut count) = (sled::Batch::default(), 0);
        for (key, value) in batch.into_changes() {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
            count += 1;
        }
        self.apply_batch(changes, count)
    }

    fn sync(&self) -> Result<()> {
        self.change(|db| db.flush()).map(drop)
    }

    fn drop_range(&self, range: Range<&[u8]>) -> Result<()> {
        loop {
            let mut changes = sled::Batch::default();
            let mut count = 0;
            for key in self.db.range(range.clone()).keys().take(DROP_PAGE) {
                changes.remove(key.map_err(Failure::from)?);
                count += 1;
            }
            if count == 0 {
                return Ok(());
            }
            self.apply_batch(changes, count)?;
        }
    }

    /// Without a flush, the last half second of what was applied is in the memory of the process.
    fn describe(&self) -> Description {
        Description {
            views: Views::Live,
            durability: Durability::Process,
            sync_to_acknowledge: true,
        }
    }
}

/// Frees the pages that a batch replaced. sled leaves that to its epochs, which free a few hundred pages for
/// every 128 operations; a batch is one operation and replaces a page or more with each change, so that
/// without this the memory of a process that writes grows without bound.
fn free_replaced(changes: usize) {
    /// What a turn frees is at most 512, and nothing before the second.
    const CHANGES_A_TURN: usize = 64;
    for _ in 0..2 + changes / CHANGES_A_TURN {
        sled::pin().flush();
    }
}

/// The database as it is: sled has no snapshots.
#[derive(Debug)]
pub struct SledView(Arc<SledStore>);

impl View for SledView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let found = self.0.db.get(key).map_err(Failure::from)?;
        Ok(found.map(|value| value.to_vec()))
    }

    fn cursor<'a>(&'a self, range: Range<&[u8]>, direction: Walk) -> Result<Box<dyn Cursor + 'a>> {
        let mut cursor = SledCursor {
            entries: self.0.db.range(range.clone()),
            db: &self.0.db,
            range: range.start.to_vec()..range.end.to_vec(),
            direction,
            current: None,
        };
        cursor.step()?;
        Ok(Box::new(cursor))
    }
}

struct SledCursor<'a> {
    db: &'a sled::Db,
    range: Range<Vec<u8>>,
    direction: Walk,
    entries: sled::Iter,
    current: Option<(IVec, IVec)>,
}

impl Cursor for SledCursor<'_> {
    fn entry(&self) -> Option<Pair<'_>> {
        let (key, value) = self.current.as_ref()?;
        Some((key, value))
    }

    fn step(&mut self) -> Result<()> {
        let next = match self.direction {
            Walk::Up => self.entries.next(),
            Walk::Down => self.entries.next_back(),
        };
        self.current = next.transpose().map_err(Failure::from)?;
        Ok(())
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.entries = match self.direction {
            Walk::Up => self.db.range(key..&self.range.end),
            Walk::Down => self.db.range(self.range.start.as_slice()..key),
        };
        self.step()
    }
}
