//! Accounts: the table of containers, with totals and statistics.

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
    AccountInfo, AccountPolicyStat, BrokerOptions, ContainerRecord, ContainerRow, ContainerRowRef,
    Facts, PolicyIndex, Result, RowId, Rows, StoreInfo, StoreKind, Tally,
};
use broker_runtime::ops;
use broker_runtime::sync::{AccountStore, Buffered};
use rusqlite::{Connection, params};

const ROWS: &str = "container";
const STAT: &str = "account_stat";

/// Marks a [`SqliteStore`] as that of an account.
#[derive(Debug)]
pub struct Account(());

impl Layout for Account {
    const KIND: StoreKind = StoreKind::Account;
    const ROWS: &'static str = ROWS;
    const COLUMNS: &'static str = "ROWID, name, put_timestamp, delete_timestamp, object_count,
        bytes_used, deleted, storage_policy_index";
    const RECLAIM: &'static str = "delete_timestamp";
    type Record = ContainerRecord;
    type Row = ContainerRow;

    fn stat_table(_: &Schema) -> &'static str {
        STAT
    }

    fn write<'a>(writer: &'a mut Writer, record: &ContainerRecord) -> &'a [u8] {
        records::write_container(writer, record)
    }

    fn read(fields: &[Value]) -> std::result::Result<ContainerRecord, NoRecord> {
        records::read_container(fields)
    }

    fn name(record: &ContainerRecord) -> &str {
        &record.name
    }

    fn merge(store: &mut SqliteStore<Self>, records: &[ContainerRecord]) -> Result<()> {
        ops::merge_containers(store, records, None)
    }

    fn facts(store: &SqliteStore<Self>) -> Attempt<Facts> {
        let metadata = if store.schema.metadata {
            "metadata"
        } else {
            "''"
        };
        let sql = format!(
            "SELECT account, created_at, put_timestamp, delete_timestamp, status,
                status_changed_at, hash, id, {metadata}, container_count, object_count, bytes_used
            FROM account_stat"
        );
        let mut stat = store.conn()?.prepare_cached(&sql)?;
        let mut rows = stat.query([])?;
        let row = rows.next()?.ok_or(Failure::MissingStat(STAT))?;
        let row = Reader::single(row, STAT);
        Ok(Facts::Account(AccountInfo {
            store: store_info(&row, 0, store.max_row()?)?,
            container_count: row.integer(9)?,
            object_count: row.integer(10)?,
            bytes_used: row.integer(11)?,
            policy_stats: store.policy_stats()?,
        }))
    }

    fn row(row: &rusqlite::Row<'_>) -> Attempt<ContainerRow> {
        owned_row(row)
    }

    fn write_counts(store: &SqliteStore<Self>, facts: &Facts) -> Attempt<()> {
        let Facts::Account(info) = facts else {
            return Ok(());
        };
        store.change(
            "UPDATE account_stat SET hash = ?, container_count = ?, object_count = ?, bytes_used = ?",
            &[
                &info.store.hash.to_string(),
                &info.container_count,
                &info.object_count,
                &info.bytes_used,
            ],
        )?;
        for stat in &info.policy_stats {
            store.change(
                "INSERT INTO policy_stat (storage_policy_index, container_count, object_count,
                    bytes_used) VALUES (?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET container_count = excluded.container_count,
                    object_count = excluded.object_count, bytes_used = excluded.bytes_used",
                &[
                    &stat.policy_index.0,
                    &stat.container_count,
                    &stat.object_count,
                    &stat.bytes_used,
                ],
            )?;
        }
        Ok(())
    }

    fn upgrade(store: &mut SqliteStore<Self>) -> Attempt<()> {
        store.complete_policy_stat()
    }

    fn reclaim_more(_: &SqliteStore<Self>, _: &str) -> Attempt<()> {
        Ok(())
    }

    fn write_facts(conn: &Connection, facts: &Facts) -> Attempt<()> {
        let Facts::Account(info) = facts else {
            return Ok(());
        };
        let store = &info.store;
        conn.execute(
            "INSERT INTO account_stat (account, created_at, put_timestamp, delete_timestamp,
                container_count, object_count, bytes_used, hash, id, status, status_changed_at,
                metadata)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                store.account,
                store.created_at.as_str(),
                store.put_timestamp.as_str(),
                store.delete_timestamp.as_str(),
                info.container_count,
                info.object_count,
                info.bytes_used,
                store.hash.to_string(),
                store.id,
                store.status,
                store.status_changed_at.as_str(),
                store.raw_metadata
            ],
        )?;
        let mut insert = conn.prepare(
            "INSERT INTO policy_stat (storage_policy_index, container_count, object_count,
                bytes_used) VALUES (?, ?, ?, ?)",
        )?;
        for stat in &info.policy_stats {
            insert.execute(params![
                stat.policy_index.0,
                stat.container_count,
                stat.object_count,
                stat.bytes_used
            ])?;
        }
        Ok(())
    }

    fn write_rows(conn: &Connection, rows: &Rows, after: RowId) -> Attempt<()> {
        let Rows::Containers(rows) = rows else {
            return Ok(());
        };
        let mut insert = conn.prepare_cached(
            "INSERT INTO container (ROWID, name, put_timestamp, delete_timestamp, object_count,
                bytes_used, deleted, storage_policy_index) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for row in rows.iter().filter(|row| row.row_id > after) {
            insert.execute(params![
                row.row_id.0,
                row.name,
                row.put_timestamp.as_str(),
                row.delete_timestamp.as_str(),
                row.object_count,
                row.bytes_used,
                row.deleted,
                row.policy_index.0
            ])?;
        }
        Ok(())
    }

    fn tally(store: &SqliteStore<Self>, tally: &mut Tally) -> Attempt<()> {
        let mut rows = store
            .conn()?
            .prepare(&format!("SELECT {} FROM container", store.columns()))?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            tally.container(&owned_row(row)?);
        }
        Ok(())
    }
}

