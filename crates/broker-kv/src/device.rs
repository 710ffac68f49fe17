//! One open database: which stores it has, who uses them, and how they come and go.

use crate::gaps::Gaps;
use crate::keys::{self, Number, StoreKeys, space};
use crate::ordered::{Batch, OrderedStore, View, Walk};
use crate::sync_group::SyncGroup;
use crate::value;
use broker_api::{Error, ErrorKind, Facts, Initialized, Location, Outcome, Result};
use broker_runtime::landings::Room;
use parking_lot::{Mutex, RawMutex, RawRwLock, RwLock, lock_api};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The version of the layout of keys.
const LAYOUT: u64 = 1;

/// How long removing and quarantining wait for the operations of a store that are going on.
pub(crate) const REMOVAL_TIMEOUT: Duration = Duration::from_secs(25);

/// Holds a store's only writer.
pub(crate) type WriterGuard = lock_api::ArcMutexGuard<RawMutex, ()>;

/// Keeps commits of a store away from a reader.
pub(crate) type ReaderGuard = lock_api::ArcRwLockReadGuard<RawRwLock, ()>;

/// What all handles of one store share. It lives as long as any of them, or as a removal.
#[derive(Debug, Default)]
pub(crate) struct StoreLock {
    writer: Arc<Mutex<()>>,
    /// Readers hold it shared; removals alone, and commits to live views, only while they are applied.
    rows: Arc<RwLock<()>>,
    gone: AtomicBool,
    /// Where the store is known to hold no keys, and where seeks come down. Whoever changes keys must say so here.
    pub(crate) gaps: Arc<Gaps>,
    /// The last of its commits that is known to be synced, by the count of [`Gaps`].
    synced: AtomicU64,
    /// The facts that a transaction found or left, and the last commit that they hold.
    known: Mutex<Option<(u64, Arc<Facts>)>>,
    /// For writers, who need not look for what is not there.
    tombstones: Mutex<Tombstones>,
}

/// What is known of a store's tombstones.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tombstones {
    #[default]
    Unknown,
    None,
    /// There may be some.
    Perhaps,
}

impl StoreLock {
    /// Tells all handles that the store was removed or quarantined.
    pub(crate) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Whether the store was removed or quarantined.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Becomes the writer.
    pub(crate) fn write(&self, timeout: Duration) -> Result<WriterGuard> {
        let guard = self.writer.try_lock_arc_for(timeout).ok_or_else(busy)?;
        self.require_present()?;
        Ok(guard)
    }

    /// Becomes a reader.
    pub(crate) fn read(&self, timeout: Duration) -> Result<ReaderGuard> {
        let guard = self.rows.try_read_arc_for(timeout).ok_or_else(busy)?;
        self.require_present()?;
        Ok(guard)
    }

    /// Applies changes while nobody reads.
    pub(crate) fn alone<R>(
        &self,
        timeout: Duration,
        apply: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let _guard = self.rows.try_write_for(timeout).ok_or_else(busy)?;
        apply()
    }

    pub(crate) fn tombstones(&self) -> Tombstones {
        *self.tombstones.lock()
    }

    /// To be called by the writer alone.
    pub(crate) fn set_tombstones(&self, tombstones: Tombstones) {
        *self.tombstones.lock() = tombstones;
    }

    /// The facts as this commit left them, when they are known.
    pub(crate) fn known_facts(&self, commit: u64) -> Option<Arc<Facts>> {
        let known = self.known.lock();
        let (of, facts) = known.as_ref()?;
        (*of == commit).then(|| Arc::clone(facts))
    }

    /// Remembers the facts as a commit left them.
    pub(crate) fn know_facts(&self, commit: u64, facts: Arc<Facts>) {
        let mut known = self.known.lock();
        if known.as_ref().is_none_or(|(of, _)| *of < commit) {
            *known = Some((commit, facts));
        }
    }

    fn require_present(&self) -> Result<()> {
        match self.is_gone() {
            false => Ok(()),
            true => Err(Error::not_found()),
        }
    }
}

pub(crate) fn busy() -> Error {
    let error = Error::new(ErrorKind::Busy, "another operation did not end in time");
    error.with_outcome(Outcome::NotApplied)
}

/// The locks of stores that are in use, by number.
#[derive(Debug, Default)]
struct Locks {
    known: HashMap<Number, Weak<StoreLock>>,
    /// How many there may be before those that are no longer used are looked for.
    purge_at: usize,
}

