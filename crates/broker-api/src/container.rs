//! The container broker: the list of a container's objects.

use crate::account::MergeOptions;
use crate::broker::{Broker, Initialized};
use crate::error::Result;
use crate::info::{ContainerInfo, Reported};
use crate::listing::ListingQuery;
use crate::record::{Entry, ObjectRecord, ObjectRow, ObjectRowRef, PolicyIndex, RowId};
use crate::sharding::Sharding;
use crate::timestamp::{Timestamp, TimestampText};
use async_trait::async_trait;
use std::any::Any;
use std::ops::ControlFlow;

/// What a new container starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContainer {
    /// The account's name; must not be empty.
    pub account: String,
    /// The container's name; must not be empty.
    pub container: String,
    /// Stored verbatim as put timestamp and `status_changed_at`.
    pub put_timestamp: TimestampText,
    /// The container's policy.
    pub policy_index: PolicyIndex,
    /// The server's clock.
    pub created_at: Timestamp,
    /// The store id, `<uuid4>-<device>`.
    pub id: String,
}

/// Which policies' rows to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyFilter {
    /// Those of the container's own policy, as it is in the same view.
    #[default]
    Own,
    /// Those of one policy.
    Only(PolicyIndex),
    /// All; equal names of several policies come in no particular order.
    All,
}

/// Which rows to show by whether they are tombstones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeletedFilter {
    /// Live rows only.
    #[default]
    Live,
    /// Tombstones only.
    Tombstones,
    /// Both.
    Both,
}

/// An object listing.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListObjects {
    /// Names and roll-up.
    pub names: ListingQuery,
    /// Policies.
    pub policy: PolicyFilter,
    /// Live rows, tombstones or both.
    pub deleted: DeletedFilter,
    /// Only rows with larger numbers, when given.
    pub since_row: Option<RowId>,
}

impl ListObjects {
    /// Lists live rows of the container's own policy.
    pub fn new(names: ListingQuery) -> Self {
        Self {
            names,
            ..Self::default()
        }
    }
}

/// Which rows [`items_since`](ContainerBroker::items_since) returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowFilter {
    /// All.
    #[default]
    All,
    /// Those whose policy is not the container's.
    Misplaced,
}

/// Progress marks and reports of a container; each is set when given and left alone otherwise.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerMarks {
    /// What the account was told. Swift: `reported`.
    pub reported: Option<Reported>,
    /// First mark of container sync. Swift: `set_x_container_sync_points`.
    pub x_container_sync_point1: Option<i64>,
    /// Second mark of container sync.
    pub x_container_sync_point2: Option<i64>,
    /// Mark of the reconciler. Swift: `update_reconciler_sync`.
    pub reconciler_sync_point: Option<i64>,
}

/// Names and row numbers to remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoveObjects {
    /// Exclusive lower bound; empty for none.
    pub lower: String,
    /// Inclusive upper bound; empty for none.
    pub upper: String,
    /// Inclusive bound on row numbers, when given.
    pub max_row: Option<RowId>,
}

/// Is shown the entries of an object listing, in listing order.
///
/// It runs on an engine's thread while a consistent view is open: it must not wait for anything.
pub trait ObjectVisitor: Any + Send {
    /// Takes one entry; `Break` ends the listing.
    fn visit(&mut self, entry: Entry<'_, ObjectRowRef<'_>>) -> ControlFlow<()>;
}

/// A container's broker.
#[async_trait]
pub trait ContainerBroker: Broker {
    /// Makes the store, unless it exists. INIT-1 and INIT-2 of
    /// [`AccountBroker::initialize`](crate::AccountBroker::initialize) hold.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for an empty name.
    ///
    /// # Swift
    /// `initialize`, `create_broker`
    async fn initialize(&self, new: &NewContainer) -> Result<Initialized>;

    /// The facts, in one consistent view; `None` when the store is absent. INFO-1 to INFO-3 hold.
    async fn info(&self) -> Result<Option<ContainerInfo>>;

    /// Merges records in one transaction.
    ///
    /// # Contract
    /// - OBJECT-MERGE-1: rows are matched by name and policy; data, content type and metadata are decided
    ///   each by their own time, ties going to the row; see [`merge_object`](crate::merge::merge_object).
    /// - OBJECT-MERGE-2: a record that wins nothing changes nothing, not even the row number.
    /// - OBJECT-MERGE-3: within a batch each changed (name, policy) gets one new row; numbers follow
    ///   the order in which each first won against the row stored before the batch.
    /// - OBJECT-MERGE-4: with a source, its incoming point is raised to the number of the last record.
    /// - OBJECT-MERGE-5: merging again, in any order or grouping, gives the same rows when no two
    ///   times are equal.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a source with an empty batch or a last record
    /// without a number; nothing is merged then.
    ///
    /// # Swift
    /// `merge_items`, `put_object`, `delete_object`
    async fn merge_items(&self, records: Vec<ObjectRecord>, options: MergeOptions) -> Result<()>;

    /// Up to `limit` rows with numbers above `start`, ascending, tombstones and all policies
    /// included; SINCE-1 holds.
    ///
    /// # Contract
    /// - SINCE-2: with [`RowFilter::Misplaced`], only rows whose policy is not the container's.
    ///
    /// # Swift
    /// `get_items_since`, `get_misplaced_since`
    async fn items_since(
        &self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>>;

    /// Shows a listing to a visitor, and gives it back. LIST-1 to LIST-4 hold.
    ///
    /// # Contract
    /// - LIST-5: in path mode, only names directly under the path, no subdirs.
    /// - LIST-6: rows are filtered by policy, deletion and number as asked for.
    ///
    /// # Swift
    /// `list_objects_iter`, `get_objects`
    async fn list_objects(
        &self,
        query: &ListObjects,
        visitor: Box<dyn ObjectVisitor>,
    ) -> Result<Box<dyn ObjectVisitor>>;

    /// Removes rows of any policy, live or not, without leaving tombstones.
    ///
    /// # Contract
    /// - REMOVE-1: exactly the rows with lower < name <= upper and a number up to `max_row` go.
    ///
    /// # Swift
    /// `remove_objects`
    async fn remove_objects(&self, remove: &RemoveObjects) -> Result<()>;

    /// Makes a policy the container's own; objects stay where they are.
    ///
    /// # Contract
    /// - POLICY-1: a new index gets a statistic and raises `status_changed_at` to `timestamp`; the index
    ///   that is set already changes nothing.
    /// - POLICY-2: counts, `is_deleted` and listings follow the own policy; `is_empty` looks at all.
    ///
    /// # Swift
    /// `set_storage_policy_index`
    async fn set_storage_policy_index(
        &self,
        index: PolicyIndex,
        timestamp: Timestamp,
    ) -> Result<()>;

    /// Sets progress marks and reports.
    ///
    /// # Contract
    /// - MARK-1: what is given is stored unconditionally, what is not stays.
    async fn set_marks(&self, marks: &ContainerMarks) -> Result<()>;

    /// Sharding, where the engine has it.
    fn sharding(&self) -> Option<&dyn Sharding>;
}
