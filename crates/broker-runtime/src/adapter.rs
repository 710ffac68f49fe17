//! [`Adapter`]: the asynchronous contract over a synchronous engine.

use crate::ops;
use crate::pool::Pool;
use crate::recording::{KeptContainer, KeptObject, Recording};
use crate::slot::{Slot, Table};
use crate::sync::{AccountStore, ContainerStore, Restore, Store, SyncEngine};
use crate::write::{Accounts, ContainerWrite, Containers, Kind, Op, Reply, Write};
use async_trait::async_trait;
use broker_api::{
    AccountBroker, AccountInfo, Broker, BrokerOptions, Capabilities, ContainerBroker,
    ContainerInfo, ContainerMarks, ContainerRecord, ContainerRow, ContainerVisitor, DeviceHealth,
    Direction, Engine, Error, ErrorKind, Facts, Initialized, ListObjects, ListingQuery, Location,
    MergeOptions, MergeTimestamps, MetadataEntry, MetadataLimits, NewAccount, NewContainer,
    ObjectRecord, ObjectRow, ObjectVisitor, Outcome, PolicyIndex, ReclaimAge, Reclaimed,
    RemoveObjects, Replicate, Result, RowFilter, RowId, Rows, Sharding, Snapshot, StoreImage,
    StoreKind, SyncPoint, Timestamp,
};
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

/// The largest listing that is tried on the caller's thread.
const ENTRIES_WITHOUT_WAITING: usize = 200;

/// How many threads and open stores an adapter uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// Threads that do the blocking work. Reads of one store take half of them at most.
    pub workers: usize,
    /// Operations that may wait for a thread; more are refused as busy.
    pub queue_depth: usize,
    /// Accounts, and as many containers, whose handles stay open.
    pub open_stores: NonZeroUsize,
    /// Tombstones that one transaction of a reclaim looks at; Swift: 10000.
    pub reclaim_page: usize,
}

impl Default for RuntimeOptions {
    /// Two threads for each processor, at least four; 1,024 open accounts and containers.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, NonZeroUsize::get);
        Self {
            workers: (2 * processors).max(4),
            queue_depth: 65_536,
            open_stores: NonZeroUsize::new(1024).unwrap_or(NonZeroUsize::MIN),
            reclaim_page: ops::RECLAIM_PAGE,
        }
    }
}

pub(crate) struct Shared<E: SyncEngine> {
    pub(crate) engine: E,
    pub(crate) pool: Pool,
    pub(crate) accounts: Table<E, Accounts>,
    pub(crate) containers: Table<E, Containers>,
    reclaim_page: usize,
}

/// An [`Engine`] made of a [`SyncEngine`].
pub struct Adapter<E: SyncEngine> {
    shared: Arc<Shared<E>>,
}

impl<E: SyncEngine> fmt::Debug for Adapter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Adapter").field(&self.shared.engine).finish()
    }
}

impl<E: SyncEngine> Adapter<E> {
    /// Starts the worker threads for an engine.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the system gives no threads.
    pub fn start(engine: E, options: &RuntimeOptions) -> Result<Self> {
        let pool = Pool::start(engine.name(), options.workers, options.queue_depth)
            .map_err(|e| Error::new(ErrorKind::Io, "cannot start worker threads").caused_by(e))?;
        let readers = (options.workers / 2).max(1);
        let shared = Shared {
            engine,
            pool,
            accounts: Table::new(options.open_stores, readers),
            containers: Table::new(options.open_stores, readers),
            reclaim_page: options.reclaim_page.max(1),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// How many operations wait for a worker thread.
    pub fn queue_depth(&self) -> usize {
        self.shared.pool.depth()
    }

    fn handle<K: Kind<E>>(&self, location: &Location, options: &BrokerOptions) -> Handle<E, K> {
        assert_kind(location, K::KIND);
        Handle {
            shared: Arc::clone(&self.shared),
            location: location.clone(),
            options: *options,
            rows: AtomicU64::new(UNKNOWN),
            kind: PhantomData,
        }
    }
}

/// Callers choose the method by the kind of the store: another kind is a defect of theirs.
fn assert_kind(location: &Location, kind: StoreKind) {
    assert!(
        location.kind() == kind,
        "a location of the wrong kind: {location}"
    );
}

/// Runs blocking work on the pool and waits for its answer.
async fn on_pool<E: SyncEngine, R: Send + 'static>(
    shared: &Arc<Shared<E>>,
    work: impl FnOnce(&Arc<Shared<E>>) -> Result<R> + Send + 'static,
) -> Result<R> {
    let (reply, receiver) = oneshot::channel();
    let for_job = Arc::clone(shared);
    let job = move || {
        // Who waited may have gone.
        let _ = reply.send(work(&for_job));
    };
    let full = |_| {
        let error = Error::new(ErrorKind::Busy, "too many operations wait for a worker");
        error.with_outcome(Outcome::NotApplied)
    };
    shared.pool.submit(job).map_err(full)?;
    receiver.await.unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "the operation panicked, see the log")
}

