//! The command line of the oracle.

use broker_oracle::broken::Fault;
use broker_oracle::compare::Comparer;
use broker_oracle::driver::Driver;
use broker_oracle::error::Result;
use broker_oracle::exclusions::EXCLUSIONS;
use broker_oracle::report;
use broker_oracle::run::{Finding, Outcome, Plan, replay, run};
use broker_oracle::subject::{EngineName, Subject};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often a line is logged when there is no terminal.
const LOG_EVERY: Duration = Duration::from_secs(15);

/// Plays random histories to Swift's own brokers and to engines of Apus, and compares after every step.
#[derive(Debug, Parser)]
struct Arguments {
    /// An engine to compare; may be given several times.
    #[arg(long = "engine", value_enum, default_values = ["memory", "sqlite"])]
    engines: Vec<EngineName>,
    /// How many operations to play to each engine.
    #[arg(long, default_value_t = 20_000)]
    operations: u64,
    /// The seed of the run; a fresh one when left out. The seed of a history replays it with
    /// `--operations 1`.
    #[arg(long)]
    seed: Option<u64>,
    /// Stop after this time.
    #[arg(long)]
    seconds: Option<u64>,
    /// Gives the engines a bug, to see it found.
    #[arg(long = "break", value_enum)]
    fault: Option<Fault>,
    /// Plays a history from a file that an earlier run has written, and nothing else.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Where histories that show a difference are written.
    #[arg(long, default_value = "target/oracle-differences")]
    report: PathBuf,
    /// Lists what histories leave out, and why.
    #[arg(long)]
    exclusions: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.exclusions {
        print_exclusions();
        return ExitCode::SUCCESS;
    }
    match play(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn print_exclusions() {
    for exclusion in EXCLUSIONS {
        let quirk = match exclusion.quirk {
            "" => String::new(),
            quirk => format!(" ({quirk})"),
        };
        println!("- {}{quirk}: {}", exclusion.left_out, exclusion.reason);
    }
}

/// Plays as asked; false when there was a difference.
fn play(arguments: &Arguments) -> Result<bool> {
    let subjects = subjects(arguments)?;
    let mut comparer = Comparer::new(Driver::start()?)?;
    let findings = match &arguments.replay {
        Some(file) => {
            let history = report::read(file)?;
            let mut findings = Vec::new();
            for subject in &subjects {
                findings.extend(replay(&mut comparer, subject, &history)?);
            }
            findings
        }
        None => long_run(arguments, &subjects, &mut comparer)?,
    };
    for finding in &findings {
        tell(arguments, finding)?;
    }
    Ok(findings.is_empty())
}

fn subjects(arguments: &Arguments) -> Result<Vec<Subject>> {
    let open = |name: &EngineName| {
        let subject = Subject::open(*name)?;
        Ok(match arguments.fault {
            Some(fault) => subject.with_fault(fault),
            None => subject,
        })
    };
    arguments.engines.iter().map(open).collect()
}

fn long_run(
    arguments: &Arguments,
    subjects: &[Subject],
    comparer: &mut Comparer,
) -> Result<Vec<Finding>> {
    let plan = Plan {
        seed: arguments.seed.unwrap_or_else(fresh_seed),
        operations: arguments.operations,
        time: arguments.seconds.map(Duration::from_secs),
    };
    let names: Vec<&str> = subjects
        .iter()
        .map(|subject| subject.name.as_str())
        .collect();
    eprintln!(
        "seed {}: up to {} operations on {}",
        plan.seed,
        plan.operations,
        names.join(", ")
    );
    let started = Instant::now();
    let mut progress = Progress::new(plan.operations);
    let outcome = run(comparer, subjects, &plan, |done| progress.tell(done))?;
    progress.bar.finish_and_clear();
    summary(&plan, &outcome, started.elapsed());
    Ok(outcome.findings)
}

fn summary(plan: &Plan, outcome: &Outcome, took: Duration) {
    let rate = outcome.operations as f64 / took.as_secs_f64().max(0.001);
    eprintln!(
        "seed {}: {} operations in {} histories, {:.0} s, {rate:.0} operations/s, {} differences",
        plan.seed,
        outcome.operations,
        outcome.histories,
        took.as_secs_f64(),
        outcome.findings.len()
    );
}

fn tell(arguments: &Arguments, finding: &Finding) -> Result<()> {
    let Finding {
        engine,
        history,
        difference,
        operations_before,
    } = finding;
    println!("{}", report::text(engine, history, difference));
    let file = report::keep(&arguments.report, engine, history)?;
    println!(
        "shrunk from {operations_before} operations; again: --engine … --replay {}",
        file.display()
    );
    Ok(())
}

/// A bar on a terminal, now and then a line elsewhere.
struct Progress {
    bar: ProgressBar,
    logged: Instant,
    started: Instant,
}

impl Progress {
    fn new(operations: u64) -> Self {
        let bar = match std::io::stderr().is_terminal() {
            true => ProgressBar::new(operations),
            false => ProgressBar::hidden(),
        };
        let template = "{wide_bar} {pos}/{len} operations, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            logged: Instant::now(),
            started: Instant::now(),
        }
    }

    fn tell(&mut self, done: u64) {
        self.bar.set_position(done);
        if self.bar.is_hidden() && self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            let rate = done as f64 / self.started.elapsed().as_secs_f64();
            eprintln!("{done} operations, {rate:.0}/s");
        }
    }
}

fn fresh_seed() -> u64 {
    RandomState::new().hash_one(0)
}
