//! Engines with one flaw each, over one that has none.

use async_trait::async_trait;
use broker_api::{
    AccountBroker, AccountInfo, Broker, BrokerOptions, Capabilities, ContainerBroker,
    ContainerInfo, ContainerMarks, ContainerRecord, ContainerRow, ContainerVisitor, DeletedFilter,
    DeviceHealth, Direction, Engine, Initialized, ListObjects, ListingQuery, Location,
    MergeOptions, MergeTimestamps, MetadataEntry, MetadataLimits, NewAccount, NewContainer,
    ObjectRecord, ObjectRow, ObjectVisitor, PolicyIndex, ReclaimAge, Reclaimed, RemoveObjects,
    Replicate, Reported, Result, RollingHash, RowFilter, RowId, Sharding, Snapshot, StoreInfo,
    StoreKind, SyncPoint, Timestamp, TimestampText,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    RenumbersRows,
    DropsOffsets,
    ShowsTombstones,
    LosesWrites,
    HidesLastWrite,
    WrongHash,
    ForgetsWhenClosed,
    SplitsBatches,
    SharesPartitions,
    InclusiveMarkers,
    ShowsReserved,
    IgnoresPaths,
    ReclaimsEarly,
    CountsNoTombstones,
    MixesDirections,
    KeepsReported,
    FoldsKeys,
    ChecksNoMetadata,
    IgnoresMisplaced,
    ForgetsHighestNumber,
    ClearsStatus,
    IgnoresMarks,
    NeverAbsent,
    IgnoresSkipCommits,
    RemovesTooMuch,
    NormalisesReports,
    RepeatsStores,
    RepeatsSynced,
    UnlistsRemoved,
    Panics,
    Hangs,
}

#[derive(Debug)]
pub(crate) struct BrokenEngine {
    inner: Arc<dyn Engine>,
    flaw: Flaw,
    writes: Arc<AtomicU64>,
}

impl BrokenEngine {
    pub(crate) fn new(inner: Arc<dyn Engine>, flaw: Flaw) -> Self {
        Self {
            inner,
            flaw,
            writes: Arc::default(),
        }
    }

    fn place(&self, location: &Location) -> Location {
        match self.flaw {
            Flaw::SharesPartitions => {
                let (kind, hash) = (location.kind(), location.hash());
                Location::new(kind, location.device(), "0", hash).unwrap()
            }
            _ => location.clone(),
        }
    }

    fn options(&self, options: &BrokerOptions) -> BrokerOptions {
        match self.flaw {
            Flaw::IgnoresSkipCommits => BrokerOptions::default(),
            _ => *options,
        }
    }

    fn handle<B: ?Sized>(&self, inner: Arc<B>) -> Handle<B> {
        Handle {
            inner,
            flaw: self.flaw,
            writes: Arc::clone(&self.writes),
        }
    }
}

#[async_trait]
impl Engine for BrokenEngine {
    fn name(&self) -> &str {
        "broken"
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn account(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn AccountBroker> {
        let (location, options) = (self.place(location), self.options(options));
        Arc::new(self.handle(self.inner.account(&location, &options)))
    }

    fn container(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn ContainerBroker> {
        let (location, options) = (self.place(location), self.options(options));
        Arc::new(self.handle(self.inner.container(&location, &options)))
    }

    async fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let after = after.filter(|_| self.flaw != Flaw::RepeatsStores);
        self.inner.stores(device, kind, after, limit).await
    }

    async fn quarantine(&self, location: &Location, reason: &str) -> Result<()> {
        self.inner.quarantine(&self.place(location), reason).await
    }

    async fn remove(&self, location: &Location) -> Result<()> {
        let location = self.place(location);
        if self.flaw == Flaw::UnlistsRemoved && location.kind() == StoreKind::Container {
            self.inner.set_synced(&location, false).await?;
        }
        self.inner.remove(&location).await
    }

    async fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        self.inner.set_synced(&self.place(location), synced).await
    }

    async fn synced(
        &self,
        device: &str,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let after = after.filter(|_| self.flaw != Flaw::RepeatsSynced);
        self.inner.synced(device, after, limit).await
    }

    async fn device_health(&self, device: &str) -> Result<DeviceHealth> {
        self.inner.device_health(device).await
    }
}

#[derive(Debug)]
struct Handle<B: ?Sized> {
    inner: Arc<B>,
    flaw: Flaw,
    writes: Arc<AtomicU64>,
}

impl<B: ?Sized> Handle<B> {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// Whether this write is one of those that are acknowledged and thrown away.
    fn is_lost(&self) -> bool {
        self.has(Flaw::LosesWrites) && self.writes.fetch_add(1, Ordering::Relaxed) % 50 == 49
    }

