//! What a thread may do at the moment.

use std::cell::Cell;
use std::ffi::c_int;
use std::marker::PhantomData;

/// So many steps of SQLite's machine pass between two looks at what is left.
pub(crate) const STEPS: c_int = 256;

/// What so many steps cost.
const EFFORT_OF_STEPS: u32 = 16;

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing is refused.
    Free,
    /// Nothing waits, and no more than so much is done.
    Bound { left: u32, refused: bool },
}

// Neither has a destructor nor is made later, so that it can be asked at any time, also by a connection that is
// closed while the thread ends.
thread_local! {
    static STATE: Cell<State> = const { Cell::new(State::Free) };
    static READS: Cell<u64> = const { Cell::new(0) };
}

/// How many reads of files SQLite has made on the calling thread since some connection of the process was
/// [prepared](crate::prepare): with few exceptions pages that the connections did not keep.
pub fn reads() -> u64 {
    READS.get()
}

/// Counts a read.
pub(crate) fn count_read() {
    READS.set(READS.get().wrapping_add(1));
}

/// Whether the calling thread is inside [`without_waiting`](crate::without_waiting).
pub fn must_not_wait() -> bool {
    matches!(STATE.get(), State::Bound { .. })
}

/// Notes that something was refused.
pub(crate) fn refuse() {
    if let State::Bound { left, .. } = STATE.get() {
        let refused = true;
        STATE.set(State::Bound { left, refused });
    }
}

/// Spends effort; false, and noted, when there is not enough of it. Threads that may wait have no end of it.
pub(crate) fn spend(effort: u32) -> bool {
    let State::Bound { left, refused } = STATE.get() else {
        return true;
    };
    let rest = left.checked_sub(effort);
    STATE.set(State::Bound {
        left: rest.unwrap_or(0),
        refused: refused || rest.is_none(),
    });
    rest.is_some()
}

/// The progress handler: whether the statement is to be stopped.
pub(crate) fn stops_after_steps() -> bool {
    !spend(EFFORT_OF_STEPS)
}

/// While it lives its thread does not wait. Dropping it, by a panic too, puts back what was before.
#[derive(Debug)]
pub(crate) struct Scope {
    before: State,
    /// It belongs to its thread.
    not_send: PhantomData<*const ()>,
}

impl Scope {
    pub(crate) fn enter(left: u32) -> Self {
        let refused = false;
        Self {
            before: STATE.replace(State::Bound { left, refused }),
            not_send: PhantomData,
        }
    }

    pub(crate) fn was_refused(&self) -> bool {
        matches!(STATE.get(), State::Bound { refused: true, .. })
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        STATE.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_scope() {
        let panicked = std::panic::catch_unwind(|| {
            let _scope = Scope::enter(1);
            assert!(must_not_wait());
            panic!("as wanted");
        });
        assert!(panicked.is_err());
        assert!(!must_not_wait());
    }

    #[test]
    fn an_inner_scope_leaves_the_outer_as_it_was() {
        let outer = Scope::enter(20);
        {
            let inner = Scope::enter(10);
            assert!(stops_after_steps());
            assert!(inner.was_refused());
        }
        assert!(!outer.was_refused());
        assert!(!stops_after_steps());
        assert!(stops_after_steps(), "4 are left of 20");
        assert!(outer.was_refused());
        drop(outer);
        assert!(!stops_after_steps(), "who may wait is never stopped");
    }
}
