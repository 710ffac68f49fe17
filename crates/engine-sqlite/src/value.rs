//! Columns as values, tolerant of what older and other writers left.
//!
//! A null is an empty text, zero, or `0` where a timestamp stands; numbers and text stand for each
//! other. What cannot be read at all (text that is no UTF-8, a timestamp that is none) fails with the
//! row's number: guessing would give replicas another row than the one that is hashed.

use crate::error::{Attempt, Failure};
use broker_api::{RollingHash, TimestampText};
use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};
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
    Kept(&'a [Value]),
}

impl<'a> Columns<'a> {
    fn get_ref(&self, index: usize) -> rusqlite::Result<ValueRef<'a>> {
        match *self {
            Self::Row(row) => row.get_ref(index),
            Self::Kept(values) => {
                let value = values.get(index).map(ValueRef::from);
                value.ok_or(rusqlite::Error::InvalidColumnIndex(index))
            }
        }
    }
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

    /// Reads a row that was [kept](Self::keep).
    pub(crate) fn kept(values: &'a [Value], table: &'static str) -> Attempt<Self> {
        let columns = Columns::Kept(values);
        let Some(&Value::Integer(number)) = values.first() else {
            return Err(rusqlite::Error::InvalidColumnIndex(0).into());
        };
        Ok(Self {
            columns,
            table,
            number,
        })
    }

    /// All columns of a row; `None` when one is a text that cannot be read.
    pub(crate) fn keep(&self) -> Option<Vec<Value>> {
        let count = match self.columns {
            Columns::Row(row) => row.as_ref().column_count(),
            Columns::Kept(values) => values.len(),
        };
        let column = |index| self.columns.get_ref(index).ok()?.try_into().ok();
        (0..count).map(column).collect()
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
