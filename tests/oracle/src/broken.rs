//! Engines with a bug of known nature: the proof that the oracle finds bugs and makes them small.
//!
//! A wrapper hands every call on and alters one behaviour.

mod brokers;

use async_trait::async_trait;
use broker_api::{
    AccountBroker, BrokerOptions, Capabilities, ContainerBroker, DeviceHealth, Engine, Location,
    Result, StoreKind,
};
use brokers::{BrokenAccount, BrokenContainer};
use std::sync::Arc;

/// What an engine may do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// An object record as old as the row wins.
    TiesGoToTheRecord,
    /// Tombstones do not enter the hash.
    HashForgetsTombstones,
    /// Metadata as old as the stored one wins.
    MetadataTiesWin,
    /// A container record older than the row does not bring its counts.
    AccountKeepsOldCounts,
    /// Reclaim takes tombstones that are just as old as the age.
    ReclaimTakesEqual,
    /// A new id remembers the highest row ever instead of the highest present.
    NewIdUsesMaxRow,
    /// Listings run past their end marker.
    EndMarkerIsIgnored,
    /// A deletion older than the put timestamp does nothing.
    DeleteMindsThePut,
    /// Misplaced rows are all rows.
    EverythingIsMisplaced,
    /// A new policy does not raise `status_changed_at`.
    PolicyChangeIsSilent,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 10] = [
        Fault::TiesGoToTheRecord,
        Fault::HashForgetsTombstones,
        Fault::MetadataTiesWin,
        Fault::AccountKeepsOldCounts,
        Fault::ReclaimTakesEqual,
        Fault::NewIdUsesMaxRow,
        Fault::EndMarkerIsIgnored,
        Fault::DeleteMindsThePut,
        Fault::EverythingIsMisplaced,
        Fault::PolicyChangeIsSilent,
    ];

    /// The word for it on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::TiesGoToTheRecord => "ties-go-to-the-record",
            Fault::HashForgetsTombstones => "hash-forgets-tombstones",
            Fault::MetadataTiesWin => "metadata-ties-win",
            Fault::AccountKeepsOldCounts => "account-keeps-old-counts",
            Fault::ReclaimTakesEqual => "reclaim-takes-equal",
            Fault::NewIdUsesMaxRow => "new-id-uses-max-row",
            Fault::EndMarkerIsIgnored => "end-marker-is-ignored",
            Fault::DeleteMindsThePut => "delete-minds-the-put",
            Fault::EverythingIsMisplaced => "everything-is-misplaced",
            Fault::PolicyChangeIsSilent => "policy-change-is-silent",
        }
    }
}

/// An engine with a fault.
#[derive(Debug)]
pub struct BrokenEngine {
    inner: Arc<dyn Engine>,
    fault: Fault,
}

impl BrokenEngine {
    /// Gives an engine a fault.
    pub fn new(inner: Arc<dyn Engine>, fault: Fault) -> Self {
        Self { inner, fault }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Engine for BrokenEngine {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn account(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn AccountBroker> {
        Arc::new(BrokenAccount {
            inner: self.inner.account(location, options),
            fault: self.fault,
        })
    }

    fn container(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn ContainerBroker> {
        Arc::new(BrokenContainer {
            inner: self.inner.container(location, options),
            fault: self.fault,
        })
    }

    async fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        self.inner.stores(device, kind, after, limit).await
    }

    async fn quarantine(&self, location: &Location, reason: &str) -> Result<()> {
        self.inner.quarantine(location, reason).await
    }

    async fn remove(&self, location: &Location) -> Result<()> {
        self.inner.remove(location).await
    }

    async fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        self.inner.set_synced(location, synced).await
    }

    async fn synced(
        &self,
        device: &str,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        self.inner.synced(device, after, limit).await
    }

    async fn device_health(&self, device: &str) -> Result<DeviceHealth> {
        self.inner.device_health(device).await
    }
}
