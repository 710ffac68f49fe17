//! `apus account-server` and `apus container-server`: one server from one configuration.
//!
//! ```text
//! ConfSource ─► ServerConf, SwiftConf ─► engines ─► ServerContext ─► App ─► filters ─► transport
//!      ▲                                                                                │
//!      └────────────────────────── SIGHUP: once more, the socket stays ─────────────────┘
//! ```

use crate::cli::ServerArgs;
use crate::opened::Engines;
use crate::privileges::{become_user, set_priority};
use crate::registry::Registry;
use crate::routing::Routing;
use crate::signals::{Asked, Signals};
use crate::{Failure, chain};
use broker_api::HashPath;
use broker_http::context::{ServerContext, SyncRealms};
use broker_http::filters::Pipeline;
use broker_http::log::{
    LogLayer, LogSink, LogSinkOptions, Logged, RequestLog, Statsd, StatsdOptions, Target,
};
use broker_http::transport::{Bind, Options, ReloadHandle, Server, bind, raise_open_files};
use broker_http::{AccountServer, App, ContainerServer, Request, Response};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use swift_conf::{ServerConf, ServerKind, SwiftConf};
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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
        stage
            .warnings
            .iter()
            .for_each(|text| eprintln!("apus: {text}"));
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
    routing: Routing,
    warnings: Vec<String>,
}

impl Stage {
    /// Reads the configuration, opens the engines that it names, and sees that they may use the devices
    /// that are there. The log goes where the configuration says, or to standard error.
    pub(crate) fn prepare(
        registry: &Registry,
        source: ConfSource,
        log_to_stderr: bool,
    ) -> Result<Self, Failure> {
        Self::prepare_with(registry, source, log_to_stderr, &Engines::default())
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
        let refused =
            |problem: String| Failure::new(format!("{}: {problem}", conf.source.display()));
        let mut warnings = Vec::new();
        let engines = Engines::open(registry, &conf, open, &mut warnings)?;
        let routing = engines.routing(registry, &conf)?;
        let owned = routing.check_present();
        owned.map_err(|error| refused(chain(&error)))?;
        let context = Arc::new(context(&conf, &swift, routing.clone()));
        let server = match conf.kind {
            ServerKind::Account => AnyServer::Account(AccountServer::new(context)),
            ServerKind::Container => AnyServer::Container(ContainerServer::new(context)),
        };
        let options = Options::from_conf(&conf, &swift.constraints);
        let (log, statsd) = (open_log(&conf, log_to_stderr)?, open_statsd(&conf)?);
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
            routing,
            warnings,
        })
    }

    /// Makes the devices that are there the engines' own, and logs what was found on the way.
    fn take_over_devices(&self) {
        self.warnings
            .iter()
            .for_each(|text| tracing::warn!("{text}"));
        self.routing.settle_present();
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

fn context(conf: &ServerConf, swift: &SwiftConf, engine: Routing) -> ServerContext {
    let (prefix, suffix) = (
        swift.hash_path_prefix.clone(),
        swift.hash_path_suffix.clone(),
    );
    let mut context = ServerContext::new(Arc::new(engine), HashPath::new(prefix, suffix));
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
    context
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
                stage.take_over_devices();
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
        stage.take_over_devices();
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
