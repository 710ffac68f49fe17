//! The lock of a store's directory: `flock(2)` on `.lock`, as Swift's `lock_path`.
//!
//! It is held while pending records are appended or merged, while a new database gets its name, and
//! while a store is removed; it is taken before any lock of SQLite. The file stays for ever.

use crate::error::{Attempt, Failure, OsContext};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// The name of the file.
pub(crate) const LOCK_NAME: &str = ".lock";

/// The first wait, which suits holders in this process; it doubles up to [`POLL`].
const FIRST_WAIT: Duration = Duration::from_micros(50);

/// Swift polls so often at first.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// For who must find the moments between one holder in this process and the next.
pub(crate) const EAGERLY: Duration = FIRST_WAIT;

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: OwnedFd,
}

impl DirLock {
    /// Takes the lock of a directory that exists.
    pub(crate) fn take(dir: &Path, timeout: Duration) -> Attempt<Self> {
        let path = dir.join(LOCK_NAME);
        loop {
            let file = rustix::fs::open(&path, flags(), mode()).at("open", &path)?;
            flock(&file, &path, timeout, POLL)?;
            let held = rustix::fs::fstat(&file).at("look at", &path)?;
            match rustix::fs::stat(&path) {
                Ok(named) if (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino) => {
                    return Ok(Self { _file: file });
                }
                // Whoever held it before removed it, or the directory: what was locked is gone.
                Ok(_) => {}
                Err(errno) => return Err(errno).at("look at", &path),
            }
        }
    }
}

pub(crate) fn flags() -> OFlags {
    OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC
}

pub(crate) fn mode() -> Mode {
    Mode::from_raw_mode(0o777)
}

/// Locks an open file, polling until `timeout` as Swift does: every ten milliseconds, and after a
/// hundredth of the timeout every hundredth of it. The very first waits are shorter. With `poll` below
/// [`POLL`] all of them are no longer than that.
pub(crate) fn flock(file: &OwnedFd, path: &Path, timeout: Duration, poll: Duration) -> Attempt<()> {
    let start = Instant::now();
    let mut wait = FIRST_WAIT;
    loop {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(errno) => return Err(errno).at("lock", path),
        }
        let waited = start.elapsed();
        if waited >= timeout {
            let path = path.to_owned();
            return Err(Failure::LockTimeout { path, timeout });
        }
        std::thread::sleep(wait.min(timeout - waited));
        wait = match waited > timeout / 100 && poll >= POLL {
            true => (timeout / 100).max(poll),
            false => (wait * 2).min(poll),
        };
    }
}

/// Lets go of what [`flock`] locked.
pub(crate) fn unlock(file: &OwnedFd, path: &Path) -> Attempt<()> {
    rustix::fs::flock(file, FlockOperation::Unlock).at("unlock", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_holder_times_out_and_then_succeeds() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::take(dir.path(), Duration::ZERO).unwrap();
        let second = DirLock::take(dir.path(), Duration::from_millis(30));
        assert!(matches!(second, Err(Failure::LockTimeout { .. })));
        drop(first);
        DirLock::take(dir.path(), Duration::ZERO).unwrap();
    }
}
