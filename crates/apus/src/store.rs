//! Finds the store that a person means.

use crate::cli::StoreArgs;
use crate::registry::{EngineSetup, Registry};
use crate::{Failure, ownership};
use broker_api::{Engine, HashPath, Location, NameHash, StoreKind};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swift_conf::server_conf::DEFAULT_ENGINE;
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
    let policies = SwiftConf::load(&swift_dir)
        .map_or_else(|_| Policies::legacy(), |conf| conf.policies.clone());
    let named = match from_path(&args.target) {
        Some(named) => Some(named),
        None => from_parts(&args.target).map(|location| (devices.clone(), location)),
    };
    let (engine, location) = match named {
        Some((devices, location)) => {
            let mut engines = Engines::new(registry, &devices, args.engine.as_deref())?;
            (engines.of_device(location.device())?, location)
        }
        None => {
            let mut engines = Engines::new(registry, &devices, args.engine.as_deref())?;
            search(&mut engines, &swift_dir, &args.target).await?
        }
    };
    Ok(Found {
        engine,
        location,
        policies,
    })
}

/// Finds the store of one engine that a path, a location or a name means.
pub(crate) async fn locate(
    engine: &dyn Engine,
    devices: &Path,
    swift_dir: &Path,
    target: &str,
) -> Result<Location, Failure> {
    if let Some((_, location)) = from_path(target) {
        return Ok(location);
    }
    if let Some(location) = from_parts(target) {
        return Ok(location);
    }
    let (kind, hash) = hash_of(swift_dir, target)?;
    for device in devices_in(devices)? {
        if let Some(found) = on_device(engine, &device, kind, hash).await? {
            return Ok(found);
        }
    }
    Err(nowhere(devices, kind, target, ""))
}

/// The engines of devices, each opened when the first device needs it.
struct Engines<'a> {
    registry: &'a Registry,
    devices: &'a Path,
    /// The engine that was asked for.
    asked: Option<&'a str>,
    open: BTreeMap<String, Arc<dyn Engine>>,
    /// Why devices could not be searched.
    skipped: Vec<String>,
}

impl<'a> Engines<'a> {
    fn new(
        registry: &'a Registry,
        devices: &'a Path,
        asked: Option<&'a str>,
    ) -> Result<Self, Failure> {
        if let Some(asked) = asked {
            registry.find(asked)?;
        }
        Ok(Self {
            registry,
            devices,
            asked,
            open: BTreeMap::new(),
            skipped: Vec::new(),
        })
    }

    /// The engine that a device belongs to; of a free one, the engine that was asked for.
    fn of_device(&mut self, device: &str) -> Result<Arc<dyn Engine>, Failure> {
        let path = self.devices.join(device);
        let owner = match self.asked {
            Some(asked) => ownership::check(self.registry, &path, asked)?,
            None => ownership::owner(self.registry, &path)?,
        };
        let default = self.asked.unwrap_or(DEFAULT_ENGINE).to_owned();
        let name = owner.map_or(default, |owner| owner.engine);
        if let Some(open) = self.open.get(&name) {
            return Ok(Arc::clone(open));
        }
        let setup = EngineSetup::new(self.devices);
        let engine = self.registry.open(&name, &setup)?;
        self.open.insert(name, Arc::clone(&engine));
        Ok(engine)
    }

    fn skipped_text(&self) -> String {
        let skipped = self.skipped.iter();
        skipped
            .map(|reason| format!("; not searched: {reason}"))
            .collect()
    }
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

/// The names in a folder of devices, in order.
pub(crate) fn devices_in(devices: &Path) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = std::fs::read_dir(devices)
        .map_err(|e| Failure::new(format!("cannot read {}: {e}", devices.display())))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// The kind and the hash of `account` or `account/container`.
fn hash_of(swift_dir: &Path, target: &str) -> Result<(StoreKind, NameHash), Failure> {
    let conf = SwiftConf::load(swift_dir)?;
    let hash_path = HashPath::new(conf.hash_path_prefix, conf.hash_path_suffix);
    let name = target.trim_start_matches('/');
    Ok(match name.split_once('/') {
        Some((account, container)) => (
            StoreKind::Container,
            hash_path.container(account, container),
        ),
        None => (StoreKind::Account, hash_path.account(name)),
    })
}

/// Looks through all devices. One that cannot be used is passed over: the store may be on another.
async fn search(
    engines: &mut Engines<'_>,
    swift_dir: &Path,
    target: &str,
) -> Result<(Arc<dyn Engine>, Location), Failure> {
    let (kind, hash) = hash_of(swift_dir, target)?;
    for device in devices_in(engines.devices)? {
        let engine = match engines.of_device(&device) {
            Ok(engine) => engine,
            Err(failure) => {
                engines.skipped.push(failure.to_string());
                continue;
            }
        };
        if let Some(found) = on_device(&*engine, &device, kind, hash).await? {
            return Ok((engine, found));
        }
    }
    Err(nowhere(
        engines.devices,
        kind,
        target,
        &engines.skipped_text(),
    ))
}

/// Looks through the stores of a device.
async fn on_device(
    engine: &dyn Engine,
    device: &str,
    kind: StoreKind,
    hash: NameHash,
) -> Result<Option<Location>, Failure> {
    let mut after = None;
    loop {
        let page = engine.stores(device, kind, after.as_ref(), PAGE).await?;
        if let Some(found) = page.iter().find(|location| location.hash() == hash) {
            return Ok(Some(found.clone()));
        }
        match page.last() {
            Some(last) => after = Some(last.clone()),
            None => return Ok(None),
        }
    }
}

fn nowhere(devices: &Path, kind: StoreKind, target: &str, skipped: &str) -> Failure {
    Failure::new(format!(
        "no {kind} {target:?} on any device in {}; name another folder with --data or --devices{skipped}",
        devices.display()
    ))
}
