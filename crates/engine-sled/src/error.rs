//! What can go wrong here, and what the contract calls it.

use broker_api::{Error, ErrorKind, Outcome};
use std::io;
use std::path::{Path, PathBuf};

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Of sled.
    #[error("the sled database failed")]
    Sled(#[source] sled::Error),
    /// Of the operating system.
    #[error("cannot {action} {path}")]
    Os {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A block does not hold what a block holds.
    #[error(
        "a block of the sled database is damaged; restore the database from another copy, or convert its stores anew"
    )]
    Damaged,
    /// A key or a value is longer than a block can say.
    #[error("a key or a value of 4 GiB or more cannot be stored in sled; make it smaller")]
    TooLong,
    /// A change failed earlier, in this way.
    #[error(
        "the sled database stopped after a failure; make room or mend the device, then restart"
    )]
    Stopped(ErrorKind),
}

pub(crate) type Attempt<T> = Result<T, Failure>;

/// Says what was being done to which file when the system failed.
pub(crate) trait OsContext<T> {
    fn at(self, action: &'static str, path: &Path) -> Attempt<T>;
}

impl<T, E: Into<io::Error>> OsContext<T> for Result<T, E> {
    fn at(self, action: &'static str, path: &Path) -> Attempt<T> {
        self.map_err(|error| Failure::Os {
            action,
            path: path.to_owned(),
            source: error.into(),
        })
    }
}

impl From<sled::Error> for Failure {
    fn from(error: sled::Error) -> Self {
        Failure::Sled(error)
    }
}

impl From<Failure> for Error {
    /// Damage is `Io`: it is in the database of all stores, and quarantining one would write to it.
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        match failure {
            Failure::Sled(error) => {
                let kind = match &error {
                    sled::Error::Io(error) => ErrorKind::from(error),
                    sled::Error::ReportableBug(_) => ErrorKind::Internal,
                    sled::Error::Unsupported(_) => ErrorKind::Unsupported,
                    _ => ErrorKind::Io,
                };
                let not_applied = kind == ErrorKind::Unsupported;
                let outcome = match not_applied {
                    true => Outcome::NotApplied,
                    false => Outcome::Unknown,
                };
                let failed = Error::new(kind, message).with_outcome(outcome);
                failed.caused_by(error)
            }
            Failure::Os { source, .. } => {
                Error::new(ErrorKind::from(&source), message).caused_by(source)
            }
            Failure::Damaged => Error::new(ErrorKind::Io, message),
            Failure::TooLong => Error::new(ErrorKind::InvalidInput, message),
            Failure::Stopped(kind) => Error::new(kind, message).with_outcome(Outcome::NotApplied),
        }
    }
}
