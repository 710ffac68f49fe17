//! Storage policies of containers.

use super::{deleted, merge, object_rows, put};
use crate::case::cases;
use crate::check::{Check, check, check_eq};
use crate::fixture::{at, seconds};
use broker_api::{ContainerBroker, ContainerBrokerExt, PolicyIndex, PolicyStat};

fn stat(index: i64, object_count: i64, bytes_used: i64) -> PolicyStat {
    PolicyStat {
        policy_index: PolicyIndex(index),
        object_count,
        bytes_used,
    }
}

async fn set(broker: &dyn ContainerBroker, index: i64, at: u64) -> Check {
    Ok(broker
        .set_storage_policy_index(PolicyIndex(index), seconds(at))
        .await?)
}

cases! {
    /// Moving a container to another policy is a status change; setting the same one is not.
    #[case(Core, clauses = ["POLICY-1"])]
    async fn new_policy_gets_a_statistic_and_changes_the_status(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        // Index and time of the call; then when the status changed.
        for (index, time, changed) in [(0, 9, 1), (111, 10, 10), (222, 20, 20), (222, 30, 20)] {
            set(&*broker, index, time).await?;
            let info = broker.get_info().await?;
            check_eq!(info.policy_index, PolicyIndex(index));
            check_eq!(
                info.store.status_changed_at,
                at(changed),
                "policy {index} at {time}"
            );
        }
        let info = broker.get_info().await?;
        check_eq!(
            info.policy_stats,
            vec![stat(0, 0, 0), stat(111, 0, 0), stat(222, 0, 0)]
        );
        check!(
            info.has_multiple_policies(),
            "three statistics are one policy"
        );
        check_eq!(
            (info.store.status.as_str(), info.store.put_timestamp),
            ("", at(1))
        );
        Ok(())
    }

    /// A policy set with an old time is set, but the time of the last change does not go back.
    #[case(Core, clauses = ["POLICY-1"])]
    async fn older_policy_change_keeps_the_later_time(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        broker.update_status_changed_at(seconds(50)).await?;
        set(&*broker, 2, 20).await?;
        let info = broker.get_info().await?;
        check_eq!(
            (info.policy_index.0, info.store.status_changed_at),
            (2, at(50))
        );
        Ok(())
    }

    /// Counts follow the container's policy; the objects stay where they are.
    #[case(Core, clauses = ["POLICY-2", "INFO-2"])]
    async fn counts_follow_the_own_policy(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(
            &*broker,
            vec![
                put("a", 2),
                put("b", 2),
                put("c", 2).in_policy(PolicyIndex(1)),
            ],
        )
        .await?;
        let rows = object_rows(&*broker).await?;
        for (index, count) in [(0, 2), (1, 1), (2, 0), (0, 2)] {
            set(&*broker, index, 5).await?;
            let info = broker.get_info().await?;
            check_eq!(
                (info.object_count(), info.bytes_used()),
                (count, count),
                "policy {index}"
            );
            check_eq!(info.policy_stats[..2], [stat(0, 2, 2), stat(1, 1, 1)]);
        }
        check_eq!(object_rows(&*broker).await?, rows);
        Ok(())
    }

    /// A container is not removed from disk while it holds an object in the wrong policy.
    #[case(Core, clauses = ["POLICY-2", "LIFE-4"])]
    async fn misplaced_object_keeps_a_deleted_container(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![put("m", 2).in_policy(PolicyIndex(1))]).await?;
        broker.delete(seconds(5)).await?;
        let info = broker.get_info().await?;
        check_eq!((info.is_deleted(), info.is_empty()), (true, false));
        check!(!info.is_reclaimable(seconds(100)), "it may be removed");
        set(&*broker, 1, 6).await?;
        check_eq!(
            broker.is_deleted().await?,
            false,
            "once its policy is the container's"
        );
        merge(&*broker, vec![deleted("m", 7).in_policy(PolicyIndex(1))]).await?;
        check!(
            broker.get_info().await?.is_reclaimable(seconds(100)),
            "it may not be removed"
        );
        Ok(())
    }

    /// Emptiness looks at the largest count, so a negative one beside a zero is empty.
    #[case(Core, clauses = ["LIFE-4"])]
    async fn emptiness_looks_at_the_largest_count(fixture: Fixture) -> Check {
        let broker = fixture.container_of_policy(1).await?;
        check_eq!(broker.get_info().await?.is_empty(), true);
        merge(&*broker, vec![put("a", 2)]).await?;
        check_eq!(broker.get_info().await?.is_empty(), false);
        merge(&*broker, vec![deleted("a", 3)]).await?;
        check_eq!(broker.get_info().await?.is_empty(), true);
        Ok(())
    }
}
