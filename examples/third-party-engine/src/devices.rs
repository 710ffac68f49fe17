//! [`RedbDevices`]: where the databases are, how they are opened, and what may be set.

use crate::store::RedbStore;
use broker_api::{DeviceHealth, Durability, Engine, Error, Result, StoreKind};
use broker_kv::{Devices, Presence};
use broker_runtime::settings::{Setting, Settings};
use broker_runtime::{RuntimeOptions, device};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of this engine on a device.
pub const FOLDER: &str = "apus-redb";

/// The settings of `[engine:redb]`.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "cache_mb",
        default: "64",
        values: "a whole number from 1 to 65536",
        meaning: "memory for pages of each database, in MiB",
    },
    Setting {
        name: "durability",
        default: "disk",
        values: "disk",
        meaning: "what an acknowledged write survives; redb can do no less",
    },
];

/// Where the devices are and how redb is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedbOptions {
    /// The folder that holds one folder for each device.
    pub devices: PathBuf,
    /// A device must be a mount point.
    pub mount_check: bool,
    /// redb's cache for each database, in MiB.
    pub cache_mb: u64,
}

impl RedbOptions {
    /// Reads the settings of a configuration.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown setting or a value that is none.
    pub fn new(devices: &Path, settings: &BTreeMap<String, String>) -> Result<Self> {
        let settings = Settings::read("redb", SETTINGS, settings)?;
        settings.one_of("durability", &[("disk", Durability::Disk)])?;
        Ok(Self {
            devices: devices.to_owned(),
            mount_check: false,
            cache_mb: settings.whole_number("cache_mb", 1..=65_536)?.unwrap_or(64),
        })
    }
}

/// Opens the engine. Databases are opened when they are first used.
///
/// # Errors
/// When the system gives no threads.
pub fn open(options: RedbOptions, runtime: &RuntimeOptions) -> Result<Arc<dyn Engine>> {
    broker_kv::open(RedbDevices::new(options), runtime)
}

/// The databases under a folder of devices.
#[derive(Debug)]
pub struct RedbDevices {
    options: RedbOptions,
}

impl RedbDevices {
    /// Opens nothing yet.
    pub fn new(options: RedbOptions) -> Self {
        Self { options }
    }
}

impl Devices for RedbDevices {
    type Store = RedbStore;

    fn name(&self) -> &str {
        "redb"
    }

    fn durability(&self) -> Durability {
        Durability::Disk
    }

    fn open(
        &self,
        device: &str,
        kind: StoreKind,
        presence: Presence,
    ) -> Result<Option<Arc<RedbStore>>> {
        let folder = self.options.devices.join(device).join(FOLDER);
        let file = folder.join(format!("{kind}s.redb"));
        let is_there = file.is_file();
        if !device::is_name(device) || !is_there && presence == Presence::Existing {
            return Ok(None);
        }
        let cannot = |error| Error::io(format!("cannot make {}", file.display()), error);
        if !is_there {
            fs::create_dir_all(&folder).map_err(cannot)?;
        }
        let cache_bytes = usize::try_from(self.options.cache_mb << 20).unwrap_or(usize::MAX);
        let store = RedbStore::open(&file, cache_bytes)?;
        if !is_there {
            // The names of the file and of its folder must survive a loss of power as well.
            for folder in [&folder, &self.options.devices.join(device)] {
                let synced = File::open(folder).and_then(|folder| folder.sync_all());
                synced.map_err(cannot)?;
            }
        }
        Ok(Some(Arc::new(store)))
    }

    fn health(&self, device: &str) -> Result<DeviceHealth> {
        let RedbOptions {
            devices,
            mount_check,
            ..
        } = &self.options;
        let health = device::health(devices, device, *mount_check);
        health.map_err(|error| Error::io(format!("cannot look at device {device}"), error))
    }
}
