//! [`Gaps`]: where a store is known to hold no keys, and where seeks came down, so that walks need not find out again.
//!
//! Databases keep what was deleted for a while, as markers or as empty pages, and a walk has to step over it.
//! A listing whose head was deleted a million times would pay for that with every page.
//!
//! ```text
//! keys        ………………………………  f g h i ……………… q r       … deleted, and still in the database's way
//! known gaps  [              )         [      )
//! a walk                       ►f g h i         ►q r      a cursor between any two, in place of many steps
//! ```
//!
//! A walk that took long to get from one place to the next, and takes long once more, remembers that there is
//! nothing in between. What it remembers must be true of every view that uses it, though commits go on beside it.
//! Commits of a store are counted; there is one at a time:
//!
//! ```text
//! commit n     begun = n ── gaps are split where it puts keys ── apply ── ended = n
//!              landings are forgotten where it puts or deletes keys
//! view         ended is read ── view is taken ── begun is read
//!                     │                                 │
//!                     │                                 └ holds nothing of commits after this
//!                     └ holds all commits up to this
//! learn        what a view has seen is true of all views that hold all it may have held (begun), if no
//!              commit that it may have missed (after ended) put a key there, or deleted the one it landed on
//! use          a gap or a landing serves a view when ended is not below what it is true since
//! ```

use crate::ordered::{Batch, Pair, Walk};
use broker_runtime::landings::{Landing, Landings, Room};
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a step takes that is worth remembering: a thousand deleted keys.
const LONG: Duration = Duration::from_micros(100);

/// How many gaps a store remembers; then those that cost least are forgotten.
const MOST_GAPS: usize = 64;

/// How many commits a view may be behind to learn from what it sees.
const RECENT_COMMITS: usize = 64;

/// The gaps and landings of one store, shared by its handles.
#[derive(Debug)]
pub(crate) struct Gaps {
    /// The last commit that began, and the last one that ended, whatever its outcome.
    begun: AtomicU64,
    ended: AtomicU64,
    long: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In order, apart from each other.
    known: Arc<Vec<Gap>>,
    landings: Landings<Vec<u8>>,
    recent: VecDeque<Commit>,
}

/// A range without keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) range: Range<Vec<u8>>,
    /// Views that hold all commits up to this one have no keys there.
    since: u64,
    /// How long it took to find out.
    cost: Duration,
}

/// Where a commit put keys, and where it deleted some: from the first to the last, for each section.
#[derive(Debug)]
struct Commit {
    number: u64,
    puts: Vec<Range<Vec<u8>>>,
    deletes: Vec<Range<Vec<u8>>>,
}

impl Commit {
    /// Whether it may have put a key into a range, or deleted one.
    fn may_put(&self, range: &Range<Vec<u8>>) -> bool {
        touch(&self.puts, range)
    }

    fn may_change(&self, range: &Range<Vec<u8>>) -> bool {
        self.may_put(range) || touch(&self.deletes, range)
    }
}

/// The last key of a span is a key.
fn touch(spans: &[Range<Vec<u8>>], range: &Range<Vec<u8>>) -> bool {
    let mut spans = spans.iter();
    spans.any(|span| span.start < range.end && range.start <= span.end)
}

/// Which commits a view holds: all up to `ended`, none after `begun`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    pub(crate) ended: u64,
    pub(crate) begun: u64,
}

impl Default for Gaps {
    fn default() -> Self {
        Self::with_long(LONG)
    }
}

impl Gaps {
    /// With room for landings.
    pub(crate) fn within(room: Room) -> Self {
        let mut gaps = Self::default();
        gaps.state.get_mut().landings = Landings::within(room);
        gaps
    }

    /// With another idea of what takes long; with none, every step is remembered.
    pub(crate) fn with_long(long: Duration) -> Self {
        Self {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            long,
            state: Mutex::default(),
        }
    }

    /// Takes a view and says what it holds.
    pub(crate) fn sight<V>(&self, view: impl FnOnce() -> V) -> (V, Sight) {
        let ended = self.ended.load(Ordering::SeqCst);
        let view = view();
        let begun = self.begun.load(Ordering::SeqCst);
        (view, Sight { ended, begun })
    }

