//! What is written to a store, and what differs between accounts and containers in that.

use crate::adapter::Shared;
use crate::ops;
use crate::slot::Table;
use crate::sync::{AccountStore, Buffered, ContainerStore, Store, SyncEngine};
use broker_api::{
    BrokerOptions, ContainerMarks, ContainerRecord, Direction, Location, MergeTimestamps,
    MetadataEntry, MetadataLimits, ObjectRecord, PolicyIndex, ReclaimAge, RemoveObjects, Reported,
    Result, StoreKind, SyncPoint, Timestamp,
};

/// A write that accounts and containers have in common.
#[derive(Debug)]
pub(crate) enum Write {
    Delete(Timestamp),
    PutTimestamp(Timestamp),
    StatusChangedAt(Timestamp),
    MergeTimestamps(MergeTimestamps),
    Metadata(Vec<MetadataEntry>, Option<MetadataLimits>),
    SyncPoints(Direction, Vec<SyncPoint>),
    NewId {
        remote_id: String,
        new_id: String,
    },
    ReclaimPage {
        age: ReclaimAge,
        from: String,
        page: usize,
    },
    Upgrade,
}

/// What a write answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Done,
    Reclaimed(ops::ReclaimedPage),
}

/// A write to a store of a kind whose records are `R` and whose own writes are `O`.
#[derive(Debug)]
pub(crate) enum Op<R, O> {
    /// Client writes, which may be buffered and need no row numbers.
    Put(Vec<R>),
    Merge {
        records: Vec<R>,
        source: Option<String>,
    },
    Store(Write),
    Own(O),
}

impl<R, O> Op<R, O> {
    /// What the write takes of a queue or a group, in records.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Op::Put(records) | Op::Merge { records, .. } => records.len().max(1),
            Op::Store(_) | Op::Own(_) => 1,
        }
    }
}

/// A write that only containers have.
#[derive(Debug)]
pub(crate) enum ContainerWrite {
    Remove(RemoveObjects),
    SetPolicy(PolicyIndex, Timestamp),
    Marks(ContainerMarks),
}

/// What differs between accounts and containers.
pub(crate) trait Kind<E: SyncEngine>: Send + Sync + Sized + 'static {
    const KIND: StoreKind;
    type Store: Store;
    type Record: Send + 'static;
    type Own: Send + 'static;

    fn table(shared: &Shared<E>) -> &Table<E, Self>;
    fn open(engine: &E, location: &Location) -> Result<Option<Self::Store>>;
    fn buffer(
        store: &mut Self::Store,
        records: &[Self::Record],
        options: &BrokerOptions,
    ) -> Result<Buffered>;
    fn merge(store: &mut Self::Store, records: &[Self::Record], source: Option<&str>)
    -> Result<()>;
    /// As [`ops::merge_distinct_objects`].
    fn merge_distinct(store: &mut Self::Store, records: &[Self::Record]) -> Result<bool>;
    fn apply_own(store: &mut Self::Store, own: &Self::Own) -> Result<()>;
    fn forget_reported(store: &mut Self::Store) -> Result<()>;
}

/// Accounts.
#[derive(Debug)]
pub(crate) struct Accounts;

/// Containers.
#[derive(Debug)]
pub(crate) struct Containers;

impl<E: SyncEngine> Kind<E> for Accounts {
    const KIND: StoreKind = StoreKind::Account;
    type Store = E::Account;
    type Record = ContainerRecord;
    type Own = std::convert::Infallible;

    fn table(shared: &Shared<E>) -> &Table<E, Self> {
        &shared.accounts
    }

    fn open(engine: &E, location: &Location) -> Result<Option<Self::Store>> {
        engine.open_account(location)
    }

    fn buffer(
        store: &mut Self::Store,
        records: &[ContainerRecord],
        options: &BrokerOptions,
    ) -> Result<Buffered> {
        store.buffer(records, options)
    }

