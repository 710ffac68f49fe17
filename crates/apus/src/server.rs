//! `apus account-server` and `apus container-server`: one server from one configuration.
//!
//! ```text
//! ConfSource ─► ServerConf, SwiftConf ─► engines ─► ServerContext ─► App ─► filters ─► transport
//!      ▲                                                                                │
//!      └────────────────────────── SIGHUP: once more, the socket stays ─────────────────┘
//! ```

use crate::cli::ServerArgs;
use crate::privileges::{become_user, set_priority};
use crate::registry::{EngineSetup, Registry};
use crate::signals::{Asked, Signals};
use crate::{Failure, chain};
use broker_api::{Engine, HashPath};
use broker_http::context::{EngineMap, ServerContext, SyncRealms};
use broker_http::filters::Pipeline;
use broker_http::log::{
    LogLayer, LogSink, LogSinkOptions, Logged, RequestLog, Statsd, StatsdOptions, Target,
};
use broker_http::transport::{Bind, Options, ReloadHandle, Server, bind, raise_open_files};
use broker_http::{AccountServer, App, ContainerServer, Request, Response};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use swift_conf::{ServerConf, ServerKind, SwiftConf};
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Files that one store of the hungriest engine keeps open: SQLite's database, directory, lock and
/// pending file, for a writer and two readers.
const FILES_OF_A_STORE: u64 = 12;

/// How long the last log lines may take at the end.
const LOG_FLUSH: Duration = Duration::from_secs(1);

/// Where a server's configuration comes from; read again on every reload.
#[derive(Debug, Clone)]
pub(crate) enum ConfSource {
    /// A file, or a folder of files.
    File(PathBuf, ServerKind),
    /// A text of ours, with the name that messages give it.
    Text {
        text: String,
        name: PathBuf,
        kind: ServerKind,
    },
}

impl ConfSource {
    fn load(&self) -> Result<ServerConf, Failure> {
        Ok(match self {
            ConfSource::File(path, kind) => ServerConf::load(path, *kind)?,
            ConfSource::Text { text, name, kind } => {
                ServerConf::parse(text.as_bytes(), name, *kind)?
            }
        })
    }
}

/// Runs the command until it is told to stop.
pub(crate) fn run(registry: &Registry, kind: ServerKind, args: &ServerArgs) -> Result<(), Failure> {
    let source = ConfSource::File(args.conf.clone(), kind);
    if args.test_config {
        let stage = Stage::prepare(registry, source, true)?;
        println!("{} can be used", stage.conf.source.display());
        return Ok(());
    }
    let conf = source.load()?;
    set_priority(&conf.process);
    become_user(&conf.process.user)?;
    let threads = Options::threads(&conf.process);
    let stage = Stage::prepare(registry, source, args.verbose)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    runtime.block_on(run_stages(registry, vec![stage]))
}

/// A server that is ready to listen.
pub(crate) struct Stage {
    source: ConfSource,
    conf: ServerConf,
    log_to_stderr: bool,
    app: Pipeline<Logged<AnyServer>>,
    log: LogSink,
    statsd: Statsd,
    options: Options,
    engines: Engines,
}

/// Engines that are open, by name. A reload keeps those whose setup did not change: an engine holds
/// its stores, and two of a kind must not work on the same devices.
type Engines = BTreeMap<String, (EngineKey, Arc<dyn Engine>)>;

/// What an engine was opened with, as far as configuration can change it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EngineKey {
    devices: PathBuf,
    mount_check: bool,
    db_preallocation: bool,
    settings: BTreeMap<String, String>,
}

impl Stage {
    /// Reads the configuration and opens the engines that it names. The log goes where the
    /// configuration says, or to standard error.
    pub(crate) fn prepare(
        registry: &Registry,
        source: ConfSource,
        log_to_stderr: bool,
    ) -> Result<Self, Failure> {
        Self::prepare_with(registry, source, log_to_stderr, &Engines::new())
    }

