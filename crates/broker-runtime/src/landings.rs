//! [`Landings`]: where the seeks of listings came down, so that the next listing need not seek again.
//!
//! A listing of subdirs seeks over each of them, and a seek looks into every run of tables that a database has, or into
//! an index and a table: a thousand subdirs cost as much as many thousand rows.
//!
//! ```text
//! keys        a/1 a/2 … a/9   b/1 … b/9   c/1 …
//! a seek      from "a0" ────► b/1
//! remembered  [a0 ───────────► b/1]  [b0 ► c/1]   its entry is the first one from any key between on
//! ```
//!
//! They are an engine's own affair: it must forget those that a change touches before the change is seen, and use them
//! only for views that show what they were learned from.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the landings of one store may take: some thousands of subdirs.
const MOST_OF_A_STORE: usize = 2 << 20;

/// What the landings of all stores that share a [`Room`] may take.
const MOST_OF_ALL: usize = 32 << 20;

/// What a landing takes beside its bytes: some allocations, two counts, and its place in the map.
const OVERHEAD: usize = 224;

/// The first entry at or after a key.
#[derive(Debug)]
pub struct Landing<V> {
    key: Vec<u8>,
    value: V,
    since: u64,
    size: usize,
}

impl<V> Landing<V> {
    /// The entry that a seek came to. Views show it that hold all commits up to `since`, by whatever count the engine
    /// has; `size` is what the value takes, in bytes.
    pub fn new(key: Vec<u8>, value: V, size: usize, since: u64) -> Self {
        Self {
            size: key.len() + size + OVERHEAD,
            key,
            value,
            since,
        }
    }

    /// The entry's key.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The entry's value.
    pub fn value(&self) -> &V {
        &self.value
    }
}

/// How much memory landings take, counted for all stores that share it: 32 MiB at most, and 2 MiB for each. Who comes when
/// it is full learns nothing until others change or are closed.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<AtomicUsize>);

/// The landings of one store. No two of them touch.
///
/// # Examples
/// ```
/// use broker_runtime::landings::{Landing, Landings, Room};
///
/// let mut landings = Landings::within(Room::default());
/// landings.insert(b"a0".to_vec(), Landing::new(b"b/1".to_vec(), 69, 8, 0));
/// assert_eq!(landings.find(b"b", 0).map(|landing| *landing.value()), Some(69));
/// assert!(landings.find(b"c", 0).is_none());
/// landings.forget(b"b/0");
/// assert!(landings.find(b"b", 0).is_none());
/// ```
#[derive(Debug)]
pub struct Landings<V> {
    known: BTreeMap<Vec<u8>, Arc<Landing<V>>>,
    size: usize,
    room: Room,
}

impl<V> Default for Landings<V> {
    fn default() -> Self {
        Self::within(Room::default())
    }
}

