//! A handle on a store, with transactions by a lock and an undo log.

use crate::data::{Data, Key, Row};
use crate::engine::{Kind, MemoryDisk};
use broker_api::listing::{NameRange, Step};
use broker_api::{
    BrokerOptions, ContainerMarks, ContainerRecord, ContainerRow, ContainerRowRef, DeletedFilter,
    Direction, Error, ErrorKind, Facts, Location, ObjectRecord, ObjectRow, ObjectRowRef, Outcome,
    PolicyFilter, PolicyIndex, RemoveObjects, Result, RowFilter, RowId, SyncPoint,
};
use broker_runtime::sync::{
    Access, AccountStore, Buffered, ContainerStore, ObjectFilter, StatChange, Store,
};
use parking_lot::lock_api::{ArcRwLockReadGuard, ArcRwLockWriteGuard};
use parking_lot::{RawRwLock, RwLock};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// An open store; a transaction holds its lock.
pub struct MemoryStore<R> {
    location: Location,
    disk: MemoryDisk,
    data: Arc<RwLock<Data<R>>>,
    transaction: Transaction<R>,
}

enum Transaction<R> {
    None,
    Read(ArcRwLockReadGuard<RawRwLock, Data<R>>),
    Write(ArcRwLockWriteGuard<RawRwLock, Data<R>>, Box<Undo<R>>),
}

/// What a rollback puts back.
struct Undo<R> {
    facts: Facts,
    incoming: Vec<SyncPoint>,
    outgoing: Vec<SyncPoint>,
    /// What stood at each key before, in the order of the changes.
    rows: Vec<(Key, Option<R>)>,
}

#[expect(private_bounds, reason = "the kinds of rows are closed")]
impl<R: Kind> MemoryStore<R> {
    pub(crate) fn new(location: &Location, disk: &MemoryDisk, data: Arc<RwLock<Data<R>>>) -> Self {
        let (location, disk) = (location.clone(), disk.clone());
        Self {
            location,
            disk,
            data,
            transaction: Transaction::None,
        }
    }

    fn view(&self) -> Result<&Data<R>> {
        match &self.transaction {
            Transaction::Read(data) => Ok(data),
            Transaction::Write(data, _) => Ok(data),
            Transaction::None => Err(no_transaction()),
        }
    }

    fn edit(&mut self) -> Result<(&mut Data<R>, &mut Undo<R>)> {
        match &mut self.transaction {
            Transaction::Write(data, undo) => Ok((data, undo)),
            _ => Err(no_transaction()),
        }
    }

    fn remove(&mut self, key: &Key) -> Result<()> {
        let (data, undo) = self.edit()?;
        let old = data.remove(key);
        undo.rows.push((key.clone(), old));
        Ok(())
    }

    fn replace_row(&mut self, old: Option<&R>, new: &R) -> Result<RowId> {
        if let Some(old) = old {
            self.remove(&old.key())?;
        }
        let (data, undo) = self.edit()?;
        undo.rows.push((new.key(), None));
        Ok(data.insert(new))
    }

