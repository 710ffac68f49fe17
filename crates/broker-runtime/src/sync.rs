//! What a synchronous engine implements.
//!
//! A handle is used by one thread at a time and holds at most one transaction. Rows come and go only
//! through `replace` and the `remove_…` methods, so that an engine keeps counts, statistics and hash
//! beside them in whatever way it likes.

use broker_api::listing::{NameRange, Step};
use broker_api::{
    BrokerOptions, Capabilities, ContainerMarks, ContainerRecord, ContainerRow, ContainerRowRef,
    DeletedFilter, DeviceHealth, Direction, Error, ErrorKind, Facts, Initialized, Location,
    NewAccount, NewContainer, ObjectRecord, ObjectRow, ObjectRowRef, PolicyFilter, PolicyIndex,
    RemoveObjects, Result, RowFilter, RowId, Rows, StoreImage, StoreKind, SyncPoint, TimestampText,
};
use std::fmt::Debug;

/// Whether a transaction reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A consistent view; nothing will be changed.
    Read,
    /// The only writer of the store; sees its own changes.
    Write,
}

/// Whether an engine took records into a buffer of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buffered {
    /// They are as durable as the engine claims, and every later transaction sees them.
    Yes,
    /// As `Yes`, and the buffer fills up: [`Store::merge_buffered`] should be called before it is full.
    Filling,
    /// The engine has no buffer, or it is full: merge them in a transaction.
    No,
}

/// Changes to the facts of a store; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatChange {
    /// Creation time.
    pub created_at: Option<TimestampText>,
    /// Put timestamp.
    pub put_timestamp: Option<TimestampText>,
    /// Delete timestamp.
    pub delete_timestamp: Option<TimestampText>,
    /// Status text.
    pub status: Option<&'static str>,
    /// When the status changed.
    pub status_changed_at: Option<TimestampText>,
    /// Metadata as JSON.
    pub raw_metadata: Option<String>,
    /// Store id.
    pub id: Option<String>,
}

