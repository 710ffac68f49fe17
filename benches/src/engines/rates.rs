//! How many rows a second are merged, listed and removed?

use crate::bench::{Bench, Failure, location, merge, put_numbered, rate, show};
use broker_api::listing::ListingQuery;
use broker_api::{ContainerBrokerExt, ListObjects, ObjectRecord, RowFilter, RowId, Timestamp};
use broker_bench::memory;
use std::time::Instant;

pub(crate) async fn run(bench: &mut Bench, rows: usize) -> Result<(), Failure> {
    for (group, total) in [(1, rows / 20), (100, rows / 5), (1000, rows)] {
        let container = bench.create(&format!("c{group}")).await?;
        for (how, seconds) in [("new", 2), ("overwriting", 3)] {
            let records = (0..total).map(|i| put_numbered(i, seconds));
            let what = format!("rows merged, {how}, {group} a commit");
            rate(&what, total, merge(&container, records, group)).await?;
        }
    }
    reads(bench, rows).await?;
    let container = bench.container("c1000")?;
    let at = Timestamp::from_seconds(4);
    let deleted = (0..rows / 2).map(|i| ObjectRecord::delete(put_numbered(i, 4).name, at));
    rate(
        "rows deleted, 1000 a commit",
        rows / 2,
        merge(&container, deleted, 1000),
    )
    .await?;
    rate("containers made", 1000, async {
        for number in 0..1000 {
            bench.create(&format!("small{number}")).await?;
        }
        Ok(())
    })
    .await?;
    drop(container);
    let start = Instant::now();
    bench
        .engine()?
        .remove(&location("c1000").ok_or("no location")?)
        .await?;
    show(
        &format!("container of {rows} rows removed"),
        start.elapsed(),
    );
    bench.reopen()?;
    let start = Instant::now();
    bench.container("c100")?.get_info().await?;
    show("opened again, and one HEAD", start.elapsed());
    println!("  memory at its peak: {} MiB", memory::of_this_process().1);
    Ok(())
}

async fn reads(bench: &Bench, rows: usize) -> Result<(), Failure> {
    let container = bench.container("c1000")?;
    rate("rows listed, pages of 10,000", rows, async {
        let mut query = ListObjects::new(ListingQuery::new(10_000));
        loop {
            let page = container.object_page(&query).await?;
            match page.last() {
                Some(last) => query.names.marker = last.name().to_owned(),
                None => return Ok(()),
            }
        }
    })
    .await?;
    rate("directories listed, one seek each", 1000, async {
        let mut query = ListObjects::new(ListingQuery::new(1000));
        query.names.prefix = "photos/2024/".into();
        query.names.delimiter = "/".into();
        container.object_page(&query).await?;
        Ok(())
    })
    .await?;
    rate("rows by number, pages of 1000", rows, async {
        let mut since = RowId::NONE;
        while let Some(last) = container
            .items_since(since, 1000, RowFilter::All)
            .await?
            .last()
        {
            since = last.row_id;
        }
        Ok(())
    })
    .await
}
