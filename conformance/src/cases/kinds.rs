//! What accounts and containers have in common, tried on both: an engine may have written it twice.

use super::report;
use crate::case::cases;
use crate::check::{Check, check, check_eq, check_refused};
use crate::fixture::{Fixture, at, create_account, create_container, offset, seconds, text, time};
use broker_api::{
    AccountBroker, AccountBrokerExt, Broker, ContainerBroker, ContainerBrokerExt, Direction,
    MergeTimestamps, MetadataEntry, MetadataLimits, ReclaimAge, RowId, StoreInfo, StoreKind,
    SyncPoint, Timestamp,
};
use std::sync::Arc;

const KINDS: [StoreKind; 2] = [StoreKind::Account, StoreKind::Container];

/// A store of either kind.
enum Either {
    Account(Arc<dyn AccountBroker>),
    Container(Arc<dyn ContainerBroker>),
}

impl Either {
    /// A broker for a store that need not exist.
    fn at(fixture: &Fixture, location: &broker_api::Location) -> Self {
        match location.kind() {
            StoreKind::Account => Self::Account(fixture.account_at(location)),
            StoreKind::Container => Self::Container(fixture.container_at(location)),
        }
    }

    /// A new account and a new container, put at second 1.
    async fn both(fixture: &Fixture) -> Check<[Self; 2]> {
        let both = KINDS.map(|kind| Self::at(fixture, &fixture.location(kind, 1)));
        for either in &both {
            either.create(1).await?;
        }
        Ok(both)
    }

    async fn create(&self, put: u64) -> Check {
        match self {
            Self::Account(account) => create_account(&**account, &at(put)).await,
            Self::Container(container) => create_container(&**container, &at(put), 0).await,
        }
    }

    fn broker(&self) -> &dyn Broker {
        match self {
            Self::Account(account) => &**account,
            Self::Container(container) => &**container,
        }
    }

    fn kind(&self) -> StoreKind {
        self.broker().location().kind()
    }

    async fn store(&self) -> Check<StoreInfo> {
        Ok(match self {
            Self::Account(account) => account.get_info().await?.store,
            Self::Container(container) => container.get_info().await?.store,
        })
    }

    async fn metadata(&self) -> Check<Vec<MetadataEntry>> {
        Ok(self.store().await?.metadata()?.entries().to_vec())
    }

    async fn update(&self, updates: &[MetadataEntry]) -> Check {
        let limits = MetadataLimits::default();
        Ok(self
            .broker()
            .update_metadata(updates, Some(&limits))
            .await?)
    }
}

fn entry(key: &str, value: &str, timestamp: &str) -> MetadataEntry {
    MetadataEntry::new(key, value, timestamp)
}

/// User metadata of a kind, all of one second.
fn items(kind: StoreKind, count: usize, value: &str) -> Vec<MetadataEntry> {
    let key = |number| format!("X-{kind}-Meta-{number:03}");
    (0..count)
        .map(|number| entry(&key(number), value, at(1).as_str()))
        .collect()
}

fn age(tombstones: &str) -> ReclaimAge {
    ReclaimAge {
        tombstones: time(tombstones),
        sync_points: Timestamp::ZERO,
    }
}

