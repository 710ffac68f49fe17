//! Merging container records into an account.

use super::{container_rows, merge_reports, report, spelled};
use crate::case::cases;
use crate::check::{Check, check, check_eq, check_refused};
use broker_api::{
    AccountBroker, AccountBrokerExt, BrokerExt, ContainerRecord, ContainerRow, Direction,
    MergeOptions, PolicyIndex, RowId,
};

fn in_policy(record: ContainerRecord, policy: i64) -> ContainerRecord {
    ContainerRecord {
        policy_index: PolicyIndex(policy),
        ..record
    }
}

fn flagged(record: ContainerRecord, deleted: bool) -> ContainerRecord {
    ContainerRecord { deleted, ..record }
}

fn from_row(record: ContainerRecord, row_id: i64) -> ContainerRecord {
    ContainerRecord {
        row_id: Some(RowId(row_id)),
        ..record
    }
}

/// A record that says nothing but a name.
fn bare(name: &str) -> ContainerRecord {
    ContainerRecord {
        put_timestamp: None,
        delete_timestamp: None,
        object_count: None,
        bytes_used: None,
        ..report(name, "0", "0", 0, 0)
    }
}

/// Seconds as stored by callers that normalise.
fn t(seconds: u64) -> String {
    crate::fixture::at(seconds).as_str().to_owned()
}

async fn one_row(broker: &dyn AccountBroker) -> Check<ContainerRow> {
    let mut rows = container_rows(broker).await?;
    check_eq!(rows.len(), 1, "number of rows");
    Ok(rows.remove(0))
}

/// Policy index, containers, objects, bytes.
async fn stats(broker: &dyn AccountBroker) -> Check<Vec<(i64, i64, i64, i64)>> {
    let stats = broker.get_info().await?.policy_stats.into_iter();
    let count = |count: Option<i64>| count.unwrap_or(-1);
    Ok(stats
        .map(|s| {
            (
                s.policy_index.0,
                count(s.container_count),
                s.object_count,
                s.bytes_used,
            )
        })
        .collect())
}

