//! The shared suite, over every layer: a layer that changes nothing must not change a promise.

use async_trait::async_trait;
use broker_api::Engine;
use broker_conformance::{Level, Options, Scratch, Subject, run};
use broker_layers::{Deadline, Faulty, Limits, Metered, Mirror, Odds};
use broker_runtime::RuntimeOptions;
use engine_memory::MemoryDisk;
use engine_sled::SledOptions;
use engine_sqlite::SqliteOptions;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

type Opened = Result<Arc<dyn Engine>, String>;

/// An engine in layers, by name.
struct Layers(&'static str, fn(&Scratch) -> Opened);

const ALL: [Layers; 7] = [
    Layers("mirror of memory and memory", |scratch| {
        // One disk for each side; both are kept for when the engine is opened again.
        let (one, other) = scratch.keep(|| (MemoryDisk::new(), MemoryDisk::new()));
        Ok(Mirror::beside(on(&other)?).over(on(&one)?))
    }),
    Layers("mirror of sqlite and memory", |scratch| {
        Ok(Mirror::beside(memory(scratch)?).over(sqlite(scratch)?))
    }),
    Layers("mirror of memory and sqlite", |scratch| {
        Ok(Mirror::beside(sqlite(scratch)?).over(memory(scratch)?))
    }),
    Layers("mirror of sled and memory", |scratch| {
        Ok(Mirror::beside(memory(scratch)?).over(sled(scratch)?))
    }),
    Layers("deadline", |scratch| {
        let limits = Limits::all(Duration::from_secs(60));
        Ok(Deadline::over(memory(scratch)?, limits))
    }),
    Layers("metered", |scratch| Ok(Metered::over(memory(scratch)?))),
    Layers("faulty at no odds", |scratch| {
        Ok(Faulty::over(memory(scratch)?, 1, Odds::none()).0)
    }),
];

fn on(disk: &MemoryDisk) -> Opened {
    engine_memory::open(disk, &RuntimeOptions::default()).map_err(|error| error.to_string())
}

fn memory(scratch: &Scratch) -> Opened {
    on(&scratch.keep(MemoryDisk::new))
}

fn sqlite(scratch: &Scratch) -> Opened {
    let options = SqliteOptions::new(scratch.path()).with_mount_check(false);
    engine_sqlite::open(options, &RuntimeOptions::default()).map_err(|error| error.to_string())
}

fn sled(scratch: &Scratch) -> Opened {
    let options = SledOptions::new(scratch.path())
        .with_mount_check(false)
        .with_cache_capacity_mb(8);
    engine_sled::open(options, &RuntimeOptions::default()).map_err(|error| error.to_string())
}

#[async_trait]
impl Subject for Layers {
    async fn open(&self, scratch: &Scratch) -> Opened {
        (self.1)(scratch)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let mut is_success = true;
    for layers in ALL {
        let mut options = Options::new(layers.0);
        options.claims = vec![Level::Replication, Level::Reclaim, Level::Concurrent];
        options.filters = arguments.clone();
        options
            .filters
            .retain(|argument| !argument.starts_with('-'));
        let report = run(Arc::new(layers), &options, |_| {}).await;
        for failure in report.failures() {
            eprintln!("{}: {}", failure.name, failure.reason);
        }
        println!("{report}");
        is_success &= report.is_success();
    }
    match is_success {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
