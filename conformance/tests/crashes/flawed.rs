//! Engines with one flaw each, over one that has none.

use async_trait::async_trait;
use broker_api::{
    AccountBroker, Broker, BrokerOptions, Capabilities, ContainerBroker, ContainerBrokerExt,
    ContainerInfo, ContainerMarks, DeviceHealth, Durability, Engine, Entry, Initialized,
    ListObjects, Location, MergeOptions, MergeTimestamps, MetadataEntry, MetadataLimits,
    NewContainer, ObjectEntry, ObjectRecord, ObjectRow, ObjectVisitor, PolicyIndex, RemoveObjects,
    Replicate, Result, RowFilter, RowId, Sharding, Snapshot, StoreKind, Timestamp,
};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// A merge is acknowledged a little before it happens.
    AcknowledgesEarly,
    /// A batch is merged record by record.
    SplitsBatches,
    /// Rows have other numbers after a kill.
    RenumbersAfterKill,
    /// A record that is merged again makes a new row.
    CountsRepetitions,
    /// After a kill it does not open.
    NeedsHelp,
    /// States that writes survive nothing.
    StatesMemory,
    /// While anything is being written, a broker repeats its last answer to a listing of a prefix.
    ReadsStale,
    /// A record is thrown away when a later one of its name is on its way.
    LosesOverlapped,
}

impl Flaw {
    pub(crate) fn needs_files(self) -> bool {
        !matches!(self, Flaw::ReadsStale | Flaw::LosesOverlapped)
    }
}

#[derive(Debug, Default)]
struct Shared {
    was_killed: bool,
    writing: AtomicUsize,
    merges: AtomicUsize,
    on_their_way: Mutex<Vec<OnItsWay>>,
}

/// A record that is being merged.
#[derive(Debug)]
struct OnItsWay {
    merge: usize,
    location: Location,
    name: String,
    policy: PolicyIndex,
    at: Timestamp,
}

#[derive(Debug)]
pub(crate) struct FlawedEngine {
    inner: Arc<dyn Engine>,
    flaw: Flaw,
    shared: Arc<Shared>,
    /// A file that is there while the engine is open, and stays when it is killed.
    mark: PathBuf,
}

impl FlawedEngine {
    pub(crate) fn new(inner: Arc<dyn Engine>, flaw: Flaw, mark: PathBuf) -> Self {
        let shared = Shared {
            was_killed: mark.exists(),
            ..Shared::default()
        };
        std::fs::write(&mark, "").unwrap();
        Self {
            inner,
            flaw,
            shared: Arc::new(shared),
            mark,
        }
    }
}

impl Drop for FlawedEngine {
    fn drop(&mut self) {
        std::fs::remove_file(&self.mark).unwrap();
    }
}

#[async_trait]
impl Engine for FlawedEngine {
    fn name(&self) -> &str {
        "flawed"
    }

    fn capabilities(&self) -> Capabilities {
        match self.flaw {
            Flaw::StatesMemory => Capabilities::new(Durability::Memory),
            _ => self.inner.capabilities(),
        }
    }

