//! The reference engine: plain maps, written to be read.
//!
//! It is the oracle that other engines are compared with, and serves tests that need no disk. A
//! store is a map of rows by name and a map of names by row number; facts are kept up to date row by
//! row, with the rules of [`broker_api`].
//!
//! ```text
//! MemoryDisk   location ─► Data { facts, rows: (name, policy) ─► row, numbers: row id ─► (name, policy),
//!                                 incoming, outgoing sync points }
//! ```
//!
//! What it holds lives as long as its [`MemoryDisk`]: opening an engine again on the same disk finds
//! everything.

mod data;
mod engine;
mod restore;
mod store;

pub use engine::{MemoryDisk, MemoryEngine, open};
