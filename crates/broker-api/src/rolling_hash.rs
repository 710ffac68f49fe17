//! The order-independent hash over the rows of a store.
//!
//! Each row contributes `md5(name "-" suffix)`; the hash is the exclusive or of all contributions, so
//! inserting and removing a row are the same operation and order does not matter.
//!
//! ```text
//! object row      suffix = created_at as stored
//! container row   suffix = put "-" delete "-" object_count "-" bytes_used, timestamps as stored
//! ```
//!
//! # Contract
//! - HASH-1: a container's hash covers exactly the rows present, tombstones included.
//! - HASH-2: so does an account's, with the stored text of the timestamps.
//!
//! Swift counterpart: `swift.common.db.chexor`.

use md5::{Digest, Md5};
use std::fmt;

/// A 128-bit exclusive or over rows; prints as 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RollingHash(u128);

impl RollingHash {
    /// Reads up to 32 hexadecimal digits; `None` for anything else.
    pub fn parse(hex: &str) -> Option<Self> {
        u128::from_str_radix(hex, 16)
            .ok()
            .filter(|_| !hex.starts_with('+'))
            .map(Self)
    }

    /// The hash after the row `name`, `suffix` was inserted or, being its own inverse, removed.
    #[must_use]
    pub fn toggled(self, name: &str, suffix: &str) -> Self {
        let mut md5 = Md5::new();
        md5.update(name.as_bytes());
        md5.update(b"-");
        md5.update(suffix.as_bytes());
        Self(self.0 ^ u128::from_be_bytes(md5.finalize().into()))
    }
}

impl fmt::Display for RollingHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The suffix that a container row contributes to its account's hash.
pub fn container_row_suffix(put: &str, delete: &str, object_count: i64, bytes_used: i64) -> String {
    format!("{put}-{delete}-{object_count}-{bytes_used}")
}
