//! Reading a few buffered records without committing them.
//!
//! ```text
//! pending file  ─► merge in a transaction ─► read ─► roll back
//!                  journal in memory, no page leaves the cache: nothing is written, nothing is synced
//! ```
//!
//! A commit costs three syncs, so a client that reads right after each write would wait for the disk
//! every time. Instead the records are merged for the eyes of this reader only and stay buffered
//! until there are more of them, or somebody needs their row numbers.
//!
//! The journal may be in memory only because the transaction is always rolled back and the cache
//! never spills: the file is not touched. A connection that cannot be put back is not used again.

use crate::error::{Attempt, Failure};
use crate::store::{Layout, SqliteStore};
use broker_api::{BrokerOptions, Result};
use broker_runtime::sync::Access;
use std::time::Duration;

/// A pending file larger than this, about ten records, is merged for good.
const PEEK_CAP: u64 = 2048;

#[expect(private_bounds, reason = "the kinds of stores are closed")]
impl<K: Layout> SqliteStore<K> {
    /// Begins a reading transaction that sees the buffered records; false when they are too many,
    /// cannot be merged, or another writer is at work. They are then to be merged for good.
    pub(crate) fn begin_peek(&mut self, options: &BrokerOptions) -> Result<bool> {
        let size = self.pending.size()?;
        if size == 0 || size > PEEK_CAP {
            return Ok(false);
        }
        // Others do not wait for the lock while a database is opened.
        self.judged(self.conn().map(|_| ()))?;
        self.locked(options.pending_timeout, |store| {
            let begun = store.begin_peek_locked();
            let begun = match begun {
                // Whatever failed, the connection goes on only when it is as it was.
                Err(failure) => store.end_peek().and(Err(failure)),
                begun => begun,
            };
            store.judged(begun)
        })
    }

    fn begin_peek_locked(&mut self) -> Attempt<bool> {
        if self.became_sharded()? {
            return Ok(false);
        }
        let bytes = self.pending.read()?;
        let entries = bytes
            .split(|byte| *byte == b':')
            .filter(|entry| !entry.is_empty());
        let count = entries.count();
        let records = self.pending.decode(&bytes, K::read);
        if records.is_empty() || records.len() < count {
            return Ok(false);
        }
        self.wait_up_to(Duration::ZERO)?;
        self.conn()?.execute_batch("PRAGMA cache_spill = OFF")?;
        self.set_journal("memory")?;
        if self.start(Access::Write).is_err() {
            self.end_peek()?;
            return Ok(false);
        }
        self.peeked = Some(self.max_row()?);
        if K::merge(self, &records).is_err() {
            self.end_peek()?;
            return Ok(false);
        }
        self.access = Some(Access::Read);
        Ok(true)
    }

    /// Forgets what was merged for this reader and makes the connection fit for writing again.
    pub(crate) fn end_peek(&mut self) -> Attempt<()> {
        self.peeked = None;
        self.access = None;
        let conn = self.conn()?;
        if !conn.is_autocommit() {
            conn.prepare_cached("ROLLBACK")?.execute([])?;
        }
        self.set_journal("delete")?;
        conn.execute_batch("PRAGMA cache_spill = ON")?;
        Ok(())
    }

    fn set_journal(&self, mode: &str) -> Attempt<()> {
        let mut pragma = self
            .conn()?
            .prepare_cached(&format!("PRAGMA journal_mode = {mode}"))?;
        let now: String = pragma.query_row([], |row| row.get(0))?;
        match now == mode {
            true => Ok(()),
            false => Err(Failure::Journal(now)),
        }
    }
}
