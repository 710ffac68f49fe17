//! [`SledDevices`]: where the databases are, and how they are opened.

use crate::error::{Failure, OsContext};
use crate::options::{SledMode, SledOptions};
use crate::store::SledStore;
use broker_api::{DeviceHealth, Durability, Engine, Result, StoreKind};
use broker_kv::{Devices, Folder, Presence};
use broker_runtime::{RuntimeOptions, device};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

/// The folder of this engine on a device.
const FOLDER: &str = "apus-sled";

/// What the marker of a folder holds. A change of the version of sled or of the folder's layout changes
/// it; the layout of keys has a version of its own, inside the database.
const FORMAT: &str = "apus engine-sled, sled 0.34, folder 2";

/// Opens the engine behind the asynchronous contract. Databases are opened when they are first used.
///
/// # Errors
/// When the system gives no threads.
pub fn open(options: SledOptions, runtime: &RuntimeOptions) -> Result<Arc<dyn Engine>> {
    broker_kv::open(SledDevices::new(options), runtime)
}

/// The databases under a folder of devices.
#[derive(Debug)]
pub struct SledDevices {
    options: SledOptions,
}

impl SledDevices {
    /// Opens nothing yet.
    pub fn new(options: SledOptions) -> Self {
        Self { options }
    }

    fn folder(&self, device: &str, kind: StoreKind) -> PathBuf {
        let mut folder = self.options.devices.join(device);
        folder.push(FOLDER);
        folder.push(format!("{kind}s"));
        folder
    }

    fn open_db(&self, path: &Path) -> Result<sled::Db> {
        let mode = match self.options.mode {
            SledMode::HighThroughput => sled::Mode::HighThroughput,
            SledMode::LowSpace => sled::Mode::LowSpace,
        };
        let config = sled::Config::new()
            .path(path)
            .mode(mode)
            .cache_capacity(self.options.cache_capacity_mb << 20)
            // Every commit is flushed before it is acknowledged.
            .flush_every_ms(None);
        match config.open() {
            // sled cannot lock its file. We hold our own lock, so only what this process closed itself can
            // be in the way.
            Err(sled::Error::Io(error)) if error.kind() == std::io::ErrorKind::Other => {
                Err(Folder::in_use(path))
            }
            opened => Ok(opened.map_err(Failure::from)?),
        }
    }
}

impl Devices for SledDevices {
    type Store = SledStore;

    fn name(&self) -> &str {
        "sled"
    }

    fn durability(&self) -> Durability {
        Durability::Process
    }

    fn open(
        &self,
        device: &str,
        kind: StoreKind,
        presence: Presence,
    ) -> Result<Option<Arc<SledStore>>> {
        if !device::is_name(device) {
            return Ok(None);
        }
        let Some(folder) = Folder::claim(&self.folder(device, kind), FORMAT, presence)? else {
            return Ok(None);
        };
        remove_unfinished(folder.db())?;
        let db = self.open_db(folder.db())?;
        Ok(Some(Arc::new(SledStore::new(db, folder))))
    }

    fn health(&self, device: &str) -> Result<DeviceHealth> {
        let devices = &self.options.devices;
        let health = device::health(devices, device, self.options.mount_check);
        Ok(health.at("look at", &devices.join(device))?)
    }
}

/// Removes what sled was writing when it was killed and would take for whole: a snapshot that is not named
/// yet, and the configuration of a database that has no data file yet.
fn remove_unfinished(db: &Path) -> Result<()> {
    let entries = match fs::read_dir(db) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.at("list", db)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.at("list", db)?.file_name());
    }
    let has_data = names.iter().any(|name| name == "db");
    for name in names {
        let bytes = name.as_encoded_bytes();
        let snapshot = bytes.starts_with(b"snap.") && bytes.ends_with(b".generating");
        if snapshot || (name == "conf" && !has_data) {
            let path = db.join(name);
            fs::remove_file(&path).at("remove", &path)?;
        }
    }
    Ok(())
}
