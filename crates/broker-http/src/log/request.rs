//! One log line and one timing metric for each request that reaches the app.

use std::cell::RefCell;
use std::fmt::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, REFERER, USER_AGENT};
use http::{Method, Uri};
use swift_conf::server_conf::LogConf;

use super::anonymous::Anonymizer;
use super::sink::{Level, LogSink};
use super::statsd::Statsd;
use super::template::{DEFAULT_FORMAT, InvalidLogOption, Record, Template};
use crate::body::{Request, Response};
use crate::transport::Peer;
use crate::{App, ServerKind};

const X_TRANS_ID: HeaderName = HeaderName::from_static("x-trans-id");
const POLICY_INDEX: HeaderName = HeaderName::from_static("x-backend-storage-policy-index");

/// The methods that are timed; others could fill the metrics server with names.
const TIMED: [&str; 8] = [
    "DELETE",
    "GET",
    "HEAD",
    "OPTIONS",
    "POST",
    "PUT",
    "REPLICATE",
    "UPDATE",
];

tokio::task_local! {
    /// The transaction id of the request that the current task handles.
    static TXN_ID: HeaderValue;
}

/// Calls `use_id` with the transaction id of the running request, empty if there is none.
pub(super) fn with_txn_id<T>(use_id: impl FnOnce(&str) -> T) -> T {
    let id = TXN_ID.try_with(HeaderValue::clone).ok();
    use_id(
        id.as_ref()
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default(),
    )
}

/// A second name under which a request is timed, such as `PUT_object`: an extension that handlers
/// may set on a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedAs(pub &'static str);

/// Writes request lines.
#[derive(Debug, Clone)]
pub struct RequestLog {
    sink: LogSink,
    template: Template,
    anonymizer: Anonymizer,
    enabled: bool,
    pid: u32,
}

impl RequestLog {
    /// Makes one that writes to a sink as a server's options say.
    ///
    /// # Errors
    ///
    /// `log_format` is no template, or `log_anonymization_method` is not known.
    pub fn from_conf(conf: &LogConf, sink: LogSink) -> Result<Self, InvalidLogOption> {
        let method = &conf.anonymization_method;
        // Swift takes options as Latin-1.
        let salt = conf.anonymization_salt.chars();
        let salt: Vec<u8> = salt
            .map(|letter| u8::try_from(letter).unwrap_or(b'?'))
            .collect();
        let anonymizer = Anonymizer::new(method, &salt).ok_or_else(|| {
            let problem = format!("known methods are {}", Anonymizer::methods());
            InvalidLogOption::new("log_anonymization_method", method, problem)
        })?;
        Ok(Self {
            sink,
            template: Template::parse(conf.format.as_deref().unwrap_or(DEFAULT_FORMAT))?,
            anonymizer,
            enabled: conf.requests,
            pid: std::process::id(),
        })
    }

    fn write(&self, facts: &Facts, response: &Response, took: Duration) {
        let level = if facts.method == "REPLICATE" {
            Level::Debug
        } else {
            Level::Info
        };
        if !self.enabled || !self.sink.is_enabled(level) {
            return;
        }
        thread_local! {
            static BUFFERS: RefCell<(String, String, String)> = RefCell::default();
        }
        BUFFERS.with_borrow_mut(|(line, path, address)| {
            for buffer in [&mut *line, path, address] {
                buffer.clear();
            }
            write_path(path, facts.uri.path());
            if let Some(Peer(peer)) = facts.peer {
                // Writing to a string does not fail.
                let _ = write!(address, "{}", peer.ip());
            }
            let policy = response
                .headers()
                .get(&POLICY_INDEX)
                .or(facts.policy_index.as_ref());
            let length = response.headers().get(CONTENT_LENGTH);
            let [referer, txn_id, user_agent, policy_index] = [
                facts.referer.as_ref(),
                facts.txn_id.as_ref(),
                facts.user_agent.as_ref(),
                policy,
            ]
            .map(|value| String::from_utf8_lossy(value.map_or(b"", |it| it.as_bytes())));
            let record = Record {
                remote_addr: address,
                time: SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default(),
                method: facts.method.as_str(),
                path,
                status: response.status().as_u16(),
                content_length: length
                    .and_then(|length| length.to_str().ok()?.parse().ok())
                    .unwrap_or_default(),
                referer: &referer,
                txn_id: &txn_id,
                user_agent: &user_agent,
                trans_time: took,
                pid: self.pid,
                policy_index: &policy_index,
            };
            self.template.write(line, &record, &self.anonymizer);
            // The line is for a request; its transaction stands where the template wants it.
            self.sink.write(level, line, "");
        });
    }
}

