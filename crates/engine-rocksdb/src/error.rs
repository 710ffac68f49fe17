//! What can go wrong here, and what the contract calls it.

use broker_api::{Error, ErrorKind, Outcome};
use rocksdb::ErrorKind as Rocks;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Of RocksDB.
    #[error("the rocksdb database failed")]
    Rocksdb(#[source] rocksdb::Error),
    /// Of the operating system.
    #[error("cannot look at the device")]
    Device(#[source] std::io::Error),
    /// What is left is kept for deletions.
    #[error(
        "the device has less than reserve_mb left; only deletions are taken until there is room"
    )]
    Reserved,
    /// A view that does not wait would have to.
    #[error("what was asked for is not in memory")]
    NotInMemory,
    /// There is no room for what RocksDB does in the background.
    #[error(
        "rocksdb has stopped writes because its compactions fail, for want of room or by a fault of the \
         device; its LOG file says which"
    )]
    Stalled,
}

impl From<rocksdb::Error> for Failure {
    fn from(error: rocksdb::Error) -> Self {
        Failure::Rocksdb(error)
    }
}

/// RocksDB's own kinds do not tell a full device from a broken one, but its texts do: the first is that of
/// its sub-code for `ENOSPC`, the second the system's for `EDQUOT`.
fn is_full(error: &rocksdb::Error) -> bool {
    let text: &str = error.as_ref();
    ["No space left on device", "Disk quota exceeded"]
        .iter()
        .any(|full| text.contains(full))
}

fn kind_of(error: &rocksdb::Error) -> ErrorKind {
    match error.kind() {
        _ if is_full(error) => ErrorKind::Full,
        Rocks::NotSupported => ErrorKind::Unsupported,
        Rocks::InvalidArgument => ErrorKind::Internal,
        Rocks::Busy | Rocks::TimedOut | Rocks::TryAgain => ErrorKind::Busy,
        _ => ErrorKind::Io,
    }
}

impl From<Failure> for Error {
    /// Damage is `Io`: it is in the database of all stores, and quarantining one would write to it.
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        match failure {
            Failure::Rocksdb(error) => Error::new(kind_of(&error), message).caused_by(error),
            Failure::Device(error) => Error::new(ErrorKind::Io, message).caused_by(error),
            Failure::NotInMemory => {
                Error::new(ErrorKind::Busy, message).with_outcome(Outcome::NotApplied)
            }
            Failure::Reserved | Failure::Stalled => {
                Error::new(ErrorKind::Full, message).with_outcome(Outcome::NotApplied)
            }
        }
    }
}
