//! What clients are shown: merges, deletions and metadata as listings and counts tell them.
//!
//! Other files look at rows, numbers and hashes, which HTTP does not show. These cases need no more than a
//! server's answers, so that any server can be held to them.

use super::{deleted, list, list_containers, merge, merge_reports, object, put, report, triple};
use crate::case::cases;
use crate::check::{Check, Failure, check, check_eq};
use crate::door::Door;
use crate::fixture::{Fixture, at, create_container, offset, seconds, text};
use crate::shown;
use broker_api::{
    AccountBroker, AccountBrokerExt, ContainerBroker, ContainerBrokerExt, ContainerEntry,
    Initialized, ListObjects, ListingQuery, MetadataEntry, ObjectEntry, ObjectRecord, ObjectRow,
    PolicyFilter, PolicyIndex, StoreKind,
};
use std::sync::Arc;

/// Policy index, containers, objects and bytes.
type Counts = (i64, Option<i64>, i64, i64);

fn everything() -> ListObjects {
    ListObjects::new(ListingQuery::new(10_000))
}

/// The rows of a policy's listing, as every door shows them.
async fn listed(broker: &dyn ContainerBroker, policy: PolicyFilter) -> Check<Vec<ObjectRow>> {
    let mut ask = everything();
    ask.policy = policy;
    let rows = broker
        .object_page(&ask)
        .await?
        .into_iter()
        .map(|entry| match entry {
            ObjectEntry::Row(row) => Ok(row),
            ObjectEntry::Subdir(name) => Err(Failure::new(format!("a subdir {name}"))),
        });
    shown::rows(Door::Wire, rows.collect::<Check<_>>()?)
}

/// Last modified, size, content type and etag of the only object.
async fn only(broker: &dyn ContainerBroker) -> Check<(String, i64, String, String)> {
    let mut rows = listed(broker, PolicyFilter::Own).await?;
    check_eq!(rows.len(), 1, "objects listed");
    let row = rows.remove(0);
    Ok((row.created_at, row.size, row.content_type, row.etag))
}

fn described(created_at: &str, size: i64, kind: &str, etag: &str) -> ObjectRecord {
    ObjectRecord {
        size,
        content_type: kind.into(),
        etag: etag.into(),
        ..object("o", created_at)
    }
}

/// Two ways for records to come: one by one, as object servers send them, and as a batch.
async fn send(broker: &dyn ContainerBroker, record: ObjectRecord, alone: bool) -> Check {
    match alone {
        true => Ok(broker.put_object(record).await?),
        false => merge(broker, vec![record]).await,
    }
}

async fn counts(broker: &dyn ContainerBroker) -> Check<(i64, i64)> {
    let info = broker.get_info().await?;
    Ok((info.object_count(), info.bytes_used()))
}

async fn container(fixture: &Fixture, number: u64) -> Check<Arc<dyn ContainerBroker>> {
    let broker = fixture.container_at(&fixture.location(StoreKind::Container, number));
    create_container(&*broker, &at(1), 0).await?;
    Ok(broker)
}

/// Name, put timestamp, objects and bytes of every container that is listed.
async fn reports(broker: &dyn AccountBroker) -> Check<Vec<(String, String, i64, i64)>> {
    let page = broker
        .container_page(&ListingQuery::new(100))
        .await?
        .into_iter();
    let row = |entry| match entry {
        ContainerEntry::Subdir(name) => Err(Failure::new(format!("a subdir {name}"))),
        ContainerEntry::Row {
            name,
            put_timestamp,
            object_count,
            bytes_used,
            ..
        } => Ok((
            name,
            text(&put_timestamp).value().normal(),
            object_count,
            bytes_used,
        )),
    };
    page.map(row).collect()
}

