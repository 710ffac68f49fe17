//! Runs the cases of a clause against a mutant until one fails.

use crate::flaw::{Broken, Flaw};
use crate::mortal::{Life, Mortal};
use crate::mutant::Mutant;
use crate::store::BrokenEngine;
use async_trait::async_trait;
use broker_api::Engine;
use broker_conformance::{Case, Level, Options, Scratch, Subject, cases, run};
use broker_layers::Layered;
use broker_runtime::{Adapter, RuntimeOptions};
use engine_memory::{MemoryDisk, MemoryEngine};
use engine_sqlite::SqliteOptions;
use std::process::Command;
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

/// Opens the engine of a mutant.
struct BrokenSubject(&'static Mutant);

impl BrokenSubject {
    /// The reference engine with the flaw.
    fn open_in_memory(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        let flaw = self.0.flaw;
        let opened = scratch.keep(Arc::<AtomicUsize>::default);
        let is_reopened = opened.fetch_add(1, Ordering::Relaxed) > 0;
        let disk = match flaw {
            Flaw::Forgets => MemoryDisk::new(),
            _ => scratch.keep(MemoryDisk::new),
        };
        let options = RuntimeOptions::default();
        let engine: Arc<dyn Engine> = match flaw {
            Flaw::Store(flaw) => {
                let inner = MemoryEngine::on(&disk);
                let engine = Adapter::start(BrokenEngine { inner, flaw }, &options);
                Arc::new(engine.map_err(|error| error.to_string())?)
            }
            _ => engine_memory::open(&disk, &options).map_err(|error| error.to_string())?,
        };
        let layer = Broken::new(flaw, Arc::clone(&engine), is_reopened);
        Ok(Layered::over(engine, layer))
    }

    /// An engine over files with the flaw.
    fn open_on_files(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        let flaw = self.0.flaw;
        let life = Life::begin(scratch.path());
        if let Flaw::Opens(open) = flaw {
            open(scratch.path(), life.was_killed)?;
        }
        let files = SqliteOptions::new(scratch.path()).with_mount_check(false);
        let engine = engine_sqlite::open(files, &RuntimeOptions::default());
        let engine = engine.map_err(|error| error.to_string())?;
        let layer = Broken::new(flaw, Arc::clone(&engine), life.was_killed);
        let states = match flaw {
            Flaw::States(durability) => durability,
            _ => engine.capabilities().durability,
        };
        Ok(Arc::new(Mortal::new(
            Layered::over(engine, layer),
            states,
            life,
        )))
    }
}

#[async_trait]
impl Subject for BrokenSubject {
    async fn open(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        match self.0.flaw.is_over_files() {
            true => self.open_on_files(scratch),
            false => self.open_in_memory(scratch),
        }
    }

    /// This program with the name of the mutant, which comes to the same part sooner.
    fn child(&self) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(self.0.name);
        Ok(command)
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
    let subject: Arc<dyn Subject> = Arc::new(BrokenSubject(mutant));
    let mut killers = Vec::new();
    for clause in mutant.breaks {
        killers.push((*clause, killer(&subject, mutant, clause).await));
    }
    Verdict { mutant, killers }
}

/// The first case of a clause that fails. Moments of kills are drawn: those get other draws, too.
async fn killer(subject: &Arc<dyn Subject>, mutant: &Mutant, clause: &str) -> Option<String> {
    let rounds = match mutant.flaw.is_over_files() {
        true => 3,
        false => 1,
    };
    for round in 0..rounds {
        for case in cases().filter(|case| case.clauses().contains(&clause)) {
            if fails(subject, mutant, &case, round).await {
                return Some(case.name());
            }
        }
    }
    None
}

async fn fails(subject: &Arc<dyn Subject>, mutant: &Mutant, case: &Case, round: u64) -> bool {
    // By its name a child that is to be killed finds the mutant whose part it plays.
    let mut options = Options::new(mutant.name);
    options.claims = cases().map(|case| case.level()).collect();
    options.claims.retain(|level| *level != Level::Core);
    options.seed += round;
    options.exact = true;
    options.filters = vec![case.name()];
    let report = run(Arc::clone(subject), &options, |_| {}).await;
    // A mutant that panics, or that plays a call where it does not belong, breaks more than a promise.
    let is_defect = |reason: &str| reason.starts_with("panicked") || reason.contains("a layer ");
    for failure in report.failures() {
        let reason = &failure.reason;
        assert!(
            !is_defect(reason),
            "{}, {}: {reason}",
            mutant.name,
            failure.name
        );
    }
    report.failures().next().is_some()
}
