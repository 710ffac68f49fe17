//! [`RocksdbDevices`]: where the databases are, and how they are opened.

use crate::error::Failure;
use crate::figures::Reporter;
use crate::options::RocksdbOptions;
use crate::room::Reserve;
use crate::store::RocksdbStore;
use crate::tuning;
use broker_api::{DeviceHealth, Durability, Engine, Result, StoreKind};
use broker_kv::{Devices, Folder, Presence};
use broker_runtime::{RuntimeOptions, device};
use rocksdb::{DB, InfoLogger, LogLevel, Options};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The folder of this engine on a device.
const FOLDER: &str = "apus-rocksdb";

/// What the marker of a folder holds. RocksDB checks the version of its files itself.
const FORMAT: &str = "apus engine-rocksdb, folder 1";

/// Opens the engine behind the asynchronous contract. Databases are opened when they are first used.
///
/// # Errors
/// When the system gives no threads.
pub fn open(options: RocksdbOptions, runtime: &RuntimeOptions) -> Result<Arc<dyn Engine>> {
    broker_kv::open(RocksdbDevices::new(options)?, runtime)
}

/// The databases under a folder of devices. They share memory and threads.
pub struct RocksdbDevices {
    options: RocksdbOptions,
    tuned: Arc<Options>,
    reporter: Option<Reporter>,
    access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Write,
    /// Beside a process that may be writing.
    Look,
}

impl fmt::Debug for RocksdbDevices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RocksdbDevices")
            .field(&self.options)
            .finish()
    }
}

impl RocksdbDevices {
    /// Opens nothing yet. Numbers out of bounds are brought within them.
    ///
    /// # Errors
    /// When the system gives no thread for statistics.
    pub fn new(options: RocksdbOptions) -> Result<Self> {
        let options = options.bounded();
        let tuned = Arc::new(tuning::options(&options));
        let period = Duration::from_secs(options.statistics_seconds);
        let reporter = match options.statistics {
            true => Some(Reporter::start(Arc::clone(&tuned), period).map_err(Failure::Device)?),
            false => None,
        };
        Ok(Self {
            options,
            tuned,
            reporter,
            access: Access::Write,
        })
    }

    /// For reading what is there, also while a server has it open; changes are refused with `Unsupported`.
    /// A view shows what there was when the database was opened.
    pub fn read_only(options: RocksdbOptions) -> Self {
        let options = options.bounded();
        let mut tuned = tuning::options(&options);
        // The server that has it open may delete tables, which stay readable as long as they are open.
        tuned.set_max_open_files(-1);
        // And it is writing to the information log.
        tuned.set_info_logger(InfoLogger::new_callback_logger(
            LogLevel::Warn,
            |_, message| tracing::debug!("{message}"),
        ));
        Self {
            options,
            tuned: Arc::new(tuned),
            reporter: None,
            access: Access::Look,
        }
    }

    fn folder(&self, device: &str, kind: StoreKind) -> PathBuf {
        let mut folder = self.options.devices.join(device);
        folder.push(FOLDER);
        folder.push(format!("{kind}s"));
        folder
    }
}

impl Devices for RocksdbDevices {
    type Store = RocksdbStore;

    fn name(&self) -> &str {
        "rocksdb"
    }

    fn durability(&self) -> Durability {
        self.options.durability
    }

    fn open(
        &self,
        device: &str,
        kind: StoreKind,
        presence: Presence,
    ) -> Result<Option<Arc<RocksdbStore>>> {
        if !device::is_name(device) {
            return Ok(None);
        }
        let path = self.folder(device, kind);
        let folder = match self.access {
            Access::Write => Folder::claim(&path, FORMAT, presence)?,
            Access::Look => Folder::look(&path, FORMAT)?,
        };
        let Some(folder) = folder else {
            return Ok(None);
        };
        let db = match self.access {
            Access::Write => DB::open(&self.tuned, folder.db()),
            Access::Look => DB::open_for_read_only(&self.tuned, folder.db(), false),
        };
        let db = db.map_err(Failure::from)?;
        let reserve = Reserve::new(path, self.options.reserve_mb << 20);
        let store = RocksdbStore::new(db, folder, self.options.durability, reserve);
        let store = Arc::new(store);
        if let Some(reporter) = &self.reporter {
            reporter.watch(format!("{device}/{kind}s"), &store);
        }
        Ok(Some(store))
    }

    fn health(&self, device: &str) -> Result<DeviceHealth> {
        let devices = &self.options.devices;
        let health = device::health(devices, device, self.options.mount_check);
        Ok(health.map_err(Failure::Device)?)
    }
}
