//! Whether a history of overlapping operations has an order that explains it.
//!
//! ```text
//! time ──────────────────────────────────────►
//! writer   ├── put a ──┤                          put a, read nothing: no order explains it, since
//! reader                   ├─ read ─┤ nothing      the read was called after the put was answered
//!
//! writer   ├────────── put a ──────────┤          read nothing, put a: fine
//! reader         ├─ read ─┤ nothing
//! ```
//!
//! The search is that of Wing and Gong with the memory of Lowe: of the operations that are left, any may
//! come next that was called before the first answer among them; a set of operations done that led to a
//! state is tried once.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// What one caller at a time would see.
pub(crate) trait Sequential: Clone + Eq + Hash {
    /// What may be asked.
    type Call: Debug;
    /// What is answered.
    type Answer: Debug + PartialEq;

    /// The answer, and what is then.
    fn step(&self, call: &Self::Call) -> (Self, Self::Answer);
}

/// One operation as it was seen from outside. Moments are different numbers that grow.
#[derive(Debug, Clone)]
pub(crate) struct Happened<C, A> {
    pub(crate) call: C,
    pub(crate) answer: A,
    pub(crate) called: u64,
    pub(crate) answered: u64,
}

/// The most operations of one history.
const MOST: usize = 128;

/// The operations that an order could not be found for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unexplained {
    /// Indexes of those that the longest order places, in that order.
    pub(crate) placed: Vec<usize>,
    /// Indexes of those that could come next and then have other answers.
    pub(crate) stuck: Vec<usize>,
}

type HistoryOf<S> = [Happened<<S as Sequential>::Call, <S as Sequential>::Answer>];

/// Looks for an order of a history that begins with `start`.
pub(crate) fn explain<S: Sequential>(start: &S, history: &HistoryOf<S>) -> Result<(), Unexplained> {
    assert!(history.len() <= MOST, "{} operations", history.len());
    let all = match history.len() {
        MOST => u128::MAX,
        count => (1 << count) - 1,
    };
    let mut tried: HashSet<(u128, S)> = HashSet::new();
    let mut longest = Unexplained {
        placed: Vec::new(),
        stuck: candidates(history, 0),
    };
    let mut ways = vec![(0_u128, start.clone(), Vec::new())];
    while let Some((done, state, placed)) = ways.pop() {
        if done == all {
            return Ok(());
        }
        let next = candidates(history, done);
        if placed.len() > longest.placed.len() {
            longest.placed.clone_from(&placed);
            longest.stuck.clone_from(&next);
        }
        for index in next {
            let (after, answer) = state.step(&history[index].call);
            let done = done | 1 << index;
            if answer == history[index].answer && tried.insert((done, after.clone())) {
                let mut placed = placed.clone();
                placed.push(index);
                ways.push((done, after, placed));
            }
        }
    }
    Err(longest)
}

/// Operations that are left and were called before any of those was answered.
fn candidates<C, A>(history: &[Happened<C, A>], done: u128) -> Vec<usize> {
    let left = || (0..history.len()).filter(|index| done & 1 << index == 0);
    let first_answer = left().map(|index| history[index].answered).min();
    let first_answer = first_answer.unwrap_or(0);
    left()
        .filter(|index| history[*index].called < first_answer)
        .collect()
}

#[cfg(test)]
#[path = "linear_tests.rs"]
mod tests;
