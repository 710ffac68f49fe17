//! Buffered records laid over the rows for a reader, without committing them.
//!
//! ```text
//! pending file   b d'          merged by the rules over the rows as they are, and kept in memory:
//! rows         a   c d e       the next reader merges only what was appended since
//! shown        a b c d' e
//! ```
//!
//! A commit costs three syncs, so a client that reads right after each write would wait for the disk
//! every time. Instead the records stay buffered until there are many, or somebody needs the row
//! numbers that only a commit gives.

use crate::error::{Attempt, Failure};
use crate::listing::is_within;
use crate::lock::POLL;
use crate::nowait;
use crate::pending::Pending;
use crate::store::{Layout, SqliteStore};
use broker_api::listing::{NameRange, Step};
use broker_api::{
    BrokerOptions, ContainerRow, ErrorKind, Facts, ObjectRow, PolicyIndex, Result, RowId,
};
use broker_runtime::sync::{Access, Store};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Bound;
use std::time::{Duration, Instant};

/// A pending file larger than this, about 420 records, is merged for good by who reads. It is merged before by others
/// from 64 KiB on; see `pending`. Each reader of a store may hold so much.
const OVERLAY_CAP: u64 = 81_920;

/// So many new bytes, about 40 records, are merged on the connection's thread.
const AT_ONCE: usize = 8192;

/// How soon a reader tries again while somebody commits.
pub(crate) const RETRY: Duration = Duration::from_millis(1);

/// A row of either kind.
pub(crate) trait Row: Clone + Debug + Send {
    fn name(&self) -> &str;
    /// Objects may have one row for each policy, containers have one for each name.
    fn key_policy(&self) -> Option<PolicyIndex>;
    fn row_id(&self) -> RowId;
    fn numbered(self, row_id: RowId) -> Self;
    /// Adds the row to the facts, or with `sign` -1 takes it out of them.
    fn count(&self, facts: &mut Facts, sign: i64);
}

/// What buffered records make of the rows below.
#[derive(Debug)]
pub(crate) struct Overlay<R> {
    /// The beginning of the pending file that is merged here.
    merged: Vec<u8>,
    /// The state of the database below; see `data_version`.
    version: i64,
    /// The facts, with the rows here counted.
    facts: Facts,
    /// The last row number that was given.
    last: RowId,
    rows: BTreeMap<String, Vec<R>>,
}

impl<R: Row> Overlay<R> {
    fn new(version: i64, facts: Facts) -> Self {
        Self {
            merged: Vec::new(),
            version,
            last: facts.store().max_row,
            facts,
            rows: BTreeMap::new(),
        }
    }

    /// Whether this is what the beginning of a pending file makes of the rows now.
    fn is_of(&self, version: i64, pending: &[u8]) -> bool {
        self.version == version && pending.starts_with(&self.merged)
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The row that hides one below.
    pub(crate) fn row(&self, name: &str, policy: Option<PolicyIndex>) -> Option<&R> {
        let mut rows = self.rows.get(name)?.iter();
        rows.find(|row| row.key_policy() == policy)
    }

    pub(crate) fn replace(&mut self, old: Option<&R>, new: &R) -> RowId {
        if let Some(old) = old {
            old.count(&mut self.facts, -1);
        }
        new.count(&mut self.facts, 1);
        self.last = RowId(self.last.0 + 1);
        let rows = self.rows.entry(new.name().to_owned()).or_default();
        rows.retain(|row| row.key_policy() != new.key_policy());
        rows.push(new.clone().numbered(self.last));
        self.last
    }
}

/// The rows of an overlay on their way into a scan of the rows below.
pub(crate) struct Laid<'a, R> {
    rows: std::iter::Peekable<std::vec::IntoIter<&'a R>>,
    reverse: bool,
    /// The last seek.
    bound: Bound<String>,
    stopped: bool,
}

