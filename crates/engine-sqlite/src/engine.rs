//! [`SqliteEngine`]: finds, opens, makes and removes Swift's files.

use crate::account::Account;
use crate::cache::Shares;
use crate::container::Container;
use crate::create;
use crate::error::{Attempt, Failure, OsContext};
use crate::options::SqliteOptions;
use crate::path::StorePaths;
use crate::schema;
use crate::store::{Layout, SqliteStore};
use crate::synced;
use crate::walk::{self, Page};
use broker_api::{
    BrokerOptions, Capabilities, DeviceHealth, Durability, Engine, Facts, Initialized, Location,
    NewAccount, NewContainer, Result, StoreKind,
};
use broker_runtime::sync::{Restore, SyncEngine};
use broker_runtime::{Adapter, RuntimeOptions, device};
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
    pub(crate) options: SqliteOptions,
    shares: Arc<Shares>,
}

impl SqliteEngine {
    /// Makes an engine; nothing is read or written yet.
    pub fn new(options: SqliteOptions) -> Self {
        let shares = Shares::of(options.page_cache_mb);
        Self { options, shares }
    }

    pub(crate) fn paths(&self, location: &Location) -> StorePaths {
        StorePaths::new(&self.options.devices, location)
    }

    /// A store must not be made below the mount point of a device that is not mounted.
    pub(crate) fn require_device(&self, location: &Location) -> Attempt<()> {
        let path = self.options.devices.join(location.device());
        match !self.options.mount_check || device::is_mounted(&path).at("look at", &path)? {
            true => Ok(()),
            false => Err(Failure::NotMounted),
        }
    }

    fn open_store<K: Layout>(&self, location: &Location) -> Result<Option<SqliteStore<K>>> {
        Ok(SqliteStore::open(
            self.paths(location),
            self.options.durability.max(Durability::Process),
            self.options.db_preallocation,
            &self.shares,
        )?)
    }

    fn health(&self, device: &str) -> Attempt<DeviceHealth> {
        let SqliteOptions {
            devices,
            mount_check,
            ..
        } = &self.options;
        device::health(devices, device, *mount_check).at("look at", &devices.join(device))
    }
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
        self.open_store(location)
    }

    fn open_container(&self, location: &Location) -> Result<Option<Self::Container>> {
        self.open_store(location)
    }

    fn remembered_facts(&self, location: &Location, options: &BrokerOptions) -> Option<Facts> {
        let remembered = &self.shares.remembered;
        remembered.facts(&self.paths(location), options.skip_commits)
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
        let target = create::quarantine(&paths, location.kind(), self.options.durability)?;
        let (from, to) = (paths.dir.display(), target.display());
        tracing::error!("quarantined {from} to {to} due to {reason}");
        Ok(())
    }

    fn remove(&self, location: &Location) -> Result<()> {
        Ok(create::remove(
            &self.paths(location),
            self.options.durability,
        )?)
    }

    fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        let link = StorePaths::synced(&self.options.devices, location);
        match synced {
            true if synced::is_listed(&link)? => {}
            true => {
                self.require_device(location)?;
                synced::add(&link, &self.paths(location).db)?;
            }
            false => synced::remove(&link, self.options.durability)?,
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

    fn restore(&self) -> Option<&dyn Restore> {
        Some(self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use broker_api::{HashPath, PolicyIndex, Timestamp};

    /// A failure would mean that a loss of power spoils a file, or, as journals are held back until a sync, that the
    /// death of the process does.
    #[test]
    fn stores_that_are_served_are_always_synced() {
        let levels = [
            (Durability::Memory, 1),
            (Durability::Process, 1),
            (Durability::Disk, 3),
        ];
        for (durability, level) in levels {
            let dir = tempfile::tempdir().unwrap();
            let mut options = SqliteOptions::new(dir.path()).with_mount_check(false);
            options.durability = durability;
            let engine = SqliteEngine::new(options);
            let hash = HashPath::new("", "endcap").container("a", "c");
            let location = Location::new(StoreKind::Container, "sda1", "7", hash).unwrap();
            let new = NewContainer {
                account: "a".into(),
                container: "c".into(),
                put_timestamp: Timestamp::from_seconds(1).into(),
                policy_index: PolicyIndex(0),
                created_at: Timestamp::from_seconds(1),
                id: "id-sda1".into(),
            };
            let made = engine.create_container(&location, &new, &BrokerOptions::default());
            assert_eq!(made.unwrap(), Initialized::Created);
            let store = engine.open_container(&location).unwrap().unwrap();
            let conn = store.conn().unwrap();
            let found: i64 = conn
                .query_row("PRAGMA synchronous", [], |row| row.get(0))
                .unwrap();
            assert_eq!(found, level, "{durability:?}");
        }
    }
}
