//! How rows count: into the hash, the totals and the statistics by policy.
//!
//! ```text
//!             tombstone   live      hash
//! objects     +0          +1        name "-" created_at, either way
//! bytes       +its size   +its size
//! ```
//!
//! A tombstone counts as no container or object, but what it says about sizes is added. A row that is
//! taken out counts with the other sign, and the hash is its own inverse. A policy without statistics gets
//! them from a row that is added, not from one that is taken out.

use crate::info::{AccountInfo, AccountPolicyStat, ContainerInfo, Facts, PolicyStat};
use crate::record::{ContainerRow, ObjectRowRef, PolicyIndex};
use crate::rolling_hash::RollingHash;

impl ContainerInfo {
    /// Adds a row to hash and statistics, or with `sign` -1 takes it out of them.
    pub fn count(&mut self, row: &ObjectRowRef<'_>, sign: i64) {
        self.store.hash = self.store.hash.toggled(row.name, row.created_at);
        if sign < 0 && place(&self.policy_stats, row.policy_index).is_err() {
            return;
        }
        let stat = self.policy_stat_mut(row.policy_index);
        stat.object_count += sign * i64::from(!row.deleted);
        let bytes = sign.saturating_mul(row.size);
        stat.bytes_used = stat.bytes_used.saturating_add(bytes);
    }

    /// The counters of a policy, made when there are none.
    pub fn policy_stat_mut(&mut self, index: PolicyIndex) -> &mut PolicyStat {
        counters(&mut self.policy_stats, index)
    }
}

impl AccountInfo {
    /// Adds a row to hash, totals and statistics, or with `sign` -1 takes it out of them.
    pub fn count(&mut self, row: &ContainerRow, sign: i64) {
        self.store.hash = self.store.hash.toggled(&row.name, &row.hash_suffix());
        let containers = sign * i64::from(!row.deleted);
        let objects = sign.saturating_mul(row.object_count);
        let bytes = sign.saturating_mul(row.bytes_used);
        self.container_count += containers;
        self.object_count = self.object_count.saturating_add(objects);
        self.bytes_used = self.bytes_used.saturating_add(bytes);
        if sign < 0 && place(&self.policy_stats, row.policy_index).is_err() {
            return;
        }
        let stat = counters(&mut self.policy_stats, row.policy_index);
        stat.container_count = stat.container_count.map(|count| count + containers);
        stat.object_count = stat.object_count.saturating_add(objects);
        stat.bytes_used = stat.bytes_used.saturating_add(bytes);
    }
}

/// Counters of one policy; a store keeps them in the order of policies.
trait OfPolicy {
    fn policy(&self) -> PolicyIndex;
    fn zero(index: PolicyIndex) -> Self;
}

impl OfPolicy for PolicyStat {
    fn policy(&self) -> PolicyIndex {
        self.policy_index
    }

    fn zero(policy_index: PolicyIndex) -> Self {
        Self {
            policy_index,
            object_count: 0,
            bytes_used: 0,
        }
    }
}

impl OfPolicy for AccountPolicyStat {
    fn policy(&self) -> PolicyIndex {
        self.policy_index
    }

    fn zero(policy_index: PolicyIndex) -> Self {
        Self {
            policy_index,
            container_count: Some(0),
            object_count: 0,
            bytes_used: 0,
        }
    }
}

/// Where the counters of a policy are, or else belong.
fn place<S: OfPolicy>(stats: &[S], index: PolicyIndex) -> Result<usize, usize> {
    stats.binary_search_by_key(&index, S::policy)
}

/// The counters of a policy, made when there are none.
fn counters<S: OfPolicy>(stats: &mut Vec<S>, index: PolicyIndex) -> &mut S {
    let at = place(stats, index).unwrap_or_else(|at| {
        stats.insert(at, S::zero(index));
        at
    });
    &mut stats[at]
}

impl Facts {
    /// The same store without any row: hash, totals and statistics are zero, and the policies that have
    /// statistics keep having them.
    #[must_use]
    pub fn uncounted(&self) -> Facts {
        let mut facts = self.clone();
        facts.store_mut().hash = RollingHash::default();
        match &mut facts {
            Facts::Account(info) => {
                (info.container_count, info.object_count, info.bytes_used) = (0, 0, 0);
                for stat in &mut info.policy_stats {
                    stat.container_count = Some(0);
                    (stat.object_count, stat.bytes_used) = (0, 0);
                }
            }
            Facts::Container(info) => {
                for stat in &mut info.policy_stats {
                    (stat.object_count, stat.bytes_used) = (0, 0);
                }
            }
        }
        facts
    }
}
