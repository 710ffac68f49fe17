//! One open store: its queue of writes, its writer, and idle readers.
//!
//! ```text
//! write ─► queue ─┐ one drain at a time          puts   ─► buffer, or one merge in one transaction
//! write ─► queue ─┴─► takes all that wait ─► runs of …
//! write ─► queue ─┘                              others ─► one transaction for all of them
//! read  ─► idle reader, without waiting ─► turn ─► idle reader, or a new one
//! buffer that fills up ─► turn ─► merger, while the writer goes on
//! ```
//!
//! A store that is stuck, because another process holds it or its device is slow, must not take all
//! workers with it: writes have one worker, reads a number of turns, and a store that is written to
//! without end goes behind the others after every group.

use crate::adapter::Shared;
use crate::pool::QueueFull;
use crate::sync::{Access, Buffered, Store, SyncEngine};
use crate::write::{Kind, Op, OpOf, Reply, apply};
use broker_api::{BrokerOptions, Error, ErrorKind, Facts, Location, Result};
use lru::LruCache;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The largest number of writes that one transaction takes together.
const MAX_GROUP: usize = 1024;

/// A transaction that has so many records takes no further writes.
const MAX_GROUP_RECORDS: usize = 10_000;

/// The largest number of records that may wait for one store; a single write may have more.
const MAX_WAITING_RECORDS: usize = 65_536;

/// The largest number of reads that may wait for one store or run.
const MAX_WAITING_READS: usize = 16_384;

/// How many stores an eviction looks at before it lets the table grow for a moment.
const EVICTION_TRIES: usize = 8;

/// So many times the facts of a store are shown that its engine remembers before it is opened for them.
const REMEMBERED: usize = 8;

/// Idle handles that a store keeps besides its writer.
const IDLE_READERS: usize = 2;

struct Waiting<E: SyncEngine, K: Kind<E>> {
    op: OpOf<E, K>,
    options: BrokerOptions,
    reply: oneshot::Sender<Result<Reply>>,
}

struct Queue<E: SyncEngine, K: Kind<E>> {
    waiting: VecDeque<Waiting<E, K>>,
    /// Records of all that wait.
    weight: usize,
    draining: bool,
}

/// One store that was used lately.
pub(crate) struct Slot<E: SyncEngine, K: Kind<E>> {
    location: Location,
    queue: Mutex<Queue<E, K>>,
    writer: Mutex<Option<K::Store>>,
    /// What merges the buffer, of engines that have one.
    merger: Mutex<Option<K::Store>>,
    /// Whether it does, or will soon.
    merging: AtomicBool,
    idle: Mutex<Vec<K::Store>>,
    /// How often facts were shown that the engine remembers.
    remembered: AtomicUsize,
    room: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    quarantining: Mutex<()>,
}

/// The right to occupy a worker with a store, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _room: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

type Shelved<E, K> = Arc<Slot<E, K>>;

/// The stores that were used lately, up to a number.
///
/// A location has one slot, so that there is one writer: slots in use are not evicted, and stay when
/// their store is removed.
pub(crate) struct Table<E: SyncEngine, K: Kind<E>> {
    slots: Mutex<LruCache<Location, Shelved<E, K>>>,
    capacity: NonZeroUsize,
    turns: usize,
}

impl<E: SyncEngine, K: Kind<E>> Table<E, K> {
    /// Keeps `capacity` stores open, each with `turns` readers at a time.
    pub(crate) fn new(capacity: NonZeroUsize, turns: usize) -> Self {
        Self {
            slots: Mutex::new(LruCache::unbounded()),
            capacity,
            turns,
        }
    }

    /// The slot of a location, and slots used longest ago that make room for it. Closing those takes
    /// time: the caller drops them on a worker.
    pub(crate) fn slot(&self, location: &Location) -> (Shelved<E, K>, Vec<Shelved<E, K>>) {
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.get(location) {
            return (Arc::clone(slot), Vec::new());
        }
        let mut evicted = Vec::new();
        for _ in 0..EVICTION_TRIES {
            if slots.len() < self.capacity.get() {
                break;
            }
            match slots.pop_lru() {
                // Others can come to hold it only through the table.
                Some((_, slot)) if Arc::strong_count(&slot) == 1 => evicted.push(slot),
                Some((location, slot)) => drop(slots.push(location, slot)),
                None => {}
            }
        }
        let slot = Arc::new(Slot::new(location, self.turns));
        slots.push(location.clone(), Arc::clone(&slot));
        (slot, evicted)
    }

