//! Filters, request log and metrics around an app, as a client and an operator see them.

mod transport_support;

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use broker_http::filters::Pipeline;
use broker_http::log::{
    LogLayer, LogSink, LogSinkOptions, Logged, RequestLog, Statsd, StatsdOptions,
};
use broker_http::transport::{Options, Server, bind};
use broker_http::{App, Request, Response, ServerKind as Kind};
use swift_conf::{Policies, ServerConf, ServerKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing_subscriber::layer::SubscriberExt;
use transport_support::{TestApp, local, within};

/// The test app, which also reports what it does.
struct Talking(TestApp);

impl App for Talking {
    async fn handle(&self, request: Request) -> Response {
        if request.uri().path() == "/talk" {
            tracing::warn!("something\nodd");
        }
        self.0.handle(request).await
    }

    fn server_type(&self) -> Kind {
        Kind::Container
    }
}

struct Node {
    address: std::net::SocketAddr,
    log: UnixDatagram,
    metrics: UdpSocket,
    sink: LogSink,
    statsd: Statsd,
    directory: tempfile::TempDir,
}

impl Node {
    async fn start(extra: &str) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let log = UnixDatagram::bind(directory.path().join("log")).expect("log");
        log.set_read_timeout(Some(Duration::from_millis(300)))
            .expect("timeout");
        let metrics = UdpSocket::bind("127.0.0.1:0").expect("metrics");
        metrics
            .set_read_timeout(Some(Duration::from_millis(300)))
            .expect("timeout");
        let port = metrics.local_addr().expect("address").port();
        let conf = conf(directory.path(), port, extra);
        let sink = LogSink::start(LogSinkOptions::from(&conf.log)).expect("sink");
        let statsd = conf.statsd.as_ref().expect("statsd");
        let statsd =
            Statsd::start(StatsdOptions::from_conf(statsd, &conf.log.name)).expect("statsd");
        let request_log = RequestLog::from_conf(&conf.log, sink.clone()).expect("request log");
        let app = Logged::new(Talking(TestApp::default()), request_log, statsd.clone());
        let policies = Policies::legacy();
        let app = Pipeline::from_conf(&conf.pipeline, &policies, &statsd, app).expect("pipeline");
        let listener = bind(&local()).await.expect("bind");
        let address = listener.local_addr().expect("address");
        let server = Server::new(app, Options::default());
        tokio::spawn(server.run(vec![listener], std::future::pending()));
        Self {
            address,
            log,
            metrics,
            sink,
            statsd,
            directory,
        }
    }

    async fn talk(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("connect");
        let request = format!("{request}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("send");
        let mut text = String::new();
        within(stream.read_to_string(&mut text))
            .await
            .expect("read");
        text
    }

    fn next_line(&self) -> Option<String> {
        self.sink.flush(Duration::from_secs(5));
        let mut buffer = [0; 2000];
        let count = self.log.recv(&mut buffer).ok()?;
        Some(
            String::from_utf8_lossy(&buffer[..count])
                .trim_end_matches('\0')
                .to_owned(),
        )
    }

    fn next_metric(&self) -> Option<String> {
        self.statsd.flush(Duration::from_secs(5));
        let mut buffer = [0; 2000];
        let count = self.metrics.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..count]).into_owned())
    }
}

fn conf(directory: &Path, metrics_port: u16, extra: &str) -> ServerConf {
    let directory = directory.display();
    let text = format!(
        "[DEFAULT]\nbind_port = 6201\nlog_address = {directory}/log\nlog_statsd_host = 127.0.0.1\n\
         log_statsd_port = {metrics_port}\n{extra}\n\
         [pipeline:main]\npipeline = healthcheck recon backend_ratelimit container-server\n\
         [filter:healthcheck]\nuse = egg:swift#healthcheck\ndisable_path = {directory}/disabled\n\
         [filter:recon]\nuse = egg:swift#recon\nrecon_cache_path = {directory}\n\
         [filter:backend_ratelimit]\nuse = egg:swift#backend_ratelimit\n\
         head_requests_per_device_per_second = 1\nrequests_per_device_rate_buffer = 0\n\
         [app:container-server]\nuse = egg:swift#container\n"
    );
    ServerConf::parse(
        text.as_bytes(),
        Path::new("test.conf"),
        ServerKind::Container,
    )
    .expect("conf")
}

/// A load balancer can take a server out with a file.
#[tokio::test]
async fn healthcheck_answers() {
    let node = Node::start("").await;
    let text = node.talk("GET /healthcheck?x HTTP/1.1\r\n").await;
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\nOK"),
        "{text}"
    );
    assert!(text.contains("\r\nContent-Type: text/plain\r\n"), "{text}");
    std::fs::write(node.directory.path().join("disabled"), "").unwrap();
    let text = node.talk("HEAD /healthcheck HTTP/1.1\r\n").await;
    assert!(
        text.starts_with("HTTP/1.1 503 ") && text.ends_with("\r\n\r\n"),
        "{text}"
    );
    assert!(text.contains("\r\nContent-Length: 16\r\n"), "{text}");
    let text = node.talk("GET /healthcheck/ HTTP/1.1\r\n").await;
    assert!(text.ends_with("ok"), "{text}");
}

