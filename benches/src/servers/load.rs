//! Connections that send requests, and what they saw.
//!
//! All connections of a load are tasks of one thread, so that the load costs little of the processors that
//! it shares with the server, and the same for every server. In a closed load each connection sends its next
//! request when it has the answer to the last one. In an open load requests fall due at a fixed rate, whether
//! the server keeps up or not, and a latency counts from that moment: queueing is seen.

use broker_bench::figures::median;
use serde_json::{Value, json};
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

/// Longer than any answer takes that a server is not stuck on.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rate and latencies of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Finished turns a second.
    pub(crate) rate: f64,
    /// Median latency in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99th percentile in milliseconds.
    pub(crate) p99_ms: f64,
}

impl Figures {
    fn of(mut latencies: Vec<Duration>, took: Duration) -> Self {
        latencies.sort_unstable();
        let at = |part: f64| {
            let index = (latencies.len() as f64 * part) as usize;
            let latency = latencies.get(index.min(latencies.len().saturating_sub(1)));
            latency.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
        };
        Self {
            rate: latencies.len() as f64 / took.as_secs_f64(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
        }
    }

    /// The medians of several runs, figure by figure.
    pub(crate) fn median(runs: &[Figures]) -> Figures {
        let of = |figure: fn(&Figures) -> f64| median(runs.iter().map(figure).collect());
        Figures {
            rate: of(|f| f.rate),
            p50_ms: of(|f| f.p50_ms),
            p99_ms: of(|f| f.p99_ms),
        }
    }

    pub(crate) fn as_json(&self) -> Value {
        json!({"per_second": self.rate, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms})
    }
}

/// What a load sends: appends a request and says what its answer must be.
pub(crate) type Script = fn(&mut Vec<u8>, Step) -> Expected;

/// Where in a load a request stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// Counts from 0.
    pub(crate) connection: usize,
    /// Counts the turns of the connection, over all rounds.
    pub(crate) turn: u64,
    /// Counts the requests of the turn.
    pub(crate) step: usize,
}

/// What makes an answer right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    /// The least length of its body.
    pub(crate) body: usize,
    /// Whether it answers HEAD, and so has no body whatever its headers say.
    pub(crate) to_head: bool,
}

/// How long a load lasts and how it arrives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Requests of a turn, one after the other.
    pub(crate) steps: usize,
    pub(crate) length: Duration,
    /// Turns a second that fall due, or as many as are answered.
    pub(crate) rate: Option<f64>,
    /// Where the turns of each connection begin to count, so that rounds do not repeat names.
    pub(crate) first_turn: u64,
}

impl Load {
    /// Sends a script to a server and returns the figures, and where the next round's turns begin.
    ///
    /// # Errors
    /// On any answer that is not as expected, and when the server is gone or silent for a minute.
    pub(crate) fn run(self, address: SocketAddr, script: Script) -> io::Result<(Figures, u64)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        LocalSet::new().block_on(&runtime, self.connections(address, script))
    }

    async fn connections(self, address: SocketAddr, script: Script) -> io::Result<(Figures, u64)> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(Connection::open(address).await?);
        }
        let (start, due) = (Instant::now(), Rc::new(Cell::new(0_u64)));
        let mut running = JoinSet::new();
        for (number, connection) in connections.into_iter().enumerate() {
            let due = Rc::clone(&due);
            running.spawn_local(self.turns(number, connection, script, due, start));
        }
        let (mut latencies, mut next) = (Vec::new(), self.first_turn);
        while let Some(ended) = running.join_next().await {
            let of_one = ended.map_err(io::Error::other)??;
            next = next.max(self.first_turn + of_one.len() as u64);
            latencies.extend(of_one);
        }
        Ok((Figures::of(latencies, start.elapsed()), next))
    }

    /// The latencies of one connection.
    async fn turns(
        self,
        number: usize,
        mut connection: Connection,
        script: Script,
        due: Rc<Cell<u64>>,
        start: Instant,
    ) -> io::Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        loop {
            let mut begun = Instant::now();
            if let Some(rate) = self.rate {
                let arrival =
                    start + Duration::from_secs_f64(due.replace(due.get() + 1) as f64 / rate);
                if arrival > begun {
                    tokio::time::sleep_until(arrival.into()).await;
                }
                begun = arrival;
            }
            if begun.duration_since(start) >= self.length || start.elapsed() >= 2 * self.length {
                return Ok(latencies);
            }
            let turn = self.first_turn + latencies.len() as u64;
            for step in 0..self.steps {
                let step = Step {
                    connection: number,
                    turn,
                    step,
                };
                connection.out.clear();
                let expected = script(&mut connection.out, step);
                connection.exchange(expected).await?;
            }
            latencies.push(begun.elapsed());
        }
    }
}

