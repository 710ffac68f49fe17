//! What Apus costs beside stock Swift and beside the limit: the same requests to all, in turns, on one host.
//!
//! ```text
//! for each workload:   each subject makes what it needs
//!     for each round:  stock ─► load ─► figures    one after the other, never two at once
//!                      Apus on each engine …
//!                      bare: hyper, which answers the bytes that Apus answered
//! ```
//!
//! All servers read the same kind of configuration file, keep their stores in folders of one file system, and
//! have two workers. The load is one thread of this program. Reported are medians over the rounds; a ratio is
//! the median of the ratios within each round.

mod bare;
mod load;
mod report;
mod stage;
mod workload;

use broker_bench::document;
use clap::Parser;
use load::{Load, Step};
use raw_http::Connection;
use report::{Measured, Report};
use stage::{Programs, Stage, Subject};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use workload::Workload;

/// Compares Apus with stock Swift and a bare server on this host.
#[derive(Debug, Parser)]
struct Args {
    /// The apus binary [default: the one beside this program].
    #[arg(long)]
    apus: Option<PathBuf>,
    /// Folder of the Python environment with Swift (see tests/swift/python_env.py).
    #[arg(long, env = "APUS_SWIFT_ENV")]
    swift_env: PathBuf,
    /// An engine of Apus; may be given several times.
    #[arg(long = "engine", default_values = ["sqlite", "rocksdb"])]
    engines: Vec<String>,
    /// Engines that are measured with durability = disk as well, where a workload writes.
    #[arg(long = "disk", default_values = ["sqlite", "rocksdb"])]
    disk: Vec<String>,
    /// Leave stock Swift out.
    #[arg(long)]
    without_stock: bool,
    /// Seconds of load in each round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Rounds for each subject and workload.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Rows of the large container.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Only workloads whose name contains this; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Write the figures as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Put the table into this document, between the lines `<!-- figures -->` and `<!-- end -->`, and a plot of the
    /// ratios beside it.
    #[arg(long)]
    document: Option<PathBuf>,
    /// Where the servers keep their stores.
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("broker-bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let is_wanted = |workload: &&Workload| {
        args.only.is_empty() || args.only.iter().any(|only| workload.name.contains(only))
    };
    let wanted: Vec<&'static Workload> = workload::ALL.iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        return Err("no workload has such a name".into());
    }
    let programs = Programs {
        apus: args
            .apus
            .clone()
            .unwrap_or_else(stage::apus_beside_this_program),
        swift_env: args.swift_env.clone(),
    };
    let stages: Result<Vec<_>, String> = subjects(args)
        .iter()
        .map(|subject| {
            let stage = Stage::start(subject, &programs, &args.folder);
            stage.map_err(|error| format!("{} does not start: {error}", subject.name()))
        })
        .collect();
    let mut bench = Bench {
        args,
        stages: stages?,
        report: Report::new(args.rounds, args.seconds, args.rows),
        bar: indicatif::ProgressBar::new((wanted.len() * args.rounds) as u64),
    };
    for workload in wanted {
        bench.bar.println(format!("{} …", workload.name));
        bench.measure(workload)?;
    }
    bench.bar.finish_and_clear();
    print!("{}", bench.report.table());
    if let Some(file) = &args.json {
        let text = format!("{:#}\n", bench.report.as_json());
        std::fs::write(file, text).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    match &args.document {
        Some(file) => {
            let plot = file.with_file_name("servers.svg");
            bench.report.plot(&plot).map_err(|e| e.to_string())?;
            document::put_into(file, "figures", &bench.report.markdown())
        }
        None => Ok(()),
    }
}

/// Stock first and the limit last.
fn subjects(args: &Args) -> Vec<Subject> {
    let apus = |disk| {
        move |engine: &String| Subject::Apus {
            engine: engine.clone(),
            disk,
        }
    };
    let mut subjects = Vec::new();
    if !args.without_stock {
        subjects.push(Subject::Stock);
    }
    subjects.extend(args.engines.iter().map(apus(false)));
    let is_measured = |engine: &&String| args.engines.contains(engine);
    subjects.extend(args.disk.iter().filter(is_measured).map(apus(true)));
    subjects.push(Subject::Bare);
    subjects
}

struct Bench<'a> {
    args: &'a Args,
    stages: Vec<Stage>,
    report: Report,
    bar: indicatif::ProgressBar,
}

impl Bench<'_> {
    fn measure(&mut self, workload: &'static Workload) -> Result<(), String> {
        let stages: Vec<&Stage> = self
            .stages
            .iter()
            .filter(|stage| workload.writes || !stage.subject.is_disk())
            .collect();
        let mut measured: Vec<Measured> = Vec::new();
        for stage in &stages {
            let failed = |e| {
                format!(
                    "{}, prepared on {}: {e}",
                    workload.name,
                    stage.subject.name()
                )
            };
            self.prepare(workload, stage).map_err(failed)?;
            measured.push(Measured::new(stage.subject.name()));
        }
        let mut next = vec![0; stages.len()];
        for round in 0..self.args.rounds.max(1) {
            for ((stage, of_stage), next) in stages.iter().zip(&mut measured).zip(&mut next) {
                let failed = |e| format!("{} on {}: {e}", workload.name, stage.subject.name());
                let mut load = Load {
                    connections: workload.connections,
                    steps: workload.steps,
                    length: Duration::from_secs_f64(self.args.seconds),
                    rate: None,
                    first_turn: *next,
                };
                let address = stage.address(workload.server).map_err(failed)?;
                let (figures, after) = load.run(address, workload.script).map_err(failed)?;
                *next = after;
                of_stage.runs.push(figures);
                if workload.open && round == 0 {
                    load.rate = Some(figures.rate / 2.0);
                    load.first_turn = *next;
                    let (figures, after) = load.run(address, workload.script).map_err(failed)?;
                    *next = after;
                    of_stage.at_half_rate = Some(figures);
                }
            }
            self.bar.inc(1);
        }
        for (stage, of_stage) in stages.iter().zip(&mut measured) {
            of_stage.memory_mib = stage.memory(workload.server);
        }
        self.report.add(workload, measured);
        Ok(())
    }

    /// Makes what a workload is about; the bare server is given the answers of Apus.
    fn prepare(&self, workload: &Workload, stage: &Stage) -> std::io::Result<()> {
        let patience = Duration::from_secs(600);
        let Some(bare) = stage.bare() else {
            let mut connection = Connection::open(stage.address(workload.server)?, patience)?;
            return workload.prepare(&mut connection, self.args.rows);
        };
        let model = self
            .stages
            .iter()
            .find(|other| matches!(other.subject, Subject::Apus { .. }));
        let model = model.ok_or_else(|| std::io::Error::other("no engine is measured"))?;
        let mut connection = Connection::open(model.address(workload.server)?, patience)?;
        let (mut answers, mut request) = (Vec::new(), Vec::new());
        for step in 0..workload.steps {
            // Of a connection that no load has.
            let step = Step {
                connection: 1_000_000,
                turn: 0,
                step,
            };
            request.clear();
            let expected = (workload.script)(&mut request, step);
            connection.send(&request)?;
            let method = String::from_utf8_lossy(&request);
            let method = method.split(' ').next().unwrap_or_default().to_owned();
            answers.push((method, connection.response(expected.to_head)?));
        }
        bare.answer(&answers)
    }
}
