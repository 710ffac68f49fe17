//! The report of a run: a table to read, JSON to keep, and one exit status.

use crate::case::Level;
use crate::contract;
use crate::door::Door;
use crate::runner::Options;
use broker_api::Durability;
use serde_json::{Value, json};
use std::fmt::{self, Write as _};
use std::panic::Location;
use std::path::{Path, PathBuf};

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// Its level is not claimed.
    Skip,
    /// It fails, as the engine's list says.
    ExpectedFailure,
    /// It holds, though the engine's list says that it fails: strike it off. Counts as a failure.
    Stale,
    /// It needs more than HTTP does or shows, as `wire-cases.txt` declares.
    NotSeen,
}

impl State {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Pass => "pass",
            State::Fail => "fail",
            State::Skip => "skip",
            State::ExpectedFailure => "expected failure",
            State::Stale => "stale",
            State::NotSeen => "not seen over HTTP",
        }
    }
}

/// What became of one case.
#[derive(Debug, Clone)]
pub struct CaseReport {
    /// The case's name.
    pub name: String,
    /// Its level.
    pub level: Level,
    /// The clauses that it checks.
    pub clauses: &'static [&'static str],
    /// What it states.
    pub doc: String,
    /// How it ended.
    pub state: State,
    /// Why, when it did not pass.
    pub reason: String,
    /// Where its random numbers began.
    pub seed: u64,
    /// The line of the suite that failed it.
    pub at: Option<&'static Location<'static>>,
}

/// Numbers of one level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Cases that ran or were skipped.
    pub cases: usize,
    /// Passed.
    pub pass: usize,
    /// Failed, stale ones included.
    pub fail: usize,
    /// Skipped.
    pub skip: usize,
    /// Failed as expected.
    pub expected: usize,
    /// Ran over HTTP and need more than it shows.
    pub not_seen: usize,
}

/// What became of a run.
#[derive(Debug, Clone)]
pub struct Report {
    engine: String,
    door: Door,
    claims: Vec<Level>,
    seed: u64,
    filtered: bool,
    cases: Vec<CaseReport>,
    unknown_exceptions: Vec<String>,
    durability: Option<Durability>,
}

impl Report {
    pub(crate) fn new(
        options: &Options,
        door: Door,
        cases: Vec<CaseReport>,
        unknown_exceptions: Vec<String>,
        durability: Option<Durability>,
    ) -> Self {
        Self {
            engine: options.engine.clone(),
            door,
            claims: options.claims.clone(),
            seed: options.seed,
            filtered: !options.filters.is_empty(),
            cases,
            unknown_exceptions,
            durability,
        }
    }

    /// Every case that was chosen, in the order of the suite.
    pub fn cases(&self) -> &[CaseReport] {
        &self.cases
    }

    /// Cases that failed or are stale.
    pub fn failures(&self) -> impl Iterator<Item = &CaseReport> {
        let failed = |case: &&CaseReport| matches!(case.state, State::Fail | State::Stale);
        self.cases.iter().filter(failed)
    }

    /// Numbers over all levels, or of one.
    pub fn totals(&self, level: Option<Level>) -> Totals {
        let mut totals = Totals::default();
        let of_level = |case: &&CaseReport| level.is_none_or(|level| case.level == level);
        for case in self.cases.iter().filter(of_level) {
            totals.cases += 1;
            match case.state {
                State::Pass => totals.pass += 1,
                State::Fail | State::Stale => totals.fail += 1,
                State::Skip => totals.skip += 1,
                State::ExpectedFailure => totals.expected += 1,
                State::NotSeen => totals.not_seen += 1,
            }
        }
        totals
    }

    /// Whether the engine is certified at a level: claimed, with cases, and all of them passed. Over HTTP
    /// all that can be seen.
    pub fn is_certified(&self, level: Level) -> bool {
        let totals = self.totals(Some(level));
        !self.filtered
            && (level == Level::Core || self.claims.contains(&level))
            && totals.pass > 0
            && totals.pass + totals.not_seen == totals.cases
    }

    /// Whether the run is good: nothing failed, something ran, every claim has cases, and every
    /// expected failure names a case. A run that was filtered need not have found anything.
    pub fn is_success(&self) -> bool {
        self.complaints().is_empty() && self.failures().next().is_none()
    }

    fn complaints(&self) -> Vec<String> {
        let mut complaints: Vec<_> = self
            .unknown_exceptions
            .iter()
            .map(|case| format!("expected to fail, but there is no such case: {case}"))
            .collect();
        if self.filtered {
            return complaints;
        }
        let totals = self.totals(None);
        if totals.pass + totals.fail + totals.expected == 0 {
            complaints.push("nothing was run".into());
        }
        for level in &self.claims {
            if self.totals(Some(*level)).cases == 0 {
                complaints.push(format!("{level} is claimed, but has no cases"));
            }
        }
        complaints
    }

