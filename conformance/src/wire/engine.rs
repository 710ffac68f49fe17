//! The engine that a case sees: brokers whose store is on the servers.

use super::Servers;
use super::account::WireAccount;
use super::container::WireContainer;
use super::refused::unsupported;
use super::sent::Ledger;
use super::store::Store;
use async_trait::async_trait;
use broker_api::{
    AccountBroker, BrokerOptions, Capabilities, ContainerBroker, DeviceHealth, Durability, Engine,
    Location, Result, StoreKind,
};
use std::sync::Arc;

/// An engine of one case.
#[derive(Debug)]
pub(super) struct WireEngine {
    servers: Arc<Servers>,
    token: Arc<str>,
    ledger: Arc<Ledger>,
}

impl WireEngine {
    pub(super) fn new(servers: Arc<Servers>, token: &str) -> Self {
        Self {
            servers,
            token: token.into(),
            ledger: Arc::default(),
        }
    }

    fn store(&self, location: &Location, options: &BrokerOptions) -> Store {
        Store {
            servers: Arc::clone(&self.servers),
            location: location.clone(),
            token: Arc::clone(&self.token),
            ledger: Arc::clone(&self.ledger),
            only_reads: options.skip_commits,
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Engine for WireEngine {
    fn name(&self) -> &str {
        "servers"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Durability::Process)
    }

    fn account(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn AccountBroker> {
        Arc::new(WireAccount(self.store(location, options)))
    }

    fn container(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn ContainerBroker> {
        Arc::new(WireContainer(self.store(location, options)))
    }

    async fn stores(
        &self,
        _: &str,
        _: StoreKind,
        _: Option<&Location>,
        _: usize,
    ) -> Result<Vec<Location>> {
        Err(unsupported("the stores of a device"))
    }

    async fn quarantine(&self, _: &Location, _: &str) -> Result<()> {
        Err(unsupported("quarantine"))
    }

    async fn remove(&self, _: &Location) -> Result<()> {
        Err(unsupported("removing a store"))
    }

    async fn set_synced(&self, _: &Location, _: bool) -> Result<()> {
        Err(unsupported("the list of synced containers"))
    }

    async fn synced(&self, _: &str, _: Option<&Location>, _: usize) -> Result<Vec<Location>> {
        Err(unsupported("the list of synced containers"))
    }

    async fn device_health(&self, _: &str) -> Result<DeviceHealth> {
        Err(unsupported("the health of a device"))
    }
}
