//! What can go wrong, told apart by what the caller does about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The result of a broker operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What the caller of a failed operation should do.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The store does not exist: create it, or report its absence. Swift: `DatabaseConnectionError`.
    NotFound,
    /// The input breaks a rule of the contract: reject it. Swift: `ValueError`, or HTTP 400.
    InvalidInput,
    /// Somebody else held the store too long: try again later. Swift: `LockTimeout`.
    Busy,
    /// The store was unreadable and has been quarantined: replication will bring it back.
    Corrupt,
    /// The device has no room: delete something or use another device.
    Full,
    /// The broker was opened so that it may not write. Swift: "commits not accepted".
    ReadOnly,
    /// The device or the operating system failed: report it.
    Io,
    /// The engine cannot do this with this store, for a reason in the message.
    Unsupported,
    /// A defect of the engine: report it.
    Internal,
}

/// What a failure of the operating system is: a device without room, or anything else.
impl From<&io::Error> for ErrorKind {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            _ => ErrorKind::Io,
        }
    }
}

/// Whether a failed operation may have changed the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Outcome {
    /// Nothing was changed.
    NotApplied,
    /// The change may or may not have happened; repeating a merge is always safe.
    #[default]
    Unknown,
}

/// A failed operation on a store or an engine.
///
/// Cloning is cheap: all writers of a failed group commit are told the same.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    outcome: Outcome,
    operation: &'static str,
    store: String,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error of a kind with a message for people: lower case, no full stop.
    ///
    /// The outcome starts as [`Outcome::NotApplied`] for kinds that are found before anything is
    /// written (absent store, bad input, read only, unsupported) and as [`Outcome::Unknown`] otherwise.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        use ErrorKind::{InvalidInput, NotFound, ReadOnly, Unsupported};
        let outcome = match kind {
            NotFound | InvalidInput | ReadOnly | Unsupported => Outcome::NotApplied,
            _ => Outcome::Unknown,
        };
        Self(Box::new(Inner {
            kind,
            outcome,
            operation: "",
            store: String::new(),
            message: message.into(),
            source: None,
        }))
    }

    /// The error for a store that does not exist.
    pub fn not_found() -> Self {
        Self::new(ErrorKind::NotFound, "the store does not exist")
    }

    /// The error for a failure of the operating system, with words for what was tried:
    /// "cannot read sda1".
    pub fn io(message: impl Into<String>, source: io::Error) -> Self {
        Self::new(ErrorKind::from(&source), message).caused_by(source)
    }

    /// Adds what was being done.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        self.0.operation = operation;
        self
    }

    /// Adds the store, in words for a log.
    #[must_use]
    pub fn on(mut self, store: impl fmt::Display) -> Self {
        self.0.store = store.to_string();
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// States whether anything may have changed.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether anything may have changed.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// What was being done; empty when unknown.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The store in words; empty when unknown.
    pub fn store(&self) -> &str {
        &self.0.store
    }

    /// What happened, without store, operation and source.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if !self.0.operation.is_empty() {
            write!(f, " during {}", self.0.operation)?;
        }
        if !self.0.store.is_empty() {
            write!(f, " on {}", self.0.store)?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<crate::timestamp::InvalidTimestamp> for Error {
    fn from(error: crate::timestamp::InvalidTimestamp) -> Self {
        Self::new(ErrorKind::InvalidInput, error.to_string())
    }
}
