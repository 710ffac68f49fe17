//! Operations that overlap in time, and the order that must explain them. What a single caller would
//! see, and the search for the order, are in [`overlap`](crate::overlap) and
//! [`linear`](crate::linear).

use super::{container_rows, everything, object_rows, report};
use crate::case::cases;
use crate::check::{Check, Failure};
use crate::fixture::{Fixture, at, create_account, create_container, seconds};
use crate::linear::Happened;
use crate::overlap::{AccountModel, Asked, Clock, ContainerModel, Seen, Written, check_explained};
use crate::rng::Rng;
use broker_api::{
    AccountBroker, AccountBrokerExt, ContainerBroker, ContainerBrokerExt, ContainerEntry,
    ListingQuery, MergeOptions, ObjectEntry, ObjectRecord, StoreKind,
};
use std::collections::BTreeMap;
use std::sync::Arc;

type History = Vec<Happened<Asked, Seen>>;

const TASKS: u64 = 6;
const NAMES: [&str; 4] = ["a", "b", "c/1", "c/2"];

/// A record with a tag of its own; times contend.
fn written(rng: &mut Rng, name: &str, task: u64, step: u64) -> Written {
    Written {
        name: name.to_owned(),
        time: 2 + rng.below(30),
        tag: (task * 1000 + step + 1) as i64,
        deleted: rng.one_in(4),
    }
}

/// One to three records of different names.
fn batch(rng: &mut Rng, task: u64, step: u64) -> Asked {
    let first = rng.below(4) as usize;
    let count = 1 + rng.below(3) as usize;
    let names = (first..first + count).map(|i| NAMES[i % NAMES.len()]);
    Asked::Merge(names.map(|name| written(rng, name, task, step)).collect())
}

fn any(rng: &mut Rng, task: u64, step: u64) -> Asked {
    match rng.below(8) {
        0..=3 => batch(rng, task, step),
        4 => Asked::Info,
        5 => Asked::Rows,
        6 => Asked::List("c/".into()),
        _ => Asked::List(String::new()),
    }
}

/// A write of one name, or a look at it.
fn of_one_row(rng: &mut Rng, task: u64, step: u64) -> Asked {
    let name = *rng.pick(&NAMES);
    match rng.one_in(2) {
        true => Asked::Merge(vec![written(rng, name, task, step)]),
        false => Asked::List(name.to_owned()),
    }
}

async fn ask_container(
    broker: &dyn ContainerBroker,
    asked: &Asked,
    options: MergeOptions,
) -> Check<Seen> {
    Ok(match asked {
        Asked::Merge(records) => {
            let records = records.iter().map(object).collect();
            broker.merge_items(records, options).await?;
            Seen::Done
        }
        Asked::List(prefix) => {
            let mut ask = everything();
            ask.names.prefix.clone_from(prefix);
            let entries = broker.object_page(&ask).await?.into_iter();
            let rows = entries.filter_map(|entry| match entry {
                ObjectEntry::Row(row) => Some((row.name, row.size)),
                ObjectEntry::Subdir(_) => None,
            });
            Seen::Listed(rows.collect())
        }
        Asked::Rows => {
            let rows = object_rows(broker).await?.into_iter();
            let rows = rows.map(|row| (row.row_id.0, row.name, row.size, row.deleted));
            Seen::Rows(rows.collect())
        }
        Asked::Info => {
            let info = broker.get_info().await?;
            Seen::Info(info.object_count(), info.bytes_used(), info.store.max_row.0)
        }
    })
}

/// The tag is the size, of tombstones as well.
fn object(written: &Written) -> ObjectRecord {
    let at = seconds(written.time);
    let record = match written.deleted {
        true => ObjectRecord::delete(&*written.name, at),
        false => ObjectRecord::put(&*written.name, at, 0, "text/plain", "e"),
    };
    ObjectRecord {
        size: written.tag,
        ..record
    }
}

async fn ask_account(broker: &dyn AccountBroker, asked: &Asked) -> Check<Seen> {
    Ok(match asked {
        Asked::Merge(records) => {
            let reports = records.iter().map(|record| {
                let put = record.time.to_string();
                report(&record.name, &put, "0", record.tag, 0)
            });
            broker
                .merge_items(reports.collect(), MergeOptions::default())
                .await?;
            Seen::Done
        }
        Asked::List(prefix) => {
            let mut query = ListingQuery::new(100);
            query.prefix.clone_from(prefix);
            let entries = broker.container_page(&query).await?.into_iter();
            let rows = entries.filter_map(|entry| match entry {
                ContainerEntry::Row {
                    name, object_count, ..
                } => Some((name, object_count)),
                ContainerEntry::Subdir(_) => None,
            });
            Seen::Listed(rows.collect())
        }
        Asked::Rows => {
            let rows = container_rows(broker).await?.into_iter();
            let rows = rows.map(|row| (row.row_id.0, row.name, row.object_count, row.deleted));
            Seen::Rows(rows.collect())
        }
        Asked::Info => {
            let info = broker.get_info().await?;
            Seen::Info(
                info.container_count,
                info.object_count,
                info.store.max_row.0,
            )
        }
    })
}

