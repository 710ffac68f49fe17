//! A call on the contract as a value, and its answer.
//!
//! ```text
//! method of a trait ──► Call ──► layer ──► Target::play ──► method of the same trait, one engine down
//!                     ◄── Answer ◄──     ◄──
//! ```
//!
//! The arguments are owned, so that a layer can keep, change, repeat or postpone a call. Only the visitor
//! of a listing travels beside it, since it cannot be copied.

use crate::operation::Operation;
use broker_api::{
    AccountInfo, ContainerInfo, ContainerMarks, ContainerRecord, ContainerRow, ContainerVisitor,
    DeviceHealth, Direction, Error, ErrorKind, Initialized, ListObjects, ListingQuery, Location,
    MergeOptions, MergeTimestamps, MetadataEntry, MetadataLimits, NewAccount, NewContainer,
    ObjectRecord, ObjectRow, ObjectVisitor, PolicyIndex, ReclaimAge, Reclaimed, RemoveObjects,
    RowFilter, RowId, Rows, StoreImage, StoreKind, SyncPoint, Timestamp,
};
use std::fmt;

/// An operation with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `Engine::stores`.
    Stores {
        /// The device.
        device: String,
        /// Accounts or containers.
        kind: StoreKind,
        /// The last store of the page before.
        after: Option<Location>,
        /// The largest number of stores.
        limit: usize,
    },
    /// `Engine::quarantine`, with the reason.
    Quarantine(Location, String),
    /// `Engine::remove`.
    Remove(Location),
    /// `Engine::set_synced`: on the list, or off it.
    SetSynced(Location, bool),
    /// `Engine::synced`.
    Synced {
        /// The device.
        device: String,
        /// The last container of the page before.
        after: Option<Location>,
        /// The largest number of containers.
        limit: usize,
    },
    /// `Engine::device_health`.
    DeviceHealth(String),
    /// `Broker::exists`.
    Exists,
    /// `Broker::delete`.
    Delete(Timestamp),
    /// `Broker::update_put_timestamp`.
    UpdatePutTimestamp(Timestamp),
    /// `Broker::update_status_changed_at`.
    UpdateStatusChangedAt(Timestamp),
    /// `Broker::merge_timestamps`.
    MergeTimestamps(MergeTimestamps),
    /// `Broker::update_metadata`.
    UpdateMetadata(Vec<MetadataEntry>, Option<MetadataLimits>),
    /// `Broker::upgrade`.
    Upgrade,
    /// `Snapshot::begin`.
    SnapshotBegin(Box<StoreImage>),
    /// `Snapshot::add`.
    SnapshotAdd(Rows),
    /// `Snapshot::finish`.
    SnapshotFinish,
    /// `Snapshot::abandon`.
    SnapshotAbandon,
    /// `Replicate::sync_points`.
    SyncPoints(Direction),
    /// `Replicate::merge_sync_points`.
    MergeSyncPoints(Direction, Vec<SyncPoint>),
    /// `Replicate::new_id`.
    NewId {
        /// The id of the store that was copied.
        remote_id: String,
        /// The id of this store from now on.
        new_id: String,
    },
    /// `Replicate::reclaim`.
    Reclaim(ReclaimAge),
    /// `AccountBroker::initialize`.
    InitializeAccount(NewAccount),
    /// `AccountBroker::info`.
    AccountInfo,
    /// `AccountBroker::merge_items`.
    MergeContainers(Vec<ContainerRecord>, MergeOptions),
    /// `AccountBroker::items_since`: the start and the limit.
    ContainersSince(RowId, usize),
    /// `AccountBroker::list_containers`.
    ListContainers(ListingQuery),
    /// `ContainerBroker::initialize`.
    InitializeContainer(NewContainer),
    /// `ContainerBroker::info`.
    ContainerInfo,
    /// `ContainerBroker::merge_items`.
    MergeObjects(Vec<ObjectRecord>, MergeOptions),
    /// `ContainerBroker::items_since`: the start, the limit and the filter.
    ObjectsSince(RowId, usize, RowFilter),
    /// `ContainerBroker::list_objects`.
    ListObjects(ListObjects),
    /// `ContainerBroker::remove_objects`.
    RemoveObjects(RemoveObjects),
    /// `ContainerBroker::set_storage_policy_index`.
    SetStoragePolicyIndex(PolicyIndex, Timestamp),
    /// `ContainerBroker::set_marks`.
    SetMarks(ContainerMarks),
}

