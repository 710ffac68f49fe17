//! What the engines cost, without a server in front: each question is a command, each run shows medians, and
//! what is compared is measured in the same run.
//!
//! ```text
//! head      how long a page takes behind a million deletions, beside one of a fresh container
//! stores    a device of 100,000 small containers: filling, opening, memory, looking one up
//! rates     merging, listing, removing
//! ```

mod bench;
mod head;
mod rates;
mod stores;

use bench::{Bench, Failure};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

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
    folder: std::path::PathBuf,
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Clone, Copy, Subcommand)]
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
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("engine-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()?;
    for engine in &args.engines {
        let mut bench = Bench::new(engine, &args.settings, &args.folder)?;
        println!("{engine}");
        runtime.block_on(async {
            match args.question {
                Question::Head { deletions } => head::run(&mut bench, deletions).await,
                Question::Stores { stores } => stores::run(&mut bench, stores).await,
                Question::Rates { rows } => rates::run(&mut bench, rows).await,
            }
        })?;
    }
    Ok(())
}