#[async_trait]
impl<E: SyncEngine> Engine for Adapter<E> {
    fn name(&self) -> &str {
        self.shared.engine.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.engine.capabilities()
    }

    fn account(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn AccountBroker> {
        Arc::new(self.handle::<Accounts>(location, options))
    }

    fn container(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn ContainerBroker> {
        Arc::new(self.handle::<Containers>(location, options))
    }

    async fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let (device, after) = (device.to_owned(), after.cloned());
        on_pool(&self.shared, move |shared| {
            shared.engine.stores(&device, kind, after.as_ref(), limit)
        })
        .await
    }

    async fn quarantine(&self, location: &Location, reason: &str) -> Result<()> {
        let (location, reason) = (location.clone(), reason.to_owned());
        on_pool(&self.shared, move |shared| {
            close(shared, &location);
            shared.engine.quarantine(&location, &reason)
        })
        .await
    }

    async fn remove(&self, location: &Location) -> Result<()> {
        let location = location.clone();
        on_pool(&self.shared, move |shared| {
            close(shared, &location);
            shared.engine.remove(&location)
        })
        .await
    }

    async fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        assert_kind(location, StoreKind::Container);
        let location = location.clone();
        on_pool(&self.shared, move |shared| {
            let set = shared.engine.set_synced(&location, synced);
            set.map_err(|error| error.on(&location).during("set_synced"))
        })
        .await
    }

    async fn synced(
        &self,
        device: &str,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let (device, after) = (device.to_owned(), after.cloned());
        on_pool(&self.shared, move |shared| {
            shared.engine.synced(&device, after.as_ref(), limit)
        })
        .await
    }

    async fn device_health(&self, device: &str) -> Result<DeviceHealth> {
        // Two system calls on data that the kernel holds: a change of threads would cost more.
        self.shared.engine.device_health(device)
    }
}

fn close<E: SyncEngine>(shared: &Shared<E>, location: &Location) {
    match location.kind() {
        StoreKind::Account => shared.accounts.close(location),
        StoreKind::Container => shared.containers.close(location),
    }
}

/// The broker of one store.
struct Handle<E: SyncEngine, K: Kind<E>> {
    shared: Arc<Shared<E>>,
    location: Location,
    options: BrokerOptions,
    /// How many live rows there were when the facts were last asked for here; [`UNKNOWN`] before.
    rows: AtomicU64,
    kind: PhantomData<K>,
}

const UNKNOWN: u64 = u64::MAX;

impl<E: SyncEngine, K: Kind<E>> fmt::Debug for Handle<E, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl<E: SyncEngine, K: Kind<E>> Handle<E, K> {
    fn slot(&self) -> Arc<Slot<E, K>> {
        let (slot, evicted) = K::table(&self.shared).slot(&self.location);
        if !evicted.is_empty() {
            // Not on this thread, unless the queue is full.
            let _ = self.shared.pool.submit(move || drop(evicted));
        }
        slot
    }

