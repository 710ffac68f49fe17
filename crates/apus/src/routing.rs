//! [`Routing`]: one engine that leads to the engine of each device.
//!
//! ```text
//!                 ┌─ settled ───────────────────────────────► the device's engine
//! device ── map ──┤
//!                 └─ first use: mounted? whose? claim it ──┬─► the same, settled from now on
//!                                                          └─► refused: 507, other devices go on
//! ```
//!
//! A device is looked at when the server starts, or when it first appears, and not again: requests pay
//! one look into a small map. A refused device is looked at by every request, so that it is served as
//! soon as its fault is mended.

use crate::chain;
use crate::ownership::{self, OwnershipError};
use crate::refused::Refused;
use crate::registry::{EngineEntry, OnDevice, Registry};
use async_trait::async_trait;
use broker_api::{
    AccountBroker, BrokerOptions, Capabilities, ContainerBroker, DeviceHealth, Durability, Engine,
    Error, ErrorKind, Location, Outcome, Result, StoreKind,
};
use broker_runtime::device;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// An open engine with what the binary knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) entry: EngineEntry,
    pub(crate) engine: Arc<dyn Engine>,
}

/// What devices are routed by.
#[derive(Debug)]
pub(crate) struct Routes {
    /// All engines that the binary knows, to recognise what is on a device.
    pub(crate) registry: Registry,
    /// The folder of the devices.
    pub(crate) devices: PathBuf,
    /// Whether a device must be a mount point.
    pub(crate) mount_check: bool,
    /// The engine of the devices that are not named.
    pub(crate) default: Opened,
    /// The engines of the devices that are.
    pub(crate) per_device: BTreeMap<String, Opened>,
}

/// The engine of a server: every device's own.
#[derive(Debug, Clone)]
pub(crate) struct Routing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    routes: Routes,
    settled: RwLock<BTreeMap<String, Arc<dyn Engine>>>,
}

impl Routing {
    /// Routes devices; none is looked at yet.
    pub(crate) fn new(routes: Routes) -> Self {
        let settled = RwLock::default();
        Self(Arc::new(Inner { routes, settled }))
    }

    /// The devices that can be used now.
    fn present(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(&self.0.routes.devices) else {
            return Vec::new();
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| self.0.is_usable(name)).collect();
        names.sort();
        names
    }