    fn rows_after<'a>(&'a self, start: RowId) -> Result<impl Iterator<Item = &'a R> + use<'a, R>> {
        let data = self.view()?;
        let numbers = data
            .numbers
            .range((Bound::Excluded(start), Bound::Unbounded));
        Ok(numbers.filter_map(|(_, key)| data.rows.get(key)))
    }

    /// Walks rows in name order as `visit` says.
    fn walk(&self, range: &NameRange, mut visit: impl FnMut(&R) -> Option<Step>) -> Result<()> {
        let data = self.view()?;
        let (mut lower, mut upper) = (range.lower.clone(), range.upper.clone());
        'scan: loop {
            if is_empty(&lower, &upper) {
                return Ok(());
            }
            let rows = data
                .rows
                .range((key_bound(&lower, true), key_bound(&upper, false)));
            let mut rows: Box<dyn Iterator<Item = (&Key, &R)>> = match range.reverse {
                false => Box::new(rows),
                true => Box::new(rows.rev()),
            };
            loop {
                let Some((_, row)) = rows.next() else {
                    return Ok(());
                };
                match visit(row) {
                    None | Some(Step::Next) => {}
                    Some(Step::Stop) => return Ok(()),
                    Some(Step::Seek(bound)) => {
                        if range.reverse {
                            upper = bound
                        } else {
                            lower = bound
                        }
                        continue 'scan;
                    }
                }
            }
        }
    }

    fn tombstones<'a>(&'a self, from: &str) -> Result<impl Iterator<Item = &'a R> + use<'a, R>> {
        let from = Bound::Included((from.to_owned(), PolicyIndex(i64::MIN)));
        let rows = self.view()?.rows.range((from, Bound::Unbounded));
        Ok(rows.map(|(_, row)| row).filter(|row| row.is_deleted()))
    }
}

/// A bound on names as a bound on keys, which also have a policy.
fn key_bound(bound: &Bound<String>, is_lower: bool) -> Bound<Key> {
    let first = |name: &String| (name.clone(), PolicyIndex(i64::MIN));
    let last = |name: &String| (name.clone(), PolicyIndex(i64::MAX));
    match (bound, is_lower) {
        (Bound::Unbounded, _) => Bound::Unbounded,
        (Bound::Included(name), true) => Bound::Included(first(name)),
        (Bound::Excluded(name), true) => Bound::Excluded(last(name)),
        (Bound::Included(name), false) => Bound::Included(last(name)),
        (Bound::Excluded(name), false) => Bound::Excluded(first(name)),
    }
}

/// Whether no name lies between the bounds, where the map would rather panic.
fn is_empty(lower: &Bound<String>, upper: &Bound<String>) -> bool {
    match (lower, upper) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (
            Bound::Included(low) | Bound::Excluded(low),
            Bound::Included(high) | Bound::Excluded(high),
        ) => low >= high,
    }
}

fn no_transaction() -> Error {
    Error::new(ErrorKind::Internal, "the operation needs a transaction")
}

fn epoch_seconds() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    now.as_secs().to_string()
}

impl<R: Kind> Store for MemoryStore<R> {
    fn is_current(&mut self) -> Result<bool> {
        let there = R::table(&self.disk).lock().get(&self.location).cloned();
        Ok(there.is_some_and(|data| Arc::ptr_eq(&data, &self.data)))
    }

    fn begin(&mut self, access: Access, options: &BrokerOptions) -> Result<()> {
        let busy = || {
            let error = Error::new(ErrorKind::Busy, "another transaction did not end in time");
            error.with_outcome(Outcome::NotApplied)
        };
        self.transaction = match access {
            Access::Read => Transaction::Read(
                self.data
                    .try_read_arc_for(options.timeout)
                    .ok_or_else(busy)?,
            ),
            Access::Write => {
                let data = self
                    .data
                    .try_write_arc_for(options.timeout)
                    .ok_or_else(busy)?;
                let undo = Undo {
                    facts: data.facts.clone(),
                    incoming: data.incoming.clone(),
                    outgoing: data.outgoing.clone(),
                    rows: Vec::new(),
                };
                Transaction::Write(data, Box::new(undo))
            }
        };
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.transaction = Transaction::None;
        Ok(())
    }

    fn rollback(&mut self) {
        let transaction = std::mem::replace(&mut self.transaction, Transaction::None);
        let Transaction::Write(mut data, undo) = transaction else {
            return;
        };
        for (key, old) in undo.rows.into_iter().rev() {
            data.remove(&key);
            if let Some(old) = old {
                data.put_back(old);
            }
        }
        data.facts = undo.facts;
        data.incoming = undo.incoming;
        data.outgoing = undo.outgoing;
    }

    fn facts(&mut self) -> Result<Facts> {
        Ok(self.view()?.facts.clone())
    }

