//! Judgements about a store: the distinct meanings of *deleted*, *empty* and *reclaimable*.
//!
//! `D` is "delete timestamp later than put timestamp"; "by value" compares [`Timestamp`]s, "as text"
//! the stored spelling, which differs only for text that was not normalised.
//!
//! ```text
//!                       account                                  container
//! exists                the store is there now                   the store is there now
//! is_deleted            absent, or status DELETED,               absent, or
//!                       or no containers and D by value          no objects in its policy and D by value
//! is_status_deleted     status DELETED, or D as text             (does not exist)
//! is_empty              no containers                            max over policies of objects is zero
//! is_reclaimable        no containers and                        is_empty and
//!                       age > delete > put by value              age > delete > put by value
//! ```
//!
//! Negative counts are neither zero nor empty. `status` never decides anything for a container.
//! Swift's old `is_good` is `exists` and not `is_deleted`.
//!
//! # Contract
//! - LIFE-3: `is_deleted`, `is_status_deleted` and `is_empty` of accounts are these.
//! - LIFE-4: `is_deleted` and `is_empty` of containers are these.
//! - LIFE-5: `is_reclaimable` is this.

use crate::info::{AccountInfo, ContainerInfo, STATUS_DELETED, StoreInfo};
use crate::timestamp::Timestamp;

impl StoreInfo {
    /// Whether the delete timestamp is later than the put timestamp by value.
    fn is_deleted_by_value(&self) -> bool {
        self.delete_timestamp.value() > self.put_timestamp.value()
    }

    fn is_old_enough(&self, age: Timestamp) -> bool {
        age > self.delete_timestamp.value() && self.is_deleted_by_value()
    }
}

impl AccountInfo {
    /// Whether clients are told that the account is gone.
    ///
    /// Swift counterpart: `AccountBroker.is_deleted`, for a store that exists.
    pub fn is_deleted(&self) -> bool {
        self.store.status == STATUS_DELETED
            || (self.container_count == 0 && self.store.is_deleted_by_value())
    }

    /// Whether the account is deleted for some number of containers. When it is not, nobody needs to
    /// count them to know that [`is_deleted`](Self::is_deleted) is false.
    pub fn can_be_deleted(&self) -> bool {
        self.store.status == STATUS_DELETED || self.store.is_deleted_by_value()
    }

    /// Whether the account was marked for the reaper, containers or not.
    pub fn is_status_deleted(&self) -> bool {
        self.store.status == STATUS_DELETED
            || self.store.delete_timestamp > self.store.put_timestamp
    }

    /// Whether the account has no containers.
    pub fn is_empty(&self) -> bool {
        self.container_count == 0
    }

    /// Whether the store may be removed from its device: deleted before `age`, and empty.
    pub fn is_reclaimable(&self, age: Timestamp) -> bool {
        self.is_empty() && self.store.is_old_enough(age)
    }
}

impl ContainerInfo {
    /// Whether clients are told that the container is gone. Rows of other policies do not count.
    ///
    /// Swift counterpart: `ContainerBroker.is_deleted`, for a store that exists.
    pub fn is_deleted(&self) -> bool {
        self.object_count() == 0 && self.store.is_deleted_by_value()
    }

    /// Whether no policy has objects; stricter than [`is_deleted`](Self::is_deleted).
    ///
    /// Taken from the largest count, as Swift does: counts of -1 and 0 are empty together.
    pub fn is_empty(&self) -> bool {
        self.policy_stats
            .iter()
            .map(|stat| stat.object_count)
            .max()
            .unwrap_or(0)
            == 0
    }

    /// Whether the container belongs on the list of container sync; `None` when its metadata knows
    /// nothing of container sync, and the list is to be left alone.
    ///
    /// Swift counterpart: `ContainerSyncStore.update_sync_store`.
    ///
    /// # Errors
    /// When the stored metadata is not valid.
    pub fn is_synced(&self) -> crate::Result<Option<bool>> {
        let has_sync = self.store.metadata()?.has_sync();
        Ok(has_sync.map(|has_sync| has_sync && !self.is_deleted()))
    }

    /// Whether the container was deleted, by its timestamps, before `age`.
    pub fn is_old_enough_to_reclaim(&self, age: Timestamp) -> bool {
        self.store.is_old_enough(age)
    }

    /// Whether the store may be removed from its device.
    pub fn is_reclaimable(&self, age: Timestamp) -> bool {
        self.is_old_enough_to_reclaim(age) && self.is_empty()
    }
}