    /// Sees whether the devices that are there may be used, without changing them.
    ///
    /// # Errors
    /// The first device that is another engine's, or that only a person can tell the owner of. A device
    /// that fails is not an error here: it must not keep the others from being served.
    pub(crate) fn check_present(&self) -> std::result::Result<(), OwnershipError> {
        for device in self.present() {
            let Inner { routes, .. } = &*self.0;
            let wanted = self.0.wanted(&device).entry.name;
            let path = routes.devices.join(&device);
            match ownership::check(&routes.registry, &path, wanted) {
                Ok(_) | Err(OwnershipError::Io { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Claims the devices that are there. Those that cannot be claimed now are tried again when they are
    /// used.
    pub(crate) fn settle_present(&self) {
        for device in self.present() {
            if let Err(error) = self.0.settle(&device) {
                tracing::error!(%error, "device {device} cannot be used");
            }
        }
    }

    /// A device's engine, or why it has none. Looks at the device when it was not settled before.
    fn of_device(&self, device: &str) -> Result<Arc<dyn Engine>> {
        match self.0.settled(device) {
            Some(engine) => Ok(engine),
            None => self.0.settle(device),
        }
    }

    /// As [`of_device`](Self::of_device), without keeping an async thread waiting for a disk.
    async fn engine(&self, device: &str) -> Result<Arc<dyn Engine>> {
        if let Some(engine) = self.0.settled(device) {
            return Ok(engine);
        }
        let (inner, device) = (Arc::clone(&self.0), device.to_owned());
        let settled = tokio::task::spawn_blocking(move || inner.settle(&device)).await;
        settled.unwrap_or_else(|error| Err(Error::new(ErrorKind::Internal, error.to_string())))
    }
}

impl Inner {
    fn settled(&self, device: &str) -> Option<Arc<dyn Engine>> {
        self.settled.read().get(device).cloned()
    }

    fn wanted(&self, device: &str) -> &Opened {
        let routes = &self.routes;
        routes.per_device.get(device).unwrap_or(&routes.default)
    }

    fn is_usable(&self, device: &str) -> bool {
        let Routes {
            devices,
            mount_check,
            ..
        } = &self.routes;
        let health = device::health(devices, device, *mount_check);
        matches!(health, Ok(DeviceHealth::Ready { .. }))
    }

    fn settle(&self, device: &str) -> Result<Arc<dyn Engine>> {
        let Opened { entry, engine } = self.wanted(device);
        // Names come from clients, and nothing may be written below the mount point of a device that is
        // not mounted. The engine itself says that such a device is absent.
        if !self.is_usable(device) {
            return Ok(Arc::clone(engine));
        }
        let path = self.routes.devices.join(device);
        let registry = &self.routes.registry;
        ownership::claim(registry, &path, entry).map_err(|error| refusal(&error))?;
        // Without a marker the first file is the claim: until then another engine may be first.
        let is_claimed = match entry.on_device {
            OnDevice::Swift(_) => ownership::owner(registry, &path).is_ok_and(|o| o.is_some()),
            OnDevice::Nothing | OnDevice::Folders(_) => true,
        };
        if is_claimed {
            let mut settled = self.settled.write();
            settled.insert(device.to_owned(), Arc::clone(engine));
        }
        Ok(Arc::clone(engine))
    }
}

/// `Io`, since a proxy should take the next device, and since it passes when the operator acts.
fn refusal(error: &OwnershipError) -> Error {
    Error::new(ErrorKind::Io, chain(error)).with_outcome(Outcome::NotApplied)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Engine for Routing {
    fn name(&self) -> &str {
        self.0.routes.default.engine.name()
    }

    /// What all of them claim.
    fn capabilities(&self) -> Capabilities {
        let Routes {
            default,
            per_device,
            ..
        } = &self.0.routes;
        let all = || std::iter::once(default).chain(per_device.values());
        let claims = || all().map(|opened| opened.engine.capabilities());
        let weakest = claims().map(|claim| claim.durability).min();
        let common = Capabilities::new(weakest.unwrap_or(Durability::Memory));
        match claims().all(|claim| claim.shared_between_processes) {
            true => common.shared_between_processes(),
            false => common,
        }
    }

    fn account(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn AccountBroker> {
        match self.of_device(location.device()) {
            Ok(engine) => engine.account(location, options),
            Err(error) => Arc::new(Refused::new(location, error)),
        }
    }

    fn container(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn ContainerBroker> {
        match self.of_device(location.device()) {
            Ok(engine) => engine.container(location, options),
            Err(error) => Arc::new(Refused::new(location, error)),
        }
    }

    async fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let engine = self.engine(device).await?;
        engine.stores(device, kind, after, limit).await
    }

    async fn quarantine(&self, location: &Location, reason: &str) -> Result<()> {
        let engine = self.engine(location.device()).await?;
        engine.quarantine(location, reason).await
    }

    async fn remove(&self, location: &Location) -> Result<()> {
        self.engine(location.device()).await?.remove(location).await
    }

    async fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        let engine = self.engine(location.device()).await?;
        engine.set_synced(location, synced).await
    }

    async fn synced(
        &self,
        device: &str,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let engine = self.engine(device).await?;
        engine.synced(device, after, limit).await
    }

    async fn device_health(&self, device: &str) -> Result<DeviceHealth> {
        self.engine(device).await?.device_health(device).await
    }
}

#[cfg(test)]
mod tests;
