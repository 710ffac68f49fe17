//! Many writers and readers on one store.

use super::{deleted, everything, list, merge, object_rows, put, report};
use crate::case::cases;
use crate::check::{Check, Failure, check, check_eq};
use crate::fixture::{Fixture, at, new_container, seconds};
use crate::model::{comparable, comparable_accounts};
use crate::shown;
use broker_api::{
    AccountBrokerExt, BrokerExt, ContainerBroker, ContainerBrokerExt, Direction, Initialized,
    MergeOptions, MetadataEntry, ObjectRecord, RowId, StoreKind, SyncPoint,
};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

const TASKS: u64 = 32;

/// A metadata key that all tasks write.
const SHARED: &str = "X-Container-Sysmeta-Shared";

/// Starts a task for each number.
fn spawn<F>(tasks: u64, task: impl Fn(u64) -> F) -> Vec<JoinHandle<Check>>
where
    F: Future<Output = Check> + Send + 'static,
{
    (0..tasks)
        .map(|number| tokio::spawn(task(number)))
        .collect()
}

async fn join(tasks: Vec<JoinHandle<Check>>) -> Check {
    for task in tasks {
        task.await
            .map_err(|error| Failure::new(format!("a task ended: {error}")))??;
    }
    Ok(())
}

/// Statistics and hash as they must be, from the rows.
async fn check_totals(broker: &dyn ContainerBroker) -> Check {
    let info = broker.get_info().await?;
    let (found, expected) = comparable(&info, &object_rows(broker).await?);
    check_eq!(found, expected, "statistics and hash");
    Ok(())
}

/// Many tasks put forty objects each, and look at their own on the way; returns what is listed in the end.
async fn puts_of_many_writers(fixture: &Fixture) -> Check<Vec<String>> {
    let broker = fixture.container().await?;
    let tasks = spawn(TASKS, |number| {
        let broker = fixture.container_broker();
        async move {
            for i in 0..40 {
                let name = format!("{number:02}-{i:02}");
                broker.put_object(put(&name, 2)).await?;
                if i % 10 == 0 {
                    let mut ask = everything();
                    ask.names.prefix = format!("{number:02}-");
                    let mine = list(&*broker, &ask).await?.len() as u64;
                    check_eq!(mine, i + 1, "own writes that a writer sees");
                }
            }
            Ok(())
        }
    });
    join(tasks).await?;
    list(&*broker, &everything()).await
}