/// Appends a path with everything escaped that Swift escapes.
pub(crate) fn write_path(out: &mut String, path: &str) {
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, left) = match (first, tail) {
            (b'%', [high, low, left @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, left),
                _ => (b'%', tail),
            },
            _ => (*first, tail),
        };
        rest = left;
        if byte.is_ascii_alphanumeric() || b"/_.-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// What is needed of a request once it is gone.
struct Facts {
    method: Method,
    uri: Uri,
    peer: Option<Peer>,
    referer: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    txn_id: Option<HeaderValue>,
    policy_index: Option<HeaderValue>,
}

impl Facts {
    fn of(request: &Request) -> Self {
        let get = |headers: &HeaderMap, name: &HeaderName| headers.get(name).cloned();
        let headers = request.headers();
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            peer: request.extensions().get::<Peer>().copied(),
            referer: get(headers, &REFERER),
            user_agent: get(headers, &USER_AGENT),
            txn_id: get(headers, &X_TRANS_ID),
            policy_index: get(headers, &POLICY_INDEX),
        }
    }
}

/// An app whose requests are logged and timed.
#[derive(Debug)]
pub struct Logged<A> {
    app: A,
    log: RequestLog,
    statsd: Statsd,
}

impl<A: App> Logged<A> {
    /// Puts the log around an app.
    pub fn new(app: A, log: RequestLog, statsd: Statsd) -> Self {
        Self { app, log, statsd }
    }

    fn time(&self, facts: &Facts, response: &Response, took: Duration) {
        let method = facts.method.as_str();
        if !TIMED.contains(&method) {
            return;
        }
        let rate = match (self.app.server_type(), method) {
            (ServerKind::Container, "HEAD") => Some(0.1),
            (ServerKind::Container, "REPLICATE") => Some(0.01),
            _ => Some(1.0),
        };
        let end = if response.status().is_server_error() {
            ".errors.timing"
        } else {
            ".timing"
        };
        self.statsd.timing(&[method, end], took, rate);
        if let Some(TimedAs(name)) = response.extensions().get::<TimedAs>() {
            self.statsd.timing(&[name, end], took, Some(1.0));
        }
    }
}

impl<A: App> App for Logged<A> {
    async fn handle(&self, request: Request) -> Response {
        let begun = Instant::now();
        let facts = Facts::of(&request);
        let txn_id = facts.txn_id.clone().unwrap_or(HeaderValue::from_static(""));
        let response = TXN_ID.scope(txn_id, self.app.handle(request)).await;
        let took = begun.elapsed();
        self.log.write(&facts, &response, took);
        self.time(&facts, &response, took);
        response
    }

    fn server_type(&self) -> ServerKind {
        self.app.server_type()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths in the log can be compared with those of Python servers.
    #[test]
    fn paths_are_escaped_as_swift_does() {
        let escaped = |path| {
            let mut out = String::new();
            write_path(&mut out, path);
            out
        };
        assert_eq!(escaped("/sda1/1/a%2fb/%c3%a9~x"), "/sda1/1/a/b/%C3%A9~x");
        assert_eq!(escaped("/a+b:c%zz%4"), "/a%2Bb%3Ac%25zz%254");
        assert_eq!(escaped("/%0a%20"), "/%0A%20");
    }
}
