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
        if sign < 0 && !self.has_policy_stat(row.policy_index) {
            return;
        }
        let stat = self.policy_stat_mut(row.policy_index);
        stat.object_count += sign * i64::from(!row.deleted);
        let bytes = sign.saturating_mul(row.size);
        stat.bytes_used = stat.bytes_used.saturating_add(bytes);
    }

    fn has_policy_stat(&self, index: PolicyIndex) -> bool {
        let stats = &self.policy_stats;
        stats.iter().any(|stat| stat.policy_index == index)
    }

    /// The counters of a policy, made when there are none.
    pub fn policy_stat_mut(&mut self, index: PolicyIndex) -> &mut PolicyStat {
        let stats = &mut self.policy_stats;
        let at = stats
            .binary_search_by_key(&index, |stat| stat.policy_index)
            .unwrap_or_else(|at| {
                let (object_count, bytes_used) = (0, 0);
                let stat = PolicyStat {
                    policy_index: index,
                    object_count,
                    bytes_used,
                };
                stats.insert(at, stat);
                at
            });
        &mut stats[at]
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
        if sign < 0 && !self.has_policy_stat(row.policy_index) {
            return;
        }
        let stat = self.policy_stat_mut(row.policy_index);
        stat.container_count = stat.container_count.map(|count| count + containers);
        stat.object_count = stat.object_count.saturating_add(objects);
        stat.bytes_used = stat.bytes_used.saturating_add(bytes);
    }

    fn has_policy_stat(&self, index: PolicyIndex) -> bool {
        let stats = &self.policy_stats;
        stats.iter().any(|stat| stat.policy_index == index)
    }

    fn policy_stat_mut(&mut self, index: PolicyIndex) -> &mut AccountPolicyStat {
        let stats = &mut self.policy_stats;
        let at = stats
            .binary_search_by_key(&index, |stat| stat.policy_index)
            .unwrap_or_else(|at| {
                let (container_count, object_count, bytes_used) = (Some(0), 0, 0);
                let stat = AccountPolicyStat {
                    policy_index: index,
                    container_count,
                    object_count,
                    bytes_used,
                };
                stats.insert(at, stat);
                at
            });
        &mut stats[at]
    }
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
