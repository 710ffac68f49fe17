//! [`SledDevices`]: where the databases are, and how they are opened.

use crate::error::{Attempt, Failure, OsContext};
use crate::format::{self, Folder};
use crate::options::{SledMode, SledOptions};
use crate::store::SledStore;
use broker_api::{DeviceHealth, Durability, Engine, Result, StoreKind};
use broker_kv::{Devices, Presence};
use broker_runtime::{RuntimeOptions, device};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of this engine on a device.
const FOLDER: &str = "apus-sled";

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

    fn try_open(
        &self,
        device: &str,
        kind: StoreKind,
        presence: Presence,
    ) -> Attempt<Option<SledStore>> {
        if !device::is_name(device) {
            return Ok(None);
        }
        let folder = self.folder(device, kind);
        let db = folder.join("db");
        let found = format::look(&folder, &db)?;
        if found == Folder::Empty {
            if presence == Presence::Existing {
                return Ok(None);
            }
            fs::create_dir_all(&folder).at("make", &folder)?;
        }
        let lock = lock(&folder)?;
        // Another process may have made it in between.
        if format::look(&folder, &db)? == Folder::Empty {
            format::mark(&folder)?;
        }
        let db = self.open_db(&db)?;
        Ok(Some(SledStore::new(db, lock)))
    }

    fn open_db(&self, path: &Path) -> Attempt<sled::Db> {
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
                Err(Failure::InUse(path.to_owned()))
            }
            opened => Ok(opened?),
        }
    }
}

/// Makes sure that no other process has the database open.
fn lock(folder: &Path) -> Attempt<fs::File> {
    let path = folder.join("LOCK");
    let mut options = fs::OpenOptions::new();
    let options = options.create(true).truncate(false).write(true);
    let file = options.open(&path).at("open", &path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(Failure::InUse(folder.to_owned())),
        Err(errno) => Err(errno).at("lock", &path),
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
        Ok(self.try_open(device, kind, presence)?.map(Arc::new))
    }

    fn health(&self, device: &str) -> Result<DeviceHealth> {
        let devices = &self.options.devices;
        let health = device::health(devices, device, self.options.mount_check);
        Ok(health.at("look at", &devices.join(device))?)
    }
}
