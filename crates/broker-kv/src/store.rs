//! [`KvStore`]: the handle on one account or container, and its transactions.
//!
//! ```text
//! begin read     view                                   kept from commits by a lock when views are live
//! begin write    view + overlay + facts                 the only writer of the store
//!   replace      overlay: old row out, new row in       facts: counts and hash, in memory
//! commit         overlay + stat record (once) ──► one batch ──► sync, shared with other stores
//! ```

use crate::change::{Merged, Overlay};
use crate::device::{Device, ReaderGuard, StoreLock, Tombstones, WriterGuard, busy};
use crate::keys::{self, Number, StoreKeys, section};
use crate::lanes::{Lane, as_str, first_lane, seek_all};
use crate::ordered::{Cursor, OrderedStore, View, Views, Walk};
use crate::row::{Row, RowKey, key_of, section_of};
use crate::sighted::Sighted;
use crate::value::{self, Reader, Writer, damaged};
use broker_api::listing::{NameRange, Step};
use broker_api::{
    BrokerOptions, DeletedFilter, Direction, Error, ErrorKind, Facts, PolicyIndex, Result, RowId,
    SyncPoint,
};
use broker_runtime::sync::{Access, StatChange, Store};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, Range};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Is shown a row's key and value; `None` for one that it did not want.
pub(crate) type RowVisit<'v> = dyn FnMut(&RowKey<'_>, &[u8]) -> Result<Option<Step>> + 'v;

/// How long a read that must not wait may walk.
const WALK_WITHOUT_WAITING: Duration = Duration::from_micros(300);

/// After so many rows it looks at the clock.
const ROWS_FOR_A_LOOK: u64 = 8;

/// For so many new names it pays to find out whether there are tombstones near them before each is looked for.
const MANY_NAMES: usize = 64;

/// So many rows of numbers that follow each other are looked for at once.
const ROWS_AT_ONCE: usize = 1024;

/// A handle on one store, with at most one transaction.
pub struct KvStore<S: OrderedStore, R: Row> {
    device: Arc<Device<S>>,
    lock: Arc<StoreLock>,
    keys: StoreKeys,
    transaction: Transaction<Sighted<S::View>>,
    rows: PhantomData<fn() -> R>,
}

enum Transaction<V> {
    None,
    Read {
        view: V,
        untouched: Overlay,
        waits: bool,
        /// Keeps a live view as it is, and the store from being removed.
        _guard: ReaderGuard,
    },
    Write(Box<Change<V>>),
}

/// A write transaction. Nobody else changes the store, so even a live view stays as it is.
pub(crate) struct Change<V> {
    view: V,
    overlay: Overlay,
    pub(crate) facts: Facts,
    pub(crate) stat_changed: bool,
    metadata_changed: bool,
    /// Whether tombstones are removed for their age.
    reclaims: bool,
    /// How long the commit may wait for readers.
    timeout: Duration,
    _guard: WriterGuard,
}

impl<S: OrderedStore, R: Row> fmt::Debug for KvStore<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KvStore").field(&self.keys.0).finish()
    }
}

fn no_transaction() -> Error {
    Error::new(ErrorKind::Internal, "the operation needs a transaction")
}

fn sync_section(direction: Direction) -> u8 {
    match direction {
        Direction::Incoming => section::INCOMING,
        Direction::Outgoing => section::OUTGOING,
    }
}

fn epoch_seconds() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs().to_string()
}

fn get_many(view: &impl View, overlay: &Overlay, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
    let untouched = |key: &&&[u8]| overlay.get(key).is_none();
    let asked: Vec<_> = keys.iter().filter(untouched).copied().collect();
    let found = view.get_many(&asked)?;
    if found.len() != asked.len() {
        let message = format!("{} values were given for {} keys", found.len(), asked.len());
        return Err(Error::new(ErrorKind::Internal, message));
    }
    let mut found = found.into_iter();
    let values = keys.iter().map(|key| match overlay.get(key) {
        Some(changed) => changed.map(<[u8]>::to_vec),
        None => found.next().flatten(),
    });
    Ok(values.collect())
}

