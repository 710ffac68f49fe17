//! The shared suite.

use broker_conformance::{Certification, Level};
use engine_redb::RedbOptions;

fn main() -> std::process::ExitCode {
    Certification::of("redb", |scratch| async move {
        let options = RedbOptions::new(scratch.path(), &Default::default())?;
        engine_redb::open(options, &Default::default())
    })
    .claims(&[Level::Replication, Level::Reclaim, Level::Concurrent])
    .run()
}
