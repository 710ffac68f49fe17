//! The engine: opens, finds, quarantines and removes stores.

use crate::account::AccountBroker;
use crate::capability::Capabilities;
use crate::container::ContainerBroker;
use crate::error::Result;
use crate::location::{Location, StoreKind};
use async_trait::async_trait;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// How long a broker waits and what it may do; the defaults are Swift's.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BrokerOptions {
    /// How long one operation may wait for other writers of the store.
    pub timeout: Duration,
    /// How long to wait for the lock that guards buffered records. Matters only where other processes
    /// work on the same store.
    pub pending_timeout: Duration,
    /// Answer reads from what is merged when buffered records cannot be merged in time.
    pub stale_reads_ok: bool,
    /// Refuse writes, and leave buffered records alone.
    pub skip_commits: bool,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(25),
            pending_timeout: Duration::from_secs(10),
            stale_reads_ok: false,
            skip_commits: false,
        }
    }
}

impl BrokerOptions {
    /// What Swift's servers use to answer HEAD and GET: a tenth of a second, then stale.
    pub fn for_reading() -> Self {
        Self {
            pending_timeout: Duration::from_millis(100),
            stale_reads_ok: true,
            ..Self::default()
        }
    }

    /// The same with another [`pending_timeout`](Self::pending_timeout).
    #[must_use]
    pub fn with_pending_timeout(self, pending_timeout: Duration) -> Self {
        Self {
            pending_timeout,
            ..self
        }
    }

    /// The same, refusing writes.
    #[must_use]
    pub fn skipping_commits(self) -> Self {
        Self {
            skip_commits: true,
            ..self
        }
    }
}

/// The condition of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceHealth {
    /// Ready. A device that does not measure its room says the largest number for both.
    Ready {
        /// Bytes that may still be written.
        free_bytes: u64,
        /// Bytes in all.
        total_bytes: u64,
    },
    /// There is no such device, or it is not mounted.
    Absent,
}

/// Opens the stores of one kind of storage.
///
/// # Contract
/// - ENGINE-1: opening a broker does no input or output and never fails; an absent store is found out
///   by its first operation.
/// - ENGINE-2: brokers of one location see each other's acknowledged writes.
/// - ENGINE-3: stores of different locations share nothing, the same hash in another partition or
///   on another device included.
/// - ENGINE-4: [`stores`](Self::stores) finds exactly the stores that exist, each once, in an order
///   that does not change, page by page.
/// - ENGINE-5: [`remove`](Self::remove) makes the store absent; a store can be initialized there again.
/// - ENGINE-6: [`quarantine`](Self::quarantine) makes the store absent and keeps its data out of sight.
/// - ENGINE-7: what was acknowledged is found again after the engine was closed and opened.
/// - ENGINE-8: [`synced`](Self::synced) shows exactly the containers that
///   [`set_synced`](Self::set_synced) put on the list and did not take off, each once, in an order that
///   does not change, page by page; the list outlives closing the engine, and the stores themselves.
#[async_trait]
pub trait Engine: Debug + Send + Sync + 'static {
    /// The name by which configuration chooses the engine: lower case, no blanks.
    fn name(&self) -> &str;

    /// What the engine claims.
    fn capabilities(&self) -> Capabilities;

    /// A broker for an account; `location` must be of that kind.
    fn account(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn AccountBroker>;

    /// A broker for a container; `location` must be of that kind.
    fn container(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn ContainerBroker>;

    /// Up to `limit` stores of a kind on a device that come after `after`, in a fixed order of the
    /// engine's choice; empty at the end and for an absent device.
    ///
    /// # Errors
    /// When the device cannot be read.
    async fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>>;

    /// Moves a store out of sight, for a person to look at; a later `initialize` starts afresh.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is no store.
    async fn quarantine(&self, location: &Location, reason: &str) -> Result<()>;

    /// Removes a store and everything in it; an absent one is no error.
    ///
    /// # Errors
    /// When the device fails; what was removed by then stays removed.
    async fn remove(&self, location: &Location) -> Result<()>;

    /// Puts a container on the list that container sync works through on its device, or takes it off;
    /// `location` must be of that kind. Saying it again changes nothing, and the store need not exist.
    ///
    /// Who changes metadata decides, by
    /// [`ContainerInfo::is_synced`](crate::ContainerInfo::is_synced); an engine keeps the list.
    ///
    /// # Errors
    /// When the device fails.
    ///
    /// # Swift
    /// `ContainerSyncStore.add_synced_container`, `remove_synced_container`
    async fn set_synced(&self, location: &Location, synced: bool) -> Result<()>;

    /// Up to `limit` containers of that list on a device that come after `after`, in a fixed order of
    /// the engine's choice; empty at the end and for an absent device. Their stores may be gone.
    ///
    /// # Errors
    /// When the device cannot be read.
    ///
    /// # Swift
    /// `ContainerSyncStore.synced_containers_generator`
    async fn synced(
        &self,
        device: &str,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>>;

    /// Whether a device can be used, and its room.
    ///
    /// # Errors
    /// When the question itself fails.
    async fn device_health(&self, device: &str) -> Result<DeviceHealth>;
}
