//! Files as older versions of Swift wrote them.
#![allow(clippy::unwrap_used)]

use rusqlite::Connection;
use std::path::Path;

/// What a file has that the oldest had not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Age {
    pub(crate) index: bool,
    pub(crate) sync_dates: bool,
    pub(crate) metadata: bool,
    pub(crate) sync_marks: bool,
}

pub(crate) const OLDEST: Age = Age {
    index: false,
    sync_dates: false,
    metadata: false,
    sync_marks: false,
};

/// Just before storage policies.
pub(crate) const PRE_POLICY: Age = Age {
    index: true,
    sync_dates: true,
    metadata: true,
    sync_marks: true,
};

fn connect(db: &Path) -> Connection {
    std::fs::create_dir_all(db.parent().unwrap()).unwrap();
    crate::common::connect(db)
}

fn when(there: bool, sql: &str) -> &str {
    if there { sql } else { "" }
}

fn sync_tables(conn: &Connection, age: Age) {
    for table in ["outgoing_sync", "incoming_sync"] {
        let date = when(age.sync_dates, ", updated_at TEXT DEFAULT 0");
        conn.execute_batch(&format!(
            "CREATE TABLE {table} (remote_id TEXT UNIQUE, sync_point INTEGER{date});
            INSERT INTO {table} (remote_id, sync_point) VALUES ('remote', 7);"
        ))
        .unwrap();
        for event in ["insert", "update"] {
            if age.sync_dates {
                conn.execute_batch(&format!(
                    "CREATE TRIGGER {table}_{event} AFTER {event} ON {table} BEGIN
                        UPDATE {table} SET updated_at = STRFTIME('%s', 'NOW')
                        WHERE ROWID = new.ROWID;
                    END;"
                ))
                .unwrap();
            }
        }
    }
}

/// A container from before storage policies, with the rows a, b (a tombstone) and c.
pub(crate) fn container(db: &Path, age: Age) {
    let conn = connect(db);
    sync_tables(&conn, age);
    let index = when(
        age.index,
        "CREATE INDEX ix_object_deleted_name ON object (deleted, name);",
    );
    let metadata = when(age.metadata, ", metadata TEXT DEFAULT ''");
    let marks = when(
        age.sync_marks,
        ", x_container_sync_point1 INTEGER DEFAULT -1, x_container_sync_point2 INTEGER DEFAULT -1",
    );
    conn.execute_batch(&format!(
        "CREATE TABLE object (
            ROWID INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created_at TEXT, size INTEGER,
            content_type TEXT, etag TEXT, deleted INTEGER DEFAULT 0);
        {index}
        CREATE TABLE container_stat (
            account TEXT, container TEXT, created_at TEXT, put_timestamp TEXT DEFAULT '0',
            delete_timestamp TEXT DEFAULT '0', object_count INTEGER, bytes_used INTEGER,
            reported_put_timestamp TEXT DEFAULT '0', reported_delete_timestamp TEXT DEFAULT '0',
            reported_object_count INTEGER DEFAULT 0, reported_bytes_used INTEGER DEFAULT 0,
            hash TEXT DEFAULT '00000000000000000000000000000000', id TEXT,
            status TEXT DEFAULT '', status_changed_at TEXT DEFAULT '0'{metadata}{marks});
        CREATE TRIGGER object_insert AFTER INSERT ON object BEGIN
            UPDATE container_stat SET object_count = object_count + (1 - new.deleted),
                bytes_used = bytes_used + new.size,
                hash = chexor(hash, new.name, new.created_at);
        END;
        CREATE TRIGGER object_update BEFORE UPDATE ON object BEGIN
            SELECT RAISE(FAIL, 'UPDATE not allowed; DELETE and INSERT');
        END;
        CREATE TRIGGER object_delete AFTER DELETE ON object BEGIN
            UPDATE container_stat SET object_count = object_count - (1 - old.deleted),
                bytes_used = bytes_used - old.size,
                hash = chexor(hash, old.name, old.created_at);
        END;
        INSERT INTO container_stat (account, container, created_at, put_timestamp, object_count,
            bytes_used, reported_put_timestamp, reported_delete_timestamp, id)
            VALUES ('AUTH_t', 'old', '0000000001.00000', '0000000001.00000', 0, 0, '5', '6',
            'uuid');
        INSERT INTO object (name, created_at, size, content_type, etag, deleted) VALUES
            ('a', '0000000002.00000', 10, 'text/plain', 'ea', 0),
            ('b', '0000000002.00000', 0, 'application/deleted', 'noetag', 1),
            ('c', '0000000003.00000', 5, 'text/plain', 'ec', 0);"
    ))
    .unwrap();
}

