//! The second door: the same cases against running account and container servers, over HTTP.
//!
//! ```text
//! case ── Engine, AccountBroker, ContainerBroker ──► wire ── HTTP ──► any account server
//!                                                                └──► any container server
//! ```
//!
//! Every operation of the contract is the request whose documented effect it is, and nothing else:
//!
//! | operation | account server | container server |
//! |---|---|---|
//! | `initialize` | `PUT` | `PUT` with the policy |
//! | `exists`, `info` | `HEAD` | `HEAD` |
//! | `delete` | `DELETE` | `DELETE` |
//! | `update_put_timestamp` | `PUT` | `POST` |
//! | `update_metadata` | `POST` | `POST` that leaves the put timestamp |
//! | `merge_items`, one record that may be buffered | `PUT` of a container row | `PUT` or `DELETE` of an object row |
//! | `merge_items` | a `PUT` for each record | `UPDATE` |
//! | listings | `GET` as JSON, page by page | the same |
//! | `items_since`, everything | what a listing shows | what the listings of each policy show |
//!
//! All else is refused as [`Unsupported`](broker_api::ErrorKind::Unsupported): no request does it. What a
//! response does not show is a value that no case expects ([`facts`]), or the names and times that went in
//! ([`sent`]). So a case that needs more than HTTP shows fails, and [`door`](crate::door) says which do.
//!
//! A store's place is that of its names, so each location of a case gets an account of its own on the
//! server: names of the case are mapped to it, and back.

mod account;
mod client;
mod container;
mod engine;
mod facts;
mod listing;
mod refused;
mod sent;
mod store;

use crate::door::Door;
use crate::subject::{Scratch, Subject};
use async_trait::async_trait;
use broker_api::Engine;
use client::Client;
use std::collections::HashMap;
use std::sync::Arc;

/// The two servers, and what has to be known of their configuration.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Servers {
    account: Client,
    container: Client,
    devices: Vec<String>,
    policies: HashMap<String, i64>,
}

impl Servers {
    /// Servers by their addresses, `http://host:port`.
    ///
    /// `devices` are the names of devices that both have. Some cases need two.
    ///
    /// # Errors
    /// When an address is none, or no device is named.
    pub fn new(account: &str, container: &str, devices: Vec<String>) -> Result<Self, String> {
        if devices.is_empty() {
            return Err("name a device of the servers".into());
        }
        Ok(Self {
            account: Client::new(account)?,
            container: Client::new(container)?,
            devices,
            policies: HashMap::new(),
        })
    }

    /// Names a storage policy. Names that end in a minus sign and a number need no mention: that is
    /// their index.
    #[must_use]
    pub fn with_policy(mut self, name: &str, index: i64) -> Self {
        self.policies.insert(name.to_ascii_lowercase(), index);
        self
    }

    /// The index of a policy that the servers call by name, in any case of letters.
    fn policy(&self, name: &str) -> i64 {
        let named = self.policies.get(&name.to_ascii_lowercase()).copied();
        let numbered = || name.rsplit_once('-')?.1.parse().ok();
        named.or_else(numbered).unwrap_or(facts::NO_NUMBER)
    }
}

/// Servers as a subject: cases reach them through HTTP only.
#[derive(Debug)]
pub struct WireSubject(Arc<Servers>);

impl WireSubject {
    /// Certifies running servers.
    pub fn new(servers: Servers) -> Self {
        Self(Arc::new(servers))
    }
}

/// That a place was opened once already.
#[derive(Debug, Clone, Default)]
struct Opened(Arc<std::sync::atomic::AtomicBool>);

#[async_trait]
impl Subject for WireSubject {
    async fn open(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        let opened = scratch.keep(Opened::default);
        if opened.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Err("no request closes a server's engine and opens it again".into());
        }
        Ok(Arc::new(engine::WireEngine::new(
            Arc::clone(&self.0),
            scratch.token(),
        )))
    }

    fn door(&self) -> Door {
        Door::Wire
    }

    fn devices(&self) -> Option<Vec<String>> {
        Some(self.0.devices.clone())
    }
}