cases! {
    /// A broker made before the store was, works once it is there, and knows when it is gone again.
    #[case(Core, clauses = ["ENGINE-1", "ENGINE-2", "LIFE-1", "ENGINE-5"])]
    async fn brokers_follow_stores_of_both_kinds(fixture: Fixture) -> Check {
        for kind in KINDS {
            let location = fixture.location(kind, 1);
            let early = Either::at(&fixture, &location);
            check!(!early.broker().exists().await?, "an {kind} that nobody made");
            Either::at(&fixture, &location).create(1).await?;
            check!(early.broker().exists().await?, "the {kind} is not seen");
            early.broker().delete(seconds(5)).await?;
            check!(early.broker().exists().await?, "a deleted {kind} is not there");
            fixture.engine().remove(&location).await?;
            check!(!early.broker().exists().await?, "a removed {kind} is there");
            early.create(9).await?;
            check_eq!(early.store().await?.put_timestamp, at(9), "{kind}");
        }
        Ok(())
    }

    /// Partition and device are part of a store's identity, whatever its kind.
    #[case(Core, clauses = ["ENGINE-3"])]
    async fn places_tell_stores_of_both_kinds_apart(fixture: Fixture) -> Check {
        for kind in KINDS {
            let places = [(0, 7), (0, 8), (1, 7)];
            let located = places.map(|(device, partition)| {
                Either::at(&fixture, &fixture.location_in(kind, device, partition, 1))
            });
            for (number, store) in located.iter().enumerate() {
                check!(!store.broker().exists().await?, "{}", store.broker().location());
                store.create(number as u64 + 2).await?;
            }
            for (number, store) in located.iter().enumerate() {
                check_eq!(store.store().await?.put_timestamp, at(number as u64 + 2), "{kind}");
            }
        }
        Ok(())
    }

    /// Each write shows at once, to every broker.
    #[case(Core, clauses = ["INFO-1", "TIME-1", "TIME-2", "CONCUR-3"])]
    async fn facts_of_both_kinds_show_the_last_write(fixture: Fixture) -> Check {
        for either in Either::both(&fixture).await? {
            let kind = either.kind();
            let other = Either::at(&fixture, either.broker().location());
            for second in [5, 4, 6] {
                either.broker().update_put_timestamp(seconds(second)).await?;
                let expected = at(second.max(5));
                check_eq!(other.store().await?.put_timestamp, expected, "{kind} put");
                either.broker().update_status_changed_at(seconds(second)).await?;
                let found = other.store().await?.status_changed_at;
                check_eq!(found, expected, "{kind}, status changed");
            }
            either.broker().update_put_timestamp(offset(6, 1)).await?;
            let expected = text("0000000006.00000_0000000000000001");
            check_eq!(either.store().await?.put_timestamp, expected, "{kind} put");
        }
        Ok(())
    }

    /// A DELETE counts once, needs a later time to count again, and blanks what is older all the same.
    #[case(Core, clauses = ["DELETE-1", "DELETE-2", "DELETE-3"])]
    async fn deletions_of_both_kinds_count_once(fixture: Fixture) -> Check {
        for either in Either::both(&fixture).await? {
            let (kind, broker) = (either.kind(), either.broker());
            broker.delete(seconds(5)).await?;
            broker.update_status_changed_at(seconds(7)).await?;
            broker.delete(seconds(5)).await?;
            let found = either.store().await?;
            let times = (found.delete_timestamp, found.status_changed_at, found.put_timestamp);
            check_eq!(times, (at(5), at(7), at(1)), "{kind}, the same once more");
            let third = at(3);
            either.update(&[entry("k", "v", third.as_str())]).await?;
            broker.delete(seconds(4)).await?;
            let blank = entry("k", "", at(4).as_str());
            check_eq!(either.metadata().await?, [blank], "{kind}");
            broker.delete(seconds(6)).await?;
            let found = either.store().await?;
            let times = (found.delete_timestamp, found.status_changed_at);
            check_eq!(times, (at(6), at(6)), "{kind}, later");
            broker.update_put_timestamp(seconds(9)).await?;
            broker.delete(seconds(8)).await?;
            let found = either.store().await?;
            let times = (found.delete_timestamp, found.put_timestamp);
            check_eq!(times, (at(8), at(9)), "{kind}, before the put");
        }
        Ok(())
    }

    /// Replicas agree on the earliest creation and the latest put and delete.
    #[case(Core, clauses = ["TIME-3"])]
    async fn timestamps_of_both_kinds_are_merged(fixture: Fixture) -> Check {
        for either in Either::both(&fixture).await? {
            // Merged creation, put and delete; then those that are stored.
            let steps = [
                (("0000000000.50000", 5, 3), ("0000000000.50000", 5, 3)),
                (("0000000009.00000", 4, 2), ("0000000000.50000", 5, 3)),
                (("0000000000.40000", 6, 7), ("0000000000.40000", 6, 7)),
            ];
            for ((created, put, delete), (stored, later_put, later_delete)) in steps {
                let merge = MergeTimestamps {
                    created_at: text(created),
                    put_timestamp: at(put),
                    delete_timestamp: at(delete),
                    now: seconds(50),
                };
                either.broker().merge_timestamps(&merge).await?;
                let found = either.store().await?;
                let found = (found.created_at, found.put_timestamp, found.delete_timestamp);
                let expected = (text(stored), at(later_put), at(later_delete));
                check_eq!(found, expected, "{}", either.kind());
            }
        }
        Ok(())
    }

    /// Metadata goes by the timestamp of each key, compared as text.
    #[case(Core, clauses = ["META-1", "META-3"])]
    async fn metadata_of_both_kinds_goes_by_its_timestamps(fixture: Fixture) -> Check {
        for either in Either::both(&fixture).await? {
            let kind = either.kind();
            let (two, later) = ("0000000002.00000", "0000000002.00000_0000000000000001");
            either.update(&[entry("Zed", "v", two), entry("a", "o", two)]).await?;
            let mut losers = vec![entry("Zed", "w", two), entry("a", "w", "0000000001.00000")];
            losers.push(entry("zed", "new", "0000000001.00000"));
            either.update(&losers).await?;
            let mut expected = vec![entry("Zed", "v", two), entry("a", "o", two), losers[2].clone()];
            check_eq!(either.metadata().await?, expected, "{kind}, older and equal");
            expected[0] = entry("Zed", "", later);
            either.update(&expected[..1]).await?;
            check_eq!(either.metadata().await?, expected, "{kind}, an offset later");
            expected.push(MetadataEntry {
                value: serde_json::json!([1, null]),
                ..entry("list", "", two)
            });
            either.broker().update_metadata(&expected[3..], None).await?;
            check_eq!(either.metadata().await?, expected, "{kind}, no text");
        }
        Ok(())
    }

    /// Ninety items with a value fit, whatever else there is; one more is refused.
    #[case(Core, clauses = ["META-2"])]
    async fn number_of_items_of_both_kinds_is_limited(fixture: Fixture) -> Check {
        for either in Either::both(&fixture).await? {
            let kind = either.kind();
            let mut updates = items(kind, 95, "v");
            updates[90..].iter_mut().for_each(|removed| removed.value = "".into());
            let system = |number| entry(&format!("X-{kind}-Sysmeta-{number}"), "v", at(1).as_str());
            updates.extend((0..9).map(system));
            either.update(&updates).await?;
            let before = either.store().await?;
            let limits = MetadataLimits::default();
            let more = [entry(&format!("X-{kind}-Meta-More"), "v", at(2).as_str())];
            check_refused!(either.broker().update_metadata(&more, Some(&limits)).await, InvalidInput);
            check_eq!(either.store().await?, before, "{kind}, after the refusal");
            let fewer = MetadataLimits { max_meta_count: 89, ..limits };
            let idle = either.broker().update_metadata(&updates, Some(&fewer)).await;
            check!(idle.is_ok(), "an update of an {kind} that changes nothing is refused");
            let system = [system(9)];
            check_refused!(either.broker().update_metadata(&system, Some(&fewer)).await, InvalidInput);
            either.broker().update_metadata(&items(kind, 200, "v"), None).await?;
            check_eq!(either.metadata().await?.len(), 209, "{kind}, without limits");
        }
        Ok(())
    }

    /// 4096 characters fit, names without prefix and values together; NUL does not.
    #[case(Core, clauses = ["META-2"])]
    async fn size_of_metadata_of_both_kinds_is_limited(fixture: Fixture) -> Check {
        for either in Either::both(&fixture).await? {
            let kind = either.kind();
            let limits = MetadataLimits::default();
            let sized = |length| entry(&format!("X-{kind}-Meta-\u{e9}"), &"\u{e9}".repeat(length), "1");
            let nul = entry("k\0", "v", "1");
            for refused in [sized(4096), nul] {
                let answer = either.broker().update_metadata(&[refused], Some(&limits)).await;
                check_refused!(answer, InvalidInput);
                check_eq!(either.store().await?.raw_metadata, "", "{kind}");
            }
            either.update(&[sized(4095)]).await?;
            check_eq!(either.metadata().await?.len(), 1, "{kind}");
        }
        Ok(())
    }

    /// Points rise, keep their order and take the time of their merge; several come at once.
    #[case(Replication, clauses = ["SYNC-1", "SYNC-2"])]
    async fn sync_points_of_both_kinds_are_merged(fixture: Fixture) -> Check {
        for either in Either::both(&fixture).await? {
            let (kind, replicate) = (either.kind(), either.broker().replicate());
            for given in [[("z", 5), ("a", -1)], [("z", 3), ("a", 9)]] {
                let points = given.map(|(id, point)| SyncPoint::new(id, RowId(point)));
                replicate.merge_sync_points(Direction::Incoming, &points).await?;
            }
            let found = replicate.sync_points(Direction::Incoming).await?;
            let points: Vec<_> =
                found.iter().map(|it| (it.remote_id.as_str(), it.sync_point.0)).collect();
            check_eq!(points, [("z", 5), ("a", 9)], "{kind}");
            check_eq!(replicate.sync_points(Direction::Outgoing).await?, vec![], "{kind}");
            for point in found {
                let is_now = super::is_now(&point.updated_at);
                check!(is_now, "{kind}: {:?} is not now in whole seconds", point.updated_at);
            }
        }
        Ok(())
    }

    /// Removed metadata goes strictly by its age, on accounts as on containers.
    #[case(Reclaim, clauses = ["RECLAIM-3"])]
    async fn removed_metadata_of_both_kinds_goes(fixture: Fixture) -> Check {
        for either in Either::both(&fixture).await? {
            let (two, three) = ("0000000002.00000", "0000000003.00000");
            either.update(&[entry("a", "", two), entry("b", "", three), entry("c", "v", two)]).await?;
            for (age_text, left) in [("2", "a b c"), ("3", "b c"), ("4", "c")] {
                either.broker().replicate().reclaim(age(age_text)).await?;
                let keys: Vec<_> = either.metadata().await?.into_iter().map(|it| it.key).collect();
                check_eq!(keys.join(" "), left, "{} at {age_text}", either.kind());
            }
        }
        Ok(())
    }

    /// Tombstones of an account are counted as they go, and their numbers are not given again.
    #[case(Reclaim, clauses = ["RECLAIM-1", "RECLAIM-4", "INFO-3"])]
    async fn reclaimed_rows_of_an_account_are_counted(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        for (name, delete) in [("a", "5"), ("b", "7"), ("c", "5")] {
            broker.put_container(report(name, "1", at(delete.parse().unwrap_or(0)).as_str(), 0, 0)).await?;
        }
        let done = broker.replicate().reclaim(age("6")).await?;
        check_eq!((done.removed, done.tombstones), (2, 1));
        check_eq!(broker.get_info().await?.store.max_row, RowId(3));
        let done = broker.replicate().reclaim(age("8")).await?;
        check_eq!((done.removed, done.tombstones), (1, 0));
        let info = broker.get_info().await?;
        check_eq!(info.store.max_row, RowId(3));
        broker.put_container(report("d", "9", "0", 1, 1)).await?;
        check_eq!(broker.get_info().await?.store.max_row, RowId(4));
        Ok(())
    }

    /// No row is asked for, none is answered.
    #[case(Replication, clauses = ["SINCE-1"])]
    async fn limit_zero_shows_no_row_of_an_account(fixture: Fixture) -> Check {
        let broker = fixture.account().await?;
        broker.put_container(report("c", "2", "0", 1, 1)).await?;
        check_eq!(broker.items_since(RowId::NONE, 0).await?, vec![]);
        check_eq!(broker.items_since(RowId::NONE, 1).await?.len(), 1);
        check_eq!(broker.items_since(RowId(1), 1).await?, vec![]);
        Ok(())
    }
}
