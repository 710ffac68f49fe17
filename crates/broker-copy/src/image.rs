//! The image of a source: what it says about itself, completed where an old version said less.

use crate::broker::StoreBroker;
use crate::copy::{PAGE, Progress, Step, Watch};
use crate::error::CopyError;
use broker_api::{Facts, RowId, StoreImage, Tally};

/// A source's image as it is, and as a copy of it must show.
pub(crate) struct SourceImage {
    pub(crate) found: StoreImage,
    pub(crate) wanted: StoreImage,
}

/// Reads the image of a source.
pub(crate) async fn read(
    source: &StoreBroker,
    watch: &Watch<'_>,
) -> Result<SourceImage, CopyError> {
    let found = source.image().await.map_err(CopyError::Source)?;
    let found = found.ok_or(CopyError::SourceAbsent)?;
    let mut wanted = found.clone();
    if lacks_statistics(&found.facts) {
        wanted.facts = completed(source, &found.facts, watch).await?;
    }
    Ok(SourceImage { found, wanted })
}

/// Whether an account was written before Swift counted its containers by policy.
fn lacks_statistics(facts: &Facts) -> bool {
    let Facts::Account(info) = facts else {
        return false;
    };
    let uncounted = info
        .policy_stats
        .iter()
        .any(|stat| stat.container_count.is_none());
    uncounted || (info.policy_stats.is_empty() && info.store.max_row > RowId::NONE)
}

/// The facts with the statistics that Swift would give the account: those of its rows.
async fn completed(
    source: &StoreBroker,
    facts: &Facts,
    watch: &Watch<'_>,
) -> Result<Facts, CopyError> {
    let (mut tally, mut at) = (Tally::of(facts), RowId::NONE);
    loop {
        let rows = source
            .rows_since(at, PAGE)
            .await
            .map_err(CopyError::Source)?;
        let Some(last) = rows.last() else {
            break;
        };
        at = last;
        tally.all(&rows);
        watch(Progress {
            step: Step::Counting,
            rows: tally.rows(),
            at,
        });
    }
    let mut completed = facts.clone();
    if let (Facts::Account(info), Facts::Account(counted)) = (&mut completed, tally.facts()) {
        info.policy_stats.clone_from(&counted.policy_stats);
    }
    tally.require(&completed).map_err(CopyError::Unproven)?;
    Ok(completed)
}