/// An open handle on one store.
pub trait Store: Send + 'static {
    /// Whether the store at this location is still the one that was opened; false after others
    /// replaced, moved or removed it. Cheap: it is asked before every operation.
    ///
    /// # Errors
    /// When the device fails.
    fn is_current(&mut self) -> Result<bool>;

    /// Begins a transaction. Buffered records are merged first, unless `options.skip_commits`.
    ///
    /// # Errors
    /// `Busy` when another writer does not let go in time; a read that may be stale goes on then.
    fn begin(&mut self, access: Access, options: &BrokerOptions) -> Result<()>;

    /// Begins a read that never waits: for a device, for another thread, or for itself, as one that looks at
    /// many rows would. What it cannot answer at once it refuses with `Busy`, the commit included, and the
    /// caller asks again in a read that may wait. It runs on a thread that serves many requests.
    ///
    /// False, without a transaction, when nothing can be read so now: when records are buffered that the reader is to
    /// see (see `options.skip_commits` and `options.stale_reads_ok`) and that cannot be shown at once. Engines that
    /// cannot tell whether they would wait never can.
    fn begin_without_waiting(&mut self, options: &BrokerOptions) -> bool {
        let _ = options;
        false
    }

    /// Merges what is buffered, in a transaction of its own, while another handle goes on buffering. What comes
    /// meanwhile may stay for the next time.
    ///
    /// # Errors
    /// `Busy` when somebody else merges or writes. What is buffered stays so then, as after every failure.
    fn merge_buffered(&mut self, options: &BrokerOptions) -> Result<()> {
        let _ = options;
        Ok(())
    }

    /// Ends the transaction; its changes are as durable as the engine claims when this returns.
    ///
    /// # Errors
    /// The transaction is over then, and its outcome is what the error says.
    fn commit(&mut self) -> Result<()>;

    /// Ends the transaction without changes; does nothing outside one.
    fn rollback(&mut self);

    /// The facts.
    ///
    /// # Errors
    /// `Corrupt` when the store lacks its stat record.
    fn facts(&mut self) -> Result<Facts>;

    /// Changes facts.
    ///
    /// # Errors
    /// When the store fails.
    fn update(&mut self, change: &StatChange) -> Result<()>;

    /// Completes what an older version wrote; see [`Broker::upgrade`](broker_api::Broker::upgrade).
    ///
    /// # Errors
    /// When the store fails.
    fn upgrade(&mut self) -> Result<()>;

    /// The sync points of a direction, in order of first insertion.
    ///
    /// # Errors
    /// When the store fails.
    fn sync_points(&mut self, direction: Direction) -> Result<Vec<SyncPoint>>;

    /// Sets a sync point to exactly this value and refreshes its `updated_at`.
    ///
    /// # Errors
    /// When the store fails.
    fn set_sync_point(&mut self, direction: Direction, id: &str, point: RowId) -> Result<()>;

    /// Removes sync points of both directions whose `updated_at` sorts before `text`.
    ///
    /// # Errors
    /// When the store fails.
    fn remove_sync_points_before(&mut self, text: &str) -> Result<()>;

    /// The highest row number present, not the highest assigned; `NONE` without rows.
    ///
    /// # Errors
    /// When the store fails.
    fn highest_row_present(&mut self) -> Result<RowId>;

    /// The name of the tombstone that comes `skip` tombstones after the first at or after `from`.
    ///
    /// # Errors
    /// When the store fails.
    fn tombstone_after(&mut self, from: &str, skip: usize) -> Result<Option<String>>;

    /// Removes tombstones with `from <= name`, `name < until` when given, and a reclaim text
    /// (objects: `created_at`, containers: the delete timestamp) before `age`. Returns how many.
    ///
    /// # Errors
    /// When the store fails.
    fn remove_tombstones(&mut self, from: &str, until: Option<&str>, age: &str) -> Result<u64>;

    /// How many tombstones there are at or after `from`.
    ///
    /// # Errors
    /// When the store fails.
    fn count_tombstones(&mut self, from: &str) -> Result<u64>;
}

/// An open account.
pub trait AccountStore: Store {
    /// Takes client writes into a buffer, outside any transaction, in order.
    ///
    /// # Errors
    /// None of the records was taken then, or the outcome is unknown.
    fn buffer(&mut self, records: &[ContainerRecord], options: &BrokerOptions) -> Result<Buffered>;

    /// The row of a container, live or tombstone.
    ///
    /// # Errors
    /// When the store fails.
    fn row(&mut self, name: &str) -> Result<Option<ContainerRow>>;

    /// The rows of several containers: one answer for each name, in their order. No name is there twice.
    /// Stores override it where one look for many costs less.
    ///
    /// # Errors
    /// When the store fails.
    fn rows(&mut self, names: &[&str]) -> Result<Vec<Option<ContainerRow>>> {
        each_in_order(names, |name| self.row(name))
    }

    /// Removes `old` and inserts `new` under the next row number, which is returned.
    ///
    /// # Errors
    /// When the store fails.
    fn replace(&mut self, old: Option<&ContainerRow>, new: &ContainerRow) -> Result<RowId>;

    /// Rows with numbers above `start`, ascending, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    fn rows_since(&mut self, start: RowId, limit: usize) -> Result<Vec<ContainerRow>>;

    /// Shows live rows in name order to `visit`, which steers by its answers.
    ///
    /// # Errors
    /// When the store fails.
    fn scan(
        &mut self,
        range: &NameRange,
        visit: &mut dyn FnMut(ContainerRowRef<'_>) -> Step,
    ) -> Result<()>;
}

/// Asks for each name in ascending order, in which most stores have what they look for, and answers in the given one.
fn each_in_order<N: Ord, R>(
    names: &[N],
    mut row: impl FnMut(&N) -> Result<Option<R>>,
) -> Result<Vec<Option<R>>> {
    let mut places: Vec<_> = (0..names.len()).collect();
    places.sort_unstable_by(|one, other| names[*one].cmp(&names[*other]));
    let mut rows: Vec<_> = names.iter().map(|_| None).collect();
    for place in places {
        rows[place] = row(&names[place])?;
    }
    Ok(rows)
}

/// Which rows an object scan shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectFilter {
    /// Policies.
    pub policy: PolicyFilter,
    /// Live rows, tombstones or both.
    pub deleted: DeletedFilter,
    /// Only rows with larger numbers, when given.
    pub since_row: Option<RowId>,
}

