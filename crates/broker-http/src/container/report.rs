//! Account updates: telling the account servers what became of a container.

use std::borrow::Cow;
use std::time::Duration;

use broker_api::{ContainerBroker, ContainerInfo};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HOST, REFERER, USER_AGENT};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Call;
use crate::path::quote;
use crate::request::{self, X_BACKEND_STORAGE_POLICY_INDEX};
use crate::request::{
    X_ACCOUNT_OVERRIDE_DELETED, X_BYTES_USED, X_DELETE_TIMESTAMP, X_OBJECT_COUNT, X_PUT_TIMESTAMP,
    X_TRANS_ID,
};
use crate::response::Refused;
use crate::status::OrRefuse;

const X_ACCOUNT_PARTITION: HeaderName = HeaderName::from_static("x-account-partition");
const X_ACCOUNT_HOST: HeaderName = HeaderName::from_static("x-account-host");
const X_ACCOUNT_DEVICE: HeaderName = HeaderName::from_static("x-account-device");

type Update = http::Request<Empty<Bytes>>;

impl Call<'_> {
    /// Sends the container's counts to the account servers that the request names.
    ///
    /// # Errors
    /// 400 when the request's headers do not fit together, 404 when every account server says so.
    /// All else is for the container updater to repair.
    pub(super) async fn report(&self, broker: &dyn ContainerBroker) -> Result<(), Refused> {
        let headers = &self.parts.headers;
        let hosts = request::text(headers, &X_ACCOUNT_HOST).unwrap_or_default();
        let devices = request::text(headers, &X_ACCOUNT_DEVICE).unwrap_or_default();
        let partition = request::text(headers, &X_ACCOUNT_PARTITION).unwrap_or_default();
        let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
        let devices: Vec<&str> = devices.split(',').map(str::trim).collect();
        if hosts.len() != devices.len() {
            tracing::error!(?hosts, ?devices, "account hosts and devices are not pairs");
            return Err(Refused::page(StatusCode::BAD_REQUEST));
        }
        if partition.is_empty() {
            return Ok(());
        }
        if !hosts.iter().all(|host| split_port(host).is_some()) {
            return Err(Refused::page(StatusCode::BAD_REQUEST));
        }
        let info = broker.info().await.or_refuse(self.target.device)?;
        let info = info.ok_or_else(|| Refused::page(StatusCode::NOT_FOUND))?;
        let mut all_absent = true;
        for (host, device) in hosts.into_iter().zip(devices) {
            let status = self.report_to(host, device, &partition, &info).await;
            all_absent &= status == Some(StatusCode::NOT_FOUND);
        }
        match all_absent {
            true => Err(Refused::page(StatusCode::NOT_FOUND)),
            false => Ok(()),
        }
    }

    /// One update; `None` when there was no answer.
    async fn report_to(
        &self,
        host: &str,
        device: &str,
        partition: &str,
        info: &ContainerInfo,
    ) -> Option<StatusCode> {
        let update = self.account_update(host, device, partition, info);
        let sent = match update {
            Ok(update) => {
                let (connect, answer) = (self.context.conn_timeout, self.context.node_timeout);
                send(host, update, connect, answer).await
            }
            Err(error) => Err(error.to_string()),
        };
        match sent {
            Ok(status) if status.is_success() => Some(status),
            Ok(status) => {
                tracing::error!(%host, %device, %status, "account update failed, to be sent later");
                Some(status)
            }
            Err(error) => {
                tracing::error!(%host, %device, error, "account update failed, to be sent later");
                None
            }
        }
    }

    fn account_update(
        &self,
        host: &str,
        device: &str,
        partition: &str,
        info: &ContainerInfo,
    ) -> Result<Update, http::Error> {
        let headers = &self.parts.headers;
        let path = format!(
            "/{}/{}/{}/{}",
            quote(device),
            quote(partition),
            quote(self.target.account),
            quote(self.target.container)
        );
        let trans_id = headers.get(X_TRANS_ID).cloned();
        let trans_id = trans_id.unwrap_or(HeaderValue::from_static("-"));
        let mut update = http::Request::put(path)
            .header(HOST, host_header(host))
            .header(ACCEPT_ENCODING, "identity")
            .header(X_PUT_TIMESTAMP, info.store.put_timestamp.as_str())
            .header(X_DELETE_TIMESTAMP, info.store.delete_timestamp.as_str())
            .header(X_OBJECT_COUNT, info.object_count())
            .header(X_BYTES_USED, info.bytes_used())
            .header(X_BACKEND_STORAGE_POLICY_INDEX, info.policy_index.0)
            .header(X_TRANS_ID, trans_id)
            .header(
                USER_AGENT,
                format!("container-server {}", std::process::id()),
            )
            .header(REFERER, self.referer());
        if request::text(headers, &X_ACCOUNT_OVERRIDE_DELETED)
            .is_some_and(|text| text.eq_ignore_ascii_case("yes"))
        {
            update = update.header(X_ACCOUNT_OVERRIDE_DELETED, "yes");
        }
        update.body(Empty::new())
    }

    /// Method and URL of the request that causes the update.
    fn referer(&self) -> String {
        let host = request::text(&self.parts.headers, &HOST);
        let host = host.unwrap_or(Cow::Borrowed("localhost"));
        let uri = &self.parts.uri;
        let query = uri.query().map(|query| format!("?{query}"));
        let query = query.unwrap_or_default();
        format!("{} http://{host}{}{query}", self.parts.method, uri.path())
    }
}

