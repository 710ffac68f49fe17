//! A run: history after history, until there is a difference or the run is long enough.

use crate::compare::{Comparer, Difference};
use crate::error::Result;
use crate::generate;
use crate::op::History;
use crate::rng::{Rng, history_seed};
use crate::shrink::shrink;
use crate::subject::Subject;
use broker_api::Engine;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a run is; it ends with whichever comes first.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The seed of the run, and of its first history.
    pub seed: u64,
    /// Operations to play to each engine.
    pub operations: u64,
    /// How long to play.
    pub time: Option<Duration>,
}

/// A difference, made small.
#[derive(Debug)]
pub struct Finding {
    /// The engine's name.
    pub engine: String,
    /// The small history.
    pub history: History,
    /// What it shows.
    pub difference: Difference,
    /// How many operations the history had before.
    pub operations_before: usize,
}

/// What a run did.
#[derive(Debug)]
pub struct Outcome {
    /// Operations that every engine played.
    pub operations: u64,
    /// Histories.
    pub histories: u64,
    /// The first difference of each engine that had one.
    pub findings: Vec<Finding>,
}

/// Plays histories to engines until the plan is fulfilled or every engine has differed.
///
/// `progress` is told the operations so far, after each history.
///
/// # Errors
/// When one side cannot be asked.
pub fn run(
    comparer: &mut Comparer,
    subjects: &[Subject],
    plan: &Plan,
    mut progress: impl FnMut(u64),
) -> Result<Outcome> {
    let started = Instant::now();
    let is_over = |operations: u64| {
        operations >= plan.operations || plan.time.is_some_and(|time| started.elapsed() >= time)
    };
    let mut sound: Vec<&Subject> = subjects.iter().collect();
    let mut outcome = Outcome {
        operations: 0,
        histories: 0,
        findings: Vec::new(),
    };
    let mut sent = comparer.begin(history(plan, 0))?;
    while !is_over(outcome.operations) && !sound.is_empty() {
        let engines: Vec<_> = sound.iter().map(|subject| &subject.engine).collect();
        // Swift plays the next history while the engines play this one.
        let next = comparer.begin(history(plan, outcome.histories + 1))?;
        let (played, steps) = comparer.finish(sent, &engines)?;
        sent = next;
        outcome.histories += 1;
        outcome.operations += played.ops.len() as u64;
        progress(outcome.operations);
        if steps.iter().all(Option::is_none) {
            continue;
        }
        // Nothing may be outstanding while histories are shrunk; the one under way is thrown away.
        comparer.finish(sent, &[])?;
        for (subject, step) in sound.iter().zip(&steps) {
            if let Some(step) = step {
                outcome
                    .findings
                    .push(examine(comparer, subject, &played, *step)?);
            }
        }
        let mut steps = steps.iter();
        sound.retain(|_| steps.next().is_some_and(Option::is_none));
        sent = comparer.begin(history(plan, outcome.histories))?;
    }
    comparer.finish(sent, &[])?;
    Ok(outcome)
}

/// History number `index` of a run; most are short, some are long.
fn history(plan: &Plan, index: u64) -> History {
    let seed = history_seed(plan.seed, index);
    let length = match Rng::new(!seed).below(10) {
        0 => 600,
        1..4 => 60,
        _ => 200,
    };
    generate::history(seed, length)
}

/// Shrinks a history that differs at `step`.
fn examine(
    comparer: &mut Comparer,
    subject: &Subject,
    played: &History,
    step: usize,
) -> Result<Finding> {
    let start = played.with_ops(played.ops[..=step].to_vec());
    let small = shrink(&start, |candidate| {
        differs(comparer, candidate, &subject.engine)
    })?;
    // A difference that comes and goes is shown as it was found.
    let (history, difference) = match comparer.explain(&small, &subject.engine)? {
        Some(difference) => (small, difference),
        None => {
            let nothing = Difference {
                step,
                swift: "the difference did not show again".into(),
                engine: "".into(),
            };
            (start, nothing)
        }
    };
    Ok(Finding {
        engine: subject.name.clone(),
        history,
        difference,
        operations_before: played.ops.len(),
    })
}

fn differs(comparer: &mut Comparer, history: &History, engine: &Arc<dyn Engine>) -> Result<bool> {
    let sent = comparer.begin(history.clone())?;
    let (_, steps) = comparer.finish(sent, &[engine])?;
    Ok(steps[0].is_some())
}

/// Plays one history again, and shrinks it when it differs.
///
/// # Errors
/// When one side cannot be asked.
pub fn replay(
    comparer: &mut Comparer,
    subject: &Subject,
    history: &History,
) -> Result<Option<Finding>> {
    let sent = comparer.begin(history.clone())?;
    let (played, steps) = comparer.finish(sent, &[&subject.engine])?;
    match steps[0] {
        Some(step) => examine(comparer, subject, &played, step).map(Some),
        None => Ok(None),
    }
}
