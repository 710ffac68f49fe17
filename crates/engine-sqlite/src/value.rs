//! Columns as values, tolerant of what older and other writers left.
//!
//! A null is an empty text, zero, or `0` where a timestamp stands; numbers and text stand for each
//! other. What cannot be read at all (text that is no UTF-8, a timestamp that is none) fails with the
//! row's number: guessing would give replicas another row than the one that is hashed.

use crate::error::{Attempt, Failure};
use broker_api::{RollingHash, TimestampText};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use std::borrow::Cow;

/// A row of a query together with where it came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    columns: Columns<'a>,
    table: &'static str,
    number: i64,
}

#[derive(Debug, Clone, Copy)]
enum Columns<'a> {
    Row(&'a Row<'a>),
    Kept(Kept<'a>),
}

impl<'a> Columns<'a> {
    fn get_ref(&self, index: usize) -> rusqlite::Result<ValueRef<'a>> {
        match *self {
            Self::Row(row) => row.get_ref(index),
            Self::Kept(kept) => {
                let value = kept.column(index);
                value.ok_or(rusqlite::Error::InvalidColumnIndex(index))
            }
        }
    }
}

/// The columns of a row behind its number and its name, in one piece of memory: for each what it is, and its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept<'a>(&'a [u8]);

/// What a column is.
mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const INTEGER: u8 = 1;
    pub(super) const REAL: u8 = 2;
    pub(super) const TEXT: u8 = 3;
    pub(super) const BLOB: u8 = 4;
}

/// The columns that are not kept: the number and the name.
const NOT_KEPT: usize = 2;

impl<'a> Kept<'a> {
    /// What [`Reader::keep`] has written.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn column(&self, index: usize) -> Option<ValueRef<'a>> {
        let mut rest = self.0;
        for _ in NOT_KEPT..index {
            (_, rest) = next(rest)?;
        }
        let (value, _) = next(rest)?;
        (index >= NOT_KEPT).then_some(value)
    }
}

/// The first of these columns, and the rest.
fn next(bytes: &[u8]) -> Option<(ValueRef<'_>, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    Some(match *tag {
        tag::NULL => (ValueRef::Null, rest),
        tag::INTEGER => {
            let (number, rest) = rest.split_first_chunk()?;
            (ValueRef::Integer(i64::from_le_bytes(*number)), rest)
        }
        tag::REAL => {
            let (number, rest) = rest.split_first_chunk()?;
            (ValueRef::Real(f64::from_le_bytes(*number)), rest)
        }
        tag => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (bytes, rest) = rest.split_at_checked(length)?;
            match tag {
                tag::TEXT => (ValueRef::Text(bytes), rest),
                tag::BLOB => (ValueRef::Blob(bytes), rest),
                _ => return None,
            }
        }
    })
}

impl<'a> Reader<'a> {
    /// Reads a row whose first column is its number.
    pub(crate) fn numbered(row: &'a Row<'a>, table: &'static str) -> Attempt<Self> {
        let number = row.get(0)?;
        let columns = Columns::Row(row);
        Ok(Self {
            columns,
            table,
            number,
        })
    }

    /// Reads a row that was [kept](Self::keep). It knows its name no more.
    pub(crate) fn kept(number: i64, kept: Kept<'a>, table: &'static str) -> Self {
        let columns = Columns::Kept(kept);
        Self {
            columns,
            table,
            number,
        }
    }

    /// Appends the columns behind the name to `kept`. What is there is not to be used after a failure.
    pub(crate) fn keep(&self, kept: &mut Vec<u8>) -> Attempt<()> {
        let row = match self.columns {
            Columns::Row(row) => row,
            Columns::Kept(columns) => {
                kept.extend_from_slice(columns.0);
                return Ok(());
            }
        };
        for index in NOT_KEPT..row.as_ref().column_count() {
            match row.get_ref(index)? {
                ValueRef::Null => kept.push(tag::NULL),
                ValueRef::Integer(number) => {
                    kept.push(tag::INTEGER);
                    kept.extend_from_slice(&number.to_le_bytes());
                }
                ValueRef::Real(number) => {
                    kept.push(tag::REAL);
                    kept.extend_from_slice(&number.to_le_bytes());
                }
                ValueRef::Text(bytes) => keep_bytes(kept, tag::TEXT, bytes),
                ValueRef::Blob(bytes) => keep_bytes(kept, tag::BLOB, bytes),
            }
        }
        Ok(())
    }

