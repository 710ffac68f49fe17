//! Runs the cases of a clause against a mutant until one fails.

use crate::flaw::{Broken, Flaw};
use crate::mutant::Mutant;
use crate::store::BrokenEngine;
use async_trait::async_trait;
use broker_api::Engine;
use broker_conformance::{Case, Level, Options, Scratch, Subject, cases, run};
use broker_layers::Layered;
use broker_runtime::{Adapter, RuntimeOptions};
use engine_memory::{MemoryDisk, MemoryEngine};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

/// Mutants that are judged at the same time; cases wait more than they compute.
const PARALLEL: usize = 4;

/// What became of a mutant.
pub(crate) struct Verdict {
    pub(crate) mutant: &'static Mutant,
    /// For each clause that it breaks, the case that noticed.
    pub(crate) killers: Vec<(&'static str, Option<String>)>,
}

impl Verdict {
    /// Whether the cases of every clause that it breaks noticed.
    pub(crate) fn is_killed(&self) -> bool {
        self.killers.iter().all(|(_, killer)| killer.is_some())
    }
}

/// Opens the reference engine with a flaw.
struct BrokenSubject(Flaw);

#[async_trait]
impl Subject for BrokenSubject {
    async fn open(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        let opened = scratch.keep(Arc::<AtomicUsize>::default);
        let is_reopened = opened.fetch_add(1, Ordering::Relaxed) > 0;
        let disk = match self.0 {
            Flaw::Forgets => MemoryDisk::new(),
            _ => scratch.keep(MemoryDisk::new),
        };
        let options = RuntimeOptions::default();
        let engine: Arc<dyn Engine> = match self.0 {
            Flaw::Store(flaw) => {
                let inner = MemoryEngine::on(&disk);
                let engine = Adapter::start(BrokenEngine { inner, flaw }, &options);
                Arc::new(engine.map_err(|error| error.to_string())?)
            }
            _ => engine_memory::open(&disk, &options).map_err(|error| error.to_string())?,
        };
        let layer = Broken::new(self.0, Arc::clone(&engine), is_reopened);
        Ok(Layered::over(engine, layer))
    }
}

/// Judges mutants, several at a time; the verdicts are in the order of the mutants.
pub(crate) async fn judge_all(mutants: Vec<&'static Mutant>) -> Vec<Verdict> {
    let mut waiting = mutants.into_iter().enumerate();
    let mut running = JoinSet::new();
    let mut verdicts = Vec::new();
    loop {
        while running.len() < PARALLEL {
            let Some((place, mutant)) = waiting.next() else {
                break;
            };
            running.spawn(async move { (place, judge(mutant).await) });
        }
        let Some(judged) = running.join_next().await else {
            break;
        };
        verdicts.push(judged.unwrap());
    }
    verdicts.sort_by_key(|(place, _)| *place);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

async fn judge(mutant: &'static Mutant) -> Verdict {
    let subject: Arc<dyn Subject> = Arc::new(BrokenSubject(mutant.flaw));
    let mut killers = Vec::new();
    for clause in mutant.breaks {
        killers.push((*clause, killer(&subject, clause).await));
    }
    Verdict { mutant, killers }
}

/// The first case of a clause that fails.
async fn killer(subject: &Arc<dyn Subject>, clause: &str) -> Option<String> {
    for case in cases().filter(|case| case.clauses().contains(&clause)) {
        if fails(subject, &case).await {
            return Some(case.name());
        }
    }
    None
}

async fn fails(subject: &Arc<dyn Subject>, case: &Case) -> bool {
    let mut options = Options::new("mutant");
    options.claims = cases().map(|case| case.level()).collect();
    options.claims.retain(|level| *level != Level::Core);
    options.exact = true;
    options.filters = vec![case.name()];
    let report = run(Arc::clone(subject), &options, |_| {}).await;
    // A mutant that panics, or that plays a call where it does not belong, breaks more than a promise.
    let is_defect = |reason: &str| reason.starts_with("panicked") || reason.contains("a layer ");
    for failure in report.failures() {
        let reason = &failure.reason;
        assert!(!is_defect(reason), "{}: {reason}", failure.name);
    }
    report.failures().next().is_some()
}
