//! The shared suite, on the engine that syncs; `broker-conformance` itself runs it on the other.

use broker_conformance::{Certification, Level};
use engine_sqlite::SqliteOptions;
use std::process::ExitCode;

fn main() -> ExitCode {
    Certification::of("sqlite", |scratch| async move {
        let options = SqliteOptions::new(scratch.path())
            .with_mount_check(false)
            .with_durability(broker_api::Durability::Disk);
        engine_sqlite::open(options, &Default::default())
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
