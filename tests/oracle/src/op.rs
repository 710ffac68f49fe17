//! Operations of a history, in the form in which they are generated, sent to Swift and shrunk.
//!
//! Everything is plain text and numbers: a history is JSON, so that it can be written to a file, read
//! back, and simplified value by value without knowing what the values mean.

use broker_api::StoreKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One operation on the store of a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[allow(missing_docs)] // The fields are the parameters of the operations of `broker-api`.
pub enum Op {
    Initialize {
        account: String,
        container: String,
        put_timestamp: String,
        policy: i64,
        now: u64,
        uuid: String,
    },
    Remove,
    Delete {
        at: String,
    },
    UpdatePutTimestamp {
        at: String,
    },
    UpdateStatusChangedAt {
        at: String,
    },
    MergeTimestamps {
        created_at: String,
        put_timestamp: String,
        delete_timestamp: String,
        now: u64,
    },
    UpdateMetadata {
        updates: Vec<(String, Value, String)>,
        limits: Option<(usize, usize)>,
    },
    MergeSyncPoints {
        incoming: bool,
        points: Vec<(String, i64)>,
    },
    NewId {
        remote: String,
        uuid: String,
    },
    Reclaim {
        age: u64,
        forget_sync_points: bool,
    },
    Upgrade,
    Info,
    Predicates {
        age: u64,
    },
    SyncPoint {
        remote: String,
        incoming: bool,
    },
    ItemsSince {
        start: i64,
        count: usize,
    },
    PutContainers {
        /// Name, put and delete timestamp, objects, bytes, policy.
        records: Vec<(String, String, String, i64, i64, i64)>,
    },
    MergeContainers {
        records: Vec<ContainerItem>,
        source: Option<String>,
    },
    ListContainers {
        #[serde(flatten)]
        names: Names,
    },
    PutObjects {
        records: Vec<ObjectItem>,
    },
    DeleteObject {
        name: String,
        at: String,
        policy: i64,
    },
    MergeObjects {
        records: Vec<ObjectItem>,
        source: Option<String>,
    },
    Misplaced {
        start: i64,
        count: usize,
    },
    ListObjects {
        #[serde(flatten)]
        names: Names,
        policy: Option<i64>,
        all_policies: bool,
        deleted: Option<bool>,
        since_row: Option<i64>,
    },
    RemoveObjects {
        lower: String,
        upper: String,
        max_row: Option<i64>,
    },
    SetPolicy {
        policy: i64,
        at: String,
    },
    Marks {
        reported: Option<(String, String, i64, i64)>,
        sync_point1: Option<i64>,
        sync_point2: Option<i64>,
        reconciler: Option<i64>,
    },
}

/// One container of a merge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ContainerItem {
    pub name: String,
    pub put_timestamp: Option<String>,
    pub delete_timestamp: Option<String>,
    pub object_count: Option<i64>,
    pub bytes_used: Option<i64>,
    pub deleted: u8,
    pub storage_policy_index: i64,
    pub row_id: Option<i64>,
}

/// One object of a put or merge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ObjectItem {
    pub name: String,
    pub created_at: String,
    pub size: i64,
    pub content_type: String,
    pub etag: String,
    pub deleted: u8,
    pub storage_policy_index: i64,
    pub ctype_timestamp: Option<String>,
    pub meta_timestamp: Option<String>,
    pub row_id: Option<i64>,
}

/// What a listing says about names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Names {
    pub limit: usize,
    pub marker: String,
    pub end_marker: String,
    pub prefix: String,
    pub delimiter: String,
    pub path: Option<String>,
    pub reverse: bool,
    pub allow_reserved: bool,
}

impl Op {
    /// Whether the operation only reads: the state after it is compared only when it fails.
    pub fn only_reads(&self) -> bool {
        use Op::{Info, ItemsSince, ListContainers, ListObjects, Misplaced, Predicates, SyncPoint};
        matches!(
            self,
            Info | Predicates { .. }
                | SyncPoint { .. }
                | ItemsSince { .. }
                | Misplaced { .. }
                | ListContainers { .. }
                | ListObjects { .. }
        )
    }

    /// The operation as one readable line: its name, then `field=value` in JSON.
    pub fn line(&self) -> String {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else {
            return format!("{self:?}");
        };
        let mut line = String::new();
        for (name, value) in &fields {
            match (name.as_str(), value) {
                ("op", Value::String(op)) => line.insert_str(0, op),
                _ => line.push_str(&format!(" {name}={value}")),
            }
        }
        line
    }
}

/// A sequence of operations on one store, which is absent at first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Whether the store is an account; else it is a container.
    pub is_account: bool,
    /// What the history was made from.
    pub seed: u64,
    /// The operations in order.
    pub ops: Vec<Op>,
}

impl History {
    /// The kind of the store.
    pub fn kind(&self) -> StoreKind {
        match self.is_account {
            true => StoreKind::Account,
            false => StoreKind::Container,
        }
    }

    /// The same history with other operations.
    #[must_use]
    pub fn with_ops(&self, ops: Vec<Op>) -> Self {
        Self { ops, ..*self }
    }
}
