//! [`Sighted`]: a view whose cursors go over the gaps and to the landings that are known of its store, and find more.

use crate::gaps::{Gap, Gaps, Sight, after, jump, next_gap};
use crate::ordered::{Cursor, Pair, View, Walk};
use broker_api::Result;
use broker_runtime::landings::Landing;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After how many steps a walk looks at the clock.
const STRETCH: u32 = 64;

/// What took less than so many times as long as a gap is tried once more before it is believed: threads are seldom kept
/// from running for 20 ms.
const CERTAIN: u32 = 200;

/// A view of a store with what is known about its gaps.
#[derive(Debug)]
pub(crate) struct Sighted<V> {
    view: V,
    gaps: Arc<Gaps>,
    sight: Sight,
}

impl<V> Sighted<V> {
    /// Takes a view of the store that has these gaps.
    pub(crate) fn take(gaps: &Arc<Gaps>, view: impl FnOnce() -> Result<V>) -> Result<Self> {
        let (view, sight) = gaps.sight(view);
        Ok(Self {
            view: view?,
            gaps: Arc::clone(gaps),
            sight,
        })
    }
}

impl<V> Sighted<V> {
    /// The last commit that the view may hold.
    pub(crate) fn begun(&self) -> u64 {
        self.sight.begun
    }

    /// The last commit that the view holds; `None` when one was being applied while it was taken.
    pub(crate) fn last_commit(&self) -> Option<u64> {
        (self.sight.begun == self.sight.ended).then_some(self.sight.begun)
    }
}

impl<V: View> View for Sighted<V> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.view.get(key)
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        self.view.get_many(keys)
    }

    fn cursor<'a>(&'a self, range: Range<&[u8]>, walk: Walk) -> Result<Box<dyn Cursor + 'a>> {
        let edge = match walk {
            Walk::Up => range.start,
            Walk::Down => range.end,
        };
        let mut skipping = Skipping {
            view: &self.view,
            gaps: &self.gaps,
            sight: self.sight,
            known: self.gaps.usable(self.sight),
            range: range.start.to_vec()..range.end.to_vec(),
            walk,
            inner: None,
            landed: None,
            end: Vec::new(),
            stretch: Stretch::default(),
        };
        skipping.open(edge.to_vec())?;
        Ok(Box::new(skipping))
    }
}

/// A cursor that has the view's own cursors only where no gap is known, one after the other.
///
/// ```text
/// known gaps   [      )             [         )
/// cursors              ────────────►           ──────────►
/// ```
///
/// So none of them runs into a gap. Seeking over it would not do: the way to the last key before a gap may
/// be through deleted keys, and would go on through those of the gap.
struct Skipping<'a, V: View> {
    view: &'a V,
    gaps: &'a Gaps,
    sight: Sight,
    known: Arc<Vec<Gap>>,
    range: Range<Vec<u8>>,
    walk: Walk,
    /// None past the last entry.
    inner: Option<Box<dyn Cursor + 'a>>,
    /// Where the last seek came down, when that was known. The inner cursor is somewhere before it then.
    landed: Option<Arc<Landing<Vec<u8>>>>,
    /// Where the inner cursor's range ends in the direction of the walk.
    end: Vec<u8>,
    stretch: Stretch,
}

/// The steps of one inner cursor since the walk last looked at the clock.
#[derive(Default)]
struct Stretch {
    steps: u32,
    /// None when it has ended.
    began: Option<Instant>,
    /// The key that it began at.
    from: Vec<u8>,
    /// How long a stretch may take before it is taken again, when that was in vain already: the time may be that of
    /// whoever is shown the entries.
    patience: Duration,
}

impl Stretch {
    fn begin(&mut self, now: Instant, from: &[u8]) {
        self.steps = 0;
        self.began = Some(now);
        self.from.clear();
        self.from.extend_from_slice(from);
    }
}

