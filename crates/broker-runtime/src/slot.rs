//! One open store: its queue of writes, its writer, and idle readers.
//!
//! ```text
//! write ─► queue ─┐ one drain at a time          puts   ─► buffer, or one merge in one transaction
//! write ─► queue ─┴─► takes all that wait ─► runs of …
//! write ─► queue ─┘                              others ─► one transaction for all of them
//! ```

use crate::adapter::Shared;
use crate::ops;
use crate::sync::{Access, AccountStore, Buffered, ContainerStore, Store, SyncEngine};
use broker_api::{
    BrokerOptions, ContainerMarks, ContainerRecord, Direction, Error, ErrorKind, Location,
    MergeTimestamps, MetadataEntry, MetadataLimits, ObjectRecord, PolicyIndex, ReclaimAge,
    RemoveObjects, Reported, Result, StoreKind, SyncPoint, Timestamp,
};
use lru::LruCache;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The largest number of writes that one transaction takes together.
const MAX_GROUP: usize = 1024;

/// The largest number of writes that may wait for one store.
const MAX_WAITING: usize = 16_384;

/// Idle handles that a store keeps besides its writer.
const IDLE_READERS: usize = 2;

/// A write that accounts and containers have in common.
#[derive(Debug)]
pub(crate) enum Write {
    Delete(Timestamp),
    PutTimestamp(Timestamp),
    StatusChangedAt(Timestamp),
    MergeTimestamps(MergeTimestamps),
    Metadata(Vec<MetadataEntry>, Option<MetadataLimits>),
    SyncPoints(Direction, Vec<SyncPoint>),
    NewId {
        remote_id: String,
        new_id: String,
    },
    ReclaimPage {
        age: ReclaimAge,
        from: String,
        page: usize,
    },
    Upgrade,
}

/// What a write answers.
#[derive(Debug)]
pub(crate) enum Reply {
    Done,
    Reclaimed(ops::ReclaimedPage),
}

/// A write to a store of a kind whose records are `R` and whose own writes are `O`.
#[derive(Debug)]
pub(crate) enum Op<R, O> {
    /// Client writes, which may be buffered and need no row numbers.
    Put(Vec<R>),
    Merge {
        records: Vec<R>,
        source: Option<String>,
    },
    Store(Write),
    Own(O),
}

/// A write that only containers have.
#[derive(Debug)]
pub(crate) enum ContainerWrite {
    Remove(RemoveObjects),
    SetPolicy(PolicyIndex, Timestamp),
    Marks(ContainerMarks),
}

/// What differs between accounts and containers.
pub(crate) trait Kind<E: SyncEngine>: Send + Sync + Sized + 'static {
    const KIND: StoreKind;
    type Store: Store;
    type Record: Send + 'static;
    type Own: Send + 'static;

    fn table(shared: &Shared<E>) -> &Table<E, Self>;
    fn open(engine: &E, location: &Location) -> Result<Option<Self::Store>>;
    fn buffer(
        store: &mut Self::Store,
        records: &[Self::Record],
        options: &BrokerOptions,
    ) -> Result<Buffered>;
    fn merge(store: &mut Self::Store, records: &[Self::Record], source: Option<&str>)
    -> Result<()>;
    fn apply_own(store: &mut Self::Store, own: &Self::Own) -> Result<()>;
    fn forget_reported(store: &mut Self::Store) -> Result<()>;
}

/// Accounts.
#[derive(Debug)]
pub(crate) struct Accounts;

/// Containers.
#[derive(Debug)]
pub(crate) struct Containers;

impl<E: SyncEngine> Kind<E> for Accounts {
    const KIND: StoreKind = StoreKind::Account;
    type Store = E::Account;
    type Record = ContainerRecord;
    type Own = std::convert::Infallible;

    fn table(shared: &Shared<E>) -> &Table<E, Self> {
        &shared.accounts
    }

    fn open(engine: &E, location: &Location) -> Result<Option<Self::Store>> {
        engine.open_account(location)
    }

    fn buffer(
        store: &mut Self::Store,
        records: &[ContainerRecord],
        options: &BrokerOptions,
    ) -> Result<Buffered> {
        store.buffer(records, options)
    }