impl<'a, R: Row> Laid<'a, R> {
    pub(crate) fn new(
        overlay: &'a Overlay<R>,
        range: &NameRange,
        shows: impl Fn(&R) -> bool,
    ) -> Self {
        let named = overlay.rows.iter().filter(|(name, _)| {
            is_within(name, &range.lower, false) && is_within(name, &range.upper, true)
        });
        let rows = named.flat_map(|(_, rows)| rows);
        let mut rows: Vec<_> = rows.filter(|row| shows(row)).collect();
        if range.reverse {
            rows.reverse();
        }
        Self {
            rows: rows.into_iter().peekable(),
            reverse: range.reverse,
            bound: Bound::Unbounded,
            stopped: false,
        }
    }

    /// Shows what comes before a row from below. What it returns is done instead of showing that row.
    pub(crate) fn before(&mut self, name: &str, visit: &mut dyn FnMut(&R) -> Step) -> Option<Step> {
        let reverse = self.reverse;
        let comes_before = |row: &&R| match reverse {
            false => row.name() < name,
            true => row.name() >= name,
        };
        while let Some(row) = self.rows.next_if(comes_before) {
            self.show(row, visit);
            if self.stopped {
                return Some(Step::Stop);
            }
        }
        let skipped = !is_within(name, &self.bound, reverse);
        skipped.then(|| Step::Seek(self.bound.clone()))
    }

    /// Shows what comes after the last row from below.
    pub(crate) fn rest(mut self, visit: &mut dyn FnMut(&R) -> Step) {
        while !self.stopped
            && let Some(row) = self.rows.next()
        {
            self.show(row, visit);
        }
    }

    fn show(&mut self, row: &R, visit: &mut dyn FnMut(&R) -> Step) {
        if is_within(row.name(), &self.bound, self.reverse) {
            self.follow(visit(row));
        }
    }

    /// Takes part in a step that a row from below asked for.
    pub(crate) fn follow(&mut self, step: Step) -> Step {
        match &step {
            Step::Next => {}
            Step::Seek(bound) => self.bound = bound.clone(),
            Step::Stop => self.stopped = true,
        }
        step
    }
}

