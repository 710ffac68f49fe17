//! Gaps and landings against a plain map: random commits, views of every age, walks of both directions.

use super::*;
use crate::memory::{MemoryOrdered, MemoryView};
use crate::ordered::{Batch, OrderedStore};
use proptest::collection::vec;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeMap;

type Map = BTreeMap<u8, u8>;
/// Keys and values in the order of a walk.
type Seen = Vec<(u8, u8)>;
type Changes = Vec<(u8, Option<u8>)>;

/// What a random history does.
#[derive(Debug, Clone)]
enum Act {
    /// A commit, with views taken in the middle of it.
    Commit(Changes),
    /// Taking a view, with a commit in the middle of that: before or after the database's own is taken.
    Look { commit: Changes, before: bool },
    /// A walk over a view, of which `commit` is applied after some steps. It begins with a seek, perhaps, and goes on by
    /// steps and by seeks past so many keys, in turns.
    Walk {
        view: usize,
        range: (u8, u8),
        down: bool,
        seek: Option<u8>,
        leaps: Vec<Option<u8>>,
        commit: Option<(usize, Changes)>,
    },
}

struct World {
    store: Arc<MemoryOrdered>,
    gaps: Arc<Gaps>,
    now: Map,
    views: Vec<(Sighted<MemoryView>, Map)>,
}

impl World {
    fn new() -> Self {
        Self {
            store: Arc::default(),
            gaps: Arc::new(Gaps::with_long(Duration::ZERO)),
            now: Map::new(),
            views: Vec::new(),
        }
    }

    fn look(&mut self) {
        let view = Sighted::take(&self.gaps, || self.store.view()).unwrap();
        self.views.push((view, self.now.clone()));
    }

    fn commit(&mut self, changes: &Changes) {
        let gaps = Arc::clone(&self.gaps);
        let batch: Batch = distinct(changes);
        let applying = gaps.commit(&batch);
        self.look();
        self.store.apply(batch.clone()).unwrap();
        for (key, value) in batch.changes() {
            match value {
                Some(value) => self.now.insert(key[0], value[0]),
                None => self.now.remove(&key[0]),
            };
        }
        self.look();
        drop(applying);
    }

    fn look_during(&mut self, changes: &Changes, before: bool) {
        let gaps = Arc::clone(&self.gaps);
        let ((view, map), sight) = gaps.sight(|| {
            if before {
                self.commit(changes);
            }
            let seen = (self.store.view().unwrap(), self.now.clone());
            if !before {
                self.commit(changes);
            }
            seen
        });
        self.views.push((Sighted { view, gaps, sight }, map));
    }
}

/// A batch has a key only once; here the last change counts.
fn distinct(changes: &Changes) -> Batch {
    let last: BTreeMap<u8, Option<u8>> = changes.iter().copied().collect();
    let one = |(key, value): (u8, Option<u8>)| ([key], value.map(|value| [value]));
    last.into_iter().map(one).collect()
}

/// Walks a view and shows what it saw, and what it should have.
fn walk(world: &mut World, act: &Act) -> Option<(Seen, Seen)> {
    let Act::Walk {
        view,
        range,
        down,
        seek,
        leaps,
        commit,
    } = act
    else {
        return None;
    };
    if world.views.is_empty() {
        return None;
    }
    let at = view % world.views.len();
    let (sighted, map) = world.views.swap_remove(at);
    let (low, high) = (range.0.min(range.1), range.0.max(range.1) + 1);
    let walk = if *down { Walk::Down } else { Walk::Up };
    let mut cursor = sighted.cursor(&[low]..&[high], walk).unwrap();
    let inside = |key: u8| (low..high).contains(&key);
    let ahead = |to: u8, key: u8| if *down { key < to } else { key >= to };
    let seek = seek.filter(|&to| inside(to) && to > low);
    let leap = |steps: usize, key: u8| {
        let by = leaps.get(steps % leaps.len().max(1)).copied().flatten()?;
        let to = if *down {
            key.checked_sub(by)?
        } else {
            key + 1 + by
        };
        (inside(to) && to > low).then_some(to)
    };
    let (mut seen, mut steps) = (Vec::new(), 0);
    if let Some(to) = seek {
        cursor.seek(&[to]).unwrap();
    }
    while let Some((key, value)) = cursor.entry() {
        let key = key[0];
        seen.push((key, value[0]));
        if let Some((when, changes)) = commit
            && *when == steps
        {
            world.commit(changes);
        }
        match leap(steps, key) {
            Some(to) => cursor.seek(&[to]).unwrap(),
            None => cursor.step().unwrap(),
        }
        steps += 1;
    }
    drop(cursor);
    let mut keys: Vec<u8> = map.keys().copied().filter(|&key| inside(key)).collect();
    if *down {
        keys.reverse();
    }
    let (mut wanted, mut from) = (Vec::new(), seek);
    for key in keys {
        if from.is_none_or(|to| ahead(to, key)) {
            from = leap(wanted.len(), key);
            wanted.push((key, map[&key]));
        }
    }
    world.views.push((sighted, map));
    Some((seen, wanted))
}

