//! One request and its answer, over connections that are kept.

use super::refused::{failed, unsupported};
use broker_api::{Error, Result};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;

/// Longer than any server waits for a lock.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// More than any store's metadata.
const MOST_HEADERS: usize = 1000;

const OUTSIDE_SEGMENTS: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

const OUTSIDE_PATHS: AsciiSet = OUTSIDE_SEGMENTS.remove(b'/');

/// A name as one segment of a path, or as a value of a query.
pub(super) fn quote(name: &str) -> String {
    utf8_percent_encode(name, &OUTSIDE_SEGMENTS).to_string()
}

/// The name of an object: its slashes are those of the path.
pub(super) fn quote_object(name: &str) -> String {
    utf8_percent_encode(name, &OUTSIDE_PATHS).to_string()
}

/// Whether a text can be a header's value and come out as it went in.
pub(super) fn fits_a_header(text: &str) -> bool {
    text.trim() == text && HeaderValue::from_bytes(text.as_bytes()).is_ok()
}

/// A request, made step by step.
pub(super) struct Ask {
    method: Method,
    target: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Ask {
    pub(super) fn new(method: &str, target: impl Into<String>) -> Self {
        Self {
            method: Method::from_bytes(method.as_bytes()).unwrap_or_default(),
            target: target.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Adds a header.
    ///
    /// # Errors
    /// `Unsupported` when no header can hold it.
    pub(super) fn header(mut self, name: &str, value: impl fmt::Display) -> Result<Self> {
        let value = value.to_string();
        let parsed = HeaderName::from_bytes(name.as_bytes());
        let (Ok(name), true) = (parsed, fits_a_header(&value)) else {
            return Err(unsupported(&format!("a header {name:?}: {value:?}")));
        };
        let value = HeaderValue::from_bytes(value.as_bytes());
        self.headers
            .push((name, value.map_err(|e| failed("header").caused_by(e))?));
        Ok(self)
    }

    pub(super) fn body(mut self, body: String) -> Self {
        self.body = body.into();
        self
    }
}

/// What the server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: http::HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// All headers, names in lower case.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        self.headers
            .iter()
            .map(move |(name, value)| (name.as_str(), text(value)))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// A server, and its idle connections. Clones share them.
#[derive(Clone)]
pub(super) struct Client {
    address: String,
    idle: Arc<Mutex<Vec<Sender>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.address)
    }
}

impl Client {
    pub(super) fn new(url: &str) -> std::result::Result<Self, String> {
        let bad = || format!("{url} is no address of a server: write http://host:port");
        let address = url.strip_prefix("http://").ok_or_else(bad)?;
        let address = address.trim_end_matches('/');
        let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
        if host.is_empty() || host.contains('/') || port.parse::<u16>().is_err() {
            return Err(bad());
        }
        Ok(Self {
            address: address.to_owned(),
            idle: Arc::default(),
        })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer; whether the request was carried out is then unknown.
    pub(super) async fn send(&self, ask: Ask) -> Result<Answer> {
        let said = format!("{} {}", ask.method, ask.target);
        let exchange = tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(ask)).await;
        let answered = exchange.unwrap_or_else(|_| Err(failed("no answer in time")));
        answered.map_err(|error| error.on(format!("{self:?}, {said}")))
    }

    async fn exchange(&self, ask: Ask) -> Result<Answer> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(ask.target)
            .header(header::HOST, &self.address)
            .header(header::ACCEPT_ENCODING, "identity");
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(ask.body));
        let request = request.map_err(|e| unsupported("such a request").caused_by(e))?;
        let mut sender = self.sender().await?;
        let no_answer = |e| failed("the connection broke").caused_by(e);
        let answer = sender.send_request(request).await.map_err(no_answer)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(no_answer)?.to_bytes();
        self.idle().push(sender);
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that is idle and open, or a new one.
    async fn sender(&self) -> Result<Sender> {
        loop {
            let Some(mut sender) = self.idle().pop() else {
                break;
            };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let cannot = |e: Box<dyn std::error::Error + Send + Sync>| -> Error {
            failed("cannot connect").caused_by(e)
        };
        let stream = TcpStream::connect(&self.address).await;
        let stream = stream.map_err(|e| cannot(e.into()))?;
        stream.set_nodelay(true).map_err(|e| cannot(e.into()))?;
        let (sender, connection) = http1::Builder::new()
            .max_headers(MOST_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| cannot(e.into()))?;
        // It ends with the connection; what broke is told to whoever waits for an answer.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        assert!(Client::new("http://127.0.0.1:6201").is_ok());
        assert!(Client::new("http://[::1]:6201/").is_ok());
        for bad in [
            "127.0.0.1:6201",
            "http://host",
            "https://host:1",
            "http://:1",
            "http://a/b:1",
        ] {
            assert!(Client::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_quoted_for_their_place() {
        assert_eq!(quote("a/\0\u{e9} +"), "a%2F%00%C3%A9%20%2B");
        assert_eq!(quote_object("a/\0b"), "a/%00b");
        assert!(
            fits_a_header("text/plain; a=\u{2003}b")
                && !fits_a_header(" a")
                && !fits_a_header("a\0")
        );
    }
}