/// An account from before storage policies, with the rows a and b (a tombstone).
pub(crate) fn account(db: &Path, age: Age) {
    let conn = connect(db);
    sync_tables(&conn, age);
    let index = when(
        age.index,
        "CREATE INDEX ix_container_deleted_name ON container (deleted, name);",
    );
    let metadata = when(age.metadata, ", metadata TEXT DEFAULT ''");
    conn.execute_batch(&format!(
        "CREATE TABLE container (
            ROWID INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, put_timestamp TEXT,
            delete_timestamp TEXT, object_count INTEGER, bytes_used INTEGER,
            deleted INTEGER DEFAULT 0);
        {index}
        CREATE TABLE account_stat (
            account TEXT, created_at TEXT, put_timestamp TEXT DEFAULT '0',
            delete_timestamp TEXT DEFAULT '0', container_count INTEGER,
            object_count INTEGER DEFAULT 0, bytes_used INTEGER DEFAULT 0,
            hash TEXT DEFAULT '00000000000000000000000000000000', id TEXT,
            status TEXT DEFAULT '', status_changed_at TEXT DEFAULT '0'{metadata});
        CREATE TRIGGER container_insert AFTER INSERT ON container BEGIN
            UPDATE account_stat SET container_count = container_count + (1 - new.deleted),
                object_count = object_count + new.object_count,
                bytes_used = bytes_used + new.bytes_used,
                hash = chexor(hash, new.name, new.put_timestamp || '-' || new.delete_timestamp
                    || '-' || new.object_count || '-' || new.bytes_used);
        END;
        CREATE TRIGGER container_update BEFORE UPDATE ON container BEGIN
            SELECT RAISE(FAIL, 'UPDATE not allowed; DELETE and INSERT');
        END;
        CREATE TRIGGER container_delete AFTER DELETE ON container BEGIN
            UPDATE account_stat SET container_count = container_count - (1 - old.deleted),
                object_count = object_count - old.object_count,
                bytes_used = bytes_used - old.bytes_used,
                hash = chexor(hash, old.name, old.put_timestamp || '-' || old.delete_timestamp
                    || '-' || old.object_count || '-' || old.bytes_used);
        END;
        INSERT INTO account_stat (account, created_at, put_timestamp, container_count, id)
            VALUES ('AUTH_t', '0000000001.00000', '0000000001.00000', 0, 'uuid');
        INSERT INTO container
            (name, put_timestamp, delete_timestamp, object_count, bytes_used, deleted) VALUES
            ('a', '0000000002.00000', '0', 3, 30, 0),
            ('b', '0000000002.00000', '0000000003.00000', 0, 0, 1);"
    ))
    .unwrap();
}

/// An account from before containers were counted by policy; it has rows in two policies.
pub(crate) fn account_without_container_counts(db: &Path, policies: i64) {
    account(db, PRE_POLICY);
    let conn = connect(db);
    conn.execute_batch(
        "CREATE TABLE policy_stat (storage_policy_index INTEGER PRIMARY KEY,
            object_count INTEGER DEFAULT 0, bytes_used INTEGER DEFAULT 0);
        INSERT INTO policy_stat SELECT 0, object_count, bytes_used FROM account_stat;
        ALTER TABLE container ADD COLUMN storage_policy_index INTEGER DEFAULT 0;
        CREATE TRIGGER container_insert_ps AFTER INSERT ON container BEGIN
            INSERT OR IGNORE INTO policy_stat VALUES (new.storage_policy_index, 0, 0);
            UPDATE policy_stat SET object_count = object_count + new.object_count,
                bytes_used = bytes_used + new.bytes_used
            WHERE storage_policy_index = new.storage_policy_index;
        END;
        CREATE TRIGGER container_delete_ps AFTER DELETE ON container BEGIN
            UPDATE policy_stat SET object_count = object_count - old.object_count,
                bytes_used = bytes_used - old.bytes_used
            WHERE storage_policy_index = old.storage_policy_index;
        END;",
    )
    .unwrap();
    for policy in 1..policies {
        conn.execute(
            "INSERT INTO container (name, put_timestamp, delete_timestamp, object_count,
                bytes_used, storage_policy_index) VALUES (?1, '5', '0', 1, 10, ?2)",
            (format!("p{policy}"), policy),
        )
        .unwrap();
    }
}
