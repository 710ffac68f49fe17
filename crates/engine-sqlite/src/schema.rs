//! Swift's schema: what new files get, and what an opened file has.
//!
//! Swift finds everything by name, so names, types and defaults are its own; see spec 02 §5. Objects
//! that migrations create as well stand on their own.

use crate::error::{Attempt, Failure};
use broker_api::{NewAccount, NewContainer, StoreKind};
use rusqlite::{Connection, params};
use std::collections::HashSet;

/// What a trigger says to whoever updates a row in place.
const NO_UPDATE: &str = "SELECT RAISE(FAIL, 'UPDATE not allowed; DELETE and INSERT');";

/// One table of sync points.
fn sync_table(table: &str) -> String {
    format!(
        "CREATE TABLE {table} (
            remote_id TEXT UNIQUE,
            sync_point INTEGER,
            updated_at TEXT DEFAULT 0
        );"
    )
}

/// The triggers that date the entries of a table of sync points.
fn sync_triggers(table: &str) -> String {
    let dated = |event: &str, name: &str| {
        format!(
            "CREATE TRIGGER {table}_{name} AFTER {event} ON {table} BEGIN
                UPDATE {table} SET updated_at = STRFTIME('%s', 'NOW') WHERE ROWID = new.ROWID;
            END;"
        )
    };
    dated("INSERT", "insert") + &dated("UPDATE", "update")
}

/// The rows of an account.
const CONTAINER_TABLE: &str = "
    CREATE TABLE container (
        ROWID INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT,
        put_timestamp TEXT,
        delete_timestamp TEXT,
        object_count INTEGER,
        bytes_used INTEGER,
        deleted INTEGER DEFAULT 0,
        storage_policy_index INTEGER DEFAULT 0
    );";

/// The index of an account's rows, and the triggers that keep its totals and hash.
const CONTAINER_INDEX: &str = "
    CREATE INDEX ix_container_deleted_name ON container (deleted, name);
    CREATE TRIGGER container_insert AFTER INSERT ON container BEGIN
        UPDATE account_stat SET
            container_count = container_count + (1 - new.deleted),
            object_count = object_count + new.object_count,
            bytes_used = bytes_used + new.bytes_used,
            hash = chexor(hash, new.name, new.put_timestamp || '-' || new.delete_timestamp
                || '-' || new.object_count || '-' || new.bytes_used);
    END;
    CREATE TRIGGER container_delete AFTER DELETE ON container BEGIN
        UPDATE account_stat SET
            container_count = container_count - (1 - old.deleted),
            object_count = object_count - old.object_count,
            bytes_used = bytes_used - old.bytes_used,
            hash = chexor(hash, old.name, old.put_timestamp || '-' || old.delete_timestamp
                || '-' || old.object_count || '-' || old.bytes_used);
    END;";

const ACCOUNT_STAT: &str = "
    CREATE TABLE account_stat (
        account TEXT,
        created_at TEXT,
        put_timestamp TEXT DEFAULT '0',
        delete_timestamp TEXT DEFAULT '0',
        container_count INTEGER,
        object_count INTEGER DEFAULT 0,
        bytes_used INTEGER DEFAULT 0,
        hash TEXT DEFAULT '00000000000000000000000000000000',
        id TEXT,
        status TEXT DEFAULT '',
        status_changed_at TEXT DEFAULT '0',
        metadata TEXT DEFAULT ''
    );";

/// An account's statistics by policy, with the totals of a file that had none.
pub(crate) const ACCOUNT_POLICY_STAT: &str = "
    CREATE TABLE policy_stat (
        storage_policy_index INTEGER PRIMARY KEY,
        container_count INTEGER DEFAULT 0,
        object_count INTEGER DEFAULT 0,
        bytes_used INTEGER DEFAULT 0
    );
    INSERT INTO policy_stat (storage_policy_index, container_count, object_count, bytes_used)
        SELECT 0, container_count, object_count, bytes_used FROM account_stat
        WHERE container_count > 0;";

/// The triggers that keep an account's statistics by policy.
pub(crate) const ACCOUNT_POLICY_TRIGGERS: &str = "
    CREATE TRIGGER container_insert_ps AFTER INSERT ON container BEGIN
        INSERT OR IGNORE INTO policy_stat
            (storage_policy_index, container_count, object_count, bytes_used)
            VALUES (new.storage_policy_index, 0, 0, 0);
        UPDATE policy_stat SET
            container_count = container_count + (1 - new.deleted),
            object_count = object_count + new.object_count,
            bytes_used = bytes_used + new.bytes_used
        WHERE storage_policy_index = new.storage_policy_index;
    END;
    CREATE TRIGGER container_delete_ps AFTER DELETE ON container BEGIN
        UPDATE policy_stat SET
            container_count = container_count - (1 - old.deleted),
            object_count = object_count - old.object_count,
            bytes_used = bytes_used - old.bytes_used
        WHERE storage_policy_index = old.storage_policy_index;
    END;";

