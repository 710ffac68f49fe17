//! [`KeptRows`]: what listings of a large store showed lately, so that the next ones need not look into the table.
//!
//! Swift's index holds names and numbers. Everything else of a row lies in the table, in the order of numbers: when names
//! came in no order, each row of a page is on another page of the file, and a connection's memory for pages holds
//! a row for each 4 KiB. Kept by itself, a row takes about 100 bytes.
//!
//! ```text
//! index      (0, a) 17   (0, b) 4   (0, c) 9  …      walked for every listing: what is there now
//! kept        17 ► …      4 ► …     unknown          what a row is does not change
//! table                             9 ► …            asked for what is unknown, which is kept from then on
//! ```
//!
//! Swift's tables never give a number twice (`AUTOINCREMENT`) and their trigger refuses updates, so what was committed
//! under a number is what is there as long as the index leads to it. A file that lacks one of them keeps no rows.

use crate::cache::ROWS_KIB;
use crate::value::{Kept, Reader};
use broker_api::listing::NameRange;
use foldhash::fast::RandomState;
use sqlite_nowait::FileState;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;

/// What one half may take, in bytes.
const HALF: usize = (ROWS_KIB as usize) << 9;

/// What a row takes beside its columns: its place in the map.
const OVERHEAD: usize = 32;

/// The columns of a longer row are not kept.
const LONGEST: usize = HALF / 64;

/// So many listings are remembered: more than those of 1,000 rows that find room.
const LISTINGS: usize = 64;

/// How often a listing has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Never,
    Once,
    Often,
}

/// Rows of one file by their numbers, in two halves: when the younger one is full, it takes the place of the older one,
/// and what was not asked for meanwhile is forgotten.
#[derive(Debug, Default)]
pub(crate) struct KeptRows {
    of: Option<Of>,
    /// What was listed, by the hash of its range, the last one at the end: who walks through a container lists another
    /// range each time, and would only drive out what others come back to.
    listed: Vec<(u64, Asked)>,
    hash: RandomState,
    young: Half,
    old: Half,
}

/// What rows are kept of.
#[derive(Debug)]
struct Of {
    columns: String,
    policy: Option<i64>,
    state: FileState,
}

#[derive(Debug, Default)]
struct Half {
    places: HashMap<i64, (u32, u32), RandomState>,
    columns: Vec<u8>,
}

impl Half {
    fn clear(&mut self) {
        self.places.clear();
        self.columns.clear();
    }

    fn find(&self, number: i64) -> Option<&[u8]> {
        let (from, until) = *self.places.get(&number)?;
        self.columns.get(from as usize..until as usize)
    }

    /// Adds a row whose columns `write` appends, unless it says that it cannot or they are too long.
    fn add(&mut self, number: i64, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let Entry::Vacant(place) = self.places.entry(number) else {
            return;
        };
        let from = self.columns.len();
        let is_kept = write(&mut self.columns) && self.columns.len() - from <= LONGEST;
        match (u32::try_from(from), u32::try_from(self.columns.len())) {
            (Ok(from), Ok(until)) if is_kept => drop(place.insert((from, until))),
            _ => {
                self.columns.truncate(from);
                self.columns.shrink_to(HALF + LONGEST);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.columns.len() + self.places.len() * OVERHEAD >= HALF
    }
}

impl KeptRows {
    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.of = None;
        self.listed.clear();
        self.young.clear();
        self.old.clear();
    }

    /// Forgets rows that were kept with other columns or of another policy, or when the file says that it was put back to
    /// an earlier state: then numbers are given again. Once it has had as many changes again nothing tells, neither to
    /// SQLite.
    pub(crate) fn prepare(&mut self, columns: &str, policy: Option<i64>, state: FileState) {
        if let Some(of) = &mut self.of
            && of.policy == policy
            && of.columns == columns
            && state.may_follow(of.state)
        {
            of.state = state;
            return;
        }
        self.clear();
        self.of = Some(Of {
            columns: columns.to_owned(),
            policy,
            state,
        });
    }

    fn hash_of(&self, range: &NameRange) -> u64 {
        self.hash
            .hash_one((&range.lower, &range.upper, range.reverse))
    }

    /// How often a range was listed lately.
    pub(crate) fn asked(&self, range: &NameRange) -> Asked {
        let hash = self.hash_of(range);
        let known = self.listed.iter().find(|(of, _)| *of == hash);
        known.map_or(Asked::Never, |(_, asked)| *asked)
    }

    /// Remembers that a range was listed.
    pub(crate) fn listed(&mut self, range: &NameRange) {
        let hash = self.hash_of(range);
        let asked = match self.listed.iter().position(|(of, _)| *of == hash) {
            Some(place) => {
                self.listed.remove(place);
                Asked::Often
            }
            None => Asked::Once,
        };
        if self.listed.len() == LISTINGS {
            self.listed.remove(0);
        }
        self.listed.push((hash, asked));
    }

    /// The columns of a row, if they are kept.
    pub(crate) fn find(&mut self, number: i64) -> Option<Kept<'_>> {
        if !self.young.places.contains_key(&number) {
            let columns = self.old.find(number)?;
            self.young.add(number, |young| {
                young.extend_from_slice(columns);
                true
            });
            self.turn_when_full();
        }
        let found = self.young.find(number).or_else(|| self.old.find(number));
        found.map(Kept::new)
    }

