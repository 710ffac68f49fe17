//! How long does a page at the head of a container take after everything before it was deleted, beside a
//! page of a container that never held more?

use crate::bench::{Bench, Failure, median, merge, put, show};
use broker_api::listing::ListingQuery;
use broker_api::{ContainerBroker, ContainerBrokerExt, ListObjects, ObjectRecord, Timestamp};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PAGE: usize = 1000;
const TURNS: usize = 200;

pub(crate) async fn run(bench: &mut Bench, deletions: usize) -> Result<(), Failure> {
    let (fresh, head) = (bench.create("fresh").await?, bench.create("head").await?);
    for container in [&fresh, &head] {
        merge(
            container,
            (0..2 * PAGE).map(|i| put(format!("z/{i:08}"), 2)),
            1000,
        )
        .await?;
    }
    let gone = |i: usize| format!("img_{i:08}.jpg");
    merge(&head, (0..deletions).map(|i| put(gone(i), 2)), 1000).await?;
    let before = median(pages(&head, TURNS).await?);
    show(
        &format!("page of {PAGE}, {deletions} rows, none deleted"),
        before,
    );
    let at = Timestamp::from_seconds(3);
    merge(
        &head,
        (0..deletions).map(|i| ObjectRecord::delete(gone(i), at)),
        1000,
    )
    .await?;
    show("first page after their deletion", page(&head).await?);
    compare("then", &fresh, &head).await?;
    // The deletion of some more, with a listing after each thousand: the head moves on.
    let names = |from: usize| (from..from + PAGE).map(|i| format!("a/{i:08}"));
    let mut moving = Vec::new();
    for round in 0..50 {
        merge(&head, names(round * PAGE).map(|name| put(name, 4)), 1000).await?;
        let at = Timestamp::from_seconds(5);
        merge(
            &head,
            names(round * PAGE).map(|name| ObjectRecord::delete(name, at)),
            1000,
        )
        .await?;
        moving.push(page(&head).await?);
    }
    show("page after each of 50,000 more, median", median(moving));
    drop((fresh, head));
    bench.reopen()?;
    let (fresh, head) = (bench.container("fresh")?, bench.container("head")?);
    page(&fresh).await?;
    show("first page after a restart", page(&head).await?);
    compare("then", &fresh, &head).await
}

/// Pages of both containers in turns.
async fn compare(
    when: &str,
    fresh: &Arc<dyn ContainerBroker>,
    head: &Arc<dyn ContainerBroker>,
) -> Result<(), Failure> {
    let (mut of_fresh, mut of_head) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        of_fresh.push(page(fresh).await?);
        of_head.push(page(head).await?);
    }
    let (of_fresh, of_head) = (median(of_fresh), median(of_head));
    show(
        &format!("{when}: page of the fresh container, median"),
        of_fresh,
    );
    show(
        &format!("{when}: page behind the deletions, median"),
        of_head,
    );
    let ratio = of_head.as_secs_f64() / of_fresh.as_secs_f64();
    println!("  {when}: {:<52} {ratio:>10.2} times", "ratio");
    Ok(())
}

async fn pages(
    container: &Arc<dyn ContainerBroker>,
    count: usize,
) -> Result<Vec<Duration>, Failure> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        times.push(page(container).await?);
    }
    Ok(times)
}

async fn page(container: &Arc<dyn ContainerBroker>) -> Result<Duration, Failure> {
    let query = ListObjects::new(ListingQuery::new(PAGE));
    let start = Instant::now();
    let shown = container.object_page(&query).await?;
    let took = start.elapsed();
    match shown.len() == PAGE {
        true => Ok(took),
        false => Err(format!("a page of {} rows", shown.len()).into()),
    }
}
