//! Sync points, identity, and two replicas that exchange rows.

use super::{MANY, deleted, merge, merge_reports, object_rows, put, report};
use crate::case::cases;
use crate::check::{Check, Failure, check, check_eq};
use crate::fixture::{Fixture, at, create_account, create_container};
use Direction::{Incoming, Outgoing};
use broker_api::{
    AccountBroker, AccountBrokerExt, Broker, BrokerExt, ContainerBroker, ContainerBrokerExt,
    ContainerMarks, Direction, MergeOptions, ObjectRow, PolicyIndex, RemoveObjects, Reported,
    RowFilter, RowId, StoreKind, SyncPoint,
};
use std::time::{SystemTime, UNIX_EPOCH};

async fn sync<B: Broker + ?Sized>(
    broker: &B,
    direction: Direction,
    points: &[(&str, i64)],
) -> Check {
    let points: Vec<_> = points
        .iter()
        .map(|(id, point)| SyncPoint::new(*id, RowId(*point)))
        .collect();
    Ok(broker
        .replicate()
        .merge_sync_points(direction, &points)
        .await?)
}

async fn points<B: Broker + ?Sized>(broker: &B, direction: Direction) -> Check<Vec<(String, i64)>> {
    let points = broker.replicate().sync_points(direction).await?.into_iter();
    Ok(points
        .map(|point| (point.remote_id, point.sync_point.0))
        .collect())
}

fn owned(points: &[(&str, i64)]) -> Vec<(String, i64)> {
    points
        .iter()
        .map(|(id, point)| ((*id).to_owned(), *point))
        .collect()
}

fn now_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs() as i64)
}

/// Sends everything that `to` has not seen from `from`, in batches, as the replicator does.
async fn push(from: &dyn ContainerBroker, to: &dyn ContainerBroker, batch: usize) -> Check {
    let id = from.get_info().await?.store.id;
    loop {
        let start = to.sync_point(&id, Incoming).await?;
        let rows = from.items_since(start, batch, RowFilter::All).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let records = rows
            .iter()
            .map(ObjectRow::to_record)
            .collect::<Result<_, _>>()?;
        to.merge_items(records, MergeOptions::from_source(id.clone()))
            .await?;
    }
}

async fn push_reports(from: &dyn AccountBroker, to: &dyn AccountBroker) -> Check {
    let id = from.get_info().await?.store.id;
    let start = to.sync_point(&id, Incoming).await?;
    let rows = from.items_since(start, MANY).await?;
    let records = rows.iter().map(|row| row.to_record()).collect();
    Ok(to
        .merge_items(records, MergeOptions::from_source(id))
        .await?)
}

/// Rows without numbers, by name and policy.
async fn contents(broker: &dyn ContainerBroker) -> Check<Vec<ObjectRow>> {
    let mut rows = object_rows(broker).await?;
    rows.iter_mut().for_each(|row| row.row_id = RowId::NONE);
    rows.sort_by(|a, b| (&a.name, a.policy_index).cmp(&(&b.name, b.policy_index)));
    Ok(rows)
}

async fn replicas(fixture: &Fixture) -> Check<Vec<std::sync::Arc<dyn ContainerBroker>>> {
    let mut replicas = Vec::new();
    for number in 1..4 {
        let broker = fixture.container_at(&fixture.location(StoreKind::Container, number));
        create_container(&*broker, &at(1), 0).await?;
        broker
            .replicate()
            .new_id("none", &format!("replica-{number}"))
            .await?;
        replicas.push(broker);
    }
    Ok(replicas)
}

