//! [`KvEngine`]: the stores of all devices, over whatever opens their databases.

use crate::device::Device;
use crate::keys;
use crate::ordered::OrderedStore;
use crate::row::{Row, sealed::Sealed};
use crate::store::KvStore;
use broker_api::{
    AccountInfo, BrokerOptions, Capabilities, ContainerInfo, ContainerRow, DbState, DeviceHealth,
    Durability, Engine, Error, ErrorKind, Facts, Initialized, Location, NewAccount, NewContainer,
    ObjectRow, Outcome, PolicyStat, Reported, Result, RollingHash, RowId, StoreInfo, StoreKind,
    Timestamp, TimestampText,
};
use broker_runtime::landings::Room;
use broker_runtime::sync::{Restore, SyncEngine};
use broker_runtime::{Adapter, RuntimeOptions};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a database that was just closed may still be held by a thread of its old engine.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a database that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is not: there is nothing to read.
    Existing,
    /// It is, when the device is there.
    Create,
}

/// Opens the databases of devices; the second half of what a key-value engine provides.
pub trait Devices: Debug + Send + Sync + 'static {
    /// A database.
    type Store: OrderedStore;

    /// The engine's name in configuration: lower case, no blanks.
    fn name(&self) -> &str;

    /// What acknowledged writes survive on all devices.
    fn durability(&self) -> Durability;

    /// Opens the database for one kind of store on a device; `None` when the device is absent, or when
    /// the database is and shall not be made.
    ///
    /// Accounts and containers have a database each: two directories, column families, or whatever keeps
    /// their keys apart. So an account server and a container server can be two processes.
    ///
    /// Called once for each device and kind, unless it answers `None` or fails; the engine keeps the
    /// database open until it is dropped itself.
    ///
    /// # Errors
    /// `Busy` when somebody else has the database open. A worker thread of an engine that was just dropped
    /// may have it for a moment longer, so the call is repeated for a few seconds. When the device or the
    /// database fails.
    fn open(
        &self,
        device: &str,
        kind: StoreKind,
        presence: Presence,
    ) -> Result<Option<Arc<Self::Store>>>;

    /// As [`Engine::device_health`].
    ///
    /// # Errors
    /// When the question fails.
    fn health(&self, device: &str) -> Result<DeviceHealth>;
}

type Opening<S> = Arc<Mutex<Option<Arc<Device<S>>>>>;

/// By name of the device and kind of store.
type Openings<S> = HashMap<(String, StoreKind), Opening<S>>;

/// An engine over ordered key-value databases, one for each device and kind of store.
///
/// All access to a database goes through one engine: locks between the readers and writers of a store are
/// in memory.
#[derive(Debug)]
pub struct KvEngine<D: Devices> {
    devices: D,
    open: Mutex<Openings<D::Store>>,
    /// For what is remembered of the seeks in all stores.
    room: Room,
}

/// Opens an engine behind the asynchronous contract.
///
/// # Errors
/// When the system gives no threads.
pub fn open<D: Devices>(devices: D, runtime: &RuntimeOptions) -> Result<Arc<dyn Engine>> {
    Ok(Arc::new(Adapter::start(KvEngine::new(devices), runtime)?))
}

impl<D: Devices> KvEngine<D> {
    /// An engine on devices; nothing is opened yet.
    pub fn new(devices: D) -> Self {
        Self {
            devices,
            open: Mutex::default(),
            room: Room::default(),
        }
    }

    /// The database of a device. One that takes long to open keeps no other device waiting.
    fn device(
        &self,
        name: &str,
        kind: StoreKind,
        presence: Presence,
    ) -> Result<Option<Arc<Device<D::Store>>>> {
        let key = (name.to_owned(), kind);
        let opening = Arc::clone(self.open.lock().entry(key.clone()).or_default());
        let mut opened = opening.lock();
        if let Some(device) = &*opened {
            return Ok(Some(Arc::clone(device)));
        }
        let found = self.open_patiently(name, kind, presence);
        let open = |store| Device::open(store, self.room.clone());
        let device = found.and_then(|store| store.map(open).transpose());
        match device {
            Ok(Some(device)) => {
                let device = Arc::new(device);
                *opened = Some(Arc::clone(&device));
                Ok(Some(device))
            }
            nothing => {
                // Names come from clients: those that lead nowhere are not remembered. Who waits for
                // this opening still has it; the last of them forgets it.
                let mut open = self.open.lock();
                if Arc::strong_count(&opening) == 2 {
                    open.remove(&key);
                }
                nothing.map(|_| None)
            }
        }
    }

