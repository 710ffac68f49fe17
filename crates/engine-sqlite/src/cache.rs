//! Room for what large stores have in memory: a little for every connection, more for those that need it.
//!
//! ```text
//! each connection      2 MiB of pages, SQLite's own default: all of most stores
//! while there is room
//!   12 MiB of pages    once two transactions have read more than fits into that
//!    4 MiB of rows     once two listings have shown many; see `kept`
//! ```
//!
//! Only its own thread can make a connection give pages back, so a share stays until the store is closed, and the
//! shares together bound what large stores may keep.

use crate::remembered::Remembered;
use broker_runtime::landings::Room;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A connection with more pages than others keeps so many KiB of them.
pub(crate) const PAGES_KIB: u64 = 12 << 10;

/// A store that keeps rows has so many KiB for them.
pub(crate) const ROWS_KIB: u64 = 4 << 10;

/// A transaction that reads so many pages, 2 MiB as SQLite makes files now, has turned over what a connection keeps
/// without a share.
pub(crate) const MANY_READS: u64 = 512;

/// A listing that shows so many rows spends most of its time on finding them.
pub(crate) const MANY_ROWS: usize = 1000;

/// What all stores share: the memory that is left, the room for [`Landings`](broker_runtime::landings::Landings), and
/// facts of those that are not open.
#[derive(Debug)]
pub(crate) struct Shares {
    kib_left: AtomicU64,
    pub(crate) room: Room,
    pub(crate) remembered: Remembered,
}

impl Shares {
    /// So many MiB.
    pub(crate) fn of(megabytes: u64) -> Arc<Self> {
        Arc::new(Self {
            kib_left: AtomicU64::new(megabytes.saturating_mul(1024)),
            room: Room::default(),
            remembered: Remembered::default(),
        })
    }

    /// Takes so many KiB when they are there.
    pub(crate) fn take(self: &Arc<Self>, kib: u64) -> Option<Share> {
        let less = |left: u64| left.checked_sub(kib);
        self.kib_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .ok()?;
        let of = Arc::clone(self);
        Some(Share { of, kib })
    }
}

/// Some of the memory, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<Shares>,
    kib: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.kib_left.fetch_add(self.kib, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_given_back() {
        assert!(Shares::of(0).take(1).is_none());
        let shares = Shares::of(2);
        let (one, two) = (shares.take(1024), shares.take(1023));
        assert!(one.is_some() && two.is_some() && shares.take(2).is_none());
        drop(one);
        assert!(shares.take(1025).is_some());
    }
}
