//! Header names: Swift's canonical case, and names that [`http::HeaderName`] cannot hold.

use bytes::Bytes;

/// Header lines whose names [`http::HeaderName`] cannot hold, such as `X-Account-Meta-ü`.
///
/// The transport adds them as an extension to a request that has any, names as they were received
/// and values trimmed; it sends those that it finds among a response's extensions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnusualHeaders(pub Vec<(Bytes, Bytes)>);

/// Appends a header name in Swift's canonical case: an ASCII letter is upper case after anything
/// but a letter, and lower case after a letter.
///
/// ```
/// let mut name = Vec::new();
/// broker_http::transport::write_canonical(&mut name, b"x-account-meta-a1b-c2D");
/// assert_eq!(name, b"X-Account-Meta-A1B-C2D");
/// ```
pub fn write_canonical(out: &mut Vec<u8>, name: &[u8]) {
    const LOWER_CASE: u8 = b'a' - b'A';
    let begin = out.len();
    out.extend_from_slice(name);
    // Without a branch: an answer has hundreds of these bytes.
    let mut after_letter = 0;
    for byte in &mut out[begin..] {
        let case = u8::from(byte.is_ascii_alphabetic()) * LOWER_CASE;
        *byte = *byte & !case | case & after_letter;
        after_letter = case;
    }
}

/// What a byte of a header name makes of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    /// A name that [`http::HeaderName`] takes.
    Token,
    /// One that only [`UnusualHeaders`] can carry.
    Unusual,
    /// One with `_`, which Swift drops.
    Dropped,
    /// No header name at all.
    Bad,
}

/// Tells what kind of name this is.
pub(super) fn classify(name: &[u8]) -> NameKind {
    if name.is_empty() {
        return NameKind::Bad;
    }
    let mut kind = NameKind::Token;
    for &byte in name {
        match byte {
            0..=b' ' | 0x7f | b':' => return NameKind::Bad,
            b'_' => kind = NameKind::Dropped,
            _ if kind == NameKind::Token && !is_token(byte) => kind = NameKind::Unusual,
            _ => {}
        }
    }
    kind
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^`|~".contains(&byte)
}
