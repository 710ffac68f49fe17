//! Recording when operations were called and answered.

use super::models::{Asked, Seen};
use crate::check::{Check, Failure};
use crate::linear::{Happened, Sequential, explain};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Moments that all tasks agree on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    /// Asks, and records what came of it.
    pub(crate) async fn record(
        &self,
        call: Asked,
        answer: impl Future<Output = Check<Seen>>,
    ) -> Check<Happened<Asked, Seen>> {
        let called = self.now();
        let answer = answer.await?;
        Ok(Happened {
            call,
            answer,
            called,
            answered: self.now(),
        })
    }

    fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// Fails, with the operations that do not fit, unless a history on a new store has an order.
pub(crate) fn check_explained<S>(mut history: Vec<Happened<Asked, Seen>>) -> Check
where
    S: Sequential<Call = Asked, Answer = Seen> + Default,
{
    history.sort_by_key(|happened| happened.called);
    let Err(unexplained) = explain(&S::default(), &history) else {
        return Ok(());
    };
    let tell = |index: &usize| {
        let happened = &history[*index];
        let (from, to) = (happened.called, happened.answered);
        format!(
            "[{from}..{to}] {:?} answered {:?}",
            happened.call, happened.answer
        )
    };
    let last = unexplained.placed.iter().rev().take(3).rev().map(tell);
    let stuck = unexplained.stuck.iter().map(tell);
    Err(Failure::new(format!(
        "no order explains {} operations; after {}, ending in ({}), none of these can follow: ({})",
        history.len(),
        unexplained.placed.len(),
        last.collect::<Vec<_>>().join("; "),
        stuck.collect::<Vec<_>>().join("; ")
    )))
}
