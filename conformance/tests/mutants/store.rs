//! Flaws at the level of rows: what a merge finds, what it writes, what a transaction changes.
//!
//! A layer over the whole engine cannot break the rules of merging, since they are decided within one
//! transaction. Here the reference engine's store is wrapped below that.

use broker_api::listing::{NameRange, Step};
use broker_api::{
    BrokerOptions, Capabilities, ContainerMarks, ContainerRecord, ContainerRow, ContainerRowRef,
    DeviceHealth, Direction, Facts, Initialized, Location, NewAccount, NewContainer, ObjectRecord,
    ObjectRow, ObjectRowRef, PolicyIndex, RemoveObjects, Result, RowFilter, RowId, StoreKind,
    SyncPoint,
};
use broker_runtime::sync::{
    Access, AccountStore, Buffered, ContainerStore, ObjectFilter, Restore, StatChange, Store,
    SyncEngine,
};
use engine_memory::MemoryEngine;
use std::fmt;

/// What is wrong with a store.
#[derive(Clone, Copy)]
pub(crate) enum StoreFlaw {
    /// A transaction changes other facts: sees what they were.
    Updates(fn(&Facts, &mut StatChange)),
    /// A merge finds another object row than is stored.
    FindsObject(fn(&mut ObjectRow)),
    /// A merge writes another object row, sees the stored one.
    WritesObject(fn(Option<&ObjectRow>, &mut ObjectRow)),
    /// A merge finds another container row than is stored.
    FindsContainer(fn(&mut ContainerRow)),
    /// A merge writes another container row, sees the stored one.
    WritesContainer(fn(Option<&ContainerRow>, &mut ContainerRow)),
    /// A container row that does not change keeps its number.
    KeepsNumbers,
    /// A sync point is set to another value; sees the one before.
    SetsPoint(fn(Direction, Option<RowId>, &mut RowId)),
    /// Reclaiming takes tombstones of another age.
    Reclaims(fn(&str) -> String),
}

/// The reference engine over stores with a flaw.
pub(crate) struct BrokenEngine {
    pub(crate) inner: MemoryEngine,
    pub(crate) flaw: StoreFlaw,
}

impl fmt::Debug for BrokenEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrokenEngine")
    }
}

/// A store with a flaw.
pub(crate) struct Broken<S> {
    inner: S,
    flaw: StoreFlaw,
}

impl<S: Store> Store for Broken<S> {
    fn is_current(&mut self) -> Result<bool> {
        self.inner.is_current()
    }

    fn begin(&mut self, access: Access, options: &BrokerOptions) -> Result<()> {
        self.inner.begin(access, options)
    }

    fn commit(&mut self) -> Result<()> {
        self.inner.commit()
    }

    fn rollback(&mut self) {
        self.inner.rollback();
    }

    fn facts(&mut self) -> Result<Facts> {
        self.inner.facts()
    }

    fn update(&mut self, change: &StatChange) -> Result<()> {
        let mut change = change.clone();
        if let StoreFlaw::Updates(spoil) = self.flaw {
            spoil(&self.inner.facts()?, &mut change);
        }
        self.inner.update(&change)
    }

    fn upgrade(&mut self) -> Result<()> {
        self.inner.upgrade()
    }

    fn sync_points(&mut self, direction: Direction) -> Result<Vec<SyncPoint>> {
        self.inner.sync_points(direction)
    }

    fn set_sync_point(&mut self, direction: Direction, id: &str, point: RowId) -> Result<()> {
        let mut point = point;
        if let StoreFlaw::SetsPoint(spoil) = self.flaw {
            let known = self.inner.sync_points(direction)?;
            let known = known.iter().find(|known| known.remote_id == id);
            spoil(direction, known.map(|known| known.sync_point), &mut point);
        }
        self.inner.set_sync_point(direction, id, point)
    }

    fn remove_sync_points_before(&mut self, text: &str) -> Result<()> {
        self.inner.remove_sync_points_before(text)
    }

    fn highest_row_present(&mut self) -> Result<RowId> {
        self.inner.highest_row_present()
    }

    fn tombstone_after(&mut self, from: &str, skip: usize) -> Result<Option<String>> {
        self.inner.tombstone_after(from, skip)
    }

    fn remove_tombstones(&mut self, from: &str, until: Option<&str>, age: &str) -> Result<u64> {
        let age = match self.flaw {
            StoreFlaw::Reclaims(spoil) => spoil(age),
            _ => age.to_owned(),
        };
        self.inner.remove_tombstones(from, until, &age)
    }

    fn count_tombstones(&mut self, from: &str) -> Result<u64> {
        self.inner.count_tombstones(from)
    }
}

impl<S: AccountStore> AccountStore for Broken<S> {
    fn buffer(&mut self, records: &[ContainerRecord], options: &BrokerOptions) -> Result<Buffered> {
        self.inner.buffer(records, options)
    }

