//! Why a store was not copied.

use broker_api::Error;

/// Why a store was not copied; the source is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source fails.
    #[error("the source cannot be read")]
    Source(#[source] Error),
    /// The target fails. What was copied so far is out of sight, and the next attempt goes on behind it.
    #[error("the target cannot be written")]
    Target(#[source] Error),
    /// There is nothing to copy.
    #[error("there is no store at the source")]
    SourceAbsent,
    /// The target's engine does not restore stores.
    #[error("the target's engine cannot take whole stores")]
    NoSnapshot,
    /// Somebody wrote to the source.
    #[error("the source changed while it was copied; stop whatever writes to it and try again")]
    Changed,
    /// The source says something about itself that its rows do not bear out.
    #[error("the source's facts do not fit its rows, which replication from a good replica mends")]
    Unproven(#[source] Error),
    /// A store is at the target already, and it is another one.
    #[error(
        "another store is at the target already: {0} differ; look at both, and remove the one that is not in use"
    )]
    Occupied(&'static str),
    /// What the target stored, and shows, is not what it was given: a defect of its engine.
    #[error("the copy's {0} differ from the source's; quarantine it, and report this defect")]
    Spoilt(&'static str),
}
