//! Certifies the engine over Swift's own SQLite files.

use broker_conformance::{Certification, Level};
use broker_runtime::RuntimeOptions;
use engine_sqlite::SqliteOptions;
use std::process::ExitCode;

fn main() -> ExitCode {
    Certification::of("sqlite", |scratch| async move {
        let options = SqliteOptions::new(scratch.path()).with_mount_check(false);
        engine_sqlite::open(options, &RuntimeOptions::default())
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
