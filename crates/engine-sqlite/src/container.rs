//! Containers: the table of objects, with statistics and a hash.

use crate::account::store_info;
use crate::error::{Attempt, Failure};
use crate::listing::Scan;
use crate::nowait;
use crate::overlay::{Laid, Overlay};
use crate::pickle::{Value, Writer};
use crate::records::{self, NoRecord};
use crate::schema::Schema;
use crate::store::{Layout, SqliteStore};
use crate::value::Reader;
use broker_api::listing::{NameRange, Step};
use broker_api::{
    BrokerOptions, ContainerInfo, ContainerMarks, DbState, DeletedFilter, Facts, ObjectRecord,
    ObjectRow, ObjectRowRef, PolicyFilter, PolicyIndex, PolicyStat, RemoveObjects, Reported,
    Result, RowFilter, RowId, Rows, StoreKind, Tally,
};
use broker_runtime::ops;
use broker_runtime::sync::{Buffered, ContainerStore, ObjectFilter};
use rusqlite::{Connection, ToSql, params};

const ROWS: &str = "object";

/// Marks a [`SqliteStore`] as that of a container.
#[derive(Debug)]
pub struct Container(());

impl Layout for Container {
    const KIND: StoreKind = StoreKind::Container;
    const ROWS: &'static str = ROWS;
    const COLUMNS: &'static str =
        "ROWID, name, created_at, size, content_type, etag, deleted, storage_policy_index";
    const RECLAIM: &'static str = "created_at";
    type Record = ObjectRecord;
    type Row = ObjectRow;

