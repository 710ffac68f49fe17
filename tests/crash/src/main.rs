//! Kills a container server again and again and looks for rows that it acknowledged.

use broker_crash::{Draw, Load, Site, verify};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Kills a container server while rows are written, and checks that none is lost.
#[derive(Debug, Parser)]
struct Args {
    /// The apus binary [default: the one beside this program].
    #[arg(long)]
    apus: Option<PathBuf>,
    /// How often to kill.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Connections that write.
    #[arg(long, default_value_t = 32)]
    writers: u32,
    /// Engine under test.
    #[arg(long, default_value = "sqlite")]
    engine: String,
    /// What an acknowledged row is to survive.
    #[arg(long, default_value = "process", value_parser = ["process", "disk"])]
    durability: String,
    /// Seed of the moments and of what is written.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(rows) => {
            println!(
                "{} rounds on {} at {}: {rows} acknowledged writes, none lost (seed {})",
                args.rounds, args.engine, args.durability, args.seed
            );
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("broker-crash: {problem} (seed {})", args.seed);
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<u64, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let outcome = rounds(args, folder.path());
    if outcome.is_err() {
        eprintln!("the files are kept in {}", folder.keep().display());
    }
    outcome
}

fn rounds(args: &Args, folder: &Path) -> Result<u64, String> {
    let site = Site::make(folder, args.apus.as_deref(), &args.engine, &args.durability)?;
    let mut load = Load::new(args.writers, Draw::new(args.seed));
    let bar = indicatif::ProgressBar::new(u64::from(args.rounds));
    for round in 0..args.rounds {
        let mut server = site.start::<&str>(&[])?;
        if round == 0 {
            Load::create_container(site.address)?;
        }
        load.write_until_killed(&mut server)?;
        let server = site.start::<&str>(&[])?;
        let lost = verify(site.address, &mut load.expected);
        if let Some(lost) = lost.map_err(|e| format!("round {round}: {e}"))?.first() {
            return Err(format!("round {round}: {lost}"));
        }
        drop(server);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(load.acknowledged)
}