/// The facts that both kinds have, from the columns account, created_at, put_timestamp,
/// delete_timestamp, status, status_changed_at, hash, id, metadata.
pub(crate) fn store_info(row: &Reader<'_>, first: usize, max_row: RowId) -> Attempt<StoreInfo> {
    let text = |index: usize, column| row.text(first + index, column);
    Ok(StoreInfo {
        account: text(0, "account")?.into_owned(),
        created_at: row.timestamp(first + 1, "created_at")?,
        put_timestamp: row.timestamp(first + 2, "put_timestamp")?,
        delete_timestamp: row.timestamp(first + 3, "delete_timestamp")?,
        status: text(4, "status")?.into_owned(),
        status_changed_at: row.timestamp(first + 5, "status_changed_at")?,
        hash: row.hash(first + 6)?,
        id: text(7, "id")?.into_owned(),
        raw_metadata: text(8, "metadata")?.into_owned(),
        max_row,
    })
}

impl SqliteStore<Account> {
    fn policy_stats(&self) -> Attempt<Vec<AccountPolicyStat>> {
        if !self.schema.policy_stat {
            return Ok(Vec::new());
        }
        let count = match self.schema.policy_container_count {
            true => "container_count",
            false => "NULL",
        };
        let sql = format!(
            "SELECT storage_policy_index, {count}, object_count, bytes_used FROM policy_stat
            ORDER BY storage_policy_index"
        );
        let mut stats = self.conn()?.prepare_cached(&sql)?;
        let mut rows = stats.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let row = Reader::numbered(row, "policy_stat")?;
            let count = row.integer(1)?;
            found.push(AccountPolicyStat {
                policy_index: PolicyIndex(row.number()),
                container_count: self.schema.policy_container_count.then_some(count),
                object_count: row.integer(2)?,
                bytes_used: row.integer(3)?,
            });
        }
        Ok(found)
    }

    /// The name of a column that files written before storage policies lack.
    fn policy_column(&self) -> &'static str {
        match self.schema.row_policy {
            true => "storage_policy_index",
            false => "0",
        }
    }

    fn columns(&self) -> String {
        let policy = self.policy_column();
        format!(
            "ROWID, name, put_timestamp, delete_timestamp, object_count, bytes_used, deleted, {policy}"
        )
    }

    fn find(&mut self, name: &str) -> Attempt<Option<ContainerRow>> {
        if self.is_writing() {
            self.ensure_policies()?;
        }
        let columns = self.columns();
        let sql = format!("SELECT {columns} FROM container WHERE deleted IN (0, 1) AND name = ?");
        let mut found = self.conn()?.prepare_cached(&sql)?;
        let mut rows = found.query([name])?;
        rows.next()?.map(owned_row).transpose()
    }

    fn exchange(&mut self, old: Option<&ContainerRow>, new: &ContainerRow) -> Attempt<RowId> {
        self.ensure_policies()?;
        self.ready_to_count()?;
        if let Some(old) = old {
            // By name, as Swift does, should a file hold two rows of one name.
            self.remove_row(old, "deleted IN (0, 1) AND name = ?", &[&new.name])?;
        }
        let mut insert = self.conn()?.prepare_cached(
            "INSERT INTO container (name, put_timestamp, delete_timestamp, object_count,
                bytes_used, deleted, storage_policy_index) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?;
        insert.execute(params![
            new.name,
            new.put_timestamp.as_str(),
            new.delete_timestamp.as_str(),
            new.object_count,
            new.bytes_used,
            new.deleted,
            new.policy_index.0
        ])?;
        drop(insert);
        self.count_written(new);
        Ok(RowId(self.conn()?.last_insert_rowid()))
    }

    fn since(&self, start: RowId, limit: usize) -> Attempt<Vec<ContainerRow>> {
        let columns = self.columns();
        let sql = format!("SELECT {columns} FROM container WHERE ROWID > ? ORDER BY ROWID LIMIT ?");
        let mut since = self.conn()?.prepare_cached(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = since.query(params![start.0, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(owned_row(row)?);
        }
        Ok(found)
    }

    fn scan_live(
        &self,
        range: &NameRange,
        visit: &mut dyn FnMut(ContainerRowRef<'_>) -> Step,
    ) -> Attempt<()> {
        let policy = self.policy_column();
        let scan = Scan {
            columns: &format!("ROWID, name, put_timestamp, object_count, bytes_used, {policy}"),
            table: ROWS,
            deleted: &[0],
            policy: None,
            since_row: None,
            indexed: self.schema.index,
        };
        self.scan_names(&scan, range, &mut |name, row| {
            Ok(visit(ContainerRowRef {
                name,
                put_timestamp: &row.text(2, "put_timestamp")?,
                object_count: row.integer(3)?,
                bytes_used: row.integer(4)?,
                policy_index: PolicyIndex(row.integer(5)?),
            }))
        })
    }

    fn scan_overlaid(
        &self,
        overlay: &Overlay<ContainerRow>,
        range: &NameRange,
        visit: &mut dyn FnMut(ContainerRowRef<'_>) -> Step,
    ) -> Attempt<()> {
        let mut laid = Laid::new(overlay, range, |row| !row.deleted);
        self.scan_live(range, &mut |row| {
            if let Some(step) = laid.before(row.name, &mut |row| visit(listed(row))) {
                return step;
            }
            match overlay.row(row.name, None) {
                Some(_) => Step::Next,
                None => laid.follow(visit(row)),
            }
        })?;
        laid.rest(&mut |row| visit(listed(row)));
        Ok(())
    }
}

fn owned_row(row: &rusqlite::Row<'_>) -> Attempt<ContainerRow> {
    let row = Reader::numbered(row, ROWS)?;
    Ok(ContainerRow {
        row_id: RowId(row.number()),
        name: row.text(1, "name")?.into_owned(),
        put_timestamp: row.timestamp(2, "put_timestamp")?,
        delete_timestamp: row.timestamp(3, "delete_timestamp")?,
        object_count: row.integer(4)?,
        bytes_used: row.integer(5)?,
        deleted: row.integer(6)? != 0,
        policy_index: PolicyIndex(row.integer(7)?),
    })
}

fn listed(row: &ContainerRow) -> ContainerRowRef<'_> {
    ContainerRowRef {
        name: &row.name,
        put_timestamp: row.put_timestamp.as_str(),
        object_count: row.object_count,
        bytes_used: row.bytes_used,
        policy_index: row.policy_index,
    }
}

impl AccountStore for SqliteStore<Account> {
    fn buffer(&mut self, records: &[ContainerRecord], options: &BrokerOptions) -> Result<Buffered> {
        self.append(records, options)
    }

    fn row(&mut self, name: &str) -> Result<Option<ContainerRow>> {
        if let Some(row) = self.overlaid().and_then(|overlay| overlay.row(name, None)) {
            return Ok(Some(row.clone()));
        }
        let found = self.find(name);
        self.judged(found)
    }

    fn replace(&mut self, old: Option<&ContainerRow>, new: &ContainerRow) -> Result<RowId> {
        if let Some(overlay) = self.overlaid_mut() {
            return Ok(overlay.replace(old, new));
        }
        let replaced = self.exchange(old, new);
        self.judged(replaced)
    }

    fn rows_since(&mut self, start: RowId, limit: usize) -> Result<Vec<ContainerRow>> {
        self.require_numbers()?;
        self.judged(self.since(start, limit))
    }

    fn scan(
        &mut self,
        range: &NameRange,
        visit: &mut dyn FnMut(ContainerRowRef<'_>) -> Step,
    ) -> Result<()> {
        let begun = self.begin_in_earnest();
        self.judged(begun)?;
        let scan = || match self.overlaid() {
            Some(overlay) => self.scan_overlaid(overlay, range, visit),
            None => self.scan_live(range, visit),
        };
        self.judged(nowait::step(self.must_not_wait, scan))
    }
}
