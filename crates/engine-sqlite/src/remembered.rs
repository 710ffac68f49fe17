//! Facts of stores that are not open: a client's HEAD of one of very many does not open its database.
//!
//! ```text
//! facts read in a transaction ──► file: (directory changed at, database changed at, facts)
//! HEAD of a store not open    ──► nothing buffered ─► both changed then, not later ─► facts
//! ```
//!
//! Who commits writes into the database, and makes and removes a journal in the directory, so that both are of a later
//! time. While a transaction reads, nobody writes into the database. Times are kept only when they are past: what comes
//! later than they were read is of another time.

use crate::path::{ChangedAt, FileId, StorePaths};
use crate::pending::Pending;
use crate::store::{Layout, SqliteStore};
use broker_api::Facts;
use broker_runtime::sync::Access;
use lru::LruCache;
use rustix::fs::stat;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many bytes the facts of all stores may take together.
const BYTES: usize = 16 << 20;

/// About what the facts of a store take without its metadata, in the table and around it.
const EACH: usize = 1024;

/// What is remembered of an engine's stores, those that were asked for last.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<Stores>);

#[derive(Debug)]
struct Stores {
    by_file: LruCache<FileId, Known>,
    bytes: usize,
}

/// Facts as they are while directory and database have not changed since.
#[derive(Debug)]
struct Known {
    dir: ChangedAt,
    database: ChangedAt,
    facts: Facts,
}

impl Known {
    fn bytes(&self) -> usize {
        EACH + self.facts.store().raw_metadata.len()
    }
}

impl Default for Stores {
    fn default() -> Self {
        Self {
            by_file: LruCache::unbounded(),
            bytes: 0,
        }
    }
}

impl Remembered {
    /// Nothing panics while it is held that would leave half of a change.
    fn lock(&self) -> MutexGuard<'_, Stores> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the facts that a transaction has just read, and that has not ended, from the database at these paths, in a
    /// directory that last changed at `dir`.
    pub(crate) fn keep(&self, paths: &StorePaths, file: FileId, dir: ChangedAt, facts: &Facts) {
        let Ok(seen) = stat(&paths.db) else {
            return;
        };
        let database = ChangedAt::of(&seen);
        if FileId::of(&seen) != file || !dir.is_past() || !database.is_past() {
            return;
        }
        let facts = facts.clone();
        let known = Known {
            dir,
            database,
            facts,
        };
        let mut stores = self.lock();
        stores.bytes += known.bytes();
        let replaced = stores.by_file.put(file, known);
        stores.bytes -= replaced.map_or(0, |known| known.bytes());
        while stores.bytes > BYTES
            && let Some((_, oldest)) = stores.by_file.pop_lru()
        {
            stores.bytes -= oldest.bytes();
        }
    }

    /// The facts of the store at these paths when they are known, and nothing waits to be merged that the caller wants
    /// to see.
    pub(crate) fn facts(&self, paths: &StorePaths, skip_commits: bool) -> Option<Facts> {
        let pending = Pending::open(paths).ok()?;
        // What is acknowledged waits in the pending file until it is in the database, so that one is asked first.
        if !skip_commits && pending.size().ok()? > 0 {
            return None;
        }
        let database = pending.look_at(&paths.db_name()).ok()??;
        let dir = pending.dir_state()?;
        let mut stores = self.lock();
        let known = stores.by_file.get(&FileId::of(&database))?;
        let same = known.database == ChangedAt::of(&database) && known.dir == dir;
        same.then(|| known.facts.clone())
    }
}

#[expect(private_bounds, reason = "the kinds of stores are closed")]
impl<K: Layout> SqliteStore<K> {
    /// Keeps the facts that the open transaction has read for when the store is not open.
    pub(crate) fn remember(&mut self, facts: &Facts) {
        // A log written ahead would hold what others commit.
        let is_whole = self.access == Some(Access::Read) && self.file_state().is_some();
        if is_whole
            && self.look().is_ok()
            && let Some(dir) = self.settled()
        {
            let remembered = &self.shares.remembered;
            remembered.keep(&self.paths, self.file, dir, facts);
        }
    }
}