    fn merge(
        store: &mut Self::Store,
        records: &[ContainerRecord],
        source: Option<&str>,
    ) -> Result<()> {
        ops::merge_containers(store, records, source)
    }

    fn apply_own(_: &mut Self::Store, own: &Self::Own) -> Result<()> {
        match *own {}
    }

    fn forget_reported(_: &mut Self::Store) -> Result<()> {
        Ok(())
    }
}

impl<E: SyncEngine> Kind<E> for Containers {
    const KIND: StoreKind = StoreKind::Container;
    type Store = E::Container;
    type Record = ObjectRecord;
    type Own = ContainerWrite;

    fn table(shared: &Shared<E>) -> &Table<E, Self> {
        &shared.containers
    }

    fn open(engine: &E, location: &Location) -> Result<Option<Self::Store>> {
        engine.open_container(location)
    }

    fn buffer(
        store: &mut Self::Store,
        records: &[ObjectRecord],
        options: &BrokerOptions,
    ) -> Result<Buffered> {
        store.buffer(records, options)
    }

    fn merge(
        store: &mut Self::Store,
        records: &[ObjectRecord],
        source: Option<&str>,
    ) -> Result<()> {
        ops::merge_objects(store, records, source)
    }

    fn apply_own(store: &mut Self::Store, own: &ContainerWrite) -> Result<()> {
        match own {
            ContainerWrite::Remove(remove) => store.remove_objects(remove),
            ContainerWrite::SetPolicy(index, at) => {
                ops::set_storage_policy_index(store, *index, *at)
            }
            ContainerWrite::Marks(marks) => store.set_marks(marks),
        }
    }

    fn forget_reported(store: &mut Self::Store) -> Result<()> {
        let mut marks = ContainerMarks::default();
        marks.reported = Some(Reported::default());
        store.set_marks(&marks)
    }
}

type OpOf<E, K> = Op<<K as Kind<E>>::Record, <K as Kind<E>>::Own>;

struct Waiting<E: SyncEngine, K: Kind<E>> {
    op: OpOf<E, K>,
    options: BrokerOptions,
    reply: oneshot::Sender<Result<Reply>>,
}

struct Queue<E: SyncEngine, K: Kind<E>> {
    waiting: VecDeque<Waiting<E, K>>,
    draining: bool,
}

/// One store that was used lately.
pub(crate) struct Slot<E: SyncEngine, K: Kind<E>> {
    location: Location,
    queue: Mutex<Queue<E, K>>,
    writer: Mutex<Option<K::Store>>,
    idle: Mutex<Vec<K::Store>>,
}

/// The stores that were used lately, up to a number.
pub(crate) struct Table<E: SyncEngine, K: Kind<E>> {
    slots: Mutex<LruCache<Location, Arc<Slot<E, K>>>>,
}

impl<E: SyncEngine, K: Kind<E>> Table<E, K> {
    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        Self {
            slots: Mutex::new(LruCache::new(capacity)),
        }
    }

    /// The slot of a location; the one used longest ago may be closed for it.
    pub(crate) fn slot(&self, location: &Location) -> Arc<Slot<E, K>> {
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.get(location) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot {
            location: location.clone(),
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                draining: false,
            }),
            writer: Mutex::new(None),
            idle: Mutex::new(Vec::new()),
        });
        let evicted = slots.push(location.clone(), Arc::clone(&slot));
        drop(slots);
        // Closing a store may take time: not under the lock of the table.
        drop(evicted);
        slot
    }

    /// Closes the handles of a location, as before it is removed or moved away.
    pub(crate) fn close(&self, location: &Location) {
        let slot = lock(&self.slots).pop(location);
        drop(slot);
    }
}