cases! {
    /// Two servers get the first PUT of a container at once: one of them creates it.
    #[case(Concurrent, clauses = ["INIT-1", "CONCUR-1"])]
    async fn exactly_one_of_many_creators_creates(fixture: Fixture) -> Check {
        for round in 0..8 {
            let location = fixture.location(StoreKind::Container, round + 1);
            let mut tasks = Vec::new();
            for number in 0..TASKS {
                let broker = fixture.container_at(&location);
                tasks.push(tokio::spawn(async move {
                    let new = new_container(&*broker, &at(10 + number), number as i64);
                    (number, broker.initialize(&new).await)
                }));
            }
            let mut winners = Vec::new();
            for task in tasks {
                let (number, answer) = task.await.map_err(|e| Failure::new(e.to_string()))?;
                if answer? == Initialized::Created {
                    winners.push(number);
                }
            }
            check_eq!(winners.len(), 1, "creators {winners:?}");
            let info = fixture.container_at(&location).get_info().await?;
            let found = (
                info.policy_index.0,
                info.store.put_timestamp,
                info.policy_stats.len(),
            );
            check_eq!(found, (winners[0] as i64, at(10 + winners[0]), 1));
        }
        Ok(())
    }

    /// Many servers put objects into one container: every acknowledged one is listed and counted.
    #[case(Concurrent, clauses = ["CONCUR-2", "CONCUR-3", "INFO-1"])]
    async fn no_put_of_many_writers_is_lost(fixture: Fixture) -> Check {
        let names = puts_of_many_writers(&fixture).await?;
        check_eq!(names.len() as u64, TASKS * 40);
        let broker = fixture.container_broker();
        check_totals(&*broker).await?;
        check_eq!(broker.get_info().await?.object_count(), (TASKS * 40) as i64);
        Ok(())
    }

    /// What many servers put at once is found when the engine is opened again.
    #[case(Concurrent, clauses = ["CONCUR-2", "ENGINE-7"])]
    async fn puts_of_many_writers_outlive_reopening(fixture: Fixture) -> Check {
        let names = puts_of_many_writers(&fixture).await?;
        let fixture = fixture.reopen().await?;
        let broker = fixture.container_broker();
        check_eq!(list(&*broker, &everything()).await?, names);
        check_totals(&*broker).await
    }

    /// Container servers report to one account at once: every report counts.
    #[case(Concurrent, clauses = ["CONCUR-2", "CONCUR-3", "HASH-2"])]
    async fn no_report_of_many_writers_is_lost(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let tasks = spawn(TASKS, |number| {
            let broker = fixture.account_broker();
            async move {
                for i in 0..20 {
                    let name = format!("{number:02}-{i:02}");
                    broker
                        .put_container(report(&name, &format!("{}", 2 + i), "0", 2, 5))
                        .await?;
                }
                Ok(())
            }
        });
        join(tasks).await?;
        let info = broker.get_info().await?;
        let rows = super::container_rows(&*broker).await?;
        let (found, expected) = comparable_accounts(&info, &rows);
        check_eq!(found, expected);
        let count = (TASKS * 20) as i64;
        check_eq!(
            (info.container_count, info.object_count, info.bytes_used),
            (count, 2 * count, 5 * count)
        );
        Ok(())
    }

    /// All write the same names with different times: the latest stays, and there is one row each.
    #[case(Concurrent, clauses = ["CONCUR-2", "CONCUR-4", "OBJECT-MERGE-5"])]
    async fn latest_of_many_writers_stays(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let tasks = spawn(TASKS, |number| {
            let broker = fixture.container_broker();
            async move {
                for i in 0..20 {
                    let seconds = 100 + (number * 7 + i * 13) % TASKS;
                    let record = match seconds % 2 {
                        0 => put(&format!("o{i}"), seconds),
                        _ => deleted(&format!("o{i}"), seconds),
                    };
                    broker.put_object(record).await?;
                }
                Ok(())
            }
        });
        join(tasks).await?;
        let rows = object_rows(&*broker).await?;
        check_eq!(rows.len(), 20);
        let latest = at(100 + TASKS - 1);
        for row in &rows {
            check_eq!(
                (row.created_at.as_str(), row.deleted),
                (latest.as_str(), true),
                "{}",
                row.name
            );
        }
        check_totals(&*broker).await
    }

    /// Many replicators deliver the same rows at once: they count once.
    #[case(Concurrent, clauses = ["CONCUR-4", "OBJECT-MERGE-2"])]
    async fn batches_delivered_many_times_count_once(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let tasks = spawn(TASKS, |number| {
            let broker = fixture.container_broker();
            let mut rng = crate::rng::Rng::new(number, "delivery");
            async move {
                let mut names: Vec<_> = (0..60).collect();
                rng.shuffle(&mut names);
                for chunk in names.chunks(9) {
                    let batch = chunk.iter().map(|i| ObjectRecord {
                        row_id: Some(RowId(*i)),
                        ..put(&format!("o{i:02}"), 2)
                    });
                    let source = MergeOptions::from_source(format!("source-{number}"));
                    broker.merge_items(batch.collect(), source).await?;
                }
                Ok(())
            }
        });
        join(tasks).await?;
        let info = broker.get_info().await?;
        check_eq!(
            (info.object_count(), info.store.max_row),
            (60, RowId(60)),
            "objects and numbers"
        );
        let points = broker.replicate().sync_points(Direction::Incoming).await?;
        check_eq!(points.len() as u64, TASKS);
        check_totals(&*broker).await
    }

    /// A reader never sees half a batch, nor counts that do not fit it.
    #[case(Concurrent, clauses = ["CONCUR-1", "LIST-1"])]
    async fn readers_see_whole_batches(fixture: Fixture) -> Check {
        const BATCH: u64 = 8;
        let broker = fixture.container().await?;
        let done = Arc::new(AtomicBool::new(false));
        let readers = spawn(8, |_| {
            let (broker, done) = (fixture.container_broker(), Arc::clone(&done));
            async move {
                while !done.load(Ordering::Relaxed) {
                    let count = broker.get_info().await?.object_count() as u64;
                    check!(
                        count.is_multiple_of(BATCH),
                        "{count} objects are no whole number of batches"
                    );
                    let names = list(&*broker, &everything()).await?.len() as u64;
                    check!(
                        names.is_multiple_of(BATCH),
                        "{names} names are no whole number of batches"
                    );
                    check!(
                        names >= count,
                        "{names} names after {count} objects were counted"
                    );
                    let rows = object_rows(&*broker).await?.len() as u64;
                    check!(
                        rows >= names && rows.is_multiple_of(BATCH),
                        "{rows} rows after {names} names"
                    );
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
        });
        let writers = spawn(8, |number| {
            let broker = fixture.container_broker();
            async move {
                for i in 0..15 {
                    let names = (0..BATCH).map(|k| format!("{k}-{number}-{i}"));
                    merge(&*broker, names.map(|name| put(&name, 2)).collect()).await?;
                }
                Ok(())
            }
        });
        let written = join(writers).await;
        done.store(true, Ordering::Relaxed);
        join(readers).await?;
        written?;
        check_eq!(
            broker.get_info().await?.object_count() as u64,
            8 * 15 * BATCH
        );
        check_totals(&*broker).await
    }

    /// Facts come from one moment: counts, hash and highest number fit each other.
    #[case(Concurrent, clauses = ["CONCUR-1", "INFO-2"])]
    async fn facts_are_of_one_moment(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let done = Arc::new(AtomicBool::new(false));
        let readers = spawn(4, |_| {
            let (broker, done) = (fixture.container_broker(), Arc::clone(&done));
            async move {
                while !done.load(Ordering::Relaxed) {
                    let info = broker.get_info().await?;
                    let (count, bytes) = (info.object_count(), info.bytes_used());
                    check_eq!(bytes, 3 * count, "bytes of {count} objects");
                    let numbers = shown::max_row(&info.store).unwrap_or(RowId(count)).0;
                    check_eq!(numbers.max(0), count, "numbers of {count} objects");
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
        });
        let writers = spawn(8, |number| {
            let broker = fixture.container_broker();
            async move {
                for i in 0..30 {
                    let record = ObjectRecord {
                        size: 3,
                        ..put(&format!("{number}-{i}"), 2)
                    };
                    broker.put_object(record).await?;
                }
                Ok(())
            }
        });
        let written = join(writers).await;
        done.store(true, Ordering::Relaxed);
        join(readers).await?;
        written?;
        check_eq!(broker.get_info().await?.object_count(), 240);
        Ok(())
    }

    /// Metadata is read, changed and written back: no update may fall between.
    #[case(Concurrent, clauses = ["CONCUR-2", "META-1"])]
    async fn no_metadata_update_is_lost(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let tasks = spawn(TASKS, |number| {
            let broker = fixture.container_broker();
            async move {
                for i in 0..5u64 {
                    let own = format!("X-Container-Sysmeta-Own-{number}-{i}");
                    let own = MetadataEntry::new(own, "v", at(1).as_str());
                    let (value, time) = (number.to_string(), at(10 + number));
                    let shared = MetadataEntry::new(SHARED, value, time.as_str());
                    broker.update_metadata(&[own, shared], None).await?;
                }
                Ok(())
            }
        });
        join(tasks).await?;
        let metadata = broker.get_info().await?.store.metadata()?;
        check_eq!(metadata.entries().len() as u64, 5 * TASKS + 1);
        let last = (TASKS - 1).to_string();
        check_eq!(
            metadata.get(SHARED).and_then(MetadataEntry::text),
            Some(last.as_str())
        );
        Ok(())
    }

    /// Timestamps, sync points and puts at once: each ends where it would have ended alone.
    #[case(Concurrent, clauses = ["CONCUR-2", "TIME-1", "SYNC-1"])]
    async fn different_operations_do_not_disturb_each_other(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let tasks = spawn(TASKS, |number| {
            let broker = fixture.container_broker();
            async move {
                for i in 0..10 {
                    let n = (number * 11 + i * 17) % 100;
                    match number % 4 {
                        0 => broker.update_put_timestamp(seconds(n + 2)).await?,
                        1 => {
                            let point = [SyncPoint::new("R", RowId(n as i64))];
                            broker
                                .replicate()
                                .merge_sync_points(Direction::Outgoing, &point)
                                .await?;
                        }
                        2 => broker.put_object(put(&format!("{number}-{i}"), 2)).await?,
                        _ => {
                            broker
                                .delete_object(&format!("gone-{}", n % 7), seconds(n))
                                .await?
                        }
                    }
                }
                Ok(())
            }
        });
        join(tasks).await?;
        let largest = |kind: u64| {
            let numbers = (0..TASKS).filter(move |number| number % 4 == kind);
            numbers
                .flat_map(|number| (0..10).map(move |i| (number * 11 + i * 17) % 100))
                .max()
        };
        let info = broker.get_info().await?;
        check_eq!(
            Some(&info.store.put_timestamp),
            largest(0).map(|n| at(n + 2)).as_ref()
        );
        let point = broker.sync_point("R", Direction::Outgoing).await?;
        check_eq!(Some(point.0 as u64), largest(1));
        check_eq!(info.object_count(), 80);
        check_totals(&*broker).await
    }

    /// Callers give up waiting; the store must come out of it whole.
    #[case(Concurrent, clauses = ["CONCUR-1", "CONCUR-4"])]
    async fn abandoned_writes_leave_whole_batches(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let mut rng = fixture.rng();
        for round in 0..60 {
            let other = fixture.container_broker();
            let batch: Vec<_> = (0..4).map(|k| put(&format!("{k}-{round}"), 2)).collect();
            let again = batch.clone();
            let task = tokio::spawn(async move { merge(&*other, batch).await });
            tokio::time::sleep(std::time::Duration::from_micros(rng.below(400))).await;
            task.abort();
            let count = broker.get_info().await?.object_count();
            check!(
                count % 4 == 0,
                "{count} objects are no whole number of batches"
            );
            // Repeating a merge whose outcome is unknown is always safe.
            merge(&*broker, again).await?;
        }
        check_eq!(broker.get_info().await?.object_count(), 240);
        check_totals(&*broker).await
    }

    /// Many stores at once, more than stay open: none gets the rows of another.
    #[case(Concurrent, clauses = ["ENGINE-3", "CONCUR-2"])]
    async fn many_stores_at_once_stay_apart(fixture: Fixture) -> Check {
        let tasks = spawn(TASKS, |number| {
            let location = fixture.location(StoreKind::Container, number + 1);
            let (broker, again) = (
                fixture.container_at(&location),
                fixture.container_at(&location),
            );
            async move {
                crate::fixture::create_container(&*broker, &at(1), 0).await?;
                for i in 0..5 {
                    broker.put_object(put(&format!("{number}-{i}"), 2)).await?;
                }
                let expected: Vec<_> = (0..5).map(|i| format!("{number}-{i}")).collect();
                check_eq!(list(&*again, &everything()).await?, expected);
                Ok(())
            }
        });
        join(tasks).await
    }
}
