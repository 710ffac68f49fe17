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
    let (devices, swift_dir) = folders(args);
    let conf = SwiftConf::load(&swift_dir);
    let policies = conf
        .as_ref()
        .map_or_else(|_| Policies::legacy(), |conf| conf.policies.clone());
    let named = match from_path(&args.target) {
        Some(named) => Some(named),
        None => from_parts(&args.target).map(|location| (devices.clone(), location)),
    };
    if let Some((devices, location)) = named {
        let mut engines = Engines::new(registry, &devices, args.engine.as_deref())?;
        let engine = engines.of_device(location.device())?;
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
    let mut engines = Engines::new(registry, &devices, args.engine.as_deref())?;
    let (engine, location) = search(&mut engines, kind, hash).await?.ok_or_else(|| {
        Failure::new(format!(
            "no {kind} {:?} on any device in {}; name another folder with --data or --devices{}",
            args.target,
            devices.display(),
            engines.skipped_text()
        ))
    })?;
    Ok(Found {
        engine,
        location,
        policies,
    })
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

fn folders(args: &StoreArgs) -> (PathBuf, PathBuf) {
    let local = Path::new("apus-data");
    let default = args.devices.is_none() && args.swift_dir.is_none() && local.is_dir();
    let data = args
        .data
        .clone()
        .or_else(|| default.then(|| local.to_owned()));
    match data {
        Some(data) => (data.join("devices"), data.join("etc")),
        None => (
            args.devices.clone().unwrap_or_else(|| "/srv/node".into()),
            args.swift_dir
                .clone()
                .unwrap_or_else(|| "/etc/swift".into()),
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
fn from_path(target: &str) -> Option<(PathBuf, Location)> {
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
fn from_parts(target: &str) -> Option<Location> {
    let [device, kind, partition, hash] = target.split('/').collect::<Vec<_>>().try_into().ok()?;
    Location::new(kind_of(kind)?, device, partition, NameHash::parse(hash)?)
}

/// Looks through all devices, store by store. A device that cannot be used is passed over: the store
/// may be on another one.
async fn search(
    engines: &mut Engines<'_>,
    kind: StoreKind,
    hash: NameHash,
) -> Result<Option<(Arc<dyn Engine>, Location)>, Failure> {
    let mut names: Vec<String> = std::fs::read_dir(engines.devices)
        .map_err(|e| Failure::new(format!("cannot read {}: {e}", engines.devices.display())))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    for device in names {
        let engine = match engines.of_device(&device) {
            Ok(engine) => engine,
            Err(failure) => {
                engines.skipped.push(failure.to_string());
                continue;
            }
        };
        let mut after = None;
        loop {
            let page = engine.stores(&device, kind, after.as_ref(), PAGE).await?;
            if let Some(found) = page.iter().find(|location| location.hash() == hash) {
                return Ok(Some((engine, found.clone())));
            }
            match page.last() {
                Some(last) => after = Some(last.clone()),
                None => break,
            }
        }
    }
    Ok(None)
}