    fn spoil(&self, store: &mut StoreInfo) {
        if self.has(Flaw::WrongHash) {
            store.hash = RollingHash::default().toggled(&store.hash.to_string(), "");
        }
        if self.has(Flaw::ClearsStatus) {
            store.status.clear();
        }
    }
}

/// The records in the groups in which a flawed engine merges them.
fn groups<R>(records: Vec<R>, split: bool) -> Vec<Vec<R>> {
    match split {
        true => records.into_iter().map(|record| vec![record]).collect(),
        false => vec![records],
    }
}

fn spoiled_query(flaw: Flaw, query: &ListingQuery) -> ListingQuery {
    let mut query = query.clone();
    match flaw {
        // The name before the marker in byte order is shorter by a character.
        Flaw::InclusiveMarkers => drop(query.marker.pop()),
        Flaw::ShowsReserved => query.allow_reserved = true,
        Flaw::IgnoresPaths => query.path = None,
        _ => {}
    }
    query
}

#[async_trait]
impl<B: Broker + ?Sized> Broker for Handle<B> {
    fn location(&self) -> &Location {
        self.inner.location()
    }

    async fn exists(&self) -> Result<bool> {
        Ok(self.inner.exists().await? || self.has(Flaw::NeverAbsent))
    }

    async fn delete(&self, timestamp: Timestamp) -> Result<()> {
        self.inner.delete(timestamp).await
    }

    async fn update_put_timestamp(&self, timestamp: Timestamp) -> Result<()> {
        self.inner.update_put_timestamp(timestamp).await
    }

    async fn update_status_changed_at(&self, timestamp: Timestamp) -> Result<()> {
        self.inner.update_status_changed_at(timestamp).await
    }

    async fn merge_timestamps(&self, merge: &MergeTimestamps) -> Result<()> {
        self.inner.merge_timestamps(merge).await
    }

    async fn update_metadata(
        &self,
        updates: &[MetadataEntry],
        limits: Option<&MetadataLimits>,
    ) -> Result<()> {
        let limits = limits.filter(|_| !self.has(Flaw::ChecksNoMetadata));
        let mut updates = updates.to_vec();
        if self.has(Flaw::FoldsKeys) {
            updates
                .iter_mut()
                .for_each(|entry| entry.key = entry.key.to_lowercase());
        }
        self.inner.update_metadata(&updates, limits).await
    }

    async fn upgrade(&self) -> Result<()> {
        self.inner.upgrade().await
    }

    fn replicate(&self) -> &dyn Replicate {
        self
    }

    fn snapshot(&self) -> Option<&dyn Snapshot> {
        self.inner.snapshot()
    }
}

#[async_trait]
impl<B: Broker + ?Sized> Replicate for Handle<B> {
    async fn sync_points(&self, direction: Direction) -> Result<Vec<SyncPoint>> {
        let direction = match self.has(Flaw::MixesDirections) {
            true => Direction::Incoming,
            false => direction,
        };
        self.inner.replicate().sync_points(direction).await
    }

    async fn merge_sync_points(&self, direction: Direction, points: &[SyncPoint]) -> Result<()> {
        let direction = match self.has(Flaw::MixesDirections) {
            true => Direction::Incoming,
            false => direction,
        };
        self.inner
            .replicate()
            .merge_sync_points(direction, points)
            .await
    }

    async fn new_id(&self, remote_id: &str, new_id: &str) -> Result<()> {
        self.inner.replicate().new_id(remote_id, new_id).await
    }

    async fn reclaim(&self, age: ReclaimAge) -> Result<Reclaimed> {
        let mut age = age;
        if self.has(Flaw::ReclaimsEarly) {
            age.tombstones = age.tombstones.shifted(1)?;
        }
        let mut done = self.inner.replicate().reclaim(age).await?;
        if self.has(Flaw::CountsNoTombstones) {
            done.tombstones = 0;
        }
        Ok(done)
    }
}

#[async_trait]
impl AccountBroker for Handle<dyn AccountBroker> {
    async fn initialize(&self, new: &NewAccount) -> Result<Initialized> {
        self.inner.initialize(new).await
    }

    async fn info(&self) -> Result<Option<AccountInfo>> {
        let mut info = self.inner.info().await?;
        info.iter_mut().for_each(|info| self.spoil(&mut info.store));
        Ok(info)
    }

