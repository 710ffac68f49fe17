//! The door for authors of key-value engines: what a store of ordered keys must offer.
//!
//! Three small traits, ten methods to write. Nothing in them knows accounts, containers or rows; the keys
//! and values are made and read by this crate alone.
//!
//! ```text
//! OrderedStore   view, apply, sync, drop_range, describe        one database
//!   └─ View      get, get_many, cursor                          what a reader sees
//!        └─ Cursor   entry, step, seek                          ordered, one direction
//! ```
//!
//! See [`MemoryOrdered`](crate::MemoryOrdered) for an implementation on one page, and
//! [`testing`](crate::testing) for what holds an implementation beside a map.

use broker_api::{Durability, Result};
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// A key and its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// A key and what is done to it: a value to put, or nothing to delete the key.
pub type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// A database of keys in byte order, as embedded stores offer it.
///
/// # Contract
/// What an implementation must guarantee; everything else is done above it.
///
/// 1. Keys are compared as unsigned bytes, a prefix before what it is a prefix of. Keys and values may
///    hold any bytes. Values may be empty and are rarely above 64 KiB; keys stay below 8 KiB for
///    names of Swift's lengths.
/// 2. [`apply`](Self::apply) is all or nothing, now and after a crash. A database that could show half of a
///    batch after a failure must refuse views from then on.
/// 3. Batches of one thread survive a crash in their order: when a later one is there, so are
///    the earlier ones.
/// 4. What was applied is seen by every view taken later, from any thread.
/// 5. What was synced survives what [`Description::durability`] names. When
///    [`Description::sync_to_acknowledge`] is false, so does what was applied.
/// 6. Methods block the calling thread as long as they like, but not on each other's callers: an
///    open view or cursor must not keep `apply` from ending.
///
/// # Errors
/// Methods return [`broker_api::Error`]s: `Full` for a device without room, `Io` for anything else that
/// the device or the database does. A damaged database is `Io`, not `Corrupt`, unless the damage is known
/// to be in the keys that were asked for: `Corrupt` moves the *store* of the account or container out
/// of sight. Say `NotApplied` only when that is certain.
pub trait OrderedStore: Debug + Send + Sync + 'static {
    /// What readers see.
    type View: View;

    /// Takes a view of everything applied so far.
    ///
    /// Of [`Views::Snapshot`] it must stay as it is; of [`Views::Live`] it may show later changes. The
    /// caller then sees to it that keys do not change while he reads them, but others around them do.
    ///
    /// # Errors
    /// When the database fails.
    fn view(self: &Arc<Self>) -> Result<Self::View>;

    /// Takes a view that answers from memory alone, and refuses with `Busy` what would need the device, or
    /// what takes long in memory, too. `None` when there is no such view, which is always right.
    ///
    /// Reads that such a view answers are spared the way to another thread and back.
    ///
    /// # Errors
    /// Whatever they are, the caller then takes a view that may wait.
    fn view_of_memory(self: &Arc<Self>) -> Result<Option<Self::View>> {
        Ok(None)
    }

    /// Applies all changes of a batch or none.
    ///
    /// # Errors
    /// The outcome is unknown unless the error says otherwise.
    fn apply(&self, batch: Batch) -> Result<()>;

    /// Makes everything applied before the call as durable as [`Description::durability`] says.
    ///
    /// Called by one thread at a time, which syncs for all that wait.
    ///
    /// # Errors
    /// Nothing is known then about what was applied since the last sync.
    fn sync(&self) -> Result<()>;

    /// Removes every key in a range, not necessarily at once.
    ///
    /// Nobody reads or writes these keys any more, in older views neither, so these need not keep them. What was
    /// applied before has been synced where that is wanted. After a crash the call is repeated.
    ///
    /// # Errors
    /// A part of the keys may have gone.
    fn drop_range(&self, range: Range<&[u8]>) -> Result<()>;

    /// What this database is like; the answer never changes.
    fn describe(&self) -> Description;
}

/// What a reader sees of a database.
pub trait View: Send + 'static {
    /// The value of a key.
    ///
    /// # Errors
    /// When the database fails.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// The values of several keys: one answer for each, in their order. The keys come in any order; none is
    /// there twice. Override it where one look for many costs less.
    ///
    /// # Errors
    /// When the database fails.
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// A cursor over the keys of a range, standing on its first entry in the direction, if any.
    ///
    /// The range is not empty: start is below end.
    ///
    /// # Errors
    /// When the database fails.
    fn cursor<'a>(&'a self, range: Range<&[u8]>, direction: Walk) -> Result<Box<dyn Cursor + 'a>>;
}

/// Which way a cursor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// To larger keys.
    Up,
    /// To smaller keys.
    Down,
}

