//! Completing files that older versions of Swift wrote, when and as Swift itself does it; spec 02 §9.
//!
//! Every migration is part of the transaction that needs it, so that a file is never left half way.

use crate::account::Account;
use crate::container::Container;
use crate::error::Attempt;
use crate::schema::{
    ACCOUNT_POLICY_STAT, ACCOUNT_POLICY_TRIGGERS, CONTAINER_INFO, CONTAINER_POLICY_STAT,
    CONTAINER_POLICY_TRIGGERS, CONTAINER_STAT_VIEW,
};
use crate::store::{Layout, SqliteStore};

/// Takes away the triggers of statistics by policy, of whatever age they are.
const DROP_ACCOUNT_POLICY_TRIGGERS: &str = "
    DROP TRIGGER IF EXISTS container_delete_ps;
    DROP TRIGGER IF EXISTS container_insert_ps;";

/// Counts containers by policy: one policy has them all, several are counted from the rows.
const FILL_CONTAINER_COUNTS: &str = "
    UPDATE policy_stat SET container_count = CASE
        WHEN (SELECT count(*) FROM policy_stat) <= 1
        THEN (SELECT container_count FROM account_stat)
        ELSE (SELECT count(*) FROM container
            WHERE deleted = 0
            AND container.storage_policy_index = policy_stat.storage_policy_index)
        END;";

/// The facts that move from the old table into the new one. Swift forgets the reported delete
/// timestamp here; so do we, for both to leave the same file.
const MOVED_FACTS: &str = "account, container, created_at, put_timestamp, delete_timestamp,
    reported_put_timestamp, reported_object_count, reported_bytes_used, hash, id, status,
    status_changed_at, metadata, x_container_sync_point1, x_container_sync_point2";

#[expect(
    private_bounds,
    reason = "sealed: accounts and containers are all there is"
)]
impl<K: Layout> SqliteStore<K> {
    /// Adds the column of the metadata, which the oldest files lack.
    pub(crate) fn add_metadata_column(&mut self) -> Attempt<()> {
        let stat = self.stat();
        self.migrate(&format!(
            "ALTER TABLE {stat} ADD COLUMN metadata TEXT DEFAULT '';"
        ))
    }

    fn migrate(&mut self, sql: &str) -> Attempt<()> {
        self.conn()?.execute_batch(sql)?;
        self.reread_schema()
    }
}

impl SqliteStore<Account> {
    /// Gives every row a policy; Swift does it before it merges rows.
    pub(crate) fn ensure_policies(&mut self) -> Attempt<()> {
        if self.schema.row_policy {
            return Ok(());
        }
        let table = match self.schema.policy_stat {
            true => "",
            false => ACCOUNT_POLICY_STAT,
        };
        let column = "ALTER TABLE container ADD COLUMN storage_policy_index INTEGER DEFAULT 0;";
        let parts = [
            table,
            column,
            DROP_ACCOUNT_POLICY_TRIGGERS,
            ACCOUNT_POLICY_TRIGGERS,
        ];
        self.migrate(&parts.concat())
    }

    /// Makes statistics by policy that count containers, as Swift's auditor asks for.
    pub(crate) fn complete_policy_stat(&mut self) -> Attempt<()> {
        if !self.schema.policy_stat {
            return self.migrate(ACCOUNT_POLICY_STAT);
        }
        if self.schema.policy_container_count {
            return Ok(());
        }
        let column = "ALTER TABLE policy_stat ADD COLUMN container_count INTEGER DEFAULT 0;";
        let triggers = match self.schema.row_policy {
            true => ACCOUNT_POLICY_TRIGGERS,
            false => "",
        };
        let fill = match self.schema.row_policy {
            true => FILL_CONTAINER_COUNTS,
            false => {
                "UPDATE policy_stat SET container_count =
                (SELECT container_count FROM account_stat);"
            }
        };
        let parts = [DROP_ACCOUNT_POLICY_TRIGGERS, column, triggers, fill];
        self.migrate(&parts.concat())
    }
}

impl SqliteStore<Container> {
    /// Adds the marks of container sync.
    pub(crate) fn ensure_sync_marks(&mut self) -> Attempt<()> {
        if self.schema.sync_marks {
            return Ok(());
        }
        let stat = self.stat();
        self.migrate(&format!(
            "ALTER TABLE {stat} ADD COLUMN x_container_sync_point1 INTEGER DEFAULT -1;
            ALTER TABLE {stat} ADD COLUMN x_container_sync_point2 INTEGER DEFAULT -1;"
        ))
    }

    /// Gives every row a policy, and the facts a table beside the statistics by policy; Swift does it
    /// before it merges rows or sets what only the new table has.
    pub(crate) fn ensure_policies(&mut self) -> Attempt<()> {
        if self.schema.row_policy {
            return Ok(());
        }
        self.ensure_sync_marks()?;
        if !self.schema.metadata {
            self.add_metadata_column()?;
        }
        let statistics = "
            INSERT INTO policy_stat (storage_policy_index, object_count, bytes_used)
                SELECT 0, object_count, bytes_used FROM container_stat;
            ALTER TABLE object ADD COLUMN storage_policy_index INTEGER DEFAULT 0;
            DROP TRIGGER IF EXISTS object_insert;
            DROP TRIGGER IF EXISTS object_delete;";
        let facts = format!(
            "INSERT INTO container_info ({MOVED_FACTS}) SELECT {MOVED_FACTS} FROM container_stat;
            DROP TABLE container_stat;"
        );
        let parts = [
            CONTAINER_POLICY_STAT,
            statistics,
            CONTAINER_POLICY_TRIGGERS,
            CONTAINER_INFO,
            &facts,
            CONTAINER_STAT_VIEW,
        ];
        self.migrate(&parts.concat())
    }
}
