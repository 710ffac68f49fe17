//! What the engines cost, without a server in front: each question is a command, each run shows medians, and
//! what is compared is measured in the same run.
//!
//! ```text
//! head      how long a page takes behind a million deletions, beside one of a fresh container
//! stores    a device of 100,000 small containers: filling, opening, memory, looking one up
//! rates     merging, listing, removing
//! brokers   beside Swift's own brokers, and beside the store below an engine
//! growth    the same operations in a container of ten thousand, a million, ten million rows, and on a device of more
//!           and more containers
//! ```

mod bench;
mod brokers;
mod growth;
mod head;
mod rates;
mod raw;
mod stores;

use bench::{Bench, Failure};
use broker_bench::{document, plot};
use clap::{Parser, Subcommand};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// Measures engines on a folder of this machine.
#[derive(Debug, Parser)]
struct Args {
    /// An engine; may be given several times.
    #[arg(long = "engine", default_values = ["sqlite", "rocksdb", "sled"], global = true)]
    engines: Vec<String>,
    /// A setting of the engine as key=value; may be given several times.
    #[arg(long = "set", global = true)]
    settings: Vec<String>,
    /// Where the folders of devices are made.
    #[arg(long, default_value = "/var/tmp", global = true)]
    folder: PathBuf,
    /// Write the figures of `brokers` and `growth` as JSON to this file.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    /// Put their tables into this document, and plots beside it.
    #[arg(long, global = true)]
    document: Option<PathBuf>,
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Clone, Subcommand)]
enum Question {
    /// Pages at the head of a container after deletions there.
    Head {
        /// How many rows are deleted.
        #[arg(long, default_value_t = 1_000_000)]
        deletions: usize,
    },
    /// A device of small containers.
    Stores {
        /// How many.
        #[arg(long, default_value_t = 100_000)]
        stores: usize,
    },
    /// Rows a second.
    Rates {
        /// Rows of the largest container.
        #[arg(long, default_value_t = 100_000)]
        rows: usize,
    },
    /// Things a second, with ratios.
    Brokers {
        /// Rows of each container.
        #[arg(long, default_value_t = 50_000)]
        rows: usize,
        /// How often each subject has its turn.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// A Python that can import Swift; without it Swift is left out.
        #[arg(long, env = "APUS_SWIFT_PYTHON")]
        python: Option<PathBuf>,
    },
    /// Costs as things grow.
    Growth {
        /// Rows of the container; may be given several times, in ascending order.
        #[arg(long, default_values_t = [10_000, 100_000, 1_000_000, 10_000_000])]
        rows: Vec<usize>,
        /// Containers of the device, at least one.
        #[arg(long, default_values = ["100", "10000", "100000"])]
        stores: Vec<NonZeroUsize>,
        /// Seconds that an engine rests after many rows were added.
        #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(..=86_400))]
        rest: u64,
    },
}

/// Databases that are still being closed at the end are waited for so long.
const LAST_WORKERS: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let code = match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("engine-bench: {failure}");
            ExitCode::FAILURE
        }
    };
    broker_runtime::pool::wait_for_workers(LAST_WORKERS);
    code
}

fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()?;
    match &args.question {
        Question::Brokers {
            rows,
            rounds,
            python,
        } => {
            let comparison = brokers::Comparison {
                engines: &args.engines,
                settings: &args.settings,
                folder: &args.folder,
                python: python.clone(),
                rows: *rows,
                rounds: *rounds,
            };
            let compared = runtime.block_on(comparison.run())?;
            args.publish("brokers", &compared.markdown(*rows), &compared.as_json())
        }
        Question::Growth { rows, stores, rest } => {
            let (mut of_rows, mut of_stores) = (growth::of_rows(), growth::of_stores());
            if let [engine] = &args.engines[..] {
                let mut bench = args.bench(engine)?;
                let rest = Duration::from_secs(*rest);
                runtime.block_on(of_rows.measure_rows(engine, &mut bench, rows, rest))?;
                bench = args.bench(engine)?;
                runtime.block_on(of_stores.measure_stores(engine, &mut bench, stores))?;
            } else {
                // The memory of each is that of a process of its own.
                for engine in &args.engines {
                    let figures = args.grow_alone(engine, rows, stores, *rest)?;
                    of_rows.take(engine, &figures["rows"])?;
                    of_stores.take(engine, &figures["containers"])?;
                }
            }
            if let Some(document) = &args.document {
                plot::curves(
                    &document.with_file_name("growth-rows.svg"),
                    &of_rows.panels(),
                )?;
                plot::curves(
                    &document.with_file_name("growth-containers.svg"),
                    &of_stores.panels(),
                )?;
            }
            let tables = format!("{}\n{}", of_rows.markdown(), of_stores.markdown());
            let json =
                serde_json::json!({"rows": of_rows.as_json(), "containers": of_stores.as_json()});
            args.publish("growth", &tables, &json)
        }
        alone => {
            for engine in &args.engines {
                let mut bench = args.bench(engine)?;
                println!("{engine}");
                runtime.block_on(async {
                    match alone {
                        Question::Head { deletions } => head::run(&mut bench, *deletions).await,
                        Question::Stores { stores } => stores::run(&mut bench, *stores).await,
                        Question::Rates { rows } => rates::run(&mut bench, *rows).await,
                        Question::Brokers { .. } | Question::Growth { .. } => Ok(()),
                    }
                })?;
            }
            Ok(())
        }
    }
}

impl Args {
    fn bench(&self, engine: &str) -> Result<Bench, Failure> {
        Bench::new(engine, &self.settings, &self.folder)
    }

    /// Measures the growth of one engine in another process.
    fn grow_alone(
        &self,
        engine: &str,
        rows: &[usize],
        stores: &[NonZeroUsize],
        rest: u64,
    ) -> Result<serde_json::Value, Failure> {
        let folder = tempfile::tempdir_in(&self.folder)?;
        let figures = folder.path().join("figures.json");
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["growth", "--engine", engine, "--folder"]);
        command.arg(folder.path()).arg("--json").arg(&figures);
        let mut give = |option: &str, values: Vec<String>| {
            for value in values {
                command.args([option, &value]);
            }
        };
        give("--set", self.settings.clone());
        give("--rows", rows.iter().map(ToString::to_string).collect());
        give("--stores", stores.iter().map(ToString::to_string).collect());
        give("--rest", vec![rest.to_string()]);
        match command.stdout(Stdio::null()).status()?.success() {
            true => Ok(serde_json::from_slice(&std::fs::read(&figures)?)?),
            false => Err(format!("{engine} was not measured").into()),
        }
    }

    /// Shows a table, and writes it where that is wanted.
    fn publish(&self, name: &str, table: &str, json: &serde_json::Value) -> Result<(), Failure> {
        print!("{table}");
        if let Some(file) = &self.json {
            std::fs::write(file, format!("{json:#}\n"))?;
        }
        match &self.document {
            Some(file) => Ok(document::put_into(file, name, table)?),
            None => Ok(()),
        }
    }
}
