//! Restoring whole stores: contents grow under a number that no location leads to.
//!
//! ```text
//! begin    06 location ──► number;  10 number …: stat record, metadata, sync points as in the image
//! add      10 number …: rows and row log, one batch for each page
//! finish   rows are counted against the stat record;  06 location gone, 02 location ──► number
//! ```
//!
//! Whoever works on an unfinished store holds its writer's lock.

use crate::change::Overlay;
use crate::device::{Device, REMOVAL_TIMEOUT, StoreLock, Tombstones, WriterGuard};
use crate::engine::{Devices, KvEngine};
use crate::keys::{self, Number, StoreKeys, section};
use crate::ordered::{Batch, OrderedStore};
use crate::row::Row;
use crate::store::{KvStore, put_row};
use crate::value;
use broker_api::listing::NameRange;
use broker_api::{
    BrokerOptions, ContainerRow, DeletedFilter, Direction, Error, ErrorKind, Location, ObjectRow,
    Result, RowId, Rows, StoreImage, StoreKind, Tally,
};
use broker_runtime::sync::{
    Access, Restore, Store, above_highest, exists_already, not_begun, same_name_twice,
};
use std::ops::Bound;
use std::sync::Arc;

/// How many rows a batch holds. A page may have many more, and some stores take several times the memory
/// of a large batch while they apply it.
const BATCH_ROWS: usize = 1000;

/// An unfinished store that nobody else works on.
struct Unfinished {
    number: Number,
    lock: Arc<StoreLock>,
    _writer: WriterGuard,
}

impl Unfinished {
    /// A handle that reads it.
    fn read<S: OrderedStore, R: Row>(&self, device: &Arc<Device<S>>) -> Result<KvStore<S, R>> {
        let lock = Arc::clone(&self.lock);
        let mut store = KvStore::new(Arc::clone(device), self.number, lock);
        store.begin(Access::Read, &BrokerOptions::default())?;
        Ok(store)
    }
}

impl<S: OrderedStore> Device<S> {
    /// Becomes the only one who works on what is being restored at a location.
    fn enter_restoring(&self, location: &Location) -> Result<Option<Unfinished>> {
        let key = keys::restoring(location);
        while let Some(number) = self.number_at(&key)? {
            let lock = self.lock(number);
            let writer = match lock.write(REMOVAL_TIMEOUT) {
                Ok(writer) => writer,
                // It was abandoned while its lock was waited for.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if self.number_at(&key)? == Some(number) {
                return Ok(Some(Unfinished {
                    number,
                    lock,
                    _writer: writer,
                }));
            }
        }
        Ok(None)
    }

    fn begin_restoring<R: Row>(
        self: &Arc<Self>,
        location: &Location,
        image: &StoreImage,
    ) -> Result<RowId> {
        if self.find(location)?.is_some() {
            return Err(exists_already());
        }
        if let Some(unfinished) = self.enter_restoring(location)? {
            let mut store = unfinished.read::<S, R>(self)?;
            let begun = StoreImage {
                facts: store.facts()?,
                incoming: store.sync_points(Direction::Incoming)?,
                outgoing: store.sync_points(Direction::Outgoing)?,
            };
            if begun == *image {
                return store.highest_row_present();
            }
            drop(store);
            self.doom(location, unfinished)?;
        }
        self.make_restoring(location, image)?;
        Ok(RowId::NONE)
    }

    fn make_restoring(&self, location: &Location, image: &StoreImage) -> Result<()> {
        let mut next = self.next.lock();
        let key = keys::restoring(location);
        if self.number_at(&key)?.is_some() {
            let error = Error::new(ErrorKind::Busy, "somebody else restores this store");
            return Err(error.with_outcome(broker_api::Outcome::NotApplied));
        }
        let (number, facts) = (Number(*next), &image.facts);
        let keys = StoreKeys(number);
        let metadata = value::write_metadata(&facts.store().raw_metadata);
        let mut batch = Batch::new()
            .put(key, value::write_count(number.0))
            .put(keys::next_number(), value::write_count(number.0 + 1))
            .put(keys.single(section::STAT), value::write_stat(facts))
            .put(keys.single(section::METADATA), metadata);
        for (section, points) in [
            (section::INCOMING, &image.incoming),
            (section::OUTGOING, &image.outgoing),
        ] {
            for (place, point) in (0..).zip(points) {
                let key = keys.sync_point(section, place);
                batch = batch.put(key, value::write_sync_point(point));
            }
        }
        // Whether this succeeds or not, nobody may get the number again.
        *next += 1;
        self.database().apply(batch)?;
        drop(next);
        self.acknowledge()
    }