impl Call {
    /// The operation, without its arguments.
    pub fn operation(&self) -> Operation {
        match self {
            Call::Stores { .. } => Operation::Stores,
            Call::Quarantine(..) => Operation::Quarantine,
            Call::Remove(_) => Operation::Remove,
            Call::SetSynced(..) => Operation::SetSynced,
            Call::Synced { .. } => Operation::Synced,
            Call::DeviceHealth(_) => Operation::DeviceHealth,
            Call::Exists => Operation::Exists,
            Call::Delete(_) => Operation::Delete,
            Call::UpdatePutTimestamp(_) => Operation::UpdatePutTimestamp,
            Call::UpdateStatusChangedAt(_) => Operation::UpdateStatusChangedAt,
            Call::MergeTimestamps(_) => Operation::MergeTimestamps,
            Call::UpdateMetadata(..) => Operation::UpdateMetadata,
            Call::Upgrade => Operation::Upgrade,
            Call::SnapshotBegin(_) => Operation::SnapshotBegin,
            Call::SnapshotAdd(_) => Operation::SnapshotAdd,
            Call::SnapshotFinish => Operation::SnapshotFinish,
            Call::SnapshotAbandon => Operation::SnapshotAbandon,
            Call::SyncPoints(_) => Operation::SyncPoints,
            Call::MergeSyncPoints(..) => Operation::MergeSyncPoints,
            Call::NewId { .. } => Operation::NewId,
            Call::Reclaim(_) => Operation::Reclaim,
            Call::InitializeAccount(_) | Call::InitializeContainer(_) => Operation::Initialize,
            Call::AccountInfo | Call::ContainerInfo => Operation::Info,
            Call::MergeContainers(..) | Call::MergeObjects(..) => Operation::MergeItems,
            Call::ContainersSince(..) | Call::ObjectsSince(..) => Operation::ItemsSince,
            Call::ListContainers(_) => Operation::ListContainers,
            Call::ListObjects(_) => Operation::ListObjects,
            Call::RemoveObjects(_) => Operation::RemoveObjects,
            Call::SetStoragePolicyIndex(..) => Operation::SetStoragePolicyIndex,
            Call::SetMarks(_) => Operation::SetMarks,
        }
    }

    /// The store that a call on the engine is about.
    pub(crate) fn location(&self) -> Option<&Location> {
        match self {
            Call::Quarantine(location, _)
            | Call::Remove(location)
            | Call::SetSynced(location, _) => Some(location),
            _ => None,
        }
    }
}

/// Whom a listing is shown to.
pub enum Visitor {
    /// The call is no listing.
    None,
    /// The entries of a container listing.
    Containers(Box<dyn ContainerVisitor>),
    /// The entries of an object listing.
    Objects(Box<dyn ObjectVisitor>),
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Visitor::None => "None",
            Visitor::Containers(_) => "Containers",
            Visitor::Objects(_) => "Objects",
        })
    }
}

/// Defines [`Answer`], and how the value of each method becomes one and is taken out again.
macro_rules! answers {
    ($($(#[$doc:meta])+ $variant:ident($value:ty);)+) => {
        /// What an operation that succeeded answers.
        #[derive(Debug)]
        pub enum Answer {
            $($(#[$doc])+ $variant($value),)+
        }

        $(
            impl From<$value> for Answer {
                fn from(value: $value) -> Self {
                    Answer::$variant(value)
                }
            }

            impl TryFrom<Answer> for $value {
                type Error = Error;

                fn try_from(answer: Answer) -> Result<Self, Error> {
                    match answer {
                        Answer::$variant(value) => Ok(value),
                        answer => Err(wrong_answer(&answer)),
                    }
                }
            }
        )+
    };
}

answers! {
    /// That it is done.
    Done(());
    /// Whether the store is there.
    Exists(bool);
    /// Whether the store was made.
    Initialized(Initialized);
    /// Stores.
    Locations(Vec<Location>);
    /// The condition of a device.
    Health(DeviceHealth);
    /// The facts of an account.
    AccountInfo(Option<AccountInfo>);
    /// The facts of a container.
    ContainerInfo(Option<ContainerInfo>);
    /// Rows of an account.
    Containers(Vec<ContainerRow>);
    /// Rows of a container.
    Objects(Vec<ObjectRow>);
    /// Sync points.
    SyncPoints(Vec<SyncPoint>);
    /// What a reclaim did.
    Reclaimed(Reclaimed);
    /// The highest row that is there of a store that is being restored.
    Restored(RowId);
    /// The visitor that was shown a listing.
    Visitor(Visitor);
}

impl From<Box<dyn ContainerVisitor>> for Answer {
    fn from(visitor: Box<dyn ContainerVisitor>) -> Self {
        Answer::Visitor(Visitor::Containers(visitor))
    }
}

impl From<Box<dyn ObjectVisitor>> for Answer {
    fn from(visitor: Box<dyn ObjectVisitor>) -> Self {
        Answer::Visitor(Visitor::Objects(visitor))
    }
}

impl TryFrom<Answer> for Box<dyn ContainerVisitor> {
    type Error = Error;

    fn try_from(answer: Answer) -> Result<Self, Error> {
        match answer {
            Answer::Visitor(Visitor::Containers(visitor)) => Ok(visitor),
            answer => Err(wrong_answer(&answer)),
        }
    }
}

impl TryFrom<Answer> for Box<dyn ObjectVisitor> {
    type Error = Error;

    fn try_from(answer: Answer) -> Result<Self, Error> {
        match answer {
            Answer::Visitor(Visitor::Objects(visitor)) => Ok(visitor),
            answer => Err(wrong_answer(&answer)),
        }
    }
}

/// A layer that answers another question than was asked has a defect.
fn wrong_answer(answer: &Answer) -> Error {
    let message = format!("a layer answered another question with {answer:?}");
    Error::new(ErrorKind::Internal, message)
}
