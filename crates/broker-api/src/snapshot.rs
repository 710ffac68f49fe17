//! Whole-store copies in the exchange format: a Swift SQLite file.

use crate::error::Result;
use async_trait::async_trait;
use std::fmt::Debug;
use std::path::Path;

/// Exports a store to a Swift database file and imports one; an optional group of the contract.
///
/// The file is the form in which replicas are sent whole and the way back to Python Swift, whatever
/// the engine keeps inside.
#[async_trait]
pub trait Snapshot: Debug + Send + Sync {
    /// Writes the store, buffered records included, to a new file that Swift can open.
    ///
    /// # Errors
    /// When the file exists already or cannot be written.
    async fn export(&self, file: &Path) -> Result<()>;

    /// Makes the absent store from a file that Swift wrote; row numbers and ids are kept.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when the file is not a store of this kind, or
    /// when the store exists.
    async fn import(&self, file: &Path) -> Result<()>;
}