/// A connection that is kept open between requests.
struct Connection {
    socket: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            out: Vec::new(),
            input: vec![0; 256 << 10],
        })
    }

    /// Sends what is in `out` and reads the answer.
    async fn exchange(&mut self, expected: Expected) -> io::Result<()> {
        let exchanged = tokio::time::timeout(PATIENCE, async {
            let mut rest = &self.out[..];
            while !rest.is_empty() {
                match self.socket.try_write(rest) {
                    Ok(count) => rest = &rest[count..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.socket.writable().await?;
                    }
                    Err(error) => return Err(error),
                }
            }
            self.answer(expected).await
        });
        exchanged
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn answer(&mut self, expected: Expected) -> io::Result<()> {
        let mut count = 0;
        let head = loop {
            count += self.read(count).await?;
            if let Some(end) = memchr::memmem::find(&self.input[..count], b"\r\n\r\n") {
                break end + 4;
            }
            if count == self.input.len() {
                return Err(bad("a long head"));
            }
        };
        let text = &self.input[..head];
        let status = text
            .get(9..12)
            .and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        if status != Some(expected.status) {
            let all = String::from_utf8_lossy(&self.input[..count]);
            return Err(bad(format!(
                "answered {all} instead of {}",
                expected.status
            )));
        }
        let body = if expected.to_head || expected.status == 204 {
            0
        } else if let Some(length) = header(text, b"\r\ncontent-length: ") {
            let length = std::str::from_utf8(length)
                .ok()
                .and_then(|text| text.parse().ok());
            self.rest(count - head, length.ok_or_else(|| bad("a bad length"))?)
                .await?
        } else {
            self.chunks(head, count).await?
        };
        match body >= expected.body {
            true => Ok(()),
            false => Err(bad(format!(
                "a body of {body} bytes instead of {}",
                expected.body
            ))),
        }
    }

    /// Reads a body of a known length, of which some is there.
    async fn rest(&mut self, there: usize, length: usize) -> io::Result<usize> {
        let mut there = there;
        while there < length {
            there += self.read(0).await?;
        }
        match there == length {
            true => Ok(length),
            false => Err(bad("more than an answer")),
        }
    }

    /// Reads a body in chunks. Its end is told by its last bytes: nothing follows an answer, and bodies are
    /// text without such a line.
    async fn chunks(&mut self, head: usize, count: usize) -> io::Result<usize> {
        const END: &[u8] = b"0\r\n\r\n";
        let (mut length, mut count) = (count - head, count);
        loop {
            if count >= END.len() && self.input[..count].ends_with(END) {
                return Ok(length);
            }
            let kept = count.min(END.len() - 1);
            self.input.copy_within(count - kept..count, 0);
            let more = self.read(kept).await?;
            length += more;
            count = kept + more;
        }
    }

    /// Reads behind the first `kept` bytes of the buffer.
    async fn read(&mut self, kept: usize) -> io::Result<usize> {
        loop {
            match self.socket.try_read(&mut self.input[kept..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.readable().await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The value of a header, whose name is given in lower case with the line end before it.
fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut lines = head.windows(name.len());
    let start = lines.position(|window| window.eq_ignore_ascii_case(name))? + name.len();
    let length = memchr::memchr(b'\r', &head[start..])?;
    Some(&head[start..start + length])
}

fn bad(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}
