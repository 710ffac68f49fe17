//! Reads that are answered at once, on the caller's thread, or not at all.
//!
//! ```text
//! begin_without_waiting ─► the store is the one that is open ─► BEGIN, few buffered
//!                          records that the caller wants to see laid over the rows ┐
//! facts, scan, commit                                                               ├─ each a `step`
//! ```
//!
//! Facts are kept with what the file says of changes. While it says the same, the next read begins without a
//! transaction: most ask for facts only, and a transaction is a dozen system calls. A scan begins it then, and is
//! refused when the file has changed since facts were shown.
//!
//! The mode belongs to the thread and a store may go from thread to thread between two calls, so a store only
//! remembers that its transaction must not wait, and each call that may be part of such a read enters the mode and
//! leaves it. A call that does not is refused: the connection is not to be had outside a step.

use crate::error::{Attempt, Failure};
use crate::store::{Layout, SqliteStore};
use broker_api::{BrokerOptions, Facts};
use broker_runtime::sync::{Access, Store};
use sqlite_nowait::FileState;
use std::time::Duration;

/// What one step may cost, in about microseconds. A listing of 200 rows costs up to 700 when none of its pages is
/// in the connection's own memory.
const EFFORT: u32 = 1000;

/// Facts as they are while the file says this of changes.
#[derive(Debug)]
pub(crate) struct Known {
    state: FileState,
    facts: Facts,
}

#[expect(private_bounds, reason = "the kinds of stores are closed")]
impl<K: Layout> SqliteStore<K> {
    /// Begins a read that does not wait; false, without a transaction, when it would have to.
    pub(crate) fn begin_at_once(&mut self, options: &BrokerOptions) -> bool {
        let begun = self.try_at_once(options);
        if !matches!(begun, Ok(true)) {
            self.rollback();
        }
        matches!(begun, Ok(true))
    }

    fn try_at_once(&mut self, options: &BrokerOptions) -> broker_api::Result<bool> {
        // What is asked for here are names that were looked up when the store was opened. A directory that has
        // changed since is read by those who may wait.
        let Some(dir) = self.settled().filter(|_| self.is_open()) else {
            return Ok(false);
        };
        self.must_not_wait = true;
        self.shown = false;
        self.unbegun = false;
        let buffered = if options.skip_commits {
            0
        } else {
            self.pending.size_in(dir)?
        };
        match buffered {
            0 => {}
            _ if options.stale_reads_ok => return self.begin_overlaid_at_once(buffered, options),
            _ => return Ok(false),
        }
        self.unbegun = self.is_as_known();
        if !self.unbegun {
            self.start_at_once()?;
        }
        Ok(true)
    }

    pub(crate) fn start_at_once(&mut self) -> Attempt<()> {
        step(true, || {
            self.wait_up_to(Duration::ZERO)?;
            self.start(Access::Read)
        })
    }

    fn state_at_once(&self) -> Option<FileState> {
        step(true, || Ok(self.file_state())).ok().flatten()
    }

    fn is_as_known(&self) -> bool {
        let known = self.known.as_ref().map(|known| known.state);
        known.is_some() && known == self.state_at_once()
    }

    /// The facts in a read that does not wait.
    pub(crate) fn facts_at_once(&mut self) -> Attempt<Facts> {
        if let Some(known) = self.known.as_ref().filter(|_| self.unbegun) {
            self.shown = true;
            return Ok(known.facts.clone());
        }
        // SQLite may have ended it when a read was refused.
        if step(true, || Ok(self.conn()?.is_autocommit()))? {
            return Err(Failure::WouldWait);
        }
        let facts = step(true, || K::facts(self))?;
        // Nobody commits while the transaction reads.
        self.known = self.state_at_once().map(|state| Known {
            state,
            facts: facts.clone(),
        });
        Ok(facts)
    }

    /// Begins the transaction of a read that does not wait when it has not begun.
    pub(crate) fn begin_in_earnest(&mut self) -> Attempt<()> {
        if !std::mem::take(&mut self.unbegun) {
            return Ok(());
        }
        self.start_at_once()?;
        match !self.shown || self.is_as_known() {
            true => Ok(()),
            false => Err(Failure::WouldWait),
        }
    }
}

/// Runs one step of a transaction. When that must not wait, every failure says only that: whoever may wait finds
/// out whether the store is damaged.
pub(crate) fn step<T>(must_not_wait: bool, work: impl FnOnce() -> Attempt<T>) -> Attempt<T> {
    if !must_not_wait {
        return work();
    }
    match sqlite_nowait::without_waiting(EFFORT, work) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_)) | Err(sqlite_nowait::WouldWait) => Err(Failure::WouldWait),
    }
}
