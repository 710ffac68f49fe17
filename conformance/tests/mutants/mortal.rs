//! An engine over files that knows whether its process was killed, and may state something else about
//! its durability.
//!
//! ```text
//! open ── open.mark is made ──► close: open.mark is removed
//!                           └─► kill -9: it stays, and the next open makes killed.mark of it
//! ```

use async_trait::async_trait;
use broker_api::{
    AccountBroker, BrokerOptions, Capabilities, ContainerBroker, DeviceHealth, Durability, Engine,
    Location, Result, StoreKind,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The time from opening files to closing them, unless a kill ends it.
#[derive(Debug)]
pub(crate) struct Life {
    mark: PathBuf,
    /// Whether a life before this one was ended by a kill.
    pub(crate) was_killed: bool,
}

impl Life {
    pub(crate) fn begin(path: &Path) -> Self {
        let (mark, killed) = (path.join("open.mark"), path.join("killed.mark"));
        if mark.exists() {
            std::fs::write(&killed, "").unwrap();
        }
        std::fs::write(&mark, "").unwrap();
        let was_killed = killed.exists();
        Self { mark, was_killed }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // It may have gone with its place.
        let _ = std::fs::remove_file(&self.mark);
    }
}

/// An engine with its life.
#[derive(Debug)]
pub(crate) struct Mortal {
    inner: Arc<dyn Engine>,
    states: Durability,
    /// Ends after the engine was closed.
    _life: Life,
}

impl Mortal {
    pub(crate) fn new(inner: Arc<dyn Engine>, states: Durability, life: Life) -> Self {
        Self {
            inner,
            states,
            _life: life,
        }
    }
}

#[async_trait]
impl Engine for Mortal {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(self.states)
    }

    fn account(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn AccountBroker> {
        self.inner.account(location, options)
    }

    fn container(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn ContainerBroker> {
        self.inner.container(location, options)
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