    fn stat_table(schema: &Schema) -> &'static str {
        match schema.container_info {
            true => "container_info",
            false => "container_stat",
        }
    }

    fn write<'a>(writer: &'a mut Writer, record: &ObjectRecord) -> &'a [u8] {
        records::write_object(writer, record)
    }

    fn read(fields: &[Value]) -> std::result::Result<ObjectRecord, NoRecord> {
        records::read_object(fields)
    }

    fn name(record: &ObjectRecord) -> &str {
        &record.name
    }

    fn merge(store: &mut SqliteStore<Self>, records: &[ObjectRecord]) -> Result<()> {
        ops::merge_objects(store, records, None)
    }

    fn facts(store: &SqliteStore<Self>) -> Attempt<Facts> {
        let Schema {
            metadata,
            sync_marks,
            container_info,
            ..
        } = store.schema;
        let or = |there: bool, column: &'static str, default: &'static str| match there {
            true => column,
            false => default,
        };
        let sql = format!(
            "SELECT account, created_at, put_timestamp, delete_timestamp, status,
                status_changed_at, hash, id, {}, container, reported_put_timestamp,
                reported_delete_timestamp, reported_object_count, reported_bytes_used, {}, {}, {}
            FROM {}",
            or(metadata, "metadata", "''"),
            or(
                sync_marks,
                "x_container_sync_point1, x_container_sync_point2",
                "-1, -1"
            ),
            or(container_info, "storage_policy_index", "0"),
            or(container_info, "reconciler_sync_point", "-1"),
            store.stat()
        );
        let mut stat = store.conn()?.prepare_cached(&sql)?;
        let mut rows = stat.query([])?;
        // Swift names the view, whatever the table.
        let row = rows.next()?.ok_or(Failure::MissingStat("container_stat"))?;
        let row = Reader::single(row, "container_stat");
        Ok(Facts::Container(ContainerInfo {
            store: store_info(&row, 0, store.max_row()?)?,
            container: row.text(9, "container")?.into_owned(),
            reported: Reported {
                put_timestamp: row.text(10, "reported_put_timestamp")?.into_owned(),
                delete_timestamp: row.text(11, "reported_delete_timestamp")?.into_owned(),
                object_count: row.integer(12)?,
                bytes_used: row.integer(13)?,
            },
            x_container_sync_point1: row.integer(14)?,
            x_container_sync_point2: row.integer(15)?,
            policy_index: PolicyIndex(row.integer(16)?),
            reconciler_sync_point: row.integer(17)?,
            policy_stats: store.policy_stats()?,
            db_state: DbState::Unsharded,
        }))
    }

    fn row(row: &rusqlite::Row<'_>) -> Attempt<ObjectRow> {
        owned_row(row)
    }

    fn write_counts(store: &SqliteStore<Self>, facts: &Facts) -> Attempt<()> {
        let Facts::Container(info) = facts else {
            return Ok(());
        };
        let hash = info.store.hash.to_string();
        store.change("UPDATE container_info SET hash = ?", &[&hash])?;
        for stat in &info.policy_stats {
            store.change(
                "INSERT INTO policy_stat (storage_policy_index, object_count, bytes_used)
                VALUES (?, ?, ?)
                ON CONFLICT DO UPDATE SET object_count = excluded.object_count,
                    bytes_used = excluded.bytes_used",
                &[&stat.policy_index.0, &stat.object_count, &stat.bytes_used],
            )?;
        }
        Ok(())
    }

    fn upgrade(_: &mut SqliteStore<Self>) -> Attempt<()> {
        Ok(())
    }

    fn reclaim_more(store: &SqliteStore<Self>, text: &str) -> Attempt<()> {
        if !store.schema.shard_range {
            return Ok(());
        }
        let sql = format!(
            "DELETE FROM shard_range WHERE deleted = 1 AND timestamp < ?1
                AND name != (SELECT account || '/' || container FROM {})",
            store.stat()
        );
        store.change(&sql, &[&text]).map(drop)
    }

    fn write_facts(conn: &Connection, facts: &Facts) -> Attempt<()> {
        let Facts::Container(info) = facts else {
            return Ok(());
        };
        let (store, reported) = (&info.store, &info.reported);
        conn.execute(
            "INSERT INTO container_info (account, container, created_at, put_timestamp,
                delete_timestamp, reported_put_timestamp, reported_delete_timestamp,
                reported_object_count, reported_bytes_used, hash, id, status, status_changed_at,
                metadata, x_container_sync_point1, x_container_sync_point2, storage_policy_index,
                reconciler_sync_point)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                store.account,
                info.container,
                store.created_at.as_str(),
                store.put_timestamp.as_str(),
                store.delete_timestamp.as_str(),
                reported.put_timestamp,
                reported.delete_timestamp,
                reported.object_count,
                reported.bytes_used,
                store.hash.to_string(),
                store.id,
                store.status,
                store.status_changed_at.as_str(),
                store.raw_metadata,
                info.x_container_sync_point1,
                info.x_container_sync_point2,
                info.policy_index.0,
                info.reconciler_sync_point
            ],
        )?;
        let mut insert = conn.prepare(
            "INSERT INTO policy_stat (storage_policy_index, object_count, bytes_used)
            VALUES (?, ?, ?)",
        )?;
        for stat in &info.policy_stats {
            insert.execute([stat.policy_index.0, stat.object_count, stat.bytes_used])?;
        }
        Ok(())
    }

    fn write_rows(conn: &Connection, rows: &Rows, after: RowId) -> Attempt<()> {
        let Rows::Objects(rows) = rows else {
            return Ok(());
        };
        let mut insert = conn.prepare_cached(
            "INSERT INTO object (ROWID, name, created_at, size, content_type, etag, deleted,
                storage_policy_index) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for row in rows.iter().filter(|row| row.row_id > after) {
            insert.execute(params![
                row.row_id.0,
                row.name,
                row.created_at,
                row.size,
                row.content_type,
                row.etag,
                row.deleted,
                row.policy_index.0
            ])?;
        }
        Ok(())
    }

    fn tally(store: &SqliteStore<Self>, tally: &mut Tally) -> Attempt<()> {
        let sql = format!("SELECT {} FROM object", store.columns());
        let mut rows = store.conn()?.prepare(&sql)?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let row = Reader::numbered(row, ROWS)?;
            tally.object(&ObjectRowRef {
                row_id: RowId(row.number()),
                name: &row.text(1, "name")?,
                created_at: &row.text(2, "created_at")?,
                size: row.integer(3)?,
                content_type: "",
                etag: "",
                deleted: row.integer(6)? != 0,
                policy_index: PolicyIndex(row.integer(7)?),
            });
        }
        Ok(())
    }
}

