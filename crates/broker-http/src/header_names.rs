//! Header names as metadata keys: canonical case, and names that [`http::HeaderName`] cannot hold.
//!
//! A stored key is a header name in the case that Python's `str.title` gives it. Swift lets
//! metadata names be any UTF-8; those that a header map cannot hold travel in [`UnusualHeaders`].

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};

use crate::body::Response;
use crate::transport::{UnusualHeaders, write_canonical};

/// A header name or value is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotUtf8;

/// Returns the canonical case of a header name; bytes outside ASCII stay.
pub(crate) fn canonical_case(name: &str) -> String {
    let mut canonical = Vec::with_capacity(name.len());
    write_canonical(&mut canonical, name.as_bytes());
    // Only the case of ASCII letters has changed.
    String::from_utf8(canonical).unwrap_or_default()
}

/// Sets a header whose name is data; a value that no header can hold is left out.
pub(crate) fn set(response: &mut Response, name: &str, value: &str) {
    let Ok(header_value) = HeaderValue::from_bytes(value.as_bytes()) else {
        tracing::debug!(name, "a stored value cannot be sent as a header");
        return;
    };
    if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
        response.headers_mut().insert(name, header_value);
        return;
    }
    let line = (Bytes::from(name.to_owned()), Bytes::from(value.to_owned()));
    let unusual = response
        .extensions_mut()
        .get_or_insert_default::<UnusualHeaders>();
    unusual.0.push(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_after_non_letters_are_upper_case() {
        for (name, canonical) in [
            ("x-account-meta-a1b-c2D", "X-Account-Meta-A1B-C2D"),
            ("X-CONTAINER-META-COLOR", "X-Container-Meta-Color"),
            ("x-container-meta-été", "X-Container-Meta-éTé"),
            ("", ""),
            ("a", "A"),
            ("x--b.c~d", "X--B.C~D"),
        ] {
            assert_eq!(canonical_case(name), canonical);
        }
    }
}