/// An open container.
pub trait ContainerStore: Store {
    /// Takes client writes into a buffer, outside any transaction, in order.
    ///
    /// # Errors
    /// None of the records was taken then, or the outcome is unknown.
    fn buffer(&mut self, records: &[ObjectRecord], options: &BrokerOptions) -> Result<Buffered>;

    /// The row of an object in a policy, live or tombstone.
    ///
    /// # Errors
    /// When the store fails.
    fn row(&mut self, name: &str, policy: PolicyIndex) -> Result<Option<ObjectRow>>;

    /// The rows of several objects: one answer for each name, in their order. No name is there twice.
    /// Stores override it where one look for many costs less.
    ///
    /// # Errors
    /// When the store fails.
    fn rows(&mut self, names: &[(&str, PolicyIndex)]) -> Result<Vec<Option<ObjectRow>>> {
        each_in_order(names, |(name, policy)| self.row(name, *policy))
    }

    /// Removes `old` and inserts `new` under the next row number, which is returned.
    ///
    /// # Errors
    /// When the store fails.
    fn replace(&mut self, old: Option<&ObjectRow>, new: &ObjectRow) -> Result<RowId>;

    /// Rows with numbers above `start`, ascending, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    fn rows_since(
        &mut self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>>;

    /// Shows rows in name order to `visit`, which steers by its answers.
    ///
    /// # Errors
    /// When the store fails.
    fn scan(
        &mut self,
        range: &NameRange,
        filter: &ObjectFilter,
        visit: &mut dyn FnMut(ObjectRowRef<'_>) -> Step,
    ) -> Result<()>;

    /// Removes rows, see [`ContainerBroker::remove_objects`](broker_api::ContainerBroker::remove_objects).
    ///
    /// # Errors
    /// When the store fails.
    fn remove_objects(&mut self, remove: &RemoveObjects) -> Result<()>;

    /// Sets the container's policy and makes sure that it has a statistic.
    ///
    /// # Errors
    /// When the store fails.
    fn set_policy(&mut self, index: PolicyIndex) -> Result<()>;

    /// Sets the marks that are given.
    ///
    /// # Errors
    /// When the store fails.
    fn set_marks(&mut self, marks: &ContainerMarks) -> Result<()>;
}

/// Opens stores synchronously; becomes an [`Engine`](broker_api::Engine) through
/// [`Adapter`](crate::Adapter).
pub trait SyncEngine: Debug + Send + Sync + 'static {
    /// A handle on an account.
    type Account: AccountStore;
    /// A handle on a container.
    type Container: ContainerStore;

    /// As [`Engine::name`](broker_api::Engine::name).
    fn name(&self) -> &str;

    /// As [`Engine::capabilities`](broker_api::Engine::capabilities).
    fn capabilities(&self) -> Capabilities;

    /// Whether the store is there now.
    ///
    /// # Errors
    /// When the device fails.
    fn exists(&self, location: &Location) -> Result<bool>;

    /// Opens an account; `None` when it is absent.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read; the caller quarantines it.
    fn open_account(&self, location: &Location) -> Result<Option<Self::Account>>;

    /// Opens a container; `None` when it is absent.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read; the caller quarantines it.
    fn open_container(&self, location: &Location) -> Result<Option<Self::Container>>;

    /// The facts of a store as a transaction with these options would find them now, when that is known without opening
    /// the store; `None` when it is not, which is always right. It is asked when no idle handle is at hand; handles that
    /// are used may read and write meanwhile.
    fn remembered_facts(&self, location: &Location, options: &BrokerOptions) -> Option<Facts> {
        let _ = (location, options);
        None
    }

