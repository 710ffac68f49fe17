//! Creation, deletion, and the truth tables of what is deleted, empty and reclaimable.

use super::{deleted, merge, merge_reports, object, put, report};
use crate::case::cases;
use crate::check::{Check, check, check_eq, check_refused};
use crate::fixture::{
    ACCOUNT, CONTAINER, STORE_ID, at, create_account, create_container, new_account, new_container,
    offset, seconds, text, time,
};
use broker_api::{
    AccountBroker, AccountBrokerExt, ContainerBroker, ContainerBrokerExt, DbState, Initialized,
    MergeTimestamps, MetadataEntry, NewAccount, NewContainer, PolicyIndex, PolicyStat, Reported,
    RollingHash, RowId, StoreKind, Timestamp,
};

/// Past every timestamp of these cases.
fn old_enough() -> Timestamp {
    seconds(1_000_000)
}

/// is_deleted, is_status_deleted, is_empty, is_reclaimable.
async fn account_says(broker: &dyn AccountBroker) -> Check<(bool, bool, bool, bool)> {
    let info = broker.get_info().await?;
    check_eq!(broker.is_deleted().await?, info.is_deleted());
    let reclaimable = info.is_reclaimable(old_enough());
    Ok((
        info.is_deleted(),
        info.is_status_deleted(),
        info.is_empty(),
        reclaimable,
    ))
}

/// is_deleted, is_empty, is_reclaimable.
async fn container_says(broker: &dyn ContainerBroker) -> Check<(bool, bool, bool)> {
    let info = broker.get_info().await?;
    check_eq!(broker.is_deleted().await?, info.is_deleted());
    Ok((
        info.is_deleted(),
        info.is_empty(),
        info.is_reclaimable(old_enough()),
    ))
}

/// Takes over a delete timestamp as replication does, without touching the status.
async fn merge_delete<B: broker_api::Broker + ?Sized>(broker: &B, delete: &str) -> Check {
    let merge = MergeTimestamps {
        created_at: at(1),
        put_timestamp: text("0000000000.00000"),
        delete_timestamp: text(delete),
        now: seconds(50),
    };
    Ok(broker.merge_timestamps(&merge).await?)
}

