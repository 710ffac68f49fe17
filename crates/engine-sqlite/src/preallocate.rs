//! Room ahead of growing databases, as Swift's `db_preallocation`.
//!
//! Closing any descriptor of a file drops all POSIX locks that the process has on it, SQLite's
//! included. So the descriptor that allocates is shared by all handles on the file, and is closed
//! with the last of them.

use crate::error::{Attempt, OsContext};
use crate::path::{FileId, file_id};
use rustix::fs::FallocateFlags;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

const MIB: u64 = 1024 * 1024;

/// Where the room ends, in MiB; beyond, every fifty.
const POINTS: [u64; 6] = [1, 2, 5, 10, 25, 50];

#[derive(Default)]
struct Shared {
    handles: usize,
    file: Option<File>,
}

static FILES: LazyLock<Mutex<HashMap<FileId, Shared>>> = LazyLock::new(Mutex::default);

fn files() -> MutexGuard<'static, HashMap<FileId, Shared>> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right of one handle to allocate room for its file.
#[derive(Debug)]
pub(crate) struct Preallocation {
    id: FileId,
}

impl Preallocation {
    /// Counts a handle on this file.
    pub(crate) fn of(id: FileId) -> Self {
        files().entry(id).or_default().handles += 1;
        Self { id }
    }

    /// Allocates up to the next boundary that is at least half a MiB away.
    pub(crate) fn grow(&self, path: &Path) -> Attempt<()> {
        let metadata = std::fs::metadata(path).at("look at", path)?;
        let wanted = boundary(metadata.size());
        if metadata.blocks() * 512 >= wanted || file_id(path)? != Some(self.id) {
            return Ok(());
        }
        let mut files = files();
        let shared = files.entry(self.id).or_default();
        if shared.file.is_none() {
            let opened = OpenOptions::new().write(true).open(path);
            shared.file = Some(opened.at("open", path)?);
        }
        match &shared.file {
            Some(file) => rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, wanted)
                .at("allocate room for", path),
            None => Ok(()),
        }
    }
}

impl Drop for Preallocation {
    fn drop(&mut self) {
        let mut files = files();
        let Some(shared) = files.get_mut(&self.id) else {
            return;
        };
        shared.handles -= 1;
        if shared.handles == 0 {
            files.remove(&self.id);
        }
    }
}

fn boundary(size: u64) -> u64 {
    let needed = size + MIB / 2;
    let early = POINTS
        .iter()
        .map(|point| point * MIB)
        .find(|point| *point >= needed);
    early.unwrap_or_else(|| needed.next_multiple_of(50 * MIB))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_those_of_swift() {
        assert_eq!(boundary(0), MIB);
        assert_eq!(boundary(MIB / 2), MIB);
        assert_eq!(boundary(MIB / 2 + 1), 2 * MIB);
        assert_eq!(boundary(49 * MIB), 50 * MIB);
        assert_eq!(boundary(50 * MIB), 100 * MIB);
        assert_eq!(boundary(149 * MIB), 150 * MIB);
    }
}