/// A poisoned lock means that a worker panicked; what it guards is still well-formed, since handles
/// are dropped on failure and queues change by whole entries.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E: SyncEngine, K: Kind<E>> Slot<E, K> {
    /// Queues a write; the receiver hears of its end.
    ///
    /// # Errors
    /// `Busy` when too many wait already.
    pub(crate) fn write(
        self: &Arc<Self>,
        shared: &Arc<Shared<E>>,
        op: OpOf<E, K>,
        options: BrokerOptions,
    ) -> Result<oneshot::Receiver<Result<Reply>>> {
        let (reply, receiver) = oneshot::channel();
        let mut queue = lock(&self.queue);
        if queue.waiting.len() >= MAX_WAITING {
            return Err(self.busy("too many writes wait for this store"));
        }
        if !queue.draining {
            let (slot, for_job) = (Arc::clone(self), Arc::clone(shared));
            let queued = shared.pool.submit(move || slot.drain(&for_job));
            queued.map_err(|_| self.busy("too many operations wait for a worker"))?;
            queue.draining = true;
        }
        queue.waiting.push_back(Waiting { op, options, reply });
        Ok(receiver)
    }

    /// Reads from the store; `None` when it is absent.
    pub(crate) fn read<R>(
        &self,
        shared: &Shared<E>,
        options: &BrokerOptions,
        read: impl FnOnce(&mut K::Store) -> Result<R>,
    ) -> Result<Option<R>> {
        let mut handle = lock(&self.idle).pop();
        let result = self.in_transaction(shared, &mut handle, Access::Read, options, read);
        match result {
            Ok(read) => {
                let mut idle = lock(&self.idle);
                if let Some(handle) = handle.filter(|_| idle.len() < IDLE_READERS) {
                    idle.push(handle);
                }
                Ok(Some(read))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn busy(&self, message: &str) -> Error {
        let error = Error::new(ErrorKind::Busy, message).on(&self.location);
        error.with_outcome(broker_api::Outcome::NotApplied)
    }

    /// Commits what waits, group by group, until nothing does.
    fn drain(self: &Arc<Self>, shared: &Shared<E>) {
        let _guard = DrainGuard(self);
        loop {
            let group: Vec<_> = {
                let mut queue = lock(&self.queue);
                let count = queue.waiting.len().min(MAX_GROUP);
                if count == 0 {
                    queue.draining = false;
                    return;
                }
                queue.waiting.drain(..count).collect()
            };
            self.commit_group(shared, group);
        }
    }

    fn commit_group(&self, shared: &Shared<E>, group: Vec<Waiting<E, K>>) {
        let mut group = group.into_iter().peekable();
        let is_put = |waiting: &Waiting<E, K>| matches!(waiting.op, Op::Put(_));
        while let Some(first) = group.next() {
            let puts = is_put(&first);
            let mut run = vec![first];
            while let Some(next) = group.next_if(|next| is_put(next) == puts) {
                run.push(next);
            }
            match puts {
                true => self.commit_puts(shared, run),
                false => self.commit_others(shared, run),
            }
        }
    }

    fn commit_puts(&self, shared: &Shared<E>, run: Vec<Waiting<E, K>>) {
        let options = run[0].options;
        let mut replies = Vec::with_capacity(run.len());
        let mut records = Vec::with_capacity(run.len());
        for waiting in run {
            if let Op::Put(put) = waiting.op {
                records.extend(put);
                replies.push(waiting.reply);
            }
        }
        let result = self.put(shared, &records, &options);
        for reply in replies {
            // Who waited may have gone; the write happened all the same.
            let _ = reply.send(result.clone().map(|()| Reply::Done));
        }
    }

    fn put(
        &self,
        shared: &Shared<E>,
        records: &[K::Record],
        options: &BrokerOptions,
    ) -> Result<()> {
        let mut writer = lock(&self.writer);
        let store = self.current(shared, &mut writer)?;
        match K::buffer(store, records, options) {
            Ok(Buffered::Yes) => return Ok(()),
            Ok(Buffered::No) => {}
            Err(error) => {
                *writer = None;
                return Err(self.failed(shared, error));
            }
        }
        self.in_transaction(shared, &mut writer, Access::Write, options, |store| {
            K::merge(store, records, None)
        })
    }

    fn commit_others(&self, shared: &Shared<E>, run: Vec<Waiting<E, K>>) {
        let options = run[0].options;
        let mut writer = lock(&self.writer);
        let result = self.in_transaction(shared, &mut writer, Access::Write, &options, |store| {
            let mut answers = Vec::with_capacity(run.len());
            for waiting in &run {
                match apply::<E, K>(store, &waiting.op) {
                    Err(error) if error.kind() != ErrorKind::InvalidInput => return Err(error),
                    answer => answers.push(answer.map_err(|error| error.on(&self.location))),
                }
            }
            Ok(answers)
        });
        drop(writer);
        match result {
            Ok(answers) => {
                for (waiting, answer) in run.into_iter().zip(answers) {
                    let _ = waiting.reply.send(answer);
                }
            }
            Err(error) => {
                for waiting in run {
                    let _ = waiting.reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Runs `work` in a transaction of `handle`, opened or reopened as needed. After a failure
    /// other than bad input, the handle is closed.
    fn in_transaction<R>(
        &self,
        shared: &Shared<E>,
        handle: &mut Option<K::Store>,
        access: Access,
        options: &BrokerOptions,
        work: impl FnOnce(&mut K::Store) -> Result<R>,
    ) -> Result<R> {
        let store = self.current(shared, handle)?;
        let result = store.begin(access, options).and_then(|()| {
            let result = work(store)?;
            store.commit()?;
            Ok(result)
        });
        match result {
            Ok(result) => Ok(result),
            Err(error) => {
                store.rollback();
                *handle = None;
                Err(self.failed(shared, error))
            }
        }
    }

    fn current<'a>(
        &self,
        shared: &Shared<E>,
        handle: &'a mut Option<K::Store>,
    ) -> Result<&'a mut K::Store> {
        let still = match handle {
            Some(store) => store
                .is_current()
                .map_err(|error| self.failed(shared, error))?,
            None => false,
        };
        if !still {
            *handle = None;
            *handle = K::open(&shared.engine, &self.location)
                .map_err(|error| self.failed(shared, error))?;
        }
        handle
            .as_mut()
            .ok_or_else(|| Error::not_found().on(&self.location))
    }

    /// Names the store in an error, and quarantines the store when that is what the error asks for.
    fn failed(&self, shared: &Shared<E>, error: Error) -> Error {
        let error = error.on(&self.location);
        if error.kind() == ErrorKind::Corrupt {
            lock(&self.idle).clear();
            let moved = shared.engine.quarantine(&self.location, error.message());
            match moved {
                Ok(()) => {
                    tracing::error!("quarantined {} due to {}", self.location, error.message());
                }
                Err(reason) => tracing::error!("cannot quarantine {}: {reason}", self.location),
            }
        }
        error
    }
}

fn apply<E: SyncEngine, K: Kind<E>>(store: &mut K::Store, op: &OpOf<E, K>) -> Result<Reply> {
    match op {
        Op::Put(records) => K::merge(store, records, None)?,
        Op::Merge { records, source } => K::merge(store, records, source.as_deref())?,
        Op::Own(own) => K::apply_own(store, own)?,
        Op::Store(write) => return apply_common::<E, K>(store, write),
    }
    Ok(Reply::Done)
}

fn apply_common<E: SyncEngine, K: Kind<E>>(store: &mut K::Store, write: &Write) -> Result<Reply> {
    match write {
        Write::Delete(at) => ops::delete(store, *at)?,
        Write::PutTimestamp(at) => ops::update_put_timestamp(store, *at)?,
        Write::StatusChangedAt(at) => ops::update_status_changed_at(store, *at)?,
        Write::MergeTimestamps(merge) => ops::merge_timestamps(store, merge)?,
        Write::Metadata(updates, limits) => {
            ops::update_metadata(store, updates, limits.as_ref())?;
        }
        Write::SyncPoints(direction, points) => {
            ops::merge_sync_points(store, *direction, points)?;
        }
        Write::NewId { remote_id, new_id } => {
            ops::new_id(store, remote_id, new_id)?;
            K::forget_reported(store)?;
        }
        Write::ReclaimPage { age, from, page } => {
            return ops::reclaim_page(store, age, from, *page).map(Reply::Reclaimed);
        }
        Write::Upgrade => store.upgrade()?,
    }
    Ok(Reply::Done)
}

/// Lets the store be drained again when a drain ends by a panic; those who waited hear of it by
/// their channels being dropped.
struct DrainGuard<'a, E: SyncEngine, K: Kind<E>>(&'a Slot<E, K>);

impl<E: SyncEngine, K: Kind<E>> Drop for DrainGuard<'_, E, K> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = lock(&self.0.queue);
            queue.draining = false;
            queue.waiting.clear();
        }
    }
}