fn changes() -> impl Strategy<Value = Changes> {
    vec((1u8..24, any::<Option<u8>>()), 0..8)
}

fn act() -> impl Strategy<Value = Act> {
    let walk = (
        any::<usize>(),
        (1u8..24, 1u8..24),
        any::<bool>(),
        proptest::option::of(1u8..24),
        vec(proptest::option::of(0u8..6), 0..3),
        proptest::option::of((0usize..4, changes())),
    );
    let walk = walk.prop_map(|(view, range, down, seek, leaps, commit)| Act::Walk {
        view,
        range,
        down,
        seek,
        leaps,
        commit,
    });
    let look = (changes(), any::<bool>()).prop_map(|(commit, before)| Act::Look { commit, before });
    prop_oneof![1 => changes().prop_map(Act::Commit), 1 => look, 4 => walk]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A failure would mean that a listing leaves out rows that are there.
    #[test]
    fn walks_see_what_their_view_holds_whatever_is_known_of_the_store(acts in vec(act(), 1..40)) {
        let mut world = World::new();
        for act in &acts {
            match act {
                Act::Commit(changes) => world.commit(changes),
                Act::Look { commit, before } => world.look_during(commit, *before),
                walked => if let Some((seen, wanted)) = walk(&mut world, walked) {
                    prop_assert_eq!(seen, wanted);
                },
            }
            world.look();
            while world.views.len() > 12 {
                world.views.remove(0);
            }
        }
    }
}

fn gap_ranges(gaps: &Gaps) -> Vec<Range<Vec<u8>>> {
    let (_, sight) = gaps.sight(|| ());
    let usable = gaps.usable(sight);
    usable.iter().map(|gap| gap.range.clone()).collect()
}

fn keys(view: &impl View, walk: Walk) -> Vec<u8> {
    let mut cursor = view.cursor(&[1]..&[100], walk).unwrap();
    let mut seen = Vec::new();
    while let Some((key, _)) = cursor.entry() {
        seen.push(key[0]);
        cursor.step().unwrap();
    }
    seen
}

/// A failure would mean that listings pay for deletions at their head for ever, or forget them with one put.
#[test]
fn what_a_walk_found_empty_is_remembered_until_a_key_comes() {
    let mut world = World::new();
    world.commit(&vec![(50, Some(1)), (60, Some(1))]);
    world.look();
    let (view, _) = world.views.pop().unwrap();
    assert_eq!(keys(&view, Walk::Up), [50, 60]);
    let between = |ranges: &[(&[u8], &[u8])]| -> Vec<Range<Vec<u8>>> {
        ranges
            .iter()
            .map(|(from, to)| from.to_vec()..to.to_vec())
            .collect()
    };
    let all: &[(&[u8], &[u8])] = &[(&[1], &[50]), (&[50, 0], &[60]), (&[60, 0], &[100])];
    assert_eq!(gap_ranges(&world.gaps), between(all));
    world.commit(&vec![(20, Some(1)), (60, None)]);
    let split: &[(&[u8], &[u8])] = &[
        (&[1], &[20]),
        (&[20, 0], &[50]),
        (&[50, 0], &[60]),
        (&[60, 0], &[100]),
    ];
    assert_eq!(gap_ranges(&world.gaps), between(split));
    world.look();
    let (view, _) = world.views.pop().unwrap();
    assert_eq!(keys(&view, Walk::Down), [50, 20]);
    let joined: &[(&[u8], &[u8])] = &[(&[1], &[20]), (&[20, 0], &[50]), (&[50, 0], &[100])];
    assert_eq!(gap_ranges(&world.gaps), between(joined));
    // A walk down finds the same as one up.
    world.gaps = Arc::new(Gaps::with_long(Duration::ZERO));
    world.look();
    let (view, _) = world.views.pop().unwrap();
    assert_eq!(keys(&view, Walk::Down), [50, 20]);
    assert_eq!(gap_ranges(&world.gaps), between(joined));
}

/// A view whose first cursors are slow, each to open and to take a step.
struct Slow {
    view: MemoryView,
    cursors: Cell<u32>,
    took: Duration,
}

struct SlowCursor<'a>(Box<dyn Cursor + 'a>, Duration);

impl View for Slow {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.view.get(key)
    }

    fn cursor<'a>(&'a self, range: Range<&[u8]>, walk: Walk) -> Result<Box<dyn Cursor + 'a>> {
        let slow = self.cursors.get() > 0;
        self.cursors.set(self.cursors.get().saturating_sub(1));
        let took = if slow { self.took } else { Duration::ZERO };
        std::thread::sleep(took);
        Ok(Box::new(SlowCursor(self.view.cursor(range, walk)?, took)))
    }
}

impl Cursor for SlowCursor<'_> {
    fn entry(&self) -> Option<Pair<'_>> {
        self.0.entry()
    }

    fn step(&mut self) -> Result<()> {
        std::thread::sleep(self.1);
        self.0.step()
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.0.seek(key)
    }
}