    fn add_rows<R: Row>(self: &Arc<Self>, location: &Location, rows: &Rows) -> Result<()> {
        let unfinished = self.enter_restoring(location)?.ok_or_else(not_begun)?;
        let mut store = unfinished.read::<S, R>(self)?;
        if rows.last() > Some(store.facts()?.store().max_row) {
            return Err(above_highest());
        }
        let highest = store.highest_row_present()?;
        drop(store);
        let rows = R::of(rows);
        let new = rows.partition_point(|row| row.row_id() <= highest);
        for page in rows[new..].chunks(BATCH_ROWS) {
            // An overlay, since a batch may not name a key twice, as rows of one name would.
            let mut overlay = Overlay::default();
            for row in page {
                put_row(
                    &mut overlay,
                    StoreKeys(unfinished.number),
                    row,
                    row.row_id(),
                );
            }
            let batch = overlay.into_batch();
            // Who waits for this store's lock shares what was learned of its gaps and tombstones, which come here.
            unfinished.lock.set_tombstones(Tombstones::Unknown);
            let applying = unfinished.lock.gaps.commit(&batch);
            self.database().apply(batch)?;
            drop(applying);
        }
        self.acknowledge()
    }

    fn finish_restoring<R: Row>(self: &Arc<Self>, location: &Location) -> Result<()> {
        let unfinished = self.enter_restoring(location)?.ok_or_else(not_begun)?;
        if self.find(location)?.is_some() {
            return Err(exists_already());
        }
        prove(&mut unfinished.read::<S, R>(self)?)?;
        let making = self.next.lock();
        if self.find(location)?.is_some() {
            return Err(exists_already());
        }
        let number = value::write_count(unfinished.number.0);
        let batch = Batch::new().put(keys::location(location), number);
        self.database()
            .apply(batch.delete(keys::restoring(location)))?;
        drop(making);
        self.acknowledge()
    }

    fn abandon_restoring(&self, location: &Location) -> Result<()> {
        match self.enter_restoring(location)? {
            Some(unfinished) => self.doom(location, unfinished),
            None => Ok(()),
        }
    }

    /// Removes an unfinished store as any other: first its entry, at once, then what it holds.
    fn doom(&self, location: &Location, unfinished: Unfinished) -> Result<()> {
        let doomed = keys::doomed(unfinished.number);
        let batch = Batch::new().delete(keys::restoring(location));
        let batch = batch.put(doomed, value::write_count(unfinished.number.0));
        self.database().apply(batch)?;
        unfinished.lock.set_gone();
        // Contents may go from the disk at once, which the entry must not outlive at a loss of power.
        self.acknowledge()?;
        self.drop_contents(unfinished.number)
    }
}

/// Compares the rows with the stat record, and the row log with the rows.
fn prove<S: OrderedStore, R: Row>(store: &mut KvStore<S, R>) -> Result<()> {
    let facts = store.facts()?;
    let everything = NameRange {
        lower: Bound::Unbounded,
        upper: Bound::Unbounded,
        reverse: false,
    };
    let (mut tally, mut before) = (Tally::of(&facts), None);
    store.walk(&everything, DeletedFilter::Both, &mut |key, value| {
        // Live rows and tombstones come in one order, so those of one name are neighbours.
        let name = (key.name.clone().into_owned(), key.policy);
        if before.as_ref() == Some(&name) {
            return Err(same_name_twice());
        }
        before = Some(name);
        R::tally(key, value, &mut tally)?;
        Ok(None)
    })?;
    // A row that took the place of one with its key has left the other's number behind.
    if store.logged()? != tally.rows() {
        return Err(same_name_twice());
    }
    tally.require(&facts)
}

impl<D: Devices> Restore for KvEngine<D> {
    fn begin(&self, location: &Location, image: &StoreImage) -> Result<RowId> {
        let device = self.made(location)?;
        match location.kind() {
            StoreKind::Account => device.begin_restoring::<ContainerRow>(location, image),
            StoreKind::Container => device.begin_restoring::<ObjectRow>(location, image),
        }
    }

    fn add(&self, location: &Location, rows: &Rows) -> Result<()> {
        let device = self.existing(location)?.ok_or_else(not_begun)?;
        match location.kind() {
            StoreKind::Account => device.add_rows::<ContainerRow>(location, rows),
            StoreKind::Container => device.add_rows::<ObjectRow>(location, rows),
        }
    }

    fn finish(&self, location: &Location) -> Result<()> {
        let device = self.existing(location)?.ok_or_else(not_begun)?;
        match location.kind() {
            StoreKind::Account => device.finish_restoring::<ContainerRow>(location),
            StoreKind::Container => device.finish_restoring::<ObjectRow>(location),
        }
    }

    fn abandon(&self, location: &Location) -> Result<()> {
        match self.existing(location)? {
            Some(device) => device.abandon_restoring(location),
            None => Ok(()),
        }
    }
}
