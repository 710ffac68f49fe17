//! Making a store from everything that another one holds, numbers and all.
//!
//! *Reading* a whole store needs nothing of its own: facts, sync points, and rows by number, page by
//! page. *Restoring* one is what this optional group adds. A store that is being restored is out of
//! sight until it is complete and proven:
//!
//! ```text
//! image of the source ──► begin ──► add page ─► add page ─► … ──► finish
//!                           ▲         (absent to everybody)          │ rows are counted again and must
//!                           └── after a crash: the highest row       │ give the image's hash and counts
//!                               that is there; go on behind it       ▼
//!                                                            exists, all at once
//! ```
//!
//! Row numbers are kept, gaps and the highest number ever assigned included: peers remember pairs of
//! store id and row number, which stay true.

use crate::error::{Error, ErrorKind, Result};
use crate::info::Facts;
use crate::location::StoreKind;
use crate::record::{ContainerRow, ObjectRow, ObjectRowRef, RowId};
use crate::replicate::SyncPoint;
use async_trait::async_trait;
use std::collections::HashSet;
use std::fmt::Debug;

/// Everything about a store but its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreImage {
    /// The facts, of the kind of the store.
    pub facts: Facts,
    /// Incoming sync points, in their order.
    pub incoming: Vec<SyncPoint>,
    /// Outgoing sync points, in their order.
    pub outgoing: Vec<SyncPoint>,
}

/// Rows of one kind, with their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// Of an account.
    Containers(Vec<ContainerRow>),
    /// Of a container.
    Objects(Vec<ObjectRow>),
}

/// Restores whole stores; an optional group of the contract, reached by
/// [`Broker::snapshot`](crate::Broker::snapshot).
///
/// One caller restores a store at a time.
///
/// # Contract
/// - SNAPSHOT-1: until `finish` succeeded the store is absent to every other operation, listings of
///   stores included; where a store exists, `begin` and `finish` are refused and change nothing.
/// - SNAPSHOT-2: after it, facts and sync points are those of the image and the rows those that were
///   added, with their numbers; the next number is the one after the image's `max_row`.
/// - SNAPSHOT-3: `finish` is refused, and the store stays absent, when the rows do not give the hash,
///   totals and statistics of the image, or two rows are of one name (objects: and policy).
/// - SNAPSHOT-4: `begin` with an equal image goes on with what was added and acknowledged, also after
///   the engine was closed and opened; with another image it starts afresh.
/// - SNAPSHOT-5: rows are added in ascending order; those with numbers up to the highest that is there
///   are repetitions and change nothing.
/// - SNAPSHOT-6: an image or rows of the other kind, an image that contradicts itself, rows out of order
///   or above the image's `max_row`, and rows or a finish without a beginning are refused.
/// - SNAPSHOT-7: `abandon` forgets what was begun and may be repeated; a store can be restored or
///   initialized there afterwards.
///
/// # Errors
/// [`InvalidInput`](ErrorKind::InvalidInput), nothing changed, for all that is refused above.
#[async_trait]
pub trait Snapshot: Debug + Send + Sync {
    /// Begins to restore an absent store, or goes on with what was begun with an equal image.
    ///
    /// Returns the highest row number that is there already, [`RowId::NONE`] for none.
    async fn begin(&self, image: &StoreImage) -> Result<RowId>;

    /// Adds rows behind those that are there.
    async fn add(&self, rows: Rows) -> Result<()>;

    /// Counts the rows again, compares them with the image, and lets the store appear.
    async fn finish(&self) -> Result<()>;

    /// Forgets what was begun, if anything.
    async fn abandon(&self) -> Result<()>;
}

fn refused(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, why)
}

impl StoreImage {
    /// The kind of the store.
    pub fn kind(&self) -> StoreKind {
        match self.facts {
            Facts::Account(_) => StoreKind::Account,
            Facts::Container(_) => StoreKind::Container,
        }
    }

