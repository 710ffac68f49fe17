//! Records that callers hand in, and rows as they are stored.
//!
//! # Contract
//! - VALUE-1: names are any Unicode text, compared whole and byte by byte; text is kept verbatim.
//! - VALUE-2: numbers are signed 64-bit, negative ones kept; timestamps of container rows keep their
//!   spelling.

use crate::timestamp::{InvalidTimestamp, ObjectTimestamps, Timestamp, TimestampText};
use std::fmt;

/// Number of a row within its store: larger than every earlier one, never reused.
///
/// `-1` stands for "no row yet", as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub i64);

impl RowId {
    /// Before every row.
    pub const NONE: RowId = RowId(-1);
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Index of a storage policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PolicyIndex(pub i64);

impl fmt::Display for PolicyIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a caller says about one object of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRecord {
    /// Any text, compared byte by byte; may be empty, may hold NUL.
    pub name: String,
    /// Data, content-type and metadata time.
    pub created_at: ObjectTimestamps,
    /// Replaces the content-type and the metadata time of `created_at`.
    pub ctype_timestamp: Option<Timestamp>,
    /// Replaces the metadata time, after `ctype_timestamp` did.
    pub meta_timestamp: Option<Timestamp>,
    /// Size in bytes; zero for a tombstone.
    pub size: i64,
    /// Content type, perhaps with `swift_bytes`.
    pub content_type: String,
    /// Entity tag, kept verbatim.
    pub etag: String,
    /// Whether this is a tombstone.
    pub deleted: bool,
    /// The policy that the object is stored in.
    pub policy_index: PolicyIndex,
    /// The row's number in the store it comes from; needed when merging from a source.
    pub row_id: Option<RowId>,
}

impl ObjectRecord {
    /// A live object with one time for everything, in policy 0.
    pub fn put(
        name: impl Into<String>,
        at: Timestamp,
        size: i64,
        content_type: impl Into<String>,
        etag: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            created_at: ObjectTimestamps::all(at),
            ctype_timestamp: None,
            meta_timestamp: None,
            size,
            content_type: content_type.into(),
            etag: etag.into(),
            deleted: false,
            policy_index: PolicyIndex(0),
            row_id: None,
        }
    }

    /// A tombstone, with the size, content type and etag that Swift gives to one.
    pub fn delete(name: impl Into<String>, at: Timestamp) -> Self {
        Self {
            deleted: true,
            ..Self::put(name, at, 0, "application/deleted", "noetag")
        }
    }

    /// The same record in another policy.
    #[must_use]
    pub fn in_policy(self, policy_index: PolicyIndex) -> Self {
        Self {
            policy_index,
            ..self
        }
    }

    /// The three times after `ctype_timestamp` and `meta_timestamp` were taken into account.
    pub fn timestamps(&self) -> ObjectTimestamps {
        let mut times = self.created_at;
        if let Some(content_type) = self.ctype_timestamp {
            times.content_type = content_type;
            times.metadata = content_type;
        }
        if let Some(metadata) = self.meta_timestamp {
            times.metadata = metadata;
        }
        times
    }
}

/// One object as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRow {
    /// Number of this version of the row.
    pub row_id: RowId,
    /// The object's name.
    pub name: String,
    /// Encoded times, see [`ObjectTimestamps::encode`].
    pub created_at: String,
    /// Size in bytes.
    pub size: i64,
    /// Content type, perhaps with `swift_bytes`.
    pub content_type: String,
    /// Entity tag.
    pub etag: String,
    /// Whether this is a tombstone.
    pub deleted: bool,
    /// Storage policy.
    pub policy_index: PolicyIndex,
}

/// An [`ObjectRow`] whose text is borrowed from the engine while it is visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectRowRef<'a> {
    /// Number of this version of the row.
    pub row_id: RowId,
    /// The object's name.
    pub name: &'a str,
    /// Encoded times.
    pub created_at: &'a str,
    /// Size in bytes.
    pub size: i64,
    /// Content type, perhaps with `swift_bytes`.
    pub content_type: &'a str,
    /// Entity tag.
    pub etag: &'a str,
    /// Whether this is a tombstone.
    pub deleted: bool,
    /// Storage policy.
    pub policy_index: PolicyIndex,
}