    fn update(&mut self, change: &StatChange) -> Result<()> {
        let store = self.edit()?.0.facts.store_mut();
        let change = change.clone();
        let set = |field: &mut _, value| {
            if let Some(value) = value {
                *field = value;
            }
        };
        set(&mut store.created_at, change.created_at);
        set(&mut store.put_timestamp, change.put_timestamp);
        set(&mut store.delete_timestamp, change.delete_timestamp);
        set(&mut store.status_changed_at, change.status_changed_at);
        store.status = change
            .status
            .map_or_else(|| store.status.clone(), str::to_owned);
        store.raw_metadata = change
            .raw_metadata
            .unwrap_or_else(|| store.raw_metadata.clone());
        store.id = change.id.unwrap_or_else(|| store.id.clone());
        Ok(())
    }

    fn upgrade(&mut self) -> Result<()> {
        Ok(())
    }

    fn sync_points(&mut self, direction: Direction) -> Result<Vec<SyncPoint>> {
        let data = self.view()?;
        Ok(match direction {
            Direction::Incoming => data.incoming.clone(),
            Direction::Outgoing => data.outgoing.clone(),
        })
    }

    fn set_sync_point(&mut self, direction: Direction, id: &str, point: RowId) -> Result<()> {
        let updated_at = epoch_seconds();
        let points = self.edit()?.0.points(direction);
        match points.iter_mut().find(|known| known.remote_id == id) {
            Some(known) => {
                known.sync_point = point;
                known.updated_at = updated_at;
            }
            None => {
                points.push(SyncPoint {
                    remote_id: id.to_owned(),
                    sync_point: point,
                    updated_at,
                });
            }
        }
        Ok(())
    }

    fn remove_sync_points_before(&mut self, text: &str) -> Result<()> {
        let data = self.edit()?.0;
        for points in [&mut data.incoming, &mut data.outgoing] {
            points.retain(|point| point.updated_at.as_str() >= text);
        }
        Ok(())
    }

    fn highest_row_present(&mut self) -> Result<RowId> {
        Ok(self
            .view()?
            .numbers
            .last_key_value()
            .map_or(RowId::NONE, |(number, _)| *number))
    }

    fn tombstone_after(&mut self, from: &str, skip: usize) -> Result<Option<String>> {
        Ok(self.tombstones(from)?.nth(skip).map(|row| row.key().0))
    }

    fn remove_tombstones(&mut self, from: &str, until: Option<&str>, age: &str) -> Result<u64> {
        let keys = self
            .tombstones(from)?
            .filter(|row| row.reclaim_text() < age)
            .map(Row::key);
        let keys: Vec<Key> = keys
            .take_while(|(name, _)| until.is_none_or(|until| name.as_str() < until))
            .collect();
        for key in &keys {
            self.remove(key)?;
        }
        Ok(keys.len() as u64)
    }

    fn count_tombstones(&mut self, from: &str) -> Result<u64> {
        Ok(self.tombstones(from)?.count() as u64)
    }
}

impl AccountStore for MemoryStore<ContainerRow> {
    fn buffer(&mut self, _: &[ContainerRecord], _: &BrokerOptions) -> Result<Buffered> {
        Ok(Buffered::No)
    }

    fn row(&mut self, name: &str) -> Result<Option<ContainerRow>> {
        Ok(self
            .view()?
            .rows
            .get(&(name.to_owned(), PolicyIndex(0)))
            .cloned())
    }

    fn replace(&mut self, old: Option<&ContainerRow>, new: &ContainerRow) -> Result<RowId> {
        self.replace_row(old, new)
    }

    fn rows_since(&mut self, start: RowId, limit: usize) -> Result<Vec<ContainerRow>> {
        Ok(self.rows_after(start)?.take(limit).cloned().collect())
    }

