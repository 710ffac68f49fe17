//! Brokers over Swift's own SQLite files.
//!
//! Files are laid out, locked and written exactly as Swift 2.38 does it, so that its processes may
//! work on the same devices at the same time. The rules (what wins a merge, what a listing shows) are
//! those of `broker-api`; this crate stores rows and facts.
//!
//! ```text
//! <devices>/<device>/containers/<partition>/<suffix>/<hash>/
//!     .lock                flock: appending, merging, creating, removing          lock
//!     <hash>.db            Swift's schema, rollback journal                       schema, migrate, store
//!     <hash>.db.pending    client writes that were acknowledged and not merged    pending, records, pickle
//! <devices>/<device>/sync_containers/<partition>/<suffix>/<hash>/
//!     <hash>.db            link to the database: container sync works on it       synced
//! ```
//!
//! A put is one `write(2)` to the pending file for a whole group of clients. Every later transaction
//! first merges what the file holds, whoever wrote it.
//!
//! Containers that Swift is splitting into shards are refused, not damaged.

mod account;
mod cache;
mod connection;
mod container;
mod counting;
mod create;
mod engine;
mod error;
mod kept;
mod listing;
mod lock;
mod migrate;
mod nowait;
mod options;
mod overlay;
mod path;
mod pending;
mod pickle;
mod preallocate;
mod records;
mod remembered;
mod replicate;
mod restore;
mod schema;
mod settled;
mod sought;
mod store;
mod synced;
mod value;
mod walk;

pub use account::Account;
pub use container::Container;
pub use engine::{SqliteEngine, open};
pub use options::{SETTINGS, SqliteOptions};
pub use store::SqliteStore;

/// The README, whose samples are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
