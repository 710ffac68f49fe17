//! Runs the cases of a clause against a mutant until one fails.

use crate::flaw::{Broken, Flaw};
use crate::life_mark::Life;
use crate::mutant::Mutant;
use crate::store::BrokenEngine;
use async_trait::async_trait;
use broker_api::{Engine, StoreKind};
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
    /// The kind of stores that had the flaw; `None` for both.
    pub(crate) only: Option<StoreKind>,
    /// For each clause that it breaks, the case that noticed.
    pub(crate) killers: Vec<(&'static str, Option<String>)>,
}

impl Verdict {
    /// The mutant's name, and the kind of stores where that makes a difference.
    pub(crate) fn name(&self) -> String {
        match self.only {
            Some(kind) => format!("{}, {kind}s alone", self.mutant.name),
            None => self.mutant.name.to_owned(),
        }
    }

    /// Whether the cases of every clause that it breaks noticed.
    pub(crate) fn is_killed(&self) -> bool {
        self.killers.iter().all(|(_, killer)| killer.is_some())
    }
}

/// Opens the engine of a mutant.
struct BrokenSubject {
    mutant: &'static Mutant,
    only: Option<StoreKind>,
}

impl BrokenSubject {
    /// The reference engine with the flaw.
    fn open_in_memory(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        let flaw = self.mutant.flaw;
        let opened = scratch.keep(Arc::<AtomicUsize>::default);
        let is_reopened = opened.fetch_add(1, Ordering::Relaxed) > 0;
        let disk = match flaw {
            Flaw::Forgets => MemoryDisk::new(),
            _ => scratch.keep(MemoryDisk::new),
        };
        let options = RuntimeOptions::default();
        let engine: Arc<dyn Engine> = match flaw {
            Flaw::Store(flaw) => {
                let (inner, only) = (MemoryEngine::on(&disk), self.only);
                let broken = BrokenEngine { inner, flaw, only };
                let engine = Adapter::start(broken, &options);
                Arc::new(engine.map_err(|error| error.to_string())?)
            }
            _ => engine_memory::open(&disk, &options).map_err(|error| error.to_string())?,
        };
        let layer = Broken::new(flaw, self.only, Arc::clone(&engine), is_reopened);
        Ok(Layered::over(engine, layer))
    }

    /// An engine over files with the flaw.
    fn open_on_files(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        let flaw = self.mutant.flaw;
        let life = Life::begin(scratch.path());
        if let Flaw::Opens(open) = flaw {
            open(scratch.path(), life.was_killed)?;
        }
        let files = SqliteOptions::new(scratch.path()).with_mount_check(false);
        let engine = engine_sqlite::open(files, &RuntimeOptions::default());
        let engine = engine.map_err(|error| error.to_string())?;
        let layer = Broken::new(flaw, self.only, Arc::clone(&engine), false).living(life);
        Ok(Layered::over(engine, layer))
    }
}

#[async_trait]
impl Subject for BrokenSubject {
    async fn open(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        match self.mutant.flaw.is_over_files() {
            true => self.open_on_files(scratch),
            false => self.open_in_memory(scratch),
        }
    }

    /// This program with the name of the mutant, which comes to the same part sooner.
    fn child(&self, _scratch: &Scratch) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(self.mutant.name);
        Ok(command)
    }
}

/// Judges mutants, several at a time; the verdicts are in the order of the mutants.
pub(crate) async fn judge_all(mutants: Vec<&'static Mutant>) -> Vec<Verdict> {
    let each = mutants.into_iter().flat_map(|mutant| {
        let only: &[_] = match mutant.is_of_each_kind {
            true => &[Some(StoreKind::Account), Some(StoreKind::Container)],
            false => &[None],
        };
        only.iter().map(move |only| (mutant, *only))
    });
    let mut waiting = each.enumerate();
    let mut running = JoinSet::new();
    let mut verdicts = Vec::new();
    loop {
        while running.len() < PARALLEL {
            let Some((place, (mutant, only))) = waiting.next() else {
                break;
            };
            running.spawn(async move { (place, judge(mutant, only).await) });
        }
        let Some(judged) = running.join_next().await else {
            break;
        };
        verdicts.push(judged.unwrap());
    }
    verdicts.sort_by_key(|(place, _)| *place);
    verdicts.into_iter().map(|(_, verdict)| verdict).collect()
}

async fn judge(mutant: &'static Mutant, only: Option<StoreKind>) -> Verdict {
    let mut verdict = Verdict {
        mutant,
        only,
        killers: Vec::new(),
    };
    let name = verdict.name();
    let subject: Arc<dyn Subject> = Arc::new(BrokenSubject { mutant, only });
    for clause in mutant.breaks {
        let killer = killer(&subject, &name, clause).await;
        verdict.killers.push((*clause, killer));
    }
    verdict
}

/// The first case of a clause that fails.
async fn killer(subject: &Arc<dyn Subject>, name: &str, clause: &str) -> Option<String> {
    for case in cases().filter(|case| case.clauses().contains(&clause)) {
        // The moments of kills, and who comes first, are drawn: these cases get other draws, too.
        let draws = match case.level() {
            Level::Durable => 6,
            Level::Concurrent => 4,
            _ => 1,
        };
        for draw in 0..draws {
            if fails(subject, name, &case, draw).await {
                return Some(told(&case));
            }
        }
    }
    None
}

/// What the report calls a case that noticed.
fn told(case: &Case) -> String {
    match case.level() {
        // Which of them notices first is a matter of chance.
        Level::Concurrent => "one of the concurrent cases".to_owned(),
        Level::Durable => "one of the durable cases".to_owned(),
        _ => case.name(),
    }
}

async fn fails(subject: &Arc<dyn Subject>, name: &str, case: &Case, draw: u64) -> bool {
    // By its name a child that is to be killed finds the mutant whose part it plays.
    let mut options = Options::new(name);
    options.seed += draw;
    options.claims = cases().map(|case| case.level()).collect();
    options.claims.retain(|level| *level != Level::Core);
    options.exact = true;
    options.filters = vec![case.name()];
    let report = run(Arc::clone(subject), &options, |_| {}).await;
    // A mutant that panics, or that plays a call where it does not belong, breaks more than a promise.
    let is_defect = |reason: &str| reason.starts_with("panicked") || reason.contains("a layer ");
    for failure in report.failures() {
        let reason = &failure.reason;
        assert!(!is_defect(reason), "{name}, {}: {reason}", failure.name);
    }
    report.failures().next().is_some()
}