    /// Closes the handles of a location, as before it is removed or moved away. One that is in use
    /// finds out by itself.
    pub(crate) fn close(&self, location: &Location) {
        let slot = lock(&self.slots).peek(location).cloned();
        if let Some(slot) = slot {
            let idle = std::mem::take(&mut *lock(&slot.idle));
            drop(idle);
            for handle in [&slot.writer, &slot.merger] {
                if let Ok(mut handle) = handle.try_lock() {
                    *handle = None;
                }
            }
        }
    }
}

/// A poisoned lock means that a worker panicked; what it guards is still well-formed, since handles
/// are dropped on failure and queues change by whole entries.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E: SyncEngine, K: Kind<E>> Slot<E, K> {
    fn new(location: &Location, turns: usize) -> Self {
        Self {
            location: location.clone(),
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                weight: 0,
                draining: false,
            }),
            writer: Mutex::new(None),
            merger: Mutex::new(None),
            merging: AtomicBool::new(false),
            idle: Mutex::new(Vec::new()),
            remembered: AtomicUsize::new(0),
            room: Arc::new(Semaphore::new(MAX_WAITING_READS)),
            turns: Arc::new(Semaphore::new(turns)),
            quarantining: Mutex::new(()),
        }
    }

    /// Waits until the store may occupy one more worker, in order of arrival.
    ///
    /// # Errors
    /// `Busy` when too many wait already.
    pub(crate) async fn turn(&self) -> Result<Turn> {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let room = room.map_err(|_| self.busy("too many operations wait for this store"))?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        Ok(Turn {
            _room: room,
            _turn: turn.expect("turns are never closed"),
        })
    }

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
        let weight = queue.weight + op.weight();
        if weight > MAX_WAITING_RECORDS && !queue.waiting.is_empty() {
            return Err(self.busy("too many writes wait for this store"));
        }
        if !queue.draining {
            self.drain_later(shared)
                .map_err(|_| self.busy("too many operations wait for a worker"))?;
            queue.draining = true;
        }
        queue.weight = weight;
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

    /// The facts; `None` when the store is absent. It is opened for them when the engine does not remember them, or
    /// when they are asked for again and again: an open handle answers without a worker.
    pub(crate) fn facts(
        &self,
        shared: &Shared<E>,
        options: &BrokerOptions,
    ) -> Result<Option<Facts>> {
        let is_open = !lock(&self.idle).is_empty();
        if !is_open
            && self.remembered.load(Ordering::Relaxed) < REMEMBERED
            && let Some(facts) = shared.engine.remembered_facts(&self.location, options)
        {
            self.remembered.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(facts));
        }
        self.read(shared, options, Store::facts)
    }

    /// Reads on the calling thread what an open handle answers from memory; `None` when that is not possible, or
    /// when it fails: a read that may wait then finds out why.
    pub(crate) fn read_without_waiting<R>(
        &self,
        options: &BrokerOptions,
        read: impl FnOnce(&mut K::Store) -> Result<R>,
    ) -> Option<R> {
        let mut store = lock(&self.idle).pop()?;
        let answer = store.begin_without_waiting(options).then(|| {
            let answer = read(&mut store).and_then(|answer| store.commit().map(|()| answer));
            store.rollback();
            answer.ok()
        });
        // However many there are: closing one might wait.
        lock(&self.idle).push(store);
        answer.flatten()
    }

    fn busy(&self, message: &str) -> Error {
        let error = Error::new(ErrorKind::Busy, message).on(&self.location);
        error.with_outcome(broker_api::Outcome::NotApplied)
    }

    fn drain_later(
        self: &Arc<Self>,
        shared: &Arc<Shared<E>>,
    ) -> std::result::Result<(), QueueFull> {
        let (slot, for_job) = (Arc::clone(self), Arc::clone(shared));
        shared.pool.submit(move || slot.drain(&for_job))
    }

    /// Commits what waits, group by group, until nothing does. After each group others that wait for
    /// a worker have theirs.
    fn drain(self: &Arc<Self>, shared: &Arc<Shared<E>>) {
        let _guard = DrainGuard { slot: self, shared };
        while let Some(group) = self.next_group() {
            self.commit_group(shared, group);
            let goes_on = !lock(&self.queue).waiting.is_empty();
            if goes_on && shared.pool.depth() > 0 && self.drain_later(shared).is_ok() {
                return;
            }
        }
    }

    /// What is committed next; `None` ends the drain.
    fn next_group(&self) -> Option<Vec<Waiting<E, K>>> {
        let mut queue = lock(&self.queue);
        let mut records = 0;
        let has_room = |waiting: &&Waiting<E, K>| {
            let has_room = records < MAX_GROUP_RECORDS;
            records += waiting.op.weight();
            has_room
        };
        let first = queue.waiting.iter().take(MAX_GROUP);
        let count = first.take_while(has_room).count();
        if count == 0 {
            queue.draining = false;
            return None;
        }
        let group: Vec<_> = queue.waiting.drain(..count).collect();
        queue.weight -= group.iter().map(|w| w.op.weight()).sum::<usize>();
        Some(group)
    }

    fn commit_group(self: &Arc<Self>, shared: &Arc<Shared<E>>, group: Vec<Waiting<E, K>>) {
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

    fn commit_puts(self: &Arc<Self>, shared: &Arc<Shared<E>>, run: Vec<Waiting<E, K>>) {
        let options = most_patient(&run);
        let mut replies = Vec::with_capacity(run.len());
        let mut records = Vec::with_capacity(run.len());
        for waiting in run {
            if let Op::Put(put) = waiting.op {
                replies.push((put.len(), waiting.reply));
                records.extend(put);
            }
        }
        let mut rest = &records[..];
        let each = |(length, _): &(usize, _)| {
            let (first, later) = rest.split_at(*length);
            rest = later;
            first
        };
        let puts: Vec<_> = replies.iter().map(each).collect();
        let mut fills_up = false;
        let answers =
            self.with_writer(
                |writer| match self.buffer(shared, writer, &records, &options) {
                    Ok(buffered @ (Buffered::Yes | Buffered::Filling)) => {
                        fills_up = buffered == Buffered::Filling;
                        vec![Ok(Reply::Done); puts.len()]
                    }
                    Ok(Buffered::No) => self.merge_puts(shared, writer, &options, &records, &puts),
                    Err(error) => vec![Err(error); puts.len()],
                },
            );
        for ((_, reply), answer) in replies.into_iter().zip(answers) {
            // Who waited may have gone; the write happened all the same.
            let _ = reply.send(answer);
        }
        if fills_up {
            self.merge_later(shared, options);
        }
    }

    /// Merges puts in one transaction: together when that makes no difference.
    fn merge_puts(
        &self,
        shared: &Shared<E>,
        writer: &mut Option<K::Store>,
        options: &BrokerOptions,
        records: &[K::Record],
        puts: &[&[K::Record]],
    ) -> Vec<Result<Reply>> {
        self.commit_all(
            shared,
            writer,
            options,
            puts.len(),
            |store| match K::merge_distinct(store, records) {
                Ok(true) => Ok(vec![Ok(Reply::Done); puts.len()]),
                Err(error) if error.kind() != ErrorKind::InvalidInput => Err(error),
                _ => self.make_each(store, puts, |store, put| {
                    K::merge(store, put, None).map(|()| Reply::Done)
                }),
            },
        )
    }

    /// Merges the buffer on another worker, so that the next writes need not. When no worker can be had, the next
    /// write tries again, and the one that finds the buffer full merges it.
    fn merge_later(self: &Arc<Self>, shared: &Arc<Shared<E>>, options: BrokerOptions) {
        let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() else {
            return;
        };
        if self.merging.swap(true, Ordering::AcqRel) {
            return;
        }
        let merging = Merging(Arc::clone(self));
        let for_job = Arc::clone(shared);
        // Dropped with all it holds when the queue is full.
        let _ = shared.pool.submit(move || {
            let (merging, _turn) = (merging, turn);
            merging.0.merge_buffered(&for_job, &options);
        });
    }

    fn merge_buffered(&self, shared: &Shared<E>, options: &BrokerOptions) {
        let mut merger = lock(&self.merger);
        // A panic closes the handle.
        let mut handle = merger.take();
        let merged = match self.current(shared, &mut handle) {
            Ok(store) => match store.merge_buffered(options) {
                Err(error) if error.kind() != ErrorKind::Busy => {
                    Err(self.failed(shared, error, handle.take()))
                }
                merged => merged,
            },
            Err(error) => Err(error),
        };
        if let Err(error) = merged {
            tracing::debug!("buffered records of {} stay so: {error}", self.location);
        }
        *merger = handle;
    }

    fn buffer(
        &self,
        shared: &Shared<E>,
        writer: &mut Option<K::Store>,
        records: &[K::Record],
        options: &BrokerOptions,
    ) -> Result<Buffered> {
        let store = self.current(shared, writer)?;
        K::buffer(store, records, options)
            .map_err(|error| self.failed(shared, error, writer.take()))
    }

    fn commit_others(&self, shared: &Shared<E>, run: Vec<Waiting<E, K>>) {
        let options = most_patient(&run);
        let answers = self.with_writer(|writer| {
            self.commit_all(shared, writer, &options, run.len(), |store| {
                self.make_each(store, &run, |store, waiting| {
                    apply::<E, K>(store, &waiting.op)
                })
            })
        });
        for (waiting, answer) in run.into_iter().zip(answers) {
            let _ = waiting.reply.send(answer);
        }
    }

    /// Gives the writer to `work`. A panic closes it, and with it its transaction and its locks.
    fn with_writer<T>(&self, work: impl FnOnce(&mut Option<K::Store>) -> T) -> T {
        let mut writer = lock(&self.writer);
        let mut handle = writer.take();
        let done = work(&mut handle);
        *writer = handle;
        done
    }

    /// Makes so many writes in one transaction. What fails it fails all of them.
    fn commit_all(
        &self,
        shared: &Shared<E>,
        writer: &mut Option<K::Store>,
        options: &BrokerOptions,
        count: usize,
        make: impl FnOnce(&mut K::Store) -> Result<Vec<Result<Reply>>>,
    ) -> Vec<Result<Reply>> {
        let committed = self.in_transaction(shared, writer, Access::Write, options, make);
        committed.unwrap_or_else(|error| vec![Err(error); count])
    }

    /// Makes writes one after the other. Bad input fails alone.
    fn make_each<W>(
        &self,
        store: &mut K::Store,
        writes: &[W],
        write: impl Fn(&mut K::Store, &W) -> Result<Reply>,
    ) -> Result<Vec<Result<Reply>>> {
        let mut answers = Vec::with_capacity(writes.len());
        for one in writes {
            match write(store, one) {
                Err(error) if error.kind() != ErrorKind::InvalidInput => return Err(error),
                answer => answers.push(answer.map_err(|error| error.on(&self.location))),
            }
        }
        Ok(answers)
    }

    /// Runs `work` in a transaction of `handle`, opened or reopened as needed. After a failure the
    /// handle is closed.
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
                Err(self.failed(shared, error, handle.take()))
            }
        }
    }

    fn current<'a>(
        &self,
        shared: &Shared<E>,
        handle: &'a mut Option<K::Store>,
    ) -> Result<&'a mut K::Store> {
        let still = handle.as_mut().map_or(Ok(false), Store::is_current);
        if !still.map_err(|error| self.failed(shared, error, None))? {
            *handle = None;
            *handle = K::open(&shared.engine, &self.location)
                .map_err(|error| self.failed(shared, error, None))?;
        }
        handle
            .as_mut()
            .ok_or_else(|| Error::not_found().on(&self.location))
    }

    /// Names the store in an error, and quarantines the store when that is what the error asks for.
    /// `failed` is the handle that failed; there is none when the store did not open.
    fn failed(&self, shared: &Shared<E>, error: Error, failed: Option<K::Store>) -> Error {
        let error = error.on(&self.location);
        if error.kind() == ErrorKind::Corrupt {
            self.quarantine(shared, failed, error.message());
        }
        error
    }

    /// Moves the store away, unless others did so since it failed: what is there now may be good.
    fn quarantine(&self, shared: &Shared<E>, failed: Option<K::Store>, reason: &str) {
        let _one_at_a_time = lock(&self.quarantining);
        let is_same = match failed {
            Some(mut store) => store.is_current().unwrap_or(false),
            None => K::open(&shared.engine, &self.location)
                .is_err_and(|error| error.kind() == ErrorKind::Corrupt),
        };
        if !is_same {
            return;
        }
        let idle = std::mem::take(&mut *lock(&self.idle));
        drop(idle);
        match shared.engine.quarantine(&self.location, reason) {
            Ok(()) => tracing::error!("quarantined {} due to {reason}", self.location),
            Err(error) => tracing::error!("cannot quarantine {}: {error}", self.location),
        }
    }
}