/// Keys one after the other in one piece of memory.
#[derive(Default)]
struct KeyList {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl KeyList {
    /// Adds a key that is appended to the bytes.
    fn push(&mut self, key: impl FnOnce(&mut Vec<u8>)) {
        key(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    fn range(&self, place: usize) -> Range<usize> {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[place]
    }

    fn get(&self, place: usize) -> &[u8] {
        &self.bytes[self.range(place)]
    }

    fn get_mut(&mut self, place: usize) -> &mut [u8] {
        let range = self.range(place);
        &mut self.bytes[range]
    }
}

/// Writes a row and its entry in the log.
pub(crate) fn put_row<R: Row>(overlay: &mut Overlay, keys: StoreKeys, row: &R, row_id: RowId) {
    let section = section_of(row.is_deleted());
    let (name, policy) = (row.name(), row.key_policy());
    overlay.write(
        |key| keys.push_row_log(key, row_id),
        |value| {
            Writer::onto(value);
            keys::push_row_tail(value, section, name, policy);
        },
    );
    overlay.write(
        |key| keys.push_row(key, section, name, policy),
        |value| row.push_value(value, row_id),
    );
}

fn read_facts(view: &impl View, keys: StoreKeys) -> Result<Facts> {
    let stat = view.get(&keys.single(section::STAT))?;
    let stat = stat.ok_or_else(|| damaged("the stat record, which is missing,"))?;
    let metadata = view.get(&keys.single(section::METADATA))?;
    let metadata = metadata.map(|value| value::read_metadata(&value));
    value::read_stat(&stat, metadata.transpose()?.unwrap_or_default())
}

impl<S: OrderedStore, R: Row> KvStore<S, R> {
    pub(crate) fn new(device: Arc<Device<S>>, number: Number, lock: Arc<StoreLock>) -> Self {
        Self {
            device,
            lock,
            keys: StoreKeys(number),
            transaction: Transaction::None,
            rows: PhantomData,
        }
    }

    fn view(&self) -> Result<(&Sighted<S::View>, &Overlay)> {
        match &self.transaction {
            Transaction::Read {
                view, untouched, ..
            } => Ok((view, untouched)),
            Transaction::Write(change) => Ok((&change.view, &change.overlay)),
            Transaction::None => Err(no_transaction()),
        }
    }

    pub(crate) fn change(&mut self) -> Result<&mut Change<Sighted<S::View>>> {
        match &mut self.transaction {
            Transaction::Write(change) => Ok(change),
            _ => Err(no_transaction()),
        }
    }

    fn begin_read(&self, timeout: Duration) -> Result<Transaction<Sighted<S::View>>> {
        let guard = self.lock.read(timeout)?;
        let view = Sighted::take(&self.lock.gaps, || self.device.view())?;
        Ok(Transaction::Read {
            view,
            untouched: Overlay::default(),
            waits: true,
            _guard: guard,
        })
    }

    fn begin_read_of_memory(&self) -> Result<Transaction<Sighted<S::View>>> {
        let guard = self.lock.read(Duration::ZERO)?;
        let view = Sighted::take(&self.lock.gaps, || self.device.view_of_memory())?;
        // What it would show has to be synced first.
        if !self.device.is_settled(&self.lock, view.begun()) {
            return Err(busy());
        }
        Ok(Transaction::Read {
            view,
            untouched: Overlay::default(),
            waits: false,
            _guard: guard,
        })
    }

    /// When a walk that begins now has to end.
    fn walk_until(&self) -> Option<Instant> {
        match self.transaction {
            Transaction::Read { waits: false, .. } => Some(Instant::now() + WALK_WITHOUT_WAITING),
            _ => None,
        }
    }

    fn begin_write(&self, timeout: Duration) -> Result<Transaction<Sighted<S::View>>> {
        let guard = self.lock.write(timeout)?;
        let view = Sighted::take(&self.lock.gaps, || self.device.view())?;
        let facts = self.facts_in(&view)?;
        Ok(Transaction::Write(Box::new(Change {
            facts: Facts::clone(&facts),
            view,
            overlay: Overlay::default(),
            stat_changed: false,
            metadata_changed: false,
            reclaims: false,
            timeout,
            _guard: guard,
        })))
    }

    /// The facts in a view. Whoever wrote them, or read them last, has mostly left them in memory.
    fn facts_in(&self, view: &Sighted<S::View>) -> Result<Arc<Facts>> {
        let last = view.last_commit();
        if let Some(known) = last.and_then(|commit| self.lock.known_facts(commit)) {
            return Ok(known);
        }
        let facts = Arc::new(read_facts(view, self.keys)?);
        if let Some(commit) = last {
            self.lock.know_facts(commit, Arc::clone(&facts));
        }
        Ok(facts)
    }

    /// Something of the facts as the open transaction has them.
    pub(crate) fn of_facts<T>(&self, read: impl FnOnce(&Facts) -> T) -> Result<T> {
        match &self.transaction {
            Transaction::Write(change) => Ok(read(&change.facts)),
            Transaction::Read { view, .. } => Ok(read(self.facts_in(view)?.as_ref())),
            Transaction::None => Err(no_transaction()),
        }
    }

    fn commit_change(&mut self, change: Change<Sighted<S::View>>) -> Result<()> {
        let Change {
            mut overlay,
            facts,
            timeout,
            view,
            _guard: guard,
            ..
        } = change;
        if change.metadata_changed {
            let metadata = value::write_metadata(&facts.store().raw_metadata);
            overlay.put(&self.keys.single(section::METADATA), &metadata);
        }
        if change.stat_changed {
            overlay.put(&self.keys.single(section::STAT), &value::write_stat(&facts));
        }
        drop(view);
        let batch = overlay.into_batch();
        if batch.is_empty() {
            return Ok(());
        }
        let database = self.device.database();
        let applying = self.lock.gaps.commit(&batch);
        match database.describe().views {
            Views::Snapshot => database.apply(batch)?,
            Views::Live => self.lock.alone(timeout, || database.apply(batch))?,
        }
        self.lock.know_facts(applying.number(), Arc::new(facts));
        if change.reclaims {
            self.lock.set_tombstones(Tombstones::Unknown);
        }
        drop(applying);
        // The next writer may go on while this one waits for the sync.
        drop(guard);
        self.device.settle(&self.lock, self.lock.gaps.ended())
    }

    /// A cursor over a range of this store's keys; `None` when the range is empty.
    fn cursor(&self, range: Range<Vec<u8>>, walk: Walk) -> Result<Option<Merged<'_>>> {
        let (view, overlay) = self.view()?;
        match range.start < range.end {
            true => Merged::new(view, overlay, range, walk).map(Some),
            false => Ok(None),
        }
    }

    pub(crate) fn row_at(&self, name: &str, policy: Option<PolicyIndex>) -> Result<Option<R>> {
        Ok(self.rows_at(&[(name, policy)])?.pop().flatten())
    }

    /// Rows in the order of their names. Each is live, or a tombstone, or neither.
    pub(crate) fn rows_at(&self, names: &[(&str, Option<PolicyIndex>)]) -> Result<Vec<Option<R>>> {
        let mut keys = KeyList::default();
        for (name, policy) in names {
            keys.push(|key| self.keys.push_row(key, section::LIVE, name, *policy));
        }
        let mut rows: Vec<_> = names.iter().map(|_| None).collect();
        let absent = self.read_rows(&keys, (0..names.len()).collect(), &mut rows)?;
        for place in &absent {
            keys::set_section(keys.get_mut(*place), section::TOMBSTONE);
        }
        if absent.is_empty() || self.has_no_tombstones()? {
            return Ok(rows);
        }
        if absent.len() < MANY_NAMES || self.has_key_among(&keys, &absent)? {
            self.read_rows(&keys, absent, &mut rows)?;
        }
        Ok(rows)
    }

    /// Whether a writer knows that there is no tombstone, or finds out.
    fn has_no_tombstones(&self) -> Result<bool> {
        let Transaction::Write(change) = &self.transaction else {
            return Ok(false);
        };
        if self.lock.tombstones() == Tombstones::Unknown {
            let section = self.keys.section(section::TOMBSTONE);
            // What this transaction removes may come back with a rollback.
            let cursor = change.view.cursor(&section.start..&section.end, Walk::Up)?;
            self.lock.set_tombstones(match cursor.entry() {
                Some(_) => Tombstones::Perhaps,
                None => Tombstones::None,
            });
        }
        Ok(self.lock.tombstones() == Tombstones::None)
    }

    /// Reads the rows with the keys at these places into the same places; returns those of what is absent.
    fn read_rows(
        &self,
        keys: &KeyList,
        places: Vec<usize>,
        rows: &mut [Option<R>],
    ) -> Result<Vec<usize>> {
        let (view, overlay) = self.view()?;
        let wanted: Vec<_> = places.iter().map(|place| keys.get(*place)).collect();
        let values = get_many(view, overlay, &wanted)?;
        let mut absent = Vec::with_capacity(places.len());
        for (place, value) in places.into_iter().zip(values) {
            match value {
                Some(value) => rows[place] = Some(R::read(keys::tail(keys.get(place)), &value)?),
                None => absent.push(place),
            }
        }
        Ok(absent)
    }

    /// Whether there is any key from the first of those at these places to the last.
    fn has_key_among(&self, keys: &KeyList, places: &[usize]) -> Result<bool> {
        let keys = || places.iter().map(|place| keys.get(*place));
        let (Some(first), Some(last)) = (keys().min(), keys().max()) else {
            return Ok(false);
        };
        let range = first.to_vec()..[last, &[0]].concat();
        let cursor = self.cursor(range, Walk::Up)?;
        Ok(cursor.is_some_and(|cursor| cursor.entry().is_some()))
    }

    pub(crate) fn replace_row(&mut self, old: Option<&R>, new: &R) -> Result<RowId> {
        if let Some(old) = old {
            self.remove_row(old)?;
        }
        if new.is_deleted() {
            self.lock.set_tombstones(Tombstones::Perhaps);
        }
        let keys = self.keys;
        let change = self.change()?;
        let store = change.facts.store_mut();
        let row_id = RowId(store.max_row.0.max(0) + 1);
        store.max_row = row_id;
        new.count(&mut change.facts, 1);
        change.stat_changed = true;
        put_row(&mut change.overlay, keys, new, row_id);
        Ok(row_id)
    }

    pub(crate) fn remove_row(&mut self, row: &R) -> Result<()> {
        let keys = self.keys;
        let change = self.change()?;
        row.count(&mut change.facts, -1);
        change.stat_changed = true;
        change.overlay.delete(&keys.row_log(row.row_id()));
        change.overlay.delete(&key_of(keys, row));
        Ok(())
    }

    /// Rows by number, above `start`, that are wanted by what their key says.
    pub(crate) fn rows_after(
        &self,
        start: RowId,
        limit: usize,
        wanted: impl Fn(&RowKey<'_>) -> bool,
    ) -> Result<Vec<R>> {
        let mut rows = Vec::new();
        let range = match start.0.checked_add(1) {
            Some(first) => self.keys.row_log(RowId(first)),
            None => return Ok(rows),
        }..self.keys.section(section::ROW_LOG).end;
        let Some(mut cursor) = self.cursor(range, Walk::Up)? else {
            return Ok(rows);
        };
        loop {
            let mut keys = KeyList::default();
            let most = ROWS_AT_ONCE.min(limit - rows.len());
            while keys.ends.len() < most
                && let Some((_, logged)) = cursor.entry()
            {
                let tail = Reader::new(logged, "the row log")?.rest();
                if wanted(&RowKey::read(tail)?) {
                    keys.push(|key| self.keys.push_row_of(key, tail));
                }
                cursor.step()?;
            }
            if keys.ends.is_empty() {
                return Ok(rows);
            }
            // Rows lie in the order of names, so those are looked for together that lie together.
            let mut places: Vec<_> = (0..keys.ends.len()).collect();
            places.sort_unstable_by_key(|place| keys.get(*place));
            let mut read: Vec<_> = places.iter().map(|_| None).collect();
            if !self.read_rows(&keys, places, &mut read)?.is_empty() {
                return Err(damaged("the row log"));
            }
            rows.extend(read.into_iter().flatten());
        }
    }

    /// Shows rows in name order to `visit`.
    pub(crate) fn walk(
        &self,
        range: &NameRange,
        deleted: DeletedFilter,
        visit: &mut RowVisit<'_>,
    ) -> Result<()> {
        let walk = match range.reverse {
            false => Walk::Up,
            true => Walk::Down,
        };
        let sections: &[u8] = match deleted {
            DeletedFilter::Live => &[section::LIVE],
            DeletedFilter::Tombstones => &[section::TOMBSTONE],
            DeletedFilter::Both => &[section::LIVE, section::TOMBSTONE],
        };
        let (lower, upper) = (as_str(&range.lower), as_str(&range.upper));
        let mut lanes = Vec::new();
        for &section in sections {
            let range = self.keys.rows(section, lower, upper);
            if let Some(cursor) = self.cursor(range.clone(), walk)? {
                lanes.push(Lane {
                    keys: self.keys,
                    section,
                    range,
                    walk,
                    cursor,
                });
            }
        }
        let end = self.walk_until();
        for row in 0_u64.. {
            // Looking at the clock costs as much as a row.
            if row.is_multiple_of(ROWS_FOR_A_LOOK) && end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
            let Some(lane) = first_lane(&mut lanes, walk) else {
                return Ok(());
            };
            let Some((key, value)) = lane.cursor.entry() else {
                return Ok(());
            };
            match visit(&RowKey::read(keys::tail(key))?, value)? {
                None | Some(Step::Next) => lane.cursor.step()?,
                Some(Step::Stop) => return Ok(()),
                Some(Step::Seek(bound)) => seek_all(&mut lanes, as_str(&bound))?,
            }
        }
        Err(busy())
    }

    /// How many entries the row log has.
    pub(crate) fn logged(&self) -> Result<u64> {
        let mut count = 0;
        let log = self.keys.section(section::ROW_LOG);
        let Some(mut cursor) = self.cursor(log, Walk::Up)? else {
            return Ok(count);
        };
        while cursor.entry().is_some() {
            count += 1;
            cursor.step()?;
        }
        Ok(count)
    }

    /// Shows tombstones from a name on to `visit` until it answers false.
    fn tombstones(
        &self,
        from: &str,
        until: Option<&str>,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool>,
    ) -> Result<()> {
        let upper = until.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self
            .keys
            .rows(section::TOMBSTONE, Bound::Included(from), upper);
        let Some(mut cursor) = self.cursor(range, Walk::Up)? else {
            return Ok(());
        };
        while let Some((key, value)) = cursor.entry() {
            if !visit(keys::tail(key), value)? {
                return Ok(());
            }
            cursor.step()?;
        }
        Ok(())
    }

    /// The sync points of a direction with their places in the list.
    fn placed_sync_points(&self, direction: Direction) -> Result<Vec<(u32, SyncPoint)>> {
        let mut points = Vec::new();
        let section = sync_section(direction);
        let Some(mut cursor) = self.cursor(self.keys.section(section), Walk::Up)? else {
            return Ok(points);
        };
        while let Some((key, value)) = cursor.entry() {
            let place = keys::tail(key)
                .get(1..)
                .and_then(|place| place.try_into().ok());
            let place = place.ok_or_else(|| damaged("the key of a sync point"))?;
            points.push((u32::from_be_bytes(place), value::read_sync_point(value)?));
            cursor.step()?;
        }
        Ok(points)
    }
}

impl<S: OrderedStore, R: Row> Store for KvStore<S, R> {
    fn is_current(&mut self) -> Result<bool> {
        Ok(!self.lock.is_gone())
    }

    fn begin(&mut self, access: Access, options: &BrokerOptions) -> Result<()> {
        self.transaction = match access {
            Access::Read => self.begin_read(options.timeout)?,
            Access::Write => self.begin_write(options.timeout)?,
        };
        Ok(())
    }

    fn begin_without_waiting(&mut self, _: &BrokerOptions) -> bool {
        match self.begin_read_of_memory() {
            Ok(transaction) => {
                self.transaction = transaction;
                true
            }
            Err(_) => false,
        }
    }

    fn commit(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.transaction, Transaction::None) {
            Transaction::Write(change) => self.commit_change(*change),
            Transaction::Read { waits: false, .. } => Ok(()),
            Transaction::Read { view, .. } => self.device.settle(&self.lock, view.begun()),
            Transaction::None => Ok(()),
        }
    }

    fn rollback(&mut self) {
        self.transaction = Transaction::None;
    }

    fn facts(&mut self) -> Result<Facts> {
        self.of_facts(Facts::clone)
    }

    fn update(&mut self, change: &StatChange) -> Result<()> {
        let transaction = self.change()?;
        let store = transaction.facts.store_mut();
        let wanted = change.clone();
        let set = |field: &mut _, value| {
            if let Some(value) = value {
                *field = value;
            }
        };
        set(&mut store.created_at, wanted.created_at);
        set(&mut store.put_timestamp, wanted.put_timestamp);
        set(&mut store.delete_timestamp, wanted.delete_timestamp);
        set(&mut store.status_changed_at, wanted.status_changed_at);
        if let Some(status) = wanted.status {
            status.clone_into(&mut store.status);
        }
        if let Some(id) = wanted.id {
            store.id = id;
        }
        if let Some(raw_metadata) = wanted.raw_metadata {
            store.raw_metadata = raw_metadata;
            transaction.metadata_changed = true;
        }
        transaction.stat_changed |= *change
            != StatChange {
                raw_metadata: change.raw_metadata.clone(),
                ..StatChange::default()
            };
        Ok(())
    }

    fn upgrade(&mut self) -> Result<()> {
        Ok(())
    }

    fn sync_points(&mut self, direction: Direction) -> Result<Vec<SyncPoint>> {
        let points = self.placed_sync_points(direction)?;
        Ok(points.into_iter().map(|(_, point)| point).collect())
    }

    fn set_sync_point(&mut self, direction: Direction, id: &str, point: RowId) -> Result<()> {
        let points = self.placed_sync_points(direction)?;
        let known = points.iter().find(|(_, known)| known.remote_id == id);
        let place = match (known, points.last()) {
            (Some((place, _)), _) => *place,
            (None, Some((last, _))) => last + 1,
            (None, None) => 0,
        };
        let key = self.keys.sync_point(sync_section(direction), place);
        let value = value::write_sync_point(&SyncPoint {
            remote_id: id.to_owned(),
            sync_point: point,
            updated_at: epoch_seconds(),
        });
        self.change()?.overlay.put(&key, &value);
        Ok(())
    }

    fn remove_sync_points_before(&mut self, text: &str) -> Result<()> {
        for direction in [Direction::Incoming, Direction::Outgoing] {
            for (place, point) in self.placed_sync_points(direction)? {
                if point.updated_at.as_str() < text {
                    let key = self.keys.sync_point(sync_section(direction), place);
                    self.change()?.overlay.delete(&key);
                }
            }
        }
        Ok(())
    }

    fn highest_row_present(&mut self) -> Result<RowId> {
        let log = self.keys.section(section::ROW_LOG);
        let Some(cursor) = self.cursor(log, Walk::Down)? else {
            return Ok(RowId::NONE);
        };
        let Some((key, _)) = cursor.entry() else {
            return Ok(RowId::NONE);
        };
        let number = keys::tail(key).get(1..).and_then(keys::read_signed);
        number
            .map(RowId)
            .ok_or_else(|| damaged("a key of the row log"))
    }

    fn tombstone_after(&mut self, from: &str, skip: usize) -> Result<Option<String>> {
        let (mut left, mut found) = (skip, None);
        self.tombstones(from, None, |tail, _| {
            if left == 0 {
                found = Some(RowKey::read(tail)?.name.into_owned());
                return Ok(false);
            }
            left -= 1;
            Ok(true)
        })?;
        Ok(found)
    }

    fn remove_tombstones(&mut self, from: &str, until: Option<&str>, age: &str) -> Result<u64> {
        let mut old = Vec::new();
        self.tombstones(from, until, |tail, value| {
            let row = R::read(tail, value)?;
            if row.reclaim_text() < age {
                old.push(row);
            }
            Ok(true)
        })?;
        for row in &old {
            self.remove_row(row)?;
        }
        self.change()?.reclaims |= !old.is_empty();
        Ok(old.len() as u64)
    }

    fn count_tombstones(&mut self, from: &str) -> Result<u64> {
        let mut count = 0;
        self.tombstones(from, None, |_, _| {
            count += 1;
            Ok(true)
        })?;
        Ok(count)
    }
}
