//! The domain of values, statistics and the hash.

use super::{
    container_rows, deleted, everything, list, list_containers, merge, merge_reports, object,
    object_row, object_rows, put, report,
};
use crate::case::cases;
use crate::check::{check, check_eq};
use crate::fixture::seconds;
use broker_api::{
    AccountBrokerExt, ContainerBrokerExt, ListingQuery, ObjectRecord, PolicyIndex, PolicyStat,
    RowId, TimestampText,
};

/// Names that break careless code, in byte order.
const NAMES: [&str; 26] = [
    "",
    "\0",
    "\0a",
    "\u{1}",
    "\n",
    " ",
    "\"",
    "%",
    "'; DROP TABLE object; --",
    "-",
    "..",
    "/",
    "//",
    "?",
    "A",
    "Z",
    "\\",
    "a",
    "a\0b",
    "a/",
    "z",
    "\u{7f}",
    "\u{80}",
    "\u{e9}",
    "\u{ffff}",
    "\u{10ffff}",
];

cases! {
    /// A name is any text: what comes in must come out, and sort by its bytes.
    #[case(Core, clauses = ["VALUE-1", "LIST-1", "LIST-4"])]
    async fn any_text_is_a_name(fixture: Fixture) -> Check {
        let container = fixture.container().await?;
        for name in NAMES.iter().rev() {
            merge(&*container, vec![put(name, 2)]).await?;
        }
        let mut query = everything();
        query.names.allow_reserved = true;
        check_eq!(list(&*container, &query).await?, NAMES);
        for name in NAMES {
            check!(
                object_row(&*container, name).await?.is_some(),
                "no row of {name:?}"
            );
            merge(&*container, vec![put(name, 2)]).await?;
        }
        check_eq!(
            object_rows(&*container).await?.len(),
            NAMES.len(),
            "each name once"
        );
        Ok(())
    }

    /// An account too takes any text for the name of a container.
    #[case(Core, clauses = ["VALUE-1", "LIST-1", "LIST-4"])]
    async fn any_text_is_the_name_of_a_container(fixture: Fixture) -> Check {
        let account = fixture.account().await?;
        for name in NAMES.iter().rev() {
            account.put_container(report(name, "2", "0", 0, 0)).await?;
        }
        let mut query = everything();
        query.names.allow_reserved = true;
        check_eq!(list_containers(&*account, &query.names).await?, NAMES);
        Ok(())
    }

    /// Names that differ in a way that collations like to ignore are different names.
    #[case(Core, clauses = ["VALUE-1", "LIST-1"])]
    async fn names_are_not_folded_or_normalised(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let names = [
            "E\u{301}",
            "Z",
            "e",
            "e\u{301}",
            "e ",
            "z",
            "\u{c9}",
            "\u{e9}",
            "\u{e000}",
            "\u{ffff}",
            "\u{10000}",
        ];
        merge(&*broker, names.iter().map(|name| put(name, 2)).collect()).await?;
        let mut expected = names.map(str::to_owned);
        expected.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        check_eq!(list(&*broker, &everything()).await?, expected);
        Ok(())
    }

    /// NUL inside a name does not end it.
    #[case(Core, clauses = ["VALUE-1"])]
    async fn names_are_compared_past_nul(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![put("a", 2), put("a\0b", 3), put("a\0c", 4)]).await?;
        merge(&*broker, vec![deleted("a\0b", 5)]).await?;
        check_eq!(list(&*broker, &everything()).await?, ["a", "a\0c"]);
        let mut query = everything();
        query.names.marker = "a\0b".into();
        check_eq!(list(&*broker, &query).await?, ["a\0c"]);
        Ok(())
    }

    /// Long names, types and etags are the proxy's business: the store keeps them.
    #[case(Core, clauses = ["VALUE-1"])]
    async fn long_values_are_kept(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let name = "\u{2603}".repeat(1024);
        let (kind, etag) = ("x".repeat(8192), "\0\u{1F600}".repeat(100));
        merge(
            &*broker,
            vec![ObjectRecord::put(&name, seconds(2), 1, &kind, &etag)],
        )
        .await?;
        let row = object_row(&*broker, &name).await?;
        let found = row.map(|row| (row.content_type, row.etag));
        check_eq!(found, Some((kind, etag)));
        check_eq!(list(&*broker, &everything()).await?, [name]);
        Ok(())
    }

    /// Sizes have 63 bits and a sign.
    #[case(Core, clauses = ["VALUE-2", "INFO-2"])]
    async fn numbers_use_the_whole_range(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let sized = |name: &str, size| ObjectRecord {
            size,
            ..put(name, 2)
        };
        merge(
            &*broker,
            vec![
                sized("max", i64::MAX),
                sized("min", -i64::MAX),
                sized("five", 5),
            ],
        )
        .await?;
        let mut sizes: Vec<_> = object_rows(&*broker)
            .await?
            .iter()
            .map(|row| row.size)
            .collect();
        sizes.sort_unstable();
        check_eq!(sizes, [-i64::MAX, 5, i64::MAX]);
        check_eq!(broker.get_info().await?.bytes_used(), 5);
        Ok(())
    }

    /// Policy indexes have 63 bits and a sign as well, and order by number.
    #[case(Core, clauses = ["VALUE-2", "INFO-2"])]
    async fn policy_indexes_use_the_whole_range(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let policies = [-3, 1 << 40];
        let placed = policies.map(|index| put("placed", 2).in_policy(PolicyIndex(index)));
        merge(&*broker, placed.to_vec()).await?;
        let rows = object_rows(&*broker).await?;
        let found: Vec<_> = rows.iter().map(|row| row.policy_index.0).collect();
        check_eq!(found, policies);
        let stats = broker.get_info().await?.policy_stats;
        let found: Vec<_> = stats.iter().map(|stat| stat.policy_index.0).collect();
        check_eq!(found, [-3, 0, 1 << 40]);
        Ok(())
    }

    /// What an account is told of a container has as many bits.
    #[case(Core, clauses = ["VALUE-2", "INFO-2"])]
    async fn numbers_of_reports_use_the_whole_range(fixture: Fixture) -> Check {
        let account = fixture.account().await?;
        let policy = i64::from(i32::MAX);
        let mut record = report("c", "2", "0", -3, i64::MAX);
        record.policy_index = PolicyIndex(policy);
        merge_reports(&*account, vec![record]).await?;
        let row = &container_rows(&*account).await?[0];
        check_eq!(
            (row.object_count, row.bytes_used, row.policy_index.0),
            (-3, i64::MAX, policy)
        );
        check_eq!(account.get_info().await?.object_count, -3);
        Ok(())
    }

    /// Tombstones are no objects, but what they carry is added: replicas must agree on it.
    #[case(Core, clauses = ["INFO-2"])]
    async fn sizes_of_tombstones_are_added(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(
            &*broker,
            vec![ObjectRecord {
                size: 5,
                ..deleted("o", 2)
            }],
        )
        .await?;
        let stat = PolicyStat {
            policy_index: PolicyIndex(0),
            object_count: 0,
            bytes_used: 5,
        };
        check_eq!(broker.get_info().await?.policy_stats, vec![stat]);
        let account = fixture.account().await?;
        let mut record = report("c", "1", "2", 3, 30);
        record.deleted = true;
        merge_reports(&*account, vec![record]).await?;
        let info = account.get_info().await?;
        check_eq!(
            (info.container_count, info.object_count, info.bytes_used),
            (0, 3, 30)
        );
        Ok(())
    }

    /// Counters go back to zero with the rows, and the statistic of a policy stays.
    #[case(Core, clauses = ["INFO-2"])]
    async fn statistics_follow_the_rows_and_never_go_away(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let in_two = |record: ObjectRecord| record.in_policy(PolicyIndex(2));
        let sized = |name: &str, size| ObjectRecord {
            size,
            ..put(name, 2)
        };
        merge(
            &*broker,
            vec![sized("a", 10), sized("b", 5), in_two(sized("c", 7))],
        )
        .await?;
        let stats = async || -> crate::check::Check<Vec<(i64, i64, i64)>> {
            let stats = broker.get_info().await?.policy_stats.into_iter();
            Ok(stats
                .map(|s| (s.policy_index.0, s.object_count, s.bytes_used))
                .collect())
        };
        check_eq!(stats().await?, [(0, 2, 15), (2, 1, 7)]);
        merge(
            &*broker,
            vec![ObjectRecord {
                size: 1,
                ..put("a", 3)
            }],
        )
        .await?;
        check_eq!(stats().await?, [(0, 2, 6), (2, 1, 7)], "after an overwrite");
        merge(
            &*broker,
            vec![deleted("a", 4), deleted("b", 4), in_two(deleted("c", 4))],
        )
        .await?;
        check_eq!(stats().await?, [(0, 0, 0), (2, 0, 0)], "after deletion");
        check!(
            broker.get_info().await?.has_multiple_policies(),
            "a statistic went away"
        );
        Ok(())
    }

    /// The hash of known rows: replicas compare it with Python's.
    #[case(Core, clauses = ["HASH-1"])]
    async fn hash_of_objects_is_swifts(fixture: Fixture) -> Check {
        let table: [(&[(&str, &str)], &str); 3] = [
            (&[("o", "5")], "c32e2acf79d592c22899821a69ceb9f7"),
            (
                &[("\u{2603}", "0000000005.00000+a+0")],
                "25d69624182f1f92a2b90ed21710e5a6",
            ),
            (
                &[("b", "2"), ("a", "1")],
                "7948978920fc6813eb45134e5a3da0c6",
            ),
        ];
        for (number, (rows, hash)) in table.into_iter().enumerate() {
            let kind = broker_api::StoreKind::Container;
            let broker = fixture.container_at(&fixture.location(kind, number as u64 + 1));
            crate::fixture::create_container(&*broker, &crate::fixture::at(1), 0).await?;
            for (name, at) in rows {
                merge(&*broker, vec![object(name, at)]).await?;
            }
            check_eq!(broker.get_info().await?.store.hash.to_string(), hash);
        }
        Ok(())
    }

    /// An account's hash covers spelling and counts.
    #[case(Core, clauses = ["HASH-2"])]
    async fn hash_of_containers_is_swifts(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        merge_reports(&*broker, vec![report("c", "0000000005.00000", "0", 3, 30)]).await?;
        let hash = broker.get_info().await?.store.hash.to_string();
        check_eq!(hash, "8dca61ef466f20457ee785e6ed47527f");
        Ok(())
    }

    /// The hash counts tombstones, ignores sizes, and forgets rows that are removed.
    #[case(Core, clauses = ["HASH-1", "REMOVE-1"])]
    async fn hash_covers_exactly_the_rows_present(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let hash = async || Ok::<_, crate::check::Failure>(broker.get_info().await?.store.hash);
        let empty = hash().await?;
        merge(&*broker, vec![put("a", 5)]).await?;
        let with_a = hash().await?;
        check!(with_a != empty, "a row leaves no trace in the hash");
        merge(&*broker, vec![deleted("b", 5)]).await?;
        check!(
            hash().await? != with_a,
            "a tombstone leaves no trace in the hash"
        );
        let remove = broker_api::RemoveObjects {
            lower: "a".into(),
            ..Default::default()
        };
        broker.remove_objects(&remove).await?;
        check_eq!(hash().await?, with_a, "after the tombstone was removed");
        merge(&*broker, vec![put("a", 6)]).await?;
        check!(
            hash().await? != with_a,
            "a new time leaves no trace in the hash"
        );
        broker
            .remove_objects(&broker_api::RemoveObjects::default())
            .await?;
        check_eq!(hash().await?, empty, "without rows");
        Ok(())
    }

    /// Row numbers are never used again, even by rows that come after the highest was removed.
    #[case(Core, clauses = ["INFO-3"])]
    async fn row_numbers_are_never_used_again(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![put("a", 1), put("b", 1)]).await?;
        merge(&*broker, vec![put("b", 7)]).await?;
        let remove = broker_api::RemoveObjects {
            lower: "a".into(),
            ..Default::default()
        };
        broker.remove_objects(&remove).await?;
        check_eq!(broker.get_info().await?.store.max_row, RowId(3));
        check_eq!(
            object_rows(&*broker).await?.last().map(|row| row.row_id),
            Some(RowId(1))
        );
        broker
            .remove_objects(&broker_api::RemoveObjects::default())
            .await?;
        check_eq!(
            broker.get_info().await?.store.max_row,
            RowId(3),
            "without rows"
        );
        merge(&*broker, vec![put("c", 1)]).await?;
        check_eq!(object_rows(&*broker).await?[0].row_id, RowId(4));
        Ok(())
    }

    /// Names that look like listing syntax in another engine's keys do not leak into neighbours.
    #[case(Core, clauses = ["VALUE-1", "ENGINE-3", "OBJECT-MERGE-1"])]
    async fn names_do_not_run_into_policies(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let records = ["a", "a\0", "a\u{1}", "a1", "a\0\0\0\0"].iter().enumerate();
        let records: Vec<_> = records
            .flat_map(|(i, name)| {
                [0, 1, 255, 256].map(|p| put(name, i as u64 + 2).in_policy(PolicyIndex(p)))
            })
            .collect();
        merge(&*broker, records.clone()).await?;
        merge(&*broker, records).await?;
        check_eq!(object_rows(&*broker).await?.len(), 20);
        let info = broker.get_info().await?;
        let counts: Vec<_> = info.policy_stats.iter().map(|s| s.object_count).collect();
        check_eq!(counts, [5, 5, 5, 5]);
        Ok(())
    }

    /// The put timestamp of a container in a listing is the text that was stored.
    #[case(Core, clauses = ["VALUE-2", "LIST-6"])]
    async fn container_listing_shows_stored_values(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let mut record = report("c", "5", "0", 3, 30);
        record.policy_index = PolicyIndex(4);
        record.put_timestamp = Some(TimestampText::from(seconds(6)));
        merge_reports(&*broker, vec![record, report("d", "7", "0", 1, 2)]).await?;
        let shown = broker.container_page(&ListingQuery::new(10)).await?;
        let row = |name: &str, put: &str, object_count, bytes_used, policy| {
            broker_api::ContainerEntry::Row {
                name: name.into(),
                put_timestamp: put.into(),
                object_count,
                bytes_used,
                policy_index: PolicyIndex(policy),
            }
        };
        check_eq!(
            shown,
            [
                row("c", "0000000006.00000", 3, 30, 4),
                row("d", "7", 1, 2, 0)
            ]
        );
        Ok(())
    }
}
