//! The `apus` command with one engine more.

use apus::{EngineEntry, EngineSetup, OnDevice, Registry};
use broker_api::Durability;
use broker_conformance::Level;
use engine_redb::{RedbDevices, RedbOptions};

fn main() -> std::process::ExitCode {
    let mut registry = Registry::built_in();
    registry.register(EngineEntry {
        summary: "redb, a B-tree in pure Rust; an engine from elsewhere",
        durability: &[Durability::Disk],
        claims: &[
            Level::Replication,
            Level::Reclaim,
            Level::Concurrent,
            Level::Durable,
            Level::Snapshot,
        ],
        settings: engine_redb::SETTINGS,
        on_device: OnDevice::Folders(&[engine_redb::FOLDER]),
        report: Some(include_str!("../redb.json")),
        dump: Some(|setup, wanted, visit| {
            let devices = RedbDevices::new(options(setup)?);
            Ok(broker_kv::dump_keys(&devices, wanted, visit)?)
        }),
        ..EngineEntry::new("redb", |setup| {
            Ok(engine_redb::open(options(setup)?, &setup.runtime)?)
        })
    });
    apus::run(&registry)
}

fn options(setup: &EngineSetup) -> broker_api::Result<RedbOptions> {
    let mut options = RedbOptions::new(&setup.devices, &setup.settings)?;
    options.mount_check = setup.mount_check;
    Ok(options)
}
