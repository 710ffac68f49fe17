//! Request heads: where one ends, and what it says.
//!
//! ```text
//! bytes as they come ── Scan::find_end ──► start..end of a head     limits, each byte looked at once
//!                                             └── Head::parse ──►   method, URI, headers, framing
//! ```

use std::ops::Range;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, Entry, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::header_name::{self, NameKind, UnusualHeaders};
use super::options::Limits;
use super::target;

/// Blank lines that are skipped before a request line; some clients end bodies with one too many.
const MAX_BLANK_LINES: usize = 8;

/// A request that is answered by the transport itself, after which the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) text: &'static str,
}

impl Refusal {
    const fn bad(text: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            text,
        }
    }

    const fn too_many(text: &'static str) -> Self {
        Self {
            status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            text,
        }
    }
}

/// Looks for the end of a head in a buffer that grows.
#[derive(Debug, Default)]
pub(super) struct Scan {
    start: usize,
    line_start: usize,
    checked: usize,
    blank_lines: usize,
    /// Complete lines, the request line included.
    lines: usize,
}

impl Scan {
    /// Returns where the head lies if it is complete, else `None`: call again with more.
    ///
    /// # Errors
    ///
    /// A limit is exceeded, or the first byte cannot begin a request.
    pub(super) fn find_end(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
    ) -> Result<Option<Range<usize>>, Refusal> {
        while let Some(at) = memchr::memchr(b'\n', &buffer[self.checked..]) {
            let end = self.checked + at + 1;
            let line = &buffer[self.line_start..end];
            let blank = matches!(line, b"\n" | b"\r\n");
            (self.checked, self.line_start) = (end, end);
            if blank && self.lines > 0 {
                return Ok(Some(self.start..end));
            }
            if blank {
                self.skip_blank_line(end)?;
                continue;
            }
            self.check_line(line, limits)?;
            self.lines += 1;
            if self.lines - 1 > limits.max_header_count {
                return Err(Refusal::too_many("Too many header lines"));
            }
            self.check_size(end, limits)?;
        }
        self.checked = buffer.len();
        self.check_line(&buffer[self.line_start..], limits)?;
        self.check_size(buffer.len(), limits)?;
        Ok(None)
    }

    fn skip_blank_line(&mut self, end: usize) -> Result<(), Refusal> {
        self.start = end;
        self.blank_lines += 1;
        if self.blank_lines > MAX_BLANK_LINES {
            return Err(Refusal::bad("Request line missing"));
        }
        Ok(())
    }

    fn check_size(&self, end: usize, limits: &Limits) -> Result<(), Refusal> {
        if end - self.start > limits.max_head {
            return Err(Refusal::too_many("Request head too large"));
        }
        Ok(())
    }

    fn check_line(&self, line: &[u8], limits: &Limits) -> Result<(), Refusal> {
        if self.lines > 0 {
            return match line.len() > limits.max_header_line {
                true => Err(Refusal::bad("Header line too long")),
                false => Ok(()),
            };
        }
        // The first byte tells a client that does not speak HTTP, TLS above all, without waiting.
        if line
            .first()
            .is_some_and(|byte| !byte.is_ascii_graphic() && *byte != b'\r')
        {
            return Err(Refusal::bad("Bad request syntax"));
        }
        if line.len() >= limits.max_request_line {
            let status = StatusCode::URI_TOO_LONG;
            return Err(Refusal {
                status,
                text: "Request line too long",
            });
        }
        Ok(())
    }
}

/// How the length of a request body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    Empty,
    /// So many bytes, at least 1.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// What the client said about keeping the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistence {
    /// It is closed after the response.
    Close,
    /// It stays open, as is usual.
    Stay,
    /// It stays open, and the client wants to read so.
    StayAndSay,
}

/// One request without its body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) unusual: UnusualHeaders,
    pub(super) framing: Framing,
    /// The client understands what came with HTTP/1.1: chunks and `100 Continue`.
    pub(super) is_http11: bool,
    pub(super) persistence: Persistence,
    pub(super) expects_continue: bool,
}

impl Head {
    /// Parses a head from its request line up to and including its blank line.
    ///
    /// # Errors
    ///
    /// The answer that the client gets.
    pub(super) fn parse(head: &Bytes) -> Result<Self, Refusal> {
        let mut lines = Lines { rest: head.clone() };
        let line = lines.next().unwrap_or_default();
        let RequestLine {
            method,
            uri,
            is_http11,
        } = RequestLine::parse(&line)?;
        let mut parsed = Self {
            method,
            uri,
            headers: HeaderMap::with_capacity(24),
            unusual: UnusualHeaders::default(),
            framing: Framing::Empty,
            is_http11,
            persistence: Persistence::Close,
            expects_continue: false,
        };
        for line in lines {
            parsed.add_line(&line)?;
        }
        parsed.persistence = parsed.read_persistence();
        parsed.framing = parsed.read_framing()?;
        let expect = parsed.headers.get(EXPECT);
        parsed.expects_continue = is_http11
            && parsed.framing != Framing::Empty
            && expect.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Ok(parsed)
    }

