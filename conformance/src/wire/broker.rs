//! What accounts and containers are asked alike.

use super::refused::unsupported;
use super::store::Store;
use async_trait::async_trait;
use broker_api::{
    Broker, Location, MergeTimestamps, MetadataEntry, MetadataLimits, Replicate, Result, Snapshot,
    StoreKind, Timestamp,
};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Broker for Store {
    fn location(&self) -> &Location {
        &self.location
    }

    async fn exists(&self) -> Result<bool> {
        self.is_there(&self.head().await?)
    }

    async fn delete(&self, timestamp: Timestamp) -> Result<()> {
        self.may_write()?;
        match self.location.kind() {
            StoreKind::Account => self.delete_account(timestamp).await,
            StoreKind::Container => self.delete_container(timestamp).await,
        }
    }

    async fn update_put_timestamp(&self, timestamp: Timestamp) -> Result<()> {
        self.may_write()?;
        match self.location.kind() {
            StoreKind::Account => self.put_account(timestamp).await,
            StoreKind::Container => self.post_container(timestamp).await,
        }
    }

    async fn update_status_changed_at(&self, _: Timestamp) -> Result<()> {
        Err(unsupported("the time of the last status change"))
    }

    async fn merge_timestamps(&self, _: &MergeTimestamps) -> Result<()> {
        Err(unsupported("merging timestamps"))
    }

    async fn update_metadata(
        &self,
        updates: &[MetadataEntry],
        limits: Option<&MetadataLimits>,
    ) -> Result<()> {
        self.post_metadata(updates, limits).await
    }

    async fn upgrade(&self) -> Result<()> {
        Err(unsupported("upgrading"))
    }

    fn replicate(&self) -> &dyn Replicate {
        self
    }

    fn snapshot(&self) -> Option<&dyn Snapshot> {
        None
    }
}