    /// Runs blocking work on the store when it is its turn.
    async fn in_turn<R: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Shared<E>, &Slot<E, K>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let slot = self.slot();
        let done = match slot.turn().await {
            Ok(turn) => {
                on_pool(&self.shared, move |shared| {
                    let _turn = turn;
                    work(shared, &slot)
                })
                .await
            }
            Err(error) => Err(error),
        };
        done.map_err(|error| error.on(&self.location).during(operation))
    }

    async fn read<R: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&mut K::Store) -> Result<R> + Send + 'static,
    ) -> Result<Option<R>> {
        let options = self.options;
        self.in_turn(operation, move |shared, slot| {
            slot.read(shared, &options, read)
        })
        .await
    }

    /// As [`read`](Self::read), for a store that must be there.
    async fn read_present<R: Send + 'static>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&mut K::Store) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let absent = || Error::not_found().on(&self.location).during(operation);
        self.read(operation, read).await?.ok_or_else(absent)
    }

    async fn facts(&self) -> Result<Option<Facts>> {
        let slot = self.slot();
        let facts = match slot.read_without_waiting(&self.options, Store::facts) {
            Some(facts) => Some(facts),
            None => {
                let options = self.options;
                let facts = self.in_turn("info", move |shared, slot| slot.facts(shared, &options));
                facts.await?
            }
        };
        if let Some(facts) = &facts {
            self.rows.store(live_rows(facts), Ordering::Relaxed);
        }
        Ok(facts)
    }

    /// Refuses a listing that may be too long for the caller's thread. Clients that want everything of a small store
    /// ask for more than it has.
    fn require_short(&self, store: &mut K::Store, limit: usize) -> Result<()> {
        let few = ENTRIES_WITHOUT_WAITING as u64;
        let is_short = limit <= ENTRIES_WITHOUT_WAITING
            || match self.rows.load(Ordering::Relaxed) {
                UNKNOWN => live_rows(&store.facts()?) <= few,
                // There may be more by now, but a walk ends when it takes long.
                rows => rows <= few,
            };
        match is_short {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Busy, "the listing may be long")),
        }
    }

    async fn write(&self, operation: &'static str, op: Op<K::Record, K::Own>) -> Result<Reply> {
        self.refuse_read_only(operation)?;
        let result = match self.slot().write(&self.shared, op, self.options) {
            Ok(receiver) => receiver.await.unwrap_or_else(|_| Err(panicked())),
            Err(error) => Err(error),
        };
        result.map_err(|error| error.on(&self.location).during(operation))
    }

    async fn change(&self, operation: &'static str, write: Write) -> Result<()> {
        self.write(operation, Op::Store(write)).await.map(drop)
    }

    async fn initialize(
        &self,
        create: impl FnOnce(&E, &Location, &BrokerOptions) -> Result<Initialized> + Send + 'static,
    ) -> Result<Initialized> {
        let (location, options) = (self.location.clone(), self.options);
        self.in_turn("initialize", move |shared, _| {
            create(&shared.engine, &location, &options)
        })
        .await
    }
}

#[async_trait]
impl<E: SyncEngine, K: Kind<E>> Broker for Handle<E, K> {
    fn location(&self) -> &Location {
        &self.location
    }

    async fn exists(&self) -> Result<bool> {
        let location = self.location.clone();
        on_pool(&self.shared, move |shared| shared.engine.exists(&location)).await
    }

    async fn delete(&self, timestamp: Timestamp) -> Result<()> {
        self.change("delete", Write::Delete(timestamp)).await
    }

    async fn update_put_timestamp(&self, timestamp: Timestamp) -> Result<()> {
        self.change("update_put_timestamp", Write::PutTimestamp(timestamp))
            .await
    }

    async fn update_status_changed_at(&self, timestamp: Timestamp) -> Result<()> {
        self.change(
            "update_status_changed_at",
            Write::StatusChangedAt(timestamp),
        )
        .await
    }

    async fn merge_timestamps(&self, merge: &MergeTimestamps) -> Result<()> {
        self.change("merge_timestamps", Write::MergeTimestamps(merge.clone()))
            .await
    }

    async fn update_metadata(
        &self,
        updates: &[MetadataEntry],
        limits: Option<&MetadataLimits>,
    ) -> Result<()> {
        let write = Write::Metadata(updates.to_vec(), limits.copied());
        self.change("update_metadata", write).await
    }

    async fn upgrade(&self) -> Result<()> {
        self.change("upgrade", Write::Upgrade).await
    }

    fn replicate(&self) -> &dyn Replicate {
        self
    }

    fn snapshot(&self) -> Option<&dyn Snapshot> {
        self.shared.engine.restore().map(|_| self as &dyn Snapshot)
    }
}

#[async_trait]
impl<E: SyncEngine, K: Kind<E>> Snapshot for Handle<E, K> {
    async fn begin(&self, image: &StoreImage) -> Result<RowId> {
        image
            .check(K::KIND)
            .map_err(|error| self.refused("begin", error))?;
        let image = image.clone();
        self.restore("begin", move |engine, location| {
            engine.begin(location, &image)
        })
        .await
    }

