//! The engines of a server: which of its configuration it opens, and what stays over a reload.

use crate::registry::{EngineSetup, Registry};
use crate::routing::{Opened, Routes, Routing};
use crate::{Failure, chain};
use broker_http::transport::raise_open_files;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use swift_conf::ServerConf;

/// Files that one store of the hungriest engine keeps open: SQLite's database, directory, lock and
/// pending file, for a writer, two readers and the one that merges the pending file.
const FILES_OF_A_STORE: u64 = 16;

/// Engines that are open, by name. A reload keeps those whose setup did not change: an engine holds
/// its stores, and of most kinds two must not work on the same devices.
#[derive(Debug, Default)]
pub(crate) struct Engines(BTreeMap<String, (EngineKey, Opened)>);

/// What an engine was opened with, as far as configuration can change it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EngineKey {
    devices: PathBuf,
    mount_check: bool,
    db_preallocation: bool,
    settings: BTreeMap<String, String>,
}

impl EngineKey {
    fn new(conf: &ServerConf, name: &str) -> Self {
        Self {
            devices: conf.devices.clone(),
            mount_check: conf.mount_check,
            db_preallocation: conf.db_preallocation && !conf.disable_fallocate,
            settings: conf.engines.settings_of(name),
        }
    }

    fn setup(&self) -> EngineSetup {
        let mut setup = EngineSetup::new(&self.devices);
        setup.mount_check = self.mount_check;
        setup.db_preallocation = self.db_preallocation;
        setup.settings.clone_from(&self.settings);
        let stores = setup.runtime.open_stores;
        setup.runtime.open_stores = stores.min(stores_that_fit(raise_open_files()));
        setup
    }
}

impl Engines {
    /// Opens the engines that a configuration uses, and keeps those of `before` that are the same.
    /// `warnings` hears of what an operator should know and may leave as it is.
    pub(crate) fn open(
        registry: &Registry,
        conf: &ServerConf,
        before: &Engines,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        let refused = |text: String| Failure::new(format!("{}: {text}", conf.source.display()));
        check_sections(registry, conf, warnings).map_err(refused)?;
        let mut engines = Self::default();
        for name in conf.engines.used() {
            if engines.0.contains_key(name) {
                continue;
            }
            let key = EngineKey::new(conf, name);
            let opened = match before.0.get(name) {
                Some((known, opened)) if *known == key || !may_be_open_twice(opened) => {
                    let kept = keep(name, known, key, warnings).map_err(refused)?;
                    (kept, opened.clone())
                }
                _ => {
                    let entry = *registry.find(name).map_err(|e| refused(e.to_string()))?;
                    let engine = registry.open(name, &key.setup());
                    let engine = engine.map_err(|error| refused(chain(&error)))?;
                    (key, Opened { entry, engine })
                }
            };
            engines.0.insert(name.to_owned(), opened);
        }
        Ok(engines)
    }

    /// The engine of all devices of a configuration, which these were opened for.
    pub(crate) fn routing(
        &self,
        registry: &Registry,
        conf: &ServerConf,
    ) -> Result<Routing, Failure> {
        let opened = |name: &str| match self.0.get(name) {
            Some((_, opened)) => Ok(opened.clone()),
            None => Err(Failure::new(format!("the engine {name:?} is not open"))),
        };
        let per_device = conf.engines.per_device.iter();
        let per_device = per_device.map(|(device, name)| Ok((device.clone(), opened(name)?)));
        Ok(Routing::new(Routes {
            registry: registry.clone(),
            devices: conf.devices.clone(),
            mount_check: conf.mount_check,
            default: opened(&conf.engines.default)?,
            per_device: per_device.collect::<Result<_, Failure>>()?,
        }))
    }
}

/// A section whose engine nothing uses is an operator's note for another day, unless it is misspelt.
fn check_sections(
    registry: &Registry,
    conf: &ServerConf,
    warnings: &mut Vec<String>,
) -> Result<(), String> {
    for name in conf.engines.settings.keys() {
        if conf.engines.used().any(|used| used == name) {
            continue;
        }
        let known = registry.entries().iter().map(|entry| entry.name);
        let mut known = known.chain(registry.left_out().map(|left_out| left_out.name));
        if known.any(|known| known == name) {
            warnings.push(format!("[engine:{name}] is not in use: no device has it"));
        } else if let Err(error) = registry.find(name) {
            return Err(format!("[engine:{name}]: {error}"));
        }
    }
    Ok(())
}

/// Whether a second engine of the kind may work on the same devices while the first one ends.
fn may_be_open_twice(opened: &Opened) -> bool {
    opened.engine.capabilities().shared_between_processes
}

/// What an engine that stays open has from now on: what it had.
fn keep(
    name: &str,
    known: &EngineKey,
    wanted: EngineKey,
    warnings: &mut Vec<String>,
) -> Result<EngineKey, String> {
    let place = |key: &EngineKey| (key.devices.clone(), key.mount_check);
    if place(known) != place(&wanted) {
        return Err(format!(
            "devices or mount_check changed, and the engine {name} cannot be opened twice: restart the \
             server"
        ));
    }
    if *known != wanted {
        warnings.push(format!(
            "[engine:{name}] changed, and the engine cannot be opened twice: its old settings stay in \
             force, restart the server for the new ones"
        ));
    }
    Ok(known.clone())
}

/// How many stores fit below the open file limit, in the quarter that connections leave to them.
fn stores_that_fit(open_files: u64) -> NonZeroUsize {
    let stores = usize::try_from(open_files / 4 / FILES_OF_A_STORE).unwrap_or(usize::MAX);
    NonZeroUsize::new(stores).unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(devices: &str, settings: &[(&str, &str)]) -> EngineKey {
        let settings = settings.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        EngineKey {
            devices: devices.into(),
            mount_check: true,
            db_preallocation: false,
            settings: settings.collect(),
        }
    }

    /// A failure would mean that a reload says one thing and serves another.
    #[test]
    fn an_engine_that_stays_open_keeps_its_setup() {
        let (had, mut warnings) = (key("/srv/node", &[]), Vec::new());
        let elsewhere = keep("sled", &had, key("/mnt", &[]), &mut warnings);
        assert!(elsewhere.unwrap_err().contains("restart"));
        let same = keep("sled", &had, had.clone(), &mut warnings);
        assert_eq!((same, warnings.len()), (Ok(had.clone()), 0));
        let changed = key("/srv/node", &[("mode", "low_space")]);
        let kept = keep("sled", &had, changed, &mut warnings);
        assert_eq!((kept, warnings.len()), (Ok(had), 1));
    }

    /// A failure would mean that a node with a low limit runs out of files as soon as it is busy.
    #[test]
    fn open_stores_fit_below_the_open_file_limit() {
        assert_eq!(stores_that_fit(0).get(), 1);
        assert_eq!(stores_that_fit(1024).get(), 16);
        assert!(stores_that_fit(u64::MAX).get() > 1_000_000);
    }
}
