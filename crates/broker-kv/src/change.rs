//! The changes of a transaction that is not committed yet, laid over the view it began with.

use crate::ordered::{Batch, Change, Cursor, Pair, View, Walk};
use broker_api::Result;
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::ops::Range;

/// Changes are few beside so many times more that are in order.
const FEW: usize = 16;

/// Keys that were put (with their value) or deleted.
///
/// Changes are written one after the other, and brought into the order of their keys when somebody asks for it. A
/// merge of many rows asks about once for all of them, at its commit; of many small merges in one transaction each asks,
/// and has its few changes put between those that are in order already.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    batch: Batch,
    /// What [`order`](Self::order) was before the last changes.
    before: Vec<usize>,
    /// How many changes it had looked at.
    looked_at: usize,
    /// The numbers of the changes in the order of their keys; of each key, the last.
    order: OnceCell<Vec<usize>>,
}

impl Overlay {
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.write(
            |bytes| bytes.extend_from_slice(key),
            |bytes| bytes.extend_from_slice(value),
        );
    }

    /// Puts a key and a value that are appended to the bytes.
    pub(crate) fn write(
        &mut self,
        key: impl FnOnce(&mut Vec<u8>),
        value: impl FnOnce(&mut Vec<u8>),
    ) {
        self.out_of_order();
        self.batch.write(true, key, value);
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.out_of_order();
        let key = |bytes: &mut Vec<u8>| bytes.extend_from_slice(key);
        self.batch.write(false, key, |_| {});
    }

    fn out_of_order(&mut self) {
        if let Some(order) = self.order.take() {
            self.before = order;
            self.looked_at = self.batch.len();
        }
    }

    fn order(&self) -> &[usize] {
        self.order.get_or_init(|| {
            let key = |number: &usize| self.batch.change(*number).0;
            let mut order = self.before.clone();
            let new = self.looked_at..self.batch.len();
            if new.len() * FEW < order.len() {
                for number in new {
                    match order.binary_search_by(|other| key(other).cmp(key(&number))) {
                        Ok(place) => order[place] = number,
                        Err(place) => order.insert(place, number),
                    }
                }
                return order;
            }
            // The row log ascends while names come in between: two rows in order are put into one more quickly.
            let mut below = Vec::new();
            for number in new {
                match order.last().is_none_or(|last| key(last) < key(&number)) {
                    true => order.push(number),
                    false => below.push(number),
                }
            }
            order.append(&mut below);
            order.sort_by(|one, other| key(one).cmp(key(other)).then(one.cmp(other)));
            order.dedup_by(|later, kept| {
                let same = key(later) == key(kept);
                if same {
                    *kept = *later;
                }
                same
            });
            order
        })
    }

    /// What became of a key; the outer `None` when it was not touched.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        if self.batch.is_empty() {
            return None;
        }
        let order = self.order();
        let found = order.binary_search_by(|number| self.batch.change(*number).0.cmp(key));
        found.ok().map(|place| self.batch.change(order[place]).1)
    }

    pub(crate) fn into_batch(mut self) -> Batch {
        self.order();
        let order = self.order.take().unwrap_or_default();
        self.batch.pick(&order)
    }

    fn changes(&self, range: Range<&[u8]>) -> Changes<'_> {
        let order = self.order();
        let below = |key| order.partition_point(|number| self.batch.change(*number).0 < key);
        let (start, end) = (below(range.start), below(range.end));
        Changes {
            batch: &self.batch,
            numbers: order[start..end.max(start)].iter(),
        }
    }
}

/// The changes of a range, in order.
struct Changes<'a> {
    batch: &'a Batch,
    numbers: std::slice::Iter<'a, usize>,
}

impl<'a> Changes<'a> {
    fn next(&mut self, walk: Walk) -> Option<Change<'a>> {
        let number = match walk {
            Walk::Up => self.numbers.next(),
            Walk::Down => self.numbers.next_back(),
        };
        number.map(|number| self.batch.change(*number))
    }
}

/// A cursor over a view with an overlay.
///
/// ```text
/// view      a   b       d
/// overlay       b'  c   d deleted
/// merged    a   b'  c
/// ```
pub(crate) struct Merged<'a> {
    view: Box<dyn Cursor + 'a>,
    overlay: &'a Overlay,
    range: Range<Vec<u8>>,
    walk: Walk,
    rest: Changes<'a>,
    /// The next change, which the view's entry may or may not come before.
    change: Option<Change<'a>>,
    from: From,
}

/// Where the entry that a merged cursor stands on comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    View,
    Change,
    /// From the change, which hides an entry of the view.
    Both,
    End,
}

impl<'a> Merged<'a> {
    pub(crate) fn new<V: View>(
        view: &'a V,
        overlay: &'a Overlay,
        range: Range<Vec<u8>>,
        walk: Walk,
    ) -> Result<Self> {
        let mut merged = Self {
            view: view.cursor(&range.start..&range.end, walk)?,
            overlay,
            rest: overlay.changes(&range.start..&range.end),
            range,
            walk,
            change: None,
            from: From::End,
        };
        merged.next_change();
        merged.settle()?;
        Ok(merged)
    }