    async fn add(&self, rows: Rows) -> Result<()> {
        rows.check(K::KIND)
            .map_err(|error| self.refused("add", error))?;
        self.restore("add", move |engine, location| engine.add(location, &rows))
            .await
    }

    async fn finish(&self) -> Result<()> {
        self.restore("finish", |engine, location| engine.finish(location))
            .await
    }

    async fn abandon(&self) -> Result<()> {
        self.restore("abandon", |engine, location| engine.abandon(location))
            .await
    }
}

impl<E: SyncEngine, K: Kind<E>> Handle<E, K> {
    fn refused(&self, operation: &'static str, error: Error) -> Error {
        error.on(&self.location).during(operation)
    }

    fn refuse_read_only(&self, operation: &'static str) -> Result<()> {
        match self.options.skip_commits {
            false => Ok(()),
            true => {
                let refused = Error::new(ErrorKind::ReadOnly, "commits not accepted");
                Err(self.refused(operation, refused))
            }
        }
    }

    /// Runs a step of restoring on the pool.
    async fn restore<R: Send + 'static>(
        &self,
        operation: &'static str,
        step: impl FnOnce(&dyn Restore, &Location) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.refuse_read_only(operation)?;
        let location = self.location.clone();
        self.in_turn(operation, move |shared, _| match shared.engine.restore() {
            Some(engine) => step(engine, &location),
            None => Err(Error::new(
                ErrorKind::Unsupported,
                "stores cannot be restored here",
            )),
        })
        .await
    }
}

#[async_trait]
impl<E: SyncEngine, K: Kind<E>> Replicate for Handle<E, K> {
    async fn sync_points(&self, direction: Direction) -> Result<Vec<SyncPoint>> {
        self.read_present("sync_points", move |store| store.sync_points(direction))
            .await
    }

    async fn merge_sync_points(&self, direction: Direction, points: &[SyncPoint]) -> Result<()> {
        self.change(
            "merge_sync_points",
            Write::SyncPoints(direction, points.to_vec()),
        )
        .await
    }

    async fn new_id(&self, remote_id: &str, new_id: &str) -> Result<()> {
        let (remote_id, new_id) = (remote_id.to_owned(), new_id.to_owned());
        self.change("new_id", Write::NewId { remote_id, new_id })
            .await
    }

    async fn reclaim(&self, age: ReclaimAge) -> Result<Reclaimed> {
        let page = self.shared.reclaim_page;
        let mut total = Reclaimed::default();
        let mut from = String::new();
        loop {
            let write = Write::ReclaimPage { age, from, page };
            let Reply::Reclaimed(done) = self.write("reclaim", Op::Store(write)).await? else {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "reclaim had another answer",
                ));
            };
            total.removed += done.removed;
            total.tombstones += done.left;
            match done.next {
                Some(next) => from = next,
                None => return Ok(total),
            }
        }
    }
}

/// How many rows a listing of everything would show.
fn live_rows(facts: &Facts) -> u64 {
    let rows = match facts {
        Facts::Account(info) => info.container_count,
        Facts::Container(info) => info.object_count(),
    };
    u64::try_from(rows).unwrap_or(0)
}

fn require_name(name: &str, what: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("no {what} set"),
        ));
    }
    Ok(())
}

fn wrong_kind() -> Error {
    Error::new(
        ErrorKind::Internal,
        "the engine returned facts of the other kind",
    )
}

#[async_trait]
impl<E: SyncEngine> AccountBroker for Handle<E, Accounts> {
    async fn initialize(&self, new: &NewAccount) -> Result<Initialized> {
        require_name(&new.account, "account")?;
        let new = new.clone();
        self.initialize(move |engine, location, options| {
            engine.create_account(location, &new, options)
        })
        .await
    }

    async fn info(&self) -> Result<Option<AccountInfo>> {
        match self.facts().await? {
            Some(Facts::Account(info)) => Ok(Some(info)),
            Some(Facts::Container(_)) => Err(wrong_kind()),
            None => Ok(None),
        }
    }

    async fn merge_items(
        &self,
        records: Vec<ContainerRecord>,
        options: MergeOptions,
    ) -> Result<()> {
        let is_whole = |record: &ContainerRecord| {
            record.put_timestamp.is_some()
                && record.delete_timestamp.is_some()
                && record.object_count.is_some()
                && record.bytes_used.is_some()
        };
        let op = match options.may_buffer && options.source.is_none() {
            true if records.iter().all(is_whole) => Op::Put(records),
            _ => Op::Merge {
                records,
                source: options.source,
            },
        };
        self.write("merge_items", op).await.map(drop)
    }

