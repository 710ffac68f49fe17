//! Hash, totals and statistics, kept for a whole transaction.
//!
//! Swift's triggers write them again for every row. Here rows are counted in memory, by the rules of
//! `broker-api`, and the outcome is written once: before anybody reads it, and before the commit.
//! Meanwhile the connection fires no triggers.
//!
//! A file whose rows have other triggers than those of Swift 2.38 is left to them.

use crate::error::{Attempt, Failure};
use crate::overlay::Row;
use crate::schema::Schema;
use crate::store::{Layout, SqliteStore};
use broker_api::Facts;
use rusqlite::ToSql;
use rusqlite::config::DbConfig;

#[expect(private_bounds, reason = "the kinds of stores are closed")]
impl<K: Layout> SqliteStore<K> {
    /// Looks at the schema again after it was changed, and so at who counts rows.
    pub(crate) fn reread_schema(&mut self) -> Attempt<()> {
        self.schema = Schema::detect(self.conn()?, K::KIND)?;
        self.forget_kept_rows();
        self.fire_triggers(!self.schema.counts_here)
    }

    fn fire_triggers(&self, fires: bool) -> Attempt<()> {
        let conn = self.conn()?;
        // Setting it makes SQLite prepare all statements again.
        if conn.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER)? != fires {
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, fires)?;
        }
        Ok(())
    }

    /// Makes ready to count, before rows change. Triggers can count where the facts cannot be read.
    pub(crate) fn ready_to_count(&mut self) -> Attempt<()> {
        if !self.schema.counts_here || self.counted.is_some() {
            return Ok(());
        }
        match K::facts(self) {
            Ok(facts) => self.counted = Some(facts),
            Err(Failure::BadValue { .. }) => self.leave_to_triggers()?,
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    fn leave_to_triggers(&mut self) -> Attempt<()> {
        self.schema.counts_here = false;
        self.fire_triggers(true)
    }

    /// Writes what was counted.
    pub(crate) fn write_counts(&mut self) -> Attempt<()> {
        match self.counted.take() {
            Some(facts) => K::write_counts(self, &facts),
            None => Ok(()),
        }
    }

    /// Counts a row that was written.
    pub(crate) fn count_written(&mut self, row: &K::Row) {
        if let Some(facts) = &mut self.counted {
            row.count(facts, 1);
        }
    }

    /// Removes a row, and others that meet the condition: a file may hold two rows of one name.
    pub(crate) fn remove_row(
        &mut self,
        row: &K::Row,
        condition: &str,
        values: &[&dyn ToSql],
    ) -> Attempt<()> {
        if self.counted.is_some() {
            let sql = format!("DELETE FROM {} WHERE ROWID = ?", K::ROWS);
            let removed = self.change(&sql, &[&row.row_id().0])?;
            if let Some(facts) = self.counted.as_mut().filter(|_| removed == 1) {
                row.count(facts, -1);
            }
        }
        self.remove_rows(condition, values).map(drop)
    }

    /// Removes the rows of a condition, each looked at first, and says how many they were.
    pub(crate) fn remove_rows(&mut self, condition: &str, values: &[&dyn ToSql]) -> Attempt<usize> {
        self.ready_to_count()?;
        if let Some(counted) = &self.counted {
            match self.without_rows(counted, condition, values) {
                Ok(None) => return Ok(0),
                Ok(facts) => self.counted = facts,
                // Triggers can count a row that cannot be read.
                Err(Failure::BadValue { .. }) => {
                    self.write_counts()?;
                    self.leave_to_triggers()?;
                }
                Err(failure) => return Err(failure),
            }
        }
        let sql = format!("DELETE FROM {} WHERE {condition}", K::ROWS);
        self.change(&sql, values)
    }

    /// The facts without the rows of a condition; `None` when there are none, as after most replacements.
    fn without_rows(
        &self,
        counted: &Facts,
        condition: &str,
        values: &[&dyn ToSql],
    ) -> Attempt<Option<Facts>> {
        let sql = format!("SELECT {} FROM {} WHERE {condition}", K::COLUMNS, K::ROWS);
        let mut rows = self.conn()?.prepare_cached(&sql)?;
        let mut rows = rows.query(values)?;
        let mut facts = None;
        while let Some(row) = rows.next()? {
            let facts = facts.get_or_insert_with(|| counted.clone());
            K::row(row)?.count(facts, -1);
        }
        Ok(facts)
    }
}
