//! What replication asks of every store.

use crate::error::Result;
use crate::record::RowId;
use crate::timestamp::Timestamp;
use async_trait::async_trait;
use std::fmt::Debug;

/// Which way rows travel between this store and a remote one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the remote to here.
    Incoming,
    /// From here to the remote.
    Outgoing,
}

/// How far a pair of stores has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncPoint {
    /// The remote store's id.
    pub remote_id: String,
    /// Incoming: the remote's highest row merged here. Outgoing: ours that the remote acknowledged.
    pub sync_point: RowId,
    /// Whole epoch seconds of the last merge of this entry, as text; empty in points handed in, and in
    /// stores that older versions wrote.
    pub updated_at: String,
}

impl SyncPoint {
    /// A point to merge.
    pub fn new(remote_id: impl Into<String>, sync_point: RowId) -> Self {
        Self {
            remote_id: remote_id.into(),
            sync_point,
            updated_at: String::new(),
        }
    }
}

/// Where reclaiming begins to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReclaimAge {
    /// Tombstone rows and metadata tombstones strictly older than this go.
    pub tombstones: Timestamp,
    /// Sync points not merged since then go.
    pub sync_points: Timestamp,
}

/// What reclaiming did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reclaimed {
    /// Tombstone rows removed.
    pub removed: u64,
    /// Tombstone rows left; exact when nothing else wrote meanwhile.
    pub tombstones: u64,
}

/// Sync points, identity and reclaim. The rows themselves are read and merged through
/// [`AccountBroker`](crate::AccountBroker) and [`ContainerBroker`](crate::ContainerBroker).
#[async_trait]
pub trait Replicate: Debug + Send + Sync {
    /// All points of a direction, in order of first insertion.
    ///
    /// # Swift
    /// `get_syncs(incoming, include_timestamp=True)`
    async fn sync_points(&self, direction: Direction) -> Result<Vec<SyncPoint>>;

    /// Raises points.
    ///
    /// # Contract
    /// - SYNC-1: an unknown id is inserted, -1 included; a known one keeps the larger value. Directions
    ///   never mix.
    /// - SYNC-2: each point handed in refreshes its `updated_at`, raised or not.
    ///
    /// # Swift
    /// `merge_syncs`
    async fn merge_sync_points(&self, direction: Direction, points: &[SyncPoint]) -> Result<()>;

    /// Gives the store a new identity after it was copied from `remote_id` as a whole.
    ///
    /// # Contract
    /// - ID-1: the id becomes `new_id`, and the incoming point of `remote_id` is set, even lowered, to
    ///   the highest row present, -1 when there is none; other points stay.
    /// - ID-2: a container forgets what it reported to its account, and nothing else.
    ///
    /// # Swift
    /// `newid`
    async fn new_id(&self, remote_id: &str, new_id: &str) -> Result<()>;

    /// Removes old tombstones and old sync points.
    ///
    /// # Contract
    /// - RECLAIM-1: exactly the tombstones whose stored text (objects: `created_at`, containers: the
    ///   delete timestamp) sorts before the text of `age.tombstones` go, in short transactions; live
    ///   rows stay.
    /// - RECLAIM-2: sync points whose `updated_at` sorts before `age.sync_points` go.
    /// - RECLAIM-3: empty metadata older than `age.tombstones` by value goes.
    /// - RECLAIM-4: removed and remaining tombstones are counted; concurrent writes are kept.
    ///
    /// # Swift
    /// `reclaim`, `TombstoneReclaimer`
    async fn reclaim(&self, age: ReclaimAge) -> Result<Reclaimed>;
}