cases! {
    /// A container that was just put is there, empty, and of its policy.
    #[case(Core, clauses = ["INIT-2", "LIFE-1", "LIFE-4"])]
    async fn new_container_is_shown_empty(fixture: Fixture) -> Check {
        let broker = fixture.container_broker();
        check!(!broker.exists().await?, "the container exists before it was put");
        let broker = fixture.container_of_policy(3).await?;
        check!(broker.exists().await?, "the container does not exist");
        let info = broker.get_info().await?;
        check_eq!((info.store.put_timestamp.clone(), info.policy_index.0), (at(1), 3));
        check_eq!(info.store.status_changed_at, at(1));
        check_eq!((info.object_count(), info.bytes_used(), info.is_deleted()), (0, 0, false));
        check_eq!(list(&*broker, &everything()).await?, Vec::<String>::new());
        Ok(())
    }

    /// An account that was just put is there, and has no containers.
    #[case(Core, clauses = ["INIT-2", "LIFE-1", "LIFE-3"])]
    async fn new_account_is_shown_empty(fixture: Fixture) -> Check {
        let broker = fixture.account_broker();
        check!(!broker.exists().await?, "the account exists before it was put");
        let broker = fixture.account().await?;
        check!(broker.exists().await?, "the account does not exist");
        let info = broker.get_info().await?;
        check_eq!(info.store.put_timestamp, at(1));
        check_eq!((info.container_count, info.object_count, info.bytes_used), (0, 0, 0));
        check_eq!((info.is_deleted(), info.is_status_deleted()), (false, false));
        check_eq!(reports(&*broker).await?, vec![]);
        Ok(())
    }

    /// However records come, the latest data is listed and counted, and an offset makes it later.
    #[case(Core, clauses = ["OBJECT-MERGE-1", "OBJECT-MERGE-2", "INFO-1"])]
    async fn latest_data_is_listed_and_counted(fixture: Fixture) -> Check {
        // What comes; then last modified and size of the object, when it is listed.
        let five = |size, offset: &str| described(&format!("0000000005.00000{offset}"), size, "t/5", "e5");
        let steps = [
            (five(10, ""), Some(("0000000005.00000", 10))),
            (described("0000000004.99999", 99, "t/4", "e4"), Some(("0000000005.00000", 10))),
            (five(20, "_0000000000000001"), Some(("0000000005.00000", 20))),
            (five(30, ""), Some(("0000000005.00000", 20))),
            (deleted("o", 5), Some(("0000000005.00000", 20))),
            (deleted("o", 6), None),
            (described("0000000005.50000", 40, "t/5", "e5"), None),
            (described("0000000007.00000", 50, "t/5", "e5"), Some(("0000000007.00000", 50))),
        ];
        for alone in [false, true] {
            let broker = container(&fixture, 1 + u64::from(alone)).await?;
            for (number, (record, expected)) in steps.iter().enumerate() {
                send(&*broker, record.clone(), alone).await?;
                let rows = listed(&*broker, PolicyFilter::Own).await?;
                let found = rows.first().map(|row| (row.created_at.as_str(), row.size));
                check_eq!(found, *expected, "step {}, alone {alone}", number + 1);
                let size = expected.map_or(0, |(_, size)| size);
                let count = i64::from(expected.is_some());
                check_eq!(counts(&*broker).await?, (count, size), "step {}", number + 1);
            }
        }
        Ok(())
    }

    /// Of a PUT and a DELETE of one moment the first to arrive is what clients see.
    #[case(Core, clauses = ["OBJECT-MERGE-1"])]
    async fn first_of_equal_times_is_shown(fixture: Fixture) -> Check {
        let orders = [
            ([put("o", 5), deleted("o", 5)], 1),
            ([deleted("o", 5), put("o", 5)], 0),
        ];
        for (number, (records, shown)) in orders.into_iter().enumerate() {
            for alone in [false, true] {
                let broker = container(&fixture, 1 + 2 * number as u64 + u64::from(alone)).await?;
                for record in records.clone() {
                    send(&*broker, record, alone).await?;
                }
                check_eq!(counts(&*broker).await?.0, shown, "objects counted");
                check_eq!(list(&*broker, &everything()).await?.len() as i64, shown, "objects listed");
            }
        }
        Ok(())
    }

    /// Data, content type and last-modified time of an object are each the latest that came.
    #[case(Core, clauses = ["OBJECT-MERGE-1", "ENCODE-1"])]
    async fn content_type_and_metadata_times_are_shown_apart(fixture: Fixture) -> Check {
        for alone in [false, true] {
            let broker = container(&fixture, 1 + u64::from(alone)).await?;
            let at = |n: u64| format!("{n:010}.00000");
            send(&*broker, described(&at(3), 10, "text/three", "e3"), alone).await?;
            let touched = ObjectRecord {
                ctype_timestamp: Some(seconds(5)),
                meta_timestamp: Some(seconds(8)),
                ..described(&at(3), 99, "text/five", "e9")
            };
            send(&*broker, touched, alone).await?;
            let expected = (at(8), 10, "text/five".to_owned(), "e3".to_owned());
            check_eq!(only(&*broker).await?, expected, "after a POST, alone {alone}");
            send(&*broker, described(&at(4), 20, "text/four", "e4"), alone).await?;
            let expected = (at(8), 20, "text/five".to_owned(), "e4".to_owned());
            check_eq!(only(&*broker).await?, expected, "after a PUT before the POST");
            send(&*broker, described(&at(9), 30, "text/nine", "e9"), alone).await?;
            let expected = (at(9), 30, "text/nine".to_owned(), "e9".to_owned());
            check_eq!(only(&*broker).await?, expected, "after a later PUT");
        }
        Ok(())
    }

    /// Within one batch the parts of an object fold as they would one after the other.
    #[case(Core, clauses = ["OBJECT-MERGE-3", "OBJECT-MERGE-1"])]
    async fn parts_within_a_batch_are_shown_folded(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![described("0000000003.00000", 10, "text/old", "e3")]).await?;
        let parts = ObjectRecord {
            created_at: triple(seconds(2), seconds(6), seconds(8)),
            ..described("0000000002.00000", 99, "text/new", "e2")
        };
        let five = described("0000000005.00000", 50, "text/five", "e5");
        merge(&*broker, vec![five, parts, deleted("p", 4), put("p", 3)]).await?;
        let expected = ("0000000008.00000".to_owned(), 50, "text/new".to_owned(), "e5".to_owned());
        check_eq!(only(&*broker).await?, expected);
        Ok(())
    }

    /// One name in two policies is two objects: the own one is counted, the other listed when asked for.
    #[case(Core, clauses = ["OBJECT-MERGE-1", "LIST-6", "POLICY-2"])]
    async fn policies_are_listed_apart(fixture: Fixture) -> Check {
        let broker = fixture.container_of_policy(1).await?;
        let sized = |size, policy| ObjectRecord {
            size,
            ..put("o", 5).in_policy(PolicyIndex(policy))
        };
        broker.put_object(sized(7, 0)).await?;
        broker.put_object(sized(9, 1)).await?;
        merge(&*broker, vec![put("other", 5)]).await?;
        check_eq!(counts(&*broker).await?, (1, 9));
        let names = async |policy| -> Check<Vec<(String, i64)>> {
            let rows = listed(&*broker, policy).await?.into_iter();
            Ok(rows.map(|row| (row.name, row.size)).collect())
        };
        let only = |index| PolicyFilter::Only(PolicyIndex(index));
        check_eq!(names(PolicyFilter::Own).await?, [("o".to_owned(), 9)]);
        check_eq!(names(only(0)).await?, [("o".to_owned(), 7), ("other".to_owned(), 1)]);
        check_eq!(names(only(2)).await?, []);
        let gone = deleted("o", 6).in_policy(PolicyIndex(1));
        broker.put_object(gone).await?;
        check_eq!(names(PolicyFilter::Own).await?, []);
        check_eq!(names(only(0)).await?.len(), 2, "a tombstone of another policy");
        Ok(())
    }

    /// A deleted container comes back with an object that was under way, and goes with it.
    #[case(Core, clauses = ["LIFE-4", "DELETE-2", "DELETE-3", "INFO-1"])]
    async fn late_object_shows_a_deleted_container(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        broker.delete(seconds(5)).await?;
        let store = broker.get_info().await?.store;
        check_eq!((store.delete_timestamp, store.status_changed_at), (at(5), at(5)));
        check_eq!(broker.is_deleted().await?, true);
        broker.put_object(put("late", 4)).await?;
        check_eq!(broker.is_deleted().await?, false, "with an object");
        check_eq!(list(&*broker, &everything()).await?, ["late"]);
        broker.delete_object("late", seconds(6)).await?;
        check_eq!(broker.is_deleted().await?, true, "without it");
        check!(broker.exists().await?, "a deleted container does not exist");
        Ok(())
    }

    /// Deleting again moves the times on, deleting with an older time does not, and an offset is later.
    #[case(Core, clauses = ["DELETE-2"])]
    async fn later_deletion_moves_the_times_of_a_container(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let steps = [
            (seconds(5), "0000000005.00000"),
            (seconds(4), "0000000005.00000"),
            (offset(5, 1), "0000000005.00000_0000000000000001"),
            (seconds(5), "0000000005.00000_0000000000000001"),
            (seconds(9), "0000000009.00000"),
        ];
        for (given, stored) in steps {
            broker.delete(given).await?;
            let store = broker.get_info().await?.store;
            let found = (store.delete_timestamp.as_str(), store.status_changed_at.as_str());
            check_eq!(found, (stored, stored), "after {given}");
        }
        check_eq!(broker.get_info().await?.store.put_timestamp, at(1));
        Ok(())
    }

    /// An older deletion leaves a container alive, but its time is told.
    #[case(Core, clauses = ["DELETE-2", "LIFE-4"])]
    async fn older_deletion_leaves_a_container_alive(fixture: Fixture) -> Check {
        let broker = fixture.container_broker();
        create_container(&*broker, &at(6), 0).await?;
        broker.delete(seconds(5)).await?;
        let info = broker.get_info().await?;
        check!(!info.is_deleted(), "an older deletion deleted the container");
        let store = &info.store;
        check_eq!((&store.delete_timestamp, &store.status_changed_at), (&at(5), &at(5)));
        check_eq!(store.put_timestamp, at(6));
        Ok(())
    }

    /// Deleting an account shows at once, containers or not, also with a time before its PUT.
    #[case(Core, clauses = ["LIFE-3", "DELETE-2"])]
    async fn deleted_account_is_shown_deleted(fixture: Fixture) -> Check {
        for (number, (containers, time)) in [(0, 9), (1, 9), (0, 5), (1, 5)].into_iter().enumerate() {
            let location = fixture.location(StoreKind::Account, number as u64 + 1);
            let broker = fixture.account_at(&location);
            crate::fixture::create_account(&*broker, &at(6)).await?;
            if containers > 0 {
                broker.put_container(report("c", "7", "0", 3, 30)).await?;
            }
            check_eq!(broker.is_deleted().await?, false);
            broker.delete(seconds(time)).await?;
            let info = broker.get_info().await?;
            let found = (info.is_deleted(), info.is_status_deleted());
            check_eq!(found, (true, true), "{containers} containers, deleted at {time}");
            check!(broker.exists().await?, "a deleted account does not exist");
        }
        Ok(())
    }

    /// Of what container servers report, times keep the later and counts are the last, however old.
    #[case(Core, clauses = ["ACCOUNT-MERGE-1", "ACCOUNT-MERGE-2", "INFO-2", "LIST-6"])]
    async fn reports_are_listed_and_counted(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let t = |n: u64| format!("{n:010}.00000");
        // What is reported; then the put timestamp and counts that are listed.
        let steps = [
            (report("c", &t(5), "0", 3, 30), Some((t(5), 3, 30))),
            (report("c", &t(4), "0", 1, 10), Some((t(5), 1, 10))),
            (report("c", &t(4), &t(6), 2, 20), Some((t(5), 2, 20))),
            (report("c", &t(4), "0", 0, 0), None),
            (report("c", &t(5), "0", 7, 70), Some((t(5), 7, 70))),
            (report("c", &t(5), &t(6), 0, 0), None),
            (report("c", &t(8), "0", 0, 0), Some((t(8), 0, 0))),
        ];
        for (number, (record, expected)) in steps.into_iter().enumerate() {
            let whole = record.object_count.zip(record.bytes_used);
            broker.put_container(record).await?;
            let listed = reports(&*broker).await?;
            let shown = expected.clone().map(|(put, objects, bytes)| ("c".to_owned(), put, objects, bytes));
            check_eq!(listed, Vec::from_iter(shown), "step {}", number + 1);
            let info = broker.get_info().await?;
            let counts = (info.container_count, Some((info.object_count, info.bytes_used)));
            check_eq!(counts, (i64::from(expected.is_some()), whole), "step {}", number + 1);
        }
        Ok(())
    }

    /// A container's counts move with it from one policy of its account to another.
    #[case(Core, clauses = ["ACCOUNT-MERGE-1", "INFO-2"])]
    async fn reports_are_counted_by_policy(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        let of = |name: &str, policy, objects| {
            let mut record = report(name, "0000000005.00000", "0", objects, 10 * objects);
            record.policy_index = PolicyIndex(policy);
            record
        };
        merge_reports(&*broker, vec![of("a", 0, 1), of("b", 2, 2), of("c", 2, 3)]).await?;
        let stats = async || -> Check<Vec<Counts>> {
            let stats = broker.get_info().await?.policy_stats.into_iter();
            let counts = stats.map(|s| (s.policy_index.0, s.container_count, s.object_count, s.bytes_used));
            Ok(counts.collect())
        };
        check_eq!(stats().await?, [(0, Some(1), 1, 10), (2, Some(2), 5, 50)]);
        merge_reports(&*broker, vec![of("c", 0, 4)]).await?;
        check_eq!(stats().await?, [(0, Some(2), 5, 50), (2, Some(1), 2, 20)]);
        check_eq!(list_containers(&*broker, &ListingQuery::new(9)).await?, ["a", "b", "c"]);
        Ok(())
    }

    /// Clients see the latest value of each metadata item, and none that was removed.
    #[case(Core, clauses = ["META-1"])]
    async fn latest_metadata_is_shown(fixture: Fixture) -> Check {
        let container = fixture.container().await?;
        let item = |key: &str, value: &str, second| {
            MetadataEntry::new(format!("X-Container-Meta-{key}"), value, at(second).as_str())
        };
        let shown = async || -> Check<Vec<(String, String)>> {
            let metadata = container.get_info().await?.store.metadata()?;
            let live = metadata.entries().iter().filter(|entry| !entry.is_removed());
            let mut items: Vec<_> = live
                .map(|e| (e.key[17..].to_owned(), e.text().unwrap_or_default().to_owned()))
                .collect();
            items.sort();
            Ok(items)
        };
        let items = |items: &[(&str, &str)]| -> Vec<(String, String)> {
            items.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        container.update_metadata(&[item("A", "a5", 5), item("B", "b5", 5)], None).await?;
        check_eq!(shown().await?, items(&[("A", "a5"), ("B", "b5")]));
        container.update_metadata(&[item("A", "a4", 4), item("C", "\u{2603}", 4)], None).await?;
        check_eq!(shown().await?, items(&[("A", "a5"), ("B", "b5"), ("C", "\u{2603}")]));
        container.update_metadata(&[item("A", "", 6), item("B", "b6", 6)], None).await?;
        check_eq!(shown().await?, items(&[("B", "b6"), ("C", "\u{2603}")]));
        container.update_metadata(&[item("A", "again", 6)], None).await?;
        check_eq!(shown().await?, items(&[("B", "b6"), ("C", "\u{2603}")]), "a removal of that time");
        check_eq!(container.get_info().await?.store.put_timestamp, at(1));
        Ok(())
    }

    /// Too many metadata items are refused in Swift's words, and leave those that were there.
    #[case(Core, clauses = ["META-2"])]
    async fn refused_metadata_leaves_what_was_shown(fixture: Fixture) -> Check {
        let account = fixture.account().await?;
        let limits = broker_api::MetadataLimits::default();
        let item = |number: usize, second| {
            MetadataEntry::new(format!("X-Account-Meta-K{number}"), "v", at(second).as_str())
        };
        let full: Vec<_> = (0..90).map(|number| item(number, 2)).collect();
        account.update_metadata(&full, Some(&limits)).await?;
        let refused = account.update_metadata(&[item(90, 3)], Some(&limits)).await;
        let message = refused.as_ref().err().map(|error| error.message());
        check_eq!(message, Some("Too many metadata items; max 90"));
        check_eq!(account.get_info().await?.store.metadata()?.entries().len(), 90);
        Ok(())
    }

    /// Only one of two first PUTs creates, and the other's policy is not taken.
    #[case(Core, clauses = ["INIT-1"])]
    async fn second_creation_with_another_policy_is_told(fixture: Fixture) -> Check {
        let broker = fixture.container_of_policy(2).await?;
        let again = crate::fixture::new_container(&*broker, &at(1), 3);
        check_eq!(broker.initialize(&again).await?, Initialized::AlreadyExisted);
        check_eq!(broker.get_info().await?.policy_index.0, 2);
        Ok(())
    }

    /// A deletion takes the metadata of before, but not what ties a shard to its root.
    #[case(Core, clauses = ["DELETE-1"])]
    async fn deletion_takes_older_metadata(fixture: Fixture) -> Check {
        const KEPT: &str = "X-Container-Sysmeta-Shard-Quoted-Root";
        let broker = fixture.container().await?;
        let item = |key: &str, second| MetadataEntry::new(key, "v", at(second).as_str());
        let items = [item("X-Container-Meta-A", 2), item(KEPT, 2), item("X-Container-Read", 2)];
        broker.update_metadata(&items, None).await?;
        broker.update_metadata(&[item("X-Container-Meta-B", 9)], None).await?;
        broker.delete(seconds(5)).await?;
        broker.put_object(put("late", 6)).await?;
        let metadata = broker.get_info().await?.store.metadata()?;
        let live = metadata.entries().iter().filter(|entry| !entry.is_removed());
        let keys: Vec<_> = live.map(|entry| entry.key.as_str()).collect();
        check_eq!(keys, [KEPT, "X-Container-Meta-B"]);
        Ok(())
    }

    /// An account's put timestamp rises and does not go back.
    #[case(Core, clauses = ["TIME-1"])]
    async fn put_timestamp_of_an_account_only_rises(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        broker.put_container(report("c", "2", "0", 3, 30)).await?;
        let mut expected = broker.get_info().await?;
        for (given, stored) in [(5, 5), (4, 5), (5, 5), (9, 9)] {
            broker.update_put_timestamp(seconds(given)).await?;
            expected.store.put_timestamp = at(stored);
            check_eq!(broker.get_info().await?, expected, "after {given}");
        }
        Ok(())
    }

    /// A listing longer than a server's page is whole, both ways, also where it is rolled up.
    #[case(Core, clauses = ["LIST-1", "LIST-2", "OBJECT-MERGE-3"])]
    async fn listing_longer_than_a_page_is_whole(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        let name = |number: u64| format!("{:05}/o", number * 7919 % 12_000);
        merge(&*broker, (0..12_000).map(|number| put(&name(number), 5)).collect()).await?;
        check_eq!(counts(&*broker).await?, (12_000, 12_000));
        for (delimiter, end) in [("", "/o"), ("/", "/")] {
            for reverse in [false, true] {
                let mut ask = everything();
                (ask.names.limit, ask.names.reverse) = (super::MANY, reverse);
                ask.names.delimiter = delimiter.into();
                let mut names = list(&*broker, &ask).await?;
                if reverse {
                    names.reverse();
                }
                let expected = (0..12_000).map(|number| match delimiter {
                    "" => format!("{number:05}{end}"),
                    _ => format!("+{number:05}{end}"),
                });
                check!(names.iter().cloned().eq(expected), "delimiter {delimiter:?}, reverse {reverse}");
            }
        }
        Ok(())
    }
}