    fn prepare_with(
        registry: &Registry,
        source: ConfSource,
        log_to_stderr: bool,
        open: &Engines,
    ) -> Result<Self, Failure> {
        let conf = source.load()?;
        if conf.listen.tls_files.is_some() {
            return Err(Failure::new(format!(
                "{}: cert_file: TLS is not offered; remove cert_file and key_file, or put a TLS \
                 proxy in front",
                conf.source.display()
            )));
        }
        let swift = SwiftConf::load(&conf.swift_dir)?;
        let engines = open_engines(registry, &conf, open)?;
        let context = Arc::new(context(&conf, &swift, &engines)?);
        let server = match conf.kind {
            ServerKind::Account => AnyServer::Account(AccountServer::new(context)),
            ServerKind::Container => AnyServer::Container(ContainerServer::new(context)),
        };
        let options = Options::from_conf(&conf, &swift.constraints);
        let (log, statsd) = (open_log(&conf, log_to_stderr)?, open_statsd(&conf)?);
        let refused =
            |problem: String| Failure::new(format!("{}: {problem}", conf.source.display()));
        let request_log = RequestLog::from_conf(&conf.log, log.clone());
        let request_log = request_log.map_err(|error| refused(chain(&error)))?;
        let server = Logged::new(server, request_log, statsd.clone());
        let app = Pipeline::from_conf(&conf.pipeline, &swift.policies, &statsd, server);
        let app = app.map_err(|name| refused(format!("there is no filter {name:?}")))?;
        Ok(Self {
            source,
            conf,
            log_to_stderr,
            app,
            log,
            statsd,
            options,
            engines,
        })
    }
}

fn open_log(conf: &ServerConf, to_stderr: bool) -> Result<LogSink, Failure> {
    let mut options = LogSinkOptions::from(&conf.log);
    if to_stderr {
        options.target = Target::Stderr;
    }
    Ok(LogSink::start(options)?)
}

fn open_statsd(conf: &ServerConf) -> Result<Statsd, Failure> {
    match &conf.statsd {
        None => Ok(Statsd::off()),
        Some(statsd) => Ok(Statsd::start(StatsdOptions::from_conf(
            statsd,
            &conf.log.name,
        ))?),
    }
}

/// Sends what is not a request line, such as what the engines say, to the log of a server.
fn log_events_to(log: &LogSink) {
    let subscriber = tracing_subscriber::registry().with(LogLayer::new(log.clone()));
    // One log is enough: a second server of this process finds the first one's.
    let _ = subscriber.try_init();
}

fn open_engines(
    registry: &Registry,
    conf: &ServerConf,
    open: &Engines,
) -> Result<Engines, Failure> {
    let mut engines = Engines::new();
    for name in conf.engines.used() {
        if engines.contains_key(name) {
            continue;
        }
        let key = EngineKey {
            devices: conf.devices.clone(),
            mount_check: conf.mount_check,
            db_preallocation: conf.db_preallocation && !conf.disable_fallocate,
            settings: conf.engines.settings_of(name),
        };
        let engine = match open.get(name) {
            Some((known, engine)) if *known == key => Arc::clone(engine),
            _ => registry.open(name, &setup(&key)).map_err(|error| {
                Failure::new(format!("{}: {}", conf.source.display(), chain(&error)))
            })?,
        };
        engines.insert(name.to_owned(), (key, engine));
    }
    Ok(engines)
}

fn setup(key: &EngineKey) -> EngineSetup {
    let mut setup = EngineSetup::new(&key.devices);
    setup.mount_check = key.mount_check;
    setup.db_preallocation = key.db_preallocation;
    setup.settings.clone_from(&key.settings);
    let stores = setup.runtime.open_stores;
    setup.runtime.open_stores = stores.min(stores_that_fit(raise_open_files()));
    setup
}

/// How many stores fit below the open file limit, in the quarter that connections leave to them.
fn stores_that_fit(open_files: u64) -> NonZeroUsize {
    let stores = usize::try_from(open_files / 4 / FILES_OF_A_STORE).unwrap_or(usize::MAX);
    NonZeroUsize::new(stores).unwrap_or(NonZeroUsize::MIN)
}

