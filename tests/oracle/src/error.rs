//! What can go wrong in the oracle itself, as opposed to a difference that it finds.

use std::path::PathBuf;

/// The oracle could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    /// There is no Python that has Swift.
    #[error(
        "no Python with Swift {version} at {python:?}: make it with `python3 tests/swift/python_env.py`, \
         or name another in APUS_SWIFT_PYTHON"
    )]
    NoSwift {
        /// The version that is needed.
        version: &'static str,
        /// Where it was looked for.
        python: PathBuf,
    },
    /// The Swift that was found is of another version.
    #[error(
        "{python:?} has Swift {found}, needed is {version}: make it with `python3 tests/swift/python_env.py`"
    )]
    WrongSwift {
        /// The version that is needed.
        version: &'static str,
        /// The version that is there.
        found: String,
        /// The interpreter.
        python: PathBuf,
    },
    /// The driver did not answer, or not what was asked.
    #[error("the Swift driver failed: {0}")]
    Driver(String),
    /// The system failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// An engine could not be opened.
    #[error(transparent)]
    Engine(#[from] broker_api::Error),
    /// A history or an answer is not what it should be.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The result of the oracle's own work.
pub type Result<T> = std::result::Result<T, OracleError>;
