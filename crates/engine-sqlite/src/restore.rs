//! Restoring whole stores: a file grows out of sight and is renamed into place when it is proven.
//!
//! ```text
//! begin    tables, facts and sync points of the image; no index, no triggers
//! add      rows with their numbers, a transaction for each page, synced never
//! finish   count all rows against the facts, build the index, add the triggers, commit, sync, rename
//! ```
//!
//! Without index and triggers, adding a row is an append to one tree. A kill leaves whole pages of
//! rows, since SQLite's rollback journal is used as always; a loss of power may leave anything, which the
//! count at the end finds out.

use crate::account::Account;
use crate::cache::Shares;
use crate::container::Container;
use crate::create::{self, make_dirs, make_file, unless_absent};
use crate::engine::SqliteEngine;
use crate::error::{Attempt, OsContext};
use crate::path::StorePaths;
use crate::schema;
use crate::store::{Layout, SqliteStore};
use broker_api::{
    BrokerOptions, Direction, Durability, ErrorKind, Initialized, Location, Result, RowId, Rows,
    StoreImage, StoreKind, SyncPoint, Tally,
};
use broker_runtime::sync::{
    Access, Restore, Store, above_highest, exists_already, not_begun, same_name_twice,
};
use rusqlite::{Connection, params};
use std::fs::{self, File};
use std::path::Path;

/// Careless until the end, with a cache that building the index may fill before it sorts on disk.
const PRAGMAS: &str =
    "PRAGMA synchronous = OFF; PRAGMA cache_size = -32768; PRAGMA temp_store = FILE;";

impl SqliteEngine {
    fn stage(&self, location: &Location) -> StorePaths {
        StorePaths::restoring(&self.options.devices, location)
    }

    /// Opens what was begun and not finished.
    fn open_stage<K: Layout>(&self, location: &Location) -> Result<Option<SqliteStore<K>>> {
        let store = SqliteStore::open(
            self.stage(location),
            Durability::Memory,
            false,
            &Shares::of(0),
        )?;
        if let Some(store) = &store {
            let set = store.conn()?.execute_batch(PRAGMAS);
            set.map_err(crate::error::Failure::from)?;
        }
        Ok(store)
    }

    fn begin_of<K: Layout>(&self, location: &Location, image: &StoreImage) -> Result<RowId> {
        self.require_device(location)?;
        if self.paths(location).exists()? {
            return Err(exists_already());
        }
        let found = self
            .open_stage::<K>(location)
            .and_then(|stage| match stage {
                Some(mut stage) => goes_on(&mut stage, image),
                None => Ok(None),
            });
        match found {
            Ok(Some(highest)) => return Ok(highest),
            Ok(None) => {}
            // What cannot be read was spoilt by a loss of power, and is not worth more than its rows.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => {
                tracing::warn!("restoring {location} starts afresh: {error}");
            }
            Err(error) => return Err(error),
        }
        wipe(&self.stage(location).dir)?;
        self.make_stage::<K>(location, image)?;
        Ok(RowId::NONE)
    }

    fn make_stage<K: Layout>(&self, location: &Location, image: &StoreImage) -> Result<()> {
        let stage = self.stage(location);
        make_dirs(&stage)?;
        make_file(&stage.db)?;
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
        let fill = || -> Attempt<()> {
            let mut conn = Connection::open_with_flags(&stage.db, flags)?;
            conn.execute_batch(PRAGMAS)?;
            let transaction = conn.transaction()?;
            transaction.execute_batch(&schema::tables(K::KIND))?;
            K::write_facts(&transaction, &image.facts)?;
            write_points(&transaction, "incoming_sync", &image.incoming)?;
            write_points(&transaction, "outgoing_sync", &image.outgoing)?;
            let max_row = image.facts.store().max_row;
            if max_row > RowId::NONE {
                let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)";
                transaction.execute(sql, params![K::ROWS, max_row.0])?;
            }
            Ok(transaction.commit()?)
        };
        Ok(fill()?)
    }

    fn add_of<K: Layout>(&self, location: &Location, rows: &Rows) -> Result<()> {
        let mut stage = self.open_stage::<K>(location)?.ok_or_else(not_begun)?;
        stage.begin(Access::Write, &BrokerOptions::default())?;
        // With its index it is complete, and about to get its name.
        if stage.schema.index {
            return Err(not_begun());
        }
        if rows.last() > Some(stage.max_row()?) {
            return Err(above_highest());
        }
        let highest = stage.highest_row()?;
        let written = K::write_rows(stage.conn()?, rows, highest);
        stage.judged(written)?;
        stage.commit()
    }

    fn finish_of<K: Layout>(&self, location: &Location) -> Result<()> {
        let (paths, target) = (self.stage(location), self.paths(location));
        let mut stage = self.open_stage::<K>(location)?.ok_or_else(not_begun)?;
        if target.exists()? {
            return Err(exists_already());
        }
        stage.begin(Access::Write, &BrokerOptions::default())?;
        if !stage.schema.index {
            prove_and_seal(&mut stage)?;
        }
        stage.commit()?;
        drop(stage);
        sync_file(&paths.db)?;
        let timeout = BrokerOptions::default().pending_timeout;
        match create::move_in(&paths.db, &target, timeout)? {
            Initialized::Created => Ok(wipe(&paths.dir)?),
            Initialized::AlreadyExisted => Err(exists_already()),
        }
    }
}

