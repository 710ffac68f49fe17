//! What Apus costs beside stock Swift: the same requests to both, in turns, on one host.
//!
//! ```text
//! for each workload, for each round:   stock server ─► load ─► figures     one after the other,
//!                                      Apus         ─► load ─► figures     never at once
//! ```
//!
//! Both servers read the same kind of configuration file, keep their stores in folders of one file
//! system, and use two workers. Reported are medians over the rounds, and the ratio of the rates.

mod load;
mod servers;
mod workload;

use clap::Parser;
use load::Figures;
use serde_json::{Value, json};
use servers::{Kind, Software, Stage};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use workload::Workload;

/// Compares Apus with stock Swift on the same host.
#[derive(Debug, Parser)]
struct Args {
    /// The apus binary [default: the one beside this program].
    #[arg(long)]
    apus: Option<PathBuf>,
    /// Folder of the Python environment with Swift (see tests/swift/python_env.py).
    #[arg(long, env = "APUS_SWIFT_ENV")]
    swift_env: PathBuf,
    /// Engine of Apus.
    #[arg(long, default_value = "sqlite")]
    engine: String,
    /// Seconds of load in each round.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Rounds for each software and workload.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only workloads whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Write the figures as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Fail when a ratio is below this.
    #[arg(long)]
    at_least: Option<f64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("broker-bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The medians of one workload.
struct Row {
    workload: &'static Workload,
    stock: Figures,
    apus: Figures,
    ratio: f64,
    lowest: f64,
    highest: f64,
}

fn run(args: &Args) -> Result<bool, String> {
    let wanted: Vec<&'static Workload> = workload::ALL
        .iter()
        .filter(|workload| {
            args.only
                .as_ref()
                .is_none_or(|only| workload.name.contains(only))
        })
        .collect();
    if wanted.is_empty() {
        return Err("no workload has such a name".into());
    }
    let bar = indicatif::ProgressBar::new((wanted.len() * args.rounds * 2) as u64);
    let mut rows = Vec::new();
    for workload in wanted {
        bar.println(format!("{} …", workload.name));
        rows.push(measure(args, workload, &bar)?);
    }
    bar.finish_and_clear();
    print_table(args, &rows);
    if let Some(file) = &args.json {
        std::fs::write(file, format!("{:#}\n", as_json(args, &rows))).map_err(|e| e.to_string())?;
    }
    let lowest = rows
        .iter()
        .map(|row| row.ratio)
        .fold(f64::INFINITY, f64::min);
    match args.at_least {
        Some(least) if lowest < least => {
            eprintln!("a ratio is {lowest:.1}, below {least}");
            Ok(false)
        }
        _ => Ok(true),
    }
}

fn measure(
    args: &Args,
    workload: &'static Workload,
    bar: &indicatif::ProgressBar,
) -> Result<Row, String> {
    let apus = args
        .apus
        .clone()
        .unwrap_or_else(servers::apus_beside_this_program);
    let software = [
        Software::Stock {
            environment: args.swift_env.clone(),
        },
        Software::Apus {
            binary: apus,
            engine: args.engine.clone(),
        },
    ];
    let mut figures: [Vec<Figures>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..args.rounds.max(1) {
        for (software, figures) in software.iter().zip(&mut figures) {
            let stage = Stage::start(software, workload.server)
                .map_err(|e| format!("{}: {e}", software.name()))?;
            let measured = (workload.run)(&stage, Duration::from_secs(args.seconds));
            figures.push(
                measured.map_err(|e| format!("{} on {}: {e}", workload.name, software.name()))?,
            );
            bar.inc(1);
        }
    }
    let [stock, apus] = figures;
    let ratios: Vec<f64> = stock
        .iter()
        .zip(&apus)
        .map(|(s, a)| a.rate / s.rate)
        .collect();
    Ok(Row {
        workload,
        stock: Figures::median(&stock),
        apus: Figures::median(&apus),
        ratio: load::median(&ratios),
        lowest: ratios.iter().copied().fold(f64::INFINITY, f64::min),
        highest: ratios.iter().copied().fold(0.0, f64::max),
    })
}

fn print_table(args: &Args, rows: &[Row]) {
    println!(
        "{} round(s) of {} s each, medians; ms are latencies seen by the client",
        args.rounds, args.seconds
    );
    println!(
        "{:34} {:>22} {:>22} {:>20}",
        "workload",
        "stock/s p50 p99 ms",
        format!("apus {}/s p50 p99 ms", args.engine),
        "ratio (min-max)"
    );
    for row in rows {
        println!(
            "{:34} {:>22} {:>22} {:>20}",
            row.workload.name,
            row.stock.to_string(),
            row.apus.to_string(),
            format!("{:.1} ({:.1}-{:.1})", row.ratio, row.lowest, row.highest)
        );
    }
}

fn as_json(args: &Args, rows: &[Row]) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "workload": row.workload.name,
                "question": row.workload.question,
                "stock": row.stock.as_json(),
                "apus": row.apus.as_json(),
                "ratio": row.ratio,
                "ratio_min": row.lowest,
                "ratio_max": row.highest,
            })
        })
        .collect();
    json!({
        "engine": args.engine,
        "rounds": args.rounds,
        "seconds": args.seconds,
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "server_kinds": [Kind::Account.name(), Kind::Container.name()],
        "rows": rows,
    })
}
