//! Which engines there are, by name.

use broker_api::Engine;
use broker_conformance::Level;
use broker_kv::{DumpKeys, DumpVisit};
use broker_runtime::RuntimeOptions;
use engine_memory::MemoryDisk;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Why an engine could not be opened.
pub type EngineFailure = Box<dyn std::error::Error + Send + Sync>;

/// What an engine is opened with.
#[derive(Debug, Clone)]
pub struct EngineSetup {
    /// The folder that holds one folder, or mount point, for each device.
    pub devices: PathBuf,
    /// Whether a device must be a mount point to be used.
    pub mount_check: bool,
    /// Whether database files grow in large steps ahead of need.
    pub db_preallocation: bool,
    /// The options of the engine's own section, `[engine:NAME]`.
    pub settings: BTreeMap<String, String>,
    /// Threads and open handles.
    pub runtime: RuntimeOptions,
    /// What an engine without a disk keeps from one opening to the next.
    pub memory: MemoryDisk,
}

impl EngineSetup {
    /// Everything as by default, for devices in a folder.
    pub fn new(devices: impl Into<PathBuf>) -> Self {
        Self {
            devices: devices.into(),
            mount_check: false,
            db_preallocation: false,
            settings: BTreeMap::new(),
            runtime: RuntimeOptions::default(),
            memory: MemoryDisk::new(),
        }
    }
}

/// An engine that configuration can choose.
#[derive(Clone, Copy)]
pub struct EngineEntry {
    /// Its name in `engine = NAME`.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub summary: &'static str,
    /// The levels of conformance that it claims beside core.
    pub claims: &'static [Level],
    /// Opens it.
    pub open: fn(&EngineSetup) -> Result<Arc<dyn Engine>, EngineFailure>,
    /// Shows its keys, for `apus dump-keys`; engines over `broker-kv` have this for a line.
    pub dump: Option<Dump>,
}

/// Shows the keys of an engine; see [`broker_kv::dump_keys`].
pub type Dump = fn(&EngineSetup, &DumpKeys, &mut DumpVisit<'_>) -> Result<(), EngineFailure>;

/// Engines of this repository that a binary may be without, each with the cargo feature of its name.
const OPTIONAL: [&str; 2] = ["rocksdb", "sled"];

impl std::fmt::Debug for EngineEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineEntry")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why a chosen engine is refused.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No engine has this name.
    #[error("there is no engine {name:?}; choose one of: {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// The engine exists, but not in this binary.
    #[error(
        "{name} is not compiled into this binary; build it with --features {name}, \
         or make run ENGINE={name}; or choose one of: {known}"
    )]
    NotCompiled {
        /// Its name.
        name: String,
        /// The names that are possible.
        known: String,
    },
    /// The engine does not open with this setup.
    #[error("the engine {name:?} does not open")]
    Open {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: EngineFailure,
    },
}

/// The engines that a binary was linked with.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    entries: Vec<EngineEntry>,
}

impl Registry {
    /// The engines of this repository.
    pub fn built_in() -> Self {
        let mut registry = Self::default();
        registry.register(EngineEntry {
            name: "sqlite",
            summary: "Swift's own files; the default",
            claims: &[Level::Replication, Level::Reclaim, Level::Concurrent],
            open: |setup| {
                let mut options = engine_sqlite::SqliteOptions::from_settings(&setup.settings)?;
                options.devices.clone_from(&setup.devices);
                options.mount_check = setup.mount_check;
                options.db_preallocation = setup.db_preallocation;
                Ok(engine_sqlite::open(options, &setup.runtime)?)
            },
            dump: None,
        });
        registry.register(EngineEntry {
            name: "memory",
            summary: "the reference; forgets everything at exit",
            claims: &[Level::Replication, Level::Reclaim, Level::Concurrent],
            open: |setup| Ok(engine_memory::open(&setup.memory, &setup.runtime)?),
            dump: None,
        });
        #[cfg(feature = "rocksdb")]
        registry.register(rocksdb());
        #[cfg(feature = "sled")]
        registry.register(sled());
        registry
    }

