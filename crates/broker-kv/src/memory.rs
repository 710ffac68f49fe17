//! [`MemoryOrdered`]: the smallest implementation of [`OrderedStore`], for tests and as an example.

use crate::engine::{Devices, Presence};
use crate::ordered::{Batch, Cursor, Description, OrderedStore, Pair, View, Views, Walk};
use broker_api::{DeviceHealth, Durability, Result, StoreKind};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, Range};
use std::sync::Arc;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A map in memory. A view holds the map as it was; the first change after that copies it, which is
/// simple and slow.
///
/// # Examples
/// ```
/// use broker_kv::{Batch, Cursor, MemoryOrdered, OrderedStore, View, Walk};
/// use std::sync::Arc;
///
/// let store = Arc::new(MemoryOrdered::default());
/// store.apply(Batch::new().put(b"a", b"1").put(b"b", b"2"))?;
/// let view = store.view()?;
/// store.apply(Batch::new().delete(b"a"))?;
///
/// assert_eq!(view.get(b"a")?, Some(b"1".to_vec()));
/// let cursor = view.cursor(b"a"..b"z", Walk::Down)?;
/// assert_eq!(cursor.entry(), Some((&b"b"[..], &b"2"[..])));
/// # Ok::<(), broker_api::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryOrdered {
    map: RwLock<Arc<Map>>,
}

impl OrderedStore for MemoryOrdered {
    type View = MemoryView;

    fn view(self: &Arc<Self>) -> Result<MemoryView> {
        Ok(MemoryView(Arc::clone(&self.map.read())))
    }

    fn view_of_memory(self: &Arc<Self>) -> Result<Option<MemoryView>> {
        self.view().map(Some)
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        let mut map = self.map.write();
        let map = Arc::make_mut(&mut map);
        for (key, value) in batch.changes() {
            match value {
                Some(value) => map.insert(key.to_vec(), value.to_vec()),
                None => map.remove(key),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn drop_range(&self, range: Range<&[u8]>) -> Result<()> {
        let mut map = self.map.write();
        Arc::make_mut(&mut map).retain(|key, _| !range.contains(&key.as_slice()));
        Ok(())
    }

    fn describe(&self) -> Description {
        Description {
            views: Views::Snapshot,
            durability: Durability::Memory,
            sync_to_acknowledge: false,
        }
    }
}

/// The map as it was when the view was taken.
#[derive(Debug)]
pub struct MemoryView(Arc<Map>);

impl View for MemoryView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(key).cloned())
    }

    fn cursor<'a>(&'a self, range: Range<&[u8]>, direction: Walk) -> Result<Box<dyn Cursor + 'a>> {
        let mut cursor = MemoryCursor {
            rest: entries(&self.0, range.clone()),
            map: &self.0,
            range: range.start.to_vec()..range.end.to_vec(),
            direction,
            current: None,
        };
        cursor.step()?;
        Ok(Box::new(cursor))
    }
}

type Entries<'a> = std::collections::btree_map::Range<'a, Vec<u8>, Vec<u8>>;

fn entries<'a>(map: &'a Map, range: Range<&[u8]>) -> Entries<'a> {
    map.range::<[u8], _>((Bound::Included(range.start), Bound::Excluded(range.end)))
}

struct MemoryCursor<'a> {
    map: &'a Map,
    range: Range<Vec<u8>>,
    direction: Walk,
    rest: Entries<'a>,
    current: Option<Pair<'a>>,
}

impl Cursor for MemoryCursor<'_> {
    fn entry(&self) -> Option<Pair<'_>> {
        self.current
    }

    fn step(&mut self) -> Result<()> {
        let next = match self.direction {
            Walk::Up => self.rest.next(),
            Walk::Down => self.rest.next_back(),
        };
        self.current = next.map(|(key, value)| (key.as_slice(), value.as_slice()));
        Ok(())
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.rest = match self.direction {
            Walk::Up => entries(self.map, key..&self.range.end),
            Walk::Down => entries(self.map, &self.range.start..key),
        };
        self.step()
    }
}

type Stores = HashMap<(String, StoreKind), Arc<MemoryOrdered>>;

/// Devices in memory: one map for each device and kind, made when it is first written to.
#[derive(Debug, Clone, Default)]
pub struct MemoryDevices {
    stores: Arc<Mutex<Stores>>,
}

impl Devices for MemoryDevices {
    type Store = MemoryOrdered;

    fn name(&self) -> &str {
        "memory-kv"
    }

    fn durability(&self) -> Durability {
        Durability::Memory
    }

    fn open(
        &self,
        device: &str,
        kind: StoreKind,
        presence: Presence,
    ) -> Result<Option<Arc<MemoryOrdered>>> {
        let mut stores = self.stores.lock();
        let key = (device.to_owned(), kind);
        Ok(match presence {
            Presence::Existing => stores.get(&key).cloned(),
            Presence::Create => Some(Arc::clone(stores.entry(key).or_default())),
        })
    }

    fn health(&self, _: &str) -> Result<DeviceHealth> {
        Ok(DeviceHealth::Ready {
            free_bytes: u64::MAX,
            total_bytes: u64::MAX,
        })
    }
}
