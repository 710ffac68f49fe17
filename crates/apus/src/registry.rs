//! Which engines there are, by name.
//!
//! ```text
//! EngineEntry   what a binary knows of an engine before it opens it
//! Registry      the entries of a binary: those of this repository, then those that others add
//!    └─ open    EngineSetup ──► Arc<dyn Engine>, or a refusal that says what is possible
//! ```

use broker_api::{Durability, Engine};
use broker_conformance::Level;
use broker_kv::{DumpKeys, DumpVisit};
use broker_runtime::RuntimeOptions;
use broker_runtime::settings::Setting;
use engine_memory::MemoryDisk;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Why an engine could not be opened.
pub type EngineFailure = Box<dyn std::error::Error + Send + Sync>;

/// Shows the keys of an engine; see [`broker_kv::dump_keys`].
pub type DumpEngine = fn(&EngineSetup, &DumpKeys, &mut DumpVisit<'_>) -> Result<(), EngineFailure>;

/// Opens an engine.
pub type OpenEngine = fn(&EngineSetup) -> Result<Arc<dyn Engine>, EngineFailure>;

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

/// What an engine keeps in a device's folder. By this a device's [owner](crate::ownership) is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDevice {
    /// Nothing: its stores are elsewhere.
    Nothing,
    /// These folders of Swift's. No marker is written beside them.
    Swift(&'static [&'static str]),
    /// These folders of its own, and the marker of Apus.
    Folders(&'static [&'static str]),
}

/// An engine that configuration can choose.
///
/// # Examples
/// ```
/// use apus::{EngineEntry, EngineFailure, EngineSetup, OnDevice, Registry};
/// # fn open(_: &EngineSetup) -> Result<std::sync::Arc<dyn broker_api::Engine>, EngineFailure> {
/// #     Err("a sketch".into())
/// # }
///
/// let mut registry = Registry::built_in();
/// registry.register(EngineEntry {
///     summary: "rows on my store",
///     on_device: OnDevice::Folders(&["my-store"]),
///     ..EngineEntry::new("mine", open)
/// });
/// assert!(registry.find("mine").is_ok());
/// ```
#[derive(Clone, Copy)]
pub struct EngineEntry {
    /// Its name in `engine = NAME`.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub summary: &'static str,
    /// What acknowledged writes can be made to survive, the default first.
    pub durability: &'static [Durability],
    /// The levels of conformance that it claims beside core.
    pub claims: &'static [Level],
    /// The settings of its section, `[engine:NAME]`.
    pub settings: &'static [Setting],
    /// Settings for whoever touches every row once, as a conversion does, where the configuration gives
    /// none: caches that would only take memory then.
    pub one_pass: &'static [(&'static str, &'static str)],
    /// What it keeps in a device's folder.
    pub on_device: OnDevice,
    /// Its report of the conformance suite, as JSON, if it comes with one.
    pub report: Option<&'static str>,
    /// Opens it. Settings that it does not know must be refused.
    pub open: OpenEngine,
    /// Shows its keys, for `apus dump-keys`; engines over `broker-kv` have this for a line.
    pub dump: Option<DumpEngine>,
}

impl EngineEntry {
    /// An engine that claims nothing beyond core, has no settings and keeps nothing on devices.
    pub const fn new(name: &'static str, open: OpenEngine) -> Self {
        Self {
            name,
            summary: "",
            durability: &[Durability::Process],
            claims: &[],
            settings: &[],
            one_pass: &[],
            on_device: OnDevice::Nothing,
            report: None,
            open,
            dump: None,
        }
    }
}

impl std::fmt::Debug for EngineEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineEntry")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// An engine of this repository that a binary may have been built without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in a few words.
    pub summary: &'static str,
    /// How to build a binary that has it.
    pub how: &'static str,
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
    #[error("this binary was built without the engine {name:?}; {how}, or choose one of: {known}")]
    LeftOut {
        /// Its name.
        name: String,
        /// How to build one that has it.
        how: &'static str,
        /// All names that this binary has.
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
    /// Adds an engine, or replaces the one of the same name.
    pub fn register(&mut self, entry: EngineEntry) {
        self.entries.retain(|known| known.name != entry.name);
        self.entries.push(entry);
    }

    /// All engines, in order of registration.
    pub fn entries(&self) -> &[EngineEntry] {
        &self.entries
    }

    /// The engines of this repository that are not among them.
    pub fn left_out(&self) -> impl Iterator<Item = &'static LeftOut> {
        let registered = |left_out: &LeftOut| self.entries.iter().any(|e| e.name == left_out.name);
        crate::built_in::OPTIONAL
            .iter()
            .filter(move |left_out| !registered(left_out))
    }

    /// Finds an engine by name.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`] lists the names there are; [`RegistryError::LeftOut`] says how to get
    /// the engine as well.
    pub fn find(&self, name: &str) -> Result<&EngineEntry, RegistryError> {
        if let Some(entry) = self.entries.iter().find(|entry| entry.name == name) {
            return Ok(entry);
        }
        let (name, known) = (name.to_owned(), self.names());
        let left_out = self.left_out().find(|left_out| left_out.name == name);
        Err(match left_out {
            Some(LeftOut { how, .. }) => RegistryError::LeftOut { name, how, known },
            None => RegistryError::Unknown { name, known },
        })
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.entries.iter().map(|entry| entry.name).collect();
        names.join(", ")
    }

    /// Opens an engine by name.
    ///
    /// # Errors
    /// As [`find`](Self::find); [`RegistryError::Open`] says what the engine does not accept.
    pub fn open(&self, name: &str, setup: &EngineSetup) -> Result<Arc<dyn Engine>, RegistryError> {
        let entry = self.find(name)?;
        (entry.open)(setup).map_err(|source| RegistryError::Open {
            name: name.to_owned(),
            source,
        })
    }
}