    fn open_patiently(
        &self,
        name: &str,
        kind: StoreKind,
        presence: Presence,
    ) -> Result<Option<Arc<D::Store>>> {
        let patience = Instant::now() + CLOSING_TIMEOUT;
        loop {
            match self.devices.open(name, kind, presence) {
                Err(error) if error.kind() == ErrorKind::Busy && Instant::now() < patience => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                opened => return opened,
            }
        }
    }

    pub(crate) fn existing(&self, location: &Location) -> Result<Option<Arc<Device<D::Store>>>> {
        self.device(location.device(), location.kind(), Presence::Existing)
    }

    fn open_store<R: Row>(&self, location: &Location) -> Result<Option<KvStore<D::Store, R>>> {
        debug_assert_eq!(location.kind(), <R as Sealed>::KIND);
        let Some(device) = self.existing(location)? else {
            return Ok(None);
        };
        let entered = device.enter(location)?;
        Ok(entered.map(|(number, lock)| KvStore::new(device, number, lock)))
    }

    /// The database of a device, made when there is none. The device must be there.
    pub(crate) fn made(&self, location: &Location) -> Result<Arc<Device<D::Store>>> {
        // A device may have been unmounted since it was opened.
        let health = self.devices.health(location.device())?;
        let device = match health {
            DeviceHealth::Ready { .. } => {
                self.device(location.device(), location.kind(), Presence::Create)?
            }
            DeviceHealth::Absent => None,
        };
        let absent = || {
            let error = Error::new(ErrorKind::Io, "the device is not there, or not mounted");
            error.with_outcome(Outcome::NotApplied)
        };
        device.ok_or_else(absent)
    }
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

impl<D: Devices> SyncEngine for KvEngine<D> {
    type Account = KvStore<D::Store, ContainerRow>;
    type Container = KvStore<D::Store, ObjectRow>;

    fn name(&self) -> &str {
        self.devices.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(self.devices.durability())
    }

    fn exists(&self, location: &Location) -> Result<bool> {
        match self.existing(location)? {
            Some(device) => Ok(device.find(location)?.is_some()),
            None => Ok(false),
        }
    }

    fn open_account(&self, location: &Location) -> Result<Option<Self::Account>> {
        self.open_store(location)
    }

    fn open_container(&self, location: &Location) -> Result<Option<Self::Container>> {
        self.open_store(location)
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
        self.made(location)?.create(location, &facts)
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
        self.made(location)?.create(location, &facts)
    }

    fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        match self.device(device, kind, Presence::Existing)? {
            Some(open) => open.locations(device, keys::locations(kind, after), limit),
            None => Ok(Vec::new()),
        }
    }

    fn quarantine(&self, location: &Location, reason: &str) -> Result<()> {
        match self.existing(location)? {
            Some(device) => device.quarantine(location, reason),
            None => Err(Error::not_found()),
        }
    }

    fn remove(&self, location: &Location) -> Result<()> {
        match self.existing(location)? {
            Some(device) => device.remove(location),
            None => Ok(()),
        }
    }

    fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        match synced {
            true => self.made(location)?.set_synced(location, true),
            false => match self.existing(location)? {
                Some(device) => device.set_synced(location, false),
                None => Ok(()),
            },
        }
    }

    fn synced(
        &self,
        device: &str,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        match self.device(device, StoreKind::Container, Presence::Existing)? {
            Some(open) => open.locations(device, keys::all_synced(after), limit),
            None => Ok(Vec::new()),
        }
    }

    fn device_health(&self, device: &str) -> Result<DeviceHealth> {
        self.devices.health(device)
    }

    fn restore(&self) -> Option<&dyn Restore> {
        Some(self)
    }
}
