//! [`SqliteEngine`]: finds, opens, makes and removes Swift's files.

use crate::account::Account;
use crate::container::Container;
use crate::create;
use crate::error::{Attempt, Failure, OsContext};
use crate::options::SqliteOptions;
use crate::path::{StorePaths, is_absence};
use crate::schema;
use crate::store::SqliteStore;
use crate::synced;
use crate::walk::{self, Page};
use broker_api::{
    BrokerOptions, Capabilities, DeviceHealth, Durability, Engine, Initialized, Location,
    NewAccount, NewContainer, Result, StoreKind,
};
use broker_runtime::sync::SyncEngine;
use broker_runtime::{Adapter, RuntimeOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens the engine behind the asynchronous contract.
///
/// # Errors
/// When the system gives no threads.
pub fn open(options: SqliteOptions, runtime: &RuntimeOptions) -> Result<Arc<dyn Engine>> {
    Ok(Arc::new(Adapter::start(
        SqliteEngine::new(options),
        runtime,
    )?))
}

/// Opens Swift's files synchronously. It holds no files itself.
#[derive(Debug)]
pub struct SqliteEngine {
    options: SqliteOptions,
}

impl SqliteEngine {
    /// Makes an engine; nothing is read or written yet.
    pub fn new(options: SqliteOptions) -> Self {
        Self { options }
    }

    fn paths(&self, location: &Location) -> StorePaths {
        StorePaths::new(&self.options.devices, location)
    }

    /// A store must not be made below the mount point of a device that is not mounted.
    fn require_device(&self, location: &Location) -> Attempt<()> {
        let device = self.options.devices.join(location.device());
        match !self.options.mount_check || is_mounted(&device)? {
            true => Ok(()),
            false => Err(Failure::NotMounted),
        }
    }

    fn health(&self, device: &str) -> Attempt<DeviceHealth> {
        let path = self.options.devices.join(device);
        let usable = match self.options.mount_check {
            true => is_mounted(&path)?,
            false => path.is_dir(),
        };
        if !is_device_name(device) || !usable {
            return Ok(DeviceHealth::Absent);
        }
        let room = rustix::fs::statvfs(&path).at("measure", &path)?;
        Ok(DeviceHealth::Ready {
            free_bytes: room.f_frsize.saturating_mul(room.f_bavail),
            total_bytes: room.f_frsize.saturating_mul(room.f_blocks),
        })
    }
}

/// Whether Swift's servers would take the name of a device.
fn is_device_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-~".contains(&b);
    !matches!(name, "" | "." | "..") && name.bytes().all(plain)
}

/// Whether a directory is a mount point, or is declared to be one by a regular file `.ismount`.
fn is_mounted(dir: &Path) -> Attempt<bool> {
    let found = |path: PathBuf| match std::fs::symlink_metadata(&path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error).at("look at", &path),
    };
    if found(dir.join(".ismount"))?.is_some_and(|stub| stub.is_file()) {
        return Ok(true);
    }
    let (Some(own), Some(parent)) = (found(dir.to_owned())?, found(dir.join(".."))?) else {
        return Ok(false);
    };
    if !own.is_dir() {
        return Ok(false);
    }
    use std::os::unix::fs::MetadataExt;
    // The root of a file system is its own parent.
    Ok(own.dev() != parent.dev() || own.ino() == parent.ino())
}

impl SyncEngine for SqliteEngine {
    type Account = SqliteStore<Account>;
    type Container = SqliteStore<Container>;

    fn name(&self) -> &str {
        "sqlite"
    }

    fn capabilities(&self) -> Capabilities {
        let durability = self.options.durability.max(Durability::Process);
        Capabilities::new(durability).shared_between_processes()
    }

    fn exists(&self, location: &Location) -> Result<bool> {
        Ok(self.paths(location).exists()?)
    }

    fn open_account(&self, location: &Location) -> Result<Option<Self::Account>> {
        let SqliteOptions {
            durability,
            db_preallocation,
            ..
        } = self.options;
        let paths = self.paths(location);
        Ok(SqliteStore::open(paths, durability, db_preallocation)?)
    }

    fn open_container(&self, location: &Location) -> Result<Option<Self::Container>> {
        let SqliteOptions {
            durability,
            db_preallocation,
            ..
        } = self.options;
        let paths = self.paths(location);
        Ok(SqliteStore::open(paths, durability, db_preallocation)?)
    }

    fn create_account(
        &self,
        location: &Location,
        new: &NewAccount,
        options: &BrokerOptions,
    ) -> Result<Initialized> {
        self.require_device(location)?;
        let build = |conn: &_| schema::create_account(conn, new);
        Ok(create::create(
            &self.paths(location),
            options.pending_timeout,
            build,
        )?)
    }

    fn create_container(
        &self,
        location: &Location,
        new: &NewContainer,
        options: &BrokerOptions,
    ) -> Result<Initialized> {
        self.require_device(location)?;
        let build = |conn: &_| schema::create_container(conn, new);
        Ok(create::create(
            &self.paths(location),
            options.pending_timeout,
            build,
        )?)
    }

    fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let page = Page {
            device,
            kind,
            after,
            limit,
        };
        Ok(walk::stores(&self.options.devices, page)?)
    }

    fn quarantine(&self, location: &Location, reason: &str) -> Result<()> {
        let paths = self.paths(location);
        let target = create::quarantine(&paths, location.kind())?;
        let (from, to) = (paths.dir.display(), target.display());
        tracing::error!("quarantined {from} to {to} due to {reason}");
        Ok(())
    }

    fn remove(&self, location: &Location) -> Result<()> {
        Ok(create::remove(&self.paths(location))?)
    }

    fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        let link = StorePaths::synced(&self.options.devices, location);
        match synced {
            true if synced::is_listed(&link)? => {}
            true => {
                self.require_device(location)?;
                synced::add(&link, &self.paths(location).db)?;
            }
            false => synced::remove(&link)?,
        }
        Ok(())
    }

    fn synced(
        &self,
        device: &str,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let page = Page {
            device,
            kind: StoreKind::Container,
            after,
            limit,
        };
        Ok(walk::synced(&self.options.devices, page)?)
    }

    fn device_health(&self, device: &str) -> Result<DeviceHealth> {
        Ok(self.health(device)?)
    }
}
