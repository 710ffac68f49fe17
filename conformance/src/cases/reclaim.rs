//! Removing old tombstones, metadata and sync points.

use super::{
    container_rows, deleted, list, merge, merge_reports, object, object_rows, put, report,
};
use crate::case::cases;
use crate::check::{Check, check, check_eq};
use crate::fixture::{at, time};
use broker_api::{
    AccountBrokerExt, Broker, ContainerBroker, ContainerBrokerExt, Direction, MetadataEntry,
    ObjectRecord, PolicyIndex, ReclaimAge, Reclaimed, RowId, SyncPoint, Timestamp,
};
use std::sync::Arc;

fn age(tombstones: &str) -> ReclaimAge {
    ReclaimAge {
        tombstones: time(tombstones),
        sync_points: Timestamp::ZERO,
    }
}

async fn reclaim<B: Broker + ?Sized>(broker: &B, tombstones: &str) -> Check<Reclaimed> {
    Ok(broker.replicate().reclaim(age(tombstones)).await?)
}

fn tombstone(name: &str, created_at: &str) -> ObjectRecord {
    ObjectRecord {
        deleted: true,
        ..object(name, created_at)
    }
}

async fn names(broker: &dyn ContainerBroker) -> Check<String> {
    let rows = object_rows(broker).await?;
    Ok(rows
        .iter()
        .map(|row| row.name.as_str())
        .collect::<Vec<_>>()
        .join(" "))
}

