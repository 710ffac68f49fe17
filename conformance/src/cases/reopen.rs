//! Closing an engine and opening it again.

use super::{
    container_rows, deleted, everything, list, merge, merge_reports, object_rows, put, report,
};
use crate::case::cases;
use crate::check::{Check, check, check_eq};
use crate::fixture::{at, seconds};
use broker_api::{
    AccountBroker, AccountBrokerExt, AccountInfo, ContainerBroker, ContainerBrokerExt,
    ContainerInfo, ContainerMarks, ContainerRow, Direction, MetadataEntry, ObjectRow, PolicyIndex,
    RemoveObjects, Reported, RowId, StoreKind, SyncPoint,
};

/// Everything about a container.
pub(super) type ContainerState = (
    ContainerInfo,
    Vec<ObjectRow>,
    Vec<SyncPoint>,
    Vec<SyncPoint>,
);
/// Everything about an account.
pub(super) type AccountState = (
    AccountInfo,
    Vec<ContainerRow>,
    Vec<SyncPoint>,
    Vec<SyncPoint>,
);

pub(super) async fn container_state(broker: &dyn ContainerBroker) -> Check<ContainerState> {
    let replicate = broker.replicate();
    Ok((
        broker.get_info().await?,
        object_rows(broker).await?,
        replicate.sync_points(Direction::Incoming).await?,
        replicate.sync_points(Direction::Outgoing).await?,
    ))
}

pub(super) async fn account_state(broker: &dyn AccountBroker) -> Check<AccountState> {
    let replicate = broker.replicate();
    Ok((
        broker.get_info().await?,
        container_rows(broker).await?,
        replicate.sync_points(Direction::Incoming).await?,
        replicate.sync_points(Direction::Outgoing).await?,
    ))
}

