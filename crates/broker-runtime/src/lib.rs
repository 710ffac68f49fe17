//! Synchronous engines under the asynchronous broker contract.
//!
//! Embedded stores such as SQLite block the thread that calls them. Such an engine implements the
//! small, synchronous traits of [`sync`]: open a store, begin and end a transaction, read and replace
//! rows. Everything above that is written here once:
//!
//! ```text
//! async contract ──► Adapter ──► queue of one store ──► one transaction for the whole queue   (writes)
//!                       ├──────► any idle worker ─────► one consistent view                   (reads)
//!                       └──────► the caller's thread ─► the same, of what memory can answer   (short reads)
//!                                       ops: what each operation does, over the rules of broker-api
//! ```
//!
//! * [`settings`] is the table of an engine's settings, and reads them;
//! * [`ops`] turns each operation of the contract into reads and writes of rows;
//! * [`landings`] remembers for an engine where the seeks of listings came down;
//! * [`pool`] owns a fixed number of threads with one bounded queue;
//! * [`Adapter`] gives each store one writer at a time, commits concurrent writes together, keeps open
//!   handles in an LRU, and reopens a store that others replaced, moved or removed.

pub mod adapter;
pub mod device;
pub mod landings;
pub mod ops;
pub mod pool;
pub mod settings;
pub mod sync;

mod recording;
mod slot;
mod write;

pub use adapter::{Adapter, RuntimeOptions};

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
