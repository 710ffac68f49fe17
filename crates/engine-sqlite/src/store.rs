//! An open store: transactions, buffered records, and what accounts and containers share.

use crate::cache::{MANY_READS, MANY_ROWS, PAGES_KIB, ROWS_KIB, Share, Shares};
use crate::connection;
use crate::error::{Attempt, Failure};
use crate::kept::KeptRows;
use crate::listing::{self, Scan};
use crate::lock::{EAGERLY, POLL};
use crate::nowait::{self, Known};
use crate::overlay::{self, Overlay};
use crate::path::{FileId, StorePaths, file_id};
use crate::pending::Pending;
use crate::pickle::{Value, Writer};
use crate::preallocate::Preallocation;
use crate::records::NoRecord;
use crate::schema::{self, Schema};
use crate::settled::Settled;
use crate::sought::{Seeks, Sought};
use crate::value::Reader;
use broker_api::listing::NameRange;
use broker_api::{
    BrokerOptions, Direction, Durability, Error, ErrorKind, Facts, Outcome, Result, RowId, Rows,
    StoreKind, SyncPoint, Tally,
};
use broker_runtime::sync::{Access, Buffered, StatChange, Store};
use rusqlite::{Connection, ToSql, params_from_iter};
use sqlite_nowait::{FileState, PrivateConnection};
use std::cell::{Cell, OnceCell, RefCell};
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What differs between the files of accounts and of containers.
pub(crate) trait Layout: Sized + Send + 'static {
    /// Account or container.
    const KIND: StoreKind;
    /// The table of rows.
    const ROWS: &'static str;
    /// The columns of a row in a complete file.
    const COLUMNS: &'static str;
    /// The column whose text decides about reclaiming a tombstone.
    const RECLAIM: &'static str;
    /// What is merged.
    type Record;
    /// What a record is merged with.
    type Row: overlay::Row;

    /// The table that holds the facts.
    fn stat_table(schema: &Schema) -> &'static str;
    /// The pickled tuple of a record.
    fn write<'a>(writer: &'a mut Writer, record: &Self::Record) -> &'a [u8];
    /// The record of a pickled tuple.
    fn read(fields: &[Value]) -> std::result::Result<Self::Record, NoRecord>;
    /// The name of a record, for the log.
    fn name(record: &Self::Record) -> &str;
    /// Merges records in the open transaction.
    fn merge(store: &mut SqliteStore<Self>, records: &[Self::Record]) -> Result<()>;
    /// The facts.
    fn facts(store: &SqliteStore<Self>) -> Attempt<Facts>;
    /// A row of these columns.
    fn row(row: &rusqlite::Row<'_>) -> Attempt<Self::Row>;
    /// Writes hash, totals and statistics of a complete file.
    fn write_counts(store: &SqliteStore<Self>, facts: &Facts) -> Attempt<()>;
    /// Completes what an older version wrote.
    fn upgrade(store: &mut SqliteStore<Self>) -> Attempt<()>;
    /// Removes what else is as old as sync points that are removed.
    fn reclaim_more(store: &SqliteStore<Self>, text: &str) -> Attempt<()>;
    /// Writes the facts of a store that is being restored into empty tables.
    fn write_facts(conn: &Connection, facts: &Facts) -> Attempt<()>;
    /// Writes rows with numbers above `after`, as they are.
    fn write_rows(conn: &Connection, rows: &Rows, after: RowId) -> Attempt<()>;
    /// Counts all rows.
    fn tally(store: &SqliteStore<Self>, tally: &mut Tally) -> Attempt<()>;
}

