//! Room for pages of databases in memory: a little for every connection, more for those that need it.
//!
//! ```text
//! each connection      2 MiB, SQLite's own default: all pages of most stores
//! + a share of it      16 MiB, once two transactions have read more than fits into that, while shares are left
//! ```
//!
//! Only its own thread can make a connection give pages back, so a share stays until the store is closed, and the
//! shares together bound what large stores may keep.

use broker_runtime::landings::Room;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A connection with a share keeps so many KiB.
pub(crate) const SHARED_KIB: u64 = 16 << 10;

/// A transaction that reads so many pages, 2 MiB as SQLite makes files now, has turned over what a connection keeps
/// without a share.
pub(crate) const MANY_READS: u64 = 512;

/// What all stores share: the shares that are left, and the room for [`Landings`](broker_runtime::landings::Landings).
#[derive(Debug)]
pub(crate) struct Shares {
    left: AtomicU64,
    pub(crate) room: Room,
}

impl Shares {
    /// As many as fit into so many MiB.
    pub(crate) fn of(megabytes: u64) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU64::new(megabytes.saturating_mul(1024) / SHARED_KIB),
            room: Room::default(),
        })
    }

    /// Takes one when there is one.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Share> {
        let one_less = |left: u64| left.checked_sub(1);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .ok()?;
        Some(Share(Arc::clone(self)))
    }
}

/// A share, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share(Arc<Shares>);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.left.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_given_back() {
        assert!(Shares::of(15).take().is_none());
        let shares = Shares::of(33);
        let (one, two) = (shares.take(), shares.take());
        assert!(one.is_some() && two.is_some() && shares.take().is_none());
        drop(one);
        assert!(shares.take().is_some());
    }
}