    fn row(&mut self, name: &str) -> Result<Option<ContainerRow>> {
        let mut row = self.inner.row(name)?;
        if let StoreFlaw::FindsContainer(spoil) = self.flaw {
            row.iter_mut().for_each(spoil);
        }
        Ok(row)
    }

    fn replace(&mut self, old: Option<&ContainerRow>, new: &ContainerRow) -> Result<RowId> {
        // What the flaw made of the stored row must not be taken out of the counts.
        let old = self.inner.row(&new.name)?.filter(|_| old.is_some());
        let mut new = new.clone();
        match (self.flaw, &old) {
            (StoreFlaw::WritesContainer(spoil), _) => spoil(old.as_ref(), &mut new),
            (StoreFlaw::KeepsNumbers, Some(old)) => {
                new.row_id = old.row_id;
                if new == *old {
                    return Ok(old.row_id);
                }
            }
            _ => {}
        }
        self.inner.replace(old.as_ref(), &new)
    }

    fn rows_since(&mut self, start: RowId, limit: usize) -> Result<Vec<ContainerRow>> {
        self.inner.rows_since(start, limit)
    }

    fn scan(
        &mut self,
        range: &NameRange,
        visit: &mut dyn FnMut(ContainerRowRef<'_>) -> Step,
    ) -> Result<()> {
        self.inner.scan(range, visit)
    }
}

impl<S: ContainerStore> ContainerStore for Broken<S> {
    fn buffer(&mut self, records: &[ObjectRecord], options: &BrokerOptions) -> Result<Buffered> {
        self.inner.buffer(records, options)
    }

    fn row(&mut self, name: &str, policy: PolicyIndex) -> Result<Option<ObjectRow>> {
        let mut row = self.inner.row(name, policy)?;
        if let StoreFlaw::FindsObject(spoil) = self.flaw {
            row.iter_mut().for_each(spoil);
        }
        Ok(row)
    }

    fn replace(&mut self, old: Option<&ObjectRow>, new: &ObjectRow) -> Result<RowId> {
        let stored = self.inner.row(&new.name, new.policy_index)?;
        let old = stored.filter(|_| old.is_some());
        let mut new = new.clone();
        if let StoreFlaw::WritesObject(spoil) = self.flaw {
            spoil(old.as_ref(), &mut new);
        }
        self.inner.replace(old.as_ref(), &new)
    }

    fn rows_since(
        &mut self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>> {
        self.inner.rows_since(start, limit, filter)
    }

    fn scan(
        &mut self,
        range: &NameRange,
        filter: &ObjectFilter,
        visit: &mut dyn FnMut(ObjectRowRef<'_>) -> Step,
    ) -> Result<()> {
        self.inner.scan(range, filter, visit)
    }

    fn remove_objects(&mut self, remove: &RemoveObjects) -> Result<()> {
        self.inner.remove_objects(remove)
    }

    fn set_policy(&mut self, index: PolicyIndex) -> Result<()> {
        self.inner.set_policy(index)
    }

    fn set_marks(&mut self, marks: &ContainerMarks) -> Result<()> {
        self.inner.set_marks(marks)
    }
}

impl BrokenEngine {
    fn broken<S>(&self, store: Option<S>) -> Option<Broken<S>> {
        store.map(|inner| Broken {
            inner,
            flaw: self.flaw,
        })
    }
}

impl SyncEngine for BrokenEngine {
    type Account = Broken<<MemoryEngine as SyncEngine>::Account>;
    type Container = Broken<<MemoryEngine as SyncEngine>::Container>;

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn exists(&self, location: &Location) -> Result<bool> {
        self.inner.exists(location)
    }

    fn open_account(&self, location: &Location) -> Result<Option<Self::Account>> {
        Ok(self.broken(self.inner.open_account(location)?))
    }

    fn open_container(&self, location: &Location) -> Result<Option<Self::Container>> {
        Ok(self.broken(self.inner.open_container(location)?))
    }

    fn create_account(
        &self,
        location: &Location,
        new: &NewAccount,
        options: &BrokerOptions,
    ) -> Result<Initialized> {
        self.inner.create_account(location, new, options)
    }

    fn create_container(
        &self,
        location: &Location,
        new: &NewContainer,
        options: &BrokerOptions,
    ) -> Result<Initialized> {
        self.inner.create_container(location, new, options)
    }

    fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        self.inner.stores(device, kind, after, limit)
    }

    fn quarantine(&self, location: &Location, reason: &str) -> Result<()> {
        self.inner.quarantine(location, reason)
    }

    fn remove(&self, location: &Location) -> Result<()> {
        self.inner.remove(location)
    }

    fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        self.inner.set_synced(location, synced)
    }

    fn synced(
        &self,
        device: &str,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        self.inner.synced(device, after, limit)
    }

    fn device_health(&self, device: &str) -> Result<DeviceHealth> {
        self.inner.device_health(device)
    }

    fn restore(&self) -> Option<&dyn Restore> {
        self.inner.restore()
    }
}
