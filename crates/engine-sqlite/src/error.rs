//! What goes wrong in this engine, and what the contract calls it.

use crate::path::{FileId, file_id};
use broker_api::{Error, ErrorKind};
use rusqlite::ErrorCode;
use rusqlite::ffi;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The result of what this crate does inside.
pub(crate) type Attempt<T> = Result<T, Failure>;

/// A failed step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the database failed")]
    Sql(#[from] rusqlite::Error),
    #[error("cannot {action} {path}")]
    Os {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{path} was not to be had in {timeout:?}")]
    LockTimeout { path: PathBuf, timeout: Duration },
    #[error("{column} of row {row} of {table} is {problem}")]
    BadValue {
        table: &'static str,
        column: &'static str,
        row: i64,
        problem: &'static str,
    },
    #[error("missing row in {0} table")]
    MissingStat(&'static str),
    #[error("the index of names leads to a row that the table lacks")]
    MissingRow,
    #[error("sharded containers are not served by this version")]
    Sharded,
    #[error("the file holds no {0} database")]
    Foreign(&'static str),
    #[error("the store was replaced meanwhile")]
    Replaced,
    #[error("the store does not exist")]
    Absent,
    #[error("the device is not mounted")]
    NotMounted,
    #[error("the read would have to wait")]
    WouldWait,
    #[error(transparent)]
    Contract(#[from] Error),
}

impl Failure {
    pub(crate) fn os(action: &'static str, path: &Path, source: io::Error) -> Self {
        Failure::Os {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Judges a failure once more in the light of where the file is: work on a file that others
    /// moved away or replaced fails in odd ways, and says nothing about the store that is there now.
    pub(crate) fn unless_moved(self, db: &Path, file: FileId) -> Self {
        if !matches!(self, Failure::Sql(_)) {
            return self;
        }
        match file_id(db) {
            Ok(None) => Failure::Absent,
            Ok(Some(now)) if now != file => Failure::Replaced,
            _ => self,
        }
    }
}

/// Says what was being done to which file when the system failed.
pub(crate) trait OsContext<T> {
    fn at(self, action: &'static str, path: &Path) -> Attempt<T>;
}

impl<T, E: Into<io::Error>> OsContext<T> for Result<T, E> {
    fn at(self, action: &'static str, path: &Path) -> Attempt<T> {
        self.map_err(|error| Failure::os(action, path, error.into()))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        use broker_api::Outcome::NotApplied;
        let message = failure.to_string();
        match failure {
            Failure::Sql(error) => from_sqlite(error),
            Failure::Os { source, .. } => {
                Error::new(ErrorKind::from(&source), message).caused_by(source)
            }
            Failure::LockTimeout { .. } | Failure::Replaced | Failure::WouldWait => {
                Error::new(ErrorKind::Busy, message).with_outcome(NotApplied)
            }
            Failure::BadValue { .. } => Error::new(ErrorKind::InvalidInput, message),
            Failure::MissingStat(_) | Failure::MissingRow => {
                Error::new(ErrorKind::Corrupt, message).with_outcome(NotApplied)
            }
            Failure::Sharded | Failure::Foreign(_) => Error::new(ErrorKind::Unsupported, message),
            Failure::Absent => Error::not_found(),
            Failure::NotMounted => Error::new(ErrorKind::Io, message).with_outcome(NotApplied),
            Failure::Contract(error) => error,
        }
    }
}

/// Every statement runs in a transaction that is rolled back on failure, so a change can have
/// happened only when the device failed while it was being committed.
fn from_sqlite(error: rusqlite::Error) -> Error {
    use broker_api::Outcome::{NotApplied, Unknown};
    let (kind, message, outcome) = match &error {
        rusqlite::Error::SqliteFailure(cause, _) => match cause.code {
            ErrorCode::DatabaseCorrupt => (ErrorKind::Corrupt, "malformed database", NotApplied),
            ErrorCode::NotADatabase => (ErrorKind::Corrupt, "corrupted database", NotApplied),
            ErrorCode::SystemIoFailure if is_out_of_memory(cause.extended_code) => {
                (ErrorKind::Io, "out of memory", Unknown)
            }
            ErrorCode::SystemIoFailure => (
                ErrorKind::Corrupt,
                "disk error while accessing database",
                Unknown,
            ),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (
                ErrorKind::Busy,
                "another writer holds the database",
                NotApplied,
            ),
            ErrorCode::DiskFull => (ErrorKind::Full, "the device is full", NotApplied),
            ErrorCode::ReadOnly => (ErrorKind::Io, "the database is read-only", NotApplied),
            ErrorCode::CannotOpen => (ErrorKind::Io, "cannot open the database", NotApplied),
            ErrorCode::PermissionDenied | ErrorCode::OutOfMemory | ErrorCode::TooBig => {
                (ErrorKind::Io, "the database failed", NotApplied)
            }
            _ => (
                ErrorKind::Internal,
                "a statement did not fit the database",
                NotApplied,
            ),
        },
        _ => (
            ErrorKind::Internal,
            "a statement did not fit the database",
            NotApplied,
        ),
    };
    Error::new(kind, message)
        .with_outcome(outcome)
        .caused_by(error)
}

fn is_out_of_memory(extended_code: i32) -> bool {
    extended_code == ffi::SQLITE_IOERR_NOMEM
}
