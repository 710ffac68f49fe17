//! Operations on stores that are not there, and brokers that may not write.

use super::{everything, list, merge, object_rows, put, report};
use crate::case::cases;
use crate::check::{Check, check, check_eq, check_refused};
use crate::fixture::{at, seconds};
use broker_api::{
    AccountBrokerExt, BrokerExt, BrokerOptions, ContainerBroker, ContainerBrokerExt,
    ContainerMarks, Direction, ListingQuery, MergeOptions, MergeTimestamps, MetadataEntry,
    PolicyIndex, ReclaimAge, RemoveObjects, Replicate, RowFilter, RowId, SyncPoint,
};

const AGE: ReclaimAge = ReclaimAge {
    tombstones: broker_api::Timestamp::ZERO,
    sync_points: broker_api::Timestamp::ZERO,
};

fn times() -> MergeTimestamps {
    MergeTimestamps {
        created_at: at(1),
        put_timestamp: at(1),
        delete_timestamp: at(1),
        now: seconds(1),
    }
}

/// Every mutation of a container, each refused for the reason.
macro_rules! refuses_every_change {
    ($broker:expr, $kind:ident) => {{
        let broker = &$broker;
        check_refused!(broker.delete(seconds(5)).await, $kind);
        check_refused!(broker.update_put_timestamp(seconds(5)).await, $kind);
        check_refused!(broker.update_status_changed_at(seconds(5)).await, $kind);
        check_refused!(broker.merge_timestamps(&times()).await, $kind);
        let entry = [MetadataEntry::new("k", "v", "0000000001.00000")];
        check_refused!(broker.update_metadata(&entry, None).await, $kind);
        check_refused!(broker.upgrade().await, $kind);
        let replicate: &dyn Replicate = broker.replicate();
        let points = [SyncPoint::new("r", RowId(1))];
        check_refused!(
            replicate
                .merge_sync_points(Direction::Incoming, &points)
                .await,
            $kind
        );
        check_refused!(replicate.new_id("r", "id").await, $kind);
        check_refused!(replicate.reclaim(AGE).await, $kind);
    }};
}

async fn refuses_changes_of_containers(broker: &dyn ContainerBroker, read_only: bool) -> Check {
    let kind = match read_only {
        true => broker_api::ErrorKind::ReadOnly,
        false => broker_api::ErrorKind::NotFound,
    };
    let mut marks = ContainerMarks::default();
    marks.reconciler_sync_point = Some(1);
    let answers = [
        ("put_object", broker.put_object(put("o", 2)).await),
        (
            "merge_items",
            broker
                .merge_items(vec![put("o", 2)], MergeOptions::default())
                .await,
        ),
        (
            "remove_objects",
            broker.remove_objects(&RemoveObjects::default()).await,
        ),
        (
            "set_policy",
            broker
                .set_storage_policy_index(PolicyIndex(1), seconds(2))
                .await,
        ),
        ("set_marks", broker.set_marks(&marks).await),
    ];
    for (operation, answer) in answers {
        match answer {
            Ok(()) => check!(false, "{operation} succeeded, expected {kind:?}"),
            Err(error) => {
                let found = (error.kind(), error.outcome());
                check_eq!(
                    found,
                    (kind, broker_api::Outcome::NotApplied),
                    "{operation}"
                );
            }
        }
    }
    Ok(())
}

