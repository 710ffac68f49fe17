//! The container server.

mod read;
mod report;
mod row;
mod shards;
mod sync_to;
mod update;
mod write;

use std::sync::Arc;

use broker_api::{
    BrokerOptions, ContainerBroker, Initialized, NewContainer, PolicyIndex, Timestamp,
    TimestampText,
};
use http::request::Parts;
use http::{HeaderName, Method, StatusCode};
use swift_conf::value;

use crate::body::{Request, RequestBody, Response};
use crate::context::{ServerContext, new_store_id};
use crate::log::TimedAs;
use crate::path::{self, Form, Target};
use crate::request;
use crate::response::{self, Answer, Refused};
use crate::status::OrRefuse;
use crate::{App, ServerKind, allowed_methods};

const X_BACKEND_AUTO_CREATE: HeaderName = HeaderName::from_static("x-backend-auto-create");
const X_BACKEND_RECORD_TYPE: HeaderName = HeaderName::from_static("x-backend-record-type");
const SHARDS_PREFIX: &str = ".shards_";

/// Swift's container server.
#[derive(Debug, Clone)]
pub struct ContainerServer {
    context: Arc<ServerContext>,
}

impl ContainerServer {
    /// A server over a context, which it may share with other servers.
    pub fn new(context: Arc<ServerContext>) -> Self {
        Self { context }
    }

    async fn answer(&self, request: Request) -> Answer {
        let (parts, body) = request.into_parts();
        let path = path::decode(parts.uri.path())
            .ok_or_else(|| path::not_utf8("Invalid UTF8 or contains NULL"))?;
        let form = match parts.method.as_str() {
            "OPTIONS" => {
                let allow = allowed_methods(ServerKind::Container);
                return Ok(response::options(allow, ServerKind::Container.name()));
            }
            "GET" | "HEAD" | "PUT" | "DELETE" => Form::ContainerOrObject,
            "POST" | "UPDATE" => Form::Container,
            _ => return Err(Refused::page(StatusCode::METHOD_NOT_ALLOWED)),
        };
        let prefix = &self.context.constraints.auto_create_account_prefix;
        let target = Target::parse(&path, form, prefix)?;
        let call = Call {
            context: &self.context,
            parts: &parts,
            target,
        };
        call.dispatch(body).await
    }
}

impl App for ContainerServer {
    async fn handle(&self, request: Request) -> Response {
        let method = request.method().clone();
        let response = match self.answer(request).await {
            Ok(response) => response,
            Err(refused) => refused.into_response(),
        };
        response::for_method(&method, response)
    }

    fn server_type(&self) -> ServerKind {
        ServerKind::Container
    }
}

/// Has a part of a handler timed under a name of its own.
fn timed(name: &'static str, answer: Answer) -> Answer {
    let mut response = answer.unwrap_or_else(Refused::into_response);
    response.extensions_mut().insert(TimedAs(name));
    Ok(response)
}

/// One request on its way through a handler.
struct Call<'a> {
    context: &'a ServerContext,
    parts: &'a Parts,
    target: Target<'a>,
}

impl Call<'_> {
    async fn dispatch(&self, body: RequestBody) -> Answer {
        let is_row = !self.target.object.is_empty();
        match self.parts.method {
            Method::PUT => self.put().await,
            Method::DELETE if is_row => self.delete_row().await,
            Method::DELETE => self.delete().await,
            Method::POST => self.post().await,
            Method::HEAD => self.head().await,
            Method::GET => self.get().await,
            _ => self.update(body).await,
        }
    }

    fn broker(&self, options: &BrokerOptions) -> Result<Arc<dyn ContainerBroker>, Refused> {
        let Target {
            device,
            partition,
            account,
            container,
            ..
        } = self.target;
        let location = self
            .context
            .container_location(device, partition, account, container)
            .ok_or_else(|| Refused::bad_request_plain("Invalid device or partition"))?;
        Ok(self.context.engine.container(&location, options))
    }

    fn policy_index(&self) -> Result<Option<PolicyIndex>, Refused> {
        request::policy_index(&self.parts.headers, &self.context.policies)
    }

    /// `X-Backend-Record-Type` in lower case, empty when absent.
    fn record_type(&self) -> String {
        let text = request::text(&self.parts.headers, &X_BACKEND_RECORD_TYPE);
        text.unwrap_or_default().to_ascii_lowercase()
    }

    async fn create(
        &self,
        broker: &dyn ContainerBroker,
        policy_index: PolicyIndex,
        at: Timestamp,
    ) -> Result<Initialized, Refused> {
        let new = NewContainer {
            account: self.target.account.to_owned(),
            container: self.target.container.to_owned(),
            put_timestamp: TimestampText::from(at),
            policy_index,
            created_at: self.context.clock.now(),
            id: new_store_id(self.target.device),
        };
        broker.initialize(&new).await.or_refuse(self.target.device)
    }

    /// Makes a container that rows are on their way to, if its account is of the kind that wants
    /// it.
    async fn auto_create(
        &self,
        broker: &dyn ContainerBroker,
        policy_index: Option<PolicyIndex>,
        at: Timestamp,
    ) -> Result<(), Refused> {
        if !self.may_auto_create() {
            return Err(Refused::page(StatusCode::NOT_FOUND));
        }
        let policy_index = policy_index.ok_or_else(|| {
            Refused::bad_request("X-Backend-Storage-Policy-Index header is required")
        })?;
        // Losing a race is as good: the container is there.
        self.create(broker, policy_index, at.normalized()).await?;
        Ok(())
    }

    fn may_auto_create(&self) -> bool {
        let asked = request::text(&self.parts.headers, &X_BACKEND_AUTO_CREATE);
        let account = self.target.account;
        match asked.filter(|text| !text.is_empty()) {
            Some(text) => value::is_true(&text),
            None => !account.starts_with(SHARDS_PREFIX) && self.context.is_auto_created(account),
        }
    }
}
