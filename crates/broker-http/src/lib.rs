//! Swift's account and container servers over any broker engine.
//!
//! A server is an [`App`]: a value that turns a [`Request`] into a [`Response`]. The transport owns
//! sockets, limits and the request log; filters stand around an [`App`]; [`AccountServer`] and
//! [`ContainerServer`] are the two innermost ones. Neither of them knows which engine keeps its
//! stores.
//!
//! ```text
//! transport ─► filters ─► path, method ─► checks ─► broker ─► status, headers, listing
//!                         `path`          `query`  `context`  `status` `response` `listing`
//!                                         `accept` `device` `request`
//! ```
//!
//! # Examples
//!
//! ```
//! use std::sync::Arc;
//! use broker_http::{AccountServer, App, ServerContext, body};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let engine = engine_memory::MemoryEngine::open()?;
//! let hash_path = broker_api::HashPath::new("", "secret");
//! let server = AccountServer::new(Arc::new(ServerContext::new(engine, hash_path)));
//! let request = http::Request::head("/sda1/1/nobody").body(body::empty())?;
//! assert_eq!(server.handle(request).await.status(), 404);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::future::Future;

pub mod body;
pub mod context;
pub mod filters;
pub mod log;
pub mod status;
pub mod transport;

mod accept;
mod account;
mod container;
mod device;
mod header_names;
mod listing;
mod path;
mod query;
mod request;
mod response;

pub use account::AccountServer;
pub use body::{Body, Request, RequestBody, Response};
pub use container::ContainerServer;
pub use context::{Clock, SWIFT_VERSION, ServerContext, SyncRealms, SystemClock};

/// Which of Swift's two servers an [`App`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerKind {
    /// `account-server`.
    Account,
    /// `container-server`.
    Container,
}

impl ServerKind {
    /// Returns the name that Swift uses for this server in configuration, logs and the `Server`
    /// header.
    pub fn name(self) -> &'static str {
        match self {
            ServerKind::Account => "account-server",
            ServerKind::Container => "container-server",
        }
    }
}

/// Something that answers requests: a server, or a filter around one.
pub trait App: Send + Sync + 'static {
    /// Answers one request. Never fails: whatever goes wrong is a response too.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;

    /// Tells which server stands behind this value.
    fn server_type(&self) -> ServerKind;
}

/// The methods that a server answers, as it lists them in `Allow`.
///
/// REPLICATE is not among them until it is built, whatever `replication_server` says.
pub fn allowed_methods(kind: ServerKind) -> &'static str {
    match kind {
        ServerKind::Account => "DELETE, GET, HEAD, OPTIONS, POST, PUT",
        ServerKind::Container => "DELETE, GET, HEAD, OPTIONS, POST, PUT, UPDATE",
    }
}
