//! Where devices are, and how engines are opened on them.

use crate::Failure;
use crate::cli::PlaceArgs;
use crate::registry::{EngineSetup, Registry};
use crate::store::{folders, from_path};
use broker_api::Engine;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swift_conf::{ServerConf, ServerKind};

/// Folders, and what a server's configuration says about engines.
pub(super) struct Place {
    pub(super) devices: PathBuf,
    pub(super) swift_dir: PathBuf,
    conf: Option<ServerConf>,
}

impl Place {
    /// What the options say. The path of a store's file names its folder of devices by itself.
    pub(super) fn of(args: &PlaceArgs, store: Option<&str>) -> Result<Self, Failure> {
        let (mut devices, mut swift_dir) = folders(&args.data, &args.devices, &args.swift_dir);
        let conf = args.conf.as_deref().map(load).transpose()?;
        if let Some(conf) = &conf {
            devices.clone_from(&conf.devices);
            if args.swift_dir.is_none() {
                swift_dir.clone_from(&conf.swift_dir);
            }
        }
        if let Some((of_store, _)) = store.and_then(from_path) {
            devices = of_store;
        }
        Ok(Self {
            devices,
            swift_dir,
            conf,
        })
    }

    /// Opens an engine as the configuration says.
    pub(super) fn open(&self, registry: &Registry, name: &str) -> Result<Arc<dyn Engine>, Failure> {
        let mut setup = EngineSetup::new(&self.devices);
        // Stores come one after the other, and each thread that allocates keeps some of what it frees.
        setup.runtime.workers = 1;
        setup.runtime.open_stores = NonZeroUsize::MIN;
        if let Some(conf) = &self.conf {
            setup.mount_check = conf.mount_check;
            setup.settings = conf.engines.settings_of(name);
        }
        for (setting, value) in registry.find(name)?.one_pass {
            let given = setup.settings.entry((*setting).to_owned());
            given.or_insert_with(|| (*value).to_owned());
        }
        Ok(registry.open(name, &setup)?)
    }
}

/// Loads the configuration of a container server, or of an account server.
fn load(path: &Path) -> Result<ServerConf, Failure> {
    let container = ServerConf::load(path, ServerKind::Container);
    Ok(container.or_else(|_| ServerConf::load(path, ServerKind::Account))?)
}
