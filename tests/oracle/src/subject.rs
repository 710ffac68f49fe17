//! The engines that are compared with Swift.

use crate::broken::{BrokenEngine, Fault};
use crate::driver::{DEVICE, scratch_folder};
use crate::error::Result;
use broker_api::Engine;
use broker_runtime::RuntimeOptions;
use engine_memory::MemoryDisk;
use engine_rocksdb::RocksdbOptions;
use engine_sled::SledOptions;
use engine_sqlite::SqliteOptions;
use std::path::Path;
use std::sync::Arc;

/// Tombstones in one page of a reclaim, as in `swift_driver.py`.
const RECLAIM_PAGE: usize = 7;

/// An engine by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum EngineName {
    /// The reference engine.
    Memory,
    /// Ordered keys in a RocksDB database.
    Rocksdb,
    /// Ordered keys in a sled database.
    Sled,
    /// Swift's own files.
    Sqlite,
}

impl EngineName {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            EngineName::Memory => "memory",
            EngineName::Rocksdb => "rocksdb",
            EngineName::Sled => "sled",
            EngineName::Sqlite => "sqlite",
        }
    }
}

/// An open engine, and what it stands on.
#[derive(Debug)]
pub struct Subject {
    /// Its name, with that of the fault when it has one.
    pub name: String,
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// Keeps the devices folder of an engine that has one.
    _scratch: Option<tempfile::TempDir>,
}

impl Subject {
    /// Opens an engine on an empty device.
    ///
    /// # Errors
    /// When it does not open.
    pub fn open(name: EngineName) -> Result<Self> {
        let scratch = scratch_folder()?;
        std::fs::create_dir_all(scratch.path().join(DEVICE))?;
        let engine = open_engine(name, scratch.path())?;
        Ok(Self {
            name: name.as_str().into(),
            engine,
            _scratch: Some(scratch),
        })
    }

    /// The same engine with a bug.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.name = format!("{} with {}", self.name, fault.as_str());
        self.engine = Arc::new(BrokenEngine::new(self.engine, fault));
        self
    }
}

/// Opens an engine on a devices folder.
///
/// # Errors
/// When it does not open.
pub fn open_engine(name: EngineName, devices: &Path) -> Result<Arc<dyn Engine>> {
    let options = RuntimeOptions {
        workers: 1,
        reclaim_page: RECLAIM_PAGE,
        ..RuntimeOptions::default()
    };
    match name {
        EngineName::Memory => Ok(engine_memory::open(&MemoryDisk::new(), &options)?),
        EngineName::Rocksdb => {
            let databases = RocksdbOptions::new(devices).with_mount_check(false);
            Ok(engine_rocksdb::open(databases, &options)?)
        }
        EngineName::Sled => {
            let databases = SledOptions::new(devices).with_mount_check(false);
            Ok(engine_sled::open(databases, &options)?)
        }
        EngineName::Sqlite => {
            let files = SqliteOptions::new(devices).with_mount_check(false);
            Ok(engine_sqlite::open(files, &options)?)
        }
    }
}
