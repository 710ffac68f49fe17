//! Brokers over sled, a key-value store in pure Rust. **Experimental**: the README says why.
//!
//! The brokers are those of [`broker_kv`]; this crate opens databases and says what sled can do.
//!
//! ```text
//! <devices>/<device>/apus-sled/<kind>s/
//!     FORMAT     which sled wrote db/, since sled itself does not notice      broker_kv::Folder
//!     LOCK       flock(2): one process at a time
//!     db/        sled's files, rows in blocks                                devices, block, store
//! ```

mod block;
mod devices;
mod error;
mod options;
mod store;

pub use devices::{SledDevices, open};
pub use options::{SETTINGS, SledMode, SledOptions};
pub use store::{SledStore, SledView};

/// The README, whose samples are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
