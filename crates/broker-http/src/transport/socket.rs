//! Listening sockets, and the limit on open files.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use swift_conf::server_conf::ListenConf;
use tokio::net::{TcpListener, lookup_host};
use tokio::time::{Instant, sleep};

/// How often an address in use is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// Where and how to listen.
#[derive(Debug, Clone)]
pub struct Bind {
    /// Address or host name.
    pub host: String,
    /// Port; 0 lets the kernel choose.
    pub port: u16,
    /// How long to try while the address is in use.
    pub timeout: Duration,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Time without traffic before the kernel probes a connection.
    pub keep_idle: Duration,
}

impl From<&ListenConf> for Bind {
    fn from(conf: &ListenConf) -> Self {
        Self {
            host: conf.bind_ip.clone(),
            port: conf.bind_port,
            timeout: conf.bind_timeout,
            backlog: conf.backlog,
            keep_idle: Duration::from_secs(u64::from(conf.keep_idle)),
        }
    }
}

/// Opens a listening socket.
///
/// Keepalive and `TCP_NODELAY` are set on it alone: Linux hands them on to every connection it
/// accepts, which saves three system calls for each.
///
/// # Errors
///
/// The name has no address, the address stays in use, or the kernel refuses.
pub async fn bind(options: &Bind) -> io::Result<TcpListener> {
    let deadline = Instant::now() + options.timeout;
    let mut addresses = lookup_host((options.host.as_str(), options.port)).await?;
    let missing = || io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    let address = addresses.next().ok_or_else(missing)?;
    loop {
        match open(address, options) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                sleep(RETRY_EVERY).await;
            }
            result => return result,
        }
    }
}

fn open(address: SocketAddr, options: &Bind) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(options.keep_idle))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// Raises the number of files and sockets that this process may hold open as far as it is allowed
/// to, and returns it.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_err() {
        return limit.current.unwrap_or(u64::MAX);
    }
    limit.maximum.unwrap_or(u64::MAX)
}

/// Returns how many connections fit below the open file limit, a quarter of which is left for the
/// stores.
pub(super) fn connections_that_fit() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit - limit / 4)
        .unwrap_or(usize::MAX)
        .max(1)
}
