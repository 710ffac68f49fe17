//! Names and addresses in log lines, hidden behind a digest.

use std::fmt::Write;

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

/// Replaces a text by `{MD5}` and its digest, or `{SMD5}` if there is a salt.
#[derive(Debug, Clone)]
pub struct Anonymizer {
    method: Method,
    salt: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Method {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

const METHODS: [(&str, Method); 6] = [
    ("md5", Method::Md5),
    ("sha1", Method::Sha1),
    ("sha224", Method::Sha224),
    ("sha256", Method::Sha256),
    ("sha384", Method::Sha384),
    ("sha512", Method::Sha512),
];

impl Default for Anonymizer {
    fn default() -> Self {
        Self {
            method: Method::Md5,
            salt: Vec::new(),
        }
    }
}

impl Anonymizer {
    /// Makes one for `log_anonymization_method`, in any case; `None` if there is no such method.
    pub fn new(method: &str, salt: &[u8]) -> Option<Self> {
        let known = METHODS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(method));
        known.map(|(_, method)| Self {
            method: *method,
            salt: salt.to_vec(),
        })
    }

    /// Returns the names of the known methods, for messages.
    pub fn methods() -> String {
        METHODS.map(|(name, _)| name).join(", ")
    }

    /// Appends what stands for a text.
    pub(super) fn write(&self, out: &mut String, text: &str) {
        let name = METHODS[self.method as usize].0.to_ascii_uppercase();
        let salted = if self.salt.is_empty() { "" } else { "S" };
        // Writing to a string does not fail.
        let _ = write!(out, "{{{salted}{name}}}");
        for byte in self.digest(text.as_bytes()) {
            let _ = write!(out, "{byte:02x}");
        }
    }

    fn digest(&self, text: &[u8]) -> Vec<u8> {
        fn of<D: Digest>(salt: &[u8], text: &[u8]) -> Vec<u8> {
            D::new()
                .chain_update(salt)
                .chain_update(text)
                .finalize()
                .to_vec()
        }
        match self.method {
            Method::Md5 => of::<Md5>(&self.salt, text),
            Method::Sha1 => of::<Sha1>(&self.salt, text),
            Method::Sha224 => of::<Sha224>(&self.salt, text),
            Method::Sha256 => of::<Sha256>(&self.salt, text),
            Method::Sha384 => of::<Sha384>(&self.salt, text),
            Method::Sha512 => of::<Sha512>(&self.salt, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(anonymizer: &Anonymizer, text: &str) -> String {
        let mut out = String::new();
        anonymizer.write(&mut out, text);
        out
    }

    /// Digests can be compared with those of Python servers in the same cluster.
    #[test]
    fn digests_are_swifts() {
        let plain = Anonymizer::new("MD5", b"").unwrap();
        assert_eq!(
            hidden(&plain, "1.2.3.4"),
            "{MD5}6465ec74397c9126916786bbcd6d7601"
        );
        let salted = Anonymizer::new("sha1", b"salt").unwrap();
        assert_eq!(
            hidden(&salted, "abc"),
            "{SSHA1}f9ea891322cb966530ff146dcc6ab089f670c9eb"
        );
        assert!(Anonymizer::new("rot13", b"").is_none());
    }
}