fn context(
    conf: &ServerConf,
    swift: &SwiftConf,
    engines: &Engines,
) -> Result<ServerContext, Failure> {
    let engine = |name: &str| {
        let found = engines.get(name).map(|(_, engine)| Arc::clone(engine));
        found.ok_or_else(|| Failure::new(format!("the engine {name:?} is not open")))
    };
    let mut map = EngineMap::single(engine(&conf.engines.default)?);
    for (device, name) in &conf.engines.per_device {
        map.per_device.insert(device.clone(), engine(name)?);
    }
    let (prefix, suffix) = (
        swift.hash_path_prefix.clone(),
        swift.hash_path_suffix.clone(),
    );
    let mut context = ServerContext::new(map, HashPath::new(prefix, suffix));
    context.policies = Arc::new(swift.policies.clone());
    context.constraints = swift.constraints.clone();
    context.fallocate_reserve = conf.fallocate_reserve;
    context.replication_server = conf.replication_server;
    if let Some(container) = &conf.container {
        context.allow_versions = container.allow_versions;
        context.conn_timeout = container.conn_timeout;
        context.node_timeout = container.node_timeout;
        context
            .allowed_sync_hosts
            .clone_from(&container.allowed_sync_hosts);
        let realms = conf.swift_dir.join("container-sync-realms.conf");
        context.realms = SyncRealms::file(&realms);
    }
    Ok(context)
}

/// Either server, so that one transport type serves both.
enum AnyServer {
    Account(AccountServer),
    Container(ContainerServer),
}

impl App for AnyServer {
    async fn handle(&self, request: Request) -> Response {
        match self {
            AnyServer::Account(server) => server.handle(request).await,
            AnyServer::Container(server) => server.handle(request).await,
        }
    }

    fn server_type(&self) -> broker_http::ServerKind {
        match self {
            AnyServer::Account(server) => server.server_type(),
            AnyServer::Container(server) => server.server_type(),
        }
    }
}

/// A server that listens, with what a reload replaces.
struct Running {
    source: ConfSource,
    log_to_stderr: bool,
    handle: ReloadHandle<Pipeline<Logged<AnyServer>>>,
    engines: Engines,
    log: LogSink,
    statsd: Statsd,
}

impl Running {
    /// Takes over the configuration as it is now; keeps the old one when it cannot be used.
    fn reload(&mut self, registry: &Registry) {
        let source = self.source.clone();
        match Stage::prepare_with(registry, source, self.log_to_stderr, &self.engines) {
            Ok(stage) => {
                self.handle.reload(stage.app, stage.options);
                self.engines = stage.engines;
                self.log = stage.log;
                self.statsd = stage.statsd;
                tracing::info!("took over {}", stage.conf.source.display());
            }
            Err(failure) => tracing::error!("keeping the old configuration: {failure}"),
        }
    }
}

/// Runs servers together until SIGTERM or SIGINT; SIGHUP and SIGUSR1 reload all of them.
pub(crate) async fn run_stages(registry: &Registry, stages: Vec<Stage>) -> Result<(), Failure> {
    raise_open_files();
    let mut signals = Signals::listen()?;
    let (stop, stopped) = watch::channel(false);
    let mut servers = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for stage in stages {
        log_events_to(&stage.log);
        let listen = &stage.conf.listen;
        let listener = bind(&Bind::from(listen)).await.map_err(|error| {
            Failure::new(format!(
                "cannot listen on {}:{}: {error}",
                listen.bind_ip, listen.bind_port
            ))
        })?;
        let server = Server::new(stage.app, stage.options);
        servers.push(Running {
            source: stage.source,
            log_to_stderr: stage.log_to_stderr,
            handle: server.reload_handle(),
            engines: stage.engines,
            log: stage.log,
            statsd: stage.statsd,
        });
        let mut stopped = stopped.clone();
        let until_stopped = async move {
            // An error means that the sender is gone, which stops the server too.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        tasks.spawn(server.run(vec![listener], until_stopped));
    }
    while signals.next().await == Asked::Reload {
        for server in &mut servers {
            server.reload(registry);
        }
    }
    // Receivers are in the tasks below; without any there is nothing to stop.
    let _ = stop.send(true);
    tasks.join_all().await;
    for server in servers {
        server.log.flush(LOG_FLUSH);
        server.statsd.flush(LOG_FLUSH);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failure would mean that a node with a low limit runs out of files as soon as it is busy.
    #[test]
    fn open_stores_fit_below_the_open_file_limit() {
        assert_eq!(stores_that_fit(0).get(), 1);
        assert_eq!(stores_that_fit(1024).get(), 21);
        assert!(stores_that_fit(u64::MAX).get() > 1_000_000);
    }
}