    /// The report as JSON, one entry for each case. It holds nothing that differs from run to run,
    /// so that a changed file means a changed engine or suite.
    pub fn to_json(&self) -> String {
        let case = |case: &CaseReport| {
            json!({
                "name": case.name,
                "level": case.level.as_str(),
                "clauses": case.clauses,
                "state": case.state.as_str(),
                "reason": case.reason,
                "seed": case.seed,
            })
        };
        let mut report = json!({
            "suite": format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            "contract": broker_api::contract::VERSION,
            "engine": self.engine,
            "durability": self.durability.map(Durability::as_str),
            "claims": self.claims.iter().map(|level| level.as_str()).collect::<Vec<_>>(),
            "levels": Level::ALL.map(|level| self.level_json(level)).to_vec(),
            "cases": self.cases.iter().map(case).collect::<Vec<Value>>(),
        });
        if self.door == Door::Wire {
            report["door"] = "http".into();
        }
        format!("{report:#}\n")
    }

    fn level_json(&self, level: Level) -> Value {
        let totals = self.totals(Some(level));
        let mut json = json!({
            "level": level.as_str(),
            "cases": totals.cases,
            "pass": totals.pass,
            "fail": totals.fail,
            "skip": totals.skip,
            "expected": totals.expected,
            "certified": self.is_certified(level),
        });
        if self.door == Door::Wire {
            json["not seen over http"] = totals.not_seen.into();
        }
        json
    }

    /// Writes [`to_json`](Self::to_json) to `<directory>/<engine>.json` and returns that path.
    ///
    /// # Errors
    /// When the directory cannot be written to.
    pub fn write_to(&self, directory: &Path) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(directory)?;
        let path = directory.join(format!("{}.json", self.engine));
        std::fs::write(&path, self.to_json())?;
        Ok(path)
    }

    /// What the durable level stands for: no case can cut the power.
    fn survived(&self) -> &'static str {
        match self.durability {
            Some(Durability::Disk) => "process crash; disk is stated, not tried here",
            _ => "process crash",
        }
    }

    fn certified_text(&self, level: Level, totals: &Totals) -> String {
        if level != Level::Core && !self.claims.contains(&level) {
            return "not claimed".into();
        }
        if self.filtered {
            return "not judged: filtered".into();
        }
        if self.is_certified(level) {
            return match (totals.not_seen, level) {
                (0, Level::Durable) => format!("yes   {}", self.survived()),
                (0, _) => "yes".into(),
                (not_seen, _) => format!("yes   as far as HTTP shows: {not_seen} cases need more"),
            };
        }
        if totals.cases == 0 {
            return "no    no cases".into();
        }
        let bad = |case: &&CaseReport| {
            case.level == level && !matches!(case.state, State::Pass | State::NotSeen)
        };
        match self.cases.iter().find(bad) {
            Some(case) if case.state == State::ExpectedFailure => format!(
                "no    {}: {} (expected)",
                case.clauses.join(", "),
                case.reason
            ),
            Some(case) => format!("no    {}: {}", case.clauses.join(", "), case.name),
            None => "no".into(),
        }
    }
}

/// The failures, the table of levels, and the closing line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in self.failures() {
            write_failure(f, case)?;
        }
        let claims: Vec<_> = self.claims.iter().map(|level| level.as_str()).collect();
        writeln!(
            f,
            "{} {}  contract {}  engine {}  seed {:#x}  claims: {}",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            broker_api::contract::VERSION,
            self.engine,
            self.seed,
            claims.join(", ")
        )?;
        writeln!(
            f,
            "{:<12} {:>6} {:>6} {:>6} {:>6} {:>10}   certified",
            "level", "cases", "pass", "fail", "skip", "expected"
        )?;
        for level in Level::ALL {
            let totals = self.totals(Some(level));
            let Totals {
                cases,
                pass,
                fail,
                skip,
                expected,
                not_seen: _,
            } = totals;
            writeln!(
                f,
                "{level:<12} {cases:>6} {pass:>6} {fail:>6} {skip:>6} {expected:>10}   {}",
                self.certified_text(level, &totals)
            )?;
        }
        for complaint in self.complaints() {
            writeln!(f, "error: {complaint}")?;
        }
        let totals = self.totals(None);
        let mut closing = format!(
            "{} passed, {} failed, {} skipped",
            totals.pass, totals.fail, totals.skip
        );
        if totals.expected > 0 {
            write!(closing, ", {} failed as expected", totals.expected)?;
        }
        if totals.not_seen > 0 {
            write!(closing, ", {} not seen over HTTP", totals.not_seen)?;
        }
        writeln!(f, "{closing}")
    }
}

fn write_failure(f: &mut fmt::Formatter<'_>, case: &CaseReport) -> fmt::Result {
    writeln!(f, "{} {}", case.state.as_str(), case.name)?;
    writeln!(f, "  states  {}", case.doc)?;
    for clause in case.clauses {
        let text = contract::clause_text(clause).unwrap_or_default();
        writeln!(f, "  clause  {clause}: {text}")?;
    }
    writeln!(f, "  reason  {}", case.reason)?;
    if let Some(at) = case.at {
        writeln!(f, "  line    {at}")?;
    }
    writeln!(
        f,
        "  again   --exact {} --seed {:#x}\n",
        case.name, case.seed
    )
}