impl ObjectRow {
    /// The row with borrowed text.
    pub fn as_ref(&self) -> ObjectRowRef<'_> {
        ObjectRowRef {
            row_id: self.row_id,
            name: &self.name,
            created_at: &self.created_at,
            size: self.size,
            content_type: &self.content_type,
            etag: &self.etag,
            deleted: self.deleted,
            policy_index: self.policy_index,
        }
    }

    /// The row as a record that another replica can merge.
    ///
    /// # Errors
    /// When the stored `created_at` does not decode.
    pub fn to_record(&self) -> Result<ObjectRecord, InvalidTimestamp> {
        Ok(ObjectRecord {
            name: self.name.clone(),
            created_at: ObjectTimestamps::decode(&self.created_at)?,
            ctype_timestamp: None,
            meta_timestamp: None,
            size: self.size,
            content_type: self.content_type.clone(),
            etag: self.etag.clone(),
            deleted: self.deleted,
            policy_index: self.policy_index,
            row_id: Some(self.row_id),
        })
    }
}

impl ObjectRowRef<'_> {
    /// The row with text of its own.
    pub fn to_owned(&self) -> ObjectRow {
        ObjectRow {
            row_id: self.row_id,
            name: self.name.to_owned(),
            created_at: self.created_at.to_owned(),
            size: self.size,
            content_type: self.content_type.to_owned(),
            etag: self.etag.to_owned(),
            deleted: self.deleted,
            policy_index: self.policy_index,
        }
    }
}

/// What a caller says about one container of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRecord {
    /// Any text, compared byte by byte.
    pub name: String,
    /// `None` takes the stored value when a row exists. Kept as text, since the hash covers it.
    pub put_timestamp: Option<TimestampText>,
    /// As `put_timestamp`.
    pub delete_timestamp: Option<TimestampText>,
    /// `None` takes the stored value when a row exists.
    pub object_count: Option<i64>,
    /// As `object_count`.
    pub bytes_used: Option<i64>,
    /// Whether this is a tombstone; trusted when no row exists, recomputed otherwise.
    pub deleted: bool,
    /// The container's policy.
    pub policy_index: PolicyIndex,
    /// The row's number in the store it comes from; needed when merging from a source.
    pub row_id: Option<RowId>,
}

impl ContainerRecord {
    /// What a container server reports: deleted when it has no objects and its delete timestamp is
    /// later than its put timestamp by value.
    ///
    /// Swift counterpart: `AccountBroker.put_container`.
    pub fn report(
        name: impl Into<String>,
        put_timestamp: TimestampText,
        delete_timestamp: TimestampText,
        object_count: i64,
        bytes_used: i64,
        policy_index: PolicyIndex,
    ) -> Self {
        let deleted = delete_timestamp.value() > put_timestamp.value() && object_count == 0;
        Self {
            name: name.into(),
            put_timestamp: Some(put_timestamp),
            delete_timestamp: Some(delete_timestamp),
            object_count: Some(object_count),
            bytes_used: Some(bytes_used),
            deleted,
            policy_index,
            row_id: None,
        }
    }
}

/// One container as stored in its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRow {
    /// Number of this version of the row.
    pub row_id: RowId,
    /// The container's name.
    pub name: String,
    /// Put timestamp, text as it arrived.
    pub put_timestamp: TimestampText,
    /// Delete timestamp, text as it arrived; `0` for never.
    pub delete_timestamp: TimestampText,
    /// Objects in the container, as last reported.
    pub object_count: i64,
    /// Bytes in the container, as last reported.
    pub bytes_used: i64,
    /// Whether this is a tombstone.
    pub deleted: bool,
    /// The container's policy.
    pub policy_index: PolicyIndex,
}

impl ContainerRow {
    /// The row as a record that another replica can merge.
    pub fn to_record(&self) -> ContainerRecord {
        ContainerRecord {
            name: self.name.clone(),
            put_timestamp: Some(self.put_timestamp.clone()),
            delete_timestamp: Some(self.delete_timestamp.clone()),
            object_count: Some(self.object_count),
            bytes_used: Some(self.bytes_used),
            deleted: self.deleted,
            policy_index: self.policy_index,
            row_id: Some(self.row_id),
        }
    }

    /// What the row contributes to the hash beside its name.
    pub fn hash_suffix(&self) -> String {
        crate::rolling_hash::container_row_suffix(
            self.put_timestamp.as_str(),
            self.delete_timestamp.as_str(),
            self.object_count,
            self.bytes_used,
        )
    }
}

/// A row of a container listing, borrowed from the engine while it is visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerRowRef<'a> {
    /// The container's name.
    pub name: &'a str,
    /// Put timestamp, stored text.
    pub put_timestamp: &'a str,
    /// Objects in the container.
    pub object_count: i64,
    /// Bytes in the container.
    pub bytes_used: i64,
    /// The container's policy.
    pub policy_index: PolicyIndex,
}

/// One entry of a listing, borrowed from the engine while it is visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a, R> {
    /// A row.
    Row(R),
    /// Everything that starts with this text, which ends with the delimiter.
    Subdir(&'a str),
}
