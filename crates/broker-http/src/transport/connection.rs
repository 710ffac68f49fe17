//! The loop over the requests of one connection.

use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::head::{Framing, Head, Persistence, Refusal, Scan};
use super::input::{Incoming, Input, Wire, drain, is_retry};
use super::output::{Form, send};
use super::server::Generation;
use super::slot::{Patience, Registered, lock, millis};
use super::{Peer, output};
use crate::App;
use crate::body::{self, Request, Response};

/// How long a client may take to notice that it should stop sending.
const LINGER: Duration = Duration::from_secs(2);

/// How long a client that has only just connected may take to send its request when the server
/// stops or reloads.
const GRACE: Duration = Duration::from_millis(500);

/// One accepted connection.
pub(super) struct Connection<A> {
    wire: Arc<Wire>,
    generation: Arc<Generation<A>>,
    peer: SocketAddr,
}

/// How urgent the next bytes from a client are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// It has connected for something.
    First,
    /// It may be idle.
    AnyTime,
    /// It has begun something.
    Now,
}

/// What came instead of a request that can be handled.
enum NoHead {
    /// The client is gone, too slow or not wanted any more.
    Gone,
    /// It gets this answer.
    Refused(Refusal),
}

impl From<Refusal> for NoHead {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<A: App> Connection<A> {
    pub(super) fn new(
        socket: TcpStream,
        peer: SocketAddr,
        generation: Arc<Generation<A>>,
        place: Registered,
    ) -> Self {
        let wire = Wire {
            socket,
            place,
            clock: generation.clock,
            patience: Patience {
                timeout: millis(generation.options.client_timeout),
                min_rate: generation.options.min_body_rate,
            },
            input: Mutex::new(Input::default()),
        };
        Self {
            wire: Arc::new(wire),
            generation,
            peer,
        }
    }

    /// Serves requests until the connection is to be closed.
    pub(super) async fn serve(self) {
        let mut wait = self.wire.patience.timeout;
        let mut wanted = Wanted::First;
        loop {
            match self.next_head(wait, wanted).await {
                Ok(head) => {
                    if !self.respond(head).await {
                        return;
                    }
                }
                Err(NoHead::Gone) => return,
                Err(NoHead::Refused(refusal)) => {
                    self.refuse(refusal).await;
                    return;
                }
            }
            let Some(idle) = self.generation.options.idle_time() else {
                return;
            };
            wait = millis(idle);
            wanted = Wanted::AnyTime;
        }
    }

    /// Waits at most `wait` milliseconds for the next request to begin, and for the rest of its
    /// head as long as clients have for anything.
    async fn next_head(&self, wait: u64, mut wanted: Wanted) -> Result<Head, NoHead> {
        let (slot, clock) = (self.wire.place.slot(), self.wire.clock);
        let mut scan = Scan::default();
        let now = clock.now();
        slot.begin_head(now, now.saturating_add(wait));
        loop {
            if let Some(head) = self.take_head(&mut scan)? {
                return Ok(head);
            }
            if wanted != Wanted::Now && !lock(&self.wire.input).buffer.is_empty() {
                wanted = Wanted::Now;
                slot.read
                    .arm(clock.now().saturating_add(self.wire.patience.timeout));
            }
            match self.wire.try_fill_head() {
                Ok(0) => return Err(NoHead::Gone),
                Ok(_) => continue,
                Err(error) if is_retry(&error) => {}
                Err(_) => return Err(NoHead::Gone),
            }
            if wanted != Wanted::Now {
                // An idle connection holds no buffer.
                lock(&self.wire.input).buffer = BytesMut::new();
            }
            self.wait_for_head(wanted).await?;
        }
    }

    fn take_head(&self, scan: &mut Scan) -> Result<Option<Head>, NoHead> {
        let mut input = lock(&self.wire.input);
        if input.buffer.is_empty() {
            return Ok(None);
        }
        let Some(range) = scan.find_end(&input.buffer, &self.generation.options.limits)? else {
            return Ok(None);
        };
        if !self.wire.place.slot().end_head() {
            return Err(NoHead::Gone);
        }
        let head = input
            .buffer
            .split_to(range.end)
            .freeze()
            .slice(range.start..);
        if input.buffer.is_empty() {
            input.buffer = BytesMut::new();
        }
        drop(input);
        Ok(Some(Head::parse(&head)?))
    }

