//! What comes in on a connection: its read buffer and the body of the current request.
//!
//! ```text
//!  connection task ──┐                      ┌── Incoming, read by the handler when it likes
//!                    ├─► Mutex<Input> ◄─────┤
//!  next head         │   buffer, framing    └── drain, what the handler left
//! ```
//!
//! The mutex is never contended: handler and connection are one task. It is there because a handler
//! may keep a body for longer than its request, or give it to another task. Such a body fails once
//! the connection went on.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::net::TcpStream;

use super::head::Framing;
use super::slot::{Clock, Patience, Progress, Registered, lock};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// First allocation for a head.
const HEAD_BUFFER: usize = 4 << 10;
/// Most bytes read from the socket at once.
const BODY_BUFFER: usize = 64 << 10;
/// Longest line that gives the size of a chunk, extensions included.
const MAX_CHUNK_LINE: usize = 1 << 10;
/// Most bytes of extensions of all chunks of a body, and of its trailer lines; both are ignored.
const MAX_TRAILER: usize = 16 << 10;

/// A connection as the tasks that may read from it share it.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) socket: TcpStream,
    pub(super) place: Registered,
    pub(super) clock: Clock,
    pub(super) patience: Patience,
    pub(super) input: Mutex<Input>,
}

impl Wire {
    /// Reads what the socket has, for a head; `Ok(0)` is the end.
    pub(super) fn try_fill_head(&self) -> io::Result<usize> {
        let mut input = lock(&self.input);
        input.buffer.reserve(HEAD_BUFFER);
        self.socket.try_read_buf(&mut input.buffer)
    }
}

/// What was read but not yet used, and the state of the current body.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) buffer: BytesMut,
    body: BodyState,
    progress: Progress,
    /// How much of `100 Continue` is still to be sent before the client sends its body.
    unsent_continue: &'static [u8],
    /// Bytes of chunk extensions so far.
    extensions: usize,
    /// Counts bodies, so that a body that is kept too long can be told.
    epoch: u64,
}

/// Where in its body a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum BodyState {
    #[default]
    Done,
    /// Bytes that are still to come.
    Length(u64),
    Chunked(ChunkState),
    /// The rest of the connection cannot be understood.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkState {
    Size,
    Data(u64),
    DataEnd,
    /// Bytes of trailer lines so far.
    Trailer(usize),
}

/// What the bytes at hand give.
enum Step {
    Data(Bytes),
    Again,
    More,
    End,
    Bad(&'static str),
}

impl Input {
    /// Begins the body of a request.
    pub(super) fn begin(&mut self, framing: Framing, expects_continue: bool) {
        self.body = match framing {
            Framing::Empty => BodyState::Done,
            Framing::Length(bytes) => BodyState::Length(bytes),
            Framing::Chunked => BodyState::Chunked(ChunkState::Size),
        };
        self.progress = Progress::default();
        self.extensions = 0;
        self.unsent_continue = if expects_continue { CONTINUE } else { b"" };
        self.epoch += 1;
    }

    /// Detaches whoever still holds the body.
    pub(super) fn detach(&mut self) {
        self.epoch += 1;
    }

    /// Whether the body was read to its end.
    pub(super) fn is_done(&self) -> bool {
        self.body == BodyState::Done
    }

    /// Whether the next request can be reached by draining at most `limit` bytes.
    pub(super) fn can_go_on(&self, limit: u64) -> bool {
        match self.body {
            BodyState::Done => true,
            BodyState::Broken => false,
            // The client still waits for leave to send, and nobody knows whether it will.
            _ if self.unsent_continue.len() == CONTINUE.len() => false,
            BodyState::Length(left) => left <= limit,
            BodyState::Chunked(_) => true,
        }
    }