/// How long writes that are committed together wait: as long as any of them would alone.
fn most_patient<E: SyncEngine, K: Kind<E>>(run: &[Waiting<E, K>]) -> BrokerOptions {
    let mut options = run[0].options;
    for waiting in run {
        options.timeout = options.timeout.max(waiting.options.timeout);
        options.pending_timeout = options.pending_timeout.max(waiting.options.pending_timeout);
    }
    options
}

/// Until the buffer is merged, or cannot be.
struct Merging<E: SyncEngine, K: Kind<E>>(Arc<Slot<E, K>>);

impl<E: SyncEngine, K: Kind<E>> Drop for Merging<E, K> {
    fn drop(&mut self) {
        self.0.merging.store(false, Ordering::Release);
    }
}

/// Goes on with what still waits when a drain ends by a panic. Those whose group it was hear of it by
/// their channels being dropped.
struct DrainGuard<'a, E: SyncEngine, K: Kind<E>> {
    slot: &'a Arc<Slot<E, K>>,
    shared: &'a Arc<Shared<E>>,
}

impl<E: SyncEngine, K: Kind<E>> Drop for DrainGuard<'_, E, K> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let mut queue = lock(&self.slot.queue);
        let goes_on = !queue.waiting.is_empty() && self.slot.drain_later(self.shared).is_ok();
        if !goes_on {
            queue.draining = false;
            queue.weight = 0;
            queue.waiting.clear();
        }
    }
}