    async fn items_since(&self, start: RowId, limit: usize) -> Result<Vec<ContainerRow>> {
        self.read_present("items_since", move |store| store.rows_since(start, limit))
            .await
    }

    async fn list_containers(
        &self,
        query: &ListingQuery,
        mut visitor: Box<dyn ContainerVisitor>,
    ) -> Result<Box<dyn ContainerVisitor>> {
        let mut recording = Recording::<KeptContainer>::new();
        let slot = self.slot();
        let listed = slot.read_without_waiting(&self.options, |store| {
            self.require_short(store, query.limit)?;
            recording.reserve(query.limit.min(ENTRIES_WITHOUT_WAITING));
            ops::list_containers(store, query, &mut recording)
        });
        if listed.is_some() {
            recording.show(|entry| visitor.visit(entry));
            return Ok(visitor);
        }
        // Perhaps there are more rows than there were.
        self.rows.store(UNKNOWN, Ordering::Relaxed);
        let query = query.clone();
        self.read_present("list_containers", move |store| {
            ops::list_containers(store, &query, &mut *visitor)?;
            Ok(visitor)
        })
        .await
    }
}

#[async_trait]
impl<E: SyncEngine> ContainerBroker for Handle<E, Containers> {
    async fn initialize(&self, new: &NewContainer) -> Result<Initialized> {
        require_name(&new.account, "account")?;
        require_name(&new.container, "container")?;
        let new = new.clone();
        self.initialize(move |engine, location, options| {
            engine.create_container(location, &new, options)
        })
        .await
    }

    async fn info(&self) -> Result<Option<ContainerInfo>> {
        match self.facts().await? {
            Some(Facts::Container(info)) => Ok(Some(info)),
            Some(Facts::Account(_)) => Err(wrong_kind()),
            None => Ok(None),
        }
    }

    async fn merge_items(&self, records: Vec<ObjectRecord>, options: MergeOptions) -> Result<()> {
        let op = match options.may_buffer && options.source.is_none() {
            true => Op::Put(records),
            false => Op::Merge {
                records,
                source: options.source,
            },
        };
        self.write("merge_items", op).await.map(drop)
    }

    async fn items_since(
        &self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>> {
        self.read_present("items_since", move |store| {
            store.rows_since(start, limit, filter)
        })
        .await
    }

    async fn list_objects(
        &self,
        query: &ListObjects,
        mut visitor: Box<dyn ObjectVisitor>,
    ) -> Result<Box<dyn ObjectVisitor>> {
        let mut recording = Recording::<KeptObject>::new();
        let slot = self.slot();
        let listed = slot.read_without_waiting(&self.options, |store| {
            self.require_short(store, query.names.limit)?;
            recording.reserve(query.names.limit.min(ENTRIES_WITHOUT_WAITING));
            ops::list_objects(store, query, &mut recording)
        });
        if listed.is_some() {
            recording.show(|entry| visitor.visit(entry));
            return Ok(visitor);
        }
        // Perhaps there are more rows than there were.
        self.rows.store(UNKNOWN, Ordering::Relaxed);
        let query = query.clone();
        self.read_present("list_objects", move |store| {
            ops::list_objects(store, &query, &mut *visitor)?;
            Ok(visitor)
        })
        .await
    }

    async fn remove_objects(&self, remove: &RemoveObjects) -> Result<()> {
        let op = Op::Own(ContainerWrite::Remove(remove.clone()));
        self.write("remove_objects", op).await.map(drop)
    }

    async fn set_storage_policy_index(
        &self,
        index: PolicyIndex,
        timestamp: Timestamp,
    ) -> Result<()> {
        let op = Op::Own(ContainerWrite::SetPolicy(index, timestamp));
        self.write("set_storage_policy_index", op).await.map(drop)
    }

    async fn set_marks(&self, marks: &ContainerMarks) -> Result<()> {
        self.write("set_marks", Op::Own(ContainerWrite::Marks(marks.clone())))
            .await
            .map(drop)
    }

    fn sharding(&self) -> Option<&dyn Sharding> {
        None
    }
}