    fn poll_data(&mut self, wire: &Wire, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match self.step() {
                Step::Data(data) => return Poll::Ready(Some(Ok(data))),
                Step::End => return Poll::Ready(None),
                Step::Bad(text) => {
                    let error = io::Error::new(io::ErrorKind::InvalidData, text);
                    return Poll::Ready(Some(Err(self.broken(error))));
                }
                Step::Again => {}
                Step::More => {
                    if let Err(error) = ready!(self.poll_more(wire, cx)) {
                        return Poll::Ready(Some(Err(self.broken(error))));
                    }
                }
            }
        }
    }

    fn broken(&mut self, error: io::Error) -> io::Error {
        self.body = BodyState::Broken;
        error
    }

    /// Takes the next piece out of the buffer.
    fn step(&mut self) -> Step {
        match self.body {
            BodyState::Done => Step::End,
            BodyState::Broken => Step::Bad("the request body is broken"),
            BodyState::Length(0) => {
                self.body = BodyState::Done;
                Step::End
            }
            BodyState::Length(left) => match self.take_data(left) {
                None => Step::More,
                Some((data, left)) => {
                    self.body = if left == 0 {
                        BodyState::Done
                    } else {
                        BodyState::Length(left)
                    };
                    Step::Data(data)
                }
            },
            BodyState::Chunked(state) => self.step_chunk(state),
        }
    }

    fn step_chunk(&mut self, state: ChunkState) -> Step {
        let next = match state {
            ChunkState::Data(left) => match self.take_data(left) {
                None => return Step::More,
                Some((data, left)) => {
                    let next = if left == 0 {
                        ChunkState::DataEnd
                    } else {
                        ChunkState::Data(left)
                    };
                    self.body = BodyState::Chunked(next);
                    return Step::Data(data);
                }
            },
            ChunkState::Size => match self.take_line(MAX_CHUNK_LINE) {
                Err(()) => return Step::Bad("the line of a chunk's size is too long"),
                Ok(None) => return Step::More,
                Ok(Some(line)) => match self.read_chunk_size(&line) {
                    Err(text) => return Step::Bad(text),
                    Ok(0) => ChunkState::Trailer(0),
                    Ok(size) => ChunkState::Data(size),
                },
            },
            ChunkState::DataEnd => match self.take_line(2) {
                Ok(None) => return Step::More,
                Ok(Some(line)) if line.is_empty() => ChunkState::Size,
                _ => return Step::Bad("a chunk is longer than its size"),
            },
            ChunkState::Trailer(so_far) => match self.take_line(MAX_TRAILER - so_far) {
                Err(()) => return Step::Bad("the trailer is too long"),
                Ok(None) => return Step::More,
                Ok(Some(line)) if line.is_empty() => {
                    self.body = BodyState::Done;
                    return Step::End;
                }
                Ok(Some(line)) => ChunkState::Trailer((so_far + line.len() + 2).min(MAX_TRAILER)),
            },
        };
        self.body = BodyState::Chunked(next);
        Step::Again
    }

    /// Takes at most `left` bytes; returns them and how many are still missing after them.
    fn take_data(&mut self, left: u64) -> Option<(Bytes, u64)> {
        let here = u64::try_from(self.buffer.len())
            .unwrap_or(u64::MAX)
            .min(left);
        if here == 0 {
            return None;
        }
        let data = self
            .buffer
            .split_to(usize::try_from(here).unwrap_or(usize::MAX));
        Some((data.freeze(), left - here))
    }

    /// Takes a line without its end; `None` if there is none yet, an error if it exceeds `max`
    /// bytes with its end.
    fn take_line(&mut self, max: usize) -> Result<Option<BytesMut>, ()> {
        let seen = &self.buffer[..self.buffer.len().min(max)];
        let Some(end) = memchr::memchr(b'\n', seen) else {
            return if self.buffer.len() >= max {
                Err(())
            } else {
                Ok(None)
            };
        };
        let mut line = self.buffer.split_to(end + 1);
        line.truncate(end);
        if line.last() == Some(&b'\r') {
            line.truncate(end - 1);
        }
        Ok(Some(line))
    }

