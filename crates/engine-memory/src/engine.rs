//! The engine: a map of stores.

use crate::data::{Data, Row};
use crate::restore::Restoring;
use crate::store::MemoryStore;
use broker_api::{
    AccountInfo, BrokerOptions, Capabilities, ContainerInfo, ContainerRow, DbState, DeviceHealth,
    Durability, Engine, Error, Facts, Initialized, Location, NewAccount, NewContainer, ObjectRow,
    PolicyStat, Reported, Result, RollingHash, RowId, Rows, StoreInfo, StoreKind, Timestamp,
    TimestampText,
};
use broker_runtime::sync::{Restore, SyncEngine};
use broker_runtime::{Adapter, RuntimeOptions};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

pub(crate) type Table<R> = Mutex<BTreeMap<Location, Arc<RwLock<Data<R>>>>>;

#[derive(Default)]
struct Tables {
    accounts: Table<ContainerRow>,
    containers: Table<ObjectRow>,
    restoring_accounts: Restoring<ContainerRow>,
    restoring_containers: Restoring<ObjectRow>,
    quarantined: Mutex<Vec<(Location, String)>>,
    synced: Mutex<BTreeSet<Location>>,
}

/// What the engine keeps; clones share it, so that an engine can be opened again on it.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    tables: Arc<Tables>,
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryDisk")
    }
}

impl MemoryDisk {
    /// An empty disk; every device exists on it.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was quarantined, and why.
    pub fn quarantined(&self) -> Vec<(Location, String)> {
        self.tables.quarantined.lock().clone()
    }
}

/// Which tables rows of a type are in.
pub(crate) trait Kind: Row {
    fn table(disk: &MemoryDisk) -> &Table<Self>;
    fn restoring(disk: &MemoryDisk) -> &Restoring<Self>;
    /// Rows of either kind as rows of this one.
    fn of(rows: &Rows) -> &[Self];
}

impl Kind for ContainerRow {
    fn table(disk: &MemoryDisk) -> &Table<Self> {
        &disk.tables.accounts
    }

    fn restoring(disk: &MemoryDisk) -> &Restoring<Self> {
        &disk.tables.restoring_accounts
    }

    fn of(rows: &Rows) -> &[Self] {
        match rows {
            Rows::Containers(rows) => rows,
            Rows::Objects(_) => &[],
        }
    }
}

impl Kind for ObjectRow {
    fn table(disk: &MemoryDisk) -> &Table<Self> {
        &disk.tables.containers
    }

    fn restoring(disk: &MemoryDisk) -> &Restoring<Self> {
        &disk.tables.restoring_containers
    }

    fn of(rows: &Rows) -> &[Self] {
        match rows {
            Rows::Objects(rows) => rows,
            Rows::Containers(_) => &[],
        }
    }
}

/// The reference engine.
#[derive(Debug)]
pub struct MemoryEngine {
    pub(crate) disk: MemoryDisk,
}

impl MemoryEngine {
    /// An engine on a disk.
    pub fn on(disk: &MemoryDisk) -> Self {
        Self { disk: disk.clone() }
    }

    /// An engine on an empty disk of its own, ready to use.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn open() -> Result<Arc<dyn Engine>> {
        open(&MemoryDisk::new(), &RuntimeOptions::default())
    }

    fn open_store<R: Kind>(&self, location: &Location) -> Option<MemoryStore<R>> {
        let data = R::table(&self.disk).lock().get(location).cloned();
        data.map(|data| MemoryStore::new(location, &self.disk, data))
    }

    fn create<R: Kind>(&self, location: &Location, facts: Facts) -> Initialized {
        use std::collections::btree_map::Entry;
        match R::table(&self.disk).lock().entry(location.clone()) {
            Entry::Occupied(_) => Initialized::AlreadyExisted,
            Entry::Vacant(entry) => {
                entry.insert(Arc::new(RwLock::new(Data::new(facts))));
                Initialized::Created
            }
        }
    }

    fn take(&self, location: &Location) -> bool {
        match location.kind() {
            StoreKind::Account => ContainerRow::table(&self.disk)
                .lock()
                .remove(location)
                .is_some(),
            StoreKind::Container => ObjectRow::table(&self.disk)
                .lock()
                .remove(location)
                .is_some(),
        }
    }
}

/// Opens the reference engine on a disk.
///
/// # Errors
/// When the system gives no threads.
pub fn open(disk: &MemoryDisk, options: &RuntimeOptions) -> Result<Arc<dyn Engine>> {
    Ok(Arc::new(Adapter::start(MemoryEngine::on(disk), options)?))
}