    /// Keeps a row.
    pub(crate) fn insert(&mut self, row: &Reader<'_>) {
        self.young
            .add(row.number(), |young| row.keep(young).is_ok());
        self.turn_when_full();
    }

    fn turn_when_full(&mut self) {
        if self.young.is_full() {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use std::ops::Bound;

    /// Keeps a row of a number, a name and one text.
    fn keep(rows: &mut KeptRows, conn: &Connection, number: i64, length: usize) {
        let mut row = conn.prepare_cached("SELECT ?, 'name', ?").unwrap();
        let mut row = row.query((number, "x".repeat(length))).unwrap();
        let row = row.next().unwrap().unwrap();
        rows.insert(&Reader::numbered(row, "object").unwrap());
    }

    fn length(rows: &mut KeptRows, number: i64) -> Option<usize> {
        let kept = rows.find(number)?;
        let row = Reader::kept(number, kept, "object");
        Some(row.text(2, "x").unwrap().len())
    }

    /// A failure would mean that rows take more memory than they may, or that those go which are asked for.
    #[test]
    fn rows_that_nobody_asks_for_give_way() {
        let conn = Connection::open_in_memory().unwrap();
        let mut rows = KeptRows::default();
        let in_a_half = (HALF / (1000 + OVERHEAD)) as i64;
        for number in 0..4 * in_a_half {
            keep(&mut rows, &conn, number, 1000);
            assert_eq!(length(&mut rows, number), Some(1000));
            assert_eq!(length(&mut rows, 1), (number > 0).then_some(1000));
        }
        assert_eq!(length(&mut rows, 2), None);
        let kept = |number| rows.young.find(number).or_else(|| rows.old.find(number));
        let count = (0..4 * in_a_half)
            .filter(|number| kept(*number).is_some())
            .count();
        assert!(count as i64 >= in_a_half, "{count}");
        for half in [&rows.young, &rows.old] {
            assert!(half.columns.len() <= HALF + LONGEST);
        }
    }

    /// A failure would mean that one row drives out all others.
    #[test]
    fn long_rows_are_not_kept() {
        let conn = Connection::open_in_memory().unwrap();
        let mut rows = KeptRows::default();
        keep(&mut rows, &conn, 1, LONGEST + 1);
        keep(&mut rows, &conn, 2, 10);
        assert_eq!(length(&mut rows, 1), None);
        assert_eq!(length(&mut rows, 2), Some(10));
    }

    /// A failure would mean that who walks through a container of millions is remembered for ever, or drives out at once
    /// what others come back to.
    #[test]
    fn of_many_listings_the_last_are_known() {
        let range = |number: usize| NameRange {
            lower: Bound::Excluded(number.to_string()),
            upper: Bound::Unbounded,
            reverse: false,
        };
        let mut rows = KeptRows::default();
        for number in 1..10 * LISTINGS {
            assert_eq!(rows.asked(&range(number)), Asked::Never);
            rows.listed(&range(number));
            assert_eq!(rows.asked(&range(number)), Asked::Once);
            rows.listed(&range(0));
            assert!(rows.listed.len() <= LISTINGS);
        }
        assert_eq!(rows.asked(&range(0)), Asked::Often);
        assert_eq!(rows.asked(&range(1)), Asked::Never);
        let back = NameRange {
            reverse: true,
            ..range(0)
        };
        assert_eq!(rows.asked(&back), Asked::Never);
    }
}