    fn read_chunk_size(&mut self, line: &[u8]) -> Result<u64, &'static str> {
        const BAD: &str = "a chunk's size is no number";
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        self.extensions += line.len() - digits.len();
        if self.extensions > MAX_TRAILER {
            return Err("the chunk extensions are too long");
        }
        let digits = digits.trim_ascii_end();
        let plain = (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
        let text = std::str::from_utf8(digits)
            .ok()
            .filter(|_| plain)
            .ok_or(BAD)?;
        let size = u64::from_str_radix(text, 16).map_err(|_| BAD)?;
        i64::try_from(size).map_err(|_| BAD)?;
        Ok(size)
    }

    /// Reads from the socket, after telling the client to go on if it waits for that.
    fn poll_more(&mut self, wire: &Wire, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (slot, patience) = (wire.place.slot(), (wire.clock, wire.patience));
        while !self.unsent_continue.is_empty() {
            match wire.socket.try_write(self.unsent_continue) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.progress.moved(count, &slot.write, wire.clock);
                    self.unsent_continue = &self.unsent_continue[count..];
                }
                Err(error) if is_retry(&error) => {
                    let ready = wire.socket.poll_write_ready(cx);
                    ready!(self.progress.poll_wait(&slot.write, patience, cx, ready))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.buffer.reserve(self.read_size());
        loop {
            match wire.socket.try_read_buf(&mut self.buffer) {
                Ok(0) => {
                    let text = "the client closed the connection within its request";
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, text);
                    return Poll::Ready(Err(error));
                }
                Ok(count) => {
                    self.progress.moved(count, &slot.read, wire.clock);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if is_retry(&error) => {
                    let ready = wire.socket.poll_read_ready(cx);
                    ready!(self.progress.poll_wait(&slot.read, patience, cx, ready))?;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn read_size(&self) -> usize {
        let left = match self.body {
            BodyState::Length(left) | BodyState::Chunked(ChunkState::Data(left)) => left,
            _ => 0,
        };
        usize::try_from(left)
            .unwrap_or(usize::MAX)
            .clamp(HEAD_BUFFER, BODY_BUFFER)
    }
}

/// Whether a call on the socket is to be repeated when the socket is ready.
pub(super) fn is_retry(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// The body of a request, as its handler reads it.
#[derive(Debug)]
pub(super) struct Incoming {
    wire: Arc<Wire>,
    epoch: u64,
}

impl Incoming {
    /// Returns the body that was begun last.
    pub(super) fn new(wire: &Arc<Wire>) -> Self {
        let epoch = lock(&wire.input).epoch;
        Self {
            wire: Arc::clone(wire),
            epoch,
        }
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut input = lock(&self.wire.input);
        if input.epoch != self.epoch {
            return Poll::Ready(Some(Err(io::Error::other("the request is over"))));
        }
        input.poll_data(&self.wire, cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        let input = lock(&self.wire.input);
        input.epoch == self.epoch && input.is_done()
    }

    fn size_hint(&self) -> SizeHint {
        let input = lock(&self.wire.input);
        match input.body {
            BodyState::Length(left) if input.epoch == self.epoch => SizeHint::with_exact(left),
            BodyState::Done => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}

/// Reads and drops the rest of the body; false if the next request cannot be reached, because the
/// rest is longer than `limit` bytes or broken.
pub(super) async fn drain(wire: &Wire, limit: u64) -> bool {
    let mut left = limit;
    std::future::poll_fn(|cx| {
        let mut input = lock(&wire.input);
        if !input.can_go_on(left) {
            return Poll::Ready(false);
        }
        loop {
            match ready!(input.poll_data(wire, cx)) {
                None => return Poll::Ready(true),
                Some(Err(_)) => return Poll::Ready(false),
                Some(Ok(data)) => {
                    let count = u64::try_from(data.len()).unwrap_or(u64::MAX);
                    match left.checked_sub(count) {
                        Some(rest) => left = rest,
                        None => return Poll::Ready(false),
                    }
                }
            }
        }
    })
    .await
}
