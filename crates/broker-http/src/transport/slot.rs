//! Who waits for what until when.
//!
//! Each connection has a [`Slot`] in the [`Registry`]. A connection that waits writes its deadline
//! and its waker there; one task, the reaper, goes through all slots a few times per timeout and
//! wakes those whose deadline has passed. So a wait costs a few stores to memory and no timer,
//! which matters because every request ends in one.
//!
//! ```text
//!  HEAD: no request yet, may be evicted ──► ACTIVE: a request runs ──► HEAD ...
//!    └──────────────► EVICTED: room was needed, the connection closes itself
//! ```

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

const ACTIVE: u8 = 0;
const HEAD: u8 = 1;
const EVICTED: u8 = 2;

const SHARDS: usize = 16;

/// Locks a mutex whose data stays usable when a holder panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since a server began, from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> u64 {
        1 + millis(self.0.elapsed())
    }
}

/// Returns a duration in whole milliseconds, at least 1 unless it is zero.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// One wait: until when, and whom to wake then.
#[derive(Debug, Default)]
pub(super) struct Wait {
    /// 0 when there is none.
    deadline: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Wait {
    pub(super) fn arm(&self, deadline: u64) {
        self.deadline.store(deadline, Ordering::SeqCst);
    }

    /// Moves the deadline forward; it is never put off.
    pub(super) fn arm_earlier(&self, deadline: u64) {
        self.deadline.fetch_min(deadline, Ordering::SeqCst);
    }

    pub(super) fn disarm(&self) {
        self.deadline.store(0, Ordering::SeqCst);
    }

    pub(super) fn is_expired(&self, now: u64) -> bool {
        let deadline = self.deadline.load(Ordering::SeqCst);
        deadline != 0 && deadline <= now
    }

    /// Remembers whom to wake. To be called before the state that is waited for is looked at.
    pub(super) fn register(&self, waker: &Waker) {
        let mut held = lock(&self.waker);
        match held.as_mut() {
            Some(held) => held.clone_from(waker),
            None => *held = Some(waker.clone()),
        }
    }

    fn wake(&self) {
        let waker = lock(&self.waker).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn wake_if_expired(&self, now: u64) {
        if self.is_expired(now) {
            self.wake();
        }
    }
}

/// What the server knows of one connection.
#[derive(Debug, Default)]
pub(super) struct Slot {
    phase: AtomicU8,
    since: AtomicU64,
    pub(super) read: Wait,
    pub(super) write: Wait,
    task: OnceLock<AbortHandle>,
}

impl Slot {
    /// Begins to wait for a request head: from now on the connection may be evicted.
    pub(super) fn begin_head(&self, now: u64, deadline: u64) {
        self.since.store(now, Ordering::SeqCst);
        self.read.arm(deadline);
        self.phase.store(HEAD, Ordering::SeqCst);
    }

    /// Ends that wait; false if the connection was evicted meanwhile.
    pub(super) fn end_head(&self) -> bool {
        self.read.disarm();
        let change = self
            .phase
            .compare_exchange(HEAD, ACTIVE, Ordering::SeqCst, Ordering::SeqCst);
        change.is_ok()
    }

    pub(super) fn is_evicted(&self) -> bool {
        self.phase.load(Ordering::SeqCst) == EVICTED
    }

    /// Remembers the task, so that it can be stopped whatever it does.
    pub(super) fn set_task(&self, task: AbortHandle) {
        // A slot belongs to one task, so that there is nothing to replace.
        let _ = self.task.set(task);
    }

    fn evict(&self) -> bool {
        let change = self
            .phase
            .compare_exchange(HEAD, EVICTED, Ordering::SeqCst, Ordering::SeqCst);
        if change.is_ok() {
            self.read.wake();
        }
        change.is_ok()
    }
}

/// How patient the transport is with a client that has to send or to take something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Milliseconds without any progress.
    pub(super) timeout: u64,
    /// Bytes per second on average, once the timeout is used up in small pieces.
    pub(super) min_rate: u32,
}

/// How far a body has got, and how long it was waited for.
#[derive(Debug, Default)]
pub(super) struct Progress {
    bytes: u64,
    waited: u64,
    waiting_since: Option<u64>,
}

impl Progress {
    /// Counts what a socket gave or took, and ends the wait for it if there was one.
    pub(super) fn moved(&mut self, bytes: usize, wait: &Wait, clock: Clock) {
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.settle(wait, clock);
    }

