//! Room that is kept so that a full device can be emptied through the engine.
//!
//! ```text
//! free on the device   > reserve_mb     everything is taken
//!                      < reserve_mb     what deletes is taken, the rest is refused with Full
//!                      0                RocksDB stops, and goes on by itself when there is room
//! ```

use crate::error::Failure;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// For so long it is believed what a device said of its room: some megabytes can be written meanwhile.
const BELIEVED: Duration = Duration::from_millis(10);

/// The reserve of a device.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    /// When the device was asked last, and the bytes that were free.
    asked: Mutex<Option<(Instant, u64)>>,
}

/// What a batch does to the number of keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    pub(crate) puts: usize,
    pub(crate) deletes: usize,
}

impl Growth {
    /// Whether keys go for those that come, but for one that is rewritten with every commit: deleting an
    /// object takes its row and log entry away and leaves a tombstone with another. Making and
    /// overwriting rows do not pass; a store's own record and metadata do, as its deletion is in them.
    fn frees(self) -> bool {
        self.puts <= 2 || self.deletes + 1 >= self.puts
    }
}

impl Reserve {
    /// So many bytes of the device that a path is on; none when that is zero.
    pub(crate) fn new(path: PathBuf, bytes: u64) -> Self {
        let asked = Mutex::default();
        Self { path, bytes, asked }
    }

    /// Refuses what grows while there is less room than the reserve.
    pub(crate) fn admit(&self, growth: Growth) -> Result<(), Failure> {
        if self.bytes == 0 || growth.frees() {
            return Ok(());
        }
        match self.free()? < self.bytes {
            true => Err(Failure::Reserved),
            false => Ok(()),
        }
    }

    fn free(&self) -> Result<u64, Failure> {
        let mut asked = self.asked.lock();
        if let Some((at, free)) = *asked
            && at.elapsed() < BELIEVED
        {
            return Ok(free);
        }
        let room = rustix::fs::statvfs(&self.path);
        let room = room.map_err(|errno| Failure::Device(errno.into()))?;
        let free = room.f_frsize.saturating_mul(room.f_bavail);
        *asked = Some((Instant::now(), free));
        Ok(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker_api::{Error, ErrorKind, Outcome};

    /// A failure would mean that a full device cannot be emptied, or fills to the last byte.
    #[test]
    fn below_the_reserve_only_deletions_pass() {
        let path = std::env::temp_dir();
        let none = Reserve::new(path.clone(), 0);
        let all = Reserve::new(path, u64::MAX);
        // As broker-kv commits them: rows, their log, and the stat record.
        let (new, overwritten) = (
            Growth {
                puts: 3,
                deletes: 0,
            },
            Growth {
                puts: 201,
                deletes: 100,
            },
        );
        let (deleted, removed) = (
            Growth {
                puts: 201,
                deletes: 200,
            },
            Growth {
                puts: 1,
                deletes: 1,
            },
        );
        for growth in [new, overwritten, deleted, removed] {
            none.admit(growth).unwrap();
        }
        all.admit(deleted).unwrap();
        all.admit(removed).unwrap();
        for growth in [new, overwritten] {
            let error = Error::from(all.admit(growth).unwrap_err());
            assert_eq!(
                (error.kind(), error.outcome()),
                (ErrorKind::Full, Outcome::NotApplied)
            );
        }
    }
}