    /// Adds an engine, or replaces the one of the same name.
    pub fn register(&mut self, entry: EngineEntry) {
        self.entries.retain(|known| known.name != entry.name);
        self.entries.push(entry);
    }

    /// All engines, in order of registration.
    pub fn entries(&self) -> &[EngineEntry] {
        &self.entries
    }

    /// Finds an engine by name.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] and [`RegistryError::NotCompiled`] list the names there are.
    pub fn find(&self, name: &str) -> Result<&EngineEntry, RegistryError> {
        let entry = self.entries.iter().find(|entry| entry.name == name);
        entry.ok_or_else(|| {
            let names: Vec<_> = self.entries.iter().map(|entry| entry.name).collect();
            let (name, known) = (name.to_owned(), names.join(", "));
            match OPTIONAL.contains(&name.as_str()) {
                true => RegistryError::NotCompiled { name, known },
                false => RegistryError::Unknown { name, known },
            }
        })
    }

    /// Opens an engine by name.
    ///
    /// # Errors
    /// As those of [`find`](Self::find); [`RegistryError::Open`] says what the engine does not accept.
    pub fn open(&self, name: &str, setup: &EngineSetup) -> Result<Arc<dyn Engine>, RegistryError> {
        let entry = self.find(name)?;
        (entry.open)(setup).map_err(|source| RegistryError::Open {
            name: name.to_owned(),
            source,
        })
    }
}

#[cfg(feature = "rocksdb")]
fn rocksdb() -> EngineEntry {
    fn options(setup: &EngineSetup) -> broker_api::Result<engine_rocksdb::RocksdbOptions> {
        let mut options = engine_rocksdb::RocksdbOptions::from_settings(&setup.settings)?;
        options.devices.clone_from(&setup.devices);
        options.mount_check = setup.mount_check;
        Ok(options)
    }
    EngineEntry {
        name: "rocksdb",
        summary: "large containers, high rates",
        claims: &[Level::Replication, Level::Reclaim, Level::Concurrent],
        open: |setup| Ok(engine_rocksdb::open(options(setup)?, &setup.runtime)?),
        dump: Some(|setup, wanted, visit| {
            let devices = engine_rocksdb::RocksdbDevices::read_only(options(setup)?);
            Ok(broker_kv::dump_keys(&devices, wanted, visit)?)
        }),
    }
}

#[cfg(feature = "sled")]
fn sled() -> EngineEntry {
    fn options(setup: &EngineSetup) -> broker_api::Result<engine_sled::SledOptions> {
        let mut options = engine_sled::SledOptions::from_settings(&setup.settings)?;
        options.devices.clone_from(&setup.devices);
        options.mount_check = setup.mount_check;
        Ok(options)
    }
    EngineEntry {
        name: "sled",
        summary: "pure Rust, experimental",
        claims: &[Level::Replication, Level::Reclaim, Level::Concurrent],
        open: |setup| Ok(engine_sled::open(options(setup)?, &setup.runtime)?),
        dump: Some(|setup, wanted, visit| {
            let devices = engine_sled::SledDevices::new(options(setup)?);
            Ok(broker_kv::dump_keys(&devices, wanted, visit)?)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failure would mean that an engine that was left out of a binary looks like a typing error.
    #[test]
    fn engines_that_are_not_compiled_in_are_told_from_unknown_ones() {
        let mut registry = Registry::built_in();
        registry
            .entries
            .retain(|entry| !OPTIONAL.contains(&entry.name));
        for name in OPTIONAL {
            let refused = registry.find(name).unwrap_err().to_string();
            let ways = [
                format!("--features {name}"),
                format!("make run ENGINE={name}"),
            ];
            assert!(ways.iter().all(|way| refused.contains(way)), "{refused}");
            assert!(
                refused.contains("not compiled into this binary"),
                "{refused}"
            );
            assert!(refused.contains("sqlite, memory"), "{refused}");
        }
        let refused = registry.find("rocksbd").unwrap_err().to_string();
        assert!(
            refused.starts_with("there is no engine \"rocksbd\""),
            "{refused}"
        );
    }
}
