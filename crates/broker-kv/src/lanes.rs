//! Scanning live rows and tombstones side by side, in one order of names.
//!
//! ```text
//! live rows    a     c  d
//! tombstones      b        e
//! shown        a  b  c  d  e
//! ```

use crate::change::Merged;
use crate::keys::{self, StoreKeys};
use crate::ordered::{Cursor, Walk};
use broker_api::Result;
use std::ops::{Bound, Range};

pub(crate) fn as_str(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(name) => Bound::Included(name),
        Bound::Excluded(name) => Bound::Excluded(name),
    }
}

/// A cursor over live rows or over tombstones.
pub(crate) struct Lane<'a> {
    pub(crate) keys: StoreKeys,
    pub(crate) section: u8,
    pub(crate) range: Range<Vec<u8>>,
    pub(crate) walk: Walk,
    pub(crate) cursor: Merged<'a>,
}

impl Lane<'_> {
    /// Goes on to the first row within a new bound; false when there can be none.
    fn seek(&mut self, bound: Bound<&str>) -> Result<bool> {
        let (keys, section) = (self.keys, self.section);
        let key = match self.walk {
            Walk::Up => keys.rows(section, bound, Bound::Unbounded).start,
            Walk::Down => keys.rows(section, Bound::Unbounded, bound).end,
        };
        let ahead = match self.walk {
            Walk::Up => key < self.range.end,
            Walk::Down => key > self.range.start,
        };
        let here = match (self.cursor.entry(), self.walk) {
            (None, _) => false,
            (Some((now, _)), Walk::Up) => key.as_slice() > now,
            (Some((now, _)), Walk::Down) => key.as_slice() <= now,
        };
        if ahead && here {
            self.cursor.seek(&key)?;
        }
        Ok(ahead)
    }
}

/// The lane whose row comes first.
pub(crate) fn first_lane<'l, 'a>(
    lanes: &'l mut [Lane<'a>],
    walk: Walk,
) -> Option<&'l mut Lane<'a>> {
    let name = |lane: &Lane<'_>| {
        let (key, _) = lane.cursor.entry()?;
        // Without the section, keys of both lanes compare as names do.
        Some(keys::tail(key).get(1..)?.to_vec())
    };
    if let [only] = lanes {
        return Some(only);
    }
    let here = lanes
        .iter_mut()
        .filter_map(|lane| Some((name(lane)?, lane)));
    let first = match walk {
        Walk::Up => here.min_by(|(a, _), (b, _)| a.cmp(b)),
        Walk::Down => here.max_by(|(a, _), (b, _)| a.cmp(b)),
    };
    first.map(|(_, lane)| lane)
}

pub(crate) fn seek_all(lanes: &mut Vec<Lane<'_>>, bound: Bound<&str>) -> Result<()> {
    let mut at = 0;
    while let Some(lane) = lanes.get_mut(at) {
        match lane.seek(bound)? {
            true => at += 1,
            false => drop(lanes.remove(at)),
        }
    }
    Ok(())
}
