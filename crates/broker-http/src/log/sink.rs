//! Where log lines end up: the system log by a local socket or UDP, or standard error.

use std::fmt;
use std::io::{self, Write};
use std::net::{ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use swift_conf::server_conf::{LogConf, LogTarget};

use super::spool::{Drain, Spool};

/// Lines that may wait to be written.
const ROOM: usize = 16384;
/// How long a system log that cannot be reached is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// How long a system log may block the writer thread with one line.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// Longest datagram that is tried; the kernel's default limit is a little above.
const MAX_DATAGRAM: usize = 200_000;

/// How much a log line matters, most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The server cannot go on.
    Critical,
    /// Something failed.
    Error,
    /// Something may fail.
    Warning,
    /// Start and end of a server.
    Notice,
    /// What happens anyway; request lines.
    Info,
    /// What helps to find faults.
    Debug,
}

impl Level {
    /// Reads `log_level`; what Swift does not know means `INFO`.
    pub fn parse(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "DEBUG" | "NOTSET" => Self::Debug,
            "NOTICE" => Self::Notice,
            "WARN" | "WARNING" => Self::Warning,
            "ERROR" => Self::Error,
            "CRITICAL" | "FATAL" => Self::Critical,
            _ => Self::Info,
        }
    }

    fn severity(self) -> u8 {
        match self {
            Self::Critical => 2,
            Self::Error => 3,
            Self::Warning => 4,
            Self::Notice => 5,
            Self::Info => 6,
            Self::Debug => 7,
        }
    }
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A local datagram socket; standard error while there is none.
    Socket(PathBuf),
    /// A system log at host and port.
    Udp(String, u16),
    /// Standard error.
    Stderr,
}

/// How lines look and where they go.
#[derive(Debug, Clone)]
pub struct LogSinkOptions {
    /// Put before each line.
    pub name: String,
    /// Lines that matter less are not written.
    pub level: Level,
    /// Syslog facility number.
    pub facility: u8,
    /// Where lines go.
    pub target: Target,
    /// Longer lines are cut in the middle; 0 means never.
    pub max_line_length: usize,
}

impl From<&LogConf> for LogSinkOptions {
    fn from(conf: &LogConf) -> Self {
        Self {
            name: conf.name.clone(),
            level: Level::parse(&conf.level),
            facility: conf.facility,
            target: match &conf.target {
                LogTarget::Socket(path) => Target::Socket(path.clone()),
                LogTarget::Udp { host, port } => Target::Udp(host.clone(), *port),
            },
            max_line_length: usize::try_from(conf.max_line_length).unwrap_or(usize::MAX),
        }
    }
}

/// Takes log lines; clones write to the same place.
#[derive(Clone)]
pub struct LogSink {
    spool: Spool<Line>,
    level: Level,
    max_line_length: usize,
    name: String,
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogSink")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Line {
    level: Level,
    text: Box<str>,
}

impl LogSink {
    /// Starts a thread that writes lines.
    ///
    /// # Errors
    ///
    /// The thread cannot be started. A system log that cannot be reached is no error.
    pub fn start(options: LogSinkOptions) -> io::Result<Self> {
        let (level, max_line_length) = (options.level, options.max_line_length);
        let name = options.name.clone();
        let writer = Writer {
            options,
            connection: None,
            failed: None,
            buffer: Vec::new(),
        };
        let spool = Spool::start("log", ROOM, writer)?;
        Ok(Self {
            spool,
            level,
            max_line_length,
            name,
        })
    }

    /// Whether a line of this level would be written.
    pub fn is_enabled(&self, level: Level) -> bool {
        level <= self.level
    }

    /// Writes a line, with ` (txn: …)` added if there is a transaction id that it does not contain.
    pub fn write(&self, level: Level, line: &str, txn_id: &str) {
        if self.is_enabled(level) {
            let text = finish(&self.name, line, txn_id, self.max_line_length);
            self.spool.put(Line {
                level,
                text: text.into_boxed_str(),
            });
        }
    }

    /// Waits until all lines so far are written, at most `limit`; for the end of a process.
    pub fn flush(&self, limit: Duration) {
        self.spool.flush(limit);
    }
}

/// Returns a line in its final form.
fn finish(name: &str, line: &str, txn_id: &str, max: usize) -> String {
    let mut text = String::with_capacity(name.len() + line.len() + txn_id.len() + 12);
    text.push_str(name);
    text.push_str(": ");
    for (index, part) in line.split('\n').enumerate() {
        if index > 0 {
            text.push_str("#012");
        }
        text.push_str(part);
    }
    if !txn_id.is_empty() && !text.contains(txn_id) {
        text.push_str(" (txn: ");
        text.push_str(txn_id);
        text.push(')');
    }
    cut(text, max)
}

