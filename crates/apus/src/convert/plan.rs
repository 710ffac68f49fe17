//! What there is to do: devices, their stores, and how many rows these may have.

use super::place::Place;
use super::report::Report;
use crate::cli::ConvertArgs;
use crate::store::{devices_in, locate};
use crate::{Failure, chain};
use broker_api::{Engine, Location, StoreKind};
use broker_copy::StoreBroker;
use broker_runtime::device;

/// How many stores one look at a device asks for.
pub(super) const PAGE: usize = 1000;

/// Devices with stores to convert.
pub(super) struct Plan {
    pub(super) devices: Vec<DevicePlan>,
}

/// The stores of a device.
pub(super) struct DevicePlan {
    pub(super) device: String,
    /// Whether these are all that it has.
    pub(super) whole: bool,
    pub(super) stores: Vec<Planned>,
}

/// A store, and a bound on its rows: the highest number of any.
pub(super) struct Planned {
    pub(super) location: Location,
    pub(super) rows: u64,
}

impl Plan {
    /// Looks at the source. A device that cannot be read is refused.
    pub(super) async fn make(
        source: &dyn Engine,
        place: &Place,
        args: &ConvertArgs,
        report: &mut Report,
    ) -> Result<Self, Failure> {
        if let Some(store) = &args.store {
            let location = locate(source, &place.devices, &place.swift_dir, store).await?;
            let device = location.device().to_owned();
            let stores = vec![planned(source, location).await];
            return Ok(Self {
                devices: vec![DevicePlan {
                    device,
                    whole: false,
                    stores,
                }],
            });
        }
        let mut devices = Vec::new();
        for device in chosen(place, args)? {
            match whole_device(source, &device).await {
                Ok(plan) => devices.push(plan),
                Err(error) => report.refused(&device, &chain(&error)),
            }
        }
        Ok(Self { devices })
    }

    /// A bound on the rows of all stores.
    pub(super) fn rows(&self) -> u64 {
        let stores = self.devices.iter().flat_map(|device| &device.stores);
        stores.map(|store| store.rows).sum()
    }

    /// How many stores there are.
    pub(super) fn stores(&self) -> u64 {
        self.devices
            .iter()
            .map(|device| device.stores.len() as u64)
            .sum()
    }
}

/// The device that was asked for, or all.
fn chosen(place: &Place, args: &ConvertArgs) -> Result<Vec<String>, Failure> {
    let found = devices_in(&place.devices)?.into_iter();
    let found: Vec<_> = found
        .filter(|name| device::is_name(name) && place.devices.join(name).is_dir())
        .collect();
    match &args.device {
        None if found.is_empty() => {
            let folder = place.devices.display();
            Err(Failure::new(format!(
                "no device in {folder}; name another folder with --devices"
            )))
        }
        None => Ok(found),
        Some(device) if found.contains(device) => Ok(vec![device.clone()]),
        Some(device) => {
            let (folder, found) = (place.devices.display(), found.join(", "));
            Err(Failure::new(format!(
                "no device {device:?} in {folder}; there are: {found}"
            )))
        }
    }
}

/// All stores of a device.
pub(super) async fn stores_of(
    source: &dyn Engine,
    device: &str,
) -> broker_api::Result<Vec<Location>> {
    let mut stores: Vec<Location> = Vec::new();
    for kind in [StoreKind::Account, StoreKind::Container] {
        let mut after = None;
        loop {
            let page = source.stores(device, kind, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else {
                break;
            };
            after = Some(last.clone());
            stores.extend(page);
        }
    }
    Ok(stores)
}

async fn whole_device(source: &dyn Engine, device: &str) -> broker_api::Result<DevicePlan> {
    let mut stores = Vec::new();
    for location in stores_of(source, device).await? {
        stores.push(planned(source, location).await);
    }
    Ok(DevicePlan {
        device: device.to_owned(),
        whole: true,
        stores,
    })
}

/// What cannot be read now is refused when its turn comes.
async fn planned(source: &dyn Engine, location: Location) -> Planned {
    let facts = StoreBroker::open(source, &location).facts().await;
    let highest = facts
        .ok()
        .flatten()
        .map_or(0, |facts| facts.store().max_row.0);
    let rows = u64::try_from(highest).unwrap_or_default();
    Planned { location, rows }
}