/// An open database file of one store; `K` is [`Account`](crate::Account) or
/// [`Container`](crate::Container).
#[derive(Debug)]
#[expect(
    private_bounds,
    reason = "sealed: accounts and containers are all there is"
)]
pub struct SqliteStore<K: Layout> {
    /// Opened by the first transaction: what is only buffered needs no database.
    conn: OnceCell<PrivateConnection>,
    pub(crate) schema: Schema,
    pub(crate) paths: StorePaths,
    pub(crate) file: FileId,
    pub(crate) pending: Pending,
    writer: Writer,
    group: String,
    pub(crate) access: Option<Access>,
    /// What buffered records make of the rows, kept for the next reader.
    pub(crate) overlay: Option<Overlay<K::Row>>,
    /// Hash, totals and statistics of the open transaction while they are not written; see `counting`.
    pub(crate) counted: Option<Facts>,
    /// Where seeks came down in the rows below, kept for the next listing.
    pub(crate) sought: RefCell<Sought>,
    /// For whom the open transaction sees the overlay, when it does.
    pub(crate) overlaid_for: Option<BrokerOptions>,
    /// Whether the open transaction answers at once or not at all; see `nowait`.
    pub(crate) must_not_wait: bool,
    /// What the last such transaction found.
    pub(crate) known: Option<Known>,
    /// Whether the open transaction, which must not wait, stands on what is known and has not begun.
    pub(crate) unbegun: bool,
    /// Whether it has shown what is known.
    pub(crate) shown: bool,
    busy_timeout: Option<Duration>,
    durability: Durability,
    preallocation: Option<Preallocation>,
    pub(crate) shares: Arc<Shares>,
    /// What lets the connection keep more pages than others.
    share: Option<Share>,
    /// Whether a transaction has read more than fits into the usual memory.
    read_many: bool,
    /// What listings showed lately, of a store with many rows.
    kept: OnceCell<(RefCell<KeptRows>, Share)>,
    /// Whether a listing has shown many rows.
    listed_many: Cell<bool>,
    /// What this thread had read when the transaction began.
    reads_before: u64,
    pub(crate) settled: Option<Settled>,
    kind: PhantomData<K>,
}

/// Who merges in good time waits no longer for a lock, nor keeps new readers longer from beginning.
const IN_GOOD_TIME: Duration = Duration::from_secs(1);

/// Whether the pending file was merged.
enum Flushed {
    Yes,
    /// Somebody else writes.
    Busy(Error),
}

#[expect(
    private_bounds,
    reason = "sealed: accounts and containers are all there is"
)]
impl<K: Layout> SqliteStore<K> {
    /// Opens the store at these paths; `None` when it is absent.
    pub(crate) fn open(
        paths: StorePaths,
        durability: Durability,
        preallocate: bool,
        shares: &Arc<Shares>,
    ) -> Attempt<Option<Self>> {
        if K::KIND == StoreKind::Container && paths.is_sharded()? {
            return Err(Failure::Sharded);
        }
        let Some(file) = file_id(&paths.db)? else {
            return Ok(None);
        };
        let pending = match Pending::open(&paths) {
            Ok(pending) => pending,
            Err(Failure::Os { source, .. }) if crate::path::is_absence(&source) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        Ok(Some(Self {
            preallocation: preallocate.then(|| Preallocation::of(file)),
            shares: Arc::clone(shares),
            share: None,
            read_many: false,
            kept: OnceCell::new(),
            listed_many: Cell::new(false),
            reads_before: 0,
            conn: OnceCell::new(),
            schema: Schema::unknown(),
            paths,
            file,
            pending,
            writer: Writer::default(),
            group: String::new(),
            access: None,
            overlay: None,
            overlaid_for: None,
            sought: RefCell::new(Sought::within(shares.room.clone())),
            counted: None,
            must_not_wait: false,
            known: None,
            unbegun: false,
            shown: false,
            busy_timeout: None,
            durability,
            settled: None,
            kind: PhantomData,
        }))
    }

    /// The connection to the file that was found when the store was opened.
    pub(crate) fn conn(&self) -> Attempt<&Connection> {
        if self.must_not_wait && !sqlite_nowait::must_not_wait() {
            return Err(Failure::WouldWait);
        }
        if let Some(conn) = self.conn.get() {
            return Ok(conn);
        }
        match connection::open(&self.paths.db, self.durability)? {
            Some((conn, file)) if file == self.file => Ok(self.conn.get_or_init(|| conn)),
            Some(_) => Err(Failure::Replaced),
            None => Err(Failure::Absent),
        }
    }

    /// What the file says of changes; `None` without a connection, and of a file in a state that Swift gives none.
    pub(crate) fn file_state(&self) -> Option<FileState> {
        self.conn.get()?.file_state()
    }

    /// Shows rows in name order to `visit`; see [`listing`].
    pub(crate) fn scan_names(
        &self,
        scan: &Scan<'_>,
        range: &NameRange,
        visit: &mut listing::Visit<'_>,
    ) -> Attempt<()> {
        // A transaction that reads keeps the file as it is.
        let state = || self.file_state().filter(|_| !self.is_writing());
        let mut sought = self.sought.borrow_mut();
        let seeks = Seeks::new(&mut sought, scan.policy, &state);
        let kept = self.kept_rows(scan);
        let mut shown = 0;
        let mut visit = |name: &str, row: &Reader<'_>| {
            shown += 1;
            visit(name, row)
        };
        let conn = self.conn()?;
        let mut rows = kept.map(RefCell::borrow_mut);
        let asked = rows.as_deref_mut().map(|rows| {
            let asked = rows.asked(range);
            (rows, asked)
        });
        let mut source = scan.source(conn, asked)?;
        listing::scan(conn, scan, range, seeks, &mut source, &mut visit)?;
        drop(source);
        // Only of one that was not broken off: many are tried twice.
        if let Some(rows) = &mut rows {
            rows.listed(range);
        }
        if shown >= MANY_ROWS
            && self.kept.get().is_none()
            && scan.may_keep()
            && self.schema.rows_stay
            && self.listed_many.replace(true)
            && let Some(share) = self.shares.take(ROWS_KIB)
        {
            self.kept.get_or_init(|| (RefCell::default(), share));
        }
        Ok(())
    }

