//! Batches of object records: folding, numbering, atomicity.

use super::{
    deleted, everything, list, merge, numbered, object, object_row, object_rows, put, triple,
};
use crate::case::cases;
use crate::check::{check, check_eq, check_refused};
use crate::fixture::seconds;
use crate::shown;
use broker_api::{
    BrokerExt, ContainerBrokerExt, Direction, MergeOptions, ObjectRecord, PolicyIndex, RowId,
};

fn sized(name: &str, at: u64, size: i64) -> ObjectRecord {
    ObjectRecord {
        size,
        ..put(name, at)
    }
}

cases! {
    /// A batch folds in order, and each object gets one row, numbered by its first win.
    #[case(Core, clauses = ["OBJECT-MERGE-3", "INFO-3"])]
    async fn batch_gives_each_object_one_row(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(
            &*broker,
            vec![
                sized("a", 5, 1),
                sized("b", 5, 2),
                sized("a", 6, 3),
                sized("c", 4, 4).in_policy(PolicyIndex(1)),
                sized("c", 3, 5),
            ],
        )
        .await?;
        let rows = object_rows(&*broker).await?.into_iter();
        let found: Vec<_> = rows
            .map(|r| (r.row_id.0, r.name, r.size, r.policy_index.0))
            .collect();
        let expected = [
            (1, "a", 3, 0),
            (2, "b", 2, 0),
            (3, "c", 4, 1),
            (4, "c", 5, 0),
        ];
        check_eq!(
            found,
            expected.map(|(id, n, s, p)| (id, n.to_owned(), s, p))
        );
        check_eq!(broker.get_info().await?.store.max_row, RowId(4));
        Ok(())
    }

    /// A record that loses against the stored row does not claim a number for its name.
    #[case(Core, clauses = ["OBJECT-MERGE-3"])]
    async fn numbers_follow_the_first_win(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![put("a", 3)]).await?;
        merge(&*broker, vec![put("a", 2), put("b", 5), put("a", 6)]).await?;
        let expected = [(2, "b", "0000000005.00000"), (3, "a", "0000000006.00000")];
        check_eq!(
            numbered(&*broker).await?,
            expected.map(|(id, name, at)| (id, name.to_owned(), at.to_owned()))
        );
        Ok(())
    }

    /// Within a batch, a record that would lose to the one before it still brings its later parts.
    #[case(Core, clauses = ["OBJECT-MERGE-3", "OBJECT-MERGE-1"])]
    async fn parts_of_one_object_fold_within_a_batch(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let old = ObjectRecord::put("a", seconds(3), 10, "text/old", "E0");
        merge(&*broker, vec![old]).await?;
        let five = ObjectRecord::put("a", seconds(5), 50, "text/five", "E5");
        let parts = ObjectRecord {
            created_at: triple(seconds(2), seconds(6), seconds(8)),
            ..ObjectRecord::put("a", seconds(2), 99, "text/new", "E9")
        };
        merge(&*broker, vec![five, parts]).await?;
        let row = object_row(&*broker, "a").await?;
        let row = row.ok_or_else(|| crate::check::Failure::new("the row is gone"))?;
        check_eq!(row.created_at, "0000000005.00000+186a0+30d40");
        check_eq!(
            (row.size, row.etag.as_str(), row.content_type.as_str()),
            (50, "E5", "text/new")
        );
        check_eq!(row.row_id, RowId(2));
        Ok(())
    }

    /// Nothing to merge is nothing to do.
    #[case(Core, clauses = ["OBJECT-MERGE-2"])]
    async fn empty_batch_changes_nothing(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![put("a", 2)]).await?;
        let before = (broker.get_info().await?, object_rows(&*broker).await?);
        merge(&*broker, vec![]).await?;
        broker.merge_items(vec![], MergeOptions::put()).await?;
        check_eq!(
            (broker.get_info().await?, object_rows(&*broker).await?),
            before
        );
        Ok(())
    }

    /// Ten thousand rows in one batch, as replication sends them, are all there.
    #[case(Core, clauses = ["OBJECT-MERGE-3", "SINCE-1", "LIST-1"])]
    async fn large_batch_is_merged_whole(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let records: Vec<_> = (0..10_000)
            .map(|i| put(&format!("o{:05}", (i * 7919) % 10_000), 5))
            .collect();
        merge(&*broker, records.clone()).await?;
        let info = broker.get_info().await?;
        check_eq!((info.object_count(), info.bytes_used()), (10_000, 10_000));
        let rows = object_rows(&*broker).await?;
        check_eq!(rows.len(), 10_000, "rows");
        if let Some(max_row) = shown::max_row(&info.store) {
            check_eq!(max_row, RowId(10_000));
            let mut pairs = rows.iter().zip(&records);
            let in_order = pairs.all(|(row, record)| row.name == record.name);
            check!(in_order, "rows do not follow the batch");
        }
        let names = list(&*broker, &everything()).await?;
        check!(
            names.len() == 10_000 && names.is_sorted(),
            "the listing is not the batch, sorted"
        );
        Ok(())
    }

    /// A source's sync point moves with its rows, to the number of the last one.
    #[case(Replication, clauses = ["OBJECT-MERGE-4", "SYNC-1"])]
    async fn source_point_follows_the_last_record(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let from = |name: &str, row| ObjectRecord {
            row_id: Some(RowId(row)),
            ..put(name, 5)
        };
        let source = || MergeOptions::from_source("R");
        let point = async || broker.sync_point("R", Direction::Incoming).await;
        broker
            .merge_items(vec![from("a", 7), from("b", 5)], source())
            .await?;
        check_eq!(
            point().await?,
            RowId(5),
            "the last record's number, not the largest"
        );
        broker.merge_items(vec![from("c", 3)], source()).await?;
        check_eq!(point().await?, RowId(5), "a lower one");
        // Rows that win nothing were received all the same.
        broker.merge_items(vec![from("c", 9)], source()).await?;
        check_eq!(point().await?, RowId(9), "nothing new but the number");
        check_eq!(
            broker.sync_point("R", Direction::Outgoing).await?,
            RowId::NONE
        );
        check_eq!(
            broker.sync_point("S", Direction::Incoming).await?,
            RowId::NONE
        );
        check_eq!(object_rows(&*broker).await?.len(), 3);
        Ok(())
    }

    /// Without a number there is no sync point to take: the batch is refused as a whole.
    #[case(Replication, clauses = ["OBJECT-MERGE-4", "MERGE-1"])]
    async fn source_without_numbers_is_refused(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let source = || MergeOptions::from_source("R");
        check_refused!(broker.merge_items(vec![], source()).await, InvalidInput);
        let numbered = ObjectRecord {
            row_id: Some(RowId(7)),
            ..put("a", 5)
        };
        let batch = vec![numbered, put("b", 5)];
        check_refused!(broker.merge_items(batch, source()).await, InvalidInput);
        check_eq!(
            object_rows(&*broker).await?,
            vec![],
            "rows of a refused batch"
        );
        check_eq!(
            broker.sync_point("R", Direction::Incoming).await?,
            RowId::NONE
        );
        check_eq!(broker.get_info().await?.store.max_row, RowId::NONE);
        Ok(())
    }

    /// Numbers in records are those of another store: without a source they mean nothing here.
    #[case(Core, clauses = ["OBJECT-MERGE-3", "INFO-3"])]
    async fn numbers_of_records_are_not_taken_over(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let record = |name: &str, row| ObjectRecord {
            row_id: Some(RowId(row)),
            ..put(name, 5)
        };
        merge(&*broker, vec![record("a", 70), record("b", 5)]).await?;
        let ids: Vec<_> = object_rows(&*broker)
            .await?
            .iter()
            .map(|row| row.row_id.0)
            .collect();
        check_eq!(ids, [1, 2]);
        check_eq!(broker.get_info().await?.store.max_row, RowId(2));
        Ok(())
    }

    /// Live rows and tombstones of one batch, in any mixture, end as if they had come alone.
    #[case(Core, clauses = ["OBJECT-MERGE-5", "OBJECT-MERGE-3", "HASH-1"])]
    async fn batch_equals_its_records_one_by_one(fixture: Fixture) -> Check {
        let records = vec![
            put("a", 5),
            deleted("a", 6),
            put("b", 3),
            object("b", "0000000002.00000+f4240+5"),
            deleted("c", 9),
            put("c", 8),
            put("a", 7),
            object("a", "0000000006.50000-a+14"),
        ];
        let kind = broker_api::StoreKind::Container;
        let batch = fixture.container_at(&fixture.location(kind, 1));
        let single = fixture.container_at(&fixture.location(kind, 2));
        for broker in [&batch, &single] {
            crate::fixture::create_container(&**broker, &crate::fixture::at(1), 0).await?;
        }
        merge(&*batch, records.clone()).await?;
        for record in records {
            merge(&*single, vec![record]).await?;
        }
        let rows = async |broker: &dyn broker_api::ContainerBroker| {
            let mut rows = object_rows(broker).await?;
            rows.iter_mut().for_each(|row| row.row_id = RowId::NONE);
            rows.sort_by(|a, b| a.name.cmp(&b.name));
            Ok::<_, crate::check::Failure>(rows)
        };
        check_eq!(rows(&*batch).await?, rows(&*single).await?);
        let (batch, single) = (batch.get_info().await?, single.get_info().await?);
        check_eq!(batch.store.hash, single.store.hash);
        check_eq!(batch.policy_stats, single.policy_stats);
        Ok(())
    }
}
