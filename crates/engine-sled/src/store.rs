//! sled as an [`OrderedStore`].

use crate::block::Block;
use crate::error::{Attempt, Failure};
use broker_api::{Durability, Error, ErrorKind, Outcome, Result};
use broker_kv::{
    Batch, Change, Cursor, Description, Folder, OrderedStore, Pair, View, Views, Walk,
};
use sled::IVec;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

/// How many keys are removed at once when a range is dropped.
const DROP_PAGE: usize = 1000;

/// An open database.
#[derive(Debug)]
pub struct SledStore {
    // Closed before the folder is let go.
    db: sled::Db,
    folder: Arc<Folder>,
    /// Held while blocks are read and written again.
    writing: Mutex<()>,
    /// How the first change failed that did; alone while a batch is applied, shared while a block is looked for. What sled
    /// shows in memory after a failure may be half a batch, and half of a block that was cut may be rows of any store.
    failed: RwLock<Option<ErrorKind>>,
}

/// A block, and the key that it begins at.
#[derive(Debug)]
struct Found {
    start: IVec,
    block: Block,
}

impl SledStore {
    pub(crate) fn new(db: sled::Db, folder: Folder) -> Self {
        Self {
            db,
            folder: Arc::new(folder),
            writing: Mutex::new(()),
            failed: RwLock::new(None),
        }
    }

    /// Sees that no change has failed, and keeps others from being applied until the answer is dropped.
    fn whole(&self) -> Attempt<RwLockReadGuard<'_, Option<ErrorKind>>> {
        // A panic of sled while it applied a batch is a failure, too.
        let failed = self.failed.read();
        let failed = failed.map_err(|_| Failure::Stopped(ErrorKind::Internal))?;
        match *failed {
            None => Ok(failed),
            Some(kind) => Err(Failure::Stopped(kind)),
        }
    }

    /// Refuses everything from now on. What is found when the database is opened again is whole: after a write that
    /// failed, as of a full device, sled writes nothing more; after anything else the database is left open for good, since
    /// closing it would write what is in memory, which may be half a batch.
    fn stop(&self, failed: &mut Option<ErrorKind>, error: sled::Error) -> Error {
        let error = Error::from(Failure::from(error));
        if failed.replace(error.kind()).is_none() && error.kind() != ErrorKind::Full {
            std::mem::forget((self.db.clone(), Arc::clone(&self.folder)));
        }
        error
    }

    /// Applies blocks as one.
    fn write(&self, blocks: sled::Batch) -> Result<()> {
        let failed = self.failed.write();
        let mut failed = failed.map_err(|_| Failure::Stopped(ErrorKind::Internal))?;
        if let Some(kind) = *failed {
            return Err(Failure::Stopped(kind).into());
        }
        let applied = self.db.apply_batch(blocks);
        applied.map_err(|error| self.stop(&mut failed, error))
    }

    /// The first block, or the last, of those that begin within a range.
    fn found<'k>(&self, starts: impl RangeBounds<&'k [u8]>, walk: Walk) -> Attempt<Option<Found>> {
        self.next(&mut self.db.range(starts), walk)
    }

    /// The next block of a walk.
    fn next(&self, blocks: &mut sled::Iter, walk: Walk) -> Attempt<Option<Found>> {
        let _whole = self.whole()?;
        let next = match walk {
            Walk::Up => blocks.next(),
            Walk::Down => blocks.next_back(),
        };
        let Some((start, bytes)) = next.transpose()? else {
            return Ok(None);
        };
        let block = Block::read(bytes)?;
        Ok(Some(Found { start, block }))
    }

    /// What has to be written for changes in ascending order of their keys, and how many blocks that are.
    fn rewritten(&self, mut changes: &[Change<'_>]) -> Attempt<(sled::Batch, usize)> {
        let (mut batch, mut count) = (sled::Batch::default(), 0);
        while let Some(&(first, _)) = changes.first() {
            let found = self.found(..=first, Walk::Down)?;
            let (start, block) = match found {
                Some(found) => (found.start, found.block),
                None => Default::default(),
            };
            let above = (Bound::Excluded(first), Bound::<&[u8]>::Unbounded);
            let next = self.db.range::<&[u8], _>(above).keys().next().transpose()?;
            let here =
                changes.partition_point(|(key, _)| next.as_ref().is_none_or(|next| *key < &**next));
            let (here, later) = changes.split_at(here);
            changes = later;
            let blocks = block.changed(here).blocks()?;
            if blocks.is_empty() {
                batch.remove(start);
                count += 1;
                continue;
            }
            let mut begins = Some(start);
            for (first, bytes) in blocks {
                batch.insert(begins.take().unwrap_or_else(|| first.into()), bytes);
                count += 1;
            }
        }
        Ok((batch, count))
    }
}

impl OrderedStore for SledStore {
    type View = SledView;

    fn view(self: &Arc<Self>) -> Result<SledView> {
        drop(self.whole()?);
        Ok(SledView(Arc::clone(self)))
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let mut changes = Vec::from_iter(batch.changes());
        changes.sort_by_key(|(key, _)| *key);
        // Of a key that is there twice, the later change.
        changes.dedup_by(|(later, value), (key, kept)| {
            let same = later == key;
            if same {
                *kept = value.take();
            }
            same
        });
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (blocks, count) = self
            .rewritten(&changes)
            .map_err(|failure| Error::from(failure).with_outcome(Outcome::NotApplied))?;
        self.write(blocks)?;
        drop(writing);
        free_replaced(count);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        drop(self.whole()?);
        let flushed = self.db.flush();
        flushed.map(drop).map_err(|error| {
            let mut failed = self.failed.write().unwrap_or_else(PoisonError::into_inner);
            self.stop(&mut failed, error)
        })
    }

