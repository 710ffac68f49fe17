//! Filters: what stands before a server and may answer in its place.
//!
//! ```text
//! request ─► healthcheck ─► recon ─► backend_ratelimit ─► request log ─► AccountServer / ContainerServer
//!               │ 200/503     │ JSON        │ 529
//! ```
//!
//! Each filter either answers a request or lets it pass unchanged, so that a pipeline is a list that
//! is walked once. Their order is that of the configuration, outermost first.

mod healthcheck;
mod mount;
mod ratelimit;
mod recon;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use swift_conf::Policies;
use swift_conf::server_conf::{Filter as FilterConf, PipelineFilter};

pub use healthcheck::HealthCheck;
pub use ratelimit::RateLimit;
pub use recon::{Recon, ReconOptions};

use crate::body::{self, Request, Response};
use crate::log::Statsd;
use crate::{App, ServerKind};

/// One filter of a pipeline.
#[derive(Debug)]
#[non_exhaustive]
pub enum Filter {
    /// Answers `/healthcheck`.
    HealthCheck(HealthCheck),
    /// Answers `/recon/...`.
    Recon(Recon),
    /// Refuses requests beyond a rate.
    RateLimit(Box<RateLimit>),
}

impl Filter {
    /// Makes a filter as it is configured; `None` for one that this version does not know.
    pub fn from_conf(conf: &FilterConf, policies: &Policies, statsd: &Statsd) -> Option<Self> {
        Some(match conf {
            FilterConf::HealthCheck { disable_path } => {
                Self::HealthCheck(HealthCheck::new(disable_path.clone()))
            }
            FilterConf::Recon {
                recon_cache_path,
                devices,
                swift_dir,
            } => Self::Recon(Recon::new(ReconOptions {
                recon_cache_path: recon_cache_path.clone(),
                devices: devices.clone(),
                swift_dir: swift_dir.clone(),
                policies: policies.iter().map(|policy| policy.index).collect(),
                proc: "/proc".into(),
            })),
            FilterConf::BackendRateLimit(conf) => {
                Self::RateLimit(Box::new(RateLimit::new(conf.clone(), statsd.clone())))
            }
            _ => return None,
        })
    }

    /// Answers a request, or `None` to let it pass.
    async fn answer(&self, method: &Method, path: &str) -> Option<Response> {
        match self {
            Self::HealthCheck(filter) => filter.answer(path).await,
            Self::Recon(filter) => filter.answer(path).await,
            Self::RateLimit(filter) => filter.answer(method, path),
        }
    }
}

/// An app behind its filters.
#[derive(Debug)]
pub struct Pipeline<A> {
    filters: Vec<Filter>,
    app: A,
}

impl<A: App> Pipeline<A> {
    /// Puts filters before an app, outermost first.
    pub fn new(filters: Vec<Filter>, app: A) -> Self {
        Self { filters, app }
    }

    /// Puts the configured filters before an app.
    ///
    /// # Errors
    ///
    /// The name of a filter that this version does not know.
    pub fn from_conf(
        pipeline: &[PipelineFilter],
        policies: &Policies,
        statsd: &Statsd,
        app: A,
    ) -> Result<Self, String> {
        let made = pipeline.iter().map(|PipelineFilter { name, filter }| {
            Filter::from_conf(filter, policies, statsd).ok_or_else(|| name.clone())
        });
        Ok(Self::new(made.collect::<Result<_, _>>()?, app))
    }
}

impl<A: App> App for Pipeline<A> {
    async fn handle(&self, request: Request) -> Response {
        for filter in &self.filters {
            let (method, path) = (request.method(), request.uri().path());
            if let Some(response) = filter.answer(method, path).await {
                return response;
            }
        }
        self.app.handle(request).await
    }

    fn server_type(&self) -> ServerKind {
        self.app.server_type()
    }
}

/// Returns a response with an explicit text.
fn with_text(status: StatusCode, content_type: &'static str, text: impl Into<String>) -> Response {
    let text: String = text.into();
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
