//! Copies whole stores between engines, and proves that the copies are equal.
//!
//! ```text
//! source                       target
//! image ─────────────────────► begin            facts and sync points; resumes what a crash left
//! rows by number, a page ────► add              page by page; the next one is read meanwhile
//! image again: unchanged?      finish           rows are counted and compared with the image
//! digest of all rows   ══════  image, digest    the same, or the copy is taken back
//! ```
//!
//! The target needs the contract's [`Snapshot`](broker_api::Snapshot) group, the source nothing beyond the
//! contract's core.

mod broker;
mod copy;
mod digest;
mod error;
mod image;

pub use broker::StoreBroker;
pub use copy::{Copied, PAGE, Progress, Step, Watch, copy_store, same_image};
pub use digest::RowDigest;
pub use error::CopyError;

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