    fn add_line(&mut self, line: &Bytes) -> Result<(), Refusal> {
        const BAD: Refusal = Refusal::bad("Bad header line");
        let colon = memchr::memchr(b':', line).ok_or(BAD)?;
        let value = trimmed(&line.slice(colon + 1..));
        match header_name::classify(&line[..colon]) {
            NameKind::Bad => Err(BAD),
            NameKind::Dropped => Ok(()),
            NameKind::Unusual => {
                self.unusual.0.push((line.slice(..colon), value));
                Ok(())
            }
            NameKind::Token => {
                let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| BAD)?;
                let value = HeaderValue::from_maybe_shared(value).map_err(|_| BAD)?;
                self.add_header(name, value)
            }
        }
    }

    /// Adds a header, joining repeated lines with a comma.
    fn add_header(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), Refusal> {
        match self.headers.try_entry(name) {
            Err(_) => return Err(Refusal::too_many("Too many header lines")),
            Ok(Entry::Vacant(entry)) => {
                entry.insert(value);
            }
            Ok(Entry::Occupied(mut entry)) => {
                let joined = [entry.get().as_bytes(), b",", value.as_bytes()].concat();
                let joined = HeaderValue::from_maybe_shared(Bytes::from(joined));
                entry.insert(joined.map_err(|_| Refusal::bad("Bad header line"))?);
            }
        }
        Ok(())
    }

    fn read_persistence(&self) -> Persistence {
        let default = if self.is_http11 {
            Persistence::Stay
        } else {
            Persistence::Close
        };
        let Some(value) = self.headers.get(CONNECTION) else {
            return default;
        };
        let has = |wanted: &[u8]| {
            let mut options = value.as_bytes().split(|byte| *byte == b',');
            options.any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted))
        };
        if has(b"close") {
            Persistence::Close
        } else if has(b"keep-alive") {
            Persistence::StayAndSay
        } else {
            default
        }
    }

    /// Finds out how the body is framed. Chunks win over a length, but then nothing after the body
    /// is trusted to be a request.
    fn read_framing(&mut self) -> Result<Framing, Refusal> {
        let length = self
            .headers
            .get(CONTENT_LENGTH)
            .map(|value| value.as_bytes());
        let length = read_length(length.unwrap_or_default())?;
        let coding = self
            .headers
            .get(TRANSFER_ENCODING)
            .map(|value| value.as_bytes());
        let coding = coding.unwrap_or_default();
        if coding.eq_ignore_ascii_case(b"chunked") {
            if length.is_some() || !self.is_http11 {
                self.persistence = Persistence::Close;
            }
            return Ok(Framing::Chunked);
        }
        if !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity") {
            let status = StatusCode::NOT_IMPLEMENTED;
            return Err(Refusal {
                status,
                text: "Unknown transfer coding",
            });
        }
        Ok(match length {
            None | Some(0) => Framing::Empty,
            Some(bytes) => Framing::Length(bytes),
        })
    }
}

/// The first line of a head.
struct RequestLine {
    method: Method,
    uri: Uri,
    is_http11: bool,
}

impl RequestLine {
    fn parse(line: &Bytes) -> Result<Self, Refusal> {
        const BAD: Refusal = Refusal::bad("Bad request syntax");
        let last_space = memchr::memrchr(b' ', line).ok_or(BAD)?;
        let is_http11 = read_version(&line[last_space + 1..])?;
        let first_space = memchr::memchr(b' ', line).ok_or(BAD)?;
        if first_space == last_space {
            return Err(BAD);
        }
        let target = line.slice(first_space + 1..last_space);
        if memchr::memchr2(b' ', b'\r', &target).is_some() {
            return Err(BAD);
        }
        Ok(Self {
            method: Method::from_bytes(&line[..first_space]).map_err(|_| BAD)?,
            uri: target::parse(target).ok_or(Refusal::bad("Bad request target"))?,
            is_http11,
        })
    }
}

/// Reads `HTTP/<major>.<minor>`; true for 1.1 and above.
fn read_version(text: &[u8]) -> Result<bool, Refusal> {
    const BAD: Refusal = Refusal::bad("Bad request version");
    let number = |digits: &[u8]| -> Option<u32> {
        let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(digits).ok().filter(|_| plain)?;
        Some(text.parse().unwrap_or(u32::MAX))
    };
    let numbers = text.strip_prefix(b"HTTP/").ok_or(BAD)?;
    let dot = memchr::memchr(b'.', numbers).ok_or(BAD)?;
    let major = number(&numbers[..dot]).ok_or(BAD)?;
    let minor = number(&numbers[dot + 1..]).ok_or(BAD)?;
    match major {
        0 => Err(BAD),
        1 => Ok(minor >= 1),
        _ => {
            let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
            Err(Refusal {
                status,
                text: "Invalid HTTP version",
            })
        }
    }
}

/// Reads a `Content-Length`; an empty one counts as none.
fn read_length(text: &[u8]) -> Result<Option<u64>, Refusal> {
    const BAD: Refusal = Refusal::bad("Bad Content-Length");
    if text.is_empty() {
        return Ok(None);
    }
    if !text.iter().all(u8::is_ascii_digit) {
        return Err(BAD);
    }
    let length = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    let length = length.filter(|length| i64::try_from(*length).is_ok());
    length.map(Some).ok_or(BAD)
}

fn trimmed(value: &Bytes) -> Bytes {
    let is_content = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let Some(start) = value.iter().position(is_content) else {
        return Bytes::new();
    };
    let end = value
        .iter()
        .rposition(is_content)
        .map_or(start, |last| last + 1);
    value.slice(start..end)
}

/// Cuts a head into lines without their ends, up to the blank one.
struct Lines {
    rest: Bytes,
}

impl Iterator for Lines {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let end = memchr::memchr(b'\n', &self.rest)?;
        let mut line = self.rest.split_to(end + 1);
        line.truncate(end);
        if line.last() == Some(&b'\r') {
            line.truncate(end - 1);
        }
        (!line.is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests;
