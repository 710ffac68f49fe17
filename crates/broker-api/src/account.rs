//! The account broker: the list of an account's containers.

use crate::broker::{Broker, Initialized};
use crate::error::Result;
use crate::info::AccountInfo;
use crate::listing::ListingQuery;
use crate::record::{ContainerRecord, ContainerRow, ContainerRowRef, Entry, RowId};
use crate::timestamp::{Timestamp, TimestampText};
use async_trait::async_trait;
use std::any::Any;
use std::ops::ControlFlow;

/// What a new account starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// The account's name; must not be empty.
    pub account: String,
    /// Stored verbatim as put timestamp and `status_changed_at`.
    pub put_timestamp: TimestampText,
    /// The server's clock.
    pub created_at: Timestamp,
    /// The store id, `<uuid4>-<device>`.
    pub id: String,
}

/// How a batch of records is merged.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergeOptions {
    /// The id of the store that the records come from: its incoming sync point is raised with them.
    pub source: Option<String>,
    /// The batch may be acknowledged before it is numbered: what Swift's `put_object` and
    /// `put_container` do. It is as durable and as visible as any other write.
    pub may_buffer: bool,
}

impl MergeOptions {
    /// A write by a client: one record, which may be buffered.
    pub fn put() -> Self {
        Self {
            source: None,
            may_buffer: true,
        }
    }

    /// A batch from another replica.
    pub fn from_source(source: impl Into<String>) -> Self {
        Self {
            source: Some(source.into()),
            may_buffer: false,
        }
    }
}

/// Is shown the entries of a container listing, in listing order.
///
/// It runs on an engine's thread while a consistent view is open: it must not wait for anything.
pub trait ContainerVisitor: Any + Send {
    /// Takes one entry; `Break` ends the listing.
    fn visit(&mut self, entry: Entry<'_, ContainerRowRef<'_>>) -> ControlFlow<()>;
}

/// An account's broker.
#[async_trait]
pub trait AccountBroker: Broker {
    /// Makes the store, unless it exists.
    ///
    /// # Contract
    /// - INIT-1: of concurrent callers exactly one creates; the others change nothing.
    /// - INIT-2: a new store has the given timestamps, delete timestamp `0`, empty status and metadata,
    ///   zero counts and hash, and no policy statistics (an account) or those of its own policy (a
    ///   container).
    /// - INIT-3: an empty name is refused and makes no store.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for an empty name.
    ///
    /// # Swift
    /// `initialize`, `create_broker`
    async fn initialize(&self, new: &NewAccount) -> Result<Initialized>;

    /// The facts, in one consistent view; `None` when the store is absent.
    ///
    /// # Contract
    /// - INFO-1: shows every acknowledged write.
    /// - INFO-2: totals and statistics are those of the rows present, tombstones counting zero
    ///   containers or objects but their sizes; statistics never go away.
    /// - INFO-3: `max_row` is the highest number ever assigned, removed rows included.
    async fn info(&self) -> Result<Option<AccountInfo>>;

    /// Merges records, one after the other, in one transaction.
    ///
    /// # Contract
    /// - ACCOUNT-MERGE-1: rows are matched by name alone, put and delete keep the later by value, counts
    ///   and policy come from the record whatever its age.
    /// - ACCOUNT-MERGE-2: a new row trusts the record's `deleted`; an existing one recomputes it.
    /// - ACCOUNT-MERGE-3: every record gives a new row number, even when nothing changes.
    /// - ACCOUNT-MERGE-4: with a source, its incoming point is raised to the largest row number of the
    ///   batch, -1 for an empty one.
    /// - MERGE-1: a batch, of containers or of objects, is merged whole or not at all.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when a record lacks a value and there is no row
    /// to take it from, or has no row number though there is a source; nothing is merged then.
    ///
    /// # Swift
    /// `merge_items`, `put_container`
    async fn merge_items(&self, records: Vec<ContainerRecord>, options: MergeOptions)
    -> Result<()>;

    /// Up to `limit` rows with numbers above `start`, ascending, tombstones included.
    ///
    /// # Contract
    /// - SINCE-1: every row present with a larger number, ascending, each once; no row for limit zero.
    ///
    /// # Swift
    /// `get_items_since`
    async fn items_since(&self, start: RowId, limit: usize) -> Result<Vec<ContainerRow>>;

    /// Shows the live rows of a listing to a visitor, and gives it back.
    ///
    /// # Contract
    /// - LIST-1: names in byte order, ascending or with `reverse` descending; every acknowledged write
    ///   shows; one consistent view.
    /// - LIST-2: `marker` and `end_marker` are exclusive, in listing order; `prefix` is intersected.
    /// - LIST-3: with a delimiter, names roll up; a subdir equal to the lower bound is not shown; each
    ///   entry counts once towards the limit.
    /// - LIST-4: names that start with NUL show only when asked for.
    ///
    /// # Swift
    /// `list_containers_iter`
    async fn list_containers(
        &self,
        query: &ListingQuery,
        visitor: Box<dyn ContainerVisitor>,
    ) -> Result<Box<dyn ContainerVisitor>>;
}
