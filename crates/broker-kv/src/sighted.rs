//! [`Sighted`]: a view whose cursors go over the gaps that are known of its store, and find more.

use crate::gaps::{Gap, Gaps, Sight, after, jump};
use crate::ordered::{Cursor, Pair, View, Walk};
use broker_api::Result;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After how many steps a walk looks at the clock when it does not time each.
const STRETCH: u32 = 64;

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

impl<V: View> View for Sighted<V> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.view.get(key)
    }

    fn cursor<'a>(&'a self, range: Range<&[u8]>, walk: Walk) -> Result<Box<dyn Cursor + 'a>> {
        let known = self.gaps.usable(self.sight);
        let edge = match walk {
            Walk::Up => range.start,
            Walk::Down => range.end,
        };
        let from = jump(&known, edge, walk).unwrap_or(edge).to_vec();
        let rest = match walk {
            Walk::Up => from.as_slice()..range.end,
            Walk::Down => range.start..from.as_slice(),
        };
        let begin = Instant::now();
        let inner = match rest.start < rest.end {
            true => Some(self.view.cursor(rest, walk)?),
            false => None,
        };
        let mut skipping = Skipping {
            inner,
            gaps: &self.gaps,
            sight: self.sight,
            range: range.start.to_vec()..range.end.to_vec(),
            walk,
            next: 0,
            known,
            pace: Pace::new(&self.gaps),
            stood: Vec::new(),
        };
        skipping.arrive(&from, begin.elapsed());
        Ok(Box::new(skipping))
    }
}

/// A cursor over a view that goes over gaps.
struct Skipping<'a> {
    /// The view's own cursor; none when what is left of the range is a gap.
    inner: Option<Box<dyn Cursor + 'a>>,
    gaps: &'a Gaps,
    sight: Sight,
    range: Range<Vec<u8>>,
    walk: Walk,
    known: Arc<Vec<Gap>>,
    /// How many of the known gaps are below where the cursor stands: ended there going up, begun going down.
    next: usize,
    pace: Pace,
    /// The key that a timed step began at; kept for its memory.
    stood: Vec<u8>,
}

/// Whether the steps of a walk are timed.
struct Pace {
    watched: bool,
    steps: u32,
    slow: bool,
    since: Instant,
}

impl Pace {
    fn new(gaps: &Gaps) -> Self {
        Self {
            watched: gaps.is_watched(),
            steps: 0,
            slow: false,
            since: Instant::now(),
        }
    }

    /// Has the steps to come timed when those of this stretch took long together.
    fn look(&mut self, gaps: &Gaps) {
        let now = Instant::now();
        if now - self.since >= 2 * gaps.long() {
            self.watched = true;
            self.slow = true;
            gaps.set_watched(true);
        }
        self.since = now;
    }
}

impl Skipping<'_> {
    /// The cursor stands where it came to from a key or an edge. When that took long, what is in between is
    /// remembered to be empty.
    fn arrive(&mut self, from: &[u8], took: Duration) {
        let here = self.inner.as_ref().and_then(|inner| inner.entry());
        let here = here.map(|(key, _)| key);
        if took >= self.gaps.long() {
            self.pace.slow = true;
            let gap = match (self.walk, here) {
                (Walk::Up, Some(here)) => from.to_vec()..here.to_vec(),
                (Walk::Up, None) => from.to_vec()..self.range.end.clone(),
                (Walk::Down, Some(here)) => after(here)..from.to_vec(),
                (Walk::Down, None) => self.range.start.clone()..from.to_vec(),
            };
            self.gaps.learn(gap, self.sight, took);
        }
        if let Some(here) = here.filter(|_| !self.known.is_empty()) {
            self.next = self.known.partition_point(|gap| match self.walk {
                Walk::Up => gap.range.end.as_slice() <= here,
                Walk::Down => gap.range.start.as_slice() < here,
            });
        }
    }

    /// Where the gap ends that begins right after the entry, in the direction of the walk.
    fn past_entry(&self) -> Option<Vec<u8>> {
        let next = match self.walk {
            Walk::Up => self.next,
            Walk::Down => self.next.checked_sub(1)?,
        };
        let gap = &self.known.get(next)?.range;
        let (here, _) = self.inner.as_ref()?.entry()?;
        match self.walk {
            Walk::Up => {
                let begins = gap.start.strip_prefix(here) == Some(&[0]);
                begins.then(|| gap.end.clone())
            }
            Walk::Down => (gap.end == here).then(|| gap.start.clone()),
        }
    }

    /// Goes to the first entry from a place on.
    fn go(&mut self, place: &[u8]) -> Result<()> {
        let inside = match self.walk {
            Walk::Up => place < self.range.end.as_slice(),
            Walk::Down => place > self.range.start.as_slice(),
        };
        let Some(inner) = self.inner.as_mut().filter(|_| inside) else {
            self.inner = None;
            return Ok(());
        };
        let begin = Instant::now();
        inner.seek(place)?;
        self.arrive(place, begin.elapsed());
        Ok(())
    }

    fn timed_step(&mut self) -> Result<()> {
        let Some(inner) = &mut self.inner else {
            return Ok(());
        };
        let mut stood = std::mem::take(&mut self.stood);
        stood.clear();
        stood.extend(inner.entry().into_iter().flat_map(|(key, _)| key));
        if self.walk == Walk::Up {
            // What is after the key begins here.
            stood.push(0);
        }
        let begin = Instant::now();
        inner.step()?;
        self.arrive(&stood, begin.elapsed());
        self.stood = stood;
        Ok(())
    }

    /// Leaves the gaps behind that a step has passed.
    fn pass(&mut self) {
        let Some((here, _)) = self.inner.as_ref().and_then(|inner| inner.entry()) else {
            return;
        };
        match self.walk {
            Walk::Up => {
                let ended = |gap: &Gap| gap.range.end.as_slice() <= here;
                while self.known.get(self.next).is_some_and(ended) {
                    self.next += 1;
                }
            }
            Walk::Down => {
                let above = |gap: &Gap| gap.range.start.as_slice() >= here;
                while self.next > 0 && above(&self.known[self.next - 1]) {
                    self.next -= 1;
                }
            }
        }
    }
}

impl Cursor for Skipping<'_> {
    fn entry(&self) -> Option<Pair<'_>> {
        self.inner.as_ref()?.entry()
    }

    fn step(&mut self) -> Result<()> {
        if let Some(past) = self.past_entry() {
            return self.go(&past);
        }
        self.pace.steps += 1;
        if self.pace.watched {
            return self.timed_step();
        }
        if let Some(inner) = &mut self.inner {
            inner.step()?;
        }
        if self.pace.steps.is_multiple_of(STRETCH) {
            self.pace.look(self.gaps);
        }
        if !self.known.is_empty() {
            self.pass();
        }
        Ok(())
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        let known = Arc::clone(&self.known);
        self.go(jump(&known, key, self.walk).unwrap_or(key))
    }
}

impl Drop for Skipping<'_> {
    /// A walk in which nothing was slow takes the clock away again.
    fn drop(&mut self) {
        match self.pace.watched {
            true if self.pace.steps >= STRETCH && !self.pace.slow => self.gaps.set_watched(false),
            false if !self.pace.steps.is_multiple_of(STRETCH) => self.pace.look(self.gaps),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "sighted_tests.rs"]
mod tests;
