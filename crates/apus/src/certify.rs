//! `apus certify`: the conformance suite against an engine of the registry, or against running servers.

use crate::cli::{CertifyArgs, ServersArgs};
use crate::registry::{EngineEntry, EngineSetup, Registry};
use crate::{Failure, block_on_threads};
use async_trait::async_trait;
use broker_api::Engine;
use broker_conformance::{
    CaseReport, DEFAULT_SEED, ExpectedFailure, Level, Options, Report, Scratch, Servers, State,
    Subject, WireSubject,
};
use engine_memory::MemoryDisk;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::Path;
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
    let (subject, mut options) = match &args.engine {
        Some(engine) => registered(*registry.find(engine)?),
        None => running(&args.servers)?,
    };
    options.filters = args.filter.iter().cloned().collect();
    options.seed = args.seed.unwrap_or(DEFAULT_SEED);
    if let Some(file) = &args.expect {
        options.expected_failures = expected_failures(file)?;
    }
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
    let report = block_on_threads(async {
        Ok(broker_conformance::run(subject, &options, |case| show(&bar, case)).await)
    })?;
    bar.finish_and_clear();
    print(&report, args)?;
    Ok(report.is_success())
}

fn registered(entry: EngineEntry) -> (Arc<dyn Subject>, Options) {
    let mut options = Options::new(entry.name);
    options.claims = entry.claims.to_vec();
    (Arc::new(Registered { entry }), options)
}

/// What anyone's servers claim by being servers: the core, and many clients at once.
fn running(args: &ServersArgs) -> Result<(Arc<dyn Subject>, Options), Failure> {
    let url = |url: &Option<String>| url.clone().unwrap_or_default();
    let (account, container) = (url(&args.account_url), url(&args.container_url));
    let mut servers =
        Servers::new(&account, &container, args.device.clone()).map_err(Failure::new)?;
    for policy in &args.policy {
        let parsed = policy.rsplit_once('=');
        let parsed = parsed.and_then(|(name, index)| Some((name, index.parse().ok()?)));
        let (name, index) =
            parsed.ok_or_else(|| Failure::new(format!("--policy {policy}: write NAME=INDEX")))?;
        servers = servers.with_policy(name, index);
    }
    let mut options = Options::new(&args.name);
    options.claims = vec![Level::Concurrent];
    options.undeclared = args.undeclared;
    Ok((Arc::new(WireSubject::new(servers)), options))
}

/// `case  reason` on each line; empty lines and those that begin with a hash sign say nothing.
fn expected_failures(file: &Path) -> Result<Vec<ExpectedFailure>, Failure> {
    let cannot = |error| Failure::new(format!("cannot read {}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(cannot)?;
    let says_something = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let expected = |line: &str| match line.split_once(' ') {
        Some((case, reason)) => Ok(ExpectedFailure {
            case: case.to_owned(),
            reason: reason.trim().to_owned(),
        }),
        None => Err(Failure::new(format!(
            "{}: {line} has no reason",
            file.display()
        ))),
    };
    let lines = text.lines().map(str::trim).filter(says_something);
    lines.map(expected).collect()
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