    /// Makes an account atomically, unless it exists. The name has been checked.
    ///
    /// # Errors
    /// When the device fails or a lock is not had in time.
    fn create_account(
        &self,
        location: &Location,
        new: &NewAccount,
        options: &BrokerOptions,
    ) -> Result<Initialized>;

    /// Makes a container atomically, unless it exists. The names have been checked.
    ///
    /// # Errors
    /// When the device fails or a lock is not had in time.
    fn create_container(
        &self,
        location: &Location,
        new: &NewContainer,
        options: &BrokerOptions,
    ) -> Result<Initialized>;

    /// As [`Engine::stores`](broker_api::Engine::stores).
    ///
    /// # Errors
    /// When the device cannot be read.
    fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>>;

    /// As [`Engine::quarantine`](broker_api::Engine::quarantine).
    ///
    /// # Errors
    /// `NotFound` when there is no store.
    fn quarantine(&self, location: &Location, reason: &str) -> Result<()>;

    /// As [`Engine::remove`](broker_api::Engine::remove).
    ///
    /// # Errors
    /// When the device fails.
    fn remove(&self, location: &Location) -> Result<()>;

    /// As [`Engine::set_synced`](broker_api::Engine::set_synced).
    ///
    /// # Errors
    /// When the device fails.
    fn set_synced(&self, location: &Location, synced: bool) -> Result<()>;

    /// As [`Engine::synced`](broker_api::Engine::synced).
    ///
    /// # Errors
    /// When the device cannot be read.
    fn synced(&self, device: &str, after: Option<&Location>, limit: usize)
    -> Result<Vec<Location>>;

    /// As [`Engine::device_health`](broker_api::Engine::device_health).
    ///
    /// # Errors
    /// When the question fails.
    fn device_health(&self, device: &str) -> Result<DeviceHealth>;

    /// Restoring whole stores, where the engine can.
    fn restore(&self) -> Option<&dyn Restore>;
}

/// Restores whole stores; the synchronous twin of [`Snapshot`](broker_api::Snapshot).
///
/// Images and rows have been checked: they are of the location's kind, and numbers ascend. Calls for one
/// location may come at the same time; the engine lets one after the other through.
pub trait Restore: Send + Sync {
    /// As [`Snapshot::begin`](broker_api::Snapshot::begin).
    ///
    /// # Errors
    /// `InvalidInput` when the store exists.
    fn begin(&self, location: &Location, image: &StoreImage) -> Result<RowId>;

    /// As [`Snapshot::add`](broker_api::Snapshot::add). Memory must not grow with what is there already.
    ///
    /// # Errors
    /// `InvalidInput` when nothing was begun.
    fn add(&self, location: &Location, rows: &Rows) -> Result<()>;

    /// As [`Snapshot::finish`](broker_api::Snapshot::finish). Memory must not grow with the rows.
    ///
    /// # Errors
    /// `InvalidInput` when the rows do not fit the image, or the store exists.
    fn finish(&self, location: &Location) -> Result<()>;

    /// As [`Snapshot::abandon`](broker_api::Snapshot::abandon).
    ///
    /// # Errors
    /// When the device fails.
    fn abandon(&self, location: &Location) -> Result<()>;
}

/// The refusal to restore where a store is.
pub fn exists_already() -> Error {
    Error::new(ErrorKind::InvalidInput, "the store exists already")
}

/// The refusal of rows or a finish where nothing was begun.
pub fn not_begun() -> Error {
    Error::new(ErrorKind::InvalidInput, "nothing is being restored here")
}

/// The refusal of rows with numbers that the image does not know.
pub fn above_highest() -> Error {
    let message = "a row number is above the highest that was ever assigned";
    Error::new(ErrorKind::InvalidInput, message)
}

/// The refusal of two rows with one key.
pub fn same_name_twice() -> Error {
    Error::new(ErrorKind::InvalidInput, "two rows are of one name")
}
