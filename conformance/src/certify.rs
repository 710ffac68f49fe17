//! `certify`: the whole of an engine's conformance test.

use crate::case::{Case, Level};
use crate::cases;
use crate::report::{CaseReport, State};
use crate::runner::{ExpectedFailure, Options, run};
use crate::subject::{Opener, Scratch, Subject};
use broker_api::Engine;
use std::fmt::Display;
use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Certifies an engine at the core level; everything else is reported as not claimed.
///
/// `open` is called for every case, and again where a case reopens its engine. Use
/// [`Certification`] to claim more.
///
/// # Examples
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     broker_conformance::certify("my-engine", |scratch| async move {
///         # let _ = scratch.path();
///         # Err::<std::sync::Arc<dyn broker_api::Engine>, _>("a sketch")
///         // my_engine::MyEngine::open(scratch.path()).await
///     })
/// }
/// ```
pub fn certify<F, Fut, E>(engine: &str, open: F) -> ExitCode
where
    F: Fn(Scratch) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Arc<dyn Engine>, E>> + Send + 'static,
    E: Display + Send + 'static,
{
    Certification::of(engine, open).run()
}

/// An engine's claims, and what it is known to fail.
pub struct Certification {
    subject: Arc<dyn Subject>,
    options: Options,
}

impl Certification {
    /// Certifies what a closure opens.
    pub fn of<F, Fut, E>(engine: &str, open: F) -> Self
    where
        F: Fn(Scratch) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Arc<dyn Engine>, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        Self::of_subject(engine, Arc::new(Opener(open)))
    }

    /// Certifies what a [`Subject`] opens.
    pub fn of_subject(engine: &str, subject: Arc<dyn Subject>) -> Self {
        Self {
            subject,
            options: Options::new(engine),
        }
    }

    /// Claims levels beside core.
    #[must_use]
    pub fn claims(mut self, levels: &[Level]) -> Self {
        self.options.claims.extend(levels);
        self
    }

    /// Lists a case that the engine fails, and why. When it passes one day, the run fails until the
    /// line is removed.
    #[must_use]
    pub fn expect_failure(mut self, case: &str, reason: &str) -> Self {
        self.options.expected_failures.push(ExpectedFailure {
            case: case.to_owned(),
            reason: reason.to_owned(),
        });
        self
    }

    /// Reads the command line, runs the cases, prints the report and writes it where
    /// `--report` or the environment variable `APUS_REPORT_DIR` says.
    pub fn run(self) -> ExitCode {
        let arguments = match Arguments::parse(std::env::args().skip(1), self.options) {
            Ok(arguments) => arguments,
            Err(message) => {
                eprintln!("error: {message}\n{USAGE}");
                return ExitCode::from(2);
            }
        };
        if arguments.list {
            list(&arguments.options);
            return ExitCode::SUCCESS;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(report(self.subject, &arguments)),
            Err(error) => {
                eprintln!("error: no threads: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

async fn report(subject: Arc<dyn Subject>, arguments: &Arguments) -> ExitCode {
    let report = run(subject, &arguments.options, print_progress).await;
    println!("\n{report}");
    if let Some(directory) = &arguments.report_dir {
        match report.write_to(directory) {
            Ok(path) => println!("report: {}", path.display()),
            Err(error) => {
                eprintln!("error: cannot write the report: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    match report.is_success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn print_progress(case: &CaseReport) {
    if case.state != State::Skip {
        println!("case {} ... {}", case.name, case.state.as_str());
    }
}

/// As the standard harness lists tests, so that runners which ask for that understand it.
fn list(options: &Options) {
    for case in cases::all().filter(|case: &Case| options.chooses(case)) {
        println!("{}: test", case.name());
    }
}

const USAGE: &str = "\
usage: [FILTER]...      only cases whose name holds a filter
       --exact          a filter is a whole name
       --list           print the names of the cases
       --seed NUMBER    where random histories begin, decimal or 0x…
       --parallel N     cases that run at the same time
       --timeout S      seconds that one case may take
       --report DIR     write the report there, instead of to $APUS_REPORT_DIR";

struct Arguments {
    options: Options,
    list: bool,
    report_dir: Option<PathBuf>,
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = String>, options: Options) -> Result<Self, String> {
        let mut parsed = Self {
            options,
            list: false,
            report_dir: std::env::var_os("APUS_REPORT_DIR").map(PathBuf::from),
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--list" => parsed.list = true,
                "--exact" => parsed.options.exact = true,
                "--seed" => parsed.options.seed = number(&value()?)?,
                "--parallel" | "--test-threads" => {
                    parsed.options.parallel = number(&value()?)? as usize;
                }
                "--timeout" => {
                    parsed.options.case_timeout = Duration::from_secs(number(&value()?)?);
                }
                "--report" => parsed.report_dir = Some(value()?.into()),
                // What the standard harness is told with a value that means nothing here.
                "--format" | "--color" | "--logfile" | "--skip" => drop(value()?),
                flag if flag.starts_with('-') => parsed.unknown_flag(flag)?,
                _ => parsed.options.filters.push(argument),
            }
        }
        Ok(parsed)
    }

    /// Flags of the standard harness that `cargo test` passes to every test binary are let through.
    fn unknown_flag(&mut self, flag: &str) -> Result<(), String> {
        match flag {
            // There are no ignored cases: asked for those alone, there is nothing to do.
            "--ignored" => self.options.filters = vec!["no case is ignored".into()],
            "--nocapture" | "--no-capture" | "--show-output" | "--quiet" | "-q"
            | "--include-ignored" => {}
            flag if flag.starts_with("--format=") || flag.starts_with("--color=") => {}
            flag => return Err(format!("unknown argument {flag}")),
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("not a number: {text}"))
}