    /// Reads the single row of a table of facts.
    pub(crate) fn single(row: &'a Row<'a>, table: &'static str) -> Self {
        let (columns, number) = (Columns::Row(row), 1);
        Self {
            columns,
            table,
            number,
        }
    }

    /// The row's number.
    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    /// A text; null is empty.
    pub(crate) fn text(&self, index: usize, column: &'static str) -> Attempt<Cow<'a, str>> {
        match self.columns.get_ref(index)? {
            ValueRef::Null => Ok("".into()),
            ValueRef::Integer(number) => Ok(number.to_string().into()),
            ValueRef::Real(number) => Ok(format!("{number:?}").into()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text.into()),
                Err(_) => Err(self.bad(column, "not UTF-8")),
            },
        }
    }

    /// A whole number; null is zero, as is text without digits.
    pub(crate) fn integer(&self, index: usize) -> Attempt<i64> {
        Ok(match self.columns.get_ref(index)? {
            ValueRef::Integer(number) => number,
            ValueRef::Real(number) => number as i64,
            ValueRef::Text(text) => {
                let text = std::str::from_utf8(text).unwrap_or_default();
                text.trim().parse().unwrap_or(0)
            }
            ValueRef::Null | ValueRef::Blob(_) => 0,
        })
    }

    /// A timestamp; null is the `0` of a time that never was.
    pub(crate) fn timestamp(&self, index: usize, column: &'static str) -> Attempt<TimestampText> {
        if self.columns.get_ref(index)? == ValueRef::Null {
            return Ok(TimestampText::never());
        }
        let text = self.text(index, column)?;
        TimestampText::parse(text).map_err(|_| self.bad(column, "not a timestamp"))
    }

    /// A rolling hash; null is that of no rows.
    pub(crate) fn hash(&self, index: usize) -> Attempt<RollingHash> {
        let text = self.text(index, "hash")?;
        if text.is_empty() {
            return Ok(RollingHash::default());
        }
        RollingHash::parse(&text).ok_or_else(|| self.bad("hash", "not hexadecimal"))
    }

    fn bad(&self, column: &'static str, problem: &'static str) -> Failure {
        Failure::BadValue {
            table: self.table,
            column,
            row: self.number,
            problem,
        }
    }
}

fn keep_bytes(kept: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    kept.push(tag);
    // SQLite has no value of 2 GiB.
    kept.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    kept.extend_from_slice(bytes);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// A failure would mean that a row is shown in another way when it was kept.
    #[test]
    fn what_is_kept_is_what_was_there() {
        let conn = Connection::open_in_memory().unwrap();
        let sql = "SELECT 7, 'name', 'text', NULL, -5, 2.5, x'ff00', CAST(x'fe' AS TEXT), '', 9";
        let mut row = conn.prepare(sql).unwrap();
        let mut row = row.query([]).unwrap();
        let row = row.next().unwrap().unwrap();
        let mut kept = Vec::new();
        Reader::numbered(row, "t").unwrap().keep(&mut kept).unwrap();
        let kept = Reader::kept(7, Kept::new(&kept), "t");
        assert_eq!(kept.number(), 7);
        for index in NOT_KEPT..10 {
            assert_eq!(kept.columns.get_ref(index), row.get_ref(index), "{index}");
        }
        for index in [0, 1, 10] {
            assert!(kept.columns.get_ref(index).is_err());
        }
        let mut again = Vec::new();
        kept.keep(&mut again).unwrap();
        assert!(matches!(kept.columns, Columns::Kept(columns) if columns.0 == again));
    }
}
