//! Limits and times of the transport.

use std::time::Duration;

use swift_conf::server_conf::{self, ProcessConf, Workers};
use swift_conf::{Constraints, ServerConf};

/// How long a connection may stay open between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// As long as [`Options::client_timeout`].
    ClientTimeout,
    /// Not at all: each connection is closed after its first response.
    Disabled,
    /// So long.
    After(Duration),
}

/// Sizes beyond which a request head is refused and its connection closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A request line of so many bytes, line end included, is refused with 414.
    pub max_request_line: usize,
    /// Most bytes of one header line, line end included; else 400.
    pub max_header_line: usize,
    /// Most header lines; else 431.
    pub max_header_count: usize,
    /// Most bytes of all lines together; else 431.
    pub max_head: usize,
    /// Most bytes of a body that no handler read, which are thrown away to reach the next request;
    /// with more to come the connection is closed.
    pub max_drain: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::from_constraints(&Constraints::default())
    }
}

impl Limits {
    /// Takes the limits of `swift.conf`.
    pub fn from_constraints(constraints: &Constraints) -> Self {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX).min(16 << 20);
        let (line, header) = (
            size(constraints.max_request_line),
            size(constraints.max_header_size),
        );
        let count = size(constraints.max_header_count());
        Self {
            max_request_line: line,
            max_header_line: header,
            max_header_count: count.saturating_mul(8) / 5,
            max_head: (64 << 10) + line + 4 * header,
            max_drain: 1 << 20,
        }
    }
}

/// How a server treats its connections.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Sizes of request heads and of drained bodies.
    pub limits: Limits,
    /// How long a client may neither send what is waited for nor take what is sent; also the time
    /// for a whole request head.
    pub client_timeout: Duration,
    /// How long a connection may stay open between requests.
    pub keep_alive: KeepAlive,
    /// Requests handled at once by all threads together; further ones wait.
    pub max_clients: usize,
    /// Open connections. At the limit those that wait longest for a request head are closed; if
    /// there are none, new connections wait in the kernel's queue. The open file limit may lower
    /// this.
    pub max_connections: usize,
    /// Bytes per second that a body must move on average once [`Options::client_timeout`] of
    /// waiting is used up, so that one byte now and then does not hold a request forever.
    pub min_body_rate: u32,
    /// How long running requests may go on after a shutdown began.
    pub shutdown_timeout: Duration,
    /// How long connections may go on after a reload replaced their app.
    pub stale_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            client_timeout: Duration::from_secs(60),
            keep_alive: KeepAlive::ClientTimeout,
            max_clients: 1024,
            max_connections: 65536,
            min_body_rate: 128,
            shutdown_timeout: Duration::from_secs(30),
            stale_timeout: Duration::from_secs(86400),
        }
    }
}

impl Options {
    /// Takes what the server's file and `swift.conf` say.
    ///
    /// Swift's `max_clients` is per worker process. Here all workers are threads of one process
    /// that share their connections, so the limit is `max_clients` times the number of workers.
    pub fn from_conf(conf: &ServerConf, constraints: &Constraints) -> Self {
        let process = &conf.process;
        let clients = usize::try_from(process.max_clients).unwrap_or(usize::MAX);
        Self {
            limits: Limits::from_constraints(constraints),
            client_timeout: process.client_timeout,
            keep_alive: match process.keepalive_timeout {
                server_conf::KeepAlive::ClientTimeout => KeepAlive::ClientTimeout,
                server_conf::KeepAlive::Disabled => KeepAlive::Disabled,
                server_conf::KeepAlive::After(time) => KeepAlive::After(time),
            },
            max_clients: clients.saturating_mul(Self::threads(process)),
            stale_timeout: process.stale_worker_timeout,
            ..Self::default()
        }
    }

    /// Returns how many runtime threads stand for Swift's worker processes: `auto` is one per
    /// processor, and so is `0`, which in Swift means not to fork at all.
    pub fn threads(process: &ProcessConf) -> usize {
        match process.workers {
            Workers::Count(count) => usize::try_from(count).unwrap_or(1).clamp(1, 512),
            Workers::Auto | Workers::Foreground => {
                std::thread::available_parallelism().map_or(1, usize::from)
            }
        }
    }

    /// Returns how long a connection may wait for its next request; `None` if it must be closed.
    pub(crate) fn idle_time(&self) -> Option<Duration> {
        match self.keep_alive {
            KeepAlive::ClientTimeout => Some(self.client_timeout),
            KeepAlive::Disabled => None,
            KeepAlive::After(time) => Some(time),
        }
    }
}
