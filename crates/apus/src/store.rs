//! Finds the store that a person means.

use crate::Failure;
use crate::cli::StoreArgs;
use crate::registry::{EngineSetup, Registry};
use broker_api::{Engine, HashPath, Location, NameHash, StoreKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swift_conf::{Policies, SwiftConf};

/// How many stores one look at a device asks for.
const PAGE: usize = 1000;

/// A store that was found, with what is needed to show it.
pub(crate) struct Found {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) location: Location,
    pub(crate) policies: Policies,
}

/// Finds the store of `args` and opens its engine.
pub(crate) async fn find(registry: &Registry, args: &StoreArgs) -> Result<Found, Failure> {
    let (devices, swift_dir) = folders(&args.data, &args.devices, &args.swift_dir);
    let conf = SwiftConf::load(&swift_dir);
    let policies = conf
        .as_ref()
        .map_or_else(|_| Policies::legacy(), |conf| conf.policies.clone());
    if let Some((devices, location)) = from_path(&args.target) {
        let engine = registry.open(&args.engine, &EngineSetup::new(devices))?;
        return Ok(Found {
            engine,
            location,
            policies,
        });
    }
    let engine = registry.open(&args.engine, &EngineSetup::new(&devices))?;
    if let Some(location) = from_parts(&args.target) {
        return Ok(Found {
            engine,
            location,
            policies,
        });
    }
    let conf = conf?;
    let hash_path = HashPath::new(conf.hash_path_prefix, conf.hash_path_suffix);
    let (kind, hash) = match args.target.trim_start_matches('/').split_once('/') {
        Some((account, container)) => (
            StoreKind::Container,
            hash_path.container(account, container),
        ),
        None => (
            StoreKind::Account,
            hash_path.account(args.target.trim_start_matches('/')),
        ),
    };
    let location = search(engine.as_ref(), &devices, kind, hash)
        .await?
        .ok_or_else(|| {
            Failure::new(format!(
                "no {kind} {:?} on any device in {}; name another folder with --data or --devices",
                args.target,
                devices.display()
            ))
        })?;
    Ok(Found {
        engine,
        location,
        policies,
    })
}

/// The folders of devices and of swift.conf, as options say.
pub(crate) fn folders(
    data: &Option<PathBuf>,
    devices: &Option<PathBuf>,
    swift_dir: &Option<PathBuf>,
) -> (PathBuf, PathBuf) {
    let local = Path::new("apus-data");
    let default = devices.is_none() && swift_dir.is_none() && local.is_dir();
    let data = data.clone().or_else(|| default.then(|| local.to_owned()));
    match data {
        Some(data) => (data.join("devices"), data.join("etc")),
        None => (
            devices.clone().unwrap_or_else(|| "/srv/node".into()),
            swift_dir.clone().unwrap_or_else(|| "/etc/swift".into()),
        ),
    }
}

fn kind_of(folder: &str) -> Option<StoreKind> {
    match folder {
        "accounts" => Some(StoreKind::Account),
        "containers" => Some(StoreKind::Container),
        _ => None,
    }
}

/// Reads `devices/device/accounts/partition/suffix/hash/hash.db`.
pub(crate) fn from_path(target: &str) -> Option<(PathBuf, Location)> {
    let path = Path::new(target).canonicalize().ok()?;
    if path.extension()? != "db" {
        return None;
    }
    let mut above = path.ancestors().skip(1);
    let hash = NameHash::parse(above.next()?.file_name()?.to_str()?)?;
    let partition = above.nth(1)?.file_name()?.to_str()?.to_owned();
    let kind = kind_of(above.next()?.file_name()?.to_str()?)?;
    let device = above.next()?.file_name()?.to_str()?.to_owned();
    let devices = above.next()?.to_owned();
    Some((devices, Location::new(kind, device, partition, hash)?))
}

/// Reads `device/accounts/partition/hash`, the form in which locations are printed.
pub(crate) fn from_parts(target: &str) -> Option<Location> {
    let [device, kind, partition, hash] = target.split('/').collect::<Vec<_>>().try_into().ok()?;
    Location::new(kind_of(kind)?, device, partition, NameHash::parse(hash)?)
}

/// Looks through all devices, store by store.
async fn search(
    engine: &dyn Engine,
    devices: &Path,
    kind: StoreKind,
    hash: NameHash,
) -> Result<Option<Location>, Failure> {
    let mut names: Vec<String> = std::fs::read_dir(devices)
        .map_err(|e| Failure::new(format!("cannot read {}: {e}", devices.display())))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    for device in names {
        let mut after = None;
        loop {
            let page = engine.stores(&device, kind, after.as_ref(), PAGE).await?;
            if let Some(found) = page.iter().find(|location| location.hash() == hash) {
                return Ok(Some(found.clone()));
            }
            match page.last() {
                Some(last) => after = Some(last.clone()),
                None => break,
            }
        }
    }
    Ok(None)
}