impl SqliteStore<Container> {
    fn policy_stats(&self) -> Attempt<Vec<PolicyStat>> {
        let sql = match self.schema.policy_stat {
            true => {
                "SELECT storage_policy_index, object_count, bytes_used FROM policy_stat
                ORDER BY storage_policy_index"
            }
            false => "SELECT 0, object_count, bytes_used FROM container_stat",
        };
        let mut stats = self.conn()?.prepare_cached(sql)?;
        let mut rows = stats.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let row = Reader::numbered(row, "policy_stat")?;
            found.push(PolicyStat {
                policy_index: PolicyIndex(row.number()),
                object_count: row.integer(1)?,
                bytes_used: row.integer(2)?,
            });
        }
        Ok(found)
    }

    fn own_policy(&self) -> Attempt<i64> {
        if !self.schema.container_info {
            return Ok(0);
        }
        let mut own = self
            .conn()?
            .prepare_cached("SELECT storage_policy_index FROM container_info")?;
        let mut rows = own.query([])?;
        let row = rows.next()?.ok_or(Failure::MissingStat("container_stat"))?;
        Reader::single(row, "container_info").integer(0)
    }

    fn columns(&self) -> &'static str {
        match self.schema.row_policy {
            true => Container::COLUMNS,
            false => "ROWID, name, created_at, size, content_type, etag, deleted, 0",
        }
    }

    fn find(&mut self, name: &str, policy: PolicyIndex) -> Attempt<Option<ObjectRow>> {
        if self.is_writing() {
            self.ensure_policies()?;
        }
        if !self.schema.row_policy && policy.0 != 0 {
            return Ok(None);
        }
        let sql = match self.schema.row_policy {
            true => {
                "SELECT ROWID, name, created_at, size, content_type, etag, deleted,
                    storage_policy_index FROM object
                WHERE deleted IN (0, 1) AND name = ?1 AND storage_policy_index = ?2"
            }
            false => {
                "SELECT ROWID, name, created_at, size, content_type, etag, deleted, 0 FROM object
                WHERE deleted IN (0, 1) AND name = ?1 AND ?2 = 0"
            }
        };
        let mut found = self.conn()?.prepare_cached(sql)?;
        let mut rows = found.query(params![name, policy.0])?;
        rows.next()?.map(owned_row).transpose()
    }

    fn exchange(&mut self, old: Option<&ObjectRow>, new: &ObjectRow) -> Attempt<RowId> {
        self.ensure_policies()?;
        self.ready_to_count()?;
        if let Some(old) = old {
            // By name, as Swift does, should a file hold two rows of one name.
            self.remove_row(
                old,
                "deleted IN (0, 1) AND name = ?1 AND storage_policy_index = ?2",
                &[&new.name, &new.policy_index.0],
            )?;
        }
        let mut insert = self.conn()?.prepare_cached(
            "INSERT INTO object (name, created_at, size, content_type, etag, deleted,
                storage_policy_index) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?;
        insert.execute(params![
            new.name,
            new.created_at,
            new.size,
            new.content_type,
            new.etag,
            new.deleted,
            new.policy_index.0
        ])?;
        drop(insert);
        self.count_written(new);
        Ok(RowId(self.conn()?.last_insert_rowid()))
    }

    fn since(&self, start: RowId, limit: usize, filter: RowFilter) -> Attempt<Vec<ObjectRow>> {
        let own = self.own_policy()?;
        let misplaced = match (filter, self.schema.row_policy) {
            (RowFilter::All, _) => "?2 = ?2",
            (RowFilter::Misplaced, true) => "storage_policy_index != ?2",
            (RowFilter::Misplaced, false) => "?2 != ?2",
        };
        let columns = self.columns();
        let sql = format!(
            "SELECT {columns} FROM object WHERE ROWID > ?1 AND {misplaced} ORDER BY ROWID LIMIT ?3"
        );
        let mut since = self.conn()?.prepare_cached(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = since.query(params![start.0, own, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(owned_row(row)?);
        }
        Ok(found)
    }

    /// The policy whose rows are shown; `None` for all, as in files from before policies.
    fn policy_of(&self, filter: &ObjectFilter) -> Attempt<Option<i64>> {
        Ok(match filter.policy {
            _ if !self.schema.row_policy => None,
            PolicyFilter::Own => Some(self.own_policy()?),
            PolicyFilter::Only(index) => Some(index.0),
            PolicyFilter::All => None,
        })
    }

    fn scan_rows(
        &self,
        range: &NameRange,
        filter: &ObjectFilter,
        policy: Option<i64>,
        visit: &mut dyn FnMut(ObjectRowRef<'_>) -> Step,
    ) -> Attempt<()> {
        let deleted: &[i64] = match filter.deleted {
            DeletedFilter::Live => &[0],
            DeletedFilter::Tombstones => &[1],
            DeletedFilter::Both => &[0, 1],
        };
        // What all rows have alike need not be read from each.
        let alike = match (deleted, policy) {
            ([deleted], Some(policy)) => Some((*deleted != 0, PolicyIndex(policy))),
            _ => None,
        };
        let scan = Scan {
            columns: match alike {
                Some(_) => "ROWID, name, created_at, size, content_type, etag",
                None => self.columns(),
            },
            table: ROWS,
            deleted,
            policy,
            since_row: filter.since_row.map(|row| row.0),
            indexed: self.schema.index,
        };
        self.scan_names(&scan, range, &mut |name, row| {
            let (deleted, policy_index) = match alike {
                Some(alike) => alike,
                None => (row.integer(6)? != 0, PolicyIndex(row.integer(7)?)),
            };
            Ok(visit(ObjectRowRef {
                row_id: RowId(row.number()),
                name,
                created_at: &row.text(2, "created_at")?,
                size: row.integer(3)?,
                content_type: &row.text(4, "content_type")?,
                etag: &row.text(5, "etag")?,
                deleted,
                policy_index,
            }))
        })
    }

    fn scan_overlaid(
        &self,
        overlay: &Overlay<ObjectRow>,
        range: &NameRange,
        filter: &ObjectFilter,
        policy: Option<i64>,
        visit: &mut dyn FnMut(ObjectRowRef<'_>) -> Step,
    ) -> Attempt<()> {
        let mut laid = Laid::new(overlay, range, |row| shows(filter, policy, row));
        self.scan_rows(range, filter, policy, &mut |row| {
            if let Some(step) = laid.before(row.name, &mut |row| visit(row.as_ref())) {
                return step;
            }
            match overlay.row(row.name, Some(row.policy_index)) {
                Some(_) => Step::Next,
                None => laid.follow(visit(row)),
            }
        })?;
        laid.rest(&mut |row| visit(row.as_ref()));
        Ok(())
    }

    fn remove(&mut self, remove: &RemoveObjects) -> Attempt<()> {
        let max_row = remove.max_row.map(|row| row.0);
        let mut conditions = vec!["deleted IN (0, 1)"];
        let mut values: Vec<&dyn ToSql> = Vec::new();
        if !remove.lower.is_empty() {
            conditions.push("name > ?");
            values.push(&remove.lower);
        }
        if !remove.upper.is_empty() {
            conditions.push("name <= ?");
            values.push(&remove.upper);
        }
        if let Some(max_row) = &max_row {
            conditions.push("ROWID <= ?");
            values.push(max_row);
        }
        self.remove_rows(&conditions.join(" AND "), &values)
            .map(drop)
    }

    fn put_policy(&mut self, index: PolicyIndex) -> Attempt<()> {
        self.ensure_policies()?;
        self.change(
            "INSERT OR IGNORE INTO policy_stat (storage_policy_index) VALUES (?)",
            &[&index.0],
        )?;
        self.change(
            "UPDATE container_info SET storage_policy_index = ?",
            &[&index.0],
        )
        .map(drop)
    }

    fn put_marks(&mut self, marks: &ContainerMarks) -> Attempt<()> {
        let points = [
            ("x_container_sync_point1", marks.x_container_sync_point1),
            ("x_container_sync_point2", marks.x_container_sync_point2),
        ];
        if marks.reconciler_sync_point.is_some() {
            self.ensure_policies()?;
        }
        if points.iter().any(|(_, point)| point.is_some()) {
            self.ensure_sync_marks()?;
        }
        let stat = self.stat();
        if let Some(reported) = &marks.reported {
            let sql = format!(
                "UPDATE {stat} SET reported_put_timestamp = ?, reported_delete_timestamp = ?,
                    reported_object_count = ?, reported_bytes_used = ?"
            );
            self.change(
                &sql,
                &[
                    &reported.put_timestamp,
                    &reported.delete_timestamp,
                    &reported.object_count,
                    &reported.bytes_used,
                ],
            )?;
        }
        let reconciler = ("reconciler_sync_point", marks.reconciler_sync_point);
        for (column, point) in points.into_iter().chain([reconciler]) {
            if let Some(point) = point {
                self.change(&format!("UPDATE {stat} SET {column} = ?"), &[&point])?;
            }
        }
        Ok(())
    }
}

/// Whether a row that is in no database is shown.
fn shows(filter: &ObjectFilter, policy: Option<i64>, row: &ObjectRow) -> bool {
    let deleted = match filter.deleted {
        DeletedFilter::Live => !row.deleted,
        DeletedFilter::Tombstones => row.deleted,
        DeletedFilter::Both => true,
    };
    deleted && policy.is_none_or(|policy| row.policy_index.0 == policy)
}

fn owned_row(row: &rusqlite::Row<'_>) -> Attempt<ObjectRow> {
    let row = Reader::numbered(row, ROWS)?;
    Ok(ObjectRow {
        row_id: RowId(row.number()),
        name: row.text(1, "name")?.into_owned(),
        created_at: row.text(2, "created_at")?.into_owned(),
        size: row.integer(3)?,
        content_type: row.text(4, "content_type")?.into_owned(),
        etag: row.text(5, "etag")?.into_owned(),
        deleted: row.integer(6)? != 0,
        policy_index: PolicyIndex(row.integer(7)?),
    })
}

impl ContainerStore for SqliteStore<Container> {
    fn buffer(&mut self, records: &[ObjectRecord], options: &BrokerOptions) -> Result<Buffered> {
        self.append(records, options)
    }

    fn row(&mut self, name: &str, policy: PolicyIndex) -> Result<Option<ObjectRow>> {
        let laid = self.overlaid();
        if let Some(row) = laid.and_then(|overlay| overlay.row(name, Some(policy))) {
            return Ok(Some(row.clone()));
        }
        let found = self.find(name, policy);
        self.judged(found)
    }

    fn replace(&mut self, old: Option<&ObjectRow>, new: &ObjectRow) -> Result<RowId> {
        if let Some(overlay) = self.overlaid_mut() {
            return Ok(overlay.replace(old, new));
        }
        let replaced = self.exchange(old, new);
        self.judged(replaced)
    }

    fn rows_since(
        &mut self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>> {
        self.require_numbers()?;
        self.judged(self.since(start, limit, filter))
    }

    fn scan(
        &mut self,
        range: &NameRange,
        filter: &ObjectFilter,
        visit: &mut dyn FnMut(ObjectRowRef<'_>) -> Step,
    ) -> Result<()> {
        if filter.since_row.is_some() {
            self.require_numbers()?;
        }
        let begun = self.begin_in_earnest();
        self.judged(begun)?;
        let scan = || {
            let policy = self.policy_of(filter)?;
            match self.overlaid() {
                Some(overlay) => self.scan_overlaid(overlay, range, filter, policy, visit),
                None => self.scan_rows(range, filter, policy, visit),
            }
        };
        self.judged(nowait::step(self.must_not_wait, scan))
    }

    fn remove_objects(&mut self, remove: &RemoveObjects) -> Result<()> {
        let removed = self.remove(remove);
        self.judged(removed)
    }

    fn set_policy(&mut self, index: PolicyIndex) -> Result<()> {
        let set = self.put_policy(index);
        self.judged(set)
    }

    fn set_marks(&mut self, marks: &ContainerMarks) -> Result<()> {
        let set = self.put_marks(marks);
        self.judged(set)
    }
}