cases! {
    /// A sync point that goes back sends rows again for nothing; one that jumps loses them.
    #[case(Replication, clauses = ["SYNC-1"])]
    async fn sync_points_only_rise(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        check_eq!(
            broker.sync_point("R", Incoming).await?,
            RowId::NONE,
            "an unknown id"
        );
        check_eq!(points(&*broker, Incoming).await?, vec![]);
        for (given, stored) in [(5, 5), (3, 5), (5, 5), (-1, 5), (9, 9)] {
            sync(&*broker, Incoming, &[("R", given)]).await?;
            check_eq!(
                broker.sync_point("R", Incoming).await?,
                RowId(stored),
                "after {given}"
            );
        }
        Ok(())
    }

    /// Minus one for an unknown remote is remembered: it was heard of.
    #[case(Replication, clauses = ["SYNC-1"])]
    async fn minus_one_is_stored_for_an_unknown_id(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        sync(&*broker, Outgoing, &[("R", -1)]).await?;
        check_eq!(points(&*broker, Outgoing).await?, owned(&[("R", -1)]));
        Ok(())
    }

    /// What was received and what was sent are different numbers of different stores.
    #[case(Replication, clauses = ["SYNC-1"])]
    async fn directions_never_mix(fixture: Fixture) -> Check {
        let container = fixture.container().await?;
        let account = fixture.account().await?;
        sync(&*container, Incoming, &[("R", 5)]).await?;
        sync(&*container, Outgoing, &[("R", 3), ("S", 7)]).await?;
        check_eq!(points(&*container, Incoming).await?, owned(&[("R", 5)]));
        check_eq!(
            points(&*container, Outgoing).await?,
            owned(&[("R", 3), ("S", 7)])
        );
        sync(&*account, Outgoing, &[("R", 3)]).await?;
        check_eq!(points(&*account, Incoming).await?, vec![]);
        Ok(())
    }

    /// Points keep the order in which they were first heard of.
    #[case(Replication, clauses = ["SYNC-1"])]
    async fn sync_points_keep_their_order(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        sync(&*broker, Incoming, &[("z", 1), ("a", 2)]).await?;
        sync(&*broker, Incoming, &[("m", 3), ("a", 9), ("", 4)]).await?;
        sync(&*broker, Incoming, &[("z", 5), ("z", 2)]).await?;
        let expected = owned(&[("z", 5), ("a", 9), ("m", 3), ("", 4)]);
        check_eq!(points(&*broker, Incoming).await?, expected);
        Ok(())
    }

    /// Old points are reclaimed by their time: every merge must refresh it.
    #[case(Replication, clauses = ["SYNC-2"])]
    async fn merging_a_point_refreshes_its_time(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let updated_at = async || -> Check<i64> {
            let points = broker.replicate().sync_points(Incoming).await?;
            let text = points
                .first()
                .map(|point| point.updated_at.clone())
                .unwrap_or_default();
            text.parse()
                .map_err(|_| Failure::new(format!("not whole seconds: {text:?}")))
        };
        let before = now_seconds();
        sync(&*broker, Incoming, &[("R", 5)]).await?;
        let first = updated_at().await?;
        check!(
            (before - 1..=now_seconds() + 1).contains(&first),
            "{first} is not now"
        );
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        sync(&*broker, Incoming, &[("R", 2)]).await?;
        let second = updated_at().await?;
        check!(
            second > first,
            "a lower point was merged at {second}, first at {first}"
        );
        Ok(())
    }

    /// A copied store takes a new id and remembers how far its source had got.
    #[case(Replication, clauses = ["ID-1"])]
    async fn new_id_sets_the_incoming_point_to_the_highest_row(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![put("a", 1), put("b", 1)]).await?;
        merge(&*broker, vec![put("b", 7)]).await?;
        broker
            .remove_objects(&RemoveObjects {
                lower: "a".into(),
                ..Default::default()
            })
            .await?;
        sync(&*broker, Incoming, &[("R", 50), ("S", 4)]).await?;
        sync(&*broker, Outgoing, &[("R", 9)]).await?;
        let before = broker.get_info().await?;
        broker.replicate().new_id("R", "new-id-sdb").await?;
        check_eq!(
            points(&*broker, Incoming).await?,
            owned(&[("R", 1), ("S", 4)])
        );
        check_eq!(points(&*broker, Outgoing).await?, owned(&[("R", 9)]));
        let mut expected = before;
        expected.store.id = "new-id-sdb".into();
        check_eq!(broker.get_info().await?, expected, "nothing else changes");
        Ok(())
    }

    /// A copy of an empty store has received nothing yet.
    #[case(Replication, clauses = ["ID-1"])]
    async fn new_id_of_an_empty_store_sets_minus_one(fixture: Fixture) -> Check {
        let container = fixture.container().await?;
        sync(&*container, Incoming, &[("R", 50)]).await?;
        container.replicate().new_id("R", "x").await?;
        check_eq!(points(&*container, Incoming).await?, owned(&[("R", -1)]));
        let account = fixture.account().await?;
        account.replicate().new_id("Q", "y").await?;
        check_eq!(points(&*account, Incoming).await?, owned(&[("Q", -1)]));
        check_eq!(account.get_info().await?.store.id, "y");
        Ok(())
    }

    /// A copy reports itself afresh; the marks of container sync and the reconciler stay.
    #[case(Replication, clauses = ["ID-2"])]
    async fn new_id_forgets_what_was_reported(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let mut marks = ContainerMarks::default();
        marks.reported = Some(Reported {
            put_timestamp: "0000000001.00000".into(),
            delete_timestamp: "0000000002.00000".into(),
            object_count: 1,
            bytes_used: 2,
        });
        marks.x_container_sync_point1 = Some(3);
        marks.x_container_sync_point2 = Some(4);
        marks.reconciler_sync_point = Some(5);
        broker.set_marks(&marks).await?;
        broker.replicate().new_id("R", "x").await?;
        let info = broker.get_info().await?;
        check_eq!(info.reported, Reported::default());
        let marks = (
            info.x_container_sync_point1,
            info.x_container_sync_point2,
            info.reconciler_sync_point,
        );
        check_eq!(marks, (3, 4, 5));
        Ok(())
    }

    /// Three replicas that took different writes agree after everybody sent to everybody.
    #[case(Replication, clauses = ["SINCE-1", "OBJECT-MERGE-4", "OBJECT-MERGE-5"])]
    async fn replicas_converge_by_exchanging_rows(fixture: Fixture) -> Check {
        let replicas = replicas(&fixture).await?;
        for (number, replica) in replicas.iter().enumerate() {
            let n = number as u64;
            merge(
                &**replica,
                vec![
                    put("shared", 10 + n),
                    put(&format!("only-{n}"), 20),
                    put("moved", 30 + n).in_policy(PolicyIndex(number as i64)),
                    if number == 1 {
                        deleted("gone", 40)
                    } else {
                        put("gone", 5 + n)
                    },
                ],
            )
            .await?;
        }
        for (from, to) in [(0, 1), (1, 2), (2, 0), (0, 1), (1, 2), (2, 0), (0, 2)] {
            push(&*replicas[from], &*replicas[to], 2).await?;
        }
        let first = (
            contents(&*replicas[0]).await?,
            replicas[0].get_info().await?,
        );
        check_eq!(first.0.len(), 8);
        for replica in &replicas[1..] {
            check_eq!(contents(&**replica).await?, first.0);
            let info = replica.get_info().await?;
            check_eq!(info.store.hash, first.1.store.hash);
            check_eq!(info.policy_stats, first.1.policy_stats);
        }
        Ok(())
    }

    /// Once in step, another exchange sends rows that change nothing.
    #[case(Replication, clauses = ["OBJECT-MERGE-2", "SINCE-1"])]
    async fn replicas_in_step_stay_as_they_are(fixture: Fixture) -> Check {
        let replicas = replicas(&fixture).await?;
        let batch = (0..25).map(|i| put(&format!("o{i:02}"), 2 + i)).collect();
        merge(&*replicas[0], batch).await?;
        push(&*replicas[0], &*replicas[1], 4).await?;
        let before = (
            object_rows(&*replicas[0]).await?,
            replicas[0].get_info().await?,
        );
        push(&*replicas[1], &*replicas[0], 7).await?;
        check_eq!(
            (
                object_rows(&*replicas[0]).await?,
                replicas[0].get_info().await?
            ),
            before
        );
        check_eq!(
            replicas[0].sync_point("replica-2", Incoming).await?,
            RowId(25)
        );
        Ok(())
    }

    /// Accounts exchange rows in the same way.
    #[case(Replication, clauses = ["SINCE-1", "ACCOUNT-MERGE-4", "HASH-2"])]
    async fn account_replicas_converge(fixture: Fixture) -> Check {
        let mut replicas = Vec::new();
        for number in 1..3 {
            let broker = fixture.account_at(&fixture.location(StoreKind::Account, number));
            create_account(&*broker, &at(1)).await?;
            broker
                .replicate()
                .new_id("none", &format!("replica-{number}"))
                .await?;
            replicas.push(broker);
        }
        merge_reports(
            &*replicas[0],
            vec![report("a", "5", "0", 1, 10), report("b", "5", "0", 2, 20)],
        )
        .await?;
        merge_reports(
            &*replicas[1],
            vec![report("b", "4", "6", 0, 0), report("c", "5", "0", 3, 30)],
        )
        .await?;
        push_reports(&*replicas[0], &*replicas[1]).await?;
        push_reports(&*replicas[1], &*replicas[0]).await?;
        let (first, second) = (replicas[0].get_info().await?, replicas[1].get_info().await?);
        check_eq!(first.store.hash, second.store.hash);
        check_eq!(
            (first.container_count, first.object_count),
            (second.container_count, second.object_count)
        );
        check_eq!(first.policy_stats, second.policy_stats);
        Ok(())
    }
}
