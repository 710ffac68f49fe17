//! What replication asks of a store: sync points, row numbers, and tombstones to reclaim.

use crate::error::Attempt;
use crate::store::{Layout, SqliteStore};
use crate::value::Reader;
use broker_api::{Direction, RowId, SyncPoint};
use rusqlite::{OptionalExtension, params};

#[expect(
    private_bounds,
    reason = "sealed: accounts and containers are all there is"
)]
impl<K: Layout> SqliteStore<K> {
    /// The sync points of a direction, in order of first insertion.
    pub(crate) fn sync_points_of(&self, direction: Direction) -> Attempt<Vec<SyncPoint>> {
        let table = sync_table(direction);
        let date = if self.schema.sync_dates {
            "updated_at"
        } else {
            "''"
        };
        let sql =
            format!("SELECT ROWID, remote_id, sync_point, {date} FROM {table} ORDER BY ROWID");
        let mut points = self.conn()?.prepare_cached(&sql)?;
        let mut rows = points.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let row = Reader::numbered(row, table)?;
            found.push(SyncPoint {
                remote_id: row.text(1, "remote_id")?.into_owned(),
                sync_point: RowId(row.integer(2)?),
                updated_at: row.text(3, "updated_at")?.into_owned(),
            });
        }
        Ok(found)
    }

    /// Sets a sync point and dates it, as Swift's triggers do.
    pub(crate) fn set_point(&self, direction: Direction, id: &str, point: RowId) -> Attempt<()> {
        let table = sync_table(direction);
        let (set_date, column, date) = match self.schema.sync_dates {
            true => (
                ", updated_at = STRFTIME('%s', 'NOW')",
                ", updated_at",
                ", STRFTIME('%s', 'NOW')",
            ),
            false => ("", "", ""),
        };
        let update = format!("UPDATE {table} SET sync_point = ?1{set_date} WHERE remote_id = ?2");
        if self.change(&update, &[&point.0, &id])? == 0 {
            let insert = format!(
                "INSERT INTO {table} (sync_point, remote_id{column}) VALUES (?1, ?2{date})"
            );
            self.change(&insert, &[&point.0, &id])?;
        }
        Ok(())
    }

    /// Removes what nobody refreshed since then.
    pub(crate) fn remove_points_before(&self, text: &str) -> Attempt<()> {
        if self.schema.sync_dates {
            for direction in [Direction::Outgoing, Direction::Incoming] {
                let table = sync_table(direction);
                let sql = format!("DELETE FROM {table} WHERE updated_at < ?");
                self.change(&sql, &[&text])?;
            }
        }
        K::reclaim_more(self, text)
    }

    /// The highest row number present.
    pub(crate) fn highest_row(&self) -> Attempt<RowId> {
        let sql = format!("SELECT max(ROWID) FROM {}", K::ROWS);
        let mut highest = self.conn()?.prepare_cached(&sql)?;
        let highest: Option<i64> = highest.query_row([], |row| row.get(0))?;
        Ok(highest.map_or(RowId::NONE, RowId))
    }

    /// The highest row number ever assigned.
    pub(crate) fn max_row(&self) -> Attempt<RowId> {
        let mut sequence = self
            .conn()?
            .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = ?")?;
        let highest: Option<Option<i64>> =
            sequence.query_row([K::ROWS], |row| row.get(0)).optional()?;
        Ok(highest.flatten().map_or(RowId::NONE, RowId))
    }

    /// The name of the tombstone after the first `skip`.
    pub(crate) fn tombstone(&self, from: &str, skip: usize) -> Attempt<Option<String>> {
        let sql = format!(
            "SELECT ROWID, name FROM {} WHERE deleted = 1 AND name >= ? ORDER BY name LIMIT 1 OFFSET ?",
            K::ROWS
        );
        let mut tombstones = self.conn()?.prepare_cached(&sql)?;
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        let mut rows = tombstones.query(params![from, skip])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let name = Reader::numbered(row, K::ROWS)?.text(1, "name")?;
        Ok(Some(name.into_owned()))
    }

    /// Removes tombstones and says how many.
    pub(crate) fn remove_old(
        &mut self,
        from: &str,
        until: Option<&str>,
        age: &str,
    ) -> Attempt<u64> {
        let old = format!("deleted = 1 AND name >= ?1 AND {} < ?2", K::RECLAIM);
        let removed = match until {
            None => self.remove_rows(&old, &[&from, &age])?,
            Some(until) => self.remove_rows(&(old + " AND name < ?3"), &[&from, &age, &until])?,
        };
        Ok(removed as u64)
    }

    /// How many tombstones there are.
    pub(crate) fn tombstone_count(&self, from: &str) -> Attempt<u64> {
        let sql = format!(
            "SELECT count(*) FROM {} WHERE deleted = 1 AND name >= ?",
            K::ROWS
        );
        let mut count = self.conn()?.prepare_cached(&sql)?;
        let count: i64 = count.query_row([from], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

/// The table of sync points of a direction.
fn sync_table(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming => "incoming_sync",
        Direction::Outgoing => "outgoing_sync",
    }
}