cases! {
    /// What a PUT of a new account leaves.
    #[case(Core, clauses = ["INIT-2"])]
    async fn new_account_starts_empty(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        check!(broker.exists().await?, "the new account does not exist");
        let info = broker.get_info().await?;
        let store = &info.store;
        check_eq!(store.account, ACCOUNT);
        check_eq!(store.id, format!("{STORE_ID}-{}", fixture.device(0)));
        check_eq!(
            (
                &store.created_at,
                &store.put_timestamp,
                &store.status_changed_at
            ),
            (&at(1), &at(1), &at(1))
        );
        check_eq!(store.delete_timestamp.as_str(), "0");
        check_eq!(
            (store.status.as_str(), store.raw_metadata.as_str()),
            ("", "")
        );
        check_eq!(store.hash, RollingHash::default());
        check_eq!(store.max_row, RowId::NONE);
        check_eq!(
            (info.container_count, info.object_count, info.bytes_used),
            (0, 0, 0)
        );
        check_eq!(info.policy_stats, vec![]);
        check_eq!(account_says(&*broker).await?, (false, false, true, false));
        Ok(())
    }

    /// What a PUT of a new container leaves.
    #[case(Core, clauses = ["INIT-2"])]
    async fn new_container_starts_empty_with_its_policy(fixture: Fixture) -> Check {
        let broker = fixture.container_of_policy(3).await?;
        let info = broker.get_info().await?;
        let store = &info.store;
        check_eq!(
            (store.account.as_str(), info.container.as_str()),
            (ACCOUNT, CONTAINER)
        );
        check_eq!(store.id, format!("{STORE_ID}-{}", fixture.device(0)));
        check_eq!(
            (
                &store.created_at,
                &store.put_timestamp,
                &store.status_changed_at
            ),
            (&at(1), &at(1), &at(1))
        );
        check_eq!(store.delete_timestamp.as_str(), "0");
        check_eq!(
            (store.status.as_str(), store.raw_metadata.as_str()),
            ("", "")
        );
        check_eq!(store.hash, RollingHash::default());
        check_eq!(store.max_row, RowId::NONE);
        let zero = PolicyStat {
            policy_index: PolicyIndex(3),
            object_count: 0,
            bytes_used: 0,
        };
        check_eq!(
            (info.policy_index, info.policy_stats),
            (PolicyIndex(3), vec![zero])
        );
        check_eq!(info.reported, Reported::default());
        let marks = (
            info.x_container_sync_point1,
            info.x_container_sync_point2,
            info.reconciler_sync_point,
        );
        check_eq!(marks, (-1, -1, -1));
        check_eq!(info.db_state, DbState::Unsharded);
        check_eq!(container_says(&*broker).await?, (false, true, false));
        Ok(())
    }

    /// Without a put timestamp a store starts at zero, and is not deleted.
    #[case(Core, clauses = ["INIT-2", "LIFE-3", "LIFE-4"])]
    async fn store_without_put_timestamp_is_not_deleted(fixture: Fixture) -> Check {
        let none = broker_api::ext::no_put_timestamp();
        let account = fixture.account_broker();
        create_account(&*account, &none).await?;
        check_eq!(
            account.get_info().await?.store.status_changed_at.as_str(),
            "0000000000.00000"
        );
        check_eq!(account.is_deleted().await?, false);
        let container = fixture.container_broker();
        create_container(&*container, &none, 0).await?;
        check_eq!(
            container.get_info().await?.store.put_timestamp.as_str(),
            "0000000000.00000"
        );
        check_eq!(container.is_deleted().await?, false);
        Ok(())
    }

    /// The put timestamp is stored as it is spelled.
    #[case(Core, clauses = ["INIT-2"])]
    async fn put_timestamp_is_stored_verbatim(fixture: Fixture) -> Check {
        for (number, spelling) in ["5", "0000000005.00000_000000000000000a"]
            .iter()
            .enumerate()
        {
            let location = fixture.location(StoreKind::Account, number as u64 + 1);
            let broker = fixture.account_at(&location);
            create_account(&*broker, &text(spelling)).await?;
            let store = broker.get_info().await?.store;
            let found = (
                store.put_timestamp.as_str(),
                store.status_changed_at.as_str(),
            );
            check_eq!(found, (*spelling, *spelling));
        }
        Ok(())
    }

    /// A second PUT, or a lost race, must not reset the container or move it to another policy.
    #[case(Core, clauses = ["INIT-1"])]
    async fn initializing_again_changes_nothing(fixture: Fixture) -> Check {
        let container = fixture.container().await?;
        merge(&*container, vec![put("o", 2)]).await?;
        let before = container.get_info().await?;
        let again = NewContainer {
            id: "another".into(),
            created_at: seconds(99),
            ..new_container(&*container, &at(9), 3)
        };
        check_eq!(
            container.initialize(&again).await?,
            Initialized::AlreadyExisted
        );
        check_eq!(container.get_info().await?, before);
        let account = fixture.account().await?;
        let before = account.get_info().await?;
        let again = new_account(&*account, &at(9));
        check_eq!(
            account.initialize(&again).await?,
            Initialized::AlreadyExisted
        );
        check_eq!(account.get_info().await?, before);
        Ok(())
    }

    /// A store that was deleted logically is still there: making it anew needs a newer PUT.
    #[case(Core, clauses = ["INIT-1", "LIFE-1"])]
    async fn deleted_store_exists_and_is_not_made_again(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        broker.delete(seconds(5)).await?;
        check!(broker.exists().await?, "a deleted store does not exist");
        let again = new_container(&*broker, &at(9), 0);
        check_eq!(
            broker.initialize(&again).await?,
            Initialized::AlreadyExisted
        );
        check_eq!(broker.is_deleted().await?, true);
        Ok(())
    }

    /// A store without a name could never be found by one.
    #[case(Core, clauses = ["INIT-3"])]
    async fn empty_names_are_refused(fixture: Fixture) -> Check {
        let account = fixture.account_broker();
        let new = NewAccount {
            account: String::new(),
            ..new_account(&*account, &at(1))
        };
        check_refused!(account.initialize(&new).await, InvalidInput);
        check!(!account.exists().await?, "a refused account exists");
        let container = fixture.container_broker();
        let new = NewContainer {
            account: String::new(),
            ..new_container(&*container, &at(1), 0)
        };
        check_refused!(container.initialize(&new).await, InvalidInput);
        let new = NewContainer {
            container: String::new(),
            ..new_container(&*container, &at(1), 0)
        };
        check_refused!(container.initialize(&new).await, InvalidInput);
        check!(!container.exists().await?, "a refused container exists");
        Ok(())
    }

    /// The table of what an account is, by status, containers and timestamps.
    #[case(Core, clauses = ["LIFE-3", "LIFE-5"])]
    async fn account_truth_table(fixture: Fixture) -> Check {
        // Containers, status DELETED, delete later than put; then what the account says.
        let table = [
            (0, false, false, (false, false, true, false)),
            (0, false, true, (true, true, true, true)),
            (1, false, false, (false, false, false, false)),
            (1, false, true, (false, true, false, false)),
            (0, true, false, (true, true, true, false)),
            (0, true, true, (true, true, true, true)),
            (1, true, false, (true, true, false, false)),
            (1, true, true, (true, true, false, false)),
        ];
        for (number, (containers, status, later, says)) in table.into_iter().enumerate() {
            let location = fixture.location(StoreKind::Account, number as u64 + 1);
            let broker = fixture.account_at(&location);
            create_account(&*broker, &at(6)).await?;
            if containers > 0 {
                merge_reports(&*broker, vec![report("c", "1", "0", 3, 30)]).await?;
            }
            if status {
                broker.delete(seconds(5)).await?;
            }
            if later {
                merge_delete(&*broker, "0000000008.00000").await?;
            }
            check_eq!(
                account_says(&*broker).await?,
                says,
                "{containers} containers, status {status}, delete later {later}"
            );
        }
        Ok(())
    }

    /// The table of what a container is, by objects in its own and other policies and timestamps.
    #[case(Core, clauses = ["LIFE-4", "LIFE-5", "POLICY-2"])]
    async fn container_truth_table(fixture: Fixture) -> Check {
        // Objects in the own policy, in another, delete later than put; then what it says.
        let table = [
            (0, 0, false, (false, true, false)),
            (0, 0, true, (true, true, true)),
            (0, 1, false, (false, false, false)),
            (0, 1, true, (true, false, false)),
            (1, 0, false, (false, false, false)),
            (1, 1, false, (false, false, false)),
            (1, 0, true, (false, false, false)),
            (1, 1, true, (false, false, false)),
        ];
        for (number, (own, other, later, says)) in table.into_iter().enumerate() {
            let location = fixture.location(StoreKind::Container, number as u64 + 1);
            let broker = fixture.container_at(&location);
            create_container(&*broker, &at(2), 0).await?;
            if own > 0 {
                merge(&*broker, vec![put("own", 3)]).await?;
            }
            if other > 0 {
                merge(&*broker, vec![put("other", 3).in_policy(PolicyIndex(1))]).await?;
            }
            if later {
                merge_delete(&*broker, "0000000008.00000").await?;
            }
            check_eq!(
                container_says(&*broker).await?,
                says,
                "{own} own objects, {other} others, delete later {later}"
            );
        }
        Ok(())
    }

    /// Status is a word for people in a container: it decides nothing.
    #[case(Core, clauses = ["LIFE-4", "DELETE-2"])]
    async fn container_status_decides_nothing(fixture: Fixture) -> Check {
        let broker = fixture.container_broker();
        create_container(&*broker, &at(6), 0).await?;
        broker.delete(seconds(5)).await?;
        let info = broker.get_info().await?;
        check_eq!(info.store.status, "DELETED");
        check_eq!(
            (info.store.delete_timestamp, info.store.status_changed_at),
            (at(5), at(5))
        );
        check_eq!(container_says(&*broker).await?, (false, true, false));
        Ok(())
    }

    /// Offsets order events of one moment, and equal times delete nothing.
    #[case(Core, clauses = ["LIFE-3"])]
    async fn account_deletion_is_strict_and_looks_at_offsets(fixture: Fixture) -> Check {
        let five_and_one = "0000000005.00000_0000000000000001";
        let table = [
            ("0000000005.00000", "0000000005.00000", (false, false)),
            ("0000000005.00000", five_and_one, (true, true)),
            (five_and_one, "0000000005.00000", (false, false)),
            ("0", "0", (false, false)),
            // As text an unnormalised timestamp sorts after every other.
            ("0000000002.00000", "1", (false, true)),
        ];
        for (number, (put, delete, says)) in table.into_iter().enumerate() {
            let location = fixture.location(StoreKind::Account, number as u64 + 1);
            let broker = fixture.account_at(&location);
            create_account(&*broker, &text(put)).await?;
            if put != "0" {
                merge_delete(&*broker, delete).await?;
            }
            let info = broker.get_info().await?;
            let found = (info.is_deleted(), info.is_status_deleted());
            check_eq!(found, says, "put {put}, delete {delete}");
        }
        Ok(())
    }

    /// The age is a strict bound: a store deleted exactly then is kept.
    #[case(Core, clauses = ["LIFE-5"])]
    async fn reclaimable_means_strictly_older_than_the_age(fixture: Fixture) -> Check {
        let account = fixture.account_broker();
        create_account(&*account, &at(850)).await?;
        merge_delete(&*account, "0000000875.00000").await?;
        let container = fixture.container_broker();
        create_container(&*container, &at(850), 0).await?;
        merge_delete(&*container, "0000000875.00000").await?;
        let infos = (account.get_info().await?, container.get_info().await?);
        for (age, expected) in [
            ("900", true),
            ("875", false),
            ("875.00001", true),
            ("800", false),
        ] {
            let found = (
                infos.0.is_reclaimable(time(age)),
                infos.1.is_reclaimable(time(age)),
            );
            check_eq!(found, (expected, expected), "age {age}");
        }
        Ok(())
    }

    /// An account is emptied by the reaper: what its replicas say on the way.
    #[case(Core, clauses = ["LIFE-3", "DELETE-2", "DELETE-3", "TIME-1"])]
    async fn account_life_from_put_to_reaper(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        broker.put_container(report("c", "2", "0", 3, 30)).await?;
        check_eq!(account_says(&*broker).await?, (false, false, false, false));
        broker.delete(seconds(6)).await?;
        check_eq!(account_says(&*broker).await?, (true, true, false, false));
        broker.update_put_timestamp(seconds(9)).await?;
        check_eq!(
            account_says(&*broker).await?,
            (true, true, false, false),
            "after a newer PUT"
        );
        check_eq!(broker.get_info().await?.store.status, "DELETED");
        Ok(())
    }

    /// A replica that hears of a deletion by timestamps alone becomes deleted when it is empty.
    #[case(Core, clauses = ["LIFE-3", "TIME-3"])]
    async fn account_deleted_by_timestamps_alone(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        broker.put_container(report("c", "2", "0", 3, 30)).await?;
        merge_delete(&*broker, "0000000006.00000").await?;
        check_eq!(account_says(&*broker).await?, (false, true, false, false));
        check_eq!(broker.get_info().await?.store.status, "");
        broker
            .put_container(report("c", "0", "0000000007.00000", 0, 0))
            .await?;
        check_eq!(account_says(&*broker).await?, (true, true, true, true));
        Ok(())
    }

    /// A container is deleted while an object update is under way: it comes back and goes again.
    #[case(Core, clauses = ["LIFE-4", "DELETE-1", "DELETE-2", "DELETE-3"])]
    async fn container_life_with_a_late_object(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let changed = async |expected: u64| -> Check {
            let found = broker.get_info().await?.store.status_changed_at;
            check_eq!(found, at(expected), "status_changed_at");
            Ok(())
        };
        let entry = MetadataEntry::new("k", "v", "0000000001.00000");
        broker.update_metadata(&[entry], None).await?;
        broker.put_object(put("o", 2)).await?;
        broker.delete(seconds(5)).await?;
        check_eq!(
            container_says(&*broker).await?,
            (false, false, false),
            "with an object"
        );
        let metadata = broker.get_info().await?.store.metadata()?;
        check!(
            metadata.get("k").is_some_and(MetadataEntry::is_removed),
            "metadata stays"
        );
        changed(5).await?;
        broker.put_object(deleted("o", 6)).await?;
        check_eq!(
            container_says(&*broker).await?,
            (true, true, true),
            "without it"
        );
        changed(5).await?;
        broker.update_put_timestamp(seconds(7)).await?;
        check_eq!(
            container_says(&*broker).await?,
            (false, true, false),
            "after a newer PUT"
        );
        check_eq!(broker.get_info().await?.store.status, "DELETED");
        changed(5).await?;
        broker.delete(seconds(8)).await?;
        broker.put_object(put("late", 9)).await?;
        check_eq!(
            container_says(&*broker).await?,
            (false, false, false),
            "with a late object"
        );
        changed(8).await
    }

    /// Deleting with an older timestamp blanks nothing newer and moves nothing back but the status.
    #[case(Core, clauses = ["DELETE-1", "DELETE-2"])]
    async fn deleting_an_account_blanks_older_metadata(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let a = MetadataEntry::new("A", "v", at(3).as_str());
        let b = MetadataEntry::new("B", "v", at(9).as_str());
        broker.update_metadata(&[a, b.clone()], None).await?;
        // Delete timestamp of the call; then that of A, and of the store.
        for (call, blanked, stored) in [(5, 5, 5), (4, 5, 5), (8, 8, 8)] {
            broker.delete(seconds(call)).await?;
            let store = broker.get_info().await?.store;
            let a = MetadataEntry::new("A", "", at(blanked).as_str());
            check_eq!(
                store.metadata()?.entries(),
                [a, b.clone()],
                "after delete at {call}"
            );
            let found = (
                store.status.as_str(),
                store.delete_timestamp,
                store.status_changed_at,
            );
            check_eq!(
                found,
                ("DELETED", at(stored), at(stored)),
                "after delete at {call}"
            );
        }
        Ok(())
    }

    /// A DELETE that comes too late to count still blanks what is older than itself.
    #[case(Core, clauses = ["DELETE-1", "DELETE-2"])]
    async fn late_deletion_blanks_older_metadata(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        broker.delete(seconds(5)).await?;
        let entry = MetadataEntry::new("k", "v", at(3).as_str());
        broker.update_metadata(&[entry], None).await?;
        broker.delete(seconds(4)).await?;
        let store = broker.get_info().await?.store;
        let blank = MetadataEntry::new("k", "", at(4).as_str());
        check_eq!(store.metadata()?.entries(), [blank]);
        check_eq!(store.delete_timestamp, at(5));
        Ok(())
    }

    /// A DELETE that is older than the PUT marks an account deleted all the same.
    #[case(Core, clauses = ["DELETE-2", "DELETE-3", "LIFE-3"])]
    async fn account_deleted_with_an_older_timestamp_is_deleted(fixture: Fixture) -> Check {
        let broker = fixture.account_broker();
        create_account(&*broker, &at(6)).await?;
        broker.delete(seconds(5)).await?;
        let store = broker.get_info().await?.store;
        check_eq!(
            (store.put_timestamp, store.delete_timestamp),
            (at(6), at(5))
        );
        check_eq!(
            (store.status.as_str(), store.status_changed_at),
            ("DELETED", at(5))
        );
        check_eq!(account_says(&*broker).await?, (true, true, true, false));
        Ok(())
    }

    /// The initial delete timestamp sorts before zero as text: even a deletion at zero takes effect.
    #[case(Core, clauses = ["DELETE-2"])]
    async fn deleting_at_zero_takes_effect_once(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        broker.delete(Timestamp::ZERO).await?;
        let store = broker.get_info().await?.store;
        check_eq!(store.delete_timestamp.as_str(), "0000000000.00000");
        check_eq!(store.status, "DELETED");
        Ok(())
    }

    /// A deletion that shares its moment with another is ordered by its offset.
    #[case(Core, clauses = ["DELETE-2"])]
    async fn deleting_again_needs_a_later_timestamp(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        broker.delete(seconds(5)).await?;
        broker.update_status_changed_at(seconds(7)).await?;
        broker.delete(seconds(5)).await?;
        check_eq!(
            broker.get_info().await?.store.status_changed_at,
            at(7),
            "the same once more"
        );
        broker.delete(offset(5, 1)).await?;
        let store = broker.get_info().await?.store;
        let expected = "0000000005.00000_0000000000000001";
        check_eq!(store.delete_timestamp.as_str(), expected);
        check_eq!(store.status_changed_at.as_str(), expected, "it moves back");
        Ok(())
    }

    /// Deleting a container keeps what ties a shard to its root, in any case of letters.
    #[case(Core, clauses = ["DELETE-1"])]
    async fn deleting_a_container_keeps_sharding_sysmeta(fixture: Fixture) -> Check {
        let keep = [
            "X-Container-Sysmeta-Shard-Quoted-Root",
            "X-Container-Sysmeta-Shard-Root",
            "x-container-sysmeta-SHARDING",
        ];
        let blank = [
            "X-Container-Sysmeta-Shard-Context-1",
            "X-Container-Meta-A",
            "X-Container-Read",
        ];
        let entries: Vec<_> = keep
            .iter()
            .chain(&blank)
            .map(|key| MetadataEntry::new(*key, "v", at(1).as_str()))
            .collect();
        let container = fixture.container().await?;
        container.update_metadata(&entries, None).await?;
        container.delete(seconds(5)).await?;
        let metadata = container.get_info().await?.store.metadata()?;
        let removed = |keys: &[&str]| {
            keys.iter()
                .filter(|key| metadata.get(key).is_some_and(|e| e.is_removed()))
                .count()
        };
        check_eq!((removed(&keep), removed(&blank)), (0, 3));
        let account = fixture.account().await?;
        account.update_metadata(&entries, None).await?;
        account.delete(seconds(5)).await?;
        let metadata = account.get_info().await?.store.metadata()?;
        let left = metadata
            .entries()
            .iter()
            .filter(|entry| !entry.is_removed())
            .count();
        check_eq!(left, 0, "an account keeps nothing");
        Ok(())
    }

    /// Deletion is logical: rows stay for replication, and the put timestamp for comparison.
    #[case(Core, clauses = ["DELETE-3"])]
    async fn deleting_leaves_rows_and_put_timestamp(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(
            &*broker,
            vec![put("o", 2), object("p", "0000000003.00000+a+0")],
        )
        .await?;
        let before = (
            broker.get_info().await?,
            super::object_rows(&*broker).await?,
        );
        broker.delete(seconds(9)).await?;
        let after = (
            broker.get_info().await?,
            super::object_rows(&*broker).await?,
        );
        check_eq!(after.1, before.1);
        check_eq!(after.0.store.put_timestamp, before.0.store.put_timestamp);
        check_eq!(after.0.store.created_at, before.0.store.created_at);
        check_eq!(
            (after.0.store.hash, after.0.policy_stats),
            (before.0.store.hash, before.0.policy_stats)
        );
        Ok(())
    }

    /// Completing what an older version wrote must not disturb a current store.
    #[case(Core, clauses = ["LIFE-2"])]
    async fn upgrading_a_current_store_changes_nothing(fixture: Fixture) -> Check {
        let account = fixture.account().await?;
        let reports = vec![report("c", "1", "0", 3, 30), report("d", "1", "2", 0, 0)];
        merge_reports(&*account, reports).await?;
        let before = (
            account.get_info().await?,
            super::container_rows(&*account).await?,
        );
        account.upgrade().await?;
        check_eq!(
            (
                account.get_info().await?,
                super::container_rows(&*account).await?
            ),
            before
        );
        let counted = before
            .0
            .policy_stats
            .iter()
            .all(|stat| stat.container_count.is_some());
        check!(counted, "a statistic without a container count");
        let container = fixture.container().await?;
        merge(&*container, vec![put("o", 2), deleted("p", 2)]).await?;
        let before = (
            container.get_info().await?,
            super::object_rows(&*container).await?,
        );
        container.upgrade().await?;
        check_eq!(
            (
                container.get_info().await?,
                super::object_rows(&*container).await?
            ),
            before
        );
        Ok(())
    }
}