const OBJECT_TABLE: &str = "
    CREATE TABLE object (
        ROWID INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT,
        created_at TEXT,
        size INTEGER,
        content_type TEXT,
        etag TEXT,
        deleted INTEGER DEFAULT 0,
        storage_policy_index INTEGER DEFAULT 0
    );";

const OBJECT_INDEX: &str = "CREATE INDEX ix_object_deleted_name ON object (deleted, name);";

/// A container's statistics by policy.
pub(crate) const CONTAINER_POLICY_STAT: &str = "
    CREATE TABLE policy_stat (
        storage_policy_index INTEGER PRIMARY KEY,
        object_count INTEGER DEFAULT 0,
        bytes_used INTEGER DEFAULT 0
    );";

/// The triggers that keep a container's statistics by policy and its hash.
pub(crate) const CONTAINER_POLICY_TRIGGERS: &str = "
    CREATE TRIGGER object_insert_policy_stat AFTER INSERT ON object BEGIN
        INSERT OR IGNORE INTO policy_stat (storage_policy_index)
            VALUES (new.storage_policy_index);
        UPDATE policy_stat SET
            object_count = object_count + (1 - new.deleted),
            bytes_used = bytes_used + new.size
        WHERE storage_policy_index = new.storage_policy_index;
        UPDATE container_info SET hash = chexor(hash, new.name, new.created_at);
    END;
    CREATE TRIGGER object_delete_policy_stat AFTER DELETE ON object BEGIN
        UPDATE policy_stat SET
            object_count = object_count - (1 - old.deleted),
            bytes_used = bytes_used - old.size
        WHERE storage_policy_index = old.storage_policy_index;
        UPDATE container_info SET hash = chexor(hash, old.name, old.created_at);
    END;";

/// A container's facts, and the view by which Swift reads and writes them.
pub(crate) const CONTAINER_INFO: &str = "
    CREATE TABLE container_info (
        account TEXT,
        container TEXT,
        created_at TEXT,
        put_timestamp TEXT DEFAULT '0',
        delete_timestamp TEXT DEFAULT '0',
        reported_put_timestamp TEXT DEFAULT '0',
        reported_delete_timestamp TEXT DEFAULT '0',
        reported_object_count INTEGER DEFAULT 0,
        reported_bytes_used INTEGER DEFAULT 0,
        hash TEXT DEFAULT '00000000000000000000000000000000',
        id TEXT,
        status TEXT DEFAULT '',
        status_changed_at TEXT DEFAULT '0',
        metadata TEXT DEFAULT '',
        x_container_sync_point1 INTEGER DEFAULT -1,
        x_container_sync_point2 INTEGER DEFAULT -1,
        storage_policy_index INTEGER DEFAULT 0,
        reconciler_sync_point INTEGER DEFAULT -1
    );";

/// See [`CONTAINER_INFO`].
pub(crate) const CONTAINER_STAT_VIEW: &str = "
    CREATE VIEW container_stat AS SELECT
        info.account, info.container, info.created_at, info.put_timestamp, info.delete_timestamp,
        info.reported_put_timestamp, info.reported_delete_timestamp,
        info.reported_object_count, info.reported_bytes_used,
        info.hash, info.id, info.status, info.status_changed_at, info.metadata,
        info.x_container_sync_point1, info.x_container_sync_point2,
        info.reconciler_sync_point, info.storage_policy_index,
        coalesce(stat.object_count, 0) AS object_count,
        coalesce(stat.bytes_used, 0) AS bytes_used
    FROM container_info info
    LEFT JOIN policy_stat stat ON info.storage_policy_index = stat.storage_policy_index;
    CREATE TRIGGER container_stat_update INSTEAD OF UPDATE ON container_stat BEGIN
        UPDATE container_info SET
            account = NEW.account,
            container = NEW.container,
            created_at = NEW.created_at,
            put_timestamp = NEW.put_timestamp,
            delete_timestamp = NEW.delete_timestamp,
            reported_put_timestamp = NEW.reported_put_timestamp,
            reported_delete_timestamp = NEW.reported_delete_timestamp,
            reported_object_count = NEW.reported_object_count,
            reported_bytes_used = NEW.reported_bytes_used,
            hash = NEW.hash,
            id = NEW.id,
            status = NEW.status,
            status_changed_at = NEW.status_changed_at,
            metadata = NEW.metadata,
            x_container_sync_point1 = NEW.x_container_sync_point1,
            x_container_sync_point2 = NEW.x_container_sync_point2,
            storage_policy_index = NEW.storage_policy_index,
            reconciler_sync_point = NEW.reconciler_sync_point;
    END;";