impl<V: View> Skipping<'_, V> {
    /// Goes to the first entry from a place on, in the direction of the walk.
    fn open(&mut self, mut place: Vec<u8>) -> Result<()> {
        self.end_stretch();
        self.inner = None;
        loop {
            if let Some(past) = jump(&self.known, &place, self.walk) {
                place = past.to_vec();
            }
            let end = next_gap(&self.known, &place, self.walk).unwrap_or(&[]);
            let (start, stop) = match self.walk {
                Walk::Up if end.is_empty() => (&place[..], &self.range.end[..]),
                Walk::Up => (&place[..], end.min(&self.range.end)),
                Walk::Down => (end.max(&self.range.start), &place[..]),
            };
            if start >= stop {
                return Ok(());
            }
            self.end = if self.walk == Walk::Up { stop } else { start }.to_vec();
            let began = Instant::now();
            let inner = self.view.cursor(start..stop, self.walk)?;
            let found = inner.entry().is_some();
            self.inner = Some(inner);
            self.arrive(&place, began);
            if found {
                return Ok(());
            }
            self.inner = None;
            place.clone_from(&self.end);
        }
    }

    /// Has the inner cursor go to a key ahead of it.
    fn go_to(&mut self, key: &[u8]) -> Result<()> {
        self.end_stretch();
        let within = match self.walk {
            Walk::Up => key < self.end.as_slice(),
            Walk::Down => key > self.end.as_slice(),
        };
        match &mut self.inner {
            Some(inner) if within => {
                let began = Instant::now();
                inner.seek(key)?;
                self.arrive(key, began);
                self.settle()
            }
            _ => self.open(key.to_vec()),
        }
    }

    /// The inner cursor stands where it came to from a place. When that takes long, what is in between is
    /// remembered to be empty.
    fn arrive(&mut self, from: &[u8], began: Instant) {
        let now = Instant::now();
        let took = now - began;
        self.begin_stretch(now);
        if took < self.gaps.long() {
            return;
        }
        let took = match took < CERTAIN * self.gaps.long() {
            true => self.time_again(from),
            false => took,
        };
        let here = self.inner.as_ref().and_then(|inner| inner.entry());
        self.learn(from, here.map(|(key, _)| key), took);
    }

    /// How long another cursor takes from a place to the first entry; no time when that fails.
    fn time_again(&self, from: &[u8]) -> Duration {
        let range = match self.walk {
            Walk::Up => from..self.end.as_slice(),
            Walk::Down => self.end.as_slice()..from,
        };
        let began = Instant::now();
        let again = self.view.cursor(range, self.walk);
        again.map_or(Duration::ZERO, |_| began.elapsed())
    }

    /// Remembers that there is nothing between a place and what comes next, when it took long to get there; says whether
    /// it did.
    fn learn(&self, from: &[u8], here: Option<&[u8]>, took: Duration) -> bool {
        if took < self.gaps.long() {
            return false;
        }
        let gap = match (self.walk, here) {
            (Walk::Up, here) => from.to_vec()..here.unwrap_or(&self.end).to_vec(),
            (Walk::Down, Some(here)) => after(here)..from.to_vec(),
            (Walk::Down, None) => self.end.clone()..from.to_vec(),
        };
        self.gaps.learn(gap, self.sight, took);
        true
    }

    /// Has a stretch begin where the inner cursor stands.
    fn begin_stretch(&mut self, now: Instant) {
        if let Some((here, _)) = self.inner.as_ref().and_then(|inner| inner.entry()) {
            self.stretch.begin(now, here);
        }
    }

    /// Looks at the clock, and where the time went when the steps took as long as a gap does.
    fn end_stretch(&mut self) {
        let began = self.stretch.began.take();
        let Some(began) = began.filter(|_| self.stretch.steps > 0) else {
            return;
        };
        let took = began.elapsed();
        if took >= self.stretch.patience.max(2 * self.gaps.long()) {
            // The walk itself needs nothing of this. What cannot be found out is not remembered.
            let learned = self.retrace(took).unwrap_or(false);
            self.stretch.patience = if learned { Duration::ZERO } else { 2 * took };
        }
    }

    /// Takes the steps of the stretch again, each by the clock, for as long as they took; says whether any was long.
    fn retrace(&self, took: Duration) -> Result<bool> {
        let from = &self.stretch.from;
        let (start, stop) = match self.walk {
            Walk::Up => (from.clone(), self.end.clone()),
            Walk::Down => (self.end.clone(), after(from)),
        };
        let again = Instant::now();
        let mut cursor = self.view.cursor(&start..&stop, self.walk)?;
        let (mut stood, mut learned) = (Vec::new(), false);
        for _ in 0..self.stretch.steps {
            let Some((key, _)) = cursor.entry() else {
                break;
            };
            stood.clear();
            stood.extend_from_slice(key);
            if self.walk == Walk::Up {
                // What is after the key begins here.
                stood.push(0);
            }
            let began = Instant::now();
            cursor.step()?;
            let here = cursor.entry().map(|(key, _)| key);
            learned |= self.learn(&stood, here, began.elapsed());
            if again.elapsed() > took && !self.gaps.long().is_zero() {
                break;
            }
        }
        Ok(learned)
    }

    /// Goes on behind the next gap when there is nothing before it.
    fn settle(&mut self) -> Result<()> {
        match &self.inner {
            Some(inner) if inner.entry().is_none() => self.open(self.end.clone()),
            _ => Ok(()),
        }
    }
}

impl<V: View> Cursor for Skipping<'_, V> {
    fn entry(&self) -> Option<Pair<'_>> {
        match &self.landed {
            Some(landing) => Some((landing.key(), landing.value())),
            None => self.inner.as_ref()?.entry(),
        }
    }

    fn step(&mut self) -> Result<()> {
        if let Some(landing) = self.landed.take() {
            return self.go_to(&after(landing.key()));
        }
        if let Some(inner) = &mut self.inner {
            inner.step()?;
            self.stretch.steps += 1;
            if self.stretch.steps == STRETCH || self.gaps.long().is_zero() {
                self.end_stretch();
                self.begin_stretch(Instant::now());
            }
        }
        self.settle()
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        let here = self.entry().map(|(here, _)| here);
        let ahead = match self.walk {
            Walk::Up => here.is_some_and(|here| here < key),
            Walk::Down => here.is_some_and(|here| here >= key),
        };
        if !ahead {
            // Past a gap already, to what comes first after the key.
            return Ok(());
        }
        self.landed = None;
        if self.walk == Walk::Down {
            return self.go_to(key);
        }
        if let Some(landing) = self.gaps.landing(key, self.sight) {
            match landing.key() < self.range.end.as_slice() {
                true => self.landed = Some(landing),
                false => self.inner = None,
            }
            return Ok(());
        }
        self.go_to(key)?;
        if let Some(entry) = self.entry() {
            self.gaps.learn_landing(key, entry, self.sight);
        }
        Ok(())
    }
}

impl<V: View> Drop for Skipping<'_, V> {
    fn drop(&mut self) {
        self.end_stretch();
    }
}

#[cfg(test)]
#[path = "sighted_tests.rs"]
mod tests;