    fn drop_range(&self, range: Range<&[u8]>) -> Result<()> {
        loop {
            let mut keys = Vec::new();
            let mut cursor = SledCursor::new(self, range.clone(), Walk::Up)?;
            while let Some((key, _)) = cursor.entry().filter(|_| keys.len() < DROP_PAGE) {
                keys.push(key.to_vec());
                cursor.step()?;
            }
            if keys.is_empty() {
                return Ok(());
            }
            self.apply(keys.into_iter().fold(Batch::new(), Batch::delete))?;
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
        let found = self.0.found(..=key, Walk::Down)?;
        Ok(found.and_then(|found| found.block.value(key).map(<[u8]>::to_vec)))
    }

    fn cursor<'a>(&'a self, range: Range<&[u8]>, direction: Walk) -> Result<Box<dyn Cursor + 'a>> {
        Ok(Box::new(SledCursor::new(&self.0, range, direction)?))
    }
}

/// Stands on an entry of a block, of which it has a copy.
struct SledCursor<'a> {
    store: &'a SledStore,
    range: Range<Vec<u8>>,
    direction: Walk,
    current: Option<(Found, usize)>,
    /// What comes above the current block, when some did already. sled keeps the page it is on, as it was: whoever holds
    /// the cursor keeps these keys from changing, and keys that are moved meanwhile are moved to blocks above, where they
    /// are passed over when they were seen.
    above: Option<sled::Iter>,
}

impl<'a> SledCursor<'a> {
    fn new(store: &'a SledStore, range: Range<&[u8]>, direction: Walk) -> Result<Self> {
        let mut cursor = Self {
            store,
            range: range.start.to_vec()..range.end.to_vec(),
            direction,
            current: None,
            above: None,
        };
        match direction {
            Walk::Up => cursor.seek(range.start)?,
            Walk::Down => cursor.seek(range.end)?,
        }
        Ok(cursor)
    }

    /// Goes to the first entry at or after a key, in this block or in one above.
    fn up(&mut self, mut found: Option<Found>, key: &[u8]) -> Result<()> {
        while let Some(here) = found {
            let at = here.block.below(key);
            if at < here.block.len() {
                self.current = Some((here, at));
                return Ok(());
            }
            found = self.next_above(&here.start)?;
        }
        Ok(())
    }

    /// Goes to the last entry before a key, in this block or in one below.
    fn down(&mut self, mut found: Option<Found>, key: &[u8]) -> Result<()> {
        while let Some(here) = found {
            if let Some(at) = here.block.below(key).checked_sub(1) {
                self.current = Some((here, at));
                return Ok(());
            }
            found = self.next_below(&here.start)?;
        }
        Ok(())
    }

    /// The last block that begins before another, unless that one holds the beginning of the cursor's range. It is looked
    /// for from the root each time: a block that was cut has left keys of ours in one that begins later, on a page that
    /// was passed already.
    fn next_below(&self, start: &IVec) -> Result<Option<Found>> {
        match **start <= *self.range.start {
            true => Ok(None),
            false => Ok(self.store.found(..&**start, Walk::Down)?),
        }
    }

    /// The first block that begins after a key, within the cursor's range.
    fn next_above(&mut self, key: &[u8]) -> Result<Option<Found>> {
        let starts = (Bound::Excluded(key), Bound::Excluded(&*self.range.end));
        let blocks = || self.store.db.range::<&[u8], _>(starts);
        let above = self.above.get_or_insert_with(blocks);
        Ok(self.store.next(above, Walk::Up)?)
    }
}

impl Cursor for SledCursor<'_> {
    fn entry(&self) -> Option<Pair<'_>> {
        let (found, at) = self.current.as_ref()?;
        let pair = found.block.get(*at)?;
        let (start, end) = (self.range.start.as_slice(), self.range.end.as_slice());
        (start <= pair.0 && pair.0 < end).then_some(pair)
    }

    fn step(&mut self) -> Result<()> {
        let Some((found, at)) = &mut self.current else {
            return Ok(());
        };
        let key = match (self.direction, at.checked_sub(1)) {
            (Walk::Up, _) if *at + 1 < found.block.len() => {
                *at += 1;
                return Ok(());
            }
            (Walk::Down, Some(before)) => {
                *at = before;
                return Ok(());
            }
            _ => found.block.get(*at).map(|(key, _)| key.to_vec()),
        };
        let (Some((found, _)), Some(mut key)) = (self.current.take(), key) else {
            return Ok(());
        };
        match self.direction {
            Walk::Up => {
                // The next key that there can be.
                key.push(0);
                let next = self.next_above(&found.start)?;
                self.up(next, &key)
            }
            Walk::Down => {
                let next = self.next_below(&found.start)?;
                self.down(next, &key)
            }
        }
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        let here = self.current.take().map(|(found, _)| found);
        match self.direction {
            Walk::Up => {
                let mut found = here.filter(|found| found.block.below(key) < found.block.len());
                if found.is_none() {
                    self.above = None;
                    found = self.store.found(..=key, Walk::Down)?;
                }
                if found.is_none() {
                    found = self.next_above(key)?;
                }
                self.up(found, key)
            }
            Walk::Down => {
                let mut found = here.filter(|found| found.block.below(key) > 0);
                if found.is_none() {
                    found = self.store.found(..key, Walk::Down)?;
                }
                self.down(found, key)
            }
        }
    }
}