impl Locks {
    fn get(&mut self, number: Number, room: &Room) -> Arc<StoreLock> {
        if let Some(lock) = self.known.get(&number).and_then(Weak::upgrade) {
            return lock;
        }
        if self.known.len() >= self.purge_at {
            self.known.retain(|_, lock| lock.strong_count() > 0);
            self.purge_at = 2 * self.known.len() + 64;
        }
        let lock = Arc::new(StoreLock {
            gaps: Arc::new(Gaps::within(room.clone())),
            ..StoreLock::default()
        });
        self.known.insert(number, Arc::downgrade(&lock));
        lock
    }
}

/// One open database and the stores in it.
#[derive(Debug)]
pub(crate) struct Device<S: OrderedStore> {
    store: Arc<S>,
    locks: Mutex<Locks>,
    /// The number of the next store; held while one is made.
    pub(crate) next: Mutex<u64>,
    syncs: SyncGroup,
    room: Room,
}

impl<S: OrderedStore> Device<S> {
    /// Takes over an open database, new or used, and ends removals that a crash cut short.
    pub(crate) fn open(store: Arc<S>, room: Room) -> Result<Self> {
        let view = store.view()?;
        let found = view.get(&keys::format())?;
        let next = view.get(&keys::next_number())?;
        let device = Self {
            store,
            locks: Mutex::default(),
            next: Mutex::new(0),
            syncs: SyncGroup::default(),
            room,
        };
        match found {
            None => {
                let format = value::write_count(LAYOUT);
                device
                    .store
                    .apply(Batch::new().put(keys::format(), format))?;
            }
            Some(found) => match value::read_count(&found, "the format")? {
                LAYOUT => {}
                other => {
                    let message =
                        format!("the database has layout {other}, and only {LAYOUT} is known");
                    return Err(Error::new(ErrorKind::Unsupported, message));
                }
            },
        }
        if let Some(next) = next {
            *device.next.lock() = value::read_count(&next, "the next store number")?;
        }
        device.end_removals(&view)?;
        Ok(device)
    }

    fn end_removals(&self, view: &S::View) -> Result<()> {
        let mut numbers = Vec::new();
        each_key(view, keys::whole(space::DOOMED), usize::MAX, |key| {
            numbers.extend(keys::read_doomed(key));
        })?;
        for number in numbers {
            self.drop_contents(number)?;
        }
        Ok(())
    }

    pub(crate) fn view(&self) -> Result<S::View> {
        self.store.view()
    }

    pub(crate) fn view_of_memory(&self) -> Result<S::View> {
        self.store.view_of_memory()?.ok_or_else(busy)
    }

    pub(crate) fn database(&self) -> &S {
        &self.store
    }

    /// Makes what was applied as durable as it must be to be acknowledged.
    pub(crate) fn acknowledge(&self) -> Result<()> {
        match self.store.describe().sync_to_acknowledge {
            true => self.syncs.sync(|| self.store.sync()),
            false => Ok(()),
        }
    }

    /// Whether a store's commits up to `begun` are so durable already.
    pub(crate) fn is_settled(&self, lock: &StoreLock, begun: u64) -> bool {
        !self.store.describe().sync_to_acknowledge || lock.synced.load(Ordering::Acquire) >= begun
    }

    /// Makes a store's commits up to `begun` as durable as they must be to be acknowledged, or to be shown: a
    /// row that was read and then lost would leave its number to another one, and peers remember numbers.
    pub(crate) fn settle(&self, lock: &StoreLock, begun: u64) -> Result<()> {
        if self.is_settled(lock, begun) {
            return Ok(());
        }
        let applied = lock.gaps.ended();
        self.acknowledge()?;
        lock.synced.fetch_max(applied, Ordering::AcqRel);
        Ok(())
    }

    /// The number of the store that is at a location now.
    pub(crate) fn find(&self, location: &Location) -> Result<Option<Number>> {
        self.number_at(&keys::location(location))
    }

    /// The number of a store in the value of a key.
    pub(crate) fn number_at(&self, key: &[u8]) -> Result<Option<Number>> {
        let found = self.view()?.get(key)?;
        let read = |value: Vec<u8>| value::read_count(&value, "a location").map(Number);
        found.map(read).transpose()
    }

    /// The lock of a store.
    pub(crate) fn lock(&self, number: Number) -> Arc<StoreLock> {
        self.locks.lock().get(number, &self.room)
    }

    /// Enters the store at a location into use.
    pub(crate) fn enter(&self, location: &Location) -> Result<Option<(Number, Arc<StoreLock>)>> {
        while let Some(number) = self.find(location)? {
            let lock = self.lock(number);
            // A removal that was under way shares the lock. One that has ended since does not, but
            // then the location does not have this number any more.
            if self.find(location)? == Some(number) {
                return Ok(Some((number, lock)));
            }
        }
        Ok(None)
    }

