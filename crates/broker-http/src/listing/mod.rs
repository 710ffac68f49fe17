//! Listings: rows written straight from the engine's memory into bytes, page by page.
//!
//! ```text
//! engine thread   visit(row) ──► Sheet (bytes)        stops when the sheet is full
//! async thread    Sheet ──► one body, with its length  (the usual case: all fits the first sheet)
//!                 Sheet ──► chunk, next call after the last name, chunk, …
//! ```
//!
//! Nothing is held between two calls but the last name, so a slow client costs one sheet of memory
//! and no worker thread.

mod pages;
mod recycled;
mod sheet;
mod text;

pub(crate) use pages::{AccountLister, Listing, ObjectLister};
pub(crate) use sheet::Root;
pub(crate) use text::{IsoTime, push_json_text};
