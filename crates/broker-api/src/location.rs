//! Where a store is: device, partition, and the hash of its name.

use md5::{Digest, Md5};
use std::fmt;

/// Whether a store is an account or a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreKind {
    /// Lists the containers of an account.
    Account,
    /// Lists the objects of a container.
    Container,
}

impl StoreKind {
    /// `account` or `container`.
    pub fn as_str(self) -> &'static str {
        match self {
            StoreKind::Account => "account",
            StoreKind::Container => "container",
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// MD5 of a path with the cluster's secret prefix and suffix: the name of a store on its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameHash(pub [u8; 16]);

impl NameHash {
    /// Reads 32 lower-case hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Self> {
        let lower = hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = u128::from_str_radix(hex, 16).ok().filter(|_| lower)?;
        Some(Self(number.to_be_bytes()))
    }

    /// The last three hexadecimal digits, which name a folder on the device.
    pub fn suffix(&self) -> String {
        self.to_string()[29..].to_owned()
    }

    /// The partition of this name in a ring of 2^`part_power` partitions; a power above 32 is 32.
    pub fn partition(&self, part_power: u32) -> u32 {
        let [a, b, c, d, ..] = self.0;
        let top = u64::from(u32::from_be_bytes([a, b, c, d]));
        (top >> (32 - part_power.min(32))) as u32
    }
}

impl fmt::Display for NameHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The cluster's secret prefix and suffix, which every node must share.
///
/// Swift counterpart: `swift.common.utils.hash_path`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct HashPath {
    prefix: Vec<u8>,
    suffix: Vec<u8>,
}

impl HashPath {
    /// Takes the bytes of `swift_hash_path_prefix` and `swift_hash_path_suffix`.
    pub fn new(prefix: impl Into<Vec<u8>>, suffix: impl Into<Vec<u8>>) -> Self {
        Self {
            prefix: prefix.into(),
            suffix: suffix.into(),
        }
    }

    /// The hash of an account.
    pub fn account(&self, account: &str) -> NameHash {
        self.hash(&[account])
    }

    /// The hash of a container.
    pub fn container(&self, account: &str, container: &str) -> NameHash {
        self.hash(&[account, container])
    }

    fn hash(&self, names: &[&str]) -> NameHash {
        let mut md5 = Md5::new();
        md5.update(&self.prefix);
        for name in names {
            md5.update(b"/");
            md5.update(name);
        }
        md5.update(&self.suffix);
        NameHash(md5.finalize().into())
    }
}

impl fmt::Debug for HashPath {
    /// Keeps the secret out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashPath(..)")
    }
}

/// Where one store is, or would be.
///
/// The partition is part of the identity: after a ring change the same name may be in two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    device: Box<str>,
    partition: Box<str>,
    kind: StoreKind,
    hash: NameHash,
}

impl Location {
    /// Names a store; `None` when device or partition is empty, `.`, `..`, or holds `/` or NUL.
    pub fn new(
        kind: StoreKind,
        device: impl Into<String>,
        partition: impl Into<String>,
        hash: NameHash,
    ) -> Option<Self> {
        let (device, partition) = (device.into(), partition.into());
        let valid = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['/', '\0']);
        (valid(&device) && valid(&partition)).then(|| Self {
            device: device.into(),
            partition: partition.into(),
            kind,
            hash,
        })
    }

    /// The device's name.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The partition, usually a decimal number.
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// Account or container.
    pub fn kind(&self) -> StoreKind {
        self.kind
    }

    /// The hash of the store's name.
    pub fn hash(&self) -> NameHash {
        self.hash
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}s/{}/{}",
            self.device, self.kind, self.partition, self.hash
        )
    }
}
