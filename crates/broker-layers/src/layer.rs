//! One engine over another, with a layer between them: the one place that turns methods into calls.

use crate::call::{Answer, Call, Visitor};
use crate::target::Target;
use async_trait::async_trait;
use broker_api::{
    AccountBroker, AccountInfo, Broker, BrokerOptions, Capabilities, ContainerBroker,
    ContainerInfo, ContainerMarks, ContainerRecord, ContainerRow, ContainerVisitor, DeviceHealth,
    Direction, Engine, Error, Initialized, ListObjects, ListingQuery, Location, MergeOptions,
    MergeTimestamps, MetadataEntry, MetadataLimits, NewAccount, NewContainer, ObjectRecord,
    ObjectRow, ObjectVisitor, PolicyIndex, ReclaimAge, Reclaimed, RemoveObjects, Replicate, Result,
    RowFilter, RowId, Rows, Sharding, Snapshot, StoreImage, StoreKind, SyncPoint, Timestamp,
};
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

/// Stands between the callers of an engine and the engine.
pub trait Layer: Debug + Send + Sync + 'static {
    /// Answers a call, as a rule by playing it on `target`; a listing is shown to `visitor`, and the
    /// answer gives it back.
    fn play(
        &self,
        target: &Target,
        call: Call,
        visitor: Visitor,
    ) -> impl Future<Output = Result<Answer>> + Send;

    /// What the engine states with this layer over it: as a rule, what the one below does.
    fn states(&self, below: Capabilities) -> Capabilities {
        below
    }
}

/// An engine whose every operation goes through a layer.
#[derive(Debug)]
pub struct Layered<L> {
    engine: Target,
    inner: Arc<dyn Engine>,
    layer: Arc<L>,
}

impl<L: Layer> Layered<L> {
    /// Puts a layer over an engine.
    pub fn over(inner: Arc<dyn Engine>, layer: L) -> Arc<dyn Engine> {
        Arc::new(Self {
            engine: Target::Engine(Arc::clone(&inner)),
            inner,
            layer: Arc::new(layer),
        })
    }

    fn handle(&self, location: &Location, options: &BrokerOptions) -> Arc<Handle<L>> {
        Arc::new(Handle {
            location: location.clone(),
            target: Target::open(&self.inner, location, options),
            layer: Arc::clone(&self.layer),
        })
    }

    async fn play<T: TryFrom<Answer, Error = Error>>(&self, call: Call) -> Result<T> {
        let played = self.layer.play(&self.engine, call, Visitor::None);
        played.await?.try_into()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> Engine for Layered<L> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.layer.states(self.inner.capabilities())
    }

    fn account(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn AccountBroker> {
        self.handle(location, options)
    }

    fn container(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn ContainerBroker> {
        self.handle(location, options)
    }

    async fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        self.play(Call::Stores {
            device: device.to_owned(),
            kind,
            after: after.cloned(),
            limit,
        })
        .await
    }

    async fn quarantine(&self, location: &Location, reason: &str) -> Result<()> {
        self.play(Call::Quarantine(location.clone(), reason.to_owned()))
            .await
    }

    async fn remove(&self, location: &Location) -> Result<()> {
        self.play(Call::Remove(location.clone())).await
    }

    async fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        self.play(Call::SetSynced(location.clone(), synced)).await
    }

    async fn synced(
        &self,
        device: &str,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        self.play(Call::Synced {
            device: device.to_owned(),
            after: after.cloned(),
            limit,
        })
        .await
    }

    async fn device_health(&self, device: &str) -> Result<DeviceHealth> {
        self.play(Call::DeviceHealth(device.to_owned())).await
    }
}

/// A broker whose every operation goes through a layer.
#[derive(Debug)]
struct Handle<L> {
    location: Location,
    target: Target,
    layer: Arc<L>,
}

impl<L: Layer> Handle<L> {
    async fn play<T: TryFrom<Answer, Error = Error>>(&self, call: Call) -> Result<T> {
        self.show(call, Visitor::None).await
    }

