//! A small app behind a real server, and clients that write what they like.
// Each test file uses its own part of this.
#![allow(dead_code)]

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use broker_http::body::{empty, full};
use broker_http::transport::{Bind, Drained, Options, ReloadHandle, Server, UnusualHeaders, bind};
use broker_http::{App, Body, Request, Response, ServerKind};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Far beyond every limit that the tests set.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Answers by path; what each path does stands in `handle`.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestApp {
    pub(crate) name: &'static str,
    pub(crate) running: Arc<AtomicUsize>,
    pub(crate) most_running: Arc<AtomicUsize>,
    pub(crate) finished: Arc<AtomicUsize>,
}

impl App for TestApp {
    async fn handle(&self, request: Request) -> Response {
        let running = 1 + self.running.fetch_add(1, Ordering::SeqCst);
        self.most_running.fetch_max(running, Ordering::SeqCst);
        let response = self.answer(request).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.finished.fetch_add(1, Ordering::SeqCst);
        response
    }

    fn server_type(&self) -> ServerKind {
        ServerKind::Account
    }
}

impl TestApp {
    async fn answer(&self, request: Request) -> Response {
        let number = request
            .uri()
            .query()
            .and_then(|query| query.parse::<u64>().ok());
        let number = number.unwrap_or_default();
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/name" => Response::new(full(self.name)),
            "/echo" => match request.into_body().collect().await {
                Ok(body) => Response::new(full(body.to_bytes())),
                Err(error) => with_status(400, full(format!("{:?}", error.kind()))),
            },
            "/first" => {
                let frame = request.into_body().frame().await;
                let frame = frame
                    .and_then(Result::ok)
                    .and_then(|frame| frame.into_data().ok());
                Response::new(full(format!("{}", frame.unwrap_or_default().len())))
            }
            "/slow" => {
                tokio::time::sleep(Duration::from_millis(number)).await;
                Response::new(full("slow"))
            }
            "/panic" => panic!("asked to"),
            "/stream" => Response::new(
                Stream {
                    left: number,
                    size: 1 << 16,
                }
                .boxed_unsync(),
            ),
            "/pieces" => Response::new(
                Stream {
                    left: number,
                    size: 3,
                }
                .boxed_unsync(),
            ),
            "/short" => {
                let mut response = Response::new(full("abc"));
                response
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from_static("10"));
                response
            }
            "/204" => with_status(204, empty()),
            "/204-length" => {
                let mut response = with_status(204, empty());
                response
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
                response
            }
            "/status" => with_status(u16::try_from(number).unwrap_or(500), full("page")),
            "/request" => Response::new(full(describe(&request))),
            "/headers" => {
                let mut response = Response::new(full("ok"));
                let headers = response.headers_mut();
                headers.insert("x-account-meta-a1b-c2d", HeaderValue::from_static("v"));
                headers.insert("etag", HeaderValue::from_static("\"e\""));
                let line = |name: &'static str, value| (Bytes::from(name), Bytes::from(value));
                let lines = vec![line("x-meta-ü-a", "é"), line("x-bad-ü", "a\r\nx: y")];
                response.extensions_mut().insert(UnusualHeaders(lines));
                response
            }
            _ => Response::new(full("ok")),
        }
    }
}

fn with_status(status: u16, body: Body) -> Response {
    let mut response = Response::new(body);
    if let Ok(status) = http::StatusCode::from_u16(status) {
        *response.status_mut() = status;
    }
    response
}

/// Method, target and headers as the app sees them, a line for each.
fn describe(request: &Request) -> String {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        text += &format!("{name}={}\n", String::from_utf8_lossy(value.as_bytes()));
    }
    for (name, value) in request
        .extensions()
        .get::<UnusualHeaders>()
        .iter()
        .flat_map(|it| &it.0)
    {
        text += &format!(
            "{}={}\n",
            String::from_utf8_lossy(name),
            String::from_utf8_lossy(value)
        );
    }
    text
}

/// A body of unknown length.
struct Stream {
    left: u64,
    size: usize,
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Poll::Ready(None);
        };
        self.left = left;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; self.size])))))
    }
}

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) app: TestApp,
    pub(crate) handle: ReloadHandle<TestApp>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Drained>,
}

impl Running {
    pub(crate) async fn start(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::default();
        change(&mut options);
        let listener = bind(&local()).await.expect("bind");
        let address = listener.local_addr().expect("address");
        let app = TestApp {
            name: "first",
            ..TestApp::default()
        };
        let server = Server::new(app.clone(), options);
        let handle = server.reload_handle();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(vec![listener], async {
            let _ = stopped.await;
        }));
        Self {
            address,
            app,
            handle,
            stop: Some(stop),
            task,
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.expect("connect");
        Client {
            stream,
            read: Vec::new(),
        }
    }

    /// Sends bytes, and returns everything that comes until the server closes.
    pub(crate) async fn talk(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut client = self.connect().await;
        client.send(bytes).await;
        client.rest().await
    }

    pub(crate) fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    pub(crate) async fn stopped(mut self) -> Drained {
        self.begin_stop();
        within(self.task).await.expect("server task")
    }
}

pub(crate) fn local() -> Bind {
    Bind {
        host: "127.0.0.1".to_owned(),
        port: 0,
        timeout: Duration::from_secs(5),
        backlog: 4096,
        keep_idle: Duration::from_secs(600),
    }
}

/// Fails the test if something takes far too long.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("in time")
}

/// A client that writes raw bytes.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.stream.write_all(bytes.as_ref()))
            .await
            .expect("send");
    }

    /// Sends what the server may refuse to take.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within(self.stream.write_all(bytes.as_ref())).await
    }

    /// Reads until the server closes; a reset counts as closing.
    pub(crate) async fn rest(&mut self) -> String {
        while self.more().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Reads one response whose body has a `Content-Length`, or none.
    pub(crate) async fn answer(&mut self, to_head: bool) -> Answer {
        let end = loop {
            if let Some(at) = self
                .read
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                break at + 4;
            }
            let seen = String::from_utf8_lossy(&self.read).into_owned();
            assert!(self.more().await, "closed within a head: {seen:?}");
        };
        let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length
            .and_then(|text| text.parse().ok())
            .filter(|_| !to_head)
            .unwrap_or(0);
        while self.read.len() < end + length {
            assert!(self.more().await, "closed within a body");
        }
        let body = String::from_utf8_lossy(&self.read[end..end + length]).into_owned();
        self.read.drain(..end + length);
        let status = head[9..12].parse().expect("status");
        Answer { status, head, body }
    }

    /// Whether the server has closed the connection and sent nothing more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !self.more().await
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 16384];
        match within(self.stream.read(&mut buffer)).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.read.extend_from_slice(&buffer[..count]);
                true
            }
        }
    }
}

/// Returns the status of a raw response.
pub(crate) fn status(text: &str) -> u16 {
    let digits = text.get(9..12).unwrap_or_default();
    digits.parse().unwrap_or_default()
}
