//! Runs cases: each with an engine of its own, several at a time, never for ever.

use crate::case::{Case, Level};
use crate::cases;
use crate::check::{Check, Failure};
use crate::crash::{self, Part};
use crate::door::{self, Door};
use crate::fixture::{Fixture, Origin};
use crate::report::{CaseReport, Report, State};
use crate::rng::Rng;
use crate::subject::{Scratch, Subject};
use broker_api::Durability;
use std::any::Any;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::{JoinError, JoinSet};

/// The seed of a run that names none.
pub const DEFAULT_SEED: u64 = 0x5eed;

/// A case that an engine is known to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedFailure {
    /// Its name, with or without the module.
    pub case: String,
    /// Why; shown in the report.
    pub reason: String,
}

/// What to run, and how.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The engine's name in the report.
    pub engine: String,
    /// Levels that are claimed beside [`Level::Core`].
    pub claims: Vec<Level>,
    /// Cases that are known to fail.
    pub expected_failures: Vec<ExpectedFailure>,
    /// Only cases whose name holds one of these; all when empty.
    pub filters: Vec<String>,
    /// Filters must be the whole name.
    pub exact: bool,
    /// Where random histories begin.
    pub seed: u64,
    /// Cases that run at the same time.
    pub parallel: usize,
    /// How long one case may take.
    pub case_timeout: Duration,
    /// Takes no heed of what is declared of cases over HTTP: to find out what should be.
    pub undeclared: bool,
}

impl Options {
    /// All core cases, four at a time, two minutes for each.
    pub fn new(engine: impl Into<String>) -> Self {
        Self {
            engine: engine.into(),
            claims: Vec::new(),
            expected_failures: Vec::new(),
            filters: Vec::new(),
            exact: false,
            seed: DEFAULT_SEED,
            parallel: 4,
            case_timeout: Duration::from_secs(120),
            undeclared: false,
        }
    }

    /// Whether a case is chosen by the filters.
    pub fn chooses(&self, case: &Case) -> bool {
        let name = case.name();
        let matches = |filter: &String| match self.exact {
            true => *filter == name,
            false => name.contains(filter.as_str()),
        };
        self.filters.is_empty() || self.filters.iter().any(matches)
    }

    fn is_claimed(&self, level: Level) -> bool {
        level == Level::Core || self.claims.contains(&level)
    }

    fn expected_failure(&self, case: &Case) -> Option<&ExpectedFailure> {
        let name = case.name();
        let is_it = |expected: &&ExpectedFailure| {
            expected.case == name || expected.case == case.function_name()
        };
        self.expected_failures.iter().find(is_it)
    }
}

/// Runs the chosen cases. `progress` hears of each when it ends, in no particular order; the report
/// is in the order of [`cases`](crate::cases()).
///
/// In a process that a durable case started, see [`Subject::child`], it plays that part and ends the
/// process.
pub async fn run(
    subject: Arc<dyn Subject>,
    options: &Options,
    mut progress: impl FnMut(&CaseReport),
) -> Report {
    if let Some(part) = Part::of_this_process() {
        return be_killed(subject, options, part).await;
    }
    let chosen: Vec<Case> = cases::all().filter(|case| options.chooses(case)).collect();
    let mut ended: Vec<(usize, CaseReport)> = Vec::new();
    let mut waiting = chosen.iter().copied().enumerate();
    let mut running = JoinSet::new();
    let durability = Arc::new(OnceLock::new());
    loop {
        while running.len() < options.parallel.max(1) {
            let Some((index, case)) = waiting.next() else {
                break;
            };
            let (subject, options) = (Arc::clone(&subject), options.clone());
            let durability = Arc::clone(&durability);
            running.spawn(async move {
                let report = judge(subject, case, &options, &durability).await;
                (index, report)
            });
        }
        let Some(done) = running.join_next().await else {
            break;
        };
        // A judge catches the panics of its case; its own would be a defect of this file.
        let (index, report) = done.expect("the runner does not panic");
        progress(&report);
        ended.push((index, report));
    }
    ended.sort_by_key(|(index, _)| *index);
    let cases = ended.into_iter().map(|(_, report)| report).collect();
    let durability = durability.get().copied();
    let unknown = unknown_exceptions(options);
    Report::new(options, subject.door(), cases, unknown, durability)
}

/// Plays the part of a child; of several engines that a program certifies, only the one that is meant.
async fn be_killed(
    subject: Arc<dyn Subject>,
    options: &Options,
    part: Result<Part, String>,
) -> Report {
    let is_well = match part {
        Ok(part) if part.engine() != options.engine => {
            return Report::new(options, subject.door(), Vec::new(), Vec::new(), None);
        }
        Ok(part) => crash::play_part(subject, part).await,
        Err(problem) => {
            eprintln!("error: {problem}");
            false
        }
    };
    std::process::exit(i32::from(!is_well))
}