/// Stands on an entry of a range, or past its last one.
pub trait Cursor {
    /// The entry that the cursor stands on; `None` past the last one.
    fn entry(&self) -> Option<Pair<'_>>;

    /// Goes to the next entry in the cursor's direction. Not called past the last one.
    ///
    /// # Errors
    /// When the database fails.
    fn step(&mut self) -> Result<()>;

    /// Going up: goes to the first entry at or after `key`. Going down: to the last entry before `key`,
    /// exclusive. The key is within the cursor's range and ahead of where the cursor stands.
    ///
    /// # Errors
    /// When the database fails.
    fn seek(&mut self, key: &[u8]) -> Result<()>;
}

/// Changes that are applied together. No key is in a batch twice.
///
/// # Examples
/// ```
/// use broker_kv::Batch;
///
/// let batch = Batch::new().put(b"a", b"1").delete(b"b");
/// let changes: Vec<_> = batch.changes().collect();
/// assert_eq!(changes, [(&b"a"[..], Some(&b"1"[..])), (b"b", None)]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// All keys and values in one piece, a value right after its key: a batch of many rows costs a few allocations.
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// Where a change is among the bytes of a batch.
#[derive(Debug, Clone, Copy)]
struct Place {
    key: usize,
    /// Where the key ends, and the value begins.
    value: usize,
    end: usize,
    is_put: bool,
}

impl Batch {
    /// Without changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key, or replaces its value.
    #[must_use]
    pub fn put(mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.add(key.as_ref(), Some(value.as_ref()));
        self
    }

    /// Deletes a key, which need not be there.
    #[must_use]
    pub fn delete(mut self, key: impl AsRef<[u8]>) -> Self {
        self.add(key.as_ref(), None);
        self
    }

    fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.write(
            value.is_some(),
            |bytes| bytes.extend_from_slice(key),
            |bytes| bytes.extend_from_slice(value.unwrap_or_default()),
        );
    }

    /// Adds a change whose key and value are appended to the bytes.
    pub(crate) fn write(
        &mut self,
        is_put: bool,
        key: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        key(&mut self.bytes);
        let middle = self.bytes.len();
        value(&mut self.bytes);
        self.places.push(Place {
            key: start,
            value: middle,
            end: self.bytes.len(),
            is_put,
        });
    }

    /// The changes, in ascending order of keys when they come from a transaction.
    pub fn changes(&self) -> impl ExactSizeIterator<Item = Change<'_>> {
        self.places.iter().map(|place| self.at(place))
    }

    fn at(&self, place: &Place) -> Change<'_> {
        let value = &self.bytes[place.value..place.end];
        (
            &self.bytes[place.key..place.value],
            place.is_put.then_some(value),
        )
    }

    /// The change that was added as the one with this number, from 0 on.
    pub(crate) fn change(&self, number: usize) -> Change<'_> {
        self.at(&self.places[number])
    }

    /// The changes with these numbers, in this order.
    pub(crate) fn pick(mut self, numbers: &[usize]) -> Self {
        self.places = numbers.iter().map(|&number| self.places[number]).collect();
        self
    }

    /// The keys that are put.
    pub(crate) fn puts(&self) -> impl Iterator<Item = &[u8]> {
        let puts = self.changes().filter(|(_, value)| value.is_some());
        puts.map(|(key, _)| key)
    }

    /// The keys that are deleted.
    pub(crate) fn deletes(&self) -> impl Iterator<Item = &[u8]> {
        let deletes = self.changes().filter(|(_, value)| value.is_none());
        deletes.map(|(key, _)| key)
    }

    /// Whether there is nothing to apply.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many keys change.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// How many bytes all keys and values have.
    pub fn bytes(&self) -> usize {
        self.places.iter().map(|place| place.end - place.key).sum()
    }
}

/// Batches are the same that make the same changes in the same order.
impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.changes().eq(other.changes())
    }
}

impl Eq for Batch {}

impl<K: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(K, Option<V>)> for Batch {
    fn from_iter<I: IntoIterator<Item = (K, Option<V>)>>(changes: I) -> Self {
        let mut batch = Self::new();
        for (key, value) in changes {
            batch.add(key.as_ref(), value.as_ref().map(AsRef::as_ref));
        }
        batch
    }
}

/// Whether views stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Views {
    /// They do: readers and writers of a store never wait for each other.
    Snapshot,
    /// They show later changes. A commit waits for the reads of the same store that are going on, and
    /// later reads wait until it is applied.
    Live,
}

/// What a database is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// Whether views stay as they are.
    pub views: Views,
    /// What synced changes survive.
    pub durability: Durability,
    /// Whether changes must be synced before they are acknowledged to have that durability. Concurrent
    /// commits share a sync.
    pub sync_to_acknowledge: bool,
}
