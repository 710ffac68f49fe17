//! The file of one account or container server: `account-server.conf`, `container-server.conf`.
//!
//! ```text
//! [DEFAULT] + [app:<kind>-server]   address, workers, log, engine   ListenConf, ProcessConf, ...
//! [pipeline:main]                   filters in order                Vec<PipelineFilter>
//! [filter:NAME]                     their options                   Filter
//! [engine:NAME]                     settings of one engine          EngineChoice::settings
//! ```
//!
//! Options that this program does not know are ignored in `[DEFAULT]`, app and filter sections, as
//! Swift does; a filter that it does not know is refused, because leaving out, say, a rate limit
//! must not pass unseen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Place, shorten};
use crate::options::Options;
use crate::paste::{Component, PasteConf, Pipeline};
use crate::ratelimit_conf::RateLimitConf;
use crate::value::{self, AutoInteger, FallocateReserve, trim};

mod log;
mod process;

pub use log::{LogConf, LogTarget, StatsdConf};
pub use process::{IoClass, KeepAlive, ListenConf, ProcessConf, Workers};

/// The filters that a pipeline may name, by what follows `egg:swift#`.
pub const KNOWN_FILTERS: [&str; 3] = ["backend_ratelimit", "healthcheck", "recon"];
/// The engine of a file that names none.
pub const DEFAULT_ENGINE: &str = "sqlite";

const ENGINE_SECTION: &str = "engine:";

/// Which of the two servers a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerKind {
    /// The account server.
    Account,
    /// The container server.
    Container,
}

impl ServerKind {
    /// Returns the app's section name and default log name: `account-server`, `container-server`.
    pub fn server_name(self) -> &'static str {
        match self {
            Self::Account => "account-server",
            Self::Container => "container-server",
        }
    }

    /// Returns what follows `egg:swift#` in the app's `use`.
    pub fn factory(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Container => "container",
        }
    }
}

/// One server's configuration, complete and checked.
#[derive(Debug, Clone)]
pub struct ServerConf {
    /// Which server it is for.
    pub kind: ServerKind,
    /// The file or directory that was read.
    pub source: PathBuf,
    /// Where to listen.
    pub listen: ListenConf,
    /// Workers, user and time limits.
    pub process: ProcessConf,
    /// The log.
    pub log: LogConf,
    /// Metrics; `None` without a host.
    pub statsd: Option<StatsdConf>,
    /// Directory of `swift.conf` and the rings.
    pub swift_dir: PathBuf,
    /// Directory that holds the devices.
    pub devices: PathBuf,
    /// A device must be a mount point.
    pub mount_check: bool,
    /// Free space that must remain on a device.
    pub fallocate_reserve: FallocateReserve,
    /// Files are never preallocated.
    pub disable_fallocate: bool,
    /// Database files grow in steps; SQLite only.
    pub db_preallocation: bool,
    /// Every query is logged; SQLite only.
    pub db_query_logging: bool,
    /// REPLICATE is served.
    pub replication_server: bool,
    /// What only container servers have; `None` in an account server.
    pub container: Option<ContainerConf>,
    /// The filters, outermost first.
    pub pipeline: Vec<PipelineFilter>,
    /// The engines.
    pub engines: EngineChoice,
}

impl ServerConf {
    /// Reads a file or a directory of `*.conf` files.
    ///
    /// # Errors
    ///
    /// The first thing that keeps a server from starting, with its place and what to do.
    pub fn load(path: &Path, kind: ServerKind) -> Result<Self, Error> {
        Self::from_paste(&PasteConf::load(path)?, kind)
    }

    /// Parses the text of one file; `source` is for messages and `%(here)s`.
    ///
    /// # Errors
    ///
    /// As [`ServerConf::load`].
    pub fn parse(bytes: &[u8], source: &Path, kind: ServerKind) -> Result<Self, Error> {
        Self::from_paste(&PasteConf::parse(bytes, source)?, kind)
    }

