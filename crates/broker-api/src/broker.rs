//! What accounts and containers have in common.

use crate::error::Result;
use crate::location::Location;
use crate::metadata::{MetadataEntry, MetadataLimits};
use crate::replicate::Replicate;
use crate::snapshot::Snapshot;
use crate::timestamp::{Timestamp, TimestampText};
use async_trait::async_trait;
use std::fmt::Debug;

/// Timestamps of another replica, and the time at which they are merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeTimestamps {
    /// When the other replica was made; the earlier wins.
    pub created_at: TimestampText,
    /// The other's put timestamp; the later wins.
    pub put_timestamp: TimestampText,
    /// The other's delete timestamp; the later wins.
    pub delete_timestamp: TimestampText,
    /// Becomes `status_changed_at` when the merge turns a live store into a deleted one or back.
    pub now: Timestamp,
}

/// What `initialize` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initialized {
    /// The store was made by this call.
    Created,
    /// It existed already and was not touched. Swift: `DatabaseAlreadyExists`.
    AlreadyExisted,
}

/// The handle on one store: lifecycle, metadata and timestamps.
///
/// Every mutation is atomic: a reader sees all of it or nothing. All of them fail with
/// [`NotFound`](crate::ErrorKind::NotFound) on an absent store, with
/// [`Busy`](crate::ErrorKind::Busy) when another writer holds the store for longer than the broker's
/// timeout, with [`Corrupt`](crate::ErrorKind::Corrupt) when the store had to be quarantined, and with
/// [`ReadOnly`](crate::ErrorKind::ReadOnly) when the broker skips commits.
///
/// # Contract
/// - ABSENT-1: an absent store does not exist and has no facts; everything else on it but making it
///   fails with `NotFound`, nothing applied.
/// - READONLY-1: a broker that skips commits refuses every mutation, nothing applied, and reads.
/// - CONCUR-1: each mutation is atomic; a reader sees all of a batch or none, and facts that fit.
/// - CONCUR-2: no acknowledged write of concurrent writers is lost.
/// - CONCUR-3: an acknowledged write is seen by every later read of every broker.
/// - CONCUR-4: records delivered several times at once count once.
/// - CONCUR-5: overlapping operations have an order that explains every answer, but for the numbers of
///   buffered records; each happens at one moment between its call and its answer.
///
/// # Cancellation
/// A mutation whose future is dropped may still happen.
#[async_trait]
pub trait Broker: Debug + Send + Sync + 'static {
    /// Which store this is.
    fn location(&self) -> &Location;

    /// Whether the store is there now; says nothing about deletion.
    ///
    /// # Contract
    /// - LIFE-1: true exactly from `initialize` until removal or quarantine, whatever the broker saw
    ///   before; deletion does not change it.
    ///
    /// # Errors
    /// When the device fails; never for absence.
    async fn exists(&self) -> Result<bool>;

    /// Marks the store deleted and blanks its metadata.
    ///
    /// # Contract
    /// - DELETE-1: metadata with an older timestamp becomes empty at `timestamp`, first and whatever
    ///   follows; a container keeps the three sysmeta keys that tie it to its root.
    /// - DELETE-2: when the stored delete timestamp is earlier as text, it and `status_changed_at`
    ///   become `timestamp` and status becomes `DELETED`; otherwise these three stay.
    /// - DELETE-3: neither rows nor the put timestamp are looked at or changed.
    ///
    /// # Swift
    /// `delete_db`
    async fn delete(&self, timestamp: Timestamp) -> Result<()>;

    /// Raises the put timestamp.
    ///
    /// # Contract
    /// - TIME-1: it changes when `timestamp` is later as text; nothing else ever changes.
    ///
    /// # Swift
    /// `update_put_timestamp`
    async fn update_put_timestamp(&self, timestamp: Timestamp) -> Result<()>;

    /// Raises `status_changed_at`, under the same rule as
    /// [`update_put_timestamp`](Self::update_put_timestamp).
    ///
    /// # Contract
    /// - TIME-2: it changes when `timestamp` is later as text; nothing else ever changes.
    ///
    /// # Swift
    /// `update_status_changed_at`
    async fn update_status_changed_at(&self, timestamp: Timestamp) -> Result<()>;

    /// Takes over another replica's timestamps.
    ///
    /// # Contract
    /// - TIME-3: as text, the earliest created_at and the latest put and delete timestamps stay.
    /// - TIME-4: when `is_deleted` differs before and after, `status_changed_at` is raised to `now`;
    ///   `status` never changes.
    ///
    /// # Swift
    /// `merge_timestamps`
    async fn merge_timestamps(&self, merge: &MergeTimestamps) -> Result<()>;

    /// Merges metadata by timestamp.
    ///
    /// # Contract
    /// - META-1: a key changes when it is absent or its stored timestamp is earlier as text; others stay.
    /// - META-2: with `limits`, an update that changes anything is refused when the merged dictionary
    ///   breaks them, and then changes nothing; an update that changes nothing is never refused.
    /// - META-3: keys are case-sensitive, keep the order of first insertion, and an empty value stays as
    ///   a tombstone.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) with Swift's message when `limits` are broken.
    ///
    /// # Swift
    /// `update_metadata(..., validate_metadata)`
    async fn update_metadata(
        &self,
        updates: &[MetadataEntry],
        limits: Option<&MetadataLimits>,
    ) -> Result<()>;

    /// Completes a store that an older version wrote; nothing for a current one.
    ///
    /// # Contract
    /// - LIFE-2: rows, hash and totals stay as they are; for an account every policy statistic has
    ///   a container count afterwards.
    ///
    /// # Swift
    /// `AccountBroker.get_policy_stats(do_migrations=True)`
    async fn upgrade(&self) -> Result<()>;

    /// The operations that replication needs.
    fn replicate(&self) -> &dyn Replicate;

    /// Restoring whole stores, where the engine can.
    fn snapshot(&self) -> Option<&dyn Snapshot>;
}
