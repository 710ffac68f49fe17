//! [`Sought`]: where the seeks of listings came down, as long as the file does not change.
//!
//! ```text
//! seek ─► the file says of changes what it said ─► a landing is known ─► shown, without the statement
//!                      │ no: all are forgotten            │ no: the statement runs, and its first row is kept
//! ```
//!
//! The transaction that seeks keeps others from committing, so the file is looked at once in a scan.

use crate::error::{Attempt, Failure};
use crate::value::Reader;
use broker_runtime::landings::{Landing, Landings, Room};
use sqlite_nowait::FileState;
use std::ops::Bound;
use std::sync::Arc;

/// A listing that must not wait goes on over so many landings, half a millisecond, and no further.
const LANDINGS_WITHOUT_WAITING: usize = 500;

/// A row's number, and its columns as they are [kept](Reader::keep).
type Columns = (i64, Box<[u8]>);

/// A row that a seek came to.
pub(crate) type Row = Landing<Columns>;

/// The seeks of one connection among live rows.
#[derive(Debug)]
pub(crate) struct Sought {
    /// The file and the policy of which the rows are; `None` when it cannot be said.
    of: Option<(FileState, Option<i64>)>,
    landings: Landings<Columns>,
}

impl Sought {
    pub(crate) fn within(room: Room) -> Self {
        Self {
            of: None,
            landings: Landings::within(room),
        }
    }
}

/// What one scan seeks.
pub(crate) struct Seeks<'a> {
    sought: &'a mut Sought,
    state: &'a dyn Fn() -> Option<FileState>,
    policy: Option<i64>,
    /// Whether what is known is true now, once that was looked at.
    usable: Option<bool>,
    found: usize,
}

impl<'a> Seeks<'a> {
    /// Among rows of a policy, or of all, in the file that `state` reads.
    pub(crate) fn new(
        sought: &'a mut Sought,
        policy: Option<i64>,
        state: &'a dyn Fn() -> Option<FileState>,
    ) -> Self {
        Self {
            sought,
            state,
            policy,
            usable: None,
            found: 0,
        }
    }

    fn landings(&mut self) -> Option<&mut Landings<Columns>> {
        if self.usable.is_none() {
            let now = (self.state)().map(|state| (state, self.policy));
            if now.is_some() && self.sought.of != now {
                self.sought.landings.clear();
                self.sought.of = now;
            }
            self.usable = Some(now.is_some());
        }
        (self.usable == Some(true)).then_some(&mut self.sought.landings)
    }

    /// Whether the first row within a lower bound is known.
    pub(crate) fn knows(&mut self, bound: &Bound<String>) -> bool {
        self.first_within(bound).is_some()
    }

    /// The first row within a lower bound, if it is known.
    ///
    /// # Errors
    /// When a listing that must not wait has found many already.
    pub(crate) fn find(&mut self, bound: &Bound<String>) -> Attempt<Option<Arc<Row>>> {
        let found = self.first_within(bound);
        self.found += usize::from(found.is_some());
        match self.found > LANDINGS_WITHOUT_WAITING && sqlite_nowait::must_not_wait() {
            true => Err(Failure::WouldWait),
            false => Ok(found),
        }
    }

    fn first_within(&mut self, bound: &Bound<String>) -> Option<Arc<Row>> {
        match bound {
            Bound::Included(name) => self.landings()?.find(name.as_bytes(), 0),
            _ => None,
        }
    }

    /// Remembers the first row within a lower bound.
    pub(crate) fn learn(&mut self, bound: &Bound<String>, name: &str, row: &Reader<'_>) {
        if let Bound::Included(from) = bound
            && let Some(landings) = self.landings()
        {
            let mut kept = Vec::new();
            if row.keep(&mut kept).is_ok() {
                let (size, value) = (kept.len(), (row.number(), kept.into()));
                let landing = Landing::new(name.as_bytes().to_vec(), value, size, 0);
                landings.insert(from.as_bytes().to_vec(), landing);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::listing::{Scan, Source, scan};
    use broker_api::listing::{ListingDriver, ListingQuery, Shown};
    use rusqlite::OpenFlags;
    use sqlite_nowait::PrivateConnection;

    fn folders(conn: &PrivateConnection, seeks: Seeks<'_>) -> Vec<String> {
        let mut query = ListingQuery::new(100);
        query.delimiter = "/".into();
        let mut driver = ListingDriver::new(&query).unwrap();
        let range = driver.range().clone();
        let rows = Scan {
            columns: "ROWID, name",
            table: "object",
            deleted: &[0],
            policy: None,
            since_row: None,
            indexed: true,
        };
        let mut names = Vec::new();
        let mut visit = |name: &str, _: &Reader<'_>| {
            let (shown, step) = driver.visit(name);
            names.push(match shown {
                Shown::Subdir(dir) => dir.to_owned(),
                _ => name.to_owned(),
            });
            Ok(step)
        };
        let mut source = Source::Table(None);
        scan(conn, &rows, &range, seeks, &mut source, &mut visit).unwrap();
        names
    }

    /// A failure would mean that what was sought is sought again, or shown although the file says that it changed.
    #[test]
    fn what_is_known_is_not_sought_until_the_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let conn = PrivateConnection::open(&path, flags).unwrap();
        let make = "CREATE TABLE object (name TEXT, deleted INTEGER DEFAULT 0);
            INSERT INTO object (name) VALUES ('a/1'), ('b/1'), ('c'), ('d/1')";
        conn.execute_batch(make).unwrap();
        let mut sought = Sought::within(Room::default());
        let before = conn.file_state();
        let mut listed = |state| folders(&conn, Seeks::new(&mut sought, None, &|| state));
        assert_eq!(listed(before), ["a/", "b/", "c", "d/"]);
        conn.execute("DELETE FROM object WHERE name = 'b/1'", [])
            .unwrap();
        assert_eq!(listed(before), ["a/", "b/", "c", "d/"], "not sought");
        assert_eq!(listed(None), ["a/", "c", "d/"]);
        assert_eq!(listed(conn.file_state()), ["a/", "c", "d/"]);
    }
}