    fn next_change(&mut self) {
        self.change = self.rest.next(self.walk);
    }

    fn compare(&self) -> From {
        match (self.view.entry(), self.change) {
            (None, None) => From::End,
            (Some(_), None) => From::View,
            (None, Some(_)) => From::Change,
            (Some((key, _)), Some((changed, _))) => {
                let order = match self.walk {
                    Walk::Up => key.cmp(changed),
                    Walk::Down => changed.cmp(key),
                };
                match order {
                    Ordering::Less => From::View,
                    Ordering::Equal => From::Both,
                    Ordering::Greater => From::Change,
                }
            }
        }
    }

    fn advance(&mut self) -> Result<()> {
        if matches!(self.from, From::View | From::Both) {
            self.view.step()?;
        }
        if matches!(self.from, From::Change | From::Both) {
            self.next_change();
        }
        Ok(())
    }

    /// Goes on to the first entry that is not deleted.
    fn settle(&mut self) -> Result<()> {
        loop {
            self.from = self.compare();
            let deleted = matches!(self.from, From::Change | From::Both)
                && self.change.is_some_and(|(_, value)| value.is_none());
            if !deleted {
                return Ok(());
            }
            self.advance()?;
        }
    }
}

impl Cursor for Merged<'_> {
    fn entry(&self) -> Option<Pair<'_>> {
        match self.from {
            From::End => None,
            From::View => self.view.entry(),
            From::Change | From::Both => self.change.and_then(|(key, value)| Some((key, value?))),
        }
    }

    fn step(&mut self) -> Result<()> {
        self.advance()?;
        self.settle()
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.view.seek(key)?;
        self.rest = match self.walk {
            Walk::Up => self.overlay.changes(key..&self.range.end),
            Walk::Down => self.overlay.changes(&self.range.start..key),
        };
        self.next_change();
        self.settle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryOrdered;
    use crate::ordered::OrderedStore;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn collect(mut cursor: Merged<'_>, seek: Option<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut seen = Vec::new();
        if let Some(key) = seek {
            cursor.seek(key).unwrap();
        }
        while let Some((key, value)) = cursor.entry() {
            seen.push((key.to_vec(), value.to_vec()));
            cursor.step().unwrap();
        }
        seen
    }

    proptest! {
        /// A failure would mean that a merge decides by what an earlier one in its transaction replaced, or that a
        /// batch names a key twice.
        #[test]
        fn of_each_key_the_last_change_counts_whenever_somebody_asks(
            changes in proptest::collection::vec((any::<u8>(), any::<Option<u8>>(), any::<bool>()), 0..500),
        ) {
            let (mut overlay, mut last) = (Overlay::default(), BTreeMap::new());
            for (key, change, asks) in changes {
                last.insert(vec![key], change.map(|value| vec![value]));
                match change {
                    Some(value) => overlay.put(&[key], &[value]),
                    None => overlay.delete(&[key]),
                }
                let others = asks.then(|| [key.wrapping_sub(1), key, key.wrapping_add(1)]);
                for key in others.into_iter().flatten() {
                    let known = last.get(&[key][..]).map(Option::as_deref);
                    prop_assert_eq!(overlay.get(&[key]), known);
                }
            }
            let last: Batch = last.into_iter().collect();
            prop_assert_eq!(overlay.into_batch(), last);
        }

        /// A failure would mean that a transaction does not see what it has written itself.
        #[test]
        fn a_merged_cursor_shows_what_a_map_with_the_changes_holds(
            base in proptest::collection::btree_map(1u8..20, any::<u8>(), 0..12),
            changes in proptest::collection::vec((1u8..20, any::<Option<u8>>()), 0..12),
            seek in proptest::option::of(2u8..19),
        ) {
            let store = Arc::new(MemoryOrdered::default());
            let puts = base.iter().map(|(&k, &v)| ([k], Some([v])));
            store.apply(puts.collect()).unwrap();
            let mut expected = base;
            let mut overlay = Overlay::default();
            for (key, change) in changes {
                match change {
                    Some(value) => {
                        expected.insert(key, value);
                        overlay.put(&[key], &[value]);
                    }
                    None => {
                        expected.remove(&key);
                        overlay.delete(&[key]);
                    }
                }
            }
            let view = store.view().unwrap();
            for walk in [Walk::Up, Walk::Down] {
                let merged = Merged::new(&view, &overlay, vec![1]..vec![20], walk).unwrap();
                let seek = seek.map(|key| vec![key]);
                let inside = |key: u8| match (&seek, walk) {
                    (None, _) => true,
                    (Some(from), Walk::Up) => key >= from[0],
                    (Some(to), Walk::Down) => key < to[0],
                };
                let mut wanted: Vec<_> = expected.iter()
                    .filter(|(key, _)| inside(**key))
                    .map(|(&k, &v)| (vec![k], vec![v]))
                    .collect();
                if walk == Walk::Down {
                    wanted.reverse();
                }
                prop_assert_eq!(collect(merged, seek.as_deref()), wanted);
            }
        }
    }
}
