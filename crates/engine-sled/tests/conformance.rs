//! The shared suite.

use broker_conformance::{Certification, Level};
use engine_sled::SledOptions;
use std::process::ExitCode;

fn main() -> ExitCode {
    Certification::of("sled", |scratch| async move {
        let options = SledOptions::new(scratch.path())
            .with_mount_check(false)
            .with_cache_capacity_mb(8);
        engine_sled::open(options, &Default::default())
    })
    .claims(&[
        Level::Replication,
        Level::Reclaim,
        Level::Concurrent,
        Level::Snapshot,
        Level::Durable,
    ])
    .run()
}
