//! The shared suite.

use broker_conformance::{Certification, Level};
use engine_rocksdb::RocksdbOptions;
use std::process::ExitCode;

fn main() -> ExitCode {
    Certification::of("rocksdb", |scratch| async move {
        let mut options = RocksdbOptions::new(scratch.path()).with_mount_check(false);
        options.block_cache_mb = 8;
        options.write_buffer_mb = 8;
        engine_rocksdb::open(options, &Default::default())
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