    fn from_paste(paste: &PasteConf, kind: ServerKind) -> Result<Self, Error> {
        let server = paste.app(kind.server_name())?.options;
        let log_name = server.text("log_name", kind.server_name());
        let Pipeline { filters, app } = paste.pipeline(&[("log_name", &log_name)])?;
        check_app(&app, kind)?;
        let app = app.options;
        Ok(Self {
            kind,
            source: paste.ini().source().to_path_buf(),
            listen: ListenConf::from_options(&server)?,
            process: ProcessConf::from_options(&server)?,
            log: LogConf::from_options(&server, &app, log_name)?,
            statsd: StatsdConf::from_options(&server)?,
            swift_dir: app.path("swift_dir", "/etc/swift"),
            devices: app.path("devices", "/srv/node"),
            mount_check: app.flag("mount_check", true),
            fallocate_reserve: read_reserve(&app)?,
            disable_fallocate: server.flag("disable_fallocate", false),
            db_preallocation: app.flag("db_preallocation", false),
            db_query_logging: app.flag("db_query_logging", false),
            replication_server: app.flag("replication_server", true),
            container: match kind {
                ServerKind::Account => None,
                ServerKind::Container => Some(ContainerConf::from_options(&app)?),
            },
            pipeline: filters
                .iter()
                .map(PipelineFilter::read)
                .collect::<Result<_, _>>()?,
            engines: EngineChoice::read(paste, &app)?,
        })
    }
}

/// What only container servers have.
#[derive(Debug, Clone)]
pub struct ContainerConf {
    /// Time to connect to an account server.
    pub conn_timeout: Duration,
    /// Time for an account server's answer.
    pub node_timeout: Duration,
    /// Hosts that containers may sync to by URL.
    pub allowed_sync_hosts: Vec<String>,
    /// `X-Versions-Location` is kept; deprecated.
    pub allow_versions: bool,
}

impl ContainerConf {
    fn from_options(options: &Options) -> Result<Self, Error> {
        Ok(Self {
            conn_timeout: options.seconds("conn_timeout", Duration::from_millis(500))?,
            node_timeout: options.seconds("node_timeout", Duration::from_secs(3))?,
            allowed_sync_hosts: value::list(
                options.get("allowed_sync_hosts").unwrap_or("127.0.0.1"),
            ),
            allow_versions: options.flag("allow_versions", false),
        })
    }
}

/// One filter of the pipeline.
#[derive(Debug, Clone)]
pub struct PipelineFilter {
    /// The name that the pipeline gives it.
    pub name: String,
    /// What it is.
    pub filter: Filter,
}

/// A filter and its options.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Filter {
    /// Answers `/healthcheck`.
    HealthCheck {
        /// The answer is `DISABLED BY FILE` while this file exists.
        disable_path: Option<PathBuf>,
    },
    /// Answers `/recon/...`.
    Recon {
        /// Directory of the files that daemons write.
        recon_cache_path: PathBuf,
        /// Directory that holds the devices.
        devices: PathBuf,
        /// Directory of `swift.conf` and the rings.
        swift_dir: PathBuf,
    },
    /// Refuses requests beyond a rate.
    BackendRateLimit(RateLimitConf),
}

impl PipelineFilter {
    fn read(component: &Component) -> Result<Self, Error> {
        let options = &component.options;
        let filter = match component.factory.as_str() {
            "healthcheck" => Filter::HealthCheck {
                disable_path: options.non_empty("disable_path").map(PathBuf::from),
            },
            "recon" => Filter::Recon {
                recon_cache_path: options.path("recon_cache_path", "/var/cache/swift"),
                devices: options.path("devices", "/srv/node"),
                swift_dir: options.path("swift_dir", "/etc/swift"),
            },
            "backend_ratelimit" => Filter::BackendRateLimit(RateLimitConf::from_options(options)?),
            other => return Err(unknown_filter(component, other)),
        };
        Ok(Self {
            name: component.name.clone(),
            filter,
        })
    }
}

/// Which engine opens the stores of which device.
///
/// ```ini
/// [app:container-server]
/// use = egg:swift#container
/// engine = rocksdb
/// engine.sdb1 = sqlite
///
/// [engine:rocksdb]
/// durability = disk
/// ```
///
/// The two options follow the rule of app sections: one in `[DEFAULT]` wins unless `set` is written.
/// An engine's section inherits nothing from `[DEFAULT]`, and needs no `set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineChoice {
    /// Engine of the devices that are not named.
    pub default: String,
    /// Engine by device name.
    pub per_device: BTreeMap<String, String>,
    /// Settings by engine name, unchecked.
    pub settings: BTreeMap<String, BTreeMap<String, String>>,
}

