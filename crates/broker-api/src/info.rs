//! What a store says about itself: facts, read in one consistent view.
//!
//! An engine fills these and judges nothing; see [`lifecycle`](crate::lifecycle) for the judgements.

use crate::metadata::Metadata;
use crate::record::{PolicyIndex, RowId};
use crate::rolling_hash::RollingHash;
use crate::timestamp::TimestampText;

/// The `status` text of a store that was deleted once; it is never cleared again.
pub const STATUS_DELETED: &str = "DELETED";

/// Facts that accounts and containers share.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreInfo {
    /// Name of the account.
    pub account: String,
    /// When the store was made, by the clock of its server.
    pub created_at: TimestampText,
    /// Latest PUT.
    pub put_timestamp: TimestampText,
    /// Latest DELETE; `0` for never.
    pub delete_timestamp: TimestampText,
    /// Empty, or [`STATUS_DELETED`] for ever after the first deletion.
    pub status: String,
    /// When the store was last seen to begin or end being deleted.
    pub status_changed_at: TimestampText,
    /// Rolling hash over all rows, tombstones included.
    pub hash: RollingHash,
    /// The store id. Opaque; `<uuid4>-<device>` when new.
    pub id: String,
    /// Metadata as stored, the spelling that travels in replication.
    pub raw_metadata: String,
    /// The highest row number ever assigned; [`RowId::NONE`] before the first.
    pub max_row: RowId,
}

impl StoreInfo {
    /// The metadata dictionary.
    ///
    /// # Errors
    /// When the stored text is not valid.
    pub fn metadata(&self) -> crate::Result<Metadata> {
        Metadata::from_json(&self.raw_metadata)
    }
}

/// Counters of an account for one storage policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountPolicyStat {
    /// The policy.
    pub policy_index: PolicyIndex,
    /// Containers; `None` in a store written before Swift counted them by policy.
    pub container_count: Option<i64>,
    /// Objects in them.
    pub object_count: i64,
    /// Bytes in them.
    pub bytes_used: i64,
}

/// Facts about an account.
///
/// Swift counterpart: `AccountBroker.get_info`, `get_policy_stats`, `metadata`, `get_max_row`.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountInfo {
    /// What every store has.
    pub store: StoreInfo,
    /// Containers over all policies, tombstones not counted.
    pub container_count: i64,
    /// Objects over all policies.
    pub object_count: i64,
    /// Bytes over all policies.
    pub bytes_used: i64,
    /// One entry for every policy that ever had a row, ascending by index.
    pub policy_stats: Vec<AccountPolicyStat>,
}

/// Counters of a container for one storage policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyStat {
    /// The policy.
    pub policy_index: PolicyIndex,
    /// Objects, tombstones not counted.
    pub object_count: i64,
    /// Bytes.
    pub bytes_used: i64,
}

/// What the account was last told about a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// Put timestamp; `0` for never.
    pub put_timestamp: String,
    /// Delete timestamp; `0` for never.
    pub delete_timestamp: String,
    /// Object count.
    pub object_count: i64,
    /// Bytes used.
    pub bytes_used: i64,
}

impl Default for Reported {
    /// Never reported.
    fn default() -> Self {
        Self {
            put_timestamp: "0".into(),
            delete_timestamp: "0".into(),
            object_count: 0,
            bytes_used: 0,
        }
    }
}

/// How far a container is in being split into shards.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DbState {
    /// One database that was never split: the state of most containers.
    #[default]
    Unsharded,
}

impl DbState {
    /// The word that Swift shows.
    pub fn as_str(self) -> &'static str {
        match self {
            DbState::Unsharded => "unsharded",
        }
    }
}

/// Facts about a container.
///
/// Swift counterpart: `ContainerBroker.get_info`, `get_policy_stats`, `metadata`, `get_max_row`,
/// `get_reconciler_sync`.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerInfo {
    /// What every store has.
    pub store: StoreInfo,
    /// Name of the container.
    pub container: String,
    /// The container's own policy.
    pub policy_index: PolicyIndex,
    /// One entry for every policy that ever had a row and for the container's own, ascending.
    pub policy_stats: Vec<PolicyStat>,
    /// What the account was last told.
    pub reported: Reported,
    /// First progress mark of container sync; -1 at first.
    pub x_container_sync_point1: i64,
    /// Second progress mark of container sync; -1 at first.
    pub x_container_sync_point2: i64,
    /// Progress mark of the reconciler; -1 at first.
    pub reconciler_sync_point: i64,
    /// Sharding state.
    pub db_state: DbState,
}

impl ContainerInfo {
    /// Counters of a policy; `None` when it never had a row.
    pub fn policy_stat(&self, index: PolicyIndex) -> Option<&PolicyStat> {
        self.policy_stats
            .iter()
            .find(|stat| stat.policy_index == index)
    }

    /// Objects in the container's own policy.
    pub fn object_count(&self) -> i64 {
        self.policy_stat(self.policy_index)
            .map_or(0, |stat| stat.object_count)
    }

    /// Bytes in the container's own policy.
    pub fn bytes_used(&self) -> i64 {
        self.policy_stat(self.policy_index)
            .map_or(0, |stat| stat.bytes_used)
    }

    /// Whether more than one policy has counters, even when they are zero.
    pub fn has_multiple_policies(&self) -> bool {
        self.policy_stats.len() > 1
    }
}

/// Facts about a store of either kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Facts {
    /// Of an account.
    Account(AccountInfo),
    /// Of a container.
    Container(ContainerInfo),
}

impl Facts {
    /// The facts that both kinds have.
    pub fn store(&self) -> &StoreInfo {
        match self {
            Facts::Account(info) => &info.store,
            Facts::Container(info) => &info.store,
        }
    }

    /// The facts that both kinds have, to change.
    pub fn store_mut(&mut self) -> &mut StoreInfo {
        match self {
            Facts::Account(info) => &mut info.store,
            Facts::Container(info) => &mut info.store,
        }
    }

    /// Whether clients are told that the store is gone.
    pub fn is_deleted(&self) -> bool {
        match self {
            Facts::Account(info) => info.is_deleted(),
            Facts::Container(info) => info.is_deleted(),
        }
    }
}
