//! The timestamps of a store: raised, merged, never lowered.

use super::{merge, merge_reports, put, report};
use crate::case::cases;
use crate::check::{Check, check_eq};
use crate::fixture::{at, offset, seconds, text};
use broker_api::{
    AccountBrokerExt, Broker, ContainerBroker, ContainerBrokerExt, MergeTimestamps, StoreInfo,
};

fn merging(created: &str, put: &str, delete: &str, now: u64) -> MergeTimestamps {
    MergeTimestamps {
        created_at: text(created),
        put_timestamp: text(put),
        delete_timestamp: text(delete),
        now: seconds(now),
    }
}

async fn store(broker: &dyn ContainerBroker) -> Check<StoreInfo> {
    Ok(broker.get_info().await?.store)
}

async fn merge_times<B: Broker + ?Sized>(broker: &B, put: u64, delete: u64) -> Check {
    let delete = match delete {
        0 => "0".to_owned(),
        delete => at(delete).as_str().to_owned(),
    };
    let merge = merging(at(1).as_str(), at(put).as_str(), &delete, 50);
    Ok(broker.merge_timestamps(&merge).await?)
}

cases! {
    /// A PUT that was delayed must not undo a newer one.
    #[case(Core, clauses = ["TIME-1"])]
    async fn put_timestamp_only_rises(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let steps = [
            (seconds(5), "0000000005.00000"),
            (seconds(4), "0000000005.00000"),
            (seconds(5), "0000000005.00000"),
            (offset(5, 1), "0000000005.00000_0000000000000001"),
            (seconds(5), "0000000005.00000_0000000000000001"),
            (seconds(6), "0000000006.00000"),
        ];
        for (given, stored) in steps {
            broker.update_put_timestamp(given).await?;
            check_eq!(
                store(&*broker).await?.put_timestamp.as_str(),
                stored,
                "after {given}"
            );
        }
        Ok(())
    }

    /// A newer PUT changes the put timestamp and not one other thing.
    #[case(Core, clauses = ["TIME-1"])]
    async fn put_timestamp_changes_nothing_else(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![put("o", 2)]).await?;
        broker.delete(seconds(3)).await?;
        let mut expected = broker.get_info().await?;
        broker.update_put_timestamp(seconds(9)).await?;
        expected.store.put_timestamp = at(9);
        check_eq!(broker.get_info().await?, expected);
        Ok(())
    }

    /// The same rule holds for the time of the last status change.
    #[case(Core, clauses = ["TIME-2"])]
    async fn status_changed_at_only_rises(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let mut expected = broker.get_info().await?;
        for (given, stored) in [(5, 5), (4, 5), (5, 5), (9, 9)] {
            broker.update_status_changed_at(seconds(given)).await?;
            expected.store.status_changed_at = at(stored);
            check_eq!(broker.get_info().await?, expected, "after {given}");
        }
        Ok(())
    }

    /// An account's timestamps rise in the same way.
    #[case(Core, clauses = ["TIME-1", "TIME-2"])]
    async fn account_timestamps_only_rise(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let mut expected = broker.get_info().await?;
        for (given, stored) in [(5, 5), (4, 5), (9, 9)] {
            broker.update_put_timestamp(seconds(given)).await?;
            broker.update_status_changed_at(seconds(given)).await?;
            expected.store.put_timestamp = at(stored);
            expected.store.status_changed_at = at(stored);
            check_eq!(broker.get_info().await?, expected, "after {given}");
        }
        Ok(())
    }

    /// Replicas agree on the earliest creation and the latest PUT and DELETE.
    #[case(Core, clauses = ["TIME-3"])]
    async fn merging_timestamps_keeps_earliest_and_latest(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let steps = [
            (
                ("0000000005.00000", "0000000005.00000", "0000000003.00000"),
                (1, 5, 3),
            ),
            (
                ("0000000000.50000", "0000000004.00000", "0000000002.00000"),
                (0, 5, 3),
            ),
            (
                ("0000000009.00000", "0000000006.00000", "0000000004.00000"),
                (0, 6, 4),
            ),
        ];
        for ((created, put, delete), stored) in steps {
            broker
                .merge_timestamps(&merging(created, put, delete, 50))
                .await?;
            let store = store(&*broker).await?;
            let created = if stored.0 == 0 {
                text("0000000000.50000")
            } else {
                at(stored.0)
            };
            let found = (
                store.created_at,
                store.put_timestamp,
                store.delete_timestamp,
            );
            check_eq!(found, (created, at(stored.1), at(stored.2)));
        }
        Ok(())
    }

    /// Offsets count in the merge of timestamps.
    #[case(Core, clauses = ["TIME-3"])]
    async fn merging_timestamps_compares_text(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let put = "0000000005.00000_0000000000000001";
        broker
            .merge_timestamps(&merging("1", put, "0000000005.00000", 50))
            .await?;
        broker
            .merge_timestamps(&merging("1", "0000000005.00000", "0", 50))
            .await?;
        let store = store(&*broker).await?;
        check_eq!(store.put_timestamp.as_str(), put);
        check_eq!(store.delete_timestamp, at(5));
        check_eq!(
            store.created_at,
            at(1),
            "as text the earlier is the one with zeros"
        );
        Ok(())
    }

    /// Spellings that are not normalised are compared as they are, whatever they mean.
    #[case(Core, clauses = ["TIME-3"])]
    async fn merging_timestamps_compares_spellings(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        // Merged put and delete, then those that are stored.
        let steps = [
            (("0000000005.00000", "0"), ("0000000005.00000", "0")),
            (("5", "0"), ("5", "0")),
            (("4", "0000000010.00000"), ("5", "0000000010.00000")),
            (("0", "9"), ("5", "9")),
            (("0000000010.00000", "0000000011.00000"), ("5", "9")),
        ];
        for (number, ((put, delete), stored)) in steps.into_iter().enumerate() {
            let merge = merging("1", put, delete, 50);
            broker.merge_timestamps(&merge).await?;
            let store = store(&*broker).await?;
            let found = (store.put_timestamp.as_str(), store.delete_timestamp.as_str());
            check_eq!(found, stored, "step {}", number + 1);
        }
        Ok(())
    }

    /// The account's updater looks at status_changed_at: it must move when the status does, only then.
    #[case(Core, clauses = ["TIME-4"])]
    async fn merging_timestamps_notes_when_the_status_flips(fixture: Fixture) -> Check {
        // Delete before, objects, merged put and delete; deleted before and after.
        let table = [
            (0, 0, (1, 5), (false, true)),
            (0, 1, (1, 5), (false, false)),
            (5, 0, (9, 0), (true, false)),
            (5, 1, (9, 0), (false, false)),
            (0, 0, (3, 0), (false, false)),
            (5, 0, (1, 7), (true, true)),
        ];
        for (number, (delete, objects, merged, deleted)) in table.into_iter().enumerate() {
            let location = fixture.location(broker_api::StoreKind::Container, number as u64 + 1);
            let broker = fixture.container_at(&location);
            crate::fixture::create_container(&*broker, &at(1), 0).await?;
            if delete > 0 {
                merge_times(&*broker, 1, delete).await?;
            }
            // The first merge makes it deleted at 50.
            let changed = if delete > 0 { 50 } else { 1 };
            if objects > 0 {
                merge(&*broker, vec![put("o", 2)]).await?;
            }
            let before = broker.is_deleted().await?;
            let mut merge = merging(at(1).as_str(), at(merged.0).as_str(), "0", 60);
            if merged.1 > 0 {
                merge.delete_timestamp = at(merged.1);
            }
            broker.merge_timestamps(&merge).await?;
            let after = broker.is_deleted().await?;
            check_eq!((before, after), deleted, "row {}", number + 1);
            let flipped = before != after;
            let expected = if flipped { at(60) } else { at(changed) };
            let store = store(&*broker).await?;
            check_eq!(store.status_changed_at, expected, "row {}", number + 1);
            check_eq!(store.status, "", "row {}", number + 1);
        }
        Ok(())
    }

    /// An account flips by its own rule: containers keep it alive, a status keeps it deleted.
    #[case(Core, clauses = ["TIME-4", "LIFE-3"])]
    async fn merging_timestamps_of_accounts_follows_their_rule(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        merge_reports(&*broker, vec![report("c", "2", "0", 0, 0)]).await?;
        merge_times(&*broker, 1, 5).await?;
        check_eq!(
            broker.get_info().await?.store.status_changed_at,
            at(1),
            "with a container"
        );
        merge_reports(&*broker, vec![report("c", "2", "6", 0, 0)]).await?;
        check_eq!(broker.is_deleted().await?, true);
        merge_times(&*broker, 9, 5).await?;
        check_eq!(
            broker.get_info().await?.store.status_changed_at,
            at(50),
            "undeleted"
        );
        broker.delete(seconds(60)).await?;
        merge_times(&*broker, 70, 60).await?;
        let info = broker.get_info().await?;
        check_eq!(
            (info.is_deleted(), info.store.status_changed_at),
            (true, at(60))
        );
        Ok(())
    }

    /// A clock that is behind must not move the time of the last change back.
    #[case(Core, clauses = ["TIME-4"])]
    async fn flip_does_not_lower_status_changed_at(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        broker.update_status_changed_at(seconds(90)).await?;
        merge_times(&*broker, 1, 5).await?;
        check_eq!(broker.is_deleted().await?, true);
        check_eq!(store(&*broker).await?.status_changed_at, at(90));
        Ok(())
    }
}
