//! The account server.

mod read;
mod row;
mod write;

use std::sync::Arc;

use broker_api::{AccountBroker, AccountInfo, BrokerOptions};
use http::request::Parts;
use http::{Method, StatusCode};

use crate::body::{Request, Response};
use crate::context::ServerContext;
use crate::path::{self, Form, Target};
use crate::request::X_TRANS_ID;
use crate::response::{self, Answer, Refused};
use crate::{App, ServerKind, allowed_methods};

const X_ACCOUNT_STATUS: http::HeaderName = http::HeaderName::from_static("x-account-status");

/// Swift's account server.
#[derive(Debug, Clone)]
pub struct AccountServer {
    context: Arc<ServerContext>,
}

impl AccountServer {
    /// A server over a context, which it may share with other servers.
    pub fn new(context: Arc<ServerContext>) -> Self {
        Self { context }
    }

    async fn answer(&self, request: Request) -> Answer {
        let (parts, _) = request.into_parts();
        let path = path::decode(parts.uri.path()).ok_or_else(|| path::not_utf8("Invalid UTF8"))?;
        let form = match parts.method.as_str() {
            "OPTIONS" => {
                let allow = allowed_methods(ServerKind::Account);
                return Ok(response::options(allow, ServerKind::Account.name()));
            }
            "PUT" => Form::AccountOrRow,
            "GET" | "HEAD" | "POST" | "DELETE" => Form::Account,
            _ => return Err(Refused::page(StatusCode::METHOD_NOT_ALLOWED)),
        };
        let prefix = &self.context.constraints.auto_create_account_prefix;
        let target = Target::parse(&path, form, prefix)?;
        let call = Call {
            context: &self.context,
            parts: &parts,
            target,
        };
        match parts.method {
            Method::PUT if !target.container.is_empty() => call.put_row().await,
            Method::PUT => call.put().await,
            Method::POST => call.post().await,
            Method::DELETE => call.delete().await,
            Method::HEAD => call.head().await,
            _ => call.get().await,
        }
    }
}

impl App for AccountServer {
    async fn handle(&self, request: Request) -> Response {
        let method = request.method().clone();
        let response = match self.answer(request).await {
            Ok(response) => response,
            Err(refused) => refused.into_response(),
        };
        response::for_method(&method, response)
    }

    fn server_type(&self) -> ServerKind {
        ServerKind::Account
    }
}

/// One request on its way through a handler.
struct Call<'a> {
    context: &'a ServerContext,
    parts: &'a Parts,
    target: Target<'a>,
}

impl Call<'_> {
    fn broker(&self, options: &BrokerOptions) -> Result<Arc<dyn AccountBroker>, Refused> {
        let Target {
            device,
            partition,
            account,
            ..
        } = self.target;
        let location = self.context.account_location(device, partition, account);
        let location =
            location.ok_or_else(|| Refused::bad_request_plain("Invalid device or partition"))?;
        Ok(self.context.engine.account(&location, options))
    }

    fn has_trans_id(&self) -> bool {
        self.parts.headers.contains_key(X_TRANS_ID)
    }
}

/// 404 of an account, which says whether it was deleted.
fn gone(info: Option<&AccountInfo>) -> Refused {
    let mut response = response::with_no_body(StatusCode::NOT_FOUND, response::HTML_LOWER);
    if info.is_some_and(AccountInfo::is_status_deleted) {
        mark_deleted(&mut response);
    }
    response.into()
}

fn mark_deleted(response: &mut Response) {
    response::set(response, X_ACCOUNT_STATUS, "Deleted");
}
