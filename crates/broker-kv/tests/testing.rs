//! The kit for authors finds what it is there to find.
#![allow(clippy::unwrap_used)]

use broker_api::{Durability, Result};
use broker_kv::{
    Batch, Cursor, Description, MemoryOrdered, MemoryView, OrderedStore, Pair, View, Views, Walk,
    testing,
};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// Going down, a seek stops at the key itself.
    InclusiveSeek,
    /// The end of a range is shown.
    InclusiveEnd,
    /// Deleting a key keeps it.
    DeletesNothing,
    /// Empty values are taken for absent ones.
    EmptyIsAbsent,
    /// The values of several keys come in the order of the keys.
    SortsMany,
    /// A batch is applied key by key.
    HalfBatches,
    /// Views said to be snapshots show later changes.
    LiveViews,
    /// The last key of a dropped range stays.
    DropsTooLittle,
    /// What was not synced is gone, and the sync does nothing.
    ForgetsAtTheEnd,
}

#[derive(Debug)]
struct Flawed {
    map: Arc<MemoryOrdered>,
    flaw: Flaw,
}

fn store(flaw: Flaw) -> Arc<Flawed> {
    let map = Arc::default();
    Arc::new(Flawed { map, flaw })
}

impl OrderedStore for Flawed {
    type View = FlawedView;

    fn view(self: &Arc<Self>) -> Result<FlawedView> {
        Ok(FlawedView {
            live: Arc::clone(&self.map),
            view: self.map.view()?,
            flaw: self.flaw,
        })
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let changes = batch.changes().filter(|(_, value)| match self.flaw {
            Flaw::DeletesNothing => value.is_some(),
            Flaw::EmptyIsAbsent => value.as_ref().is_none_or(|value| !value.is_empty()),
            _ => true,
        });
        if self.flaw != Flaw::HalfBatches {
            return self.map.apply(changes.collect());
        }
        for change in changes {
            self.map.apply(Batch::from_iter([change]))?;
            // Long enough for a reader to come between, on a busy machine too.
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn drop_range(&self, range: Range<&[u8]>) -> Result<()> {
        if self.flaw != Flaw::DropsTooLittle {
            return self.map.drop_range(range);
        }
        let view = self.map.view()?;
        let cursor = view.cursor(range.clone(), Walk::Down)?;
        match cursor.entry() {
            Some((last, _)) => self.map.drop_range(range.start..last),
            None => Ok(()),
        }
    }

    fn describe(&self) -> Description {
        Description {
            views: Views::Snapshot,
            durability: Durability::Memory,
            sync_to_acknowledge: true,
        }
    }
}

struct FlawedView {
    live: Arc<MemoryOrdered>,
    view: MemoryView,
    flaw: Flaw,
}

impl View for FlawedView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.flaw {
            Flaw::LiveViews => self.live.view()?.get(key),
            _ => self.view.get(key),
        }
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        let mut keys = keys.to_vec();
        if self.flaw == Flaw::SortsMany {
            keys.sort();
        }
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn cursor<'a>(&'a self, range: Range<&[u8]>, walk: Walk) -> Result<Box<dyn Cursor + 'a>> {
        let longer = [range.end, &[0]].concat();
        let range = match self.flaw {
            Flaw::InclusiveEnd => range.start..longer.as_slice(),
            _ => range,
        };
        if self.flaw == Flaw::LiveViews {
            // The view of this moment; it lives as long as the test.
            let view = Box::leak(Box::new(self.live.view()?));
            return view.cursor(range, walk);
        }
        let cursor = self.view.cursor(range, walk)?;
        let is_inclusive = self.flaw == Flaw::InclusiveSeek && walk == Walk::Down;
        Ok(match is_inclusive {
            true => Box::new(Inclusive(cursor)),
            false => cursor,
        })
    }
}

struct Inclusive<'a>(Box<dyn Cursor + 'a>);

impl Cursor for Inclusive<'_> {
    fn entry(&self) -> Option<Pair<'_>> {
        self.0.entry()
    }

    fn step(&mut self) -> Result<()> {
        self.0.step()
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        match self.0.entry() {
            Some((at, _)) if at == key => Ok(()),
            _ => self.0.seek(&[key, &[0]].concat()),
        }
    }
}

fn is_found(flaw: Flaw, check: impl Fn()) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(check));
    println!(
        "{flaw:?}: {}",
        if outcome.is_err() { "found" } else { "passes" }
    );
    outcome.is_err()
}

/// A failure would mean that an author is told that a broken store is right.
#[test]
fn every_flaw_is_found() {
    for flaw in [
        Flaw::InclusiveSeek,
        Flaw::InclusiveEnd,
        Flaw::DeletesNothing,
        Flaw::EmptyIsAbsent,
        Flaw::SortsMany,
        Flaw::HalfBatches,
        Flaw::LiveViews,
        Flaw::DropsTooLittle,
    ] {
        assert!(
            is_found(flaw, || testing::check_store(&store(flaw), 1)),
            "{flaw:?}"
        );
    }
    let flaw = Flaw::ForgetsAtTheEnd;
    assert!(is_found(flaw, || testing::check_reopen(|| store(flaw), 1)));
}

/// A failure would mean that an author is told that a good store is broken.
#[test]
fn a_good_store_passes() {
    for seed in 0..20 {
        testing::check_store(&store(Flaw::None), seed);
        let kept = store(Flaw::None);
        testing::check_reopen(|| Arc::clone(&kept), seed);
    }
}
