//! Certifies the reference engine.

use broker_conformance::{Certification, Level};
use broker_runtime::RuntimeOptions;
use engine_memory::MemoryDisk;
use std::process::ExitCode;

fn main() -> ExitCode {
    Certification::of("memory", |scratch| async move {
        engine_memory::open(&scratch.keep(MemoryDisk::new), &RuntimeOptions::default())
    })
    .claims(&[
        Level::Replication,
        Level::Reclaim,
        Level::Concurrent,
        Level::Snapshot,
    ])
    .run()
}
