//! What an author tries first: a store beside a map that is known to be right.
//!
//! ```text
//! seed ──► batches, ranges, seeks ──┬──► your OrderedStore ──┐
//!                                   └──► BTreeMap ───────────┴──► the same keys and values, or a panic
//! ```
//!
//! The conformance suite finds the same faults and many more, but says what went wrong with accounts and
//! containers. These checks say what went wrong with keys.
//!
//! # Examples
//! ```
//! use broker_kv::{MemoryOrdered, testing};
//! use std::sync::Arc;
//!
//! testing::check_store(&Arc::new(MemoryOrdered::default()), 1);
//!
//! // A store with files is opened again and again on the same place.
//! let kept = Arc::new(MemoryOrdered::default());
//! testing::check_reopen(|| Arc::clone(&kept), 1);
//! ```

use crate::ordered::{Batch, Cursor, OrderedStore, View, Views, Walk};
use broker_api::{ErrorKind, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// Above every key that is used here.
const END: &[u8] = &[0xff; 12];

/// After this long a call is taken to wait for ever.
const HANG: Duration = Duration::from_secs(60);

/// Checks an empty store: order, cursors and seeks in both directions, batches, views, dropped ranges.
///
/// The seed chooses keys and values; try several.
///
/// # Panics
/// When the store does not do what [`OrderedStore`] asks for, with what was found and what was wanted.
pub fn check_store<S: OrderedStore>(store: &Arc<S>, seed: u64) {
    let mut trial = Trial::new(seed);
    for _ in 0..8 {
        trial.apply_batches(store, 6);
        trial.compare(store);
        for _ in 0..12 {
            trial.walk(store);
        }
    }
    trial.drop_a_range(store);
    large_entries(store);
    an_open_view_keeps_no_writer_waiting(store);
    if store.describe().views == Views::Snapshot {
        trial.a_snapshot_stays_as_it_is(store);
        batches_show_as_a_whole(store);
    }
}

/// Checks that a store finds again what it acknowledged. `open` is called several times, each time after
/// the store that it gave before was dropped, and must open the same place, which is empty at first.
///
/// This is a clean end of the process, not a crash: the durable cases of the conformance suite kill it.
///
/// # Panics
/// As [`check_store`].
pub fn check_reopen<S: OrderedStore>(mut open: impl FnMut() -> Arc<S>, seed: u64) {
    let mut trial = Trial::new(seed);
    for _ in 0..4 {
        let store = open();
        trial.compare(&store);
        trial.apply_batches(&store, 6);
        if store.describe().sync_to_acknowledge {
            done("sync", store.sync());
        }
    }
    let store = open();
    trial.compare(&store);
    trial.drop_a_range(&store);
    done("sync", store.sync());
    drop(store);
    trial.compare(&open());
}

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// What the store should hold, and what comes next.
struct Trial {
    random: Random,
    map: Map,
}

impl Trial {
    fn new(seed: u64) -> Self {
        let (random, map) = (Random(seed), Map::new());
        Self { random, map }
    }

    fn apply_batches<S: OrderedStore>(&mut self, store: &Arc<S>, count: usize) {
        for _ in 0..count {
            let keys: BTreeSet<_> = (0..24).map(|_| self.random.key()).collect();
            let mut changes = Vec::new();
            for key in keys {
                let value = (self.random.below(3) > 0).then(|| self.random.value());
                match &value {
                    Some(value) => drop(self.map.insert(key.clone(), value.clone())),
                    None => drop(self.map.remove(&key)),
                }
                changes.push((key, value));
            }
            done("apply", store.apply(changes.into_iter().collect()));
        }
    }

    /// Every key by get and by cursor, both ways.
    fn compare<S: OrderedStore>(&mut self, store: &Arc<S>) {
        let view = done("view", store.view());
        compare(&view, &self.map);
        for _ in 0..100 {
            let key = self.random.key();
            let found = done("get", view.get(&key));
            assert_eq!(found.as_ref(), self.map.get(&key), "get of {key:02x?}");
        }
        for count in [0, 1, 2, 100] {
            let keys: BTreeSet<_> = (0..count).map(|_| self.random.key()).collect();
            // In an order that is not that of the keys.
            let (later, sooner): (Vec<&[u8]>, Vec<&[u8]>) = keys
                .iter()
                .map(Vec::as_slice)
                .partition(|key| key.len() % 2 == 0);
            let keys = [sooner, later].concat();
            let found = done("get_many", view.get_many(&keys));
            let wanted: Vec<_> = keys.iter().map(|key| self.map.get(*key).cloned()).collect();
            assert_eq!(found, wanted, "get_many of {keys:02x?}");
        }
        // A store may refuse such a view, and such a view any question.
        if let Ok(Some(view)) = store.view_of_memory() {
            self.compare_in_memory(&view);
        }
    }

    fn compare_in_memory(&mut self, view: &impl View) {
        for _ in 0..100 {
            let key = self.random.key();
            if let Some(found) = unless_busy("get", view.get(&key)) {
                assert_eq!(
                    found.as_ref(),
                    self.map.get(&key),
                    "get of {key:02x?} in memory"
                );
            }
        }
        let keys: BTreeSet<_> = (0..20).map(|_| self.random.key()).collect();
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        if let Some(found) = unless_busy("get_many", view.get_many(&keys)) {
            let wanted: Vec<_> = keys.iter().map(|key| self.map.get(*key).cloned()).collect();
            assert_eq!(found, wanted, "get_many of {keys:02x?} in memory");
        }
        for walk in [Walk::Up, Walk::Down] {
            let mut rest = vec![]..END.to_vec();
            let Some(mut cursor) = unless_busy("cursor", view.cursor(&[]..END, walk)) else {
                continue;
            };
            loop {
                let wanted = first(&self.map, &rest, walk);
                assert_eq!(cursor.entry().map(owned), wanted, "{walk:?} in memory");
                let Some((key, _)) = wanted else { break };
                if unless_busy("step", cursor.step()).is_none() {
                    break;
                }
                rest = match walk {
                    Walk::Up => [key, vec![0]].concat()..END.to_vec(),
                    Walk::Down => vec![]..key,
                };
            }
        }
    }

    /// A cursor over a range, with steps and seeks in turn.
    fn walk<S: OrderedStore>(&mut self, store: &Arc<S>) {
        let view = done("view", store.view());
        let (a, b) = (self.random.key(), self.random.key());
        if a == b {
            return;
        }
        let range = if a < b { a..b } else { b..a };
        let walk = match self.random.below(2) {
            0 => Walk::Up,
            _ => Walk::Down,
        };
        let mut cursor = done("cursor", view.cursor(&range.start..&range.end, walk));
        let mut rest = range.clone();
        let mut past = format!("{walk:?} through {range:02x?}");
        loop {
            let wanted = first(&self.map, &rest, walk);
            assert_eq!(cursor.entry().map(owned), wanted, "{past}");
            let Some((key, _)) = wanted else { return };
            let target = self.random.key();
            let is_ahead = match walk {
                Walk::Up => target > key && target < range.end,
                Walk::Down => target <= key && target > range.start,
            };
            if is_ahead {
                done("seek", cursor.seek(&target));
                past += &format!(", seek {target:02x?}");
                rest = ahead(&range, walk, &target);
            } else {
                done("step", cursor.step());
                past += ", step";
                rest = match walk {
                    Walk::Up => [key, vec![0]].concat()..range.end.clone(),
                    Walk::Down => ahead(&range, walk, &key),
                };
            }
        }
    }

    fn drop_a_range<S: OrderedStore>(&mut self, store: &Arc<S>) {
        let (start, end): (&[u8], &[u8]) = (&[0x01, 0x80], &[0x80]);
        done("drop_range", store.drop_range(start..end));
        self.map
            .retain(|key, _| !(start..end).contains(&key.as_slice()));
        self.compare(store);
    }

    fn a_snapshot_stays_as_it_is<S: OrderedStore>(&mut self, store: &Arc<S>) {
        let view = done("view", store.view());
        let cursor = done("cursor", view.cursor(&[]..END, Walk::Up));
        let before = all_in(done("view", store.view()), Walk::Up);
        self.apply_batches(store, 4);
        assert_eq!(
            rest_of(cursor),
            before,
            "an open cursor shows later changes"
        );
        let after = collect(&view, &[]..END, Walk::Up);
        assert_eq!(after, before, "a view shows later changes");
    }
}

/// What a view of memory answers; `None` when it refuses.
fn unless_busy<T>(what: &str, answer: Result<T>) -> Option<T> {
    match answer {
        Err(error) if error.kind() == ErrorKind::Busy => None,
        answer => Some(done(what, answer)),
    }
}

fn compare(view: &impl View, map: &Map) {
    let mut wanted: Vec<_> = map.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    assert_eq!(
        collect(view, &[]..END, Walk::Up),
        wanted,
        "all keys, upwards"
    );
    wanted.reverse();
    assert_eq!(
        collect(view, &[]..END, Walk::Down),
        wanted,
        "all keys, downwards"
    );
}

/// Values as large as metadata, and keys as long as the longest names.
fn large_entries<S: OrderedStore>(store: &Arc<S>) {
    let (key, value) = (vec![0xfe; 8000], vec![0x5a; 300_000]);
    done("apply", store.apply(Batch::new().put(&key, &value)));
    let view = done("view", store.view());
    assert_eq!(done("get", view.get(&key)), Some(value), "a large value");
    drop(view);
    done("apply", store.apply(Batch::new().delete(key)));
}

fn an_open_view_keeps_no_writer_waiting<S: OrderedStore>(store: &Arc<S>) {
    let view = done("view", store.view());
    let cursor = done("cursor", view.cursor(&[]..END, Walk::Up));
    let (sender, ended) = mpsc::channel();
    let writer = Arc::clone(store);
    std::thread::spawn(move || {
        let put = writer.apply(Batch::new().put([0x02], b"while a view is open"));
        // The receiver is gone when it has waited too long.
        let _ = sender.send(put.and_then(|()| writer.sync()));
    });
    match ended.recv_timeout(HANG) {
        Ok(result) => done("apply and sync", result),
        Err(_) => panic!("apply or sync waits until an open cursor is dropped"),
    }
    drop(cursor);
    let later = done("view", store.view());
    let found = done("get", later.get(&[0x02]));
    let wanted = Some(b"while a view is open".to_vec());
    assert_eq!(
        found, wanted,
        "a view does not show what another thread applied before"
    );
}

/// A reader sees all of a batch or nothing of it, whenever he looks.
fn batches_show_as_a_whole<S: OrderedStore>(store: &Arc<S>) {
    const KEYS: u8 = 16;
    const LOOKS: u32 = 500;
    const BATCHES: u32 = 20;
    let batch = |number: u32| {
        let keys = (0..KEYS).map(|i| (vec![0x40, i * 8], Some(number.to_be_bytes().to_vec())));
        keys.collect::<Batch>()
    };
    done("apply", store.apply(batch(0)));
    let (enough, written) = (AtomicBool::new(false), AtomicU32::new(0));
    let parts = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..100_000 {
                if enough.load(Ordering::Relaxed) {
                    return;
                }
                done("apply", store.apply(batch(number)));
                written.store(number, Ordering::Relaxed);
            }
        });
        let look = |_| {
            let view = done("view", store.view());
            let seen = collect(&view, &[0x40]..&[0x41], Walk::Up);
            let numbers: BTreeSet<_> = seen.into_iter().map(|(_, number)| number).collect();
            (numbers.len() != 1).then_some(numbers)
        };
        // On a busy machine the writer may begin late.
        let mut looks =
            (0_u32..).take_while(|look| *look < LOOKS || written.load(Ordering::Relaxed) < BATCHES);
        let parts = looks.find_map(look);
        enough.store(true, Ordering::Relaxed);
        parts
    });
    assert_eq!(parts, None, "a view shows parts of batches");
}

