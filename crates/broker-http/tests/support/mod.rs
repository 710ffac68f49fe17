//! Two servers over a memory engine, with devices that misbehave on demand.
//!
//! | device | is |
//! |---|---|
//! | `sda9` | absent |
//! | `full` | without room for writes |
//! | `broken` | unable to tell its condition |
//! | `unlisted` | unable to keep the list of container sync |
//! | any other | fine |

#![allow(dead_code)] // Each test binary uses its part.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use broker_api::{
    AccountBroker, BrokerOptions, Capabilities, ContainerBroker, DeviceHealth, Engine, Error,
    ErrorKind, HashPath, Location, Result, StoreKind, Timestamp,
};
use broker_http::{
    AccountServer, App, Body, Clock, ContainerServer, Request, Response, ServerContext, SyncRealms,
    body,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use swift_conf::{Policies, Policy, Realms};

/// What the clock always says.
pub(crate) const NOW: &str = "1234567890.00000";

/// The device that keeps no list of container sync.
pub(crate) const UNLISTED: &str = "unlisted";

#[derive(Debug)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_234_567_890)
    }
}

/// An engine whose devices are not all fine.
#[derive(Debug)]
pub(crate) struct Devices(pub(crate) Arc<dyn Engine>);

#[async_trait]
impl Engine for Devices {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn account(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn AccountBroker> {
        self.0.account(location, options)
    }

    fn container(&self, location: &Location, options: &BrokerOptions) -> Arc<dyn ContainerBroker> {
        self.0.container(location, options)
    }

    async fn stores(
        &self,
        device: &str,
        kind: StoreKind,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        self.0.stores(device, kind, after, limit).await
    }

    async fn quarantine(&self, location: &Location, reason: &str) -> Result<()> {
        self.0.quarantine(location, reason).await
    }

    async fn remove(&self, location: &Location) -> Result<()> {
        self.0.remove(location).await
    }

    async fn set_synced(&self, location: &Location, synced: bool) -> Result<()> {
        match location.device() {
            UNLISTED => Err(Error::new(ErrorKind::Io, "no list")),
            _ => self.0.set_synced(location, synced).await,
        }
    }

    async fn synced(
        &self,
        device: &str,
        after: Option<&Location>,
        limit: usize,
    ) -> Result<Vec<Location>> {
        self.0.synced(device, after, limit).await
    }

    async fn device_health(&self, device: &str) -> Result<DeviceHealth> {
        match device {
            "sda9" => Ok(DeviceHealth::Absent),
            "full" => Ok(DeviceHealth::Ready {
                free_bytes: 9,
                total_bytes: 1000,
            }),
            "broken" => Err(Error::new(ErrorKind::Internal, "out of order")),
            device => self.0.device_health(device).await,
        }
    }
}

/// Both servers over one context.
pub(crate) struct Servers {
    pub(crate) account: AccountServer,
    pub(crate) container: ContainerServer,
}

/// A context over an empty memory engine: policies `gold` and `silver`, realm `US` with cluster
/// `WEST`.
pub(crate) fn context() -> ServerContext {
    let engine = Devices(engine_memory::MemoryEngine::open().expect("threads"));
    let mut context = ServerContext::new(Arc::new(engine), HashPath::new("", "endcap"));
    let gold = Policy {
        is_default: true,
        ..Policy::new(0, "gold")
    };
    let policies = Policies::new(vec![gold, Policy::new(1, "silver")]);
    context.policies = Arc::new(policies.expect("two policies"));
    let realms = "[US]\nkey = k\ncluster_west = http://x/v1/\n[NOKEY]\ncluster_a = http://x/\n";
    let realms = Realms::parse(realms.as_bytes(), std::path::Path::new("realms"));
    context.realms = SyncRealms::fixed(realms.expect("realms"));
    context.clock = Arc::new(FixedClock);
    context.node_timeout = Duration::from_millis(300);
    context
}

/// Servers over [`context`].
pub(crate) fn servers() -> Servers {
    over(context())
}

/// Servers over a context.
pub(crate) fn over(context: ServerContext) -> Servers {
    let context = Arc::new(context);
    Servers {
        account: AccountServer::new(Arc::clone(&context)),
        container: ContainerServer::new(context),
    }
}

/// What came back, with the body read.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) extensions: http::Extensions,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(name)
            .map(|value| std::str::from_utf8(value.as_bytes()).expect("UTF-8"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }
}

/// Makes a request.
pub(crate) fn request(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    content: &str,
) -> Request {
    let mut request = http::Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, value.as_bytes());
    }
    request
        .body(body::full(content.to_owned()))
        .expect("a request")
}

/// Sends a request and reads the whole answer.
pub(crate) async fn send(app: &impl App, request: Request) -> Got {
    read(app.handle(request).await).await
}

/// Reads a whole response.
pub(crate) async fn read(response: Response) -> Got {
    let (parts, content): (_, Body) = response.into_parts();
    Got {
        status: parts.status.as_u16(),
        headers: parts.headers,
        extensions: parts.extensions,
        body: content.collect().await.expect("a whole body").to_bytes(),
    }
}