    /// The last commit that was applied, or failed.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    /// Begins a commit, which ends when the answer is dropped. To be called by the store's only writer
    /// before it applies the batch.
    pub(crate) fn commit(&self, batch: &Batch) -> Applying<'_> {
        let mut state = self.state.lock();
        let number = self.begun.load(Ordering::SeqCst) + 1;
        self.begun.store(number, Ordering::SeqCst);
        if state.recent.len() == RECENT_COMMITS {
            state.recent.pop_front();
        }
        if !state.known.is_empty() {
            let known = Arc::make_mut(&mut state.known);
            split(known, batch.puts());
        }
        if !state.landings.is_empty() {
            for key in batch.puts().chain(batch.deletes()) {
                state.landings.forget(key);
            }
        }
        state.recent.push_back(Commit {
            number,
            puts: spans(batch.puts()),
            deletes: spans(batch.deletes()),
        });
        Applying { gaps: self, number }
    }

    /// The gaps that a view may use.
    pub(crate) fn usable(&self, sight: Sight) -> Arc<Vec<Gap>> {
        let known = Arc::clone(&self.state.lock().known);
        match known.iter().all(|gap| gap.since <= sight.ended) {
            true => known,
            false => {
                let usable = known.iter().filter(|gap| gap.since <= sight.ended);
                Arc::new(usable.cloned().collect())
            }
        }
    }

    /// Remembers that a view found no keys in a range, and how long it took.
    pub(crate) fn learn(&self, range: Range<Vec<u8>>, sight: Sight, cost: Duration) {
        if range.start >= range.end {
            return;
        }
        let mut state = self.state.lock();
        if self.missed(&state, sight, |commit| commit.may_put(&range)) {
            return;
        }
        let since = sight.begun;
        let gap = Gap { range, since, cost };
        insert(Arc::make_mut(&mut state.known), gap);
    }

    /// Where a seek to a key comes down in a view, if that is known.
    pub(crate) fn landing(&self, key: &[u8], sight: Sight) -> Option<Arc<Landing<Vec<u8>>>> {
        self.state.lock().landings.find(key, sight.ended)
    }

    /// Remembers where a seek of a view came down.
    pub(crate) fn learn_landing(&self, from: &[u8], entry: Pair<'_>, sight: Sight) {
        let (key, value) = entry;
        let range = from.to_vec()..after(key);
        let (size, value) = (value.len(), value.to_vec());
        let landing = Landing::new(key.to_vec(), value, size, sight.begun);
        let mut state = self.state.lock();
        if !self.missed(&state, sight, |commit| commit.may_change(&range)) {
            state.landings.insert(from.to_vec(), landing);
        }
    }

    /// Whether a commit of some kind may have begun that a view does not hold.
    fn missed(&self, state: &State, sight: Sight, of_kind: impl Fn(&Commit) -> bool) -> bool {
        let missed = self.begun.load(Ordering::SeqCst) - sight.ended;
        let missed = usize::try_from(missed).unwrap_or(usize::MAX);
        if missed > state.recent.len() {
            return true;
        }
        let mut recent = state.recent.iter().rev().take(missed);
        recent.any(|commit| {
            debug_assert!(commit.number > sight.ended);
            of_kind(commit)
        })
    }

    pub(crate) fn long(&self) -> Duration {
        self.long
    }
}

/// A commit that is being applied.
#[derive(Debug)]
pub(crate) struct Applying<'a> {
    gaps: &'a Gaps,
    number: u64,
}

impl Applying<'_> {
    /// The number of this commit.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Applying<'_> {
    fn drop(&mut self) {
        self.gaps.ended.store(self.number, Ordering::SeqCst);
    }
}

/// Where in their order keys of a batch are. A span ends with its last key, inclusive, and no span reaches from one
/// section of the store into another.
fn spans<'k>(keys: impl Iterator<Item = &'k [u8]>) -> Vec<Range<Vec<u8>>> {
    let section = |key: &[u8]| crate::keys::tail(key).first().copied();
    let mut spans: Vec<Range<Vec<u8>>> = Vec::new();
    let mut span: Option<Range<&[u8]>> = None;
    let owned = |span: Range<&[u8]>| span.start.to_vec()..span.end.to_vec();
    for key in keys {
        span = Some(match span {
            Some(span) if section(span.end) == section(key) => {
                span.start.min(key)..span.end.max(key)
            }
            other => {
                spans.extend(other.map(owned));
                key..key
            }
        });
    }
    spans.extend(span.map(owned));
    spans
}

