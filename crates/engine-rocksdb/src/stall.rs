//! Writing to a database that may have stopped taking writes.
//!
//! RocksDB lets writers wait while its background threads cannot keep up. On a device without room for a
//! compaction they never will, and a writer would wait until somebody makes room. Here it waits only while
//! there is hope:
//!
//! ```text
//! no stall                                  written
//! stall, background threads do their work   tried again until RocksDB takes it
//! stall, background threads fail            refused with Full, nothing applied
//! ```

use crate::error::Failure;
use rocksdb::{DB, ErrorKind, WriteBatch, WriteOptions, properties};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a writer looks whether a stall has ended.
const LOOK: Duration = Duration::from_millis(2);

/// RocksDB tries again a second after a background failure; one that is not repeated in this time is over.
const REPEATED_WITHIN: Duration = Duration::from_secs(2);

/// How batches are written.
pub(crate) struct Writer {
    without_stall: WriteOptions,
    /// The count of background failures that are known to be over.
    over: AtomicU64,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl Default for Writer {
    fn default() -> Self {
        let mut without_stall = WriteOptions::default();
        without_stall.set_no_slowdown(true);
        Self {
            without_stall,
            over: AtomicU64::new(0),
        }
    }
}

impl Writer {
    /// Applies a batch, which is made anew when it is refused: it is gone with the call.
    pub(crate) fn write(&self, db: &DB, batch: impl Fn() -> WriteBatch) -> Result<(), Failure> {
        loop {
            match db.write_opt(batch(), &self.without_stall) {
                Err(stall) if stall.kind() == ErrorKind::Incomplete => self.wait(db)?,
                done => return Ok(done?),
            }
        }
    }

    /// Returns when writes are no longer stopped.
    fn wait(&self, db: &DB) -> Result<(), Failure> {
        let begin = Instant::now();
        let failures = figure(db, properties::BACKGROUND_ERRORS)?;
        loop {
            if figure(db, properties::BACKGROUND_ERRORS)? > failures {
                return Err(Failure::Stalled);
            }
            let failing = failures > self.over.load(Ordering::Relaxed);
            if failing && begin.elapsed() > REPEATED_WITHIN {
                self.over.store(failures, Ordering::Relaxed);
            } else if !failing && figure(db, properties::IS_WRITE_STOPPED)? == 0 {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn figure(db: &DB, property: &properties::PropName) -> Result<u64, Failure> {
    Ok(db.property_int_value(property)?.unwrap_or(0))
}