    /// The rows that were kept of such scans, in a transaction that sees what is committed.
    fn kept_rows(&self, scan: &Scan<'_>) -> Option<&RefCell<KeptRows>> {
        let (kept, _) = self.kept.get()?;
        if self.is_writing() || !self.schema.rows_stay || !scan.may_keep() {
            return None;
        }
        let state = self.file_state()?;
        kept.borrow_mut().prepare(scan.columns, scan.policy, state);
        Some(kept)
    }

    /// Forgets the rows that were kept.
    pub(crate) fn forget_kept_rows(&self) {
        if let Some((kept, _)) = self.kept.get() {
            kept.borrow_mut().clear();
        }
    }

    /// Whether there is a connection already.
    pub(crate) fn is_open(&self) -> bool {
        self.conn.get().is_some()
    }

    /// The table of the facts.
    pub(crate) fn stat(&self) -> &'static str {
        K::stat_table(&self.schema)
    }

    /// Whether the open transaction may write.
    pub(crate) fn is_writing(&self) -> bool {
        self.access == Some(Access::Write)
    }

    /// Names the failure by what happened to the file.
    pub(crate) fn judged<T>(&self, attempt: Attempt<T>) -> Result<T> {
        let judge = |failure: Failure| failure.unless_moved(&self.paths.db, self.file);
        Ok(attempt.map_err(judge)?)
    }

    pub(crate) fn start(&mut self, access: Access) -> Attempt<()> {
        let begin = match access {
            Access::Read => "BEGIN DEFERRED",
            Access::Write => "BEGIN IMMEDIATE",
        };
        self.reads_before = sqlite_nowait::reads();
        self.conn()?.prepare_cached(begin)?.execute([])?;
        self.access = Some(access);
        if access == Access::Write {
            // Its commit is none that this connection would notice.
            self.overlay = None;
        }
        if schema::version(self.conn()?)? != self.schema.version {
            self.reread_schema()?;
        }
        Ok(())
    }

    pub(crate) fn end(&mut self) -> Attempt<()> {
        self.write_counts()?;
        self.conn()?.prepare_cached("COMMIT")?.execute([])?;
        self.access = None;
        self.overlaid_for = None;
        self.keep_more_pages();
        Ok(())
    }

    /// Gives the connection a share of the memory for pages when the transaction that ended read many, and another one
    /// before it did: a pass over all stores reads each once.
    fn keep_more_pages(&mut self) {
        let read = sqlite_nowait::reads().saturating_sub(self.reads_before);
        if self.share.is_some() || read < MANY_READS || self.must_not_wait {
            return;
        }
        if !std::mem::replace(&mut self.read_many, true) {
            return;
        }
        // Negative numbers are KiB. What was committed stays so when this fails.
        if let (Some(conn), Some(share)) = (self.conn.get(), self.shares.take(PAGES_KIB))
            && conn
                .pragma_update(None, "cache_size", -(PAGES_KIB as i64))
                .is_ok()
        {
            self.share = Some(share);
        }
    }

    pub(crate) fn wait_up_to(&mut self, timeout: Duration) -> Attempt<()> {
        if self.busy_timeout != Some(timeout) {
            self.conn()?.busy_timeout(timeout)?;
            self.busy_timeout = Some(timeout);
        }
        Ok(())
    }

    /// Whether the path still leads to the file that was found when the store was opened.
    pub(crate) fn is_same_file(&self) -> Attempt<bool> {
        Ok(file_id(&self.paths.db)? == Some(self.file))
    }

    /// Fails unless the path still leads to the file that is open.
    fn require_current(&self) -> Attempt<()> {
        require_file(&self.paths.db, self.file)
    }

    /// Runs work with the lock of the directory held, for which it asks at least as often as `poll`. Others may have
    /// replaced the store while the lock was waited for, so its identity is asked for once more.
    pub(crate) fn locked<T>(
        &mut self,
        timeout: Duration,
        poll: Duration,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let locked = self.pending.lock(timeout, poll);
        if let Err(failure) = locked {
            return self
                .require_current()
                .and(Err(failure))
                .map_err(Error::from);
        }
        let result = match self.require_current() {
            Ok(()) => work(self),
            Err(failure) => Err(failure.into()),
        };
        self.pending.unlock();
        result
    }

    /// Begins a transaction after what waits in the pending file is merged.
    pub(crate) fn begin_merged(&mut self, access: Access, options: &BrokerOptions) -> Result<()> {
        if !options.skip_commits {
            match self.flush(access, options) {
                Err(error) if may_go_on(access, options, &error) => {
                    tracing::debug!("reading without the buffered records: {error}");
                }
                flushed => flushed?,
            }
        }
        self.begin_unmerged(access, options)
    }

    fn begin_unmerged(&mut self, access: Access, options: &BrokerOptions) -> Result<()> {
        let ready = self.wait_up_to(options.timeout);
        self.judged(ready)?;
        let started = self.start(access);
        self.judged(started)
    }

    /// Merges what waits in the pending file.
    fn flush(&mut self, access: Access, options: &BrokerOptions) -> Result<()> {
        if self.pending.size()? == 0 {
            return Ok(());
        }
        // Who takes a stale answer waits for neither lock longer than for the other, and does not
        // keep the one of the directory from others meanwhile.
        let timeout = match access == Access::Read && options.stale_reads_ok {
            true => options.timeout.min(options.pending_timeout),
            false => options.timeout,
        };
        let end = Instant::now() + timeout;
        loop {
            // Who appends does not wait for somebody else's transaction. The one that merges has little left for
            // others when it ends.
            self.wait_up_to(Duration::ZERO)?;
            let flushed = self.locked(options.pending_timeout, POLL, |store| {
                store.flush_locked(timeout)
            });
            match flushed? {
                Flushed::Yes => return Ok(()),
                Flushed::Busy(error) if Instant::now() >= end => return Err(error),
                Flushed::Busy(_) => std::thread::sleep(overlay::RETRY),
            }
        }
    }

    fn flush_locked(&mut self, timeout: Duration) -> Result<Flushed> {
        // The file is shared with the database that takes over; only Swift knows which rows go where.
        if self.became_sharded()? {
            return Err(Failure::Sharded.into());
        }
        let bytes = self.pending.read()?;
        if bytes.is_empty() {
            return Ok(Flushed::Yes);
        }
        let started = self.start(Access::Write);
        if let Err(error) = self.judged(started) {
            self.rollback();
            return match error.kind() {
                ErrorKind::Busy => Ok(Flushed::Busy(error)),
                _ => Err(error),
            };
        }
        let merged = self.merge_and_end(&bytes, timeout);
        if merged.is_err() {
            self.rollback();
        }
        merged?;
        // What went into a file that is no longer the store is merged again, into the one that is.
        self.require_current()?;
        self.pending.truncate(self.must_stay_merged())?;
        Ok(Flushed::Yes)
    }

    /// Objects that come back after a loss of power change nothing; a report that does would count again over a
    /// later one.
    fn must_stay_merged(&self) -> bool {
        self.durability == Durability::Disk && K::KIND == StoreKind::Account
    }

    /// Merges what waits in the pending file while others append to it.
    fn merge_in_good_time(&mut self, options: &BrokerOptions) -> Result<()> {
        // Who appends must not wait for a database to be opened, nor for somebody else's transaction.
        self.wait_up_to(Duration::ZERO)?;
        let timeout = options.pending_timeout.min(IN_GOOD_TIME);
        let merged = self.merge_with_lock_at_begin(timeout);
        if merged.is_err() {
            self.rollback();
        }
        let (bytes, version) = merged?;
        self.wait_up_to(Duration::ZERO)?;
        self.locked(timeout, EAGERLY, |store| {
            // Who committed meanwhile may have merged these records again and taken them away. The same bytes may
            // stand there once more, to be merged after what that one merged.
            if store.data_version()? != version {
                return Ok(());
            }
            let (durability, is_final) = (store.durability, store.must_stay_merged());
            let is_current = || require_file(&store.paths.db, store.file);
            Ok(store
                .pending
                .remove(&bytes, durability, is_final, is_current)?)
        })
    }

    /// Commits what waits, and returns it with the state of the database.
    fn merge_with_lock_at_begin(&mut self, timeout: Duration) -> Result<(Vec<u8>, i64)> {
        let bytes = self.locked(timeout, EAGERLY, |store| {
            if store.became_sharded()? {
                return Err(Failure::Sharded.into());
            }
            let bytes = store.pending.read()?;
            // Nobody else commits from here on, so that none of this is merged before what came earlier.
            let started = store.start(Access::Write);
            store.judged(started).map(|()| bytes)
        })?;
        let version = self.judged(self.data_version())?;
        self.merge_and_end(&bytes, IN_GOOD_TIME)?;
        Ok((bytes, version))
    }

    /// Merges the records of a pending file in the open transaction and commits it. Readers are waited for up to
    /// `timeout`.
    fn merge_and_end(&mut self, pending: &[u8], timeout: Duration) -> Result<()> {
        let records = self.pending.decode(pending, K::read);
        if records.is_empty() {
            self.rollback();
            return Ok(());
        }
        if let Some(preallocation) = &self.preallocation {
            preallocation.grow(&self.paths.db)?;
        }
        self.wait_up_to(timeout)?;
        match K::merge(self, &records) {
            // A batch that is refused has changed nothing. One bad record must not hold up the rest.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                for record in &records {
                    self.merge_or_drop(record)?;
                }
            }
            merged => merged?,
        }
        let ended = self.end();
        self.judged(ended)
    }

    fn merge_or_drop(&mut self, record: &K::Record) -> Result<()> {
        match K::merge(self, std::slice::from_ref(record)) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.pending.report_dropped(K::name(record), &error);
                Ok(())
            }
            merged => merged,
        }
    }

    /// Appends records to the pending file, unless it is full.
    pub(crate) fn append(
        &mut self,
        records: &[K::Record],
        options: &BrokerOptions,
    ) -> Result<Buffered> {
        let mut group = std::mem::take(&mut self.group);
        group.clear();
        for record in records {
            crate::pending::push_entry(&mut group, K::write(&mut self.writer, record));
        }
        let sync = self.durability == Durability::Disk;
        let appended = self.locked(options.pending_timeout, POLL, |store| {
            Ok(store.pending.append(group.as_bytes(), sync)?)
        });
        self.group = group;
        appended
    }

    /// Runs a prepared statement that changes rows and says how many.
    pub(crate) fn change(&self, sql: &str, values: &[&dyn ToSql]) -> Attempt<usize> {
        Ok(self.conn()?.prepare_cached(sql)?.execute(values)?)
    }

    fn update_facts(&mut self, change: &StatChange) -> Attempt<()> {
        if change.raw_metadata.is_some() && !self.schema.metadata {
            self.add_metadata_column()?;
        }
        let columns: [(&str, Option<&str>); 7] = [
            (
                "created_at",
                change.created_at.as_ref().map(|at| at.as_str()),
            ),
            (
                "put_timestamp",
                change.put_timestamp.as_ref().map(|at| at.as_str()),
            ),
            (
                "delete_timestamp",
                change.delete_timestamp.as_ref().map(|at| at.as_str()),
            ),
            ("status", change.status),
            (
                "status_changed_at",
                change.status_changed_at.as_ref().map(|at| at.as_str()),
            ),
            ("metadata", change.raw_metadata.as_deref()),
            ("id", change.id.as_deref()),
        ];
        let given = columns.iter().filter(|(_, value)| value.is_some());
        let (names, values): (Vec<_>, Vec<_>) = given
            .map(|(name, value)| (format!("{name} = ?"), *value))
            .unzip();
        if names.is_empty() {
            return Ok(());
        }
        let sql = format!("UPDATE {} SET {}", self.stat(), names.join(", "));
        self.conn()?
            .prepare_cached(&sql)?
            .execute(params_from_iter(values))?;
        Ok(())
    }
}

