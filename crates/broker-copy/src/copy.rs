//! Copying one store.

use crate::broker::StoreBroker;
use crate::digest::RowDigest;
use crate::error::CopyError;
use crate::image::{self, SourceImage};
use broker_api::{ErrorKind, RowId, Snapshot};

/// How many rows are read, and held in memory, at a time.
pub const PAGE: usize = 10_000;

/// What is being done with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Counted at the source, for an account of an old version.
    Counting,
    /// Read again at the source, since an earlier attempt has copied them.
    Resuming,
    /// Copied.
    Copying,
    /// Counted by the target. There are no further reports of this step.
    Finishing,
    /// Read back and compared.
    Verifying,
}

/// How far a copy has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub step: Step,
    /// Rows so far, in this step.
    pub rows: u64,
    /// The number of the last of them.
    pub at: RowId,
}

/// Is told how far a copy has got, after every page.
pub type Watch<'a> = dyn Fn(Progress) + Send + Sync + 'a;

/// What copying a store came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Whether an equal store was there already.
    pub was_there: bool,
    /// The row behind which an interrupted copy was gone on with; [`RowId::NONE`] for none.
    pub resumed_at: RowId,
    /// Rows of the store, tombstones and all policies included.
    pub rows: u64,
    /// SHA-256 over them, the same on both sides.
    pub digest: String,
}

/// Makes the store at the target what the one at the source is, or proves that it is.
///
/// The two may be at different locations. An interrupted copy is gone on with. Nobody may write to either
/// meanwhile: a source that changes is noticed.
///
/// # Errors
/// See [`CopyError`]. The target then holds no store that was not there before, except after
/// [`CopyError::Spoilt`].
///
/// # Cancellation
/// What was copied stays out of sight, and the next call goes on behind it.
pub async fn copy_store(
    source: &StoreBroker,
    target: &StoreBroker,
    watch: &Watch<'_>,
) -> Result<Copied, CopyError> {
    let image = image::read(source, watch).await?;
    if target.facts().await.map_err(CopyError::Target)?.is_some() {
        return already_there(source, target, &image, watch).await;
    }
    let copied = match restore(source, target, &image, watch).await {
        // What an earlier attempt left may be of a source that has changed since, or spoilt by a loss of
        // power. Without it there is no such doubt.
        Err((CopyError::Unproven(_), resumed_at)) if resumed_at > RowId::NONE => {
            abandon(target).await?;
            restore(source, target, &image, watch).await
        }
        copied => copied,
    };
    match copied {
        Ok(copied) => verified(target, &image, copied, watch).await,
        Err((error, _)) => {
            let error = match error {
                // Rows that were added since the image was taken do not fit it either.
                CopyError::Unproven(_) => unchanged(source, &image).await.err().unwrap_or(error),
                error => error,
            };
            // An engine that fails may work again; then what is there is worth having.
            if !matches!(
                error,
                CopyError::Source(_) | CopyError::Target(_) | CopyError::NoSnapshot
            ) {
                abandon(target).await?;
            }
            Err(error)
        }
    }
}

/// Whether a source and a copy of it say the same about themselves, rows aside. Cheap.
///
/// # Errors
/// When an engine fails, or there is no source.
pub async fn same_image(source: &StoreBroker, target: &StoreBroker) -> Result<bool, CopyError> {
    let image = image::read(source, &|_| ()).await?;
    let copy = target.image().await.map_err(CopyError::Target)?;
    Ok(copy.as_ref() == Some(&image.wanted))
}

fn snapshot(target: &StoreBroker) -> Result<&dyn Snapshot, CopyError> {
    target.broker().snapshot().ok_or(CopyError::NoSnapshot)
}

async fn abandon(target: &StoreBroker) -> Result<(), CopyError> {
    snapshot(target)?.abandon().await.map_err(CopyError::Target)
}

/// Copies all rows that are not there and lets the store appear. A failure comes with the row behind
/// which it went on.
async fn restore(
    source: &StoreBroker,
    target: &StoreBroker,
    image: &SourceImage,
    watch: &Watch<'_>,
) -> Result<Copied, (CopyError, RowId)> {
    let fresh = |error| (error, RowId::NONE);
    let to = snapshot(target).map_err(fresh)?;
    let begun = to.begin(&image.wanted).await;
    let resumed_at = begun.map_err(|error| fresh(refused_or_failed(error)))?;
    let digest = add_rows(source, to, resumed_at, watch).await;
    let digest = digest.map_err(|error| (error, resumed_at))?;
    unchanged(source, image)
        .await
        .map_err(|error| (error, resumed_at))?;
    watch(Progress {
        step: Step::Finishing,
        rows: digest.rows(),
        at: image.wanted.facts.store().max_row,
    });
    let finished = to.finish().await;
    finished.map_err(|error| (refused_or_failed(error), resumed_at))?;
    Ok(Copied {
        was_there: false,
        resumed_at,
        rows: digest.rows(),
        digest: digest.hex(),
    })
}