/// Lets tasks with brokers of their own ask at the same time, and records everything.
async fn overlap<B, F>(
    fixture: &Fixture,
    round: u64,
    steps: u64,
    make: fn(&mut Rng, u64, u64) -> Asked,
    broker: impl Fn() -> B,
    ask: impl Fn(B, Asked) -> F + Clone + Send + 'static,
) -> Check<History>
where
    B: Clone + Send + 'static,
    F: Future<Output = Check<Seen>> + Send + 'static,
{
    let clock = Clock::default();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (broker, ask, clock, mut rng) =
                (broker(), ask.clone(), clock.clone(), fixture.rng());
            for _ in 0..round * TASKS + task {
                rng = Rng::new(rng.next(), "another task");
            }
            tokio::spawn(async move {
                let mut history = History::new();
                for step in 0..steps {
                    let asked = make(&mut rng, task, step);
                    let answer = ask(broker.clone(), asked.clone());
                    history.push(clock.record(asked, answer).await?);
                }
                Ok::<_, Failure>(history)
            })
        })
        .collect();
    let mut history = History::new();
    for task in tasks {
        let part = task.await;
        history.extend(part.map_err(|error| Failure::new(format!("a task ended: {error}")))??);
    }
    Ok(history)
}

async fn overlap_on_container(
    fixture: &Fixture,
    round: u64,
    steps: u64,
    make: fn(&mut Rng, u64, u64) -> Asked,
    options: MergeOptions,
) -> Check<History> {
    let location = fixture.location(StoreKind::Container, round + 1);
    create_container(&*fixture.container_at(&location), &at(1), 0).await?;
    let broker = || fixture.container_at(&location);
    let ask = move |broker: Arc<dyn ContainerBroker>, asked| {
        let options = options.clone();
        async move { ask_container(&*broker, &asked, options).await }
    };
    overlap(fixture, round, steps, make, broker, ask).await
}

/// The part of a history that is about each name.
fn by_name(history: History) -> BTreeMap<String, History> {
    let mut parts: BTreeMap<String, History> = BTreeMap::new();
    for happened in history {
        let name = match &happened.call {
            Asked::Merge(records) => records[0].name.clone(),
            Asked::List(name) => name.clone(),
            Asked::Rows | Asked::Info => unreachable!("not about one name"),
        };
        parts.entry(name).or_default().push(happened);
    }
    parts
}

cases! {
    /// Clients put, delete and read the same objects: nobody sees what is over, or what never was.
    #[case(Concurrent, clauses = ["CONCUR-5", "CONCUR-3"])]
    async fn overlapping_operations_on_a_row_have_an_order(fixture: Fixture) -> Check {
        for round in 0..3 {
            let history = overlap_on_container(&fixture, round, 50, of_one_row, MergeOptions::put()).await?;
            for part in by_name(history).into_values() {
                check_explained::<ContainerModel>(part)?;
            }
        }
        Ok(())
    }

    /// Batches, listings, counts and rows of one container at once: one order explains them all.
    #[case(Concurrent, clauses = ["CONCUR-5", "CONCUR-1"])]
    async fn overlapping_operations_on_a_container_have_an_order(fixture: Fixture) -> Check {
        for round in 0..8 {
            // What may be buffered is numbered later, with others, which no order of calls explains.
            let options = MergeOptions::default();
            let history = overlap_on_container(&fixture, round, 14, any, options).await?;
            check_explained::<ContainerModel>(history)?;
        }
        Ok(())
    }

    /// Reports of one account at once: the last of each container counts, for every reader alike.
    #[case(Concurrent, clauses = ["CONCUR-5", "ACCOUNT-MERGE-3"])]
    async fn overlapping_operations_on_an_account_have_an_order(fixture: Fixture) -> Check {
        let live = |rng: &mut Rng, task, step| match any(rng, task, step) {
            Asked::Merge(mut records) => {
                records.iter_mut().for_each(|record| record.deleted = false);
                Asked::Merge(records)
            }
            asked => asked,
        };
        for round in 0..8 {
            let location = fixture.location(StoreKind::Account, round + 1);
            create_account(&*fixture.account_at(&location), &at(1)).await?;
            let broker = || fixture.account_at(&location);
            let ask = |broker: Arc<dyn AccountBroker>, asked| async move {
                ask_account(&*broker, &asked).await
            };
            let history = overlap(&fixture, round, 14, live, broker, ask).await?;
            check_explained::<AccountModel>(history)?;
        }
        Ok(())
    }
}