    /// Makes a store, unless there is one.
    pub(crate) fn create(&self, location: &Location, facts: &Facts) -> Result<Initialized> {
        if self.find(location)?.is_some() {
            return Ok(Initialized::AlreadyExisted);
        }
        let mut next = self.next.lock();
        if self.find(location)?.is_some() {
            return Ok(Initialized::AlreadyExisted);
        }
        let number = *next;
        let stat = StoreKeys(Number(number)).single(keys::section::STAT);
        let batch = Batch::new()
            .put(keys::location(location), value::write_count(number))
            .put(keys::next_number(), value::write_count(number + 1))
            .put(stat, value::write_stat(facts));
        // Whether this succeeds or not, nobody may get the number again.
        *next += 1;
        self.store.apply(batch)?;
        drop(next);
        self.acknowledge()?;
        Ok(Initialized::Created)
    }

    /// Up to `limit` locations of a range of keys, on the device of this name.
    pub(crate) fn locations(
        &self,
        device: &str,
        range: Range<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        let mut found = Vec::new();
        each_key(&self.view()?, range, limit, |key| {
            let location = keys::read_place(key)
                .and_then(|place| Location::new(place.kind, device, place.partition, place.hash));
            found.extend(location);
        })?;
        Ok(found)
    }

    /// Puts a container on the list of container sync or takes it off.
    pub(crate) fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        let key = keys::synced(location);
        // Held so that no two callers decide on what the other is changing.
        let making = self.next.lock();
        if self.view()?.get(&key)?.is_some() == synced {
            return Ok(());
        }
        let batch = match synced {
            true => Batch::new().put(key, value::write_count(LAYOUT)),
            false => Batch::new().delete(key),
        };
        self.store.apply(batch)?;
        drop(making);
        self.acknowledge()
    }

    /// Moves a store out of sight. Only its location changes: no row is read or written.
    pub(crate) fn quarantine(&self, location: &Location, reason: &str) -> Result<()> {
        let hide = |number| {
            let epoch = SystemTime::now().duration_since(UNIX_EPOCH);
            let at = epoch.unwrap_or_default().as_secs().to_string();
            let note = value::write_quarantine(&at, reason);
            Batch::new().put(keys::quarantined(location, number), note)
        };
        match self.vanish(location, hide)? {
            Some(_) => self.acknowledge(),
            None => Err(Error::not_found()),
        }
    }

    /// Removes a store: first its location, at once, then what it holds.
    pub(crate) fn remove(&self, location: &Location) -> Result<()> {
        let doom = |number| Batch::new().put(keys::doomed(number), value::write_count(LAYOUT));
        if let Some(number) = self.vanish(location, doom)? {
            // Contents may go from the disk at once, which the location must not outlive at a loss of power.
            self.acknowledge()?;
            // The store is gone, whatever becomes of its rows: the next opening of the database drops them.
            let dropped = self.drop_contents(number);
            dropped.map_err(|error| error.with_outcome(Outcome::Unknown))?;
        }
        Ok(())
    }

    /// Takes a location away, with more changes, once nobody uses the store.
    fn vanish(
        &self,
        location: &Location,
        more: impl FnOnce(Number) -> Batch,
    ) -> Result<Option<Number>> {
        let Some((number, lock)) = self.enter(location)? else {
            return Ok(None);
        };
        let writer = match lock.write(REMOVAL_TIMEOUT) {
            Ok(writer) => writer,
            // Somebody else was faster.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let batch = more(number).delete(keys::location(location));
        lock.alone(REMOVAL_TIMEOUT, || {
            self.store.apply(batch)?;
            lock.set_gone();
            Ok(())
        })?;
        drop(writer);
        Ok(Some(number))
    }

    /// Drops what a doomed store held.
    pub(crate) fn drop_contents(&self, number: Number) -> Result<()> {
        let contents = StoreKeys(number).contents();
        self.store.drop_range(&contents.start..&contents.end)?;
        self.store.apply(Batch::new().delete(keys::doomed(number)))
    }
}

/// Shows up to `limit` keys of a range.
fn each_key(
    view: &impl View,
    range: Range<Vec<u8>>,
    limit: usize,
    mut visit: impl FnMut(&[u8]),
) -> Result<()> {
    if limit == 0 {
        return Ok(());
    }
    let mut cursor = view.cursor(&range.start..&range.end, Walk::Up)?;
    let mut left = limit;
    while let Some((key, _)) = cursor.entry() {
        visit(key);
        left -= 1;
        if left == 0 {
            break;
        }
        cursor.step()?;
    }
    Ok(())
}