const SHARD_RANGE: &str = "
    CREATE TABLE shard_range (
        ROWID INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT,
        timestamp TEXT,
        lower TEXT,
        upper TEXT,
        object_count INTEGER DEFAULT 0,
        bytes_used INTEGER DEFAULT 0,
        meta_timestamp TEXT,
        deleted INTEGER DEFAULT 0,
        state INTEGER,
        state_timestamp TEXT,
        epoch TEXT,
        reported INTEGER DEFAULT 0,
        tombstones INTEGER DEFAULT -1
    );";

fn no_update(table: &str) -> String {
    format!("CREATE TRIGGER {table}_update BEFORE UPDATE ON {table} BEGIN {NO_UPDATE} END;")
}

/// The tables of a kind of store, without anything that keeps them in step.
///
/// Stores that are restored row by row work on these alone, and [`seal`] them at the end.
pub(crate) fn tables(kind: StoreKind) -> String {
    let syncs = sync_table("outgoing_sync") + &sync_table("incoming_sync");
    let rest = match kind {
        StoreKind::Account => [CONTAINER_TABLE, ACCOUNT_STAT, ACCOUNT_POLICY_STAT].concat(),
        StoreKind::Container => [
            OBJECT_TABLE,
            CONTAINER_POLICY_STAT,
            CONTAINER_INFO,
            CONTAINER_STAT_VIEW,
            SHARD_RANGE,
        ]
        .concat(),
    };
    syncs + &rest
}

/// The index of the rows and the triggers that keep hash, counts and dates.
pub(crate) fn seal(kind: StoreKind) -> String {
    let syncs = sync_triggers("outgoing_sync") + &sync_triggers("incoming_sync");
    let rest = match kind {
        StoreKind::Account => [
            CONTAINER_INDEX,
            ACCOUNT_POLICY_TRIGGERS,
            &no_update("container"),
        ]
        .concat(),
        StoreKind::Container => [
            OBJECT_INDEX,
            CONTAINER_POLICY_TRIGGERS,
            &no_update("object"),
            &no_update("shard_range"),
        ]
        .concat(),
    };
    syncs + &rest
}

/// Makes the tables of an account with its stat row.
pub(crate) fn create_account(conn: &Connection, new: &NewAccount) -> Attempt<()> {
    conn.execute_batch(&tables(StoreKind::Account))?;
    conn.execute_batch(&seal(StoreKind::Account))?;
    conn.execute(
        "INSERT INTO account_stat
            (account, created_at, id, put_timestamp, status_changed_at, container_count)
            VALUES (?1, ?2, ?3, ?4, ?4, 0)",
        params![
            new.account,
            new.created_at.normal(),
            new.id,
            new.put_timestamp.as_str()
        ],
    )?;
    Ok(())
}

/// Makes the tables of a container with its stat row and the statistics of its own policy.
pub(crate) fn create_container(conn: &Connection, new: &NewContainer) -> Attempt<()> {
    conn.execute_batch(&tables(StoreKind::Container))?;
    conn.execute_batch(&seal(StoreKind::Container))?;
    conn.execute(
        "INSERT INTO policy_stat (storage_policy_index) VALUES (?)",
        [new.policy_index.0],
    )?;
    conn.execute(
        "INSERT INTO container_info
            (account, container, created_at, id, put_timestamp, status_changed_at,
            storage_policy_index)
            VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
        params![
            new.account,
            new.container,
            new.created_at.normal(),
            new.id,
            new.put_timestamp.as_str(),
            new.policy_index.0
        ],
    )?;
    Ok(())
}

/// What a file has; older versions of Swift wrote less. See spec 02 §9.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Schema {
    /// SQLite's counter of schema changes, by which a changed file is noticed.
    pub(crate) version: i64,
    /// The index on (deleted, name).
    pub(crate) index: bool,
    /// Metadata among the facts.
    pub(crate) metadata: bool,
    /// Dates beside sync points.
    pub(crate) sync_dates: bool,
    /// A policy for every row.
    pub(crate) row_policy: bool,
    /// Statistics by policy.
    pub(crate) policy_stat: bool,
    /// Containers among an account's statistics by policy.
    pub(crate) policy_container_count: bool,
    /// Container-sync marks among a container's facts.
    pub(crate) sync_marks: bool,
    /// A container's facts in their own table; in the older form `container_stat` is the table.
    pub(crate) container_info: bool,
    /// Shard ranges.
    pub(crate) shard_range: bool,
    /// What is committed under a row's number stays so until the row is removed, and no other row has that number later.
    pub(crate) rows_stay: bool,
    /// Whether nobody but Swift's own triggers counts rows, so that we can count them instead.
    pub(crate) counts_here: bool,
}