impl<V> Landings<V> {
    /// None so far; they will take their part of this room.
    pub fn within(room: Room) -> Self {
        Self {
            known: BTreeMap::new(),
            size: 0,
            room,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The landing that a key is in, from where its seek began to where it ended.
    fn around(&self, key: &[u8]) -> Option<(&Vec<u8>, &Arc<Landing<V>>)> {
        let below = (Bound::Unbounded, Bound::Included(key));
        let nearest = self.known.range::<[u8], _>(below).next_back();
        nearest.filter(|(_, landing)| landing.key.as_slice() >= key)
    }

    /// Where a seek to a key comes down in a view that holds all commits up to `ended`, if that is known.
    pub fn find(&self, key: &[u8], ended: u64) -> Option<Arc<Landing<V>>> {
        let (_, landing) = self.around(key)?;
        (landing.since <= ended).then(|| Arc::clone(landing))
    }

    /// Remembers where a seek to `from` came down, in place of the landings that it touches. A store that has too many
    /// begins anew. Nothing is remembered when the entry is before `from`, or there is no room.
    pub fn insert(&mut self, from: Vec<u8>, landing: Landing<V>) {
        if landing.key < from {
            return;
        }
        self.forget(&from);
        let start = Bound::Included(from.as_slice());
        let within = (start, Bound::Included(landing.key.as_slice()));
        let touched = self.known.range::<[u8], _>(within);
        for from in touched.map(|(from, _)| from.clone()).collect::<Vec<_>>() {
            self.forget(&from);
        }
        let size = from.len() + landing.size;
        if self.size + size > MOST_OF_A_STORE {
            self.clear();
        }
        let before = self.room.0.fetch_add(size, Ordering::Relaxed);
        if before + size > MOST_OF_ALL {
            self.room.0.fetch_sub(size, Ordering::Relaxed);
            return;
        }
        self.size += size;
        self.known.insert(from, Arc::new(landing));
    }

    /// Forgets the landing that a key is in: an entry is put or deleted there.
    pub fn forget(&mut self, key: &[u8]) {
        let Some((from, landing)) = self.around(key) else {
            return;
        };
        let (from, size) = (from.clone(), from.len() + landing.size);
        self.known.remove(&from);
        self.size -= size;
        self.room.0.fetch_sub(size, Ordering::Relaxed);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.known.clear();
        self.room.0.fetch_sub(self.size, Ordering::Relaxed);
        self.size = 0;
    }
}

impl<V> Drop for Landings<V> {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(landings: &mut Landings<()>, from: u8, key: u8, size: usize) {
        landings.insert(vec![from], Landing::new(vec![key], (), size, 0));
    }

    fn found(landings: &Landings<()>, key: u8) -> Option<u8> {
        landings.find(&[key], 0).map(|landing| landing.key[0])
    }

    /// A failure would mean that a seek comes down beside the first key.
    #[test]
    fn a_landing_serves_all_keys_from_its_beginning_to_its_end() {
        let mut landings = Landings::default();
        insert(&mut landings, 10, 20, 0);
        insert(&mut landings, 30, 30, 0);
        let at = |key| found(&landings, key);
        let expected = [
            (9, None),
            (10, Some(20)),
            (20, Some(20)),
            (21, None),
            (29, None),
            (30, Some(30)),
            (31, None),
        ];
        assert!(expected.iter().all(|&(key, found)| at(key) == found));
    }

    /// A failure would mean that what one landing replaced or a change ended is shown again.
    #[test]
    fn a_landing_takes_the_place_of_those_that_it_touches() {
        let mut landings = Landings::default();
        for (from, key) in [(10, 20), (22, 25), (27, 40), (41, 50)] {
            insert(&mut landings, from, key, 0);
        }
        insert(&mut landings, 20, 30, 0);
        insert(&mut landings, 60, 59, 0);
        let at = |key| found(&landings, key);
        assert_eq!(
            [10, 20, 22, 27, 31, 41].map(at),
            [None, Some(30), Some(30), Some(30), None, Some(50)]
        );
        landings.forget(&[41]);
        assert_eq!(found(&landings, 41), None);
        assert_eq!(landings.known.len(), 1);
    }

    /// A failure would mean that listings take memory without a bound, or that what they gave back stays counted.
    #[test]
    fn memory_is_bounded_for_each_store_and_for_all() {
        let room = Room::default();
        let used = || room.0.load(Ordering::Relaxed);
        // Each store would have room for these.
        let mut stores = Vec::from_iter((0..20).map(|_| Landings::within(room.clone())));
        for store in &mut stores {
            for from in 0..62 {
                insert(store, from, from, 1 << 15);
                assert!(used() <= MOST_OF_ALL);
            }
        }
        assert!(used() > MOST_OF_ALL - (1 << 16));
        stores.truncate(1);
        let first = &mut stores[0];
        for from in 62..200 {
            insert(first, from, from, 1 << 15);
            assert!(first.size <= MOST_OF_A_STORE && found(first, from) == Some(from));
        }
        drop(stores);
        assert_eq!(used(), 0);
    }
}
