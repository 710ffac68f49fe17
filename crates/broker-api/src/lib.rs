//! The storage-neutral contract of Swift's account and container brokers.
//!
//! An *engine* opens *stores*; a store is one replica of one account or container on one device and
//! partition; a *broker* is the handle on it. An engine stores and reports facts; every judgement
//! (is it deleted, which attributes win, what does a listing show) is a pure function in this crate.
//!
//! ```text
//! Engine ──► AccountBroker ─┐                         facts ──► lifecycle   merge   metadata
//!        └─► ContainerBroker┴─► Broker ─► Replicate             listing     rolling_hash
//!                 └─ Sharding?        └─ Snapshot?              timestamp   content_type
//! ```
//!
//! | to | see |
//! |---|---|
//! | use a broker | [`Engine`], [`AccountBroker`], [`ContainerBroker`], and the `…Ext` traits |
//! | write an engine | the numbered promises under `# Contract`, gathered in [`contract`] |
//! | know what *deleted* means | [`lifecycle`] |
//!
//! Facts about Swift are those of release 2.38.3.

pub mod account;
pub mod broker;
pub mod capability;
pub mod container;
pub mod content_type;
pub mod counting;
pub mod engine;
pub mod error;
pub mod ext;
pub mod info;
pub mod lifecycle;
pub mod listing;
pub mod location;
pub mod merge;
pub mod metadata;
pub mod record;
pub mod replicate;
pub mod rolling_hash;
pub mod sharding;
pub mod snapshot;
pub mod timestamp;

#[doc = include_str!("../docs/contract.md")]
pub mod contract {
    /// Version of the contract that this crate describes.
    pub const VERSION: &str = "1.1";

    /// The text of the contract, with its numbered clauses.
    pub const TEXT: &str = include_str!("../docs/contract.md");
}

pub use account::{AccountBroker, ContainerVisitor, MergeOptions, NewAccount};
pub use broker::{Broker, Initialized, MergeTimestamps};
pub use capability::{Capabilities, Durability};
pub use container::{
    ContainerBroker, ContainerMarks, DeletedFilter, ListObjects, NewContainer, ObjectVisitor,
    PolicyFilter, RemoveObjects, RowFilter,
};
pub use engine::{BrokerOptions, DeviceHealth, Engine};
pub use error::{Error, ErrorKind, Outcome, Result};
pub use ext::{AccountBrokerExt, BrokerExt, ContainerBrokerExt, ContainerEntry, ObjectEntry};
pub use info::{
    AccountInfo, AccountPolicyStat, ContainerInfo, DbState, Facts, PolicyStat, Reported, StoreInfo,
};
pub use listing::ListingQuery;
pub use location::{HashPath, Location, NameHash, StoreKind};
pub use metadata::{Metadata, MetadataEntry, MetadataLimits};
pub use record::{
    ContainerRecord, ContainerRow, ContainerRowRef, Entry, ObjectRecord, ObjectRow, ObjectRowRef,
    PolicyIndex, RowId,
};
pub use replicate::{Direction, ReclaimAge, Reclaimed, Replicate, SyncPoint};
pub use rolling_hash::RollingHash;
pub use sharding::Sharding;
pub use snapshot::{Rows, Snapshot, StoreImage, Tally};
pub use timestamp::{InvalidTimestamp, ObjectTimestamps, Timestamp, TimestampText};

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