fn require_file(path: &Path, wanted: FileId) -> Attempt<()> {
    match file_id(path)? {
        Some(file) if file == wanted => Ok(()),
        Some(_) => Err(Failure::Replaced),
        None => Err(Failure::Absent),
    }
}

fn unknown(failure: Failure) -> Error {
    Error::from(failure).with_outcome(Outcome::Unknown)
}

impl<K: Layout> Store for SqliteStore<K> {
    fn is_current(&mut self) -> Result<bool> {
        let found = self.look()?;
        Ok(found.same && !found.sharded)
    }

    fn begin(&mut self, access: Access, options: &BrokerOptions) -> Result<()> {
        self.must_not_wait = false;
        self.unbegun = false;
        let for_client = access == Access::Read && options.stale_reads_ok;
        if !for_client || options.skip_commits {
            return self.begin_merged(access, options);
        }
        match self.begin_overlaid(options) {
            Ok(true) => Ok(()),
            Ok(false) => self.begin_merged(access, options),
            Err(error) if may_go_on(access, options, &error) => {
                tracing::debug!("reading without the buffered records: {error}");
                self.begin_unmerged(access, options)
            }
            Err(error) => Err(error),
        }
    }

    fn begin_without_waiting(&mut self, options: &BrokerOptions) -> bool {
        self.begin_at_once(options)
    }

