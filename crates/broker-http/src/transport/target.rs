//! Request targets, made safe for [`http::Uri`] without changing what they mean.
//!
//! ```text
//! GET /sda1/1/a%20b          taken as it is, no copy
//! GET /sda1/1/aü#b           bytes that a URI cannot hold become %C3%BC and %23
//! GET http://any/sda1/1/a    scheme and authority are dropped
//! ```
//!
//! Handlers decode percent escapes before they look at a path, so that a byte and its escape are
//! the same to them, and nothing is lost.

use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;

/// Turns a target as received into a URI of origin form; `None` if it is no target.
pub(super) fn parse(target: Bytes) -> Option<Uri> {
    let target = strip_authority(target);
    if target.as_ref() != b"*" && target.first() != Some(&b'/') {
        return None;
    }
    let safe = if target.iter().all(|byte| is_safe(*byte)) {
        target
    } else {
        escape(&target)
    };
    PathAndQuery::from_maybe_shared(safe).ok().map(Uri::from)
}

fn strip_authority(target: Bytes) -> Bytes {
    let Some(rest) = ["http://", "https://"].iter().find_map(|scheme| {
        let start = target.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme.as_bytes())
            .then(|| target.slice(scheme.len()..))
    }) else {
        return target;
    };
    match rest.iter().position(|byte| matches!(byte, b'/' | b'?')) {
        Some(at) if rest[at] == b'/' => rest.slice(at..),
        Some(at) => [b"/", &rest[at..]].concat().into(),
        None => Bytes::from_static(b"/"),
    }
}

fn is_safe(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
        )
}

fn escape(target: &[u8]) -> Bytes {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(target.len() + 32);
    for &byte in target {
        if is_safe(byte) {
            out.push(byte);
        } else {
            out.extend([
                b'%',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(target: &[u8]) -> Option<String> {
        parse(Bytes::copy_from_slice(target)).map(|uri| uri.to_string())
    }

    /// A client that sends raw bytes reaches the same store as one that escapes them.
    #[test]
    fn bytes_outside_of_uris_are_escaped() {
        assert_eq!(
            parsed("/d/1/ä#?q=ü".as_bytes()).unwrap(),
            "/d/1/%C3%A4%23?q=%C3%BC"
        );
        assert_eq!(parsed(b"/d/1/\x01\xff|").unwrap(), "/d/1/%01%FF%7C");
        assert_eq!(parsed(b"/d/1/a%zz%ff+;").unwrap(), "/d/1/a%zz%ff+;");
    }

    /// Old clients that send a whole URL are served.
    #[test]
    fn absolute_form_loses_its_authority() {
        assert_eq!(parsed(b"http://any:1/sda1/1/a?x").unwrap(), "/sda1/1/a?x");
        assert_eq!(parsed(b"HTTP://any").unwrap(), "/");
        assert_eq!(parsed(b"https://any?x").unwrap(), "/?x");
        assert_eq!(parsed(b"//sda1/1/a").unwrap(), "//sda1/1/a");
        assert_eq!(parsed(b"*").unwrap(), "*");
    }

    /// What is no path must not reach a handler as one.
    #[test]
    fn other_forms_are_refused() {
        assert_eq!(parsed(b""), None);
        assert_eq!(parsed(b"sda1/1/a"), None);
        assert_eq!(parsed(b"host:80"), None);
        assert_eq!(parsed(b"ftp://host/x"), None);
    }
}
