//! Rows by number, and their removal.

use super::{MANY, container_rows, deleted, merge, merge_reports, object_rows, put, report};
use crate::case::cases;
use crate::check::{check, check_eq};
use broker_api::{
    ContainerBroker, ContainerBrokerExt, ObjectRecord, PolicyIndex, RemoveObjects, RowFilter, RowId,
};

fn in_policy(record: ObjectRecord, policy: i64) -> ObjectRecord {
    record.in_policy(PolicyIndex(policy))
}

fn bounds(lower: &str, upper: &str, max_row: Option<i64>) -> RemoveObjects {
    RemoveObjects {
        lower: lower.into(),
        upper: upper.into(),
        max_row: max_row.map(RowId),
    }
}

/// Names of all rows by number, tombstones and every policy included.
async fn names(broker: &dyn ContainerBroker) -> crate::check::Check<Vec<String>> {
    Ok(object_rows(broker)
        .await?
        .into_iter()
        .map(|row| row.name)
        .collect())
}

cases! {
    /// Replication reads pages of rows by number: one skipped is never sent.
    #[case(Replication, clauses = ["SINCE-1"])]
    async fn object_rows_come_by_number_in_pages(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let batch = ["d", "b", "c", "a"].map(|name| put(name, 2)).to_vec();
        merge(&*broker, batch).await?;
        merge(&*broker, vec![deleted("b", 3), in_policy(put("b", 3), 1)]).await?;
        let expected = [("d", 1), ("c", 3), ("a", 4), ("b", 5), ("b", 6)];
        let all = object_rows(&*broker).await?;
        let found: Vec<_> = all
            .iter()
            .map(|row| (row.name.as_str(), row.row_id.0))
            .collect();
        check_eq!(found, expected);
        for page in 1..7 {
            let (mut start, mut seen) = (RowId::NONE, Vec::new());
            loop {
                let rows = broker.items_since(start, page, RowFilter::All).await?;
                check!(
                    rows.len() <= page,
                    "{} rows in a page of {page}",
                    rows.len()
                );
                let Some(last) = rows.last() else { break };
                start = last.row_id;
                seen.extend(rows);
                check!(seen.len() <= all.len(), "pages of {page} repeat rows");
            }
            check_eq!(seen, all, "pages of {page}");
        }
        Ok(())
    }

    /// An account's rows come in the same way.
    #[case(Replication, clauses = ["SINCE-1"])]
    async fn container_rows_come_by_number_in_pages(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let batch = vec![
            report("b", "1", "0", 1, 1),
            report("a", "1", "2", 0, 0),
            report("c", "1", "0", 1, 1),
        ];
        merge_reports(&*broker, batch).await?;
        merge_reports(&*broker, vec![report("b", "3", "0", 2, 2)]).await?;
        let all = container_rows(&*broker).await?;
        let found: Vec<_> = all
            .iter()
            .map(|row| (row.name.as_str(), row.row_id.0, row.deleted))
            .collect();
        check_eq!(found, [("a", 2, true), ("c", 3, false), ("b", 4, false)]);
        let mut start = RowId::NONE;
        for row in &all {
            check_eq!(
                broker.items_since(start, 1).await?,
                std::slice::from_ref(row)
            );
            start = row.row_id;
        }
        check_eq!(broker.items_since(start, 1).await?, vec![]);
        Ok(())
    }

    /// A start between or past the numbers, and a limit of nothing.
    #[case(Replication, clauses = ["SINCE-1"])]
    async fn start_is_exclusive_and_limit_zero_is_nothing(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![put("a", 2), put("b", 2), put("c", 2)]).await?;
        merge(&*broker, vec![put("b", 3)]).await?;
        for (start, expected) in [
            (-1, 3),
            (0, 3),
            (1, 2),
            (2, 2),
            (3, 1),
            (4, 0),
            (100, 0),
            (i64::MAX, 0),
        ] {
            for filter in [RowFilter::All, RowFilter::Misplaced] {
                let rows = broker.items_since(RowId(start), MANY, filter).await?.len();
                let expected = if filter == RowFilter::All {
                    expected
                } else {
                    0
                };
                check_eq!(rows, expected, "rows after {start}, {filter:?}");
            }
        }
        check_eq!(
            broker.items_since(RowId::NONE, 0, RowFilter::All).await?,
            vec![]
        );
        check_eq!(
            broker
                .items_since(RowId::NONE, usize::MAX, RowFilter::All)
                .await?
                .len(),
            3
        );
        Ok(())
    }

    /// The reconciler moves what is in the wrong policy, deletions too.
    #[case(Replication, clauses = ["SINCE-2"])]
    async fn misplaced_rows_are_those_of_other_policies(fixture: Fixture) -> Check {
        let broker = fixture.container_of_policy(1).await?;
        merge(
            &*broker,
            vec![
                in_policy(put("a", 2), 1),
                put("b", 2),
                in_policy(deleted("c", 2), 2),
            ],
        )
        .await?;
        let misplaced = async |start: i64, limit| {
            let rows = broker
                .items_since(RowId(start), limit, RowFilter::Misplaced)
                .await?;
            let rows = rows
                .into_iter()
                .map(|row| (row.row_id.0, row.name, row.deleted));
            Ok::<_, crate::check::Failure>(rows.collect::<Vec<_>>())
        };
        let (b, c) = ((2, "b".to_owned(), false), (3, "c".to_owned(), true));
        check_eq!(misplaced(-1, 10).await?, [b.clone(), c.clone()]);
        check_eq!(misplaced(-1, 1).await?, [b]);
        check_eq!(misplaced(2, 10).await?, [c]);
        check_eq!(misplaced(3, 10).await?, []);
        broker
            .set_storage_policy_index(PolicyIndex(2), crate::fixture::seconds(5))
            .await?;
        let names: Vec<_> = misplaced(-1, 10)
            .await?
            .into_iter()
            .map(|row| row.1)
            .collect();
        check_eq!(names, ["a", "b"], "after the policy changed");
        Ok(())
    }

    /// A shard's rows leave its root: the lower bound stays, the upper one goes.
    #[case(Core, clauses = ["REMOVE-1"])]
    async fn removal_bounds_are_exclusive_below_and_inclusive_above(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let all = ["a", "b", "b\0", "c", "c\u{10ffff}", "d"];
        // Bounds, and what is left.
        let table: [(&str, &str, &[&str]); 5] = [
            ("a", "c", &["a", "c\u{10ffff}", "d"]),
            ("", "b", &["b\0", "c", "c\u{10ffff}", "d"]),
            ("c", "", &["a", "b", "b\0", "c"]),
            ("x", "y", &all),
            ("", "", &[]),
        ];
        for (time, (lower, upper, left)) in table.into_iter().enumerate() {
            merge(
                &*broker,
                all.iter().map(|name| put(name, time as u64 + 2)).collect(),
            )
            .await?;
            broker.remove_objects(&bounds(lower, upper, None)).await?;
            let mut found = names(&*broker).await?;
            found.sort();
            check_eq!(found, left, "after removing ({lower:?}, {upper:?}]");
            check_eq!(broker.get_info().await?.object_count(), left.len() as i64);
        }
        Ok(())
    }

    /// Rows that came after cleaving stay: the number bounds the removal.
    #[case(Core, clauses = ["REMOVE-1"])]
    async fn removal_is_bounded_by_row_number(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(
            &*broker,
            ["a", "b", "c", "d"].map(|name| put(name, 1)).to_vec(),
        )
        .await?;
        for bound in [-1, 0] {
            broker.remove_objects(&bounds("", "", Some(bound))).await?;
            check_eq!(
                names(&*broker).await?,
                ["a", "b", "c", "d"],
                "bound {bound}"
            );
        }
        broker.remove_objects(&bounds("a", "c", Some(2))).await?;
        check_eq!(names(&*broker).await?, ["a", "c", "d"]);
        broker.remove_objects(&bounds("", "", Some(3))).await?;
        check_eq!(names(&*broker).await?, ["d"]);
        broker
            .remove_objects(&bounds("", "", Some(i64::MAX)))
            .await?;
        check_eq!(names(&*broker).await?, Vec::<String>::new());
        Ok(())
    }

    /// Removal takes every policy and tombstones, and leaves no tombstone itself.
    #[case(Core, clauses = ["REMOVE-1", "INFO-2"])]
    async fn removal_takes_every_policy_and_tombstones(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(
            &*broker,
            vec![
                put("a", 2),
                in_policy(put("a", 2), 1),
                deleted("b", 2),
                put("c", 2),
            ],
        )
        .await?;
        broker.remove_objects(&bounds("", "b", None)).await?;
        check_eq!(names(&*broker).await?, ["c"]);
        let info = broker.get_info().await?;
        let counts: Vec<_> = info
            .policy_stats
            .iter()
            .map(|s| (s.policy_index.0, s.object_count, s.bytes_used))
            .collect();
        check_eq!(counts, [(0, 1, 1), (1, 0, 0)]);
        merge(&*broker, vec![put("a", 1)]).await?;
        check_eq!(
            names(&*broker).await?,
            ["c", "a"],
            "an older record after the removal"
        );
        Ok(())
    }
}
