//! The metadata dictionary of a store: merging by timestamp, limits, and its JSON spelling.
//!
//! Keys are case-sensitive and keep the order of their first insertion. Each holds a value and the
//! timestamp text of its last change. An empty value is a tombstone.
//!
//! ```text
//! {"X-Container-Meta-Zed": ["v", "0000000002.00000"], "\u00e9": ["", "0000000001.00000"]}
//! ```
//!
//! Swift counterpart: `DatabaseBroker.update_metadata`, `validate_metadata`.

use crate::error::{Error, ErrorKind, Result};
use crate::timestamp::Timestamp;
use serde_json::Value;

/// What container deletion keeps: the sysmeta that ties a shard to its root, in lower case.
const CONTAINER_DELETE_KEEPS: [&str; 3] = [
    "x-container-sysmeta-shard-quoted-root",
    "x-container-sysmeta-shard-root",
    "x-container-sysmeta-sharding",
];

/// The key of a container's destination for container sync.
const SYNC_TO: &str = "X-Container-Sync-To";

/// The key of the secret that container sync sends along.
const SYNC_KEY: &str = "X-Container-Sync-Key";

const USER_PREFIXES: [&str; 2] = ["x-account-meta-", "x-container-meta-"];

/// One key of the dictionary.
#[derive(Debug, Clone, PartialEq)]
pub struct MetadataEntry {
    /// The key, in the case in which it was first written.
    pub key: String,
    /// Usually text; any JSON value is carried unchanged. Empty text is a tombstone.
    pub value: Value,
    /// Timestamp text of the last change; compared as text.
    pub timestamp: String,
}

impl MetadataEntry {
    /// An entry with a text value.
    pub fn new(
        key: impl Into<String>,
        value: impl Into<String>,
        timestamp: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            value: Value::String(value.into()),
            timestamp: timestamp.into(),
        }
    }

    /// The value, when it is text.
    pub fn text(&self) -> Option<&str> {
        self.value.as_str()
    }

    /// Whether the entry is a tombstone.
    pub fn is_removed(&self) -> bool {
        is_empty(&self.value)
    }

    /// Whether container sync goes by this entry: it is the destination or the secret, empty or not.
    pub fn is_about_sync(&self) -> bool {
        matches!(&*self.key, SYNC_TO | SYNC_KEY)
    }
}

/// Limits on user metadata, from Swift's constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataLimits {
    /// The largest number of `X-Account-Meta-*` or `X-Container-Meta-*` items; Swift: 90.
    pub max_meta_count: usize,
    /// The largest sum of Unicode scalar values in their names (in lower case, after the prefix) and
    /// values; Swift: 4096.
    pub max_meta_overall_size: usize,
}

impl Default for MetadataLimits {
    fn default() -> Self {
        Self {
            max_meta_count: 90,
            max_meta_overall_size: 4096,
        }
    }
}

/// The metadata of a store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    entries: Vec<MetadataEntry>,
}