fn all_in(view: impl View, walk: Walk) -> Vec<(Vec<u8>, Vec<u8>)> {
    collect(&view, &[]..END, walk)
}

fn collect(view: &impl View, range: Range<&[u8]>, walk: Walk) -> Vec<(Vec<u8>, Vec<u8>)> {
    rest_of(done("cursor", view.cursor(range, walk)))
}

fn rest_of(mut cursor: Box<dyn Cursor + '_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries = Vec::new();
    while let Some(entry) = cursor.entry() {
        entries.push(owned(entry));
        done("step", cursor.step());
    }
    entries
}

fn owned((key, value): (&[u8], &[u8])) -> (Vec<u8>, Vec<u8>) {
    (key.to_vec(), value.to_vec())
}

/// What of a range is left when a cursor was sent to a key.
fn ahead(range: &Range<Vec<u8>>, walk: Walk, key: &[u8]) -> Range<Vec<u8>> {
    match walk {
        Walk::Up => key.to_vec()..range.end.clone(),
        Walk::Down => range.start.clone()..key.to_vec(),
    }
}

fn first(map: &Map, range: &Range<Vec<u8>>, walk: Walk) -> Option<(Vec<u8>, Vec<u8>)> {
    if range.start >= range.end {
        return None;
    }
    let bounds = (Bound::Included(&range.start), Bound::Excluded(&range.end));
    let mut entries = map.range::<Vec<u8>, _>(bounds);
    let entry = match walk {
        Walk::Up => entries.next(),
        Walk::Down => entries.next_back(),
    };
    entry.map(|(key, value)| (key.clone(), value.clone()))
}

#[track_caller]
fn done<T>(what: &str, result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what} failed: {error} ({error:?})"),
    }
}

/// Numbers that look random and depend on the seed alone (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Short keys of few different bytes, so that many are prefixes and neighbours of others.
    fn key(&mut self) -> Vec<u8> {
        const BYTES: [u8; 6] = [0x00, 0x01, 0x61, 0x7f, 0x80, 0xff];
        let length = 1 + self.below(4);
        let mut byte = || BYTES[self.below(BYTES.len() as u64) as usize];
        (0..length).map(|_| byte()).collect()
    }

    fn value(&mut self) -> Vec<u8> {
        let length = self.below(40) as usize;
        let byte = self.next() as u8;
        vec![byte; length]
    }
}
