//! One sync for all that wait for one.

use broker_api::Result;
use parking_lot::{Condvar, Mutex};

/// Lets concurrent commits of different stores share syncs of their database.
///
/// ```text
/// commit of store 1  apply ──► sync 7 ═══════════════╗
/// commit of store 2      apply ──► waits for sync 8  ╟─► sync 8 ════════
/// commit of store 3         apply ──► waits for it   ╝   (run by one of the two)
/// ```
#[derive(Debug, Default)]
pub(crate) struct SyncGroup {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Syncs begun so far.
    begun: u64,
    /// The last sync that succeeded.
    done: u64,
    running: bool,
}

impl SyncGroup {
    /// Returns after a sync that began after this call has succeeded.
    ///
    /// # Errors
    /// Those of `sync`, to the caller whose thread ran it. Others that waited for it then try themselves.
    pub(crate) fn sync(&self, sync: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut state = self.state.lock();
        let wanted = state.begun + 1;
        while state.running {
            self.ended.wait(&mut state);
            if state.done >= wanted {
                return Ok(());
            }
        }
        if state.done >= wanted {
            return Ok(());
        }
        state.running = true;
        state.begun += 1;
        let mine = state.begun;
        drop(state);
        let running = Running(self);
        let result = sync();
        if result.is_ok() {
            self.state.lock().done = mine;
        }
        drop(running);
        result
    }
}

/// Lets others go on, whatever became of a sync.
struct Running<'a>(&'a SyncGroup);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running = false;
        self.0.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker_api::{Error, ErrorKind};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// A failure would mean that a commit is acknowledged before its changes are synced.
    #[test]
    fn every_caller_is_covered_by_a_sync_that_began_after_its_call() {
        let (group, applied, synced) = (SyncGroup::default(), AtomicU64::new(0), AtomicU64::new(0));
        let syncs = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let mine = applied.fetch_add(1, Ordering::SeqCst) + 1;
                        let sync = || {
                            let seen = applied.load(Ordering::SeqCst);
                            syncs.fetch_add(1, Ordering::SeqCst);
                            std::thread::sleep(Duration::from_micros(50));
                            synced.fetch_max(seen, Ordering::SeqCst);
                            Ok(())
                        };
                        group.sync(sync).unwrap();
                        assert!(synced.load(Ordering::SeqCst) >= mine);
                    }
                });
            }
        });
        assert!(syncs.into_inner() <= 400);
    }

    #[test]
    fn a_failed_sync_covers_nobody() {
        let group = SyncGroup::default();
        let fail = || Err(Error::new(ErrorKind::Io, "no"));
        assert!(group.sync(fail).is_err());
        assert!(group.sync(|| Ok(())).is_ok());
        assert!(group.sync(fail).is_err());
    }
}