/// The address and port of `ip:port`, brackets around an IPv6 address taken off.
fn split_port(host: &str) -> Option<(&str, u16)> {
    let (address, port) = host.rsplit_once(':')?;
    let address = address.strip_prefix('[').unwrap_or(address);
    let address = address.strip_suffix(']').unwrap_or(address);
    (!address.is_empty()).then_some((address, port.parse().ok()?))
}

/// `ip:port` with the brackets that an IPv6 address has in a `Host` header.
fn host_header(host: &str) -> String {
    match split_port(host) {
        Some((address, port)) if address.contains(':') => format!("[{address}]:{port}"),
        _ => host.to_owned(),
    }
}

async fn send(
    host: &str,
    update: Update,
    connect_timeout: Duration,
    answer_timeout: Duration,
) -> Result<StatusCode, String> {
    let address = split_port(host).ok_or("the host has no port")?;
    let connecting = timeout(connect_timeout, TcpStream::connect(address)).await;
    let stream = connecting
        .map_err(|_| "timeout while connecting".to_owned())?
        .map_err(|error| error.to_string())?;
    let answering = timeout(answer_timeout, exchange(stream, update)).await;
    answering
        .map_err(|_| "timeout while waiting for the answer".to_owned())?
        .map_err(|error| error.to_string())
}

async fn exchange(stream: TcpStream, update: Update) -> Result<StatusCode, hyper::Error> {
    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await?;
    let sending = sender.send_request(update);
    tokio::pin!(connection, sending);
    // The connection does the work of the request; whichever ends first tells how it went.
    tokio::select! {
        biased;
        answer = &mut sending => Ok(answer?.status()),
        ended = &mut connection => {
            ended?;
            Ok(sending.await?.status())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_follows_the_last_colon() {
        for (host, expected) in [
            ("127.0.0.1:6202", Some(("127.0.0.1", 6202))),
            ("::1:6202", Some(("::1", 6202))),
            ("[::1]:6202", Some(("::1", 6202))),
            ("host", None),
            ("host:", None),
            (":6202", None),
            ("", None),
            ("host:99999", None),
        ] {
            assert_eq!(split_port(host), expected, "{host}");
        }
        assert_eq!(host_header("::1:6202"), "[::1]:6202");
        assert_eq!(host_header("[::1]:6202"), "[::1]:6202");
        assert_eq!(host_header("127.0.0.1:6202"), "127.0.0.1:6202");
    }
}