    fn scan(
        &mut self,
        range: &NameRange,
        visit: &mut dyn FnMut(ContainerRowRef<'_>) -> Step,
    ) -> Result<()> {
        self.walk(range, |row| {
            (!row.deleted).then(|| {
                visit(ContainerRowRef {
                    name: &row.name,
                    put_timestamp: row.put_timestamp.as_str(),
                    object_count: row.object_count,
                    bytes_used: row.bytes_used,
                    policy_index: row.policy_index,
                })
            })
        })
    }
}

impl ContainerStore for MemoryStore<ObjectRow> {
    fn buffer(&mut self, _: &[ObjectRecord], _: &BrokerOptions) -> Result<Buffered> {
        Ok(Buffered::No)
    }

    fn row(&mut self, name: &str, policy: PolicyIndex) -> Result<Option<ObjectRow>> {
        Ok(self.view()?.rows.get(&(name.to_owned(), policy)).cloned())
    }

    fn replace(&mut self, old: Option<&ObjectRow>, new: &ObjectRow) -> Result<RowId> {
        self.replace_row(old, new)
    }

    fn rows_since(
        &mut self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>> {
        let own = self.own_policy()?;
        let wanted = |row: &&ObjectRow| match filter {
            RowFilter::All => true,
            RowFilter::Misplaced => row.policy_index != own,
        };
        Ok(self
            .rows_after(start)?
            .filter(wanted)
            .take(limit)
            .cloned()
            .collect())
    }

    fn scan(
        &mut self,
        range: &NameRange,
        filter: &ObjectFilter,
        visit: &mut dyn FnMut(ObjectRowRef<'_>) -> Step,
    ) -> Result<()> {
        let own = self.own_policy()?;
        let wanted = |row: &ObjectRow| {
            let policy = match filter.policy {
                PolicyFilter::Own => row.policy_index == own,
                PolicyFilter::Only(index) => row.policy_index == index,
                PolicyFilter::All => true,
            };
            let deleted = match filter.deleted {
                DeletedFilter::Live => !row.deleted,
                DeletedFilter::Tombstones => row.deleted,
                DeletedFilter::Both => true,
            };
            policy && deleted && filter.since_row.is_none_or(|since| row.row_id > since)
        };
        self.walk(range, |row| wanted(row).then(|| visit(row.as_ref())))
    }

    fn remove_objects(&mut self, remove: &RemoveObjects) -> Result<()> {
        let above = |name: &str| remove.lower.is_empty() || name > remove.lower.as_str();
        let below = |name: &str| remove.upper.is_empty() || name <= remove.upper.as_str();
        let rows = self.view()?.rows.values().filter(|row| {
            above(&row.name)
                && below(&row.name)
                && remove.max_row.is_none_or(|max_row| row.row_id <= max_row)
        });
        let keys: Vec<Key> = rows.map(Row::key).collect();
        for key in &keys {
            MemoryStore::remove(self, key)?;
        }
        Ok(())
    }

    fn set_policy(&mut self, index: PolicyIndex) -> Result<()> {
        if let Facts::Container(info) = &mut self.edit()?.0.facts {
            info.policy_index = index;
            info.policy_stat_mut(index);
        }
        Ok(())
    }

    fn set_marks(&mut self, marks: &ContainerMarks) -> Result<()> {
        let Facts::Container(info) = &mut self.edit()?.0.facts else {
            return Ok(());
        };
        if let Some(reported) = &marks.reported {
            info.reported = reported.clone();
        }
        if let Some(point) = marks.x_container_sync_point1 {
            info.x_container_sync_point1 = point;
        }
        if let Some(point) = marks.x_container_sync_point2 {
            info.x_container_sync_point2 = point;
        }
        if let Some(point) = marks.reconciler_sync_point {
            info.reconciler_sync_point = point;
        }
        Ok(())
    }
}

impl MemoryStore<ObjectRow> {
    fn own_policy(&self) -> Result<PolicyIndex> {
        match &self.view()?.facts {
            Facts::Container(info) => Ok(info.policy_index),
            Facts::Account(_) => Ok(PolicyIndex(0)),
        }
    }
}