    fn merge_buffered(&mut self, options: &BrokerOptions) -> Result<()> {
        self.merge_in_good_time(options)
    }

    fn commit(&mut self) -> Result<()> {
        if self.unbegun {
            self.rollback();
            return Ok(());
        }
        let wrote = self.is_writing();
        let ended = nowait::step(self.must_not_wait, || self.end());
        self.judged(ended)?;
        self.must_not_wait = false;
        match wrote {
            // A file renamed over the store meanwhile may have been filled before this commit.
            true => self.require_current().map_err(unknown),
            false => Ok(()),
        }
    }

    fn rollback(&mut self) {
        self.must_not_wait = false;
        self.unbegun = false;
        self.access = None;
        self.overlaid_for = None;
        self.counted = None;
        if let Some(conn) = self.conn.get()
            && !conn.is_autocommit()
            && let Err(error) = conn.execute_batch("ROLLBACK")
        {
            tracing::warn!("cannot roll back on {}: {error}", self.paths.db.display());
        }
    }

    fn facts(&mut self) -> Result<Facts> {
        let written = self.write_counts();
        self.judged(written)?;
        match self.overlaid() {
            Some(overlay) => Ok(overlay.facts().clone()),
            None if self.must_not_wait => {
                let facts = self.facts_at_once();
                self.judged(facts)
            }
            None => {
                let facts = self.judged(K::facts(self))?;
                self.remember(&facts);
                Ok(facts)
            }
        }
    }

