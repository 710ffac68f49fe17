//! Whether the path of a store still leads to what is open, asked before every operation and mostly of one directory.
//!
//! ```text
//! the directory is as it was when it was looked into ─► the path leads where it led
//! else ─► look into it: the same file? files of a split container?
//! ```

use crate::error::Attempt;
use crate::path::ChangedAt;
use crate::store::{Layout, SqliteStore};
use broker_api::StoreKind;
use std::time::{Duration, Instant};

/// A directory whose path led to it and to the open file in it, when Swift had not begun to split the container.
///
/// No name in it changes without its time, nor is it renamed or removed. What is above it may be: the path is followed again
/// a hundred times a second.
#[derive(Debug)]
pub(crate) struct Settled {
    dir: ChangedAt,
    followed: Instant,
}

/// What a look at a store's directory finds.
pub(crate) struct Found {
    /// The path leads to the file that is open.
    pub(crate) same: bool,
    /// Swift has begun to split the container.
    pub(crate) sharded: bool,
}

/// For so long a path is believed to lead where it led.
const BELIEVED: Duration = Duration::from_millis(10);

#[expect(private_bounds, reason = "the kinds of stores are closed")]
impl<K: Layout> SqliteStore<K> {
    /// What the directory says of changes, when it is known without a look into it that the path leads to the open file,
    /// or did so a hundredth of a second ago, and that Swift has not begun to split the container.
    pub(crate) fn settled(&mut self) -> Option<ChangedAt> {
        let settled = self.settled.as_mut()?;
        let dir = self.pending.dir_state().filter(|dir| *dir == settled.dir)?;
        if settled.followed.elapsed() >= BELIEVED {
            settled.followed = Instant::now();
            if !matches!(self.pending.is_in(&self.paths.dir), Ok(true)) {
                self.settled = None;
                return None;
            }
        }
        Some(dir)
    }

    /// Whether the path leads to the open file, and whether Swift has begun to split the container. The directory is read
    /// unless it is settled.
    pub(crate) fn look(&mut self) -> Attempt<Found> {
        if self.settled().is_some() {
            return Ok(Found {
                same: true,
                sharded: false,
            });
        }
        let followed = Instant::now();
        let before = self.pending.dir_state().filter(ChangedAt::is_past);
        let sharded = K::KIND == StoreKind::Container && self.paths.is_sharded()?;
        // A file that is not open may be removed and its number given to another one.
        let same = self.pending.is_in(&self.paths.dir)? && self.is_same_file()?;
        let dir = before.filter(|_| same && !sharded);
        self.settled = dir.map(|dir| Settled { dir, followed });
        Ok(Found { same, sharded })
    }

    /// Whether Swift has begun to split the container.
    pub(crate) fn became_sharded(&mut self) -> Attempt<bool> {
        Ok(self.look()?.sharded)
    }
}
