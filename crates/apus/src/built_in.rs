//! The engines of this repository.

use crate::registry::{EngineEntry, LeftOut, OnDevice, Registry};
use broker_api::Durability::{Disk, Memory, Process};
use broker_conformance::{Level, reports};

/// The engines that a binary may be built without.
pub(crate) const OPTIONAL: &[LeftOut] = &[
    LeftOut {
        name: "rocksdb",
        summary: "large containers, high rates",
        how: "build one that has it with `make run ENGINE=rocksdb`, or with \
              `cargo build --release --package apus --features rocksdb`",
    },
    LeftOut {
        name: "sled",
        summary: "pure Rust, experimental",
        how: "build one that has it with `cargo build --release --package apus --features sled`",
    },
];

/// What an engine claims that keeps its stores on a device.
const CLAIMS: &[Level] = &[
    Level::Replication,
    Level::Reclaim,
    Level::Concurrent,
    Level::Durable,
    Level::Snapshot,
];

impl Registry {
    /// The engines of this repository that this binary was built with.
    pub fn built_in() -> Self {
        let mut registry = Self::default();
        registry.register(sqlite());
        registry.register(memory());
        #[cfg(feature = "rocksdb")]
        registry.register(rocksdb());
        #[cfg(feature = "sled")]
        registry.register(sled());
        registry
    }
}

fn sqlite() -> EngineEntry {
    EngineEntry {
        summary: "Swift's own files; the default",
        durability: &[Process, Disk],
        claims: CLAIMS,
        settings: engine_sqlite::SETTINGS,
        one_pass: &[("page_cache_mb", "0")],
        on_device: OnDevice::Swift(&["accounts", "containers"]),
        report: reports::of("sqlite"),
        ..EngineEntry::new("sqlite", |setup| {
            let mut options = engine_sqlite::SqliteOptions::from_settings(&setup.settings)?;
            options.devices.clone_from(&setup.devices);
            options.mount_check = setup.mount_check;
            options.db_preallocation = setup.db_preallocation;
            Ok(engine_sqlite::open(options, &setup.runtime)?)
        })
    }
}

fn memory() -> EngineEntry {
    EngineEntry {
        summary: "the reference; forgets everything at exit",
        durability: &[Memory],
        claims: &[
            Level::Replication,
            Level::Reclaim,
            Level::Concurrent,
            Level::Snapshot,
        ],
        report: reports::of("memory"),
        ..EngineEntry::new("memory", |setup| {
            broker_runtime::settings::Settings::read("memory", &[], &setup.settings)?;
            Ok(engine_memory::open(&setup.memory, &setup.runtime)?)
        })
    }
}

#[cfg(feature = "rocksdb")]
fn rocksdb() -> EngineEntry {
    use crate::EngineSetup;
    use engine_rocksdb::{RocksdbDevices, RocksdbOptions, SETTINGS};

    fn options(setup: &EngineSetup) -> broker_api::Result<RocksdbOptions> {
        let mut options = RocksdbOptions::from_settings(&setup.settings)?;
        options.devices.clone_from(&setup.devices);
        options.mount_check = setup.mount_check;
        Ok(options)
    }
    EngineEntry {
        summary: "large containers, high rates",
        durability: &[Process, Disk],
        claims: CLAIMS,
        settings: SETTINGS,
        one_pass: &[("block_cache_mb", "32"), ("write_buffer_mb", "32")],
        on_device: OnDevice::Folders(&["apus-rocksdb"]),
        report: reports::of("rocksdb"),
        dump: Some(|setup, wanted, visit| {
            let devices = RocksdbDevices::read_only(options(setup)?);
            Ok(broker_kv::dump_keys(&devices, wanted, visit)?)
        }),
        ..EngineEntry::new("rocksdb", |setup| {
            Ok(engine_rocksdb::open(options(setup)?, &setup.runtime)?)
        })
    }
}

#[cfg(feature = "sled")]
fn sled() -> EngineEntry {
    use crate::EngineSetup;
    use engine_sled::{SETTINGS, SledDevices, SledOptions};

    fn options(setup: &EngineSetup) -> broker_api::Result<SledOptions> {
        let mut options = SledOptions::from_settings(&setup.settings)?;
        options.devices.clone_from(&setup.devices);
        options.mount_check = setup.mount_check;
        Ok(options)
    }
    EngineEntry {
        summary: "pure Rust, experimental",
        durability: &[Process],
        claims: CLAIMS,
        settings: SETTINGS,
        one_pass: &[("cache_capacity_mb", "8")],
        on_device: OnDevice::Folders(&["apus-sled"]),
        report: reports::of("sled"),
        dump: Some(|setup, wanted, visit| {
            let devices = SledDevices::new(options(setup)?);
            Ok(broker_kv::dump_keys(&devices, wanted, visit)?)
        }),
        ..EngineEntry::new("sled", |setup| {
            Ok(engine_sled::open(options(setup)?, &setup.runtime)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EngineSetup;

    /// A failure would mean that `apus engines` tells people of a durability that they do not get.
    #[test]
    fn engines_open_with_the_durability_that_is_listed_first() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::built_in();
        for entry in registry.entries() {
            let engine = registry.open(entry.name, &EngineSetup::new(dir.path()));
            let claimed = engine.unwrap().capabilities().durability;
            assert_eq!(entry.durability.first(), Some(&claimed), "{}", entry.name);
        }
    }

    /// A failure would mean that `apus engines` says "not certified" of an engine that is.
    #[test]
    fn every_engine_comes_with_its_report() {
        for entry in Registry::built_in().entries() {
            assert!(entry.report.is_some(), "{}", entry.name);
        }
    }
}