    /// Refuses an image from which no store of a kind can be made.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for the other kind, an empty name, statistics that do not count
    /// containers, and policies or remote ids that occur twice.
    pub fn check(&self, kind: StoreKind) -> Result<()> {
        if self.kind() != kind {
            return Err(refused(format!("the image is not that of a {kind}")));
        }
        let (named, policies) = match &self.facts {
            Facts::Account(info) => {
                if info
                    .policy_stats
                    .iter()
                    .any(|stat| stat.container_count.is_none())
                {
                    return Err(refused("the statistics do not count containers"));
                }
                let policies = info.policy_stats.iter().map(|stat| stat.policy_index);
                (!info.store.account.is_empty(), policies.collect::<Vec<_>>())
            }
            Facts::Container(info) => {
                let policies = info.policy_stats.iter().map(|stat| stat.policy_index);
                let named = !info.store.account.is_empty() && !info.container.is_empty();
                (named, policies.collect())
            }
        };
        if !named {
            return Err(refused("the image has no name"));
        }
        if !policies.is_sorted_by(|one, next| one < next) {
            return Err(refused("the statistics are not in the order of policies"));
        }
        for points in [&self.incoming, &self.outgoing] {
            let mut seen = HashSet::new();
            if !points.iter().all(|point| seen.insert(&point.remote_id)) {
                return Err(refused("a remote id has two sync points"));
            }
        }
        Ok(())
    }
}

