//! The changes of a transaction that is not committed yet, laid over the view it began with.

use crate::ordered::{Batch, Cursor, Pair, View, Walk};
use broker_api::Result;
use std::collections::{BTreeMap, btree_map};
use std::ops::{Bound, Range};

/// Keys that were put (with their value) or deleted.
#[derive(Debug, Default)]
pub(crate) struct Overlay(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

type Changes<'a> = btree_map::Range<'a, Vec<u8>, Option<Vec<u8>>>;

impl Overlay {
    pub(crate) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.0.insert(key, Some(value));
    }

    pub(crate) fn delete(&mut self, key: Vec<u8>) {
        self.0.insert(key, None);
    }

    /// What became of a key; the outer `None` when it was not touched.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&Vec<u8>>> {
        self.0.get(key).map(Option::as_ref)
    }

    pub(crate) fn into_batch(self) -> Batch {
        self.0.into_iter().collect()
    }

    fn changes(&self, range: Range<&[u8]>) -> Changes<'_> {
        self.0
            .range::<[u8], _>((Bound::Included(range.start), Bound::Excluded(range.end)))
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
    change: Option<(&'a [u8], Option<&'a [u8]>)>,
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
        let next = match self.walk {
            Walk::Up => self.rest.next(),
            Walk::Down => self.rest.next_back(),
        };
        self.change = next.map(|(key, value)| (key.as_slice(), value.as_deref()));
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
                    std::cmp::Ordering::Less => From::View,
                    std::cmp::Ordering::Equal => From::Both,
                    std::cmp::Ordering::Greater => From::Change,
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
        /// A failure would mean that a transaction does not see what it has written itself.
        #[test]
        fn a_merged_cursor_shows_what_a_map_with_the_changes_holds(
            base in proptest::collection::btree_map(1u8..20, any::<u8>(), 0..12),
            changes in proptest::collection::vec((1u8..20, any::<Option<u8>>()), 0..12),
            seek in proptest::option::of(2u8..19),
        ) {
            let store = Arc::new(MemoryOrdered::default());
            let puts = base.iter().map(|(&k, &v)| (vec![k], Some(vec![v])));
            store.apply(puts.collect()).unwrap();
            let mut expected = base;
            let mut overlay = Overlay::default();
            for (key, change) in changes {
                match change {
                    Some(value) => {
                        expected.insert(key, value);
                        overlay.put(vec![key], vec![value]);
                    }
                    None => {
                        expected.remove(&key);
                        overlay.delete(vec![key]);
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
