//! [`dump_keys`]: what a database holds, key by key, for people who look for a fault.

use crate::engine::{Devices, Presence};
use crate::keys::{Number, StoreKeys};
use crate::ordered::{OrderedStore, View, Walk};
use broker_api::{Error, ErrorKind, Result, StoreKind};
use std::ops::ControlFlow;

/// Which keys to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpKeys {
    /// The device.
    pub device: String,
    /// Whose database: accounts and containers have one each.
    pub kind: StoreKind,
    /// Only what one store holds, by its number, which the keys of locations show.
    pub store: Option<u64>,
}

/// Is shown a key and its value.
pub type DumpVisit<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// Shows the keys and values of a database in order, until the visitor breaks off.
/// [`describe_entry`](crate::describe_entry) puts them in words.
///
/// # Errors
/// `NotFound` when the device has no such database; `Busy` when it is open elsewhere and cannot be shared.
pub fn dump_keys<D: Devices>(
    devices: &D,
    wanted: &DumpKeys,
    visit: &mut DumpVisit<'_>,
) -> Result<()> {
    let DumpKeys {
        device,
        kind,
        store,
    } = wanted;
    let database = devices.open(device, *kind, Presence::Existing)?;
    let database = database.ok_or_else(|| {
        let engine = devices.name();
        let message = format!("the device {device:?} has no {engine} database of {kind}s");
        Error::new(ErrorKind::NotFound, message)
    })?;
    let range = match store {
        Some(number) => StoreKeys(Number(*number)).contents(),
        // No space has this byte.
        None => vec![0]..vec![u8::MAX],
    };
    let view = database.view()?;
    let mut cursor = view.cursor(&range.start..&range.end, Walk::Up)?;
    while let Some((key, value)) = cursor.entry() {
        if visit(key, value).is_break() {
            break;
        }
        cursor.step()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, MemoryDevices};

    /// A failure would mean that a dump of one store shows another's rows, or that a wrong name looks empty.
    #[test]
    fn a_dump_shows_the_keys_that_are_asked_for() {
        let devices = MemoryDevices::default();
        let kind = StoreKind::Container;
        let store = devices
            .open("sda1", kind, Presence::Create)
            .unwrap()
            .unwrap();
        let key = |number, section| StoreKeys(Number(number)).single(section);
        let keys = [vec![0], key(6, 1), key(7, 1), key(7, 2), key(8, 1)];
        let batch = keys
            .iter()
            .fold(Batch::new(), |batch, key| batch.put(key.clone(), vec![1]));
        store.apply(batch).unwrap();
        let dump = |device: &str, store, limit| {
            let mut seen = Vec::new();
            let wanted = DumpKeys {
                device: device.into(),
                kind,
                store,
            };
            dump_keys(&devices, &wanted, &mut |key, _| {
                seen.push(key.to_vec());
                match seen.len() == limit {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            })
            .map(|()| seen)
        };
        assert_eq!(dump("sda1", None, 9).unwrap(), keys);
        assert_eq!(dump("sda1", None, 2).unwrap(), keys[..2]);
        assert_eq!(dump("sda1", Some(7), 9).unwrap(), keys[2..4]);
        assert_eq!(
            dump("sdb1", None, 9).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}