impl Metadata {
    /// Reads the JSON that [`to_json`](Self::to_json) and Swift write; empty text is no metadata.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when it is not an object of two-element arrays.
    pub fn from_json(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let invalid = || Error::new(ErrorKind::InvalidInput, "the stored metadata is not valid");
        let parsed: serde_json::Map<String, Value> =
            serde_json::from_str(text).map_err(|e| invalid().caused_by(e))?;
        let entry = |(key, pair): (String, Value)| match pair {
            Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
                Ok([value, Value::String(timestamp)]) => Ok(MetadataEntry {
                    key,
                    value,
                    timestamp,
                }),
                _ => Err(invalid()),
            },
            _ => Err(invalid()),
        };
        Ok(Self {
            entries: parsed.into_iter().map(entry).collect::<Result<_>>()?,
        })
    }

    /// Swift's spelling: ASCII only, `", "` and `": "` between things, insertion order; `{}` for no
    /// entries, as a store has after all of them were reclaimed.
    pub fn to_json(&self) -> String {
        let mut json = String::from("{");
        for (i, entry) in self.entries.iter().enumerate() {
            json.push_str(if i == 0 { "" } else { ", " });
            push_json_text(&mut json, &entry.key);
            json.push_str(": [");
            push_json_value(&mut json, &entry.value);
            json.push_str(", ");
            push_json_text(&mut json, &entry.timestamp);
            json.push(']');
        }
        json.push('}');
        json
    }

    /// The entries in order of first insertion, tombstones included.
    pub fn entries(&self) -> &[MetadataEntry] {
        &self.entries
    }

    /// The entry of a key, tombstones included.
    pub fn get(&self, key: &str) -> Option<&MetadataEntry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Whether container sync has a destination and a secret; `None` when neither was ever set, or both
    /// were reclaimed.
    pub fn has_sync(&self) -> Option<bool> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.is_about_sync())?;
        let is_set = |key| {
            let value = self.get(key).and_then(MetadataEntry::text);
            value.is_some_and(|text| !text.is_empty())
        };
        Some(is_set(SYNC_TO) && is_set(SYNC_KEY))
    }

    /// Merges updates: a key changes when it is absent or the update's timestamp is later as text.
    ///
    /// Returns whether anything changed. When nothing could change, nothing is checked either;
    /// otherwise the whole merged dictionary is held against `limits`, if given.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when a limit is broken; `self` is then unchanged.
    pub fn update(
        &mut self,
        updates: &[MetadataEntry],
        limits: Option<&MetadataLimits>,
    ) -> Result<bool> {
        let is_news = |update: &MetadataEntry| {
            self.get(&update.key)
                .is_none_or(|stored| update.timestamp > stored.timestamp)
        };
        if !updates.iter().any(is_news) {
            return Ok(false);
        }
        let mut merged = self.clone();
        for update in updates {
            merged.update_one(update);
        }
        if let Some(limits) = limits {
            merged.check(limits)?;
        }
        *self = merged;
        Ok(true)
    }

    fn update_one(&mut self, update: &MetadataEntry) {
        match self
            .entries
            .iter_mut()
            .find(|entry| entry.key == update.key)
        {
            Some(stored) if update.timestamp > stored.timestamp => {
                stored.value = update.value.clone();
                stored.timestamp.clone_from(&update.timestamp);
            }
            Some(_) => {}
            None => self.entries.push(update.clone()),
        }
    }

    /// Checks text and the limits on user metadata.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] with the message that Swift sends to the client.
    pub fn check(&self, limits: &MetadataLimits) -> Result<()> {
        let bad = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
        let (mut count, mut size) = (0, 0);
        for entry in &self.entries {
            let value = entry.text().unwrap_or_default();
            if entry.key.contains('\0') || value.contains('\0') {
                return bad("Metadata must be valid UTF-8".into());
            }
            let lower = entry.key.to_lowercase();
            let prefix = USER_PREFIXES
                .iter()
                .find(|prefix| lower.starts_with(**prefix));
            if let Some(prefix) = prefix.filter(|_| !entry.is_removed()) {
                count += 1;
                size += lower[prefix.len()..].chars().count() + value.chars().count();
            }
        }
        if count > limits.max_meta_count {
            return bad(format!(
                "Too many metadata items; max {}",
                limits.max_meta_count
            ));
        }
        if size > limits.max_meta_overall_size {
            return bad(format!(
                "Total metadata too large; max {}",
                limits.max_meta_overall_size
            ));
        }
        Ok(())
    }

    /// The updates that deleting an account (`keep_sharding` false) or container (true) at
    /// `timestamp` makes: every key becomes empty, except what ties a container to its root.
    pub fn cleared_at(&self, timestamp: &str, keep_sharding: bool) -> Vec<MetadataEntry> {
        let kept =
            |key: &str| keep_sharding && CONTAINER_DELETE_KEEPS.contains(&&*key.to_lowercase());
        let keys = self.entries.iter().map(|entry| &entry.key);
        keys.filter(|key| !kept(key))
            .map(|key| MetadataEntry::new(key, "", timestamp))
            .collect()
    }

    /// Drops tombstones older than `age` by value; entries whose timestamp does not parse stay.
    /// Returns whether any went.
    pub fn reclaim(&mut self, age: Timestamp) -> bool {
        let before = self.entries.len();
        let is_old = |text: &str| Timestamp::parse(text).is_ok_and(|at| at < age);
        self.entries
            .retain(|entry| !(entry.is_removed() && is_old(&entry.timestamp)));
        self.entries.len() != before
    }
}

fn is_empty(value: &Value) -> bool {
    matches!(value, Value::String(text) if text.is_empty())
}

fn push_json_value(json: &mut String, value: &Value) {
    match value {
        Value::String(text) => push_json_text(json, text),
        Value::Array(items) => {
            json.push('[');
            for (i, item) in items.iter().enumerate() {
                json.push_str(if i == 0 { "" } else { ", " });
                push_json_value(json, item);
            }
            json.push(']');
        }
        Value::Object(items) => {
            json.push('{');
            for (i, (key, item)) in items.iter().enumerate() {
                json.push_str(if i == 0 { "" } else { ", " });
                push_json_text(json, key);
                json.push_str(": ");
                push_json_value(json, item);
            }
            json.push('}');
        }
        plain => json.push_str(&plain.to_string()),
    }
}

/// Appends a JSON string in the spelling of Python's `json.dumps`: everything but printable ASCII
/// as `\uXXXX`, above U+FFFF as a surrogate pair.
pub fn push_json_text(json: &mut String, text: &str) {
    use std::fmt::Write;
    json.push('"');
    let mut plain_from = 0;
    for (at, c) in text.char_indices() {
        if matches!(c, ' '..='~') && c != '"' && c != '\\' {
            continue;
        }
        json.push_str(&text[plain_from..at]);
        plain_from = at + c.len_utf8();
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push_str(&text[plain_from..]);
    json.push('"');
}