    fn account(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn AccountBroker> {
        self.inner.account(location, options)
    }

    fn container(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn ContainerBroker> {
        Arc::new(Container {
            inner: self.inner.container(location, options),
            flaw: self.flaw,
            shared: Arc::clone(&self.shared),
            answers: Mutex::default(),
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

#[derive(Debug)]
struct Container {
    inner: Arc<dyn ContainerBroker>,
    flaw: Flaw,
    shared: Arc<Shared>,
    /// The entries that each prefix was last answered with.
    answers: Mutex<HashMap<String, Vec<ObjectEntry>>>,
}

impl Container {
    /// Moves records that are there already by the smallest step in time.
    async fn counted_again(&self, records: Vec<ObjectRecord>) -> Result<Vec<ObjectRecord>> {
        let rows = self
            .inner
            .items_since(RowId::NONE, usize::MAX, RowFilter::All);
        let rows = rows.await?;
        let again = |mut record: ObjectRecord| {
            let is_there = |row: &ObjectRow| {
                row.name == record.name && row.created_at == record.created_at.encode()
            };
            if rows.iter().any(is_there) {
                record.created_at.data = record.created_at.data.shifted(1).unwrap();
            }
            record
        };
        Ok(records.into_iter().map(again).collect())
    }

    /// Leaves out records of which another merge brings a later one, and lets others come up to this.
    async fn not_overtaken(&self, merge: usize, records: &[ObjectRecord]) -> Vec<ObjectRecord> {
        let of = |record: &ObjectRecord| OnItsWay {
            merge,
            location: self.inner.location().clone(),
            name: record.name.clone(),
            policy: record.policy_index,
            at: record.created_at.data,
        };
        let own = records.iter().map(of);
        self.shared.on_their_way.lock().unwrap().extend(own);
        tokio::time::sleep(Duration::from_millis(1)).await;
        let others = self.shared.on_their_way.lock().unwrap();
        let is_overtaken = |record: &&ObjectRecord| {
            let own = of(record);
            let overtakes = |other: &OnItsWay| {
                other.merge != merge
                    && (&other.location, &other.name) == (&own.location, &own.name)
                    && other.policy == own.policy
                    && other.at > own.at
            };
            others.iter().any(overtakes)
        };
        let left = records.iter().filter(|record| !is_overtaken(record));
        left.cloned().collect()
    }

    async fn merge_what_is_not_overtaken(
        &self,
        records: Vec<ObjectRecord>,
        options: MergeOptions,
    ) -> Result<()> {
        let merge = self.shared.merges.fetch_add(1, Ordering::SeqCst);
        let left = self.not_overtaken(merge, &records).await;
        let merged = match left.is_empty() && !records.is_empty() {
            true => Ok(()),
            false => self.inner.merge_items(left, options).await,
        };
        let mut on_their_way = self.shared.on_their_way.lock().unwrap();
        on_their_way.retain(|record| record.merge != merge);
        merged
    }

    async fn merge(&self, records: Vec<ObjectRecord>, options: MergeOptions) -> Result<()> {
        match self.flaw {
            Flaw::AcknowledgesEarly => {
                let inner = Arc::clone(&self.inner);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    inner.merge_items(records, options).await
                });
                Ok(())
            }
            Flaw::SplitsBatches => {
                for record in records {
                    self.inner
                        .merge_items(vec![record], options.clone())
                        .await?;
                }
                Ok(())
            }
            Flaw::CountsRepetitions => {
                let records = self.counted_again(records).await?;
                self.inner.merge_items(records, options).await
            }
            Flaw::LosesOverlapped => self.merge_what_is_not_overtaken(records, options).await,
            _ => self.inner.merge_items(records, options).await,
        }
    }
}

fn shown(entries: &[ObjectEntry], mut visitor: Box<dyn ObjectVisitor>) -> Box<dyn ObjectVisitor> {
    for entry in entries {
        let entry = match entry {
            ObjectEntry::Row(row) => Entry::Row(row.as_ref()),
            ObjectEntry::Subdir(name) => Entry::Subdir(name),
        };
        if visitor.visit(entry).is_break() {
            break;
        }
    }
    visitor
}

#[async_trait]
impl Broker for Container {
    fn location(&self) -> &Location {
        self.inner.location()
    }

    async fn exists(&self) -> Result<bool> {
        self.inner.exists().await
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
        self.inner.update_metadata(updates, limits).await
    }

    async fn upgrade(&self) -> Result<()> {
        self.inner.upgrade().await
    }

    fn replicate(&self) -> &dyn Replicate {
        self.inner.replicate()
    }

    fn snapshot(&self) -> Option<&dyn Snapshot> {
        self.inner.snapshot()
    }
}

#[async_trait]
impl ContainerBroker for Container {
    async fn initialize(&self, new: &NewContainer) -> Result<Initialized> {
        self.inner.initialize(new).await
    }

    async fn info(&self) -> Result<Option<ContainerInfo>> {
        self.inner.info().await
    }

    async fn merge_items(&self, records: Vec<ObjectRecord>, options: MergeOptions) -> Result<()> {
        // Own writes are seen at once: only other brokers read what is over.
        self.answers.lock().unwrap().clear();
        self.shared.writing.fetch_add(1, Ordering::SeqCst);
        let merged = self.merge(records, options).await;
        self.shared.writing.fetch_sub(1, Ordering::SeqCst);
        merged
    }

    async fn items_since(
        &self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>> {
        let mut rows = self.inner.items_since(start, limit, filter).await?;
        if self.flaw == Flaw::RenumbersAfterKill && self.shared.was_killed {
            rows.iter_mut().for_each(|row| row.row_id.0 += 1);
        }
        Ok(rows)
    }

    async fn list_objects(
        &self,
        query: &ListObjects,
        visitor: Box<dyn ObjectVisitor>,
    ) -> Result<Box<dyn ObjectVisitor>> {
        if self.flaw != Flaw::ReadsStale || query.names.prefix.is_empty() {
            return self.inner.list_objects(query, visitor).await;
        }
        let prefix = query.names.prefix.clone();
        let last = self.answers.lock().unwrap().get(&prefix).cloned();
        let entries = match last {
            Some(entries) if self.shared.writing.load(Ordering::SeqCst) > 0 => entries,
            _ => self.inner.object_page(query).await?,
        };
        self.answers.lock().unwrap().insert(prefix, entries.clone());
        Ok(shown(&entries, visitor))
    }

    async fn remove_objects(&self, remove: &RemoveObjects) -> Result<()> {
        self.inner.remove_objects(remove).await
    }

    async fn set_storage_policy_index(&self, index: PolicyIndex, at: Timestamp) -> Result<()> {
        self.inner.set_storage_policy_index(index, at).await
    }

    async fn set_marks(&self, marks: &ContainerMarks) -> Result<()> {
        self.inner.set_marks(marks).await
    }

    fn sharding(&self) -> Option<&dyn Sharding> {
        self.inner.sharding()
    }
}