#[expect(private_bounds, reason = "the kinds of stores are closed")]
impl<K: Layout> SqliteStore<K> {
    /// Begins a reading transaction that sees the buffered records; false when they are too many or
    /// cannot be merged. They are then to be merged for good.
    pub(crate) fn begin_overlaid(&mut self, options: &BrokerOptions) -> Result<bool> {
        let size = self.pending.size()?;
        if size == 0 || size > OVERLAY_CAP {
            self.overlay = None;
            return Ok(false);
        }
        // Others wait for the lock neither while a database is opened nor while somebody commits to it.
        let ready = self.wait_up_to(Duration::ZERO);
        self.judged(ready)?;
        let end = Instant::now() + options.timeout.min(options.pending_timeout);
        let pending = loop {
            // Nobody merges while the lock is held: the records and the rows are of one moment.
            let pending = self.locked(options.pending_timeout, POLL, |store| {
                let begun = store.begin_with_pending();
                store.judged(begun)
            });
            match pending {
                Err(error) if error.kind() == ErrorKind::Busy && Instant::now() < end => {
                    self.rollback();
                    std::thread::sleep(RETRY);
                }
                pending => break pending,
            }
        };
        let overlaid = match pending {
            Ok(Some(pending)) => self.lay(pending, usize::MAX, options),
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        if !matches!(overlaid, Ok(true)) {
            self.rollback();
        }
        overlaid
    }

    /// The same without waiting, while the pending file has about so many bytes. Few records may be new: a worker merges
    /// many.
    pub(crate) fn begin_overlaid_at_once(
        &mut self,
        size: u64,
        options: &BrokerOptions,
    ) -> Result<bool> {
        let merged = self.overlay.as_ref().map_or(0, |kept| kept.merged.len());
        let most = OVERLAY_CAP.min((merged + AT_ONCE) as u64);
        if !self.pending.is_ready() || size > most {
            return Ok(false);
        }
        let pending = self.locked(Duration::ZERO, POLL, |store| {
            let pending = store
                .pending
                .read_at_once()
                .filter(|_| store.settled().is_some());
            if pending.is_some() {
                store.start_at_once()?;
            }
            Ok(pending)
        })?;
        let Some(pending) = pending.filter(|_| self.schema.is_complete(K::KIND)) else {
            return Ok(false);
        };
        nowait::step(true, || Ok(self.lay(pending, AT_ONCE, options)))?
    }

    fn begin_with_pending(&mut self) -> Attempt<Option<Vec<u8>>> {
        if self.became_sharded()? {
            return Ok(None);
        }
        let pending = self.pending.read()?;
        self.start(Access::Read)?;
        Ok(self.schema.is_complete(K::KIND).then_some(pending))
    }

    /// Merges what is new of the pending file; false when that is more than `most` bytes, or cannot be merged.
    fn lay(&mut self, pending: Vec<u8>, most: usize, options: &BrokerOptions) -> Result<bool> {
        let version = self.judged(self.data_version())?;
        let kept = self.overlay.as_ref();
        let kept = kept.filter(|overlay| overlay.is_of(version, &pending));
        let merged = kept.map_or(0, |overlay| overlay.merged.len());
        if pending.len() - merged > most {
            return Ok(false);
        }
        let mut kept = self.overlay.take().filter(|_| merged > 0);
        let Some(mut records) = Pending::decode_all(&pending[merged..], K::read) else {
            return Ok(false);
        };
        // A commit merges the records of one name together, which may spell a row otherwise than one
        // after the other does.
        let is_known = |overlay: &Overlay<_>, record| overlay.rows.contains_key(K::name(record));
        if kept
            .as_ref()
            .is_some_and(|overlay| records.iter().any(|record| is_known(overlay, record)))
        {
            if pending.len() > most {
                return Ok(false);
            }
            kept = None;
            records = Pending::decode_all(&pending, K::read).unwrap_or_default();
        }
        let overlay = match kept {
            Some(overlay) => overlay,
            None => match K::facts(self) {
                Ok(facts) => Overlay::new(version, facts),
                Err(Failure::BadValue { .. }) => return Ok(false),
                facts => Overlay::new(version, self.judged(facts)?),
            },
        };
        self.overlay = Some(overlay);
        self.overlaid_for = Some(*options);
        if K::merge(self, &records).is_err() {
            return Ok(false);
        }
        if let Some(overlay) = &mut self.overlay {
            overlay.merged = pending;
        }
        Ok(true)
    }

    /// A number that changes when others committed to the database; what this connection commits does
    /// not count.
    pub(crate) fn data_version(&self) -> Attempt<i64> {
        let mut version = self.conn()?.prepare_cached("PRAGMA data_version")?;
        Ok(version.query_row([], |row| row.get(0))?)
    }

    /// Commits what the open transaction sees in the overlay, for a reader of row numbers.
    pub(crate) fn require_numbers(&mut self) -> Result<()> {
        let Some(options) = self.overlaid_for else {
            return Ok(());
        };
        let ended = self.end();
        self.judged(ended)?;
        self.begin_merged(Access::Read, &options)
    }

    /// The overlay, while a transaction sees it.
    pub(crate) fn overlaid(&self) -> Option<&Overlay<K::Row>> {
        self.overlay
            .as_ref()
            .filter(|_| self.overlaid_for.is_some())
    }

    /// See [`overlaid`](Self::overlaid).
    pub(crate) fn overlaid_mut(&mut self) -> Option<&mut Overlay<K::Row>> {
        self.overlay
            .as_mut()
            .filter(|_| self.overlaid_for.is_some())
    }
}

impl Row for ObjectRow {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_policy(&self) -> Option<PolicyIndex> {
        Some(self.policy_index)
    }

    fn row_id(&self) -> RowId {
        self.row_id
    }

    fn numbered(self, row_id: RowId) -> Self {
        Self { row_id, ..self }
    }

    fn count(&self, facts: &mut Facts, sign: i64) {
        if let Facts::Container(info) = facts {
            info.count(&self.as_ref(), sign);
        }
    }
}

impl Row for ContainerRow {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_policy(&self) -> Option<PolicyIndex> {
        None
    }

    fn row_id(&self) -> RowId {
        self.row_id
    }

    fn numbered(self, row_id: RowId) -> Self {
        Self { row_id, ..self }
    }

    fn count(&self, facts: &mut Facts, sign: i64) {
        if let Facts::Account(info) = facts {
            info.count(self, sign);
        }
    }
}
