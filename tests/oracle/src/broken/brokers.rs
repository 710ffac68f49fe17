//! The brokers of an engine with a fault.

use super::Fault;
use async_trait::async_trait;
use broker_api::container::ListObjects;
use broker_api::{
    AccountBroker, AccountInfo, Broker, ContainerBroker, ContainerInfo, ContainerMarks,
    ContainerRecord, ContainerRow, ContainerVisitor, Direction, Initialized, ListingQuery,
    Location, MergeOptions, MergeTimestamps, MetadataEntry, MetadataLimits, NewAccount,
    NewContainer, ObjectRecord, ObjectRow, ObjectTimestamps, ObjectVisitor, PolicyIndex,
    ReclaimAge, Reclaimed, RemoveObjects, Replicate, Result, RollingHash, RowFilter, RowId,
    Sharding, Snapshot, StoreInfo, SyncPoint, Timestamp,
};
use std::sync::Arc;

/// An account with a fault.
#[derive(Debug)]
pub(super) struct BrokenAccount {
    pub(super) inner: Arc<dyn AccountBroker>,
    pub(super) fault: Fault,
}

/// A container with a fault.
#[derive(Debug)]
pub(super) struct BrokenContainer {
    pub(super) inner: Arc<dyn ContainerBroker>,
    pub(super) fault: Fault,
}

/// What the two kinds of broker give to the code that they share.
#[async_trait]
trait Inner: Send + Sync {
    fn broker(&self) -> &dyn Broker;
    fn fault(&self) -> Fault;
    async fn store_info(&self) -> Result<Option<StoreInfo>>;
}

#[async_trait]
impl Inner for BrokenAccount {
    fn broker(&self) -> &dyn Broker {
        &*self.inner
    }

    fn fault(&self) -> Fault {
        self.fault
    }

    async fn store_info(&self) -> Result<Option<StoreInfo>> {
        Ok(self.inner.info().await?.map(|info| info.store))
    }
}

#[async_trait]
impl Inner for BrokenContainer {
    fn broker(&self) -> &dyn Broker {
        &*self.inner
    }

    fn fault(&self) -> Fault {
        self.fault
    }

    async fn store_info(&self) -> Result<Option<StoreInfo>> {
        Ok(self.inner.info().await?.map(|info| info.store))
    }
}

async fn delete(this: &impl Inner, timestamp: Timestamp) -> Result<()> {
    if this.fault() == Fault::DeleteMindsThePut
        && let Some(store) = this.store_info().await?
        && timestamp < store.put_timestamp.value()
    {
        return Ok(());
    }
    this.broker().delete(timestamp).await
}

async fn update_metadata(
    this: &impl Inner,
    updates: &[MetadataEntry],
    limits: Option<&MetadataLimits>,
) -> Result<()> {
    let mut updates = updates.to_vec();
    if this.fault() == Fault::MetadataTiesWin
        && let Some(store) = this.store_info().await?
    {
        let stored = store.metadata()?;
        for update in &mut updates {
            let known = stored.get(&update.key);
            if known.is_some_and(|known| known.timestamp == update.timestamp) {
                update.timestamp = just_after(Timestamp::parse(&update.timestamp)?).internal();
            }
        }
    }
    this.broker().update_metadata(&updates, limits).await
}

async fn new_id(this: &impl Inner, remote_id: &str, new_id: &str) -> Result<()> {
    this.broker().replicate().new_id(remote_id, new_id).await?;
    if this.fault() == Fault::NewIdUsesMaxRow
        && let Some(store) = this.store_info().await?
    {
        let points = [SyncPoint::new(remote_id, store.max_row)];
        let replicate = this.broker().replicate();
        replicate
            .merge_sync_points(Direction::Incoming, &points)
            .await?;
    }
    Ok(())
}

async fn reclaim(this: &impl Inner, mut age: ReclaimAge) -> Result<Reclaimed> {
    if this.fault() == Fault::ReclaimTakesEqual {
        age.tombstones = age.tombstones.shifted(1)?;
    }
    this.broker().replicate().reclaim(age).await
}

/// The smallest time after `at`, or itself when there is none with the same clock time.
fn just_after(at: Timestamp) -> Timestamp {
    at.with_added_offset(1).unwrap_or(at)
}

fn listed(fault: Fault, query: &ListingQuery) -> ListingQuery {
    let mut query = query.clone();
    if fault == Fault::EndMarkerIsIgnored {
        query.end_marker.clear();
    }
    query
}