/// Monitoring is answered before the log and the limiter.
#[tokio::test]
async fn recon_answers_without_a_log_line() {
    let node = Node::start("").await;
    let text = node.talk("POST /recon/version/x HTTP/1.1\r\n").await;
    assert!(text.ends_with("{\"version\":\"2.38.3\"}"), "{text}");
    assert!(
        text.contains("\r\nContent-Type: application/json\r\n"),
        "{text}"
    );
    assert_eq!(node.next_line(), None);
    assert_eq!(node.next_metric(), None);
}

/// A device that is asked too much says so to the proxy, and to the operator.
#[tokio::test]
async fn rate_limit_refuses() {
    let node = Node::start("").await;
    let text = node.talk("HEAD /sda1/1/a HTTP/1.1\r\n").await;
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    let text = node.talk("HEAD /sda1/1/a HTTP/1.1\r\n").await;
    assert!(
        text.starts_with("HTTP/1.1 529 Too Many Backend Requests\r\n"),
        "{text}"
    );
    assert!(!text.contains("Content-Length"), "{text}");
    assert!(node.next_line().is_some());
    assert_eq!(node.next_line(), None, "a refused request is not logged");
    let metrics: Vec<_> = std::iter::from_fn(|| node.next_metric()).collect();
    let refused = "container-server.backend.ratelimit:1|c".to_owned();
    assert!(metrics.contains(&refused), "{metrics:?}");
}

/// Each request leaves one line and one metric in the form of Swift's.
#[tokio::test]
async fn requests_are_logged_and_timed() {
    let node = Node::start("").await;
    node.talk("PUT /sda1/p/a%2fb?q HTTP/1.1\r\nX-Trans-Id: tx1\r\nUser-Agent: proxy 7\r\nReferer: PUT http://x/y\r\n\
               X-Backend-Storage-Policy-Index: 3\r\n")
        .await;
    let line = node.next_line().unwrap();
    let start = "<134>container-server: 127.0.0.1 - - [";
    assert!(line.starts_with(start), "{line}");
    let end = line.split_once("+0000] ").unwrap().1;
    let (before, after) = end.split_once(" 0.0").unwrap();
    assert_eq!(
        before,
        "\"PUT /sda1/p/a/b\" 200 - \"PUT http://x/y\" \"tx1\" \"proxy 7\""
    );
    assert_eq!(&after[3..], format!(" \"-\" {} 3", std::process::id()));
    let metric = node.next_metric().unwrap();
    assert!(
        metric.starts_with("container-server.PUT.timing:") && metric.ends_with("|ms"),
        "{metric}"
    );

    node.talk("POST /status?507 HTTP/1.1\r\n").await;
    let metric = node.next_metric().unwrap();
    assert!(
        metric.starts_with("container-server.POST.errors.timing:"),
        "{metric}"
    );
    assert!(
        node.next_line()
            .unwrap()
            .contains("\"POST /status\" 507 - \"-\" \"-\" \"-\" ")
    );

    node.talk("REPLICATE /sda1/1/hash HTTP/1.1\r\n").await;
    assert_eq!(node.next_line(), None, "REPLICATE is logged at DEBUG only");
}

/// Formats, anonymisation and switches of the request log are obeyed.
#[tokio::test]
async fn log_options_are_obeyed() {
    let format = "log_format = {method} {account.anonymized} {path}";
    let node = Node::start(&format!(
        "{format}\nlog_anonymization_salt = s\nlog_level = DEBUG"
    ))
    .await;
    node.talk("REPLICATE /sda1/1/hash HTTP/1.1\r\n").await;
    let line = node.next_line().unwrap();
    assert_eq!(
        line,
        "<135>container-server: REPLICATE {SMD5}f12caecb0bf17d42a22bd9548cf9c09e /sda1/1/hash"
    );

    let node = Node::start("log_requests = no").await;
    node.talk("GET /sda1/1/a HTTP/1.1\r\n").await;
    assert_eq!(node.next_line(), None);
}

/// A message about a request can be found by the transaction of the request.
#[tokio::test]
async fn messages_name_their_transaction() {
    let node = Node::start("log_requests = no").await;
    let subscriber = tracing_subscriber::registry().with(LogLayer::new(node.sink.clone()));
    let guard = tracing::subscriber::set_default(subscriber);
    node.talk("GET /talk HTTP/1.1\r\nX-Trans-Id: tx42\r\n")
        .await;
    drop(guard);
    assert_eq!(
        node.next_line().unwrap(),
        "<132>container-server: something#012odd (txn: tx42)"
    );
}
