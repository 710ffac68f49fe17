//! Accepting connections, reloading, draining.
//!
//! Swift forks workers; here one process has as many runtime threads, and all share one listening
//! socket, so that no worker idles while another has a queue. A reload (Swift's SIGHUP and SIGUSR1)
//! keeps the listening sockets: connections accepted from then on belong to a new [`Generation`]
//! with the new app and options, those of the old one finish their running requests and close.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connection::Connection;
use super::options::Options;
use super::slot::{Clock, Registry, lock, reap};
use super::socket::connections_that_fit;
use crate::App;

/// How long to wait before accepting again when there was no room for a connection.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// An app, the options it runs under, and the connections that belong to it.
pub(super) struct Generation<A> {
    pub(super) app: A,
    pub(super) options: Options,
    pub(super) clock: Clock,
    pub(super) permits: Semaphore,
    pub(super) registry: Arc<Registry>,
    pub(super) counters: Arc<Counters>,
}

impl<A: App> Generation<A> {
    /// Begins a generation. To be called inside the runtime.
    fn start(app: A, options: Options, counters: Arc<Counters>) -> Arc<Self> {
        let generation = Self {
            app,
            clock: Clock::start(),
            permits: Semaphore::new(options.max_clients.clamp(1, Semaphore::MAX_PERMITS)),
            registry: Registry::new(),
            counters,
            options: Options {
                max_connections: options.max_connections.clamp(1, connections_that_fit()),
                ..options
            },
        };
        let idle = generation.options.idle_time().unwrap_or(Duration::MAX);
        let shortest = generation.options.client_timeout.min(idle);
        let every = (shortest / 16).clamp(Duration::from_millis(5), Duration::from_secs(1));
        tokio::spawn(reap(
            Arc::downgrade(&generation.registry),
            generation.clock,
            every,
        ));
        Arc::new(generation)
    }

    /// Lets running requests finish for at most `limit`, then stops the rest and returns how many
    /// there were.
    async fn finish(&self, limit: Duration) -> usize {
        self.registry.drain();
        if timeout(limit, self.registry.wait_empty()).await.is_ok() {
            return 0;
        }
        let aborted = self.registry.abort_all();
        // An aborted task ends at its next await; a handler that never awaits is left behind.
        let _ = timeout(Duration::from_secs(1), self.registry.wait_empty()).await;
        aborted
    }

    /// Waits until one more connection is allowed. Meanwhile further ones wait in the kernel.
    async fn make_room(&self) {
        let most = self.options.max_connections;
        while self.counters.open() >= most {
            self.registry.evict_oldest((most / 64).max(1));
            // There may be none to evict; then this waits until one closes by itself.
            let _ = timeout(FULL_PAUSE, self.registry.wait_closed()).await;
        }
    }

    fn accepted(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr) {
        let place = self.registry.add();
        let slot = place.share_slot();
        let open = OpenGuard::new(&self.counters);
        let connection = Connection::new(socket, peer, Arc::clone(self), place);
        let task = tokio::spawn(async move {
            let _open = open;
            connection.serve().await;
        });
        slot.set_task(task.abort_handle());
    }
}

/// What the server and its handles share.
struct Shared<A> {
    current: RwLock<Arc<Generation<A>>>,
    old: Mutex<Vec<Weak<Generation<A>>>>,
    counters: Arc<Counters>,
}

impl<A: App> Shared<A> {
    fn current(&self) -> Arc<Generation<A>> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A server for one app.
///
/// # Examples
///
/// ```no_run
/// use broker_http::App;
/// use broker_http::transport::{Bind, Options, Server, bind};
///
/// async fn serve(app: impl App, address: Bind) -> std::io::Result<()> {
///     let listener = bind(&address).await?;
///     let server = Server::new(app, Options::default());
///     let stop = async {
///         let _ = tokio::signal::ctrl_c().await;
///     };
///     server.run(vec![listener], stop).await;
///     Ok(())
/// }
/// ```
pub struct Server<A> {
    shared: Arc<Shared<A>>,
}

/// What became of the connections when a server stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Requests that were still running at the time limit and were stopped.
    pub aborted: usize,
}

