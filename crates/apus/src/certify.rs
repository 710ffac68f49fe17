//! `apus certify`: the conformance suite against an engine of the registry.

use crate::cli::CertifyArgs;
use crate::registry::{EngineEntry, EngineSetup, Registry};
use crate::{Failure, block_on_threads};
use async_trait::async_trait;
use broker_api::Engine;
use broker_conformance::{CaseReport, DEFAULT_SEED, Options, Report, Scratch, State, Subject};
use engine_memory::MemoryDisk;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

/// Runs the command: success when every claimed level is certified, or every chosen case passed.
pub(crate) fn run(registry: &Registry, args: &CertifyArgs) -> ExitCode {
    match certify(registry, args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("apus: {failure}");
            ExitCode::FAILURE
        }
    }
}

struct Registered {
    entry: EngineEntry,
}

#[async_trait]
impl Subject for Registered {
    async fn open(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        let mut setup = EngineSetup::new(scratch.path());
        setup.memory = scratch.keep(MemoryDisk::new);
        (self.entry.open)(&setup).map_err(|error| crate::chain(error.as_ref()))
    }
}

fn certify(registry: &Registry, args: &CertifyArgs) -> Result<bool, Failure> {
    let entry = *registry.find(&args.engine)?;
    let mut options = Options::new(entry.name);
    options.claims = entry.claims.to_vec();
    options.filters = args.filter.iter().cloned().collect();
    options.seed = args.seed.unwrap_or(DEFAULT_SEED);
    let chosen: Vec<_> = broker_conformance::cases()
        .filter(|c| options.chooses(c))
        .collect();
    if args.list {
        for case in &chosen {
            println!("{}  {}", case.name(), case.doc());
        }
        return Ok(true);
    }
    let bar = progress_bar(chosen.len() as u64);
    let subject = Arc::new(Registered { entry });
    let report = block_on_threads(async {
        Ok(broker_conformance::run(subject, &options, |case| show(&bar, case)).await)
    })?;
    bar.finish_and_clear();
    print(&report, args)?;
    Ok(report.is_success())
}

fn progress_bar(cases: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} cases, {elapsed}, {msg}");
    ProgressBar::new(cases).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Moves the bar on; without a terminal, a failure is a line of its own.
fn show(bar: &ProgressBar, case: &CaseReport) {
    bar.inc(1);
    bar.set_message(case.name.clone());
    if case.state == State::Fail {
        let line = format!("{} failed: {}", case.name, case.reason);
        if std::io::stderr().is_terminal() {
            bar.println(line)
        } else {
            eprintln!("{line}")
        }
    }
}

fn print(report: &Report, args: &CertifyArgs) -> Result<(), Failure> {
    if let Some(file) = &args.report {
        std::fs::write(file, report.to_json())?;
    }
    if args.json {
        print!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(())
}
