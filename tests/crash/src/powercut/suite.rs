//! Cuts the power of the children that the durable cases of the conformance suite kill.

use crate::Args;
use crate::disk::{Cut, Disk};
use crate::shim::Shim;
use apus::{EngineEntry, EngineSetup, Registry};
use async_trait::async_trait;
use broker_api::Engine;
use broker_conformance::{Level, Options, Scratch, Subject};
use broker_crash::Draw;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the suite's own engine may take to close its files.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(10);

/// An engine whose children lose their power when they are killed.
struct Powered {
    entry: EngineEntry,
    durability: String,
    draw: Mutex<Draw>,
    /// By the token of the place: what is watched there, and how it was when the child began.
    watched: Mutex<HashMap<String, (Shim, Disk)>>,
    folder: PathBuf,
}

#[async_trait]
impl Subject for Powered {
    async fn open(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        let mut setup = EngineSetup::new(scratch.path());
        let durability = ("durability".to_owned(), self.durability.clone());
        setup.settings.extend([durability]);
        (self.entry.open)(&setup).map_err(|error| error.to_string())
    }

    fn child(&self, scratch: &Scratch) -> io::Result<Command> {
        let folder = self.folder.join(scratch.token());
        fs::create_dir_all(&folder)?;
        let root = scratch.path().canonicalize()?;
        wait_until_closed(&root)?;
        let shim = Shim::install(&folder, &root).map_err(io::Error::other)?;
        let disk = shim.scan().map_err(io::Error::other)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1));
        command.envs(shim.variables());
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.insert(scratch.token().to_owned(), (shim, disk));
        Ok(command)
    }

    /// Every second cut leaves random parts of what was not synced.
    async fn killed(&self, scratch: &Scratch) -> Result<(), String> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((shim, mut disk)) = watched.remove(scratch.token()) else {
            return Err("a child was killed that was not started".into());
        };
        let mut draw = self.draw.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cut = match draw.below(2) {
            0 => Cut::Strict,
            _ => Cut::Torn(&mut draw),
        };
        shim.cut(&mut disk, &mut cut)
    }
}

/// Waits until this process has let go of all files in a folder. The suite has closed its engine, but a database
/// may be closing in the background, and would tidy up files that a power cut has just brought back.
fn wait_until_closed(root: &Path) -> io::Result<()> {
    let patience = Instant::now() + CLOSING_TIMEOUT;
    while Instant::now() < patience {
        let opened = fs::read_dir("/proc/self/fd")?;
        let mut files = opened.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        if !files.any(|file| file.starts_with(root)) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let message = "the suite's own engine does not close";
    Err(io::Error::new(io::ErrorKind::TimedOut, message))
}

/// Runs the durable cases; with `--expect-loss` one of them must fail.
pub(crate) fn run(args: &Args) -> ExitCode {
    let prepared =
        tempfile::tempdir().and_then(|folder| Ok((folder.path().canonicalize()?, folder)));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let registry = Registry::built_in();
    match (prepared, runtime, registry.find(&args.engine)) {
        (Ok((path, _folder)), Ok(runtime), Ok(entry)) => {
            runtime.block_on(judge(args, *entry, path))
        }
        (Err(error), ..) | (_, Err(error), _) => refuse(&error.to_string()),
        (.., Err(error)) => refuse(&error.to_string()),
    }
}

fn refuse(problem: &str) -> ExitCode {
    eprintln!("broker-powercut: {problem}");
    ExitCode::FAILURE
}

async fn judge(args: &Args, entry: EngineEntry, folder: PathBuf) -> ExitCode {
    let mut options = Options::new(entry.name);
    options.claims = vec![Level::Durable];
    options.filters = vec!["durable::".into()];
    options.seed = args.seed;
    let subject = Powered {
        entry,
        durability: args.durability.clone(),
        draw: Mutex::new(Draw::new(args.seed)),
        watched: Mutex::default(),
        folder,
    };
    let report = broker_conformance::run(Arc::new(subject), &options, |_| {}).await;
    print!("{report}");
    let has_failed = report.failures().next().is_some();
    match report.totals(Some(Level::Durable)).cases > 0 && has_failed == args.expect_loss {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
