//! Which engines there are, by name.

use broker_api::Engine;
use broker_conformance::Level;
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
}

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
            claims: &[
                Level::Replication,
                Level::Reclaim,
                Level::Concurrent,
                Level::Durable,
            ],
            open: |setup| {
                let mut options = engine_sqlite::SqliteOptions::from_settings(&setup.settings)?;
                options.devices.clone_from(&setup.devices);
                options.mount_check = setup.mount_check;
                options.db_preallocation = setup.db_preallocation;
                Ok(engine_sqlite::open(options, &setup.runtime)?)
            },
        });
        registry.register(EngineEntry {
            name: "memory",
            summary: "the reference; forgets everything at exit",
            claims: &[Level::Replication, Level::Reclaim, Level::Concurrent],
            open: |setup| Ok(engine_memory::open(&setup.memory, &setup.runtime)?),
        });
        registry.register(EngineEntry {
            name: "sled",
            summary: "pure Rust, experimental",
            claims: &[
                Level::Replication,
                Level::Reclaim,
                Level::Concurrent,
                Level::Durable,
            ],
            open: |setup| {
                let mut options = engine_sled::SledOptions::from_settings(&setup.settings)?;
                options.devices.clone_from(&setup.devices);
                options.mount_check = setup.mount_check;
                Ok(engine_sled::open(options, &setup.runtime)?)
            },
        });
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
    /// [`RegistryError::Unknown`] lists the names there are.
    pub fn find(&self, name: &str) -> Result<&EngineEntry, RegistryError> {
        let entry = self.entries.iter().find(|entry| entry.name == name);
        entry.ok_or_else(|| RegistryError::Unknown {
            name: name.to_owned(),
            known: self
                .entries
                .iter()
                .map(|entry| entry.name)
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    /// Opens an engine by name.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] lists the names there are; [`RegistryError::Open`] says what the
    /// engine does not accept.
    pub fn open(&self, name: &str, setup: &EngineSetup) -> Result<Arc<dyn Engine>, RegistryError> {
        let entry = self.find(name)?;
        (entry.open)(setup).map_err(|source| RegistryError::Open {
            name: name.to_owned(),
            source,
        })
    }
}
