//! The reference engine, whose containers fail when a test says so.

use broker_api::listing::{NameRange, Step};
use broker_api::{
    BrokerOptions, Capabilities, ContainerMarks, DeviceHealth, Direction, Error, ErrorKind, Facts,
    Initialized, Location, NewAccount, NewContainer, ObjectRecord, ObjectRow, ObjectRowRef,
    PolicyIndex, RemoveObjects, Result, RowFilter, RowId, StoreKind, SyncPoint,
};
use broker_runtime::sync::{
    Access, Buffered, ContainerStore, ObjectFilter, Restore, StatChange, Store, SyncEngine,
};
use engine_memory::{MemoryDisk, MemoryEngine};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Removing objects above this name panics.
pub(crate) const PANIC: &str = "panic";

/// The row of this name cannot be read.
pub(crate) const BAD_ROW: &str = "bad";

/// Writing this name waits, see [`Script::hold_replace`].
pub(crate) const HELD: &str = "held";

/// What goes wrong, and what was seen.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) corrupt_scans: AtomicBool,
    pub(crate) bad_sync_points: AtomicBool,
    pub(crate) slow_writes: AtomicBool,
    /// Reads that need not wait are begun.
    pub(crate) reads_memory: AtomicBool,
    /// They find only the first row in memory.
    pub(crate) one_row_in_memory: AtomicBool,
    pub(crate) reads_of_memory: AtomicUsize,
    /// Whether the last of them was to leave buffered records alone.
    pub(crate) skipped_commits: AtomicBool,
    pub(crate) writes_begun: AtomicUsize,
    pub(crate) write_timeout: Mutex<Option<Duration>>,
    /// Writes go to a buffer that should be merged.
    pub(crate) buffer_fills: AtomicBool,
    /// What the next merges of the buffer come to, the last of these first.
    pub(crate) merges: Mutex<Vec<Merge>>,
    /// Facts that are known without opening a container.
    pub(crate) remembered: Mutex<Option<Facts>>,
    hold: Mutex<Option<(Sender<()>, Receiver<()>)>>,
}

/// What a merge of the buffer comes to.
#[derive(Debug)]
pub(crate) enum Merge {
    Succeeds,
    Fails,
    Panics,
    /// It begins, and ends when it is told to.
    Waits(Sender<()>, Receiver<()>),
}

impl Script {
    /// Holds the next write of [`HELD`]: the receiver tells that it has begun, the sender ends it.
    pub(crate) fn hold_replace(&self) -> (Sender<()>, Receiver<()>) {
        let (entered, has_entered) = channel();
        let (let_go, leave) = channel();
        *self.hold.lock().unwrap() = Some((entered, leave));
        (let_go, has_entered)
    }
}

type MemoryContainer = <MemoryEngine as SyncEngine>::Container;

/// An engine that follows a script.
#[derive(Debug)]
pub(crate) struct Scripted {
    engine: MemoryEngine,
    script: Arc<Script>,
}

impl Scripted {
    pub(crate) fn new(disk: &MemoryDisk, script: &Arc<Script>) -> Self {
        Self {
            engine: MemoryEngine::on(disk),
            script: Arc::clone(script),
        }
    }
}

/// A container that follows a script.
pub(crate) struct Container {
    store: MemoryContainer,
    in_memory: bool,
    script: Arc<Script>,
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container").finish_non_exhaustive()
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::InvalidInput, "what is stored cannot be read")
}

impl Store for Container {
    fn is_current(&mut self) -> Result<bool> {
        self.store.is_current()
    }

    fn begin(&mut self, access: Access, options: &BrokerOptions) -> Result<()> {
        if access == Access::Write {
            self.script.writes_begun.fetch_add(1, Ordering::Relaxed);
            *self.script.write_timeout.lock().unwrap() = Some(options.timeout);
        }
        self.in_memory = false;
        self.store.begin(access, options)
    }

    fn begin_without_waiting(&mut self, options: &BrokerOptions) -> bool {
        let skipped = &self.script.skipped_commits;
        skipped.store(options.skip_commits, Ordering::Relaxed);
        self.in_memory = self.script.reads_memory.load(Ordering::Relaxed)
            && self
                .store
                .begin(Access::Read, &BrokerOptions::default())
                .is_ok();
        self.in_memory
    }

    fn commit(&mut self) -> Result<()> {
        self.store.commit()
    }

    fn rollback(&mut self) {
        self.store.rollback();
    }

    fn merge_buffered(&mut self, _: &BrokerOptions) -> Result<()> {
        let next = self.script.merges.lock().unwrap().pop();
        match next.expect("one merge too many") {
            Merge::Succeeds => Ok(()),
            Merge::Fails => Err(unreadable()),
            Merge::Panics => panic!("as the script says"),
            Merge::Waits(entered, leave) => {
                entered.send(()).unwrap();
                leave.recv().unwrap();
                Ok(())
            }
        }
    }

    fn facts(&mut self) -> Result<Facts> {
        self.store.facts()
    }

    fn update(&mut self, change: &StatChange) -> Result<()> {
        self.store.update(change)
    }

    fn upgrade(&mut self) -> Result<()> {
        self.store.upgrade()
    }

