//! What a server is given to work with: an engine, cluster facts, limits and a clock.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use broker_api::{Engine, HashPath, Location, MetadataLimits, StoreKind, Timestamp};
use swift_conf::value::FallocateReserve;
use swift_conf::{Constraints, Policies, Realms, RealmsEvent, RealmsFile};

/// The release of Swift whose behaviour the servers show, as they say it in `Server` and recon.
pub const SWIFT_VERSION: &str = "2.38.3";

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present moment, without an offset.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let units = u64::try_from(since_epoch.as_micros() / 10).unwrap_or(u64::MAX);
        Timestamp::new(units, 0).unwrap_or_default()
    }
}

/// The realms of container sync: fixed ones, or a file that is read again when it changes.
#[derive(Debug)]
pub struct SyncRealms {
    source: RealmsSource,
}

#[derive(Debug)]
enum RealmsSource {
    Fixed(Realms),
    File {
        file: Box<Mutex<RealmsFile>>,
        started: Instant,
    },
}

impl SyncRealms {
    /// Realms that never change.
    pub fn fixed(realms: Realms) -> Self {
        Self {
            source: RealmsSource::Fixed(realms),
        }
    }

    /// The realms of a file, usually `<swift_dir>/container-sync-realms.conf`; it need not exist.
    pub fn file(path: &Path) -> Self {
        let (file, event) = RealmsFile::new(path, Duration::ZERO);
        log_realms(&event);
        Self {
            source: RealmsSource::File {
                file: Box::new(Mutex::new(file)),
                started: Instant::now(),
            },
        }
    }

    /// Looks something up in the realms of this moment.
    ///
    /// A file is looked at no more often than its own check interval says, and it is small; so this
    /// may be called on an async thread.
    pub fn with<R>(&self, look_up: impl FnOnce(&Realms) -> R) -> R {
        match &self.source {
            RealmsSource::Fixed(realms) => look_up(realms),
            RealmsSource::File { file, started } => {
                // A panic in a look-up leaves the realms as they were.
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                log_realms(&file.poll(started.elapsed()));
                look_up(file.realms())
            }
        }
    }
}

impl Default for SyncRealms {
    fn default() -> Self {
        Self::fixed(Realms::default())
    }
}

fn log_realms(event: &RealmsEvent) {
    match event {
        RealmsEvent::Unchanged | RealmsEvent::Loaded(None) => {}
        RealmsEvent::Absent => tracing::debug!("there is no file of container sync realms"),
        RealmsEvent::Loaded(Some(error)) | RealmsEvent::Kept(error) => {
            tracing::error!(%error, "container sync realms");
        }
    }
}

/// Everything that the account server and the container server are configured with.
///
/// [`ServerContext::new`] gives Swift's defaults; set the fields that differ.
#[derive(Debug)]
pub struct ServerContext {
    /// The engine of all devices; it may itself lead to several.
    pub engine: Arc<dyn Engine>,
    /// The cluster's secret, which turns names into locations.
    pub hash_path: HashPath,
    /// The storage policies.
    pub policies: Arc<Policies>,
    /// Limits on metadata and listings, and the prefix of accounts that are made when first needed.
    pub constraints: Constraints,
    /// Room that must remain on a device for a write to be accepted.
    pub fallocate_reserve: FallocateReserve,
    /// Whether `X-Versions-Location` is kept; container server only.
    pub allow_versions: bool,
    /// How long to wait for a connection to an account server.
    pub conn_timeout: Duration,
    /// How long to wait for the answer of an account server.
    pub node_timeout: Duration,
    /// Hosts that `X-Container-Sync-To` may name in a URL; the URL's host is made lower case first.
    pub allowed_sync_hosts: Vec<String>,
    /// Realms that `X-Container-Sync-To` may name.
    pub realms: SyncRealms,
    /// Whether REPLICATE is wanted. It is refused in any case until it is built; see
    /// [`allowed_methods`](crate::allowed_methods).
    pub replication_server: bool,
    /// Tells the time at which stores are made.
    pub clock: Arc<dyn Clock>,
}

impl ServerContext {
    /// Swift's defaults around the given engine and cluster secret: one policy, system clock.
    pub fn new(engine: Arc<dyn Engine>, hash_path: HashPath) -> Self {
        Self {
            engine,
            hash_path,
            policies: Arc::new(Policies::legacy()),
            constraints: Constraints::default(),
            fallocate_reserve: FallocateReserve::default(),
            allow_versions: false,
            conn_timeout: Duration::from_millis(500),
            node_timeout: Duration::from_secs(3),
            allowed_sync_hosts: vec!["127.0.0.1".to_owned()],
            realms: SyncRealms::default(),
            replication_server: true,
            clock: Arc::new(SystemClock),
        }
    }

    /// The limits on user metadata.
    pub(crate) fn metadata_limits(&self) -> MetadataLimits {
        let whole = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        MetadataLimits {
            max_meta_count: whole(self.constraints.max_meta_count),
            max_meta_overall_size: whole(self.constraints.max_meta_overall_size),
        }
    }

    /// Whether an account is made by the first request that needs it.
    pub(crate) fn is_auto_created(&self, account: &str) -> bool {
        account.starts_with(&self.constraints.auto_create_account_prefix)
    }

    /// Where an account's store is; `None` when device or partition cannot be part of a location.
    pub(crate) fn account_location(
        &self,
        device: &str,
        partition: &str,
        account: &str,
    ) -> Option<Location> {
        let hash = self.hash_path.account(account);
        Location::new(StoreKind::Account, device, partition, hash)
    }

    /// As [`account_location`](Self::account_location), for a container.
    pub(crate) fn container_location(
        &self,
        device: &str,
        partition: &str,
        account: &str,
        container: &str,
    ) -> Option<Location> {
        let hash = self.hash_path.container(account, container);
        Location::new(StoreKind::Container, device, partition, hash)
    }
}

/// The id of a store that is made on a device.
pub(crate) fn new_store_id(device: &str) -> String {
    format!("{}-{device}", uuid::Uuid::new_v4())
}