/// A failure would mean that a thread which had to wait for a processor leaves gaps that are none: each costs later walks
/// a cursor.
#[test]
fn what_takes_long_only_once_is_no_gap() {
    let learned = |cursors, took, long| {
        let world = some_rows(long);
        let view = slow(&world, cursors, took);
        assert_eq!(keys(&view, Walk::Up), [50, 60, 80]);
        gap_ranges(&world.gaps).len()
    };
    // A scheduler's own delays are shorter.
    let (took, long) = (Duration::from_millis(150), Duration::from_millis(100));
    assert_eq!(learned(0, took, long), 0);
    // The second cursor is the one that measures again.
    assert_eq!(learned(1, took, long), 0);
    assert_eq!(learned(u32::MAX, took, long), 4);
    // Nobody waits so long for a processor.
    assert!(learned(1, took, Duration::from_micros(100)) > 0);
}

/// A failure would mean that what was deleted in front of a gap that is known, or of what a listing by subdirs passes over,
/// is walked over again and again.
#[test]
fn steps_that_end_at_a_gap_or_with_a_seek_are_looked_at() {
    let (took, long) = (Duration::from_millis(1), Duration::from_micros(100));
    let world = some_rows(long);
    let (_, sight) = world.gaps.sight(|| ());
    world.gaps.learn(vec![70]..vec![75], sight, took);
    let view = slow(&world, u32::MAX, took);
    assert_eq!(keys(&view, Walk::Up), [50, 60, 80]);
    let known = gap_ranges(&world.gaps);
    assert!(known.contains(&(vec![60, 0]..vec![80])), "{known:?}");

    let world = some_rows(long);
    let view = slow(&world, u32::MAX, took);
    let mut cursor = view.cursor(&[1]..&[100], Walk::Up).unwrap();
    cursor.step().unwrap();
    cursor.seek(&[70]).unwrap();
    drop(cursor);
    let known = gap_ranges(&world.gaps);
    assert!(known.contains(&(vec![50, 0]..vec![60])), "{known:?}");
}

fn some_rows(long: Duration) -> World {
    let mut world = World::new();
    world.gaps = Arc::new(Gaps::with_long(long));
    world.commit(&vec![(50, Some(1)), (60, Some(1)), (80, Some(1))]);
    world
}

fn slow(world: &World, cursors: u32, took: Duration) -> Sighted<Slow> {
    let view = || {
        Ok(Slow {
            view: world.store.view()?,
            cursors: Cell::new(cursors),
            took,
        })
    };
    Sighted::take(&world.gaps, view).unwrap()
}

/// A failure would mean that a container whose head is filled and emptied again and again cannot be listed.
#[test]
fn a_gap_that_is_split_and_joined_again_and_again_costs_what_it_did() {
    let gaps = Gaps::default();
    let learn = || {
        let (_, sight) = gaps.sight(|| ());
        gaps.learn(vec![1]..vec![9], sight, Duration::from_secs(1));
    };
    for _ in 0..1000 {
        learn();
        drop(gaps.commit(&distinct(&vec![(5, Some(1))])));
        drop(gaps.commit(&distinct(&vec![(5, None)])));
    }
    learn();
    assert_eq!(gap_ranges(&gaps), [vec![1]..vec![9]]);
}

/// A failure would mean that a busy container's gaps take memory without a bound, or forget the dearest first.
#[test]
fn the_cheapest_gaps_are_forgotten_when_there_are_too_many() {
    let gaps = Gaps::default();
    let (_, sight) = gaps.sight(|| ());
    for number in 0..100u8 {
        let cost = Duration::from_millis(u64::from(number));
        gaps.learn(vec![2 * number]..vec![2 * number, 0], sight, cost);
    }
    let kept: Vec<u8> = gap_ranges(&gaps)
        .iter()
        .map(|range| range.start[0] / 2)
        .collect();
    assert_eq!(kept, Vec::from_iter(36..100));
}

/// A failure would mean that listings seek what they came to before.
#[test]
fn where_a_seek_came_down_is_known_to_the_next_until_it_changes() {
    let mut world = World::new();
    world.commit(&vec![(20, Some(1)), (50, Some(2)), (60, Some(3))]);
    let first = |view: &Sighted<MemoryView>, from: u8| {
        let mut cursor = view.cursor(&[1]..&[100], Walk::Up).unwrap();
        cursor.seek(&[from]).unwrap();
        cursor.entry().map(|(key, value)| (key[0], value[0]))
    };
    let found = |world: &mut World, from: u8| {
        world.look();
        let (mut view, _) = world.views.pop().unwrap();
        let sought = first(&view, from);
        // The same again where nothing of it could be found.
        let other = Arc::new(MemoryOrdered::default());
        other.apply(Batch::new().put(vec![20], vec![1])).unwrap();
        view.view = other.view().unwrap();
        assert_eq!(first(&view, from), sought);
        sought
    };
    assert_eq!(found(&mut world, 30), Some((50, 2)));
    assert_eq!(found(&mut world, 40), Some((50, 2)));
    world.commit(&vec![(50, None)]);
    assert_eq!(found(&mut world, 40), Some((60, 3)));
    world.commit(&vec![(45, Some(4))]);
    assert_eq!(found(&mut world, 40), Some((45, 4)));
}