cases! {
    /// A restart of the server must not change one bit of a container.
    #[case(Core, clauses = ["ENGINE-7"])]
    async fn container_is_the_same_after_reopening(fixture: Fixture) -> Check {
        let broker = fixture.container_of_policy(1).await?;
        merge(
            &*broker,
            vec![
                put("a", 2),
                put("b", 2).in_policy(PolicyIndex(1)),
                deleted("c", 3),
            ],
        )
        .await?;
        broker
            .put_object(put("d\0\u{10ffff}", 4).in_policy(PolicyIndex(1)))
            .await?;
        let remove = RemoveObjects {
            lower: "c".into(),
            ..RemoveObjects::default()
        };
        broker.remove_objects(&remove).await?;
        broker
            .update_metadata(&[MetadataEntry::new("é", "☃", at(2).as_str())], None)
            .await?;
        broker.update_put_timestamp(seconds(5)).await?;
        broker.delete(seconds(6)).await?;
        broker
            .set_storage_policy_index(PolicyIndex(2), seconds(7))
            .await?;
        let mut marks = ContainerMarks::default();
        marks.reported = Some(Reported {
            object_count: 5,
            ..Reported::default()
        });
        marks.x_container_sync_point2 = Some(8);
        marks.reconciler_sync_point = Some(9);
        broker.set_marks(&marks).await?;
        for (direction, id, point) in [
            (Direction::Incoming, "R", 5),
            (Direction::Outgoing, "S", -1),
            (Direction::Incoming, "Q", 3),
        ] {
            broker
                .replicate()
                .merge_sync_points(direction, &[SyncPoint::new(id, RowId(point))])
                .await?;
        }
        let before = container_state(&*broker).await?;
        drop(broker);
        let fixture = fixture.reopen().await?;
        let broker = fixture.container_broker();
        check!(broker.exists().await?, "the container is gone");
        check_eq!(container_state(&*broker).await?, before);
        Ok(())
    }

    /// A restart of the server must not change one bit of an account.
    #[case(Core, clauses = ["ENGINE-7"])]
    async fn account_is_the_same_after_reopening(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let batch = vec![
            report("a", "5", "0", 3, 30),
            report("b", "1", "2", 0, 0),
            report("a", "4", "0", 7, 70),
        ];
        merge_reports(&*broker, batch).await?;
        broker
            .put_container(report("c", "0000000005.00000_0000000000000001", "0", 1, 1))
            .await?;
        broker
            .update_metadata(&[MetadataEntry::new("k", "", at(2).as_str())], None)
            .await?;
        broker.delete(seconds(6)).await?;
        broker.replicate().new_id("R", "another-id").await?;
        let before = account_state(&*broker).await?;
        drop(broker);
        let fixture = fixture.reopen().await?;
        let broker = fixture.account_broker();
        check_eq!(account_state(&*broker).await?, before);
        Ok(())
    }

    /// Single puts are acknowledged one by one; each must be there after a restart.
    #[case(Core, clauses = ["ENGINE-7", "INFO-1"])]
    async fn single_puts_are_found_after_reopening(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let mut expected = Vec::new();
        for i in 0..50 {
            let name = format!("o{i:02}");
            broker.put_object(put(&name, 2)).await?;
            expected.push(name);
        }
        broker.put_object(deleted("o00", 3)).await?;
        expected.remove(0);
        // Nobody reads before the restart: what was buffered is still in the buffer.
        drop(broker);
        let fixture = fixture.reopen().await?;
        let broker = fixture.container_broker();
        check_eq!(list(&*broker, &everything()).await?, expected);
        check_eq!(broker.get_info().await?.object_count(), 49);
        Ok(())
    }

    /// Reports to an account are acknowledged one by one, too.
    #[case(Core, clauses = ["ENGINE-7", "INFO-1"])]
    async fn single_reports_are_found_after_reopening(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        for i in 0..50 {
            broker
                .put_container(report(&format!("c{i:02}"), "2", "0", i, 10))
                .await?;
        }
        drop(broker);
        let fixture = fixture.reopen().await?;
        let info = fixture.account_broker().get_info().await?;
        check_eq!(
            (info.container_count, info.object_count, info.bytes_used),
            (50, 49 * 25, 500)
        );
        Ok(())
    }

    /// Row numbers go on where they were, even when the highest row is gone.
    #[case(Core, clauses = ["ENGINE-7", "INFO-3"])]
    async fn row_numbers_go_on_after_reopening(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![put("a", 2), put("b", 2), put("c", 2)]).await?;
        broker
            .remove_objects(&RemoveObjects {
                lower: "a".into(),
                ..RemoveObjects::default()
            })
            .await?;
        drop(broker);
        let fixture = fixture.reopen().await?;
        let broker = fixture.container_broker();
        check_eq!(broker.get_info().await?.store.max_row, RowId(3));
        merge(&*broker, vec![put("d", 2)]).await?;
        let rows: Vec<_> = object_rows(&*broker)
            .await?
            .iter()
            .map(|row| row.row_id.0)
            .collect();
        check_eq!(rows, [1, 4]);
        Ok(())
    }

    /// Work goes on after a restart as if there had been none.
    #[case(Core, clauses = ["ENGINE-7", "OBJECT-MERGE-2", "HASH-1"])]
    async fn merging_goes_on_after_reopening(fixture: Fixture) -> Check {
        let mut fixture = fixture;
        let broker = fixture.container().await?;
        let records = |round: u64| {
            (0..20)
                .map(move |i| put(&format!("o{i:02}"), 10 * round + i))
                .collect()
        };
        merge(&*broker, records(1)).await?;
        drop(broker);
        for round in 2..5 {
            fixture = fixture.reopen().await?;
            let broker = fixture.container_broker();
            let before = container_state(&*broker).await?;
            merge(&*broker, records(round - 1)).await?;
            check_eq!(container_state(&*broker).await?, before, "merging again");
            merge(&*broker, records(round)).await?;
            let after = container_state(&*broker).await?;
            check_eq!(after.0.object_count(), 20);
            check!(
                after.0.store.hash != before.0.store.hash,
                "newer rows leave no trace"
            );
        }
        Ok(())
    }

    /// Container sync goes on after a restart with the containers it had.
    #[case(Core, clauses = ["ENGINE-8", "ENGINE-7"])]
    async fn list_of_synced_containers_outlives_reopening(fixture: Fixture) -> Check {
        let kind = StoreKind::Container;
        crate::fixture::create_container(&*fixture.container_broker(), &at(1), 0).await?;
        for number in 0..5 {
            let location = fixture.location(kind, number);
            fixture.engine().set_synced(&location, true).await?;
        }
        let off = fixture.location(kind, 2);
        fixture.engine().set_synced(&off, false).await?;
        let device = fixture.device(0).to_owned();
        let before = fixture.engine().synced(&device, None, 10).await?;
        check_eq!(before.len(), 4, "on the list");
        let fixture = fixture.reopen().await?;
        check_eq!(fixture.engine().synced(&device, None, 10).await?, before);
        fixture.engine().set_synced(&off, true).await?;
        check_eq!(fixture.engine().synced(&device, None, 10).await?.len(), 5);
        Ok(())
    }

    /// Removed and quarantined stores stay away; others are found again.
    #[case(Core, clauses = ["ENGINE-7", "ENGINE-4", "ENGINE-5", "ENGINE-6"])]
    async fn removal_and_quarantine_outlive_reopening(fixture: Fixture) -> Check {
        let locations: Vec<_> = (1..4)
            .map(|i| fixture.location(StoreKind::Container, i))
            .collect();
        for location in &locations {
            crate::fixture::create_container(&*fixture.container_at(location), &at(1), 0).await?;
        }
        fixture.engine().remove(&locations[0]).await?;
        fixture.engine().quarantine(&locations[1], "a test").await?;
        let fixture = fixture.reopen().await?;
        let found = fixture
            .engine()
            .stores(fixture.device(0), StoreKind::Container, None, 10)
            .await?;
        check_eq!(found, [locations[2].clone()]);
        for (location, exists) in locations.iter().zip([false, false, true]) {
            check_eq!(
                fixture.container_at(location).exists().await?,
                exists,
                "{location}"
            );
        }
        Ok(())
    }
}
