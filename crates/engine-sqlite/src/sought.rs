//! [`Sought`]: where the seeks of listings came down, as long as the file does not change.
//!
//! ```text
//! seek ─► the file says of changes what it said ─► a landing is known ─► shown, without the statement
//!                      │ no: all are forgotten            │ no: the statement runs, and its first row is kept
//! ```
//!
//! The transaction that seeks keeps others from committing, so the file is looked at once in a scan.

use crate::value::Reader;
use broker_runtime::landings::{Landing, Landings, Room};
use rusqlite::types::Value;
use sqlite_nowait::FileState;
use std::ops::Bound;
use std::sync::Arc;

/// A row that a seek came to: its columns from the first on.
pub(crate) type Row = Landing<Vec<Value>>;

/// The seeks of one connection among live rows.
#[derive(Debug)]
pub(crate) struct Sought {
    /// The file and the policy of which the rows are; `None` when it cannot be said.
    of: Option<(FileState, Option<i64>)>,
    landings: Landings<Vec<Value>>,
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
    looked: bool,
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
            looked: false,
        }
    }

    fn landings(&mut self) -> Option<&mut Landings<Vec<Value>>> {
        if !std::mem::replace(&mut self.looked, true) {
            let now = (self.state)().map(|state| (state, self.policy));
            if self.sought.of != now {
                self.sought.landings.clear();
                self.sought.of = now;
            }
        }
        self.sought.of?;
        Some(&mut self.sought.landings)
    }

    /// The first row within the lower bound, if it is known.
    pub(crate) fn find(&mut self, bound: &Bound<String>) -> Option<Arc<Row>> {
        let landings = self.landings()?;
        match bound {
            Bound::Included(name) => landings.find(name.as_bytes(), 0),
            bound => landings.find(&first_key(bound), 0),
        }
    }

    /// Remembers the first row within the lower bound. Rows of which it cannot be kept what a listing reads are
    /// forgotten.
    pub(crate) fn learn(&mut self, bound: &Bound<String>, name: &str, row: &Reader<'_>) {
        if let Some(landings) = self.landings()
            && let Some(values) = row.keep()
        {
            let size = values.iter().map(size).sum();
            let key = name.as_bytes().to_vec();
            landings.insert(Landing::new(first_key(bound), key, values, size, 0));
        }
    }
}

/// The smallest name within a lower bound, in the order of names as bytes.
fn first_key(bound: &Bound<String>) -> Vec<u8> {
    match bound {
        Bound::Unbounded => Vec::new(),
        Bound::Included(name) => name.as_bytes().to_vec(),
        Bound::Excluded(name) => [name.as_bytes(), &[0]].concat(),
    }
}

fn size(value: &Value) -> usize {
    let text = match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        Value::Null | Value::Integer(_) | Value::Real(_) => 0,
    };
    size_of::<Value>() + text
}