impl Rows {
    /// The kind of store that holds such rows.
    pub fn kind(&self) -> StoreKind {
        match self {
            Rows::Containers(_) => StoreKind::Account,
            Rows::Objects(_) => StoreKind::Container,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Rows::Containers(rows) => rows.len(),
            Rows::Objects(rows) => rows.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the last one.
    pub fn last(&self) -> Option<RowId> {
        match self {
            Rows::Containers(rows) => rows.last().map(|row| row.row_id),
            Rows::Objects(rows) => rows.last().map(|row| row.row_id),
        }
    }

    /// Refuses rows that cannot be added to a store of a kind.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for the other kind, numbers that do not ascend, and negative ones.
    pub fn check(&self, kind: StoreKind) -> Result<()> {
        if self.kind() != kind {
            return Err(refused(format!("the rows are not those of a {kind}")));
        }
        let ascending = match self {
            Rows::Containers(rows) => rows.is_sorted_by(|one, next| one.row_id < next.row_id),
            Rows::Objects(rows) => rows.is_sorted_by(|one, next| one.row_id < next.row_id),
        };
        let first = match self {
            Rows::Containers(rows) => rows.first().map(|row| row.row_id),
            Rows::Objects(rows) => rows.first().map(|row| row.row_id),
        };
        match ascending && first.is_none_or(|first| first > RowId::NONE) {
            true => Ok(()),
            false => Err(refused("the numbers of the rows do not ascend")),
        }
    }
}

/// Counts the rows of a store that is being restored, in any order.
#[derive(Debug, Clone)]
pub struct Tally {
    facts: Facts,
    highest: RowId,
    rows: u64,
}

impl Tally {
    /// Before the first row of a store with these facts.
    pub fn of(facts: &Facts) -> Self {
        Self {
            facts: facts.uncounted(),
            highest: RowId::NONE,
            rows: 0,
        }
    }

    /// Counts an object's row.
    pub fn object(&mut self, row: &ObjectRowRef<'_>) {
        if let Facts::Container(info) = &mut self.facts {
            info.count(row, 1);
        }
        self.number(row.row_id);
    }

    /// Counts a container's row.
    pub fn container(&mut self, row: &ContainerRow) {
        if let Facts::Account(info) = &mut self.facts {
            info.count(row, 1);
        }
        self.number(row.row_id);
    }

    /// Counts rows of either kind.
    pub fn all(&mut self, rows: &Rows) {
        match rows {
            Rows::Containers(rows) => rows.iter().for_each(|row| self.container(row)),
            Rows::Objects(rows) => rows.iter().for_each(|row| self.object(&row.as_ref())),
        }
    }

    fn number(&mut self, row_id: RowId) {
        self.highest = self.highest.max(row_id);
        self.rows += 1;
    }

    /// How many rows were counted.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The facts that the rows give.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Compares what was counted with what a store says about itself.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], which says what differs.
    pub fn require(&self, facts: &Facts) -> Result<()> {
        let (counted, said) = (self.facts.store(), facts.store());
        if self.highest > said.max_row {
            let (highest, max_row) = (self.highest, said.max_row);
            return Err(refused(format!(
                "row {highest} is above the highest number {max_row}"
            )));
        }
        if counted.hash != said.hash {
            let (rows, counted, said) = (self.rows, counted.hash, said.hash);
            return Err(refused(format!(
                "{rows} rows give hash {counted}, not {said}"
            )));
        }
        match self.facts == *facts {
            true => Ok(()),
            false => Err(refused("counts or statistics are not those of the rows")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::{AccountInfo, StoreInfo};
    use crate::rolling_hash::RollingHash;
    use crate::timestamp::{Timestamp, TimestampText};
    use crate::{AccountPolicyStat, PolicyIndex};

    fn row(row_id: i64, deleted: bool) -> ContainerRow {
        ContainerRow {
            row_id: RowId(row_id),
            name: format!("c{row_id}"),
            put_timestamp: Timestamp::from_seconds(1).into(),
            delete_timestamp: TimestampText::never(),
            object_count: 2,
            bytes_used: 3,
            deleted,
            policy_index: PolicyIndex(1),
        }
    }

    fn account(stats: Vec<AccountPolicyStat>) -> Facts {
        let at: TimestampText = Timestamp::from_seconds(1).into();
        Facts::Account(AccountInfo {
            store: StoreInfo {
                account: "a".into(),
                created_at: at.clone(),
                put_timestamp: at.clone(),
                delete_timestamp: TimestampText::never(),
                status: String::new(),
                status_changed_at: at,
                hash: RollingHash::default(),
                id: "id".into(),
                raw_metadata: String::new(),
                max_row: RowId(9),
            },
            container_count: 0,
            object_count: 0,
            bytes_used: 0,
            policy_stats: stats,
        })
    }

    fn stat(index: i64) -> AccountPolicyStat {
        AccountPolicyStat {
            policy_index: PolicyIndex(index),
            container_count: Some(0),
            object_count: 0,
            bytes_used: 0,
        }
    }

    /// A failure would mean that a store with other rows than its facts say passes for a good copy.
    #[test]
    fn what_rows_give_is_what_a_store_must_say() {
        let rows = Rows::Containers(vec![row(2, false), row(9, true)]);
        let mut tally = Tally::of(&account(vec![stat(0)]));
        tally.all(&rows);
        let facts = tally.facts().clone();
        tally.require(&facts).unwrap();
        let Facts::Account(info) = &facts else {
            unreachable!()
        };
        assert_eq!(
            (info.container_count, info.object_count, info.bytes_used),
            (1, 4, 6)
        );
        assert_eq!(info.policy_stats.len(), 2, "a zero statistic is kept");
        let spoil = |change: fn(&mut AccountInfo)| {
            let mut spoiled = info.clone();
            change(&mut spoiled);
            tally.require(&Facts::Account(spoiled)).is_err()
        };
        assert!(spoil(|info| info.store.hash = RollingHash::default()));
        assert!(spoil(|info| info.store.max_row = RowId(8)));
        assert!(spoil(|info| info.bytes_used += 1));
        assert!(spoil(|info| drop(info.policy_stats.remove(0))));
    }

    #[test]
    fn images_that_contradict_themselves_are_refused() {
        let image = |facts| StoreImage {
            facts,
            incoming: Vec::new(),
            outgoing: Vec::new(),
        };
        let good = image(account(vec![stat(0), stat(1)]));
        good.check(StoreKind::Account).unwrap();
        assert!(good.check(StoreKind::Container).is_err());
        assert!(
            image(account(vec![stat(1), stat(1)]))
                .check(StoreKind::Account)
                .is_err()
        );
        let uncounted = AccountPolicyStat {
            container_count: None,
            ..stat(0)
        };
        assert!(
            image(account(vec![uncounted]))
                .check(StoreKind::Account)
                .is_err()
        );
        let twice = vec![SyncPoint::new("r", RowId(1)); 2];
        let doubled = StoreImage {
            outgoing: twice,
            ..good
        };
        assert!(doubled.check(StoreKind::Account).is_err());
    }

    #[test]
    fn rows_out_of_order_are_refused() {
        for (ids, fits) in [
            (vec![], true),
            (vec![0, 5], true),
            (vec![5, 5], false),
            (vec![-1], false),
        ] {
            let rows = Rows::Containers(ids.iter().map(|id| row(*id, false)).collect());
            assert_eq!(rows.check(StoreKind::Account).is_ok(), fits, "{ids:?}");
            assert!(rows.check(StoreKind::Container).is_err());
        }
    }
}
