//! Restoring whole stores: rows wait beside the stores until they are all there.

use crate::data::Data;
use crate::engine::{Kind, MemoryEngine};
use broker_api::{
    ContainerRow, Error, ErrorKind, Location, ObjectRow, Result, RowId, Rows, StoreImage, StoreKind,
};
use broker_runtime::sync::{Restore, above_highest, exists_already, not_begun, same_name_twice};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// What is being restored, by location.
pub(crate) type Restoring<R> = Mutex<BTreeMap<Location, Unfinished<R>>>;

/// A store that nobody sees yet.
#[derive(Debug)]
pub(crate) struct Unfinished<R> {
    image: StoreImage,
    rows: BTreeMap<RowId, R>,
}

impl<R> Unfinished<R> {
    fn new(image: StoreImage) -> Self {
        let rows = BTreeMap::new();
        Self { image, rows }
    }

    fn highest(&self) -> RowId {
        self.rows
            .last_key_value()
            .map_or(RowId::NONE, |(id, _)| *id)
    }
}

impl<R: Kind> Unfinished<R> {
    /// The store that the rows make, if it is the one of the image.
    fn build(&self) -> Result<Data<R>> {
        let mut data = Data::new(self.image.facts.uncounted());
        for row in self.rows.values() {
            if data.rows.contains_key(&row.key()) {
                return Err(same_name_twice());
            }
            data.put_back(row.clone());
        }
        if data.facts != self.image.facts {
            let message = "the rows do not fit the image";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        data.incoming.clone_from(&self.image.incoming);
        data.outgoing.clone_from(&self.image.outgoing);
        Ok(data)
    }
}

impl MemoryEngine {
    fn begin_of<R: Kind>(&self, location: &Location, image: &StoreImage) -> Result<RowId> {
        if R::table(&self.disk).lock().contains_key(location) {
            return Err(exists_already());
        }
        let mut restoring = R::restoring(&self.disk).lock();
        match restoring.get(location) {
            Some(begun) if begun.image == *image => Ok(begun.highest()),
            _ => {
                restoring.insert(location.clone(), Unfinished::new(image.clone()));
                Ok(RowId::NONE)
            }
        }
    }

    fn add_of<R: Kind>(&self, location: &Location, rows: &Rows) -> Result<()> {
        let mut restoring = R::restoring(&self.disk).lock();
        let begun = restoring.get_mut(location).ok_or_else(not_begun)?;
        if rows.last() > Some(begun.image.facts.store().max_row) {
            return Err(above_highest());
        }
        let highest = begun.highest();
        let new = R::of(rows).iter().filter(|row| row.row_id() > highest);
        begun
            .rows
            .extend(new.map(|row| (row.row_id(), row.clone())));
        Ok(())
    }

    fn finish_of<R: Kind>(&self, location: &Location) -> Result<()> {
        let mut restoring = R::restoring(&self.disk).lock();
        let data = restoring.get(location).ok_or_else(not_begun)?.build()?;
        match R::table(&self.disk).lock().entry(location.clone()) {
            Entry::Occupied(_) => return Err(exists_already()),
            Entry::Vacant(place) => place.insert(Arc::new(RwLock::new(data))),
        };
        restoring.remove(location);
        Ok(())
    }
}

impl Restore for MemoryEngine {
    fn begin(&self, location: &Location, image: &StoreImage) -> Result<RowId> {
        match location.kind() {
            StoreKind::Account => self.begin_of::<ContainerRow>(location, image),
            StoreKind::Container => self.begin_of::<ObjectRow>(location, image),
        }
    }

    fn add(&self, location: &Location, rows: &Rows) -> Result<()> {
        match location.kind() {
            StoreKind::Account => self.add_of::<ContainerRow>(location, rows),
            StoreKind::Container => self.add_of::<ObjectRow>(location, rows),
        }
    }

    fn finish(&self, location: &Location) -> Result<()> {
        match location.kind() {
            StoreKind::Account => self.finish_of::<ContainerRow>(location),
            StoreKind::Container => self.finish_of::<ObjectRow>(location),
        }
    }

    fn abandon(&self, location: &Location) -> Result<()> {
        match location.kind() {
            StoreKind::Account => drop(ContainerRow::restoring(&self.disk).lock().remove(location)),
            StoreKind::Container => drop(ObjectRow::restoring(&self.disk).lock().remove(location)),
        }
        Ok(())
    }
}