impl<A: App> Server<A> {
    /// Makes a server. To be called inside the runtime.
    pub fn new(app: A, options: Options) -> Self {
        let counters = Arc::new(Counters::default());
        let generation = Generation::start(app, options, Arc::clone(&counters));
        let (current, old) = (RwLock::new(generation), Mutex::default());
        Self {
            shared: Arc::new(Shared {
                current,
                old,
                counters,
            }),
        }
    }

    /// Returns a handle that replaces the app while the server runs.
    pub fn reload_handle(&self) -> ReloadHandle<A> {
        ReloadHandle {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Serves until `shutdown` is ready; then closes the listeners and idle connections, lets
    /// running requests finish for [`Options::shutdown_timeout`], and stops the rest.
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the listeners; connections go on by themselves.
    pub async fn run(
        self,
        listeners: Vec<TcpListener>,
        shutdown: impl Future<Output = ()>,
    ) -> Drained {
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(accept(listener, Arc::clone(&self.shared)));
        }
        shutdown.await;
        accepting.shutdown().await;
        let current = self.shared.current();
        let limit = current.options.shutdown_timeout;
        let mut finishing = JoinSet::new();
        for old in lock(&self.shared.old).iter().filter_map(Weak::upgrade) {
            finishing.spawn(async move { old.finish(limit).await });
        }
        finishing.spawn(async move { current.finish(limit).await });
        let aborted = finishing.join_all().await.into_iter().sum();
        Drained { aborted }
    }
}

/// Replaces the app of a running server, and reports on it.
pub struct ReloadHandle<A> {
    shared: Arc<Shared<A>>,
}

impl<A> Clone for ReloadHandle<A> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<A: App> ReloadHandle<A> {
    /// Gives new connections a new app and new options. Old connections finish their requests with
    /// the old ones, for [`Options::stale_timeout`] of the old options at most. To be called inside
    /// the runtime.
    pub fn reload(&self, app: A, options: Options) {
        let generation = Generation::start(app, options, Arc::clone(&self.shared.counters));
        let mut current = self
            .shared
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, generation);
        drop(current);
        let mut olds = lock(&self.shared.old);
        olds.retain(|old| old.strong_count() > 0);
        olds.push(Arc::downgrade(&old));
        tokio::spawn(async move { old.finish(old.options.stale_timeout).await });
    }

    /// Returns what happened so far.
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }
}

async fn accept<A: App>(listener: TcpListener, shared: Arc<Shared<A>>) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                shared.counters.accepted.add();
                shared.current().make_room().await;
                shared.current().accepted(socket, peer);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                shared.current().registry.evict_oldest(16);
                sleep(FULL_PAUSE).await;
            }
        }
    }
}

/// Whether a failed accept says something about the connection only, and not about this process.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

/// What happened since a server began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that are open now.
    pub open: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// Requests given to the app.
    pub requests: u64,
    /// Requests refused by the transport, such as malformed ones.
    pub refused: u64,
    /// Connections closed because no request came in time.
    pub timed_out: u64,
    /// Connections closed to make room for others.
    pub evicted: u64,
    /// Requests whose handler panicked.
    pub panicked: u64,
}

/// An event counter.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: Counter,
    pub(super) requests: Counter,
    pub(super) refused: Counter,
    pub(super) timed_out: Counter,
    pub(super) evicted: Counter,
    pub(super) panicked: Counter,
    opened: Counter,
    closed: Counter,
}

impl Counters {
    fn open(&self) -> usize {
        let open = self.opened.get().saturating_sub(self.closed.get());
        usize::try_from(open).unwrap_or(usize::MAX)
    }

    fn read(&self) -> Stats {
        Stats {
            open: self.open(),
            accepted: self.accepted.get(),
            requests: self.requests.get(),
            refused: self.refused.get(),
            timed_out: self.timed_out.get(),
            evicted: self.evicted.get(),
            panicked: self.panicked.get(),
        }
    }
}

/// Counts a connection as open until dropped.
struct OpenGuard(Arc<Counters>);

impl OpenGuard {
    fn new(counters: &Arc<Counters>) -> Self {
        counters.opened.add();
        Self(Arc::clone(counters))
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.closed.add();
    }
}
