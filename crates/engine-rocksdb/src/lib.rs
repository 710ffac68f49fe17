//! Brokers over RocksDB, for large containers and high rates.
//!
//! The brokers are those of [`broker_kv`]; this crate opens databases, sets RocksDB up and says what it
//! can do. The README explains the settings and what they were measured with.
//!
//! ```text
//! <devices>/<device>/apus-rocksdb/<kind>s/
//!     FORMAT     whose folder this is                               broker_kv::Folder
//!     LOCK       flock(2): one process at a time
//!     db/        RocksDB's files                                    devices, store
//!
//! one process: block cache, memory of unwritten rows, background threads, rate limit     tuning
//! ```

mod devices;
mod error;
mod figures;
mod options;
mod room;
mod stall;
mod store;
mod tuning;

pub use devices::{RocksdbDevices, open};
pub use figures::Figures;
pub use options::{Compaction, Compression, RocksdbOptions, SETTINGS};
pub use store::{RocksdbStore, RocksdbView};

/// The README, whose samples are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
