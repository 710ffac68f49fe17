//! A blocking HTTP/1.1 client for tests and benches that sends exactly what it is told.
//!
//! It adds nothing to a request but `Host` and `Content-Length`, keeps its connection, and reads one
//! response at a time. It also starts a server process and waits until it answers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// One response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header lines in order, names as they came.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of a name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection that is kept open between requests.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
    request: Vec<u8>,
}

impl Connection {
    /// Connects; every later read and write ends after `timeout` at the latest.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        Ok(Self {
            reader: BufReader::with_capacity(64 * 1024, stream),
            request: Vec::new(),
        })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the peer is gone.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Sends one request and reads its response.
    ///
    /// # Errors
    /// When the peer is gone or does not speak HTTP.
    pub fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut request = std::mem::take(&mut self.request);
        request.clear();
        write!(request, "{method} {target} HTTP/1.1\r\nHost: test\r\n")?;
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n")?;
        }
        if !body.is_empty() {
            write!(request, "Content-Length: {}\r\n", body.len())?;
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        let sent = self.send(&request);
        self.request = request;
        sent?;
        self.response(method == "HEAD")
    }

    /// Reads one response; one to HEAD has no body.
    ///
    /// # Errors
    /// When the connection ends first, or the bytes are no HTTP response.
    pub fn response(&mut self, to_head: bool) -> io::Result<Response> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| bad(format!("not a status line: {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| bad("a bad header line"))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        if status == 100 {
            return self.response(to_head);
        }
        if !to_head && status != 204 && status != 304 {
            response.body = self.body(&response)?;
        } else if !to_head && response.header("Content-Length").is_some_and(|n| n != "0") {
            return Err(bad("a body where none is allowed"));
        }
        Ok(response)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn body(&mut self, response: &Response) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if let Some(length) = response.header("Content-Length") {
            let length = length.parse().map_err(|_| bad("a bad Content-Length"))?;
            body.resize(length, 0);
            self.reader.read_exact(&mut body)?;
        } else if response.header("Transfer-Encoding").is_some() {
            loop {
                let size = usize::from_str_radix(self.line()?.trim(), 16);
                let size = size.map_err(|_| bad("a bad chunk size"))?;
                let start = body.len();
                body.resize(start + size, 0);
                self.reader.read_exact(&mut body[start..])?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            self.reader.read_to_end(&mut body)?;
        }
        Ok(body)
    }
}

fn bad(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

/// Sends one request over a connection of its own.
///
/// # Errors
/// As [`Connection::request`].
pub fn once(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> io::Result<Response> {
    let mut connection = Connection::open(address, Duration::from_secs(30))?;
    connection.request(method, target, headers, b"")
}

/// A server process, killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts a command and waits until `/healthcheck` answers there.
    ///
    /// # Errors
    /// When it does not start, ends, or does not answer within 30 seconds.
    pub fn start(command: &mut Command, address: SocketAddr) -> io::Result<Self> {
        let mut server = Self {
            child: command.spawn()?,
            address,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while once(address, "GET", "/healthcheck", &[]).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!("the server ended: {status}")));
            }
            if Instant::now() > deadline {
                return Err(io::Error::other("the server does not answer"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Kills it at once, as `kill -9` does, and waits for its end.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}

/// A port on the loopback interface that nobody listens on now.
///
/// # Errors
/// When the system has none.
pub fn free_address() -> io::Result<SocketAddr> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// The name of the user that runs this process, for the `user` of a server's configuration.
///
/// # Errors
/// When `id` cannot be run.
pub fn user_name() -> io::Result<String> {
    let id = Command::new("id").arg("-un").output()?;
    Ok(String::from_utf8_lossy(&id.stdout).trim().to_owned())
}