impl EngineChoice {
    /// Returns the engine of a device.
    pub fn of_device(&self, device: &str) -> &str {
        self.per_device.get(device).unwrap_or(&self.default)
    }

    /// Returns the settings of an engine; empty if it has no section.
    pub fn settings_of(&self, engine: &str) -> BTreeMap<String, String> {
        self.settings.get(engine).cloned().unwrap_or_default()
    }

    /// Visits the names of all engines that some device uses, the default one first; may repeat.
    pub fn used(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.default)
            .chain(self.per_device.values())
            .map(String::as_str)
    }

    fn read(paste: &PasteConf, app: &Options) -> Result<Self, Error> {
        let mut choice = Self::default();
        for (name, engine) in app.iter() {
            let device = name.strip_prefix("engine.");
            if name != "engine" && device.is_none() {
                continue;
            }
            if engine.is_empty() {
                return Err(app.bad_value(name, "name an engine, or remove the line"));
            }
            match device {
                None => choice.default = engine.to_owned(),
                Some(device) if !is_device_name(device) => {
                    let advice = "write engine.DEVICE = NAME, with the name of a folder of devices";
                    return Err(app.bad_value(name, advice));
                }
                Some(device) => drop(
                    choice
                        .per_device
                        .insert(device.to_owned(), engine.to_owned()),
                ),
            }
        }
        choice.settings = read_engine_sections(paste)?;
        Ok(choice)
    }
}

/// Whether Swift's servers take the name for a device in a request.
fn is_device_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-~".contains(&b);
    !matches!(name, "" | "." | "..") && name.bytes().all(plain)
}

impl Default for EngineChoice {
    fn default() -> Self {
        Self {
            default: DEFAULT_ENGINE.to_owned(),
            per_device: BTreeMap::new(),
            settings: BTreeMap::new(),
        }
    }
}

fn read_engine_sections(
    paste: &PasteConf,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Error> {
    let mut all = BTreeMap::new();
    for section in paste.ini().sections() {
        let Some(name) = section.strip_prefix(ENGINE_SECTION).map(trim) else {
            continue;
        };
        let place = || Place {
            section: Some(section.to_owned()),
            ..Place::file(paste.ini().source())
        };
        if name.is_empty() {
            let problem = "the engine has no name";
            return Err(Error::new(
                ErrorKind::Missing,
                place(),
                problem,
                "write [engine:NAME]",
            ));
        }
        let Some(options) = paste.ini().own_section(section)? else {
            continue;
        };
        let settings = options
            .iter()
            .map(|(name, text)| (name.to_owned(), text.to_owned()));
        if all.insert(name.to_owned(), settings.collect()).is_some() {
            let problem = "this engine has two sections";
            return Err(Error::new(
                ErrorKind::Syntax,
                place(),
                problem,
                "merge the two",
            ));
        }
    }
    Ok(all)
}

fn read_reserve(options: &Options) -> Result<FallocateReserve, Error> {
    let Some(text) = options.get("fallocate_reserve") else {
        return Ok(FallocateReserve::default());
    };
    FallocateReserve::parse(text).ok_or_else(|| {
        options.bad_value(
            "fallocate_reserve",
            "give bytes such as 1073741824, or per cent such as 1%",
        )
    })
}

fn check_app(app: &Component, kind: ServerKind) -> Result<(), Error> {
    if app.factory == kind.factory() {
        return Ok(());
    }
    let problem = format!("the pipeline ends in egg:swift#{}", shorten(&app.factory));
    let advice = format!(
        "for this server the app must use egg:swift#{}",
        kind.factory()
    );
    Err(Error::new(
        ErrorKind::Unknown,
        component_place(app),
        problem,
        advice,
    ))
}

fn unknown_filter(component: &Component, factory: &str) -> Error {
    let problem = format!("there is no filter egg:swift#{}", shorten(factory));
    let known = KNOWN_FILTERS.join(", ");
    let advice = format!("take it out of the pipeline; known filters are {known}");
    Error::new(
        ErrorKind::Unknown,
        component_place(component),
        problem,
        advice,
    )
}

fn component_place(component: &Component) -> Place {
    Place {
        option: None,
        ..component.options.place("use")
    }
}