    async fn show<T>(&self, call: Call, visitor: Visitor) -> Result<T>
    where
        T: TryFrom<Answer, Error = Error>,
    {
        let played = self.layer.play(&self.target, call, visitor);
        played.await?.try_into()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> Broker for Handle<L> {
    fn location(&self) -> &Location {
        &self.location
    }

    async fn exists(&self) -> Result<bool> {
        self.play(Call::Exists).await
    }

    async fn delete(&self, timestamp: Timestamp) -> Result<()> {
        self.play(Call::Delete(timestamp)).await
    }

    async fn update_put_timestamp(&self, timestamp: Timestamp) -> Result<()> {
        self.play(Call::UpdatePutTimestamp(timestamp)).await
    }

    async fn update_status_changed_at(&self, timestamp: Timestamp) -> Result<()> {
        self.play(Call::UpdateStatusChangedAt(timestamp)).await
    }

    async fn merge_timestamps(&self, merge: &MergeTimestamps) -> Result<()> {
        self.play(Call::MergeTimestamps(merge.clone())).await
    }

    async fn update_metadata(
        &self,
        updates: &[MetadataEntry],
        limits: Option<&MetadataLimits>,
    ) -> Result<()> {
        self.play(Call::UpdateMetadata(updates.to_vec(), limits.copied()))
            .await
    }

    async fn upgrade(&self) -> Result<()> {
        self.play(Call::Upgrade).await
    }

    fn replicate(&self) -> &dyn Replicate {
        self
    }

    fn snapshot(&self) -> Option<&dyn Snapshot> {
        self.target.snapshot().map(|_| self as &dyn Snapshot)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> Replicate for Handle<L> {
    async fn sync_points(&self, direction: Direction) -> Result<Vec<SyncPoint>> {
        self.play(Call::SyncPoints(direction)).await
    }

    async fn merge_sync_points(&self, direction: Direction, points: &[SyncPoint]) -> Result<()> {
        self.play(Call::MergeSyncPoints(direction, points.to_vec()))
            .await
    }

    async fn new_id(&self, remote_id: &str, new_id: &str) -> Result<()> {
        self.play(Call::NewId {
            remote_id: remote_id.to_owned(),
            new_id: new_id.to_owned(),
        })
        .await
    }

    async fn reclaim(&self, age: ReclaimAge) -> Result<Reclaimed> {
        self.play(Call::Reclaim(age)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> Snapshot for Handle<L> {
    async fn begin(&self, image: &StoreImage) -> Result<RowId> {
        self.play(Call::SnapshotBegin(Box::new(image.clone())))
            .await
    }

    async fn add(&self, rows: Rows) -> Result<()> {
        self.play(Call::SnapshotAdd(rows)).await
    }

    async fn finish(&self) -> Result<()> {
        self.play(Call::SnapshotFinish).await
    }

    async fn abandon(&self) -> Result<()> {
        self.play(Call::SnapshotAbandon).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> AccountBroker for Handle<L> {
    async fn initialize(&self, new: &NewAccount) -> Result<Initialized> {
        self.play(Call::InitializeAccount(new.clone())).await
    }

    async fn info(&self) -> Result<Option<AccountInfo>> {
        self.play(Call::AccountInfo).await
    }

    async fn merge_items(
        &self,
        records: Vec<ContainerRecord>,
        options: MergeOptions,
    ) -> Result<()> {
        self.play(Call::MergeContainers(records, options)).await
    }

    async fn items_since(&self, start: RowId, limit: usize) -> Result<Vec<ContainerRow>> {
        self.play(Call::ContainersSince(start, limit)).await
    }

    async fn list_containers(
        &self,
        query: &ListingQuery,
        visitor: Box<dyn ContainerVisitor>,
    ) -> Result<Box<dyn ContainerVisitor>> {
        let call = Call::ListContainers(query.clone());
        self.show(call, Visitor::Containers(visitor)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<L: Layer> ContainerBroker for Handle<L> {
    async fn initialize(&self, new: &NewContainer) -> Result<Initialized> {
        self.play(Call::InitializeContainer(new.clone())).await
    }

    async fn info(&self) -> Result<Option<ContainerInfo>> {
        self.play(Call::ContainerInfo).await
    }

    async fn merge_items(&self, records: Vec<ObjectRecord>, options: MergeOptions) -> Result<()> {
        self.play(Call::MergeObjects(records, options)).await
    }

    async fn items_since(
        &self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>> {
        self.play(Call::ObjectsSince(start, limit, filter)).await
    }

    async fn list_objects(
        &self,
        query: &ListObjects,
        visitor: Box<dyn ObjectVisitor>,
    ) -> Result<Box<dyn ObjectVisitor>> {
        let call = Call::ListObjects(query.clone());
        self.show(call, Visitor::Objects(visitor)).await
    }

    async fn remove_objects(&self, remove: &RemoveObjects) -> Result<()> {
        self.play(Call::RemoveObjects(remove.clone())).await
    }

    async fn set_storage_policy_index(
        &self,
        index: PolicyIndex,
        timestamp: Timestamp,
    ) -> Result<()> {
        self.play(Call::SetStoragePolicyIndex(index, timestamp))
            .await
    }

    async fn set_marks(&self, marks: &ContainerMarks) -> Result<()> {
        self.play(Call::SetMarks(marks.clone())).await
    }

    fn sharding(&self) -> Option<&dyn Sharding> {
        match &self.target {
            Target::Container(container, _) => container.sharding(),
            Target::Engine(_) | Target::Account(..) => None,
        }
    }
}