/// The highest row of a store that was begun with this image; `None` for another image.
fn goes_on<K: Layout>(stage: &mut SqliteStore<K>, image: &StoreImage) -> Result<Option<RowId>> {
    stage.begin(Access::Read, &BrokerOptions::default())?;
    let begun = StoreImage {
        facts: stage.facts()?,
        incoming: stage.sync_points(Direction::Incoming)?,
        outgoing: stage.sync_points(Direction::Outgoing)?,
    };
    match begun == *image {
        true => stage.highest_row_present().map(Some),
        false => Ok(None),
    }
}

/// Compares the rows with the facts and adds what keeps them in step from now on.
fn prove_and_seal<K: Layout>(stage: &mut SqliteStore<K>) -> Result<()> {
    let facts = stage.facts()?;
    let mut tally = Tally::of(&facts);
    let counted = K::tally(stage, &mut tally);
    stage.judged(counted)?;
    tally.require(&facts)?;
    let sealed = stage.conn()?.execute_batch(&schema::seal(K::KIND));
    stage.judged(sealed.map_err(Into::into))?;
    let twice = names_twice(stage.conn()?, K::KIND);
    match stage.judged(twice)? {
        true => Err(same_name_twice()),
        false => Ok(()),
    }
}

/// Whether two rows are of one name. Both questions are answered from the index; policies are
/// looked at only where a name occurs twice.
fn names_twice(conn: &Connection, kind: StoreKind) -> Attempt<bool> {
    let (table, policy, same_policy) = match kind {
        StoreKind::Account => ("container", "", ""),
        StoreKind::Container => (
            "object",
            ", storage_policy_index",
            "AND gone.storage_policy_index = live.storage_policy_index",
        ),
    };
    let alike = format!(
        "SELECT 1 FROM (
            SELECT deleted AS d, name AS n FROM {table} GROUP BY deleted, name HAVING count(*) > 1
        ) JOIN {table} ON deleted = d AND name = n GROUP BY d, n{policy} HAVING count(*) > 1"
    );
    let unlike = format!(
        "SELECT 1 FROM {table} AS gone JOIN {table} AS live ON live.deleted = 0
            AND live.name = gone.name {same_policy} WHERE gone.deleted = 1"
    );
    Ok(conn.prepare(&alike)?.exists([])? || conn.prepare(&unlike)?.exists([])?)
}

fn write_points(conn: &Connection, table: &str, points: &[SyncPoint]) -> Attempt<()> {
    let mut insert = conn.prepare(&format!(
        "INSERT INTO {table} (remote_id, sync_point, updated_at) VALUES (?, ?, ?)"
    ))?;
    for point in points {
        insert.execute(params![
            point.remote_id,
            point.sync_point.0,
            point.updated_at
        ])?;
    }
    Ok(())
}

fn sync_file(path: &Path) -> Attempt<()> {
    let file = File::open(path).at("open", path)?;
    file.sync_all().at("sync", path)
}

/// Removes a directory in which a store was put together.
fn wipe(dir: &Path) -> Attempt<()> {
    unless_absent(fs::remove_dir_all(dir)).at("remove", dir)
}

impl Restore for SqliteEngine {
    fn begin(&self, location: &Location, image: &StoreImage) -> Result<RowId> {
        match location.kind() {
            StoreKind::Account => self.begin_of::<Account>(location, image),
            StoreKind::Container => self.begin_of::<Container>(location, image),
        }
    }

    fn add(&self, location: &Location, rows: &Rows) -> Result<()> {
        match location.kind() {
            StoreKind::Account => self.add_of::<Account>(location, rows),
            StoreKind::Container => self.add_of::<Container>(location, rows),
        }
    }

    fn finish(&self, location: &Location) -> Result<()> {
        match location.kind() {
            StoreKind::Account => self.finish_of::<Account>(location),
            StoreKind::Container => self.finish_of::<Container>(location),
        }
    }

    fn abandon(&self, location: &Location) -> Result<()> {
        Ok(wipe(&self.stage(location).dir)?)
    }
}