    fn sync_points(&mut self, direction: Direction) -> Result<Vec<SyncPoint>> {
        match self.script.bad_sync_points.load(Ordering::Relaxed) {
            true => Err(unreadable()),
            false => self.store.sync_points(direction),
        }
    }

    fn set_sync_point(&mut self, direction: Direction, id: &str, point: RowId) -> Result<()> {
        self.store.set_sync_point(direction, id, point)
    }

    fn remove_sync_points_before(&mut self, text: &str) -> Result<()> {
        self.store.remove_sync_points_before(text)
    }

    fn highest_row_present(&mut self) -> Result<RowId> {
        self.store.highest_row_present()
    }

    fn tombstone_after(&mut self, from: &str, skip: usize) -> Result<Option<String>> {
        self.store.tombstone_after(from, skip)
    }

    fn remove_tombstones(&mut self, from: &str, until: Option<&str>, age: &str) -> Result<u64> {
        self.store.remove_tombstones(from, until, age)
    }

    fn count_tombstones(&mut self, from: &str) -> Result<u64> {
        self.store.count_tombstones(from)
    }
}

impl ContainerStore for Container {
    fn buffer(&mut self, records: &[ObjectRecord], options: &BrokerOptions) -> Result<Buffered> {
        match self.script.buffer_fills.load(Ordering::Relaxed) {
            true => Ok(Buffered::Filling),
            false => self.store.buffer(records, options),
        }
    }

    fn row(&mut self, name: &str, policy: PolicyIndex) -> Result<Option<ObjectRow>> {
        match name {
            BAD_ROW => Err(unreadable()),
            name => self.store.row(name, policy),
        }
    }

    fn replace(&mut self, old: Option<&ObjectRow>, new: &ObjectRow) -> Result<RowId> {
        let hold = match new.name == HELD {
            true => self.script.hold.lock().unwrap().take(),
            false => None,
        };
        if let Some((entered, leave)) = hold {
            entered.send(()).unwrap();
            leave.recv().unwrap();
        }
        if self.script.slow_writes.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.store.replace(old, new)
    }

    fn rows_since(
        &mut self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>> {
        self.store.rows_since(start, limit, filter)
    }

    fn scan(
        &mut self,
        range: &NameRange,
        filter: &ObjectFilter,
        visit: &mut dyn FnMut(ObjectRowRef<'_>) -> Step,
    ) -> Result<()> {
        if self.in_memory {
            self.script.reads_of_memory.fetch_add(1, Ordering::Relaxed);
            if self.script.one_row_in_memory.load(Ordering::Relaxed) {
                let mut first = |row: ObjectRowRef<'_>| {
                    visit(row);
                    Step::Stop
                };
                self.store.scan(range, filter, &mut first)?;
                return Err(Error::new(ErrorKind::Busy, "scripted"));
            }
        }
        self.store.scan(range, filter, visit)?;
        match self.script.corrupt_scans.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::Corrupt, "scripted")),
            false => Ok(()),
        }
    }

    fn remove_objects(&mut self, remove: &RemoveObjects) -> Result<()> {
        assert!(remove.lower != PANIC, "scripted");
        self.store.remove_objects(remove)
    }

    fn set_policy(&mut self, index: PolicyIndex) -> Result<()> {
        self.store.set_policy(index)
    }

    fn set_marks(&mut self, marks: &ContainerMarks) -> Result<()> {
        self.store.set_marks(marks)
    }
}

impl SyncEngine for Scripted {
    fn restore(&self) -> Option<&dyn Restore> {
        None
    }

    type Account = <MemoryEngine as SyncEngine>::Account;
    type Container = Container;

    fn name(&self) -> &str {
        "scripted"
    }

    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    fn exists(&self, location: &Location) -> Result<bool> {
        self.engine.exists(location)
    }

    fn open_account(&self, location: &Location) -> Result<Option<Self::Account>> {
        self.engine.open_account(location)
    }

    fn open_container(&self, location: &Location) -> Result<Option<Container>> {
        let script = Arc::clone(&self.script);
        let store = self.engine.open_container(location)?;
        let container = |store| Container {
            store,
            in_memory: false,
            script,
        };
        Ok(store.map(container))
    }

    fn remembered_facts(&self, _: &Location, _: &BrokerOptions) -> Option<Facts> {
        self.script.remembered.lock().unwrap().clone()
    }

    fn create_account(
        &self,
        location: &Location,
        new: &NewAccount,
        options: &BrokerOptions,
    ) -> Result<Initialized> {
        self.engine.create_account(location, new, options)
    }

    fn create_container(
        &self,
        location: &Location,
        new: &NewContainer,
        options: &BrokerOptions,
    ) -> Result<Initialized> {
        self.engine.create_container(location, new, options)
    }

    fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        self.engine.stores(device, kind, after, limit)
    }

    fn quarantine(&self, location: &Location, reason: &str) -> Result<()> {
        self.engine.quarantine(location, reason)
    }

    fn remove(&self, location: &Location) -> Result<()> {
        self.engine.remove(location)
    }

    fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        self.engine.set_synced(location, synced)
    }

    fn synced(
        &self,
        device: &str,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        self.engine.synced(device, after, limit)
    }

    fn device_health(&self, device: &str) -> Result<DeviceHealth> {
        self.engine.device_health(device)
    }
}