/// Cuts a line that has more than `max` characters, in the middle if there is room to show it.
fn cut(text: String, max: usize) -> String {
    let count = if max == 0 || text.len() <= max {
        0
    } else {
        text.chars().count()
    };
    if count <= max {
        return text;
    }
    if max < 7 {
        return text.chars().take(max).collect();
    }
    let half = (max - 5) / 2;
    let mut short: String = text.chars().take(half).collect();
    short.push_str(" ... ");
    short.extend(text.chars().skip(count - half));
    short
}

/// The writing side, in its own thread.
struct Writer {
    options: LogSinkOptions,
    connection: Option<Connection>,
    failed: Option<Instant>,
    buffer: Vec<u8>,
}

enum Connection {
    Local(UnixDatagram),
    Udp(UdpSocket),
}

impl Drain<Line> for Writer {
    fn write(&mut self, lines: &[Line], dropped: u64) {
        let mut fallback = Vec::new();
        for line in lines {
            self.write_line(line, &mut fallback);
        }
        if dropped > 0 {
            let text = format!("{}: {dropped} log lines were dropped", self.options.name);
            let line = Line {
                level: Level::Warning,
                text: text.into_boxed_str(),
            };
            self.write_line(&line, &mut fallback);
        }
        if !fallback.is_empty() {
            // There is no place left to report this to.
            let _ = io::stderr().lock().write_all(&fallback);
        }
    }
}

impl Writer {
    fn write_line(&mut self, line: &Line, fallback: &mut Vec<u8>) {
        if !self.send(line) {
            fallback.extend_from_slice(line.text.as_bytes());
            fallback.push(b'\n');
        }
    }

    /// Sends a line to the system log; false if it is to go to standard error.
    fn send(&mut self, line: &Line) -> bool {
        if self.connection.is_none() && !self.may_connect() {
            return false;
        }
        let priority = (self.options.facility << 3) | line.level.severity();
        self.buffer.clear();
        // Writing to a vector does not fail.
        let _ = write!(self.buffer, "<{priority}>{}", line.text);
        self.buffer.truncate(MAX_DATAGRAM);
        self.buffer.push(0);
        // One more try, for a system log that was restarted.
        for _ in 0..2 {
            if self.connection.is_none() {
                self.connection = self.connect();
            }
            match &self.connection {
                None => break,
                Some(connection) if connection.send(&self.buffer).is_ok() => return true,
                Some(_) => self.connection = None,
            }
        }
        self.failed = Some(Instant::now());
        false
    }

    fn may_connect(&self) -> bool {
        self.options.target != Target::Stderr
            && self.failed.is_none_or(|failed| failed.elapsed() > RETRY)
    }

    fn connect(&self) -> Option<Connection> {
        match &self.options.target {
            Target::Stderr => None,
            Target::Socket(path) => {
                let socket = UnixDatagram::unbound().ok()?;
                socket.set_write_timeout(Some(WRITE_LIMIT)).ok()?;
                socket.connect(path).ok()?;
                Some(Connection::Local(socket))
            }
            Target::Udp(host, port) => Some(Connection::Udp(connect_udp(host, *port).ok()?)),
        }
    }
}

impl Connection {
    fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        match self {
            Self::Local(socket) => socket.send(datagram),
            Self::Udp(socket) => socket.send(datagram),
        }
    }
}

/// Returns a UDP socket that sends to a host.
pub(super) fn connect_udp(host: &str, port: u16) -> io::Result<UdpSocket> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    let address = (host, port).to_socket_addrs()?.next().ok_or_else(missing)?;
    let local = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(local)?;
    socket.connect(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines keep their form: one line each, with their transaction, not longer than allowed.
    #[test]
    fn lines_are_finished_as_swift_does() {
        assert_eq!(finish("a", "x\ny", "", 0), "a: x#012y");
        assert_eq!(finish("a", "x", "tx1", 0), "a: x (txn: tx1)");
        assert_eq!(finish("a", "x tx1 y", "tx1", 0), "a: x tx1 y");
        assert_eq!(finish("a", "0123456789abcdef", "", 15), "a: 01 ... bcdef");
        assert_eq!(finish("a", "0123456789", "", 6), "a: 012");
        assert_eq!(finish("a", "üüüü", "", 7), "a: üüüü");
    }

    /// A line reaches the system log with its priority, and standard error is left alone.
    #[test]
    fn lines_reach_the_system_log() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let receiver = UnixDatagram::bind(&path).unwrap();
        receiver
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let sink = LogSink::start(LogSinkOptions {
            name: "account-server".to_owned(),
            level: Level::Info,
            facility: 16,
            target: Target::Socket(path),
            max_line_length: 0,
        });
        let sink = sink.unwrap();
        sink.write(Level::Debug, "not this", "");
        sink.write(Level::Info, "hello", "tx1");
        sink.flush(Duration::from_secs(10));
        let mut buffer = [0; 100];
        let count = receiver.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"<134>account-server: hello (txn: tx1)\0");
    }
}