    fn settle(&mut self, wait: &Wait, clock: Clock) {
        if let Some(since) = self.waiting_since.take() {
            let waited = clock.now().saturating_sub(since);
            self.waited = self.waited.saturating_add(waited);
            wait.disarm();
        }
    }

    /// Passes on whether a socket is ready, and fails when the client took too long.
    pub(super) fn poll_wait(
        &mut self,
        wait: &Wait,
        (clock, patience): (Clock, Patience),
        cx: &Context<'_>,
        ready: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        if ready.is_ready() {
            self.settle(wait, clock);
            return ready;
        }
        let now = clock.now();
        if self.waiting_since.is_none() {
            self.waiting_since = Some(now);
            let earned = self.bytes.saturating_mul(1000) / u64::from(patience.min_rate.max(1));
            let left = patience
                .timeout
                .saturating_add(earned)
                .saturating_sub(self.waited);
            wait.arm(now.saturating_add(left.min(patience.timeout)));
        }
        wait.register(cx.waker());
        if !wait.is_expired(now) {
            return Poll::Pending;
        }
        wait.disarm();
        self.waiting_since = None;
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client is too slow",
        )))
    }
}

/// The connections of one generation of a server.
#[derive(Debug)]
pub(super) struct Registry {
    shards: [Mutex<HashMap<u64, Arc<Slot>>>; SHARDS],
    next_id: AtomicU64,
    open: AtomicUsize,
    draining: AtomicBool,
    closed: Notify,
}

impl Registry {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            next_id: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            closed: Notify::new(),
        })
    }

    /// Adds a connection, until the returned guard is dropped.
    pub(super) fn add(self: &Arc<Self>) -> Registered {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let slot = Arc::new(Slot::default());
        self.open.fetch_add(1, Ordering::SeqCst);
        lock(self.shard(id)).insert(id, Arc::clone(&slot));
        Registered {
            registry: Arc::clone(self),
            id,
            slot,
        }
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Lets no connection begin another request unless it is already on its way.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.each(|slot| slot.read.wake());
    }

    /// Returns once no connection is left.
    pub(super) async fn wait_empty(&self) {
        loop {
            let closed = self.closed.notified();
            if self.open() == 0 {
                return;
            }
            closed.await;
        }
    }

    /// Returns after the next connection is closed.
    pub(super) async fn wait_closed(&self) {
        self.closed.notified().await;
    }

    /// Closes up to `count` connections, those that have waited longest for a request, and returns
    /// how many.
    pub(super) fn evict_oldest(&self, count: usize) -> usize {
        let mut waiting = Vec::new();
        self.each(|slot| {
            if slot.phase.load(Ordering::SeqCst) == HEAD {
                waiting.push((slot.since.load(Ordering::SeqCst), Arc::clone(slot)));
            }
        });
        if count < waiting.len() {
            waiting.select_nth_unstable_by_key(count, |(since, _)| *since);
            waiting.truncate(count);
        }
        waiting.iter().filter(|(_, slot)| slot.evict()).count()
    }

    /// Stops every connection, whatever it does, and returns how many there were.
    pub(super) fn abort_all(&self) -> usize {
        let mut count = 0;
        self.each(|slot| {
            if let Some(task) = slot.task.get() {
                task.abort();
                count += 1;
            }
        });
        count
    }

    fn shard(&self, id: u64) -> &Mutex<HashMap<u64, Arc<Slot>>> {
        let index = usize::try_from(id % SHARDS as u64).unwrap_or_default();
        &self.shards[index]
    }

    fn each(&self, mut visit: impl FnMut(&Arc<Slot>)) {
        for shard in &self.shards {
            lock(shard).values().for_each(&mut visit);
        }
    }
}

/// A connection's place in the registry.
#[derive(Debug)]
pub(super) struct Registered {
    registry: Arc<Registry>,
    id: u64,
    slot: Arc<Slot>,
}

impl Registered {
    pub(super) fn slot(&self) -> &Slot {
        &self.slot
    }

    pub(super) fn share_slot(&self) -> Arc<Slot> {
        Arc::clone(&self.slot)
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(self.registry.shard(self.id)).remove(&self.id);
        self.registry.open.fetch_sub(1, Ordering::SeqCst);
        self.registry.closed.notify_waiters();
    }
}

/// Wakes connections whose deadline has passed, until the registry is gone.
pub(super) async fn reap(registry: Weak<Registry>, clock: Clock, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(registry) = registry.upgrade() else {
            return;
        };
        let now = clock.now();
        registry.each(|slot| {
            slot.read.wake_if_expired(now);
            slot.write.wake_if_expired(now);
        });
    }
}