    async fn wait_for_head(&self, wanted: Wanted) -> Result<(), NoHead> {
        let Wire {
            socket,
            place,
            clock,
            ..
        } = &*self.wire;
        let slot = place.slot();
        let counters = &self.generation.counters;
        poll_fn(|cx| {
            slot.read.register(cx.waker());
            if slot.is_evicted() {
                counters.evicted.add();
                return Poll::Ready(Err(NoHead::Gone));
            }
            if let Poll::Ready(ready) = socket.poll_read_ready(cx) {
                return Poll::Ready(ready.map_err(|_| NoHead::Gone));
            }
            if slot.read.is_expired(clock.now()) {
                counters.timed_out.add();
                return Poll::Ready(Err(NoHead::Gone));
            }
            if place.registry().is_draining() {
                match wanted {
                    Wanted::AnyTime => return Poll::Ready(Err(NoHead::Gone)),
                    Wanted::First => slot.read.arm_earlier(clock.now() + millis(GRACE)),
                    Wanted::Now => {}
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Handles one request; returns whether another may follow.
    async fn respond(&self, head: Head) -> bool {
        let form = Form {
            is_head: head.method == http::Method::HEAD,
            is_http11: head.is_http11,
            persistence: head.persistence,
        };
        let request = self.request(head);
        let Ok(permit) = self.generation.permits.acquire().await else {
            return false;
        };
        self.generation.counters.requests.add();
        // A client that pipelines must not keep the thread to itself.
        tokio::task::consume_budget().await;
        let response = call(&self.generation.app, request).await;
        let sent = self.send(form, response).await;
        drop(permit);
        lock(&self.wire.input).detach();
        match sent {
            Err(error) => {
                tracing::debug!(peer = %self.peer, %error, "response not sent");
                false
            }
            Ok(false) => {
                self.linger().await;
                false
            }
            Ok(true) => drain(&self.wire, self.generation.options.limits.max_drain).await,
        }
    }

    fn request(&self, head: Head) -> Request {
        let body = if head.framing == Framing::Empty {
            lock(&self.wire.input).begin(Framing::Empty, false);
            body::empty()
        } else {
            lock(&self.wire.input).begin(head.framing, head.expects_continue);
            Incoming::new(&self.wire).boxed_unsync()
        };
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = head.uri;
        *request.headers_mut() = head.headers;
        *request.version_mut() = if head.is_http11 {
            http::Version::HTTP_11
        } else {
            http::Version::HTTP_10
        };
        request.extensions_mut().insert(Peer(self.peer));
        if !head.unusual.0.is_empty() {
            request.extensions_mut().insert(head.unusual);
        }
        request
    }

    /// Sends a response, `None` for a handler that panicked; returns whether the connection may
    /// stay open.
    async fn send(&self, form: Form, response: Option<Response>) -> io::Result<bool> {
        let Generation {
            options,
            registry,
            counters,
            ..
        } = &*self.generation;
        let reachable = lock(&self.wire.input).can_go_on(options.limits.max_drain);
        let stays = reachable
            && response.is_some()
            && options.idle_time().is_some()
            && !registry.is_draining();
        let persistence = if stays {
            form.persistence
        } else {
            Persistence::Close
        };
        let response = response.unwrap_or_else(|| {
            counters.panicked.add();
            let text = "The server could not process the request.";
            plain(StatusCode::INTERNAL_SERVER_ERROR, text)
        });
        output::send(
            &self.wire,
            Form {
                persistence,
                ..form
            },
            response,
        )
        .await
    }

    async fn refuse(&self, refusal: Refusal) {
        self.generation.counters.refused.add();
        tracing::debug!(peer = %self.peer, status = refusal.status.as_u16(), reason = refusal.text,
            "request refused");
        let form = Form {
            is_head: false,
            is_http11: true,
            persistence: Persistence::Close,
        };
        if send(&self.wire, form, plain(refusal.status, refusal.text))
            .await
            .is_ok()
        {
            // Whatever else the client has sent or sends is not understood.
            lock(&self.wire.input).begin(Framing::Length(u64::MAX), false);
            self.linger().await;
        }
    }

    /// Before closing, takes what the client is still sending. Otherwise the kernel would answer it
    /// with a reset, and the client might lose the response over that.
    async fn linger(&self) {
        let (slot, clock) = (self.wire.place.slot(), self.wire.clock);
        {
            let mut input = lock(&self.wire.input);
            if input.is_done() && input.buffer.is_empty() {
                return;
            }
            input.buffer = BytesMut::new();
        }
        if SockRef::from(&self.wire.socket)
            .shutdown(Shutdown::Write)
            .is_err()
        {
            return;
        }
        let now = clock.now();
        let patience = millis(LINGER).min(self.wire.patience.timeout);
        slot.begin_head(now, now.saturating_add(patience));
        let mut left = self.generation.options.limits.max_drain;
        let mut scratch = vec![0; 16 << 10];
        while left > 0 && self.wait_for_head(Wanted::Now).await.is_ok() {
            match self.wire.socket.try_read(&mut scratch) {
                Ok(0) => return,
                Ok(count) => left = left.saturating_sub(u64::try_from(count).unwrap_or(left)),
                Err(error) if is_retry(&error) => {}
                Err(_) => return,
            }
            if slot.read.is_expired(clock.now()) {
                return;
            }
        }
    }
}

/// Calls the app in a box, so that idle connections do not hold room for it; `None` if it panicked.
async fn call<A: App>(app: &A, request: Request) -> Option<Response> {
    let mut handling = Box::pin(app.handle(request));
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        },
    )
    .await
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