fn locations<R: Kind>(
    disk: &MemoryDisk,
    device: &str,
    after: Option<&Location>,
    limit: usize,
) -> Vec<Location> {
    let table = R::table(disk).lock();
    let later = table.range((past(after), Bound::Unbounded));
    page(later.map(|(location, _)| location), device, limit)
}

fn past(after: Option<&Location>) -> Bound<Location> {
    after.map_or(Bound::Unbounded, |location| {
        Bound::Excluded(location.clone())
    })
}

fn page<'a>(
    later: impl Iterator<Item = &'a Location>,
    device: &str,
    limit: usize,
) -> Vec<Location> {
    later
        .filter(|location| location.device() == device)
        .take(limit)
        .cloned()
        .collect()
}

fn new_store(account: &str, put: &TimestampText, created_at: Timestamp, id: &str) -> StoreInfo {
    StoreInfo {
        account: account.to_owned(),
        created_at: created_at.into(),
        put_timestamp: put.clone(),
        delete_timestamp: TimestampText::never(),
        status: String::new(),
        status_changed_at: put.clone(),
        hash: RollingHash::default(),
        id: id.to_owned(),
        raw_metadata: String::new(),
        max_row: RowId::NONE,
    }
}

impl SyncEngine for MemoryEngine {
    type Account = MemoryStore<ContainerRow>;
    type Container = MemoryStore<ObjectRow>;

    fn name(&self) -> &str {
        "memory"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Memory)
    }

    fn exists(&self, location: &Location) -> Result<bool> {
        Ok(match location.kind() {
            StoreKind::Account => ContainerRow::table(&self.disk)
                .lock()
                .contains_key(location),
            StoreKind::Container => ObjectRow::table(&self.disk).lock().contains_key(location),
        })
    }

    fn open_account(&self, location: &Location) -> Result<Option<Self::Account>> {
        Ok(self.open_store(location))
    }

    fn open_container(&self, location: &Location) -> Result<Option<Self::Container>> {
        Ok(self.open_store(location))
    }

    fn create_account(
        &self,
        location: &Location,
        new: &NewAccount,
        _: &BrokerOptions,
    ) -> Result<Initialized> {
        let facts = Facts::Account(AccountInfo {
            store: new_store(&new.account, &new.put_timestamp, new.created_at, &new.id),
            container_count: 0,
            object_count: 0,
            bytes_used: 0,
            policy_stats: Vec::new(),
        });
        Ok(self.create::<ContainerRow>(location, facts))
    }

    fn create_container(
        &self,
        location: &Location,
        new: &NewContainer,
        _: &BrokerOptions,
    ) -> Result<Initialized> {
        let own = PolicyStat {
            policy_index: new.policy_index,
            object_count: 0,
            bytes_used: 0,
        };
        let facts = Facts::Container(ContainerInfo {
            store: new_store(&new.account, &new.put_timestamp, new.created_at, &new.id),
            container: new.container.clone(),
            policy_index: new.policy_index,
            policy_stats: vec![own],
            reported: Reported::default(),
            x_container_sync_point1: -1,
            x_container_sync_point2: -1,
            reconciler_sync_point: -1,
            db_state: DbState::Unsharded,
        });
        Ok(self.create::<ObjectRow>(location, facts))
    }

    fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        Ok(match kind {
            StoreKind::Account => locations::<ContainerRow>(&self.disk, device, after, limit),
            StoreKind::Container => locations::<ObjectRow>(&self.disk, device, after, limit),
        })
    }

    fn quarantine(&self, location: &Location, reason: &str) -> Result<()> {
        if !self.take(location) {
            return Err(Error::not_found().on(location));
        }
        self.disk
            .tables
            .quarantined
            .lock()
            .push((location.clone(), reason.to_owned()));
        Ok(())
    }

    fn remove(&self, location: &Location) -> Result<()> {
        self.take(location);
        Ok(())
    }

    fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        let mut list = self.disk.tables.synced.lock();
        match synced {
            true => list.insert(location.clone()),
            false => list.remove(location),
        };
        Ok(())
    }

    fn synced(
        &self,
        device: &str,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let list = self.disk.tables.synced.lock();
        let later = list.range((past(after), Bound::Unbounded));
        Ok(page(later, device, limit))
    }

    fn device_health(&self, _: &str) -> Result<DeviceHealth> {
        Ok(DeviceHealth::Ready {
            free_bytes: u64::MAX,
            total_bytes: u64::MAX,
        })
    }

    fn restore(&self) -> Option<&dyn Restore> {
        Some(self)
    }
}