/// Adds the rows above `resumed_at`, and returns the digest of all. The next page is read while one is
/// being written.
async fn add_rows(
    source: &StoreBroker,
    to: &dyn Snapshot,
    resumed_at: RowId,
    watch: &Watch<'_>,
) -> Result<RowDigest, CopyError> {
    let mut digest = RowDigest::new();
    let mut rows = source
        .rows_since(RowId::NONE, PAGE)
        .await
        .map_err(CopyError::Source)?;
    while let Some(at) = rows.last() {
        digest.add(&rows);
        let is_there = at <= resumed_at;
        let add = async {
            match is_there {
                true => Ok(()),
                false => to.add(rows).await,
            }
        };
        let (added, next) = tokio::join!(add, source.rows_since(at, PAGE));
        added.map_err(refused_or_failed)?;
        rows = next.map_err(CopyError::Source)?;
        let step = if is_there {
            Step::Resuming
        } else {
            Step::Copying
        };
        let copied = digest.rows();
        watch(Progress {
            step,
            rows: copied,
            at,
        });
    }
    Ok(digest)
}

/// The target refuses what does not fit, and that comes from the source.
fn refused_or_failed(error: broker_api::Error) -> CopyError {
    match error.kind() {
        ErrorKind::InvalidInput => CopyError::Unproven(error),
        _ => CopyError::Target(error),
    }
}

async fn unchanged(source: &StoreBroker, image: &SourceImage) -> Result<(), CopyError> {
    let now = source.image().await.map_err(CopyError::Source)?;
    match now.as_ref() == Some(&image.found) {
        true => Ok(()),
        false => Err(CopyError::Changed),
    }
}

async fn digest_of(store: &StoreBroker, watch: &Watch<'_>) -> broker_api::Result<RowDigest> {
    let (mut digest, mut at) = (RowDigest::new(), RowId::NONE);
    loop {
        let rows = store.rows_since(at, PAGE).await?;
        let Some(last) = rows.last() else {
            return Ok(digest);
        };
        at = last;
        digest.add(&rows);
        watch(Progress {
            step: Step::Verifying,
            rows: digest.rows(),
            at,
        });
    }
}

/// What of the target differs from a wanted image and digest, if anything.
async fn difference(
    target: &StoreBroker,
    image: &SourceImage,
    rows: &RowDigest,
    digest: &str,
) -> Result<Option<&'static str>, CopyError> {
    let found = target.image().await.map_err(CopyError::Target)?;
    let wanted = &image.wanted;
    Ok(match found {
        None => Some("whole stores"),
        Some(found) if found.facts != wanted.facts => Some("facts"),
        Some(found) if found != *wanted => Some("sync points"),
        Some(_) => (rows.hex() != digest).then_some("rows"),
    })
}

async fn already_there(
    source: &StoreBroker,
    target: &StoreBroker,
    image: &SourceImage,
    watch: &Watch<'_>,
) -> Result<Copied, CopyError> {
    let quick = difference(target, image, &RowDigest::new(), &RowDigest::new().hex()).await?;
    if let Some(what) = quick {
        return Err(CopyError::Occupied(what));
    }
    let (ours, theirs) = tokio::join!(digest_of(source, watch), digest_of(target, &|_| ()));
    let (ours, theirs) = (
        ours.map_err(CopyError::Source)?,
        theirs.map_err(CopyError::Target)?,
    );
    unchanged(source, image).await?;
    match difference(target, image, &theirs, &ours.hex()).await? {
        Some(what) => Err(CopyError::Occupied(what)),
        None => Ok(Copied {
            was_there: true,
            resumed_at: RowId::NONE,
            rows: ours.rows(),
            digest: ours.hex(),
        }),
    }
}

/// Reads the copy back.
async fn verified(
    target: &StoreBroker,
    image: &SourceImage,
    copied: Copied,
    watch: &Watch<'_>,
) -> Result<Copied, CopyError> {
    let digest = digest_of(target, watch).await.map_err(CopyError::Target)?;
    if let Some(what) = difference(target, image, &digest, &copied.digest).await? {
        return Err(CopyError::Spoilt(what));
    }
    Ok(copied)
}
