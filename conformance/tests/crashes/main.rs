//! Proves that the cases about crashes and about overlapping operations can fail: engines with one flaw
//! each, that only a kill or an overlap brings to light.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod flawed;

use async_trait::async_trait;
use broker_api::Engine;
use broker_conformance::{Level, Options, Report, Scratch, Subject, cases, run};
use broker_runtime::RuntimeOptions;
use engine_memory::MemoryDisk;
use engine_sqlite::SqliteOptions;
use flawed::{Flaw, FlawedEngine};
use std::process::Command;
use std::sync::Arc;

/// An engine with a flaw; over files when processes are killed.
struct Flawed {
    flaw: Flaw,
    test: &'static str,
}

impl Flawed {
    fn inner(&self, scratch: &Scratch) -> broker_api::Result<Arc<dyn Engine>> {
        let options = RuntimeOptions::default();
        match self.flaw.needs_files() {
            true => {
                let files = SqliteOptions::new(scratch.path()).with_mount_check(false);
                engine_sqlite::open(files, &options)
            }
            false => engine_memory::open(&scratch.keep(MemoryDisk::new), &options),
        }
    }
}

#[async_trait]
impl Subject for Flawed {
    async fn open(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        let mark = scratch.path().join("open");
        if mark.exists() && self.flaw == Flaw::NeedsHelp {
            return Err("the engine was not closed: remove the mark by hand".into());
        }
        let inner = self.inner(scratch).map_err(|error| error.to_string())?;
        Ok(Arc::new(FlawedEngine::new(inner, self.flaw, mark)))
    }

    /// This test alone, which comes to `run` at once.
    fn child(&self, _scratch: &Scratch) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([self.test, "--exact", "--nocapture"]);
        Ok(command)
    }
}

async fn report(flaw: Flaw, test: &'static str, change: impl FnOnce(&mut Options)) -> Report {
    let mut options = Options::new("flawed");
    options.claims = vec![
        Level::Replication,
        Level::Reclaim,
        Level::Concurrent,
        Level::Durable,
    ];
    change(&mut options);
    run(Arc::new(Flawed { flaw, test }), &options, |_| {}).await
}

/// Runs the cases of a clause against a flaw and expects one to fail.
async fn finds(flaw: Flaw, test: &'static str, clause: &str) {
    let of_clause = cases().filter(|case| case.clauses().contains(&clause));
    let names: Vec<_> = of_clause.map(|case| case.name()).collect();
    let report = report(flaw, test, |options| {
        options.exact = true;
        options.filters = names;
    })
    .await;
    let failed = report.failures().next();
    assert!(failed.is_some(), "{flaw:?} broke no case of {clause}");
}

macro_rules! flaws {
    ($($name:ident: $flaw:ident breaks $clause:literal;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                finds(Flaw::$flaw, stringify!($name), $clause).await;
            }
        )+
    };
}

flaws! {
    early_acknowledgements_are_found: AcknowledgesEarly breaks "DURABLE-1";
    halves_of_batches_are_found: SplitsBatches breaks "DURABLE-2";
    other_numbers_after_a_kill_are_found: RenumbersAfterKill breaks "DURABLE-3";
    repetitions_that_count_are_found: CountsRepetitions breaks "DURABLE-4";
    engine_that_needs_help_is_found: NeedsHelp breaks "DURABLE-5";
    claim_of_an_engine_that_states_memory_is_found: StatesMemory breaks "DURABLE-6";
    stale_reads_are_found: ReadsStale breaks "CONCUR-5";
    updates_lost_in_an_overlap_are_found: LosesOverlapped breaks "CONCUR-5";
}

/// What only overlapping operations show, no other case may be needed for, or able to find.
async fn only_overlaps_find(flaw: Flaw) {
    let report = report(flaw, "", |options| {
        options.claims.retain(|level| *level != Level::Durable);
    })
    .await;
    let failed: Vec<_> = report.failures().map(|case| &*case.name).collect();
    assert!(!failed.is_empty(), "{flaw:?}");
    let others: Vec<_> = failed
        .iter()
        .filter(|name| !name.starts_with("overlapping::"))
        .collect();
    assert!(others.is_empty(), "{flaw:?} is found by {others:?} too");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_overlapping_operations_show_stale_reads() {
    only_overlaps_find(Flaw::ReadsStale).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_overlapping_operations_show_lost_updates() {
    only_overlaps_find(Flaw::LosesOverlapped).await;
}

/// Without a flaw every one of these cases passes, so it is the flaw that is found.
#[tokio::test(flavor = "multi_thread")]
async fn engine_without_a_flaw_survives() {
    let report = report(Flaw::None, "engine_without_a_flaw_survives", |options| {
        options.filters = vec!["durable::".into(), "overlapping::".into()];
    })
    .await;
    let failed: Vec<_> = report.failures().collect();
    assert!(report.is_success(), "{failed:?}");
    assert!(report.to_json().contains("\"durability\": \"process\""));
}