    fn merge(
        store: &mut Self::Store,
        records: &[ContainerRecord],
        source: Option<&str>,
    ) -> Result<()> {
        ops::merge_containers(store, records, source)
    }

    fn merge_distinct(store: &mut Self::Store, records: &[ContainerRecord]) -> Result<bool> {
        ops::merge_distinct_containers(store, records)
    }

    fn apply_own(_: &mut Self::Store, own: &Self::Own) -> Result<()> {
        match *own {}
    }

    fn forget_reported(_: &mut Self::Store) -> Result<()> {
        Ok(())
    }
}

impl<E: SyncEngine> Kind<E> for Containers {
    const KIND: StoreKind = StoreKind::Container;
    type Store = E::Container;
    type Record = ObjectRecord;
    type Own = ContainerWrite;

    fn table(shared: &Shared<E>) -> &Table<E, Self> {
        &shared.containers
    }

    fn open(engine: &E, location: &Location) -> Result<Option<Self::Store>> {
        engine.open_container(location)
    }

    fn buffer(
        store: &mut Self::Store,
        records: &[ObjectRecord],
        options: &BrokerOptions,
    ) -> Result<Buffered> {
        store.buffer(records, options)
    }

    fn merge(
        store: &mut Self::Store,
        records: &[ObjectRecord],
        source: Option<&str>,
    ) -> Result<()> {
        ops::merge_objects(store, records, source)
    }

    fn merge_distinct(store: &mut Self::Store, records: &[ObjectRecord]) -> Result<bool> {
        ops::merge_distinct_objects(store, records)
    }

    fn apply_own(store: &mut Self::Store, own: &ContainerWrite) -> Result<()> {
        match own {
            ContainerWrite::Remove(remove) => store.remove_objects(remove),
            ContainerWrite::SetPolicy(index, at) => {
                ops::set_storage_policy_index(store, *index, *at)
            }
            ContainerWrite::Marks(marks) => store.set_marks(marks),
        }
    }

    fn forget_reported(store: &mut Self::Store) -> Result<()> {
        let mut marks = ContainerMarks::default();
        marks.reported = Some(Reported::default());
        store.set_marks(&marks)
    }
}

pub(crate) type OpOf<E, K> = Op<<K as Kind<E>>::Record, <K as Kind<E>>::Own>;

/// Makes a write in the open transaction.
pub(crate) fn apply<E: SyncEngine, K: Kind<E>>(
    store: &mut K::Store,
    op: &OpOf<E, K>,
) -> Result<Reply> {
    match op {
        Op::Put(records) => K::merge(store, records, None)?,
        Op::Merge { records, source } => K::merge(store, records, source.as_deref())?,
        Op::Own(own) => K::apply_own(store, own)?,
        Op::Store(write) => return apply_common::<E, K>(store, write),
    }
    Ok(Reply::Done)
}

fn apply_common<E: SyncEngine, K: Kind<E>>(store: &mut K::Store, write: &Write) -> Result<Reply> {
    match write {
        Write::Delete(at) => ops::delete(store, *at)?,
        Write::PutTimestamp(at) => ops::update_put_timestamp(store, *at)?,
        Write::StatusChangedAt(at) => ops::update_status_changed_at(store, *at)?,
        Write::MergeTimestamps(merge) => ops::merge_timestamps(store, merge)?,
        Write::Metadata(updates, limits) => {
            ops::update_metadata(store, updates, limits.as_ref())?;
        }
        Write::SyncPoints(direction, points) => {
            ops::merge_sync_points(store, *direction, points)?;
        }
        Write::NewId { remote_id, new_id } => {
            ops::new_id(store, remote_id, new_id)?;
            K::forget_reported(store)?;
        }
        Write::ReclaimPage { age, from, page } => {
            return ops::reclaim_page(store, age, from, *page).map(Reply::Reclaimed);
        }
        Write::Upgrade => store.upgrade()?,
    }
    Ok(Reply::Done)
}