/// The methods that both kinds of broker have, written once.
macro_rules! shared_methods {
    ($broker:ty) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl Broker for $broker {
            fn location(&self) -> &Location {
                self.inner.location()
            }

            async fn exists(&self) -> Result<bool> {
                self.inner.exists().await
            }

            async fn delete(&self, timestamp: Timestamp) -> Result<()> {
                delete(self, timestamp).await
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
                update_metadata(self, updates, limits).await
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
        #[deny(clippy::missing_trait_methods)]
        impl Replicate for $broker {
            async fn sync_points(&self, direction: Direction) -> Result<Vec<SyncPoint>> {
                self.inner.replicate().sync_points(direction).await
            }

            async fn merge_sync_points(
                &self,
                direction: Direction,
                points: &[SyncPoint],
            ) -> Result<()> {
                let replicate = self.inner.replicate();
                replicate.merge_sync_points(direction, points).await
            }

            async fn new_id(&self, remote_id: &str, id: &str) -> Result<()> {
                new_id(self, remote_id, id).await
            }

            async fn reclaim(&self, age: ReclaimAge) -> Result<Reclaimed> {
                reclaim(self, age).await
            }
        }
    };
}

shared_methods!(BrokenAccount);
shared_methods!(BrokenContainer);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AccountBroker for BrokenAccount {
    async fn initialize(&self, new: &NewAccount) -> Result<Initialized> {
        self.inner.initialize(new).await
    }

    async fn info(&self) -> Result<Option<AccountInfo>> {
        let mut info = self.inner.info().await?;
        if self.fault == Fault::HashForgetsTombstones
            && let Some(info) = &mut info
        {
            let rows = self.inner.items_since(RowId::NONE, usize::MAX).await?;
            let live = rows.iter().filter(|row| !row.deleted);
            info.store.hash = live.fold(RollingHash::default(), |hash, row| {
                hash.toggled(&row.name, &row.hash_suffix())
            });
        }
        Ok(info)
    }

    async fn merge_items(
        &self,
        mut records: Vec<ContainerRecord>,
        options: MergeOptions,
    ) -> Result<()> {
        if self.fault == Fault::AccountKeepsOldCounts && self.inner.exists().await? {
            let rows = self.inner.items_since(RowId::NONE, usize::MAX).await?;
            for record in &mut records {
                let put = record.put_timestamp.as_ref().map(|text| text.value());
                let row = rows.iter().find(|row| row.name == record.name);
                if let Some(row) = row.filter(|row| put < Some(row.put_timestamp.value())) {
                    record.object_count = Some(row.object_count);
                    record.bytes_used = Some(row.bytes_used);
                }
            }
        }
        self.inner.merge_items(records, options).await
    }

    async fn items_since(&self, start: RowId, limit: usize) -> Result<Vec<ContainerRow>> {
        self.inner.items_since(start, limit).await
    }

    async fn list_containers(
        &self,
        query: &ListingQuery,
        visitor: Box<dyn ContainerVisitor>,
    ) -> Result<Box<dyn ContainerVisitor>> {
        let query = listed(self.fault, query);
        self.inner.list_containers(&query, visitor).await
    }
}

impl BrokenContainer {
    /// Makes records that tie with their rows a little younger.
    async fn favour(&self, records: &mut [ObjectRecord]) -> Result<()> {
        let rows = self
            .inner
            .items_since(RowId::NONE, usize::MAX, RowFilter::All)
            .await?;
        for record in records {
            let same = |row: &&ObjectRow| {
                row.name == record.name && row.policy_index == record.policy_index
            };
            if let Some(row) = rows.iter().find(same)
                && ObjectTimestamps::decode(&row.created_at)?.data == record.created_at.data
            {
                record.created_at.data = just_after(record.created_at.data);
            }
        }
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ContainerBroker for BrokenContainer {
    async fn initialize(&self, new: &NewContainer) -> Result<Initialized> {
        self.inner.initialize(new).await
    }

    async fn info(&self) -> Result<Option<ContainerInfo>> {
        let mut info = self.inner.info().await?;
        if self.fault == Fault::HashForgetsTombstones
            && let Some(info) = &mut info
        {
            let rows = self
                .inner
                .items_since(RowId::NONE, usize::MAX, RowFilter::All)
                .await?;
            let live = rows.iter().filter(|row| !row.deleted);
            info.store.hash = live.fold(RollingHash::default(), |hash, row| {
                hash.toggled(&row.name, &row.created_at)
            });
        }
        Ok(info)
    }

    async fn merge_items(
        &self,
        mut records: Vec<ObjectRecord>,
        options: MergeOptions,
    ) -> Result<()> {
        if self.fault == Fault::TiesGoToTheRecord && self.inner.exists().await? {
            self.favour(&mut records).await?;
        }
        self.inner.merge_items(records, options).await
    }

    async fn items_since(
        &self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>> {
        let filter = match self.fault {
            Fault::EverythingIsMisplaced => RowFilter::All,
            _ => filter,
        };
        self.inner.items_since(start, limit, filter).await
    }

    async fn list_objects(
        &self,
        query: &ListObjects,
        visitor: Box<dyn ObjectVisitor>,
    ) -> Result<Box<dyn ObjectVisitor>> {
        let mut query = query.clone();
        query.names = listed(self.fault, &query.names);
        self.inner.list_objects(&query, visitor).await
    }

    async fn remove_objects(&self, remove: &RemoveObjects) -> Result<()> {
        self.inner.remove_objects(remove).await
    }

    async fn set_storage_policy_index(
        &self,
        index: PolicyIndex,
        timestamp: Timestamp,
    ) -> Result<()> {
        let timestamp = match self.fault {
            Fault::PolicyChangeIsSilent => Timestamp::ZERO,
            _ => timestamp,
        };
        self.inner.set_storage_policy_index(index, timestamp).await
    }

    async fn set_marks(&self, marks: &ContainerMarks) -> Result<()> {
        self.inner.set_marks(marks).await
    }

    fn sharding(&self) -> Option<&dyn Sharding> {
        self.inner.sharding()
    }
}