cases! {
    /// What a container server reports is what the account lists.
    #[case(Core, clauses = ["ACCOUNT-MERGE-1", "ACCOUNT-MERGE-2", "VALUE-2"])]
    async fn new_record_is_stored_as_it_is(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        merge_reports(&*broker, vec![in_policy(report("c", "5", "0", 3, 30), 2)]).await?;
        let expected = ContainerRow {
            row_id: RowId(1),
            name: "c".into(),
            put_timestamp: spelled("5"),
            delete_timestamp: spelled("0"),
            object_count: 3,
            bytes_used: 30,
            deleted: false,
            policy_index: PolicyIndex(2),
        };
        check_eq!(one_row(&*broker).await?, expected);
        Ok(())
    }

    /// Peers rely on every merge giving a fresh number, changed or not.
    #[case(Core, clauses = ["ACCOUNT-MERGE-3", "HASH-2"])]
    async fn identical_record_takes_a_new_number(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let record = report("c", &t(5), "0", 3, 30);
        merge_reports(&*broker, vec![record.clone()]).await?;
        let (first, hash) = (
            one_row(&*broker).await?,
            broker.get_info().await?.store.hash,
        );
        merge_reports(&*broker, vec![record]).await?;
        let second = one_row(&*broker).await?;
        check_eq!(
            second,
            ContainerRow {
                row_id: RowId(2),
                ..first
            }
        );
        let info = broker.get_info().await?;
        check_eq!((info.store.hash, info.store.max_row), (hash, RowId(2)));
        check_eq!(
            (info.container_count, info.object_count, info.bytes_used),
            (1, 3, 30)
        );
        Ok(())
    }

    /// Timestamps keep the later; counts and policy are those that came last, however old.
    #[case(Core, clauses = ["ACCOUNT-MERGE-1", "INFO-2"])]
    async fn counts_and_policy_come_from_the_last_arrival(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        merge_reports(&*broker, vec![report("c", &t(5), "0", 3, 30)]).await?;
        let older = in_policy(report("c", &t(4), &t(2), 1, 10), 2);
        merge_reports(&*broker, vec![older]).await?;
        let row = one_row(&*broker).await?;
        check_eq!(
            (row.put_timestamp, row.delete_timestamp),
            (spelled(&t(5)), spelled(&t(2)))
        );
        check_eq!(
            (row.object_count, row.bytes_used, row.policy_index.0),
            (1, 10, 2)
        );
        check_eq!(stats(&*broker).await?, [(0, 0, 0, 0), (2, 1, 1, 10)]);
        Ok(())
    }

    /// Offsets order reports of one moment.
    #[case(Core, clauses = ["ACCOUNT-MERGE-1"])]
    async fn timestamps_are_compared_by_value(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let later = "0000000005.00000_0000000000000001";
        merge_reports(&*broker, vec![report("c", later, "0", 0, 0)]).await?;
        merge_reports(&*broker, vec![report("c", &t(5), &t(5), 0, 0)]).await?;
        let row = one_row(&*broker).await?;
        check_eq!((row.put_timestamp.as_str(), row.deleted), (later, false));
        // As text, 5 sorts after every normalised timestamp; by value it is an old one.
        merge_reports(&*broker, vec![report("c", "4", "4", 0, 0)]).await?;
        check_eq!(one_row(&*broker).await?.put_timestamp.as_str(), later);
        merge_reports(&*broker, vec![report("c", "6", "0", 0, 0)]).await?;
        check_eq!(one_row(&*broker).await?.put_timestamp.as_str(), "6");
        Ok(())
    }

    /// The flag of a record is trusted once, for a new row; after that the timestamps decide.
    #[case(Core, clauses = ["ACCOUNT-MERGE-2"])]
    async fn deleted_is_trusted_once_and_then_recomputed(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        // Stored put; then the record's put, delete, objects and flag; then what the row says.
        let table = [
            (Some(5), (4, 6, 1, true), false),
            (Some(5), (4, 6, 0, false), true),
            (None, (4, 6, 0, false), false),
            (None, (7, 6, 0, true), true),
            (Some(5), (4, 5, 0, true), false),
            (Some(5), (4, 6, -1, true), false),
        ];
        for (number, (stored, (put, delete, objects, flag), expected)) in
            table.into_iter().enumerate()
        {
            let name = format!("c{number}");
            if let Some(stored) = stored {
                merge_reports(&*broker, vec![report(&name, &t(stored), "0", 3, 30)]).await?;
            }
            let record = flagged(report(&name, &t(put), &t(delete), objects, 0), flag);
            merge_reports(&*broker, vec![record]).await?;
            let rows = container_rows(&*broker).await?;
            let row = rows.iter().find(|row| row.name == name);
            check_eq!(
                row.map(|row| row.deleted),
                Some(expected),
                "row {}",
                number + 1
            );
        }
        Ok(())
    }

    /// Old reports are spelled without zeros: what is later is judged by value, not by their text.
    #[case(Core, clauses = ["ACCOUNT-MERGE-2"])]
    async fn deletion_of_a_container_is_judged_by_value(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        // Put and delete timestamp; then what the row says.
        let table = [
            ("0000000010.00000", "9", false),
            ("9", "0000000010.00000", true),
        ];
        for (number, (put, delete, expected)) in table.into_iter().enumerate() {
            let name = format!("c{number}");
            merge_reports(&*broker, vec![report(&name, "1", "0", 3, 30)]).await?;
            merge_reports(&*broker, vec![report(&name, put, delete, 0, 0)]).await?;
            let rows = container_rows(&*broker).await?;
            let row = rows.iter().find(|row| row.name == name);
            check_eq!(row.map(|row| row.deleted), Some(expected), "{name}");
        }
        Ok(())
    }

    /// A container that was deleted and put again comes back.
    #[case(Core, clauses = ["ACCOUNT-MERGE-2", "LIST-6"])]
    async fn newer_put_revives_a_deleted_container(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        broker.put_container(report("c", &t(5), "0", 0, 0)).await?;
        broker.put_container(report("c", "0", &t(6), 0, 0)).await?;
        check_eq!(broker.get_info().await?.container_count, 0);
        let shown = super::list_containers(&*broker, &broker_api::ListingQuery::new(9)).await?;
        check_eq!(shown, Vec::<String>::new());
        broker.put_container(report("c", &t(7), "0", 2, 20)).await?;
        let row = one_row(&*broker).await?;
        check_eq!(
            (row.deleted, row.delete_timestamp.as_str()),
            (false, t(6).as_str())
        );
        check_eq!(broker.get_info().await?.container_count, 1);
        Ok(())
    }

    /// What a record does not know comes from the row that is there.
    #[case(Core, clauses = ["ACCOUNT-MERGE-1", "ACCOUNT-MERGE-3"])]
    async fn lacking_values_come_from_the_row(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        merge_reports(&*broker, vec![report("c", &t(5), &t(1), 3, 30)]).await?;
        let first = one_row(&*broker).await?;
        merge_reports(&*broker, vec![bare("c")]).await?;
        check_eq!(
            one_row(&*broker).await?,
            ContainerRow {
                row_id: RowId(2),
                ..first
            }
        );
        Ok(())
    }

    /// A record that lacks a value that no row has would poison the account: the batch is refused.
    #[case(Core, clauses = ["MERGE-1", "ACCOUNT-MERGE-1"])]
    async fn lacking_value_without_a_row_refuses_the_batch(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        merge_reports(&*broker, vec![report("a", &t(5), "0", 1, 1)]).await?;
        let before = (broker.get_info().await?, container_rows(&*broker).await?);
        let without: [fn(&mut ContainerRecord); 4] = [
            |record| record.put_timestamp = None,
            |record| record.delete_timestamp = None,
            |record| record.object_count = None,
            |record| record.bytes_used = None,
        ];
        for remove in without {
            let mut record = report("new", &t(5), "0", 1, 1);
            remove(&mut record);
            let batch = vec![
                report("a", &t(9), "0", 7, 7),
                report("b", &t(5), "0", 1, 1),
                record,
            ];
            let answer = broker
                .merge_items(batch.clone(), MergeOptions::default())
                .await;
            check_refused!(answer, InvalidInput);
            let answer = broker.merge_items(batch, MergeOptions::put()).await;
            check_refused!(answer, InvalidInput);
        }
        check_eq!(
            (broker.get_info().await?, container_rows(&*broker).await?),
            before
        );
        Ok(())
    }

    /// One container reported twice in a batch is merged twice, and numbered twice.
    #[case(Core, clauses = ["ACCOUNT-MERGE-3", "INFO-3", "INFO-2"])]
    async fn every_record_of_a_batch_counts_a_number(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let batch = vec![report("a", &t(6), "0", 1, 1), report("a", &t(5), "0", 2, 2)];
        merge_reports(&*broker, batch).await?;
        let row = one_row(&*broker).await?;
        check_eq!(
            (row.row_id, row.object_count, row.bytes_used),
            (RowId(2), 2, 2)
        );
        check_eq!(row.put_timestamp.as_str(), t(6));
        check_eq!(broker.get_info().await?.store.max_row, RowId(2));
        check_eq!(stats(&*broker).await?, [(0, 1, 2, 2)]);
        Ok(())
    }

    /// An empty account batch changes nothing.
    #[case(Core, clauses = ["ACCOUNT-MERGE-3"])]
    async fn empty_batch_changes_nothing(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let before = broker.get_info().await?;
        merge_reports(&*broker, vec![]).await?;
        broker.merge_items(vec![], MergeOptions::put()).await?;
        check_eq!(broker.get_info().await?, before);
        Ok(())
    }

    /// Spelling is part of the row: equal values of other spelling hash otherwise.
    #[case(Core, clauses = ["VALUE-2", "HASH-2"])]
    async fn timestamps_keep_their_spelling(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let mut hashes = Vec::new();
        for spelling in ["5", "5.0", "0000000005.00000"] {
            merge_reports(&*broker, vec![report("c", spelling, "0", 3, 30)]).await?;
            check_eq!(one_row(&*broker).await?.put_timestamp.as_str(), spelling);
            hashes.push(broker.get_info().await?.store.hash);
        }
        hashes.dedup();
        check_eq!(hashes.len(), 3, "different hashes");
        Ok(())
    }

    /// The account's point for a source is the largest number of the batch, unlike a container's.
    #[case(Replication, clauses = ["ACCOUNT-MERGE-4", "SYNC-1"])]
    async fn source_point_is_the_largest_number(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let source = |id: &str| MergeOptions::from_source(id);
        let batch = vec![
            from_row(report("a", "5", "0", 1, 1), 9),
            from_row(report("b", "5", "0", 1, 1), 5),
        ];
        broker.merge_items(batch, source("R")).await?;
        check_eq!(broker.sync_point("R", Direction::Incoming).await?, RowId(9));
        let lower = vec![from_row(report("a", "5", "0", 1, 1), 3)];
        broker.merge_items(lower, source("R")).await?;
        check_eq!(broker.sync_point("R", Direction::Incoming).await?, RowId(9));
        broker.merge_items(vec![], source("empty")).await?;
        let points = broker.replicate().sync_points(Direction::Incoming).await?;
        let found: Vec<_> = points
            .iter()
            .map(|p| (p.remote_id.as_str(), p.sync_point.0))
            .collect();
        check_eq!(found, [("R", 9), ("empty", -1)]);
        check_eq!(
            broker.sync_point("R", Direction::Outgoing).await?,
            RowId::NONE
        );
        Ok(())
    }

    /// A record of a source without a number is refused, and with it the batch.
    #[case(Replication, clauses = ["ACCOUNT-MERGE-4", "MERGE-1"])]
    async fn source_without_numbers_is_refused(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let batch = vec![
            from_row(report("a", "5", "0", 1, 1), 9),
            report("b", "5", "0", 1, 1),
        ];
        let answer = broker
            .merge_items(batch, MergeOptions::from_source("R"))
            .await;
        check_refused!(answer, InvalidInput);
        check_eq!(container_rows(&*broker).await?, vec![]);
        check_eq!(
            broker.sync_point("R", Direction::Incoming).await?,
            RowId::NONE
        );
        let info = broker.get_info().await?;
        check!(
            info.policy_stats.is_empty(),
            "a refused batch left statistics"
        );
        Ok(())
    }
}