/// The key right after a key.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    let mut after = Vec::with_capacity(key.len() + 1);
    after.extend_from_slice(key);
    after.push(0);
    after
}

/// Takes the keys of a batch out of the gaps that they are in. What is between the first and the last of a
/// gap is forgotten: a batch's keys are mostly neighbours.
fn split<'k>(known: &mut Vec<Gap>, keys: impl Iterator<Item = &'k [u8]>) {
    let mut hit: BTreeMap<usize, (&[u8], &[u8])> = BTreeMap::new();
    for key in keys {
        let at = known.partition_point(|gap| gap.range.end.as_slice() <= key);
        if known
            .get(at)
            .is_some_and(|gap| gap.range.start.as_slice() <= key)
        {
            let (first, last) = hit.entry(at).or_insert((key, key));
            (*first, *last) = ((*first).min(key), (*last).max(key));
        }
    }
    // From above, so that what is inserted moves none of those to come.
    for (at, (first, last)) in hit.into_iter().rev() {
        let below = known.remove(at);
        let mut above = below.clone();
        above.range.start = after(last);
        let below = Gap {
            range: below.range.start..first.to_vec(),
            ..below
        };
        let parts = [below, above].into_iter();
        known.splice(at..at, parts.filter(|gap| !gap.range.is_empty()));
    }
    while known.len() > MOST_GAPS {
        forget_one(known);
    }
}

/// Adds a gap and makes one of all that touch it.
fn insert(known: &mut Vec<Gap>, mut gap: Gap) {
    let from = known.partition_point(|other| other.range.end < gap.range.start);
    let to = known.partition_point(|other| other.range.start <= gap.range.end);
    for other in known.drain(from..to) {
        gap.range.start = gap.range.start.min(other.range.start);
        gap.range.end = gap.range.end.max(other.range.end);
        gap.since = gap.since.max(other.since);
        // The sum would grow whenever a gap is split and joined again: both parts keep its cost.
        gap.cost = gap.cost.max(other.cost);
    }
    known.insert(from, gap);
    if known.len() > MOST_GAPS {
        forget_one(known);
    }
}

/// Forgets the gap that cost least; of several, one whose ends are close together.
fn forget_one(known: &mut Vec<Gap>) {
    let width = |range: &Range<Vec<u8>>| {
        let same = range
            .start
            .iter()
            .zip(&range.end)
            .take_while(|(a, b)| a == b);
        Reverse(same.count())
    };
    let gaps = known.iter().enumerate();
    let least = gaps.min_by_key(|(_, gap)| (gap.cost, width(&gap.range)));
    if let Some((at, _)) = least {
        known.remove(at);
    }
}

/// Where a walk that is about to go on from `key` finds itself past the gap that is there, if one is.
///
/// Going up, the walk looks for the first key at or after `key`; going down, for the last one before it.
pub(crate) fn jump<'g>(known: &'g [Gap], key: &[u8], walk: Walk) -> Option<&'g [u8]> {
    match walk {
        Walk::Up => {
            let at = known.partition_point(|gap| gap.range.end.as_slice() <= key);
            let gap = known
                .get(at)
                .filter(|gap| gap.range.start.as_slice() <= key)?;
            Some(&gap.range.end)
        }
        Walk::Down => {
            let at = known.partition_point(|gap| gap.range.end.as_slice() < key);
            let gap = known
                .get(at)
                .filter(|gap| gap.range.start.as_slice() < key)?;
            Some(&gap.range.start)
        }
    }
}

/// Where the next gap begins that a walk meets from `key` on, which is in none.
pub(crate) fn next_gap<'g>(known: &'g [Gap], key: &[u8], walk: Walk) -> Option<&'g [u8]> {
    match walk {
        Walk::Up => {
            let at = known.partition_point(|gap| gap.range.start.as_slice() < key);
            Some(&known.get(at)?.range.start)
        }
        Walk::Down => {
            let at = known.partition_point(|gap| gap.range.end.as_slice() <= key);
            Some(&known.get(at.checked_sub(1)?)?.range.end)
        }
    }
}