cases! {
    /// Changing an absent account must say so, and must not create one.
    #[case(Core, clauses = ["ABSENT-1"])]
    async fn absent_account_refuses_every_change(fixture: Fixture) -> Check {
        let broker = fixture.account_broker();
        refuses_every_change!(*broker, NotFound);
        check_refused!(
            broker.put_container(report("c", "1", "0", 0, 0)).await,
            NotFound
        );
        let merged = broker
            .merge_items(vec![], MergeOptions::from_source("r"))
            .await;
        check_refused!(merged, NotFound);
        check!(!broker.exists().await?, "a refused change made a store");
        Ok(())
    }

    /// An object update for a container that is gone must not resurrect it.
    #[case(Core, clauses = ["ABSENT-1"])]
    async fn absent_container_refuses_every_change(fixture: Fixture) -> Check {
        let broker = fixture.container_broker();
        refuses_every_change!(*broker, NotFound);
        refuses_changes_of_containers(&*broker, false).await?;
        check!(!broker.exists().await?, "a refused change made a store");
        Ok(())
    }

    /// Absence is told apart from emptiness.
    #[case(Core, clauses = ["ABSENT-1", "LIFE-3"])]
    async fn absent_account_has_no_facts_rows_or_listing(fixture: Fixture) -> Check {
        let broker = fixture.account_broker();
        check_eq!(broker.exists().await?, false);
        check_eq!(broker.info().await?, None);
        check_eq!(broker.is_deleted().await?, true);
        check_refused!(broker.items_since(RowId::NONE, 1).await, NotFound);
        check_refused!(broker.container_page(&ListingQuery::new(1)).await, NotFound);
        check_refused!(broker.container_page(&ListingQuery::new(0)).await, NotFound);
        check_refused!(
            broker.replicate().sync_points(Direction::Incoming).await,
            NotFound
        );
        check_refused!(broker.sync_point("r", Direction::Outgoing).await, NotFound);
        Ok(())
    }

    /// Absence is told apart from emptiness.
    #[case(Core, clauses = ["ABSENT-1", "LIFE-4"])]
    async fn absent_container_has_no_facts_rows_or_listing(fixture: Fixture) -> Check {
        let broker = fixture.container_broker();
        check_eq!(broker.exists().await?, false);
        check_eq!(broker.info().await?, None);
        check_eq!(broker.is_deleted().await?, true);
        for filter in [RowFilter::All, RowFilter::Misplaced] {
            check_refused!(broker.items_since(RowId::NONE, 1, filter).await, NotFound);
        }
        check_refused!(broker.object_page(&everything()).await, NotFound);
        check_refused!(
            broker.replicate().sync_points(Direction::Outgoing).await,
            NotFound
        );
        Ok(())
    }

    /// A retiring database of a sharding container may be read and never written.
    #[case(Core, clauses = ["READONLY-1"])]
    async fn broker_that_skips_commits_only_reads(fixture: Fixture) -> Check {
        let writer = fixture.container().await?;
        merge(&*writer, vec![put("o", 2)]).await?;
        let before = (writer.get_info().await?, object_rows(&*writer).await?);
        let options = BrokerOptions::default().skipping_commits();
        let reader = fixture.engine().container(writer.location(), &options);
        refuses_every_change!(*reader, ReadOnly);
        refuses_changes_of_containers(&*reader, true).await?;
        check!(reader.exists().await?, "the store is gone");
        check_eq!(list(&*reader, &everything()).await?, ["o"]);
        check_eq!(
            (reader.get_info().await?, object_rows(&*reader).await?),
            before
        );
        Ok(())
    }

    /// An account's broker may be read-only too.
    #[case(Core, clauses = ["READONLY-1"])]
    async fn account_broker_that_skips_commits_only_reads(fixture: Fixture) -> Check {
        let writer = fixture.account().await?;
        writer.put_container(report("c", "1", "0", 0, 0)).await?;
        let before = writer.get_info().await?;
        let options = BrokerOptions::default().skipping_commits();
        let reader = fixture.engine().account(writer.location(), &options);
        refuses_every_change!(*reader, ReadOnly);
        check_refused!(
            reader.put_container(report("d", "1", "0", 0, 0)).await,
            ReadOnly
        );
        check_eq!(
            reader.get_info().await?.container_count,
            before.container_count
        );
        check_eq!(writer.get_info().await?, before);
        Ok(())
    }

    /// A listing while the servers are busy uses short waits, and gives the same answers.
    #[case(Core, clauses = ["ENGINE-2", "CONCUR-3"])]
    async fn broker_for_reading_sees_acknowledged_writes(fixture: Fixture) -> Check {
        let writer = fixture.container().await?;
        let options = BrokerOptions::for_reading();
        let reader = fixture.engine().container(writer.location(), &options);
        for second in 2..6 {
            writer
                .put_object(put(&format!("o{second}"), second))
                .await?;
            check_eq!(reader.get_info().await?.object_count(), second as i64 - 1);
        }
        Ok(())
    }
}
