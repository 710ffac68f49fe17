//! Cuts the power of a container server again and again and looks for rows that it acknowledged.
//!
//! ```text
//! round n   scan the files ─► start, with every operation on files logged ─► 32 writers ─► kill -9
//!           replay the log ─► write back what was synced ─► start ─► GET everything, compare, count
//! last      start with the log ─► write ─► end in order ─► the log must explain every file
//! ```
//!
//! With `--suite` the child of each durable case of the conformance suite takes the server's place.

mod disk;
mod log;
mod server;
mod shim;
mod suite;

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Cuts the power of a container server while rows are written, and checks that none is lost.
#[derive(Debug, Parser)]
struct Args {
    /// The apus binary [default: the one beside this program].
    #[arg(long)]
    apus: Option<PathBuf>,
    /// How often to cut.
    #[arg(long, default_value_t = 40)]
    rounds: u32,
    /// Connections that write.
    #[arg(long, default_value_t = 32)]
    writers: u32,
    /// Engine under test.
    #[arg(long, default_value = "sqlite")]
    engine: String,
    /// What an acknowledged row is said to survive.
    #[arg(long, default_value = "disk", value_parser = ["process", "disk"])]
    durability: String,
    /// Seed of the moments and of what is written.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cut the power of the conformance suite's children instead of a server: every operation, not rows
    /// alone.
    #[arg(long)]
    suite: bool,
    /// Acknowledged rows must get lost: shows that this test can fail.
    #[arg(long)]
    expect_loss: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.suite {
        return suite::run(&args);
    }
    match run(&args) {
        Ok(report) => {
            println!("{report} (seed {})", args.seed);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("broker-powercut: {problem} (seed {})", args.seed);
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    // Paths of the log have no symbolic links.
    let path = folder.path().canonicalize().map_err(|e| e.to_string())?;
    let outcome = server::rounds(args, &path);
    if outcome.is_err() {
        eprintln!("the files are kept in {}", folder.keep().display());
    }
    outcome
}