    fn update(&mut self, change: &StatChange) -> Result<()> {
        let updated = self.update_facts(change);
        self.judged(updated)
    }

    fn upgrade(&mut self) -> Result<()> {
        let upgraded = K::upgrade(self);
        self.judged(upgraded)
    }

    fn sync_points(&mut self, direction: Direction) -> Result<Vec<SyncPoint>> {
        self.judged(self.sync_points_of(direction))
    }

    fn set_sync_point(&mut self, direction: Direction, id: &str, point: RowId) -> Result<()> {
        self.judged(self.set_point(direction, id, point))
    }

    fn remove_sync_points_before(&mut self, text: &str) -> Result<()> {
        self.judged(self.remove_points_before(text))
    }

    fn highest_row_present(&mut self) -> Result<RowId> {
        self.judged(self.highest_row())
    }

    fn tombstone_after(&mut self, from: &str, skip: usize) -> Result<Option<String>> {
        self.judged(self.tombstone(from, skip))
    }

    fn remove_tombstones(&mut self, from: &str, until: Option<&str>, age: &str) -> Result<u64> {
        let removed = self.remove_old(from, until, age);
        self.judged(removed)
    }

    fn count_tombstones(&mut self, from: &str) -> Result<u64> {
        self.judged(self.tombstone_count(from))
    }
}

/// Whether a reader that accepts stale answers goes on after a failed merge of buffered records.
fn may_go_on(access: Access, options: &BrokerOptions, error: &Error) -> bool {
    access == Access::Read
        && options.stale_reads_ok
        && matches!(
            error.kind(),
            ErrorKind::Busy | ErrorKind::Full | ErrorKind::Io
        )
}
