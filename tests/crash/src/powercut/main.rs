//! Cuts the power of a container server again and again and looks for rows that it acknowledged.
//!
//! ```text
//! round n   scan the files ─► start, with every operation on files logged ─► 32 writers ─► kill -9
//!           replay the log ─► write back what was synced ─► start ─► GET everything, compare, count
//! last      start with the log ─► write ─► end in order ─► the log must explain every file
//! ```

mod disk;
mod log;

use broker_crash::{Draw, Load, Site, verify};
use clap::Parser;
use disk::{Cut, Disk};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The library that logs, built with this program.
const SHIM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/powercut.so"));

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
    /// Acknowledged rows must get lost: shows that this test can fail.
    #[arg(long)]
    expect_loss: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
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
    let outcome = rounds(args, &path);
    if outcome.is_err() {
        eprintln!("the files are kept in {}", folder.keep().display());
    }
    outcome
}

fn rounds(args: &Args, folder: &Path) -> Result<String, String> {
    let mut trial = Trial::prepare(args, folder)?;
    let bar = indicatif::ProgressBar::new(u64::from(args.rounds));
    let mut lost = Vec::new();
    for round in 0..args.rounds {
        let in_round = |problem: String| format!("round {round}: {problem}");
        let lost_now = trial.round(round).map_err(in_round)?;
        if let (Some(first), false) = (lost_now.first(), args.expect_loss) {
            let count = lost_now.len();
            return Err(in_round(format!("{count} names lost, the first: {first}")));
        }
        lost.extend(lost_now);
        bar.inc(1);
    }
    bar.finish_and_clear();
    trial.check_log()?;
    let (engine, durability) = (&args.engine, &args.durability);
    let acknowledged = trial.load.acknowledged;
    if args.expect_loss && lost.is_empty() {
        return Err(format!(
            "{acknowledged} acknowledged writes on {engine} at {durability} and none lost: \
             this test would not notice a loss"
        ));
    }
    Ok(format!(
        "{} power cuts on {engine} at {durability}: {acknowledged} acknowledged writes, {} names lost",
        args.rounds,
        lost.len()
    ))
}

struct Trial {
    site: Site,
    load: Load,
    draw: Draw,
    shim: PathBuf,
    log: PathBuf,
}

impl Trial {
    fn prepare(args: &Args, folder: &Path) -> Result<Self, String> {
        let site = Site::make(folder, args.apus.as_deref(), &args.engine, &args.durability)?;
        let shim = folder.join("powercut.so");
        fs::write(&shim, SHIM).map_err(|e| e.to_string())?;
        let mut draw = Draw::new(args.seed);
        Ok(Self {
            site,
            load: Load::new(args.writers, Draw::new(draw.next())),
            draw,
            shim,
            log: folder.join("log"),
        })
    }

    /// Starts the server with its operations on files logged.
    fn start(&self) -> Result<(Disk, raw_http::Server), String> {
        let devices = self.site.devices();
        let _ = fs::remove_file(&self.log);
        let disk = Disk::scan(&devices).map_err(|e| e.to_string())?;
        let server = self.site.start(&[
            ("LD_PRELOAD", self.shim.as_path()),
            ("POWERCUT_ROOT", &devices),
            ("POWERCUT_LOG", &self.log),
        ])?;
        Ok((disk, server))
    }

    /// One cut; every second one leaves random parts of what was not synced.
    fn round(&mut self, round: u32) -> Result<Vec<String>, String> {
        let (mut disk, mut server) = self.start()?;
        if round == 0 {
            Load::create_container(self.site.address)?;
        }
        self.load.write_until_killed(&mut server)?;
        disk.replay(log::read(&self.log)?)?;
        let mut cut = match round % 2 {
            0 => Cut::Strict,
            _ => Cut::Torn(&mut self.draw),
        };
        let devices = self.site.devices();
        let written = fs::remove_dir_all(&devices).and_then(|()| disk.write(&devices, &mut cut));
        written.map_err(|e| format!("{}: {e}", devices.display()))?;
        let server = self.site.start::<&str>(&[])?;
        let lost = verify(self.site.address, &mut self.load.expected);
        drop(server);
        lost
    }

    /// Ends a server in order: the log must then explain every file, or it proves nothing.
    fn check_log(&mut self) -> Result<(), String> {
        let (mut disk, mut server) = self.start()?;
        let mut quick = Load::new(4, Draw::new(self.draw.next()));
        quick.write_for_a_while(&server)?;
        let killed = Command::new("kill")
            .arg("-TERM")
            .arg(server.pid().to_string())
            .status();
        let ended = server.wait().map_err(|e| e.to_string())?;
        if !killed.is_ok_and(|status| status.success()) || ended.signal().is_some() {
            return Err(format!("the server did not end in order: {ended}"));
        }
        disk.replay(log::read(&self.log)?)?;
        let differences = disk.differences().map_err(|e| e.to_string())?;
        match differences.first() {
            None => Ok(()),
            Some(first) => Err(format!(
                "the log does not explain {} files, as {first}: operations went past it",
                differences.len()
            )),
        }
    }
}
