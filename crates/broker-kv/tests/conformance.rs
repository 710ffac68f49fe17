//! The shared suite, over the ordered map in memory.

use broker_conformance::{Certification, Level};
use broker_kv::MemoryDevices;
use std::process::ExitCode;

fn main() -> ExitCode {
    Certification::of("memory-kv", |scratch| async move {
        broker_kv::open(scratch.keep(MemoryDevices::default), &Default::default())
    })
    .claims(&[
        Level::Replication,
        Level::Reclaim,
        Level::Concurrent,
        Level::Snapshot,
    ])
    .run()
}
