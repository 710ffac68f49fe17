//! [`Refused`]: the broker of a store on a device that may not be used.

use async_trait::async_trait;
use broker_api::{
    AccountBroker, AccountInfo, Broker, ContainerBroker, ContainerInfo, ContainerMarks,
    ContainerRecord, ContainerRow, ContainerVisitor, Direction, Error, Initialized, ListObjects,
    ListingQuery, Location, MergeOptions, MergeTimestamps, MetadataEntry, MetadataLimits,
    NewAccount, NewContainer, ObjectRecord, ObjectRow, ObjectVisitor, PolicyIndex, ReclaimAge,
    Reclaimed, RemoveObjects, Replicate, Result, RowFilter, RowId, Sharding, Snapshot, SyncPoint,
    Timestamp,
};

/// Answers every operation with the same error: opening a broker cannot fail, using it can.
#[derive(Debug)]
pub(crate) struct Refused {
    location: Location,
    error: Error,
}

impl Refused {
    pub(crate) fn new(location: &Location, error: Error) -> Self {
        Self {
            location: location.clone(),
            error,
        }
    }

    fn refuse<T>(&self) -> Result<T> {
        Err(self.error.clone())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Broker for Refused {
    fn location(&self) -> &Location {
        &self.location
    }

    async fn exists(&self) -> Result<bool> {
        self.refuse()
    }

    async fn delete(&self, _: Timestamp) -> Result<()> {
        self.refuse()
    }

    async fn update_put_timestamp(&self, _: Timestamp) -> Result<()> {
        self.refuse()
    }

    async fn update_status_changed_at(&self, _: Timestamp) -> Result<()> {
        self.refuse()
    }

    async fn merge_timestamps(&self, _: &MergeTimestamps) -> Result<()> {
        self.refuse()
    }

    async fn update_metadata(&self, _: &[MetadataEntry], _: Option<&MetadataLimits>) -> Result<()> {
        self.refuse()
    }

    async fn upgrade(&self) -> Result<()> {
        self.refuse()
    }

    fn replicate(&self) -> &dyn Replicate {
        self
    }

    fn snapshot(&self) -> Option<&dyn Snapshot> {
        None
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Replicate for Refused {
    async fn sync_points(&self, _: Direction) -> Result<Vec<SyncPoint>> {
        self.refuse()
    }

    async fn merge_sync_points(&self, _: Direction, _: &[SyncPoint]) -> Result<()> {
        self.refuse()
    }

    async fn new_id(&self, _: &str, _: &str) -> Result<()> {
        self.refuse()
    }

    async fn reclaim(&self, _: ReclaimAge) -> Result<Reclaimed> {
        self.refuse()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AccountBroker for Refused {
    async fn initialize(&self, _: &NewAccount) -> Result<Initialized> {
        self.refuse()
    }

    async fn info(&self) -> Result<Option<AccountInfo>> {
        self.refuse()
    }

    async fn merge_items(&self, _: Vec<ContainerRecord>, _: MergeOptions) -> Result<()> {
        self.refuse()
    }

    async fn items_since(&self, _: RowId, _: usize) -> Result<Vec<ContainerRow>> {
        self.refuse()
    }

    async fn list_containers(
        &self,
        _: &ListingQuery,
        _: Box<dyn ContainerVisitor>,
    ) -> Result<Box<dyn ContainerVisitor>> {
        self.refuse()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ContainerBroker for Refused {
    async fn initialize(&self, _: &NewContainer) -> Result<Initialized> {
        self.refuse()
    }

    async fn info(&self) -> Result<Option<ContainerInfo>> {
        self.refuse()
    }

    async fn merge_items(&self, _: Vec<ObjectRecord>, _: MergeOptions) -> Result<()> {
        self.refuse()
    }

    async fn items_since(&self, _: RowId, _: usize, _: RowFilter) -> Result<Vec<ObjectRow>> {
        self.refuse()
    }

    async fn list_objects(
        &self,
        _: &ListObjects,
        _: Box<dyn ObjectVisitor>,
    ) -> Result<Box<dyn ObjectVisitor>> {
        self.refuse()
    }

    async fn remove_objects(&self, _: &RemoveObjects) -> Result<()> {
        self.refuse()
    }

    async fn set_storage_policy_index(&self, _: PolicyIndex, _: Timestamp) -> Result<()> {
        self.refuse()
    }

    async fn set_marks(&self, _: &ContainerMarks) -> Result<()> {
        self.refuse()
    }

    fn sharding(&self) -> Option<&dyn Sharding> {
        None
    }
}
