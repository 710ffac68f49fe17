//! What goes out: response heads in Swift's form, and bodies as they are made.
//!
//! The first piece of a body that is ready at once leaves together with the head, in one system
//! call. A body that does not say how long it is goes out in chunks, or to a client of HTTP/1.0
//! until the connection closes.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode, response};
use http_body::Body as _;

use super::Reason;
use super::head::Persistence;
use super::header_name::{UnusualHeaders, write_canonical};
use super::input::{Wire, is_retry};
use super::slot::Progress;
use crate::body::{Body, Response};
use crate::log::date::HttpDate;

/// Most pieces that are written at once.
const MAX_PIECES: usize = 4;

/// What a response may look like, given its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) is_head: bool,
    pub(super) is_http11: bool,
    pub(super) persistence: Persistence,
}

/// How the client finds the end of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// Nothing is sent after the head.
    NoBody,
    Length(u64),
    Chunked,
    UntilClosed,
}

/// Sends a response; returns whether the connection may stay open.
///
/// # Errors
///
/// The client is gone or too slow, or the body failed or is shorter than its `Content-Length`. What
/// was sent is not a whole response then, and the connection must be closed.
pub(super) async fn send(wire: &Wire, form: Form, response: Response) -> io::Result<bool> {
    let (parts, body) = response.into_parts();
    let (plan, announce) = plan(&parts, &body, form);
    let stay = form.persistence != Persistence::Close
        && plan != Plan::UntilClosed
        && !asks_to_close(&parts.headers);
    let persistence = if stay {
        form.persistence
    } else {
        Persistence::Close
    };
    let head = write_head(&parts, announce.then_some(plan), persistence);
    let mut sender = Sender {
        wire,
        progress: Progress::default(),
    };
    match plan {
        Plan::NoBody | Plan::Length(0) => sender.write([&head]).await?,
        _ => sender.send_body(head, body, plan).await?,
    }
    Ok(stay)
}

