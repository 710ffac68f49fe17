//! What does a device of many small containers cost: to fill, to open, in memory, and to look one up?

use crate::bench::{Bench, Failure, location, median, merge, put, rate, show};
use broker_api::{ContainerBroker, ContainerBrokerExt, StoreKind};
use broker_bench::memory;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROWS: usize = 10;
const LOOKS: usize = 2000;

pub(crate) async fn run(bench: &mut Bench, stores: usize) -> Result<(), Failure> {
    rate(
        &format!("containers of {ROWS} objects made"),
        stores,
        async {
            for number in 0..stores {
                let container = bench.create(&name(number)).await?;
                merge(&container, (0..ROWS).map(|i| put(format!("o{i}"), 2)), ROWS).await?;
            }
            Ok(())
        },
    )
    .await?;
    println!(
        "  memory after filling: {} MiB, peak {} MiB",
        memory::of_this_process().0,
        memory::of_this_process().1
    );
    bench.reopen()?;
    println!(
        "  memory after closing: {} MiB",
        memory::of_this_process().0
    );
    let start = Instant::now();
    bench.container(&name(0))?.get_info().await?;
    show("start-up: open, and the first HEAD", start.elapsed());
    println!(
        "  memory after start-up: {} MiB",
        memory::of_this_process().0
    );
    // In an order in which no two neighbours follow each other, and few are asked for twice.
    let spread = |i: usize| i.wrapping_mul(7_919) % stores;
    let mut heads = Vec::new();
    for i in 0..LOOKS.min(stores) {
        heads.push(head(&bench.container(&name(spread(i)))?).await?);
    }
    let slowest = heads.iter().max().copied().unwrap_or_default();
    show(
        "HEAD of a container not looked at before, median",
        median(heads),
    );
    show("the slowest of them", slowest);
    let again = bench.container(&name(spread(1)))?;
    let mut heads = Vec::new();
    for _ in 0..LOOKS {
        heads.push(head(&again).await?);
    }
    show("HEAD of one again, median", median(heads));
    let nobody = location("nobody").ok_or("no location")?;
    let start = Instant::now();
    let absent = bench.engine()?.container(&nobody, &Default::default());
    let found = absent.info().await?;
    show("HEAD of an absent one", start.elapsed());
    let start = Instant::now();
    let mut after = None;
    let mut count = 0;
    loop {
        let page = bench
            .engine()?
            .stores("sda1", StoreKind::Container, after.as_ref(), 1000)
            .await?;
        count += page.len();
        match page.last() {
            Some(last) => after = Some(last.clone()),
            None => break,
        }
    }
    show(
        &format!("all {count} found by pages of 1000"),
        start.elapsed(),
    );
    println!("  memory at the end: {} MiB", memory::of_this_process().0);
    match found.is_none() && count == stores {
        true => Ok(()),
        false => Err("other containers than were made".into()),
    }
}

fn name(number: usize) -> String {
    format!("small-{number:06}")
}

async fn head(container: &Arc<dyn ContainerBroker>) -> Result<Duration, Failure> {
    let start = Instant::now();
    container.get_info().await?;
    Ok(start.elapsed())
}
