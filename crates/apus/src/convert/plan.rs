//! What there is to do: devices, their stores, and how many rows these may have.

use super::place::Place;
use super::report::Report;
use crate::cli::ConvertArgs;
use crate::store::{from_parts, from_path};
use crate::{Failure, chain};
use broker_api::{Engine, HashPath, Location, StoreKind};
use broker_copy::StoreBroker;
use broker_runtime::device;
use swift_conf::SwiftConf;

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
            let location = match from_path(store) {
                Some((_, location)) => location,
                None => locate(source, place, store).await?,
            };
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
        for device in chosen(place, args.device.as_deref())? {
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
fn chosen(place: &Place, asked: Option<&str>) -> Result<Vec<String>, Failure> {
    let folder = place.devices.display();
    let entries = std::fs::read_dir(&place.devices);
    let entries = entries.map_err(|e| Failure::new(format!("cannot read {folder}: {e}")))?;
    let mut found: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| device::is_name(name) && place.devices.join(name).is_dir())
        .collect();
    found.sort();
    match asked {
        None if found.is_empty() => Err(Failure::new(format!(
            "no device in {folder}; name another folder with --devices"
        ))),
        None => Ok(found),
        Some(device) if found.iter().any(|name| name == device) => Ok(vec![device.to_owned()]),
        Some(device) => {
            let found = found.join(", ");
            Err(Failure::new(format!(
                "no device {device:?} in {folder}; there are: {found}"
            )))
        }
    }
}

/// Finds a store of the source by its location, or by its name on any device.
async fn locate(source: &dyn Engine, place: &Place, store: &str) -> Result<Location, Failure> {
    if let Some(location) = from_parts(store) {
        return Ok(location);
    }
    let conf = SwiftConf::load(&place.swift_dir)?;
    let hash_path = HashPath::new(conf.hash_path_prefix, conf.hash_path_suffix);
    let (kind, hash) = match store.trim_start_matches('/').split_once('/') {
        Some((account, container)) => (
            StoreKind::Container,
            hash_path.container(account, container),
        ),
        None => (
            StoreKind::Account,
            hash_path.account(store.trim_start_matches('/')),
        ),
    };
    for device in chosen(place, None)? {
        let found = each_page(source, &device, kind, |page| {
            page.iter()
                .find(|location| location.hash() == hash)
                .cloned()
        });
        if let Some(found) = found.await? {
            return Ok(found);
        }
    }
    let (engine, folder) = (source.name(), place.devices.display());
    Err(Failure::new(format!(
        "no {kind} {store:?} of {engine} on any device in {folder}"
    )))
}

/// Shows the stores of a kind on a device, page by page, until `look` has found something.
async fn each_page<T>(
    source: &dyn Engine,
    device: &str,
    kind: StoreKind,
    mut look: impl FnMut(&[Location]) -> Option<T>,
) -> broker_api::Result<Option<T>> {
    let mut after = None;
    loop {
        let page = source.stores(device, kind, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        if let Some(found) = look(&page) {
            return Ok(Some(found));
        }
        after = Some(last.clone());
    }
}

async fn whole_device(source: &dyn Engine, device: &str) -> broker_api::Result<DevicePlan> {
    let mut locations = Vec::new();
    for kind in [StoreKind::Account, StoreKind::Container] {
        let collect = |page: &[Location]| {
            locations.extend_from_slice(page);
            None::<()>
        };
        each_page(source, device, kind, collect).await?;
    }
    let mut stores = Vec::new();
    for location in locations {
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