/// Decides how the body goes out, and whether its head has yet to say so.
fn plan(parts: &response::Parts, body: &Body, form: Form) -> (Plan, bool) {
    let stated = parts.headers.get(CONTENT_LENGTH);
    let stated = stated.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let bodiless = matches!(
        parts.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if form.is_head || bodiless {
        return (Plan::NoBody, false);
    }
    if let Some(length) = stated {
        return (Plan::Length(length), false);
    }
    match body.size_hint().exact() {
        Some(length) => (Plan::Length(length), true),
        None if form.is_http11 => (Plan::Chunked, true),
        None => (Plan::UntilClosed, false),
    }
}

fn asks_to_close(headers: &HeaderMap) -> bool {
    headers
        .get(CONNECTION)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

fn write_head(parts: &response::Parts, plan: Option<Plan>, persistence: Persistence) -> Vec<u8> {
    let mut out = Vec::with_capacity(768);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(parts.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason(parts).as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in &parts.headers {
        // The transport alone knows what is true of these two.
        if *name != CONNECTION && *name != TRANSFER_ENCODING {
            write_line(&mut out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    if let Some(UnusualHeaders(lines)) = parts.extensions.get::<UnusualHeaders>() {
        // Names and values come from stored metadata; a line end in one would forge a header.
        let is_line = |text: &Bytes| !text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
        for (name, value) in lines
            .iter()
            .filter(|line| is_line(&line.0) && is_line(&line.1))
        {
            write_line(&mut out, name, value);
        }
    }
    match plan {
        Some(Plan::Length(length)) => {
            let mut digits = itoa::Buffer::new();
            write_line(
                &mut out,
                b"content-length",
                digits.format(length).as_bytes(),
            );
        }
        Some(Plan::Chunked) => write_line(&mut out, b"transfer-encoding", b"chunked"),
        _ => {}
    }
    if !parts.headers.contains_key(DATE) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        out.extend_from_slice(b"Date: ");
        HttpDate::at(now.as_secs()).write(&mut out);
        out.extend_from_slice(b"\r\n");
    }
    match persistence {
        Persistence::Close => out.extend_from_slice(b"Connection: close\r\n"),
        Persistence::StayAndSay => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        Persistence::Stay => {}
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn write_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    write_canonical(out, name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Returns the reason phrase, in Swift's words where they are not the usual ones.
fn reason(parts: &response::Parts) -> &'static str {
    if let Some(Reason(text)) = parts.extensions.get::<Reason>() {
        return text;
    }
    match parts.status.as_u16() {
        414 => "Request-URI Too Long",
        500 => "Internal Error",
        529 => "Too Many Backend Requests",
        _ => parts.status.canonical_reason().unwrap_or("Unknown"),
    }
}

/// Writes to the socket, with patience.
struct Sender<'a> {
    wire: &'a Wire,
    progress: Progress,
}

impl Sender<'_> {
    async fn send_body(&mut self, head: Vec<u8>, body: Body, plan: Plan) -> io::Result<()> {
        let mut body = body;
        let mut left = if let Plan::Length(length) = plan {
            length
        } else {
            u64::MAX
        };
        let mut head = Some(head);
        loop {
            // Neither body nor socket need ever be pending, and others want the thread too.
            tokio::task::consume_budget().await;
            let ready = poll_now(&mut body).await;
            let data = match ready {
                Poll::Ready(data) => data,
                Poll::Pending => {
                    if let Some(head) = head.take() {
                        self.write([&head]).await?;
                    }
                    next_data(&mut body).await
                }
            };
            let head = head.take().unwrap_or_default();
            let Some(mut data) = data.transpose()? else {
                return self.finish(&head, plan, left).await;
            };
            data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= u64::try_from(data.len()).unwrap_or(left);
            match plan {
                Plan::Chunked if data.is_empty() => self.write([&head]).await?,
                Plan::Chunked => {
                    let size = format!("{:X}\r\n", data.len());
                    let ended = body.is_end_stream();
                    let end: &[u8] = if ended { b"\r\n0\r\n\r\n" } else { b"\r\n" };
                    self.write([&head, size.as_bytes(), &data, end]).await?;
                    if ended {
                        return Ok(());
                    }
                }
                _ => self.write([&head, &data]).await?,
            }
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// Ends a body that has no more data.
    async fn finish(&mut self, head: &[u8], plan: Plan, left: u64) -> io::Result<()> {
        match plan {
            Plan::Chunked => self.write([head, b"0\r\n\r\n"]).await,
            Plan::Length(_) if left > 0 => {
                self.write([head]).await?;
                let text = "the response body is shorter than its Content-Length";
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
            }
            _ => self.write([head]).await,
        }
    }

    async fn write<const N: usize>(&mut self, pieces: [&[u8]; N]) -> io::Result<()> {
        const { assert!(N <= MAX_PIECES) };
        let mut slices = pieces.map(IoSlice::new);
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, 0);
        let Wire {
            socket,
            place,
            clock,
            patience,
            ..
        } = self.wire;
        while !rest.is_empty() {
            let written = match &*rest {
                // The shorter way through the system.
                [only] => socket.try_write(only),
                several => socket.try_write_vectored(several),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.progress.moved(count, &place.slot().write, *clock);
                    IoSlice::advance_slices(&mut rest, count);
                }
                Err(error) if is_retry(&error) => {
                    poll_fn(|cx| {
                        let ready = socket.poll_write_ready(cx);
                        let wait = &place.slot().write;
                        self.progress
                            .poll_wait(wait, (*clock, *patience), cx, ready)
                    })
                    .await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Asks a body for data without waiting for it.
async fn poll_now(body: &mut Body) -> Poll<Option<io::Result<Bytes>>> {
    poll_fn(|cx| Poll::Ready(poll_data(body, cx))).await
}

async fn next_data(body: &mut Body) -> Option<io::Result<Bytes>> {
    poll_fn(|cx| poll_data(body, cx)).await
}

fn poll_data(body: &mut Body, cx: &mut std::task::Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
    Pin::new(body).poll_frame(cx).map(|frame| {
        // Trailers are not sent: a frame of them counts as empty data.
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()))
    })
}