/// Expected failures that name no case: the list must shrink honestly.
fn unknown_exceptions(options: &Options) -> Vec<String> {
    let is_known = |expected: &&ExpectedFailure| {
        !cases::all()
            .any(|case| expected.case == case.name() || expected.case == case.function_name())
    };
    let unknown = options.expected_failures.iter().filter(is_known);
    unknown.map(|expected| expected.case.clone()).collect()
}

async fn judge(
    subject: Arc<dyn Subject>,
    case: Case,
    options: &Options,
    durability: &Arc<OnceLock<Durability>>,
) -> CaseReport {
    let report = |state, reason: String| CaseReport {
        name: case.name(),
        level: case.level,
        clauses: case.clauses,
        doc: case.doc(),
        state,
        reason,
        seed: options.seed,
        at: None,
    };
    // Over HTTP all is run: what is declared not to be seen must not pass, at any level.
    if !options.is_claimed(case.level) && subject.door() == Door::Process {
        return report(State::Skip, format!("{} is not claimed", case.level));
    }
    if case.level == Level::Durable && subject.door() == Door::Wire {
        return report(
            State::NotSeen,
            "the server is not the suite's to kill".into(),
        );
    }
    let declared = match subject.door() {
        Door::Wire if !options.undeclared => door::declared(&case.name()),
        _ => None,
    };
    let devices = subject.devices().map_or(2, |devices| devices.len());
    if let Some(needed) = declared.map(|declared| declared.devices)
        && needed > devices
    {
        return report(State::Skip, format!("needs {needed} devices"));
    }
    let outcome = trial(subject, case, options, durability).await;
    let lacks = declared.and_then(|declared| declared.lacks);
    match (outcome, lacks, options.expected_failure(&case)) {
        (Ok(()), Some(_), _) => report(State::Stale, "declared not to be seen, but passes".into()),
        (Err(_), Some(lacks), _) => report(State::NotSeen, lacks.to_owned()),
        (Ok(()), None, None) => report(State::Pass, String::new()),
        (Ok(()), None, Some(_)) => report(State::Stale, "expected to fail, but passes".into()),
        (Err(_), None, Some(expected)) => report(State::ExpectedFailure, expected.reason.clone()),
        (Err(failure), None, None) => CaseReport {
            at: Some(failure.at()),
            ..report(State::Fail, failure.message().to_owned())
        },
    }
}

/// Runs a case to its end, its panic, or the end of its time.
async fn trial(
    subject: Arc<dyn Subject>,
    case: Case,
    options: &Options,
    durability: &Arc<OnceLock<Durability>>,
) -> Check {
    let origin = Origin {
        engine: options.engine.clone(),
        seed: options.seed,
        case: case.name(),
    };
    let durability = Arc::clone(durability);
    let trial = tokio::spawn(async move { run_case(subject, case, origin, &durability).await });
    let abort = trial.abort_handle();
    match tokio::time::timeout(options.case_timeout, trial).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(Failure::new(panic_message(panic))),
        Err(_) => {
            abort.abort();
            let seconds = options.case_timeout.as_secs();
            Err(Failure::new(format!("still running after {seconds} s")))
        }
    }
}

/// Runs a case; `durability` becomes what its engine states.
async fn run_case(
    subject: Arc<dyn Subject>,
    case: Case,
    origin: Origin,
    durability: &OnceLock<Durability>,
) -> Check {
    let io = |error: std::io::Error| Failure::new(format!("no scratch directory: {error}"));
    let directory = tempfile::Builder::new()
        .prefix("broker-conformance-")
        .tempdir()
        .map_err(io)?;
    let devices = subject.devices();
    let scratch = scratch(directory.path(), origin.seed, &origin.case, devices).map_err(io)?;
    let fixture = Fixture::open(Arc::clone(&subject), scratch.clone(), origin).await?;
    durability.get_or_init(|| fixture.engine().capabilities().durability);
    let outcome = (case.run)(fixture).await;
    subject.clean(&scratch).await;
    outcome
}

fn scratch(
    path: &Path,
    seed: u64,
    case: &str,
    devices: Option<Vec<String>>,
) -> std::io::Result<Scratch> {
    let devices = devices.map_or_else(|| make_devices(path, seed, case), Ok)?;
    // Other runs may use the same remote service at the same time.
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = since_epoch.map_or(0, |time| time.as_nanos() as u64);
    let mut unique = Rng::new(nanoseconds ^ u64::from(std::process::id()), case);
    let token = format!("{:016x}", unique.next());
    Ok(Scratch::new(path.to_owned(), token, devices))
}

fn make_devices(path: &Path, seed: u64, case: &str) -> std::io::Result<Vec<String>> {
    let mut rng = Rng::new(seed, &format!("device of {case}"));
    let make = |letter| {
        let device = format!("sd{letter}{:08x}", rng.next() as u32);
        std::fs::create_dir(path.join(&device))?;
        Ok(device)
    };
    ["a", "b"].into_iter().map(make).collect()
}

fn panic_message(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "the case was cancelled".into();
    };
    format!("panicked: {}", panic_text(&*panic))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "with something that is no text",
    }
}