cases! {
    /// A tombstone reclaimed too early lets a slow replica bring the object back.
    #[case(Reclaim, clauses = ["RECLAIM-1", "RECLAIM-4"])]
    async fn only_strictly_older_tombstones_go(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(
            &*broker,
            vec![
                tombstone("a", "1700000000.00000"),
                tombstone("b", "1700000000.50000"),
                tombstone("e", "1700000000.00000+a+0"),
                tombstone("f", "1700000000.50000_1"),
                put("d", 1),
            ],
        )
        .await?;
        let table = [
            ("1700000000", "a b e f d", 0),
            ("1700000000.5", "b f d", 2),
            ("1700000000.50001", "d", 2),
            ("1800000000", "d", 0),
        ];
        for (age, left, removed) in table {
            let tombstones = left.split(' ').count() as u64 - 1;
            check_eq!(
                reclaim(&*broker, age).await?,
                Reclaimed {
                    removed,
                    tombstones
                },
                "{age}"
            );
            check_eq!(names(&*broker).await?, left, "{age}");
        }
        Ok(())
    }

    /// An age with an offset lies after the moment that it shares.
    #[case(Reclaim, clauses = ["RECLAIM-1"])]
    async fn offset_of_the_age_counts(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![tombstone("a", "0000000005.00000")]).await?;
        reclaim(&*broker, "5").await?;
        check_eq!(names(&*broker).await?, "a");
        reclaim(&*broker, "0000000005.00000_000000000000000a").await?;
        check_eq!(names(&*broker).await?, "");
        Ok(())
    }

    /// The data time decides, not the later content-type time of a tombstone.
    #[case(Reclaim, clauses = ["RECLAIM-1"])]
    async fn data_time_of_a_tombstone_decides(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(
            &*broker,
            vec![tombstone("a", "0000000005.00000+186a0+186a0")],
        )
        .await?;
        reclaim(&*broker, "5").await?;
        check_eq!(names(&*broker).await?, "a");
        reclaim(&*broker, "5.00001").await?;
        check_eq!(names(&*broker).await?, "");
        Ok(())
    }

    /// Reclaimed rows leave no trace in hash and counts; live rows keep theirs and their numbers.
    #[case(Reclaim, clauses = ["RECLAIM-1", "HASH-1", "INFO-2", "INFO-3"])]
    async fn reclaiming_leaves_live_rows_hash_and_counts(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(
            &*broker,
            vec![put("live", 1), put("other", 1).in_policy(PolicyIndex(1))],
        )
        .await?;
        let before = (object_rows(&*broker).await?, broker.get_info().await?);
        let gone = ObjectRecord {
            size: 7,
            ..deleted("gone", 2)
        };
        merge(
            &*broker,
            vec![gone, deleted("live2", 2).in_policy(PolicyIndex(1))],
        )
        .await?;
        check_eq!(
            reclaim(&*broker, "100").await?,
            Reclaimed {
                removed: 2,
                tombstones: 0
            }
        );
        let mut expected = before.1;
        expected.store.max_row = RowId(4);
        check_eq!(
            (object_rows(&*broker).await?, broker.get_info().await?),
            (before.0, expected)
        );
        Ok(())
    }

    /// Of a container row in an account, the delete timestamp decides, even before a newer put.
    #[case(Reclaim, clauses = ["RECLAIM-1", "HASH-2"])]
    async fn container_tombstones_go_by_their_delete_timestamp(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let flagged = |name: &str, put: &str, delete: &str| broker_api::ContainerRecord {
            deleted: true,
            ..report(name, put, delete, 0, 0)
        };
        merge_reports(
            &*broker,
            vec![report("live", "0000000001.00000", "0", 1, 1)],
        )
        .await?;
        let before = broker.get_info().await?;
        merge_reports(
            &*broker,
            vec![
                flagged("never", "0000000001.00000", "0"),
                flagged("old", "0000000009.00000", "0000000004.00000"),
                flagged("equal", "0000000001.00000", "0000000005.00000"),
                flagged("new", "0000000001.00000", "0000000006.00000"),
            ],
        )
        .await?;
        check_eq!(
            reclaim(&*broker, "5").await?,
            Reclaimed {
                removed: 2,
                tombstones: 2
            }
        );
        let names: Vec<_> = container_rows(&*broker)
            .await?
            .into_iter()
            .map(|row| row.name)
            .collect();
        check_eq!(names, ["live", "equal", "new"]);
        check_eq!(
            reclaim(&*broker, "7").await?,
            Reclaimed {
                removed: 2,
                tombstones: 0
            }
        );
        let info = broker.get_info().await?;
        check_eq!(
            (info.store.hash, info.container_count),
            (before.store.hash, 1)
        );
        Ok(())
    }

    /// Sync points of stores that are gone would otherwise stay for ever.
    #[case(Reclaim, clauses = ["RECLAIM-2"])]
    async fn old_sync_points_go(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        for direction in [Direction::Incoming, Direction::Outgoing] {
            broker
                .replicate()
                .merge_sync_points(direction, &[SyncPoint::new("R", RowId(5))])
                .await?;
        }
        // The points were merged just now.
        for (sync_points, left) in [(at(1), 1), (at(9_999_999_999), 0)] {
            let age = ReclaimAge {
                tombstones: Timestamp::ZERO,
                sync_points: sync_points.value(),
            };
            broker.replicate().reclaim(age).await?;
            for direction in [Direction::Incoming, Direction::Outgoing] {
                let points = broker.replicate().sync_points(direction).await?;
                check_eq!(
                    points.len(),
                    left,
                    "{direction:?} points older than {sync_points}"
                );
            }
        }
        Ok(())
    }

    /// Metadata that was removed long ago goes; values and newer removals stay.
    #[case(Reclaim, clauses = ["RECLAIM-3"])]
    async fn old_removed_metadata_goes(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let removed = |key: &str, at: &str| MetadataEntry::new(key, "", at);
        let entries = [
            removed("a", "1700000000.00000"),
            removed("b", "1700000000.00001"),
            MetadataEntry::new("c", "x", "1600000000.00000"),
            removed("d", "1700000000.00000_0000000000000001"),
        ];
        broker.update_metadata(&entries, None).await?;
        for (age, left) in [
            ("1700000000", "a b c d"),
            ("1700000000.00001", "b c"),
            ("1800000000", "c"),
        ] {
            reclaim(&*broker, age).await?;
            let metadata = broker.get_info().await?.store.metadata()?;
            let keys: Vec<_> = metadata.entries().iter().map(|e| e.key.as_str()).collect();
            check_eq!(keys.join(" "), left, "older than {age}");
        }
        Ok(())
    }

    /// A reclaim that finds nothing old leaves every bit as it was.
    #[case(Reclaim, clauses = ["RECLAIM-1", "RECLAIM-3", "RECLAIM-4"])]
    async fn nothing_old_changes_nothing(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        broker
            .update_metadata(&[MetadataEntry::new("a", "", at(9).as_str())], None)
            .await?;
        merge(&*broker, vec![put("o", 1), deleted("t", 9)]).await?;
        let before = (broker.get_info().await?, object_rows(&*broker).await?);
        check_eq!(
            reclaim(&*broker, "9").await?,
            Reclaimed {
                removed: 0,
                tombstones: 1
            }
        );
        check_eq!(
            (broker.get_info().await?, object_rows(&*broker).await?),
            before
        );
        Ok(())
    }

    /// More tombstones than one transaction takes: all pages are reclaimed and counted.
    #[case(Reclaim, clauses = ["RECLAIM-1", "RECLAIM-4"])]
    async fn many_tombstones_are_reclaimed_page_by_page(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let record = |i: u64| match i % 3 {
            0 => put(&format!("o{i:05}"), 5),
            1 => deleted(&format!("o{i:05}"), 5),
            _ => deleted(&format!("o{i:05}"), 50),
        };
        for batch in 0..6u64 {
            merge(
                &*broker,
                (batch * 6000..(batch + 1) * 6000).map(record).collect(),
            )
            .await?;
        }
        let done = reclaim(&*broker, "20").await?;
        check_eq!(
            done,
            Reclaimed {
                removed: 12_000,
                tombstones: 12_000
            }
        );
        let info = broker.get_info().await?;
        check_eq!(
            (info.object_count(), info.store.max_row),
            (12_000, RowId(36_000))
        );
        let rows = object_rows(&*broker).await?;
        let right = rows
            .iter()
            .all(|row| row.deleted == (row.created_at.as_str() > at(20).as_str()));
        check!(
            rows.len() == 24_000 && right,
            "{} rows are left",
            rows.len()
        );
        check_eq!(
            reclaim(&*broker, "51").await?,
            Reclaimed {
                removed: 12_000,
                tombstones: 0
            }
        );
        Ok(())
    }

    /// Tombstones of one name in several policies do not stop the pages.
    #[case(Reclaim, clauses = ["RECLAIM-1", "RECLAIM-4"])]
    async fn tombstones_of_every_policy_go(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let records = (0..40).flat_map(|i| {
            let name = format!("{}", i / 4);
            [deleted(&name, 2).in_policy(PolicyIndex(i % 4))]
        });
        merge(&*broker, records.collect()).await?;
        check_eq!(
            reclaim(&*broker, "3").await?,
            Reclaimed {
                removed: 40,
                tombstones: 0
            }
        );
        check_eq!(names(&*broker).await?, "");
        Ok(())
    }

    /// Reclaiming runs beside the servers: what is written meanwhile stays written.
    #[case(Concurrent, clauses = ["RECLAIM-4", "CONCUR-2"])]
    async fn writes_during_a_reclaim_are_kept(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(
            &*broker,
            (0..15_000)
                .map(|i| deleted(&format!("t{i:05}"), 2))
                .collect(),
        )
        .await?;
        let writer: Arc<dyn ContainerBroker> = fixture.container_broker();
        let writing = tokio::spawn(async move {
            for i in 0..200 {
                writer
                    .put_object(put(&format!("t{:05}", i * 70), 5))
                    .await?;
                writer
                    .delete_object(&format!("new{i}"), crate::fixture::seconds(9))
                    .await?;
            }
            Ok::<_, broker_api::Error>(())
        });
        reclaim(&*broker, "7").await?;
        writing
            .await
            .map_err(|e| crate::check::Failure::new(e.to_string()))??;
        reclaim(&*broker, "7").await?;
        let shown = list(&*broker, &super::everything()).await?;
        check_eq!(shown.len(), 200, "objects written during the reclaim");
        let rows = object_rows(&*broker).await?;
        check_eq!(
            rows.iter().filter(|row| row.deleted).count(),
            200,
            "new tombstones"
        );
        check_eq!(broker.get_info().await?.object_count(), 200);
        Ok(())
    }
}
