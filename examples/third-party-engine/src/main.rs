//! The `apus` command with one engine more.

use apus::{EngineEntry, OnDevice, Registry};
use broker_api::Durability;
use broker_conformance::Level;
use engine_redb::RedbOptions;

fn main() -> std::process::ExitCode {
    let mut registry = Registry::built_in();
    registry.register(EngineEntry {
        summary: "redb, a B-tree in pure Rust; an engine from elsewhere",
        durability: &[Durability::Disk],
        claims: &[Level::Replication, Level::Reclaim, Level::Concurrent],
        settings: engine_redb::SETTINGS,
        on_device: OnDevice::Folders(&[engine_redb::FOLDER]),
        report: Some(include_str!("../redb.json")),
        ..EngineEntry::new("redb", |setup| {
            let mut options = RedbOptions::new(&setup.devices, &setup.settings)?;
            options.mount_check = setup.mount_check;
            Ok(engine_redb::open(options, &setup.runtime)?)
        })
    });
    apus::run(&registry)
}