    async fn merge_items(
        &self,
        mut records: Vec<ContainerRecord>,
        options: MergeOptions,
    ) -> Result<()> {
        if self.is_lost() {
            return Ok(());
        }
        if self.has(Flaw::NormalisesReports) {
            for record in &mut records {
                let put = record.put_timestamp.as_ref();
                record.put_timestamp = put.map(|put| TimestampText::from(put.value()));
            }
        }
        for group in groups(records, self.has(Flaw::SplitsBatches)) {
            self.inner.merge_items(group, options.clone()).await?;
        }
        Ok(())
    }

    async fn items_since(&self, start: RowId, limit: usize) -> Result<Vec<ContainerRow>> {
        self.inner.items_since(start, limit).await
    }

    async fn list_containers(
        &self,
        query: &ListingQuery,
        visitor: Box<dyn ContainerVisitor>,
    ) -> Result<Box<dyn ContainerVisitor>> {
        self.inner
            .list_containers(&spoiled_query(self.flaw, query), visitor)
            .await
    }
}

#[async_trait]
impl ContainerBroker for Handle<dyn ContainerBroker> {
    async fn initialize(&self, new: &NewContainer) -> Result<Initialized> {
        self.inner.initialize(new).await
    }

    async fn info(&self) -> Result<Option<ContainerInfo>> {
        let mut info = self.inner.info().await?;
        if self.has(Flaw::ForgetsHighestNumber) {
            let rows = self
                .inner
                .items_since(RowId::NONE, 100_000, RowFilter::All)
                .await?;
            let highest = rows.last().map_or(RowId::NONE, |row| row.row_id);
            info.iter_mut()
                .for_each(|info| info.store.max_row = highest);
        }
        info.iter_mut().for_each(|info| self.spoil(&mut info.store));
        if self.has(Flaw::KeepsReported) {
            let reported = Reported {
                object_count: 1,
                ..Reported::default()
            };
            info.iter_mut()
                .for_each(|info| info.reported = reported.clone());
        }
        Ok(info)
    }

    async fn merge_items(
        &self,
        mut records: Vec<ObjectRecord>,
        options: MergeOptions,
    ) -> Result<()> {
        if self.is_lost() {
            return Ok(());
        }
        if self.has(Flaw::DropsOffsets) {
            for record in &mut records {
                record.created_at.data = record.created_at.data.normalized();
            }
        }
        if self.has(Flaw::HidesLastWrite) && options.may_buffer {
            let inner = Arc::clone(&self.inner);
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                inner.merge_items(records, options).await
            });
            return Ok(());
        }
        for group in groups(records, self.has(Flaw::SplitsBatches)) {
            self.inner.merge_items(group, options.clone()).await?;
        }
        Ok(())
    }

    async fn items_since(
        &self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>> {
        let filter = match self.has(Flaw::IgnoresMisplaced) {
            true => RowFilter::All,
            false => filter,
        };
        let mut rows = self.inner.items_since(start, limit, filter).await?;
        if self.has(Flaw::RenumbersRows) {
            for (number, row) in rows.iter_mut().enumerate() {
                row.row_id = RowId(start.0.max(0) + number as i64 + 1);
            }
        }
        Ok(rows)
    }

    async fn list_objects(
        &self,
        query: &ListObjects,
        visitor: Box<dyn ObjectVisitor>,
    ) -> Result<Box<dyn ObjectVisitor>> {
        let mut query = query.clone();
        query.names = spoiled_query(self.flaw, &query.names);
        if self.has(Flaw::ShowsTombstones) {
            query.deleted = DeletedFilter::Both;
        }
        self.inner.list_objects(&query, visitor).await
    }

    async fn remove_objects(&self, remove: &RemoveObjects) -> Result<()> {
        let mut remove = remove.clone();
        if self.has(Flaw::RemovesTooMuch) {
            remove.max_row = remove.max_row.filter(|max| max.0 > 0);
        }
        self.inner.remove_objects(&remove).await
    }

    async fn set_storage_policy_index(&self, index: PolicyIndex, at: Timestamp) -> Result<()> {
        self.inner.set_storage_policy_index(index, at).await
    }

    async fn set_marks(&self, marks: &ContainerMarks) -> Result<()> {
        match self.flaw {
            Flaw::IgnoresMarks => return Ok(()),
            Flaw::Panics => panic!("a flaw of the engine"),
            Flaw::Hangs => std::future::pending::<()>().await,
            _ => {}
        }
        self.inner.set_marks(marks).await
    }

    fn sharding(&self) -> Option<&dyn Sharding> {
        self.inner.sharding()
    }
}
