//! Swift's account and container tier in one binary.
//!
//! The commands are here; which engines they can use is the caller's [`Registry`]. The `apus` binary
//! passes the engines of this repository. To link another engine, depend on this crate and write:
//!
//! ```no_run
//! # fn open(_: &apus::EngineSetup) -> Result<std::sync::Arc<dyn broker_api::Engine>, apus::EngineFailure> {
//! #     Err("a sketch".into())
//! # }
//! fn main() -> std::process::ExitCode {
//!     let mut registry = apus::Registry::built_in();
//!     registry.register(apus::EngineEntry::new("mine", open));
//!     apus::run(&registry)
//! }
//! ```
//!
//! Exit status: 0 success, 1 failure or "not certified", 2 a command line that cannot be used.

mod built_in;
mod certify;
mod cli;
mod convert;
mod dump_keys;
mod engines;
mod info;
mod list;
mod opened;
pub mod ownership;
mod privileges;
mod refused;
mod registry;
mod routing;
mod serve;
mod server;
mod signals;
mod store;

pub use registry::{
    DumpEngine, EngineEntry, EngineFailure, EngineSetup, LeftOut, OnDevice, OpenEngine, Registry,
    RegistryError,
};

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

/// What a command ends with when it fails: words for people, on standard error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Prints an error and what caused it on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

macro_rules! failure_from {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Failure(chain(&error))
            }
        }
    )*};
}

failure_from!(
    broker_api::Error,
    broker_copy::CopyError,
    ownership::OwnershipError,
    swift_conf::Error,
    std::io::Error,
    RegistryError
);

/// Runs the command line of this process with the engines of `registry`.
pub fn run(registry: &Registry) -> ExitCode {
    let code = run_command(registry);
    broker_runtime::pool::wait_for_workers(LAST_WORKERS);
    code
}

/// How long the end of the process waits for databases to be closed.
const LAST_WORKERS: std::time::Duration = std::time::Duration::from_secs(2);

fn run_command(registry: &Registry) -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Serve(args) => serve::run(registry, &args),
        Command::AccountServer(args) => {
            server::run(registry, swift_conf::ServerKind::Account, &args)
        }
        Command::ContainerServer(args) => {
            server::run(registry, swift_conf::ServerKind::Container, &args)
        }
        Command::Info(args) => info::run(registry, &args),
        Command::List(args) => list::run(registry, &args),
        Command::DumpKeys(args) => dump_keys::run(registry, &args),
        Command::Export(args) => convert::export(registry, &args),
        Command::Import(args) => convert::import(registry, &args),
        Command::Convert(args) => return convert::run(registry, &args),
        Command::Engines(args) => engines::run(registry, &args),
        Command::Certify(args) => return certify::run(registry, &args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("apus: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// As [`block_on`], for work that spreads over several threads.
pub(crate) fn block_on_threads<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Runs a command that talks to a store and needs no server around it.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