impl Schema {
    /// Of a file that was not looked at: unlike that of any file.
    pub(crate) fn unknown() -> Self {
        Self {
            version: i64::MIN,
            ..Self::default()
        }
    }

    /// Whether the first merge of rows would change nothing here, and has an index to find them by.
    pub(crate) fn is_complete(&self, kind: StoreKind) -> bool {
        let facts = match kind {
            StoreKind::Account => self.policy_container_count,
            StoreKind::Container => self.container_info,
        };
        facts && self.index && self.row_policy && self.policy_stat
    }

    /// Looks at what a file has.
    ///
    /// # Errors
    /// [`Failure::Foreign`] when the tables that every age of Swift had are not there.
    pub(crate) fn detect(conn: &Connection, kind: StoreKind) -> Attempt<Self> {
        let mut master = conn.prepare_cached("SELECT name FROM sqlite_master")?;
        let names: HashSet<String> = master
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let (rows, stat) = match kind {
            StoreKind::Account => ("container", "account_stat"),
            StoreKind::Container => ("object", "container_stat"),
        };
        if !(names.contains(rows) && names.contains(stat)) {
            return Err(Failure::Foreign(kind.as_str()));
        }
        let stat_columns = columns(conn, stat)?;
        let mut schema = Self {
            version: version(conn)?,
            index: names.contains(&format!("ix_{rows}_deleted_name")),
            metadata: stat_columns.contains("metadata"),
            sync_dates: columns(conn, "incoming_sync")?.contains("updated_at")
                && columns(conn, "outgoing_sync")?.contains("updated_at"),
            row_policy: columns(conn, rows)?.contains("storage_policy_index"),
            policy_stat: names.contains("policy_stat"),
            policy_container_count: columns(conn, "policy_stat")?.contains("container_count"),
            sync_marks: stat_columns.contains("x_container_sync_point1")
                && stat_columns.contains("x_container_sync_point2"),
            container_info: names.contains("container_info"),
            shard_range: names.contains("shard_range"),
            rows_stay: refuses_updates(conn, rows)? && gives_numbers_once(conn, rows)?,
            counts_here: false,
        };
        schema.counts_here = schema.is_complete(kind) && has_own_triggers(conn, kind)?;
        Ok(schema)
    }
}

/// Whether the trigger is there that has an update of a row fail.
fn refuses_updates(conn: &Connection, rows: &str) -> Attempt<bool> {
    let sql = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?1
        AND name = ?1 || '_update' AND sql LIKE '%BEFORE UPDATE ON%' AND sql LIKE '%RAISE%'";
    let mut found = conn.prepare_cached(sql)?;
    Ok(found.query_row([rows], |row| row.get::<_, i64>(0))? == 1)
}

/// Whether SQLite never gives the number of a row that was removed to another one.
fn gives_numbers_once(conn: &Connection, rows: &str) -> Attempt<bool> {
    let sql = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?";
    let mut made = conn.prepare_cached(sql)?;
    let made: String = made.query_row([rows], |row| row.get(0))?;
    Ok(made.to_ascii_uppercase().contains("AUTOINCREMENT"))
}

/// Whether rows have the triggers of Swift 2.38, and no others.
fn has_own_triggers(conn: &Connection, kind: StoreKind) -> Attempt<bool> {
    let (rows, refusing, counting): (_, _, &[&str]) = match kind {
        StoreKind::Account => (
            "container",
            "container_update",
            &[
                "container_insert",
                "container_delete",
                "container_insert_ps",
                "container_delete_ps",
            ],
        ),
        StoreKind::Container => (
            "object",
            "object_update",
            &["object_insert_policy_stat", "object_delete_policy_stat"],
        ),
    };
    let sql =
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? AND name != ?";
    let mut triggers = conn.prepare_cached(sql)?;
    let found = triggers.query_map([rows, refusing], |row| row.get(0))?;
    let found: HashSet<String> = found.collect::<Result<_, _>>()?;
    Ok(found.len() == counting.len() && counting.iter().all(|name| found.contains(*name)))
}

/// SQLite's counter of schema changes; reading it begins the consistent view of a transaction.
pub(crate) fn version(conn: &Connection) -> Attempt<i64> {
    let mut version = conn.prepare_cached("PRAGMA schema_version")?;
    Ok(version.query_row([], |row| row.get(0))?)
}

fn columns(conn: &Connection, table: &str) -> Attempt<HashSet<String>> {
    let mut info = conn.prepare_cached("SELECT name FROM pragma_table_info(?)")?;
    let names = info.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
