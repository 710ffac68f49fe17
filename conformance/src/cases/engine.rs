//! Engines: finding, removing and quarantining stores, and keeping them apart.

use super::{deleted, everything, list, merge, object_rows, put};
use crate::case::cases;
use crate::check::{check, check_eq, check_refused};
use crate::fixture::{Fixture, at, create_account, create_container};
use broker_api::{
    AccountBrokerExt, ContainerBrokerExt, DeviceHealth, Initialized, Location, StoreKind,
};

/// What a device is asked for, page by page.
#[derive(Clone, Copy)]
enum Asked {
    Stores(StoreKind),
    Synced,
}

/// All stores of a kind on the first device, asked for in pages of a size.
async fn in_pages(
    fixture: &Fixture,
    kind: StoreKind,
    page: usize,
) -> crate::check::Check<Vec<Location>> {
    joined(fixture, Asked::Stores(kind), page).await
}

/// The whole list of container sync on the first device, asked for in pages of a size.
async fn synced_in_pages(fixture: &Fixture, page: usize) -> crate::check::Check<Vec<Location>> {
    joined(fixture, Asked::Synced, page).await
}

async fn joined(
    fixture: &Fixture,
    asked: Asked,
    page: usize,
) -> crate::check::Check<Vec<Location>> {
    let (engine, device) = (fixture.engine(), fixture.device(0));
    let mut found: Vec<Location> = Vec::new();
    loop {
        let after = found.last();
        let locations = match asked {
            Asked::Stores(kind) => engine.stores(device, kind, after, page).await?,
            Asked::Synced => engine.synced(device, after, page).await?,
        };
        let count = locations.len();
        check!(count <= page, "{count} locations in a page of {page}");
        if locations.is_empty() {
            return Ok(found);
        }
        found.extend(locations);
        check!(found.len() < 1000, "paging through the device does not end");
    }
}

async fn make(
    fixture: &Fixture,
    kind: StoreKind,
    numbers: &[u64],
) -> crate::check::Check<Vec<Location>> {
    let mut made = Vec::new();
    for number in numbers {
        let location = fixture.location(kind, *number);
        match kind {
            StoreKind::Account => {
                create_account(&*fixture.account_at(&location), &at(1)).await?;
            }
            StoreKind::Container => {
                create_container(&*fixture.container_at(&location), &at(1), 0).await?;
            }
        }
        made.push(location);
    }
    made.sort();
    Ok(made)
}

cases! {
    /// Making a broker creates nothing: a request for a container that does not exist must not
    /// leave one behind.
    #[case(Core, clauses = ["ENGINE-1", "LIFE-1"])]
    async fn opening_a_broker_makes_no_store(fixture: Fixture) -> Check {
        let broker = fixture.container_broker();
        check!(
            !broker.exists().await?,
            "a store exists that nobody initialized"
        );
        check_eq!(broker.info().await?, None);
        let stores = fixture
            .engine()
            .stores(fixture.device(0), StoreKind::Container, None, 10);
        check_eq!(stores.await?, vec![]);
        Ok(())
    }

    /// A broker made before the store was, works once it is there.
    #[case(Core, clauses = ["ENGINE-1", "ENGINE-2", "LIFE-1"])]
    async fn broker_opened_before_creation_sees_the_store(fixture: Fixture) -> Check {
        let early = fixture.container_broker();
        check!(!early.exists().await?, "the store is there too early");
        let other = fixture.container().await?;
        merge(&*other, vec![put("o", 2)]).await?;
        check!(
            early.exists().await?,
            "a broker remembers that the store was absent"
        );
        check_eq!(list(&*early, &everything()).await?, ["o"]);
        Ok(())
    }

    /// Two server processes' handlers work on one store through two brokers.
    #[case(Core, clauses = ["ENGINE-2", "CONCUR-3"])]
    async fn brokers_of_one_location_share_the_store(fixture: Fixture) -> Check {
        let one = fixture.container().await?;
        let other = fixture.container_broker();
        for second in 2..12 {
            let name = format!("o{second:02}");
            one.put_object(put(&name, second)).await?;
            check_eq!(other.get_info().await?.object_count(), second as i64 - 1);
            other.put_object(put("extra", 10 * second)).await?;
            let count = list(&*one, &everything()).await?.len();
            check_eq!(
                count as u64,
                second,
                "entries after a write of the other broker"
            );
            one.put_object(deleted("extra", 10 * second + 1)).await?;
            let count = list(&*other, &everything()).await?.len();
            check_eq!(
                count as u64,
                second - 1,
                "entries after a deletion by the first broker"
            );
            check_eq!(object_rows(&*other).await?.len() as u64, second, "rows");
        }
        Ok(())
    }

    /// After a ring change the same name is in two partitions of a device, and both are real.
    #[case(Core, clauses = ["ENGINE-3"])]
    async fn same_hash_in_another_partition_or_device_is_another_store(fixture: Fixture) -> Check {
        let kind = StoreKind::Container;
        let here = fixture.container_at(&fixture.location_in(kind, 0, 7, 1));
        create_container(&*here, &at(1), 0).await?;
        merge(&*here, vec![put("here", 2)]).await?;
        for (device, partition) in [(0, 8), (1, 7)] {
            let there = fixture.container_at(&fixture.location_in(kind, device, partition, 1));
            check!(
                !there.exists().await?,
                "a store appears on {}",
                there.location()
            );
            create_container(&*there, &at(5), 0).await?;
            check_eq!(object_rows(&*there).await?, vec![]);
            merge(&*there, vec![put("there", 2)]).await?;
        }
        check_eq!(list(&*here, &everything()).await?, ["here"]);
        check_eq!(here.get_info().await?.store.put_timestamp, at(1));
        Ok(())
    }

    /// An account and a container whose hashes happen to be equal have nothing to do with each other.
    #[case(Core, clauses = ["ENGINE-3"])]
    async fn account_and_container_of_one_hash_are_apart(fixture: Fixture) -> Check {
        let account = fixture.account_at(&fixture.location_in(StoreKind::Account, 0, 7, 1));
        let container = fixture.container_at(&fixture.location_in(StoreKind::Container, 0, 7, 1));
        create_account(&*account, &at(3)).await?;
        check!(
            !container.exists().await?,
            "making an account makes a container"
        );
        create_container(&*container, &at(4), 0).await?;
        merge(&*container, vec![put("o", 5)]).await?;
        check_eq!(account.get_info().await?.store.put_timestamp, at(3));
        check_eq!(account.get_info().await?.store.max_row.0, -1);
        fixture.engine().remove(account.location()).await?;
        check_eq!(list(&*container, &everything()).await?, ["o"]);
        Ok(())
    }

    /// Auditors, updaters and replicators walk all stores: one not found is never replicated.
    #[case(Core, clauses = ["ENGINE-4"])]
    async fn stores_finds_each_store_once_whatever_the_page(fixture: Fixture) -> Check {
        let numbers: Vec<u64> = (0..17).collect();
        for kind in [StoreKind::Account, StoreKind::Container] {
            let made = make(&fixture, kind, &numbers).await?;
            let order = in_pages(&fixture, kind, 100).await?;
            let mut sorted = order.clone();
            sorted.sort();
            check_eq!(sorted, made, "{kind}s found");
            for page in [1, 2, 5, 17] {
                check_eq!(
                    in_pages(&fixture, kind, page).await?,
                    order,
                    "pages of {page}"
                );
            }
        }
        Ok(())
    }

    /// One hash may be in several partitions; both replicas must be found and told apart.
    #[case(Core, clauses = ["ENGINE-4", "ENGINE-3"])]
    async fn stores_finds_one_hash_in_several_partitions(fixture: Fixture) -> Check {
        let kind = StoreKind::Container;
        let mut made = Vec::new();
        for partition in [7, 70, 8, 1_000_000] {
            let location = fixture.location_in(kind, 0, partition, 1);
            create_container(&*fixture.container_at(&location), &at(1), 0).await?;
            made.push(location);
        }
        made.sort();
        for page in [1, 3, 10] {
            let mut found = in_pages(&fixture, kind, page).await?;
            found.sort();
            check_eq!(found, made, "pages of {page}");
        }
        Ok(())
    }

    /// Removed, quarantined and absent stores are not found, and an absent device has none.
    #[case(Core, clauses = ["ENGINE-4", "ENGINE-5", "ENGINE-6"])]
    async fn stores_finds_only_what_exists(fixture: Fixture) -> Check {
        let kind = StoreKind::Container;
        let made = make(&fixture, kind, &[1, 2, 3]).await?;
        fixture.engine().remove(&made[0]).await?;
        fixture.engine().quarantine(&made[1], "a test").await?;
        check_eq!(in_pages(&fixture, kind, 2).await?, [made[2].clone()]);
        let engine = fixture.engine();
        check_eq!(
            engine.stores("no-such-device", kind, None, 10).await?,
            vec![]
        );
        check_eq!(
            engine.stores(fixture.device(1), kind, None, 10).await?,
            vec![]
        );
        check_eq!(in_pages(&fixture, StoreKind::Account, 2).await?, vec![]);
        Ok(())
    }

    /// A page may begin after a store that was removed meanwhile: the walk goes on.
    #[case(Core, clauses = ["ENGINE-4"])]
    async fn stores_continues_after_a_removed_one(fixture: Fixture) -> Check {
        let kind = StoreKind::Container;
        make(&fixture, kind, &[1, 2, 3, 4, 5]).await?;
        let order = in_pages(&fixture, kind, 10).await?;
        fixture.engine().remove(&order[1]).await?;
        let rest = fixture
            .engine()
            .stores(fixture.device(0), kind, Some(&order[1]), 10)
            .await?;
        check_eq!(rest, order[2..]);
        Ok(())
    }

    /// The replicator removes handed-off stores: nothing of them may come back.
    #[case(Core, clauses = ["ENGINE-5", "LIFE-1", "INIT-2"])]
    async fn removed_store_is_gone_and_can_be_made_afresh(fixture: Fixture) -> Check {
        let broker = fixture.container().await?;
        merge(&*broker, vec![put("o", 2)]).await?;
        broker
            .update_metadata(&[broker_api::MetadataEntry::new("k", "v", "1")], None)
            .await?;
        fixture.engine().remove(broker.location()).await?;
        check!(!broker.exists().await?, "a removed store exists");
        check_eq!(broker.info().await?, None);
        check_refused!(broker.put_object(put("p", 3)).await, NotFound);
        create_container(&*broker, &at(9), 1).await?;
        let info = broker.get_info().await?;
        check_eq!(info.store.raw_metadata, "", "metadata of the removed store");
        check_eq!(info.store.max_row.0, -1, "numbers of the removed store");
        check_eq!((info.store.put_timestamp, info.policy_index.0), (at(9), 1));
        check_eq!(
            object_rows(&*broker).await?,
            vec![],
            "rows of the removed store"
        );
        Ok(())
    }

    /// Removal is idempotent, and its neighbours stay.
    #[case(Core, clauses = ["ENGINE-5", "ABSENT-1"])]
    async fn removing_an_absent_store_is_no_error(fixture: Fixture) -> Check {
        let made = make(&fixture, StoreKind::Container, &[1, 2]).await?;
        let absent = fixture.location(StoreKind::Container, 3);
        fixture.engine().remove(&absent).await?;
        fixture.engine().remove(&made[0]).await?;
        fixture.engine().remove(&made[0]).await?;
        check!(
            fixture.container_at(&made[1]).exists().await?,
            "a neighbour went with it"
        );
        Ok(())
    }

    /// A corrupt store is moved aside; replication then makes it anew.
    #[case(Core, clauses = ["ENGINE-6", "LIFE-1"])]
    async fn quarantined_store_is_out_of_sight(fixture: Fixture) -> Check {
        for broker in [fixture.account().await?] {
            fixture
                .engine()
                .quarantine(broker.location(), "a test")
                .await?;
            check!(!broker.exists().await?, "a quarantined account exists");
            create_account(&*broker, &at(9)).await?;
        }
        let broker = fixture.container().await?;
        merge(&*broker, vec![put("o", 2)]).await?;
        fixture
            .engine()
            .quarantine(broker.location(), "a test")
            .await?;
        check!(!broker.exists().await?, "a quarantined container exists");
        check_refused!(broker.object_page(&everything()).await, NotFound);
        create_container(&*broker, &at(9), 0).await?;
        check_eq!(
            object_rows(&*broker).await?,
            vec![],
            "rows of the quarantined store"
        );
        fixture
            .engine()
            .quarantine(broker.location(), "a second time")
            .await?;
        check!(
            !broker.exists().await?,
            "a container quarantined twice exists"
        );
        Ok(())
    }

    /// Quarantining what is not there is a mistake to report, not to hide.
    #[case(Core, clauses = ["ENGINE-6"])]
    async fn quarantining_an_absent_store_is_refused(fixture: Fixture) -> Check {
        for kind in [StoreKind::Account, StoreKind::Container] {
            let location = fixture.location(kind, 1);
            match fixture.engine().quarantine(&location, "a test").await {
                Ok(()) => check!(false, "an absent {kind} was quarantined"),
                Err(error) => check_eq!(error.kind(), broker_api::ErrorKind::NotFound),
            }
        }
        Ok(())
    }

    /// Servers answer 507 for a device that is not there: the engine must know.
    #[case(Core, clauses = ["ENGINE-4"])]
    async fn device_in_use_is_ready(fixture: Fixture) -> Check {
        fixture.container().await?;
        match fixture.engine().device_health(fixture.device(0)).await? {
            DeviceHealth::Ready {
                free_bytes,
                total_bytes,
            } => {
                check!(free_bytes <= total_bytes, "more is free than there is");
            }
            DeviceHealth::Absent => check!(false, "a device with a store is absent"),
        }
        Ok(())
    }

    /// Container sync visits the containers on its list and no others: one not found is never synced.
    #[case(Core, clauses = ["ENGINE-8"])]
    async fn synced_containers_are_found_once_whatever_the_page(fixture: Fixture) -> Check {
        let kind = StoreKind::Container;
        let engine = fixture.engine();
        let mut listed: Vec<_> = (0..9).map(|number| fixture.location(kind, number)).collect();
        for partition in [7, 70, 8, 1_000_000] {
            listed.push(fixture.location_in(kind, 0, partition, 100));
        }
        for location in &listed {
            engine.set_synced(location, true).await?;
        }
        engine.set_synced(&listed[3], true).await?;
        let elsewhere = fixture.location_in(kind, 1, 7, 1);
        engine.set_synced(&elsewhere, true).await?;
        listed.sort();
        let order = synced_in_pages(&fixture, 100).await?;
        let mut sorted = order.clone();
        sorted.sort();
        check_eq!(sorted, listed);
        for page in [1, 2, 5, 13] {
            check_eq!(synced_in_pages(&fixture, page).await?, order, "pages of {page}");
        }
        check_eq!(engine.synced(fixture.device(1), None, 10).await?, [elsewhere]);
        check_eq!(engine.synced("no-such-device", None, 10).await?, vec![]);
        Ok(())
    }

    /// A container whose destination was cleared must not be synced any more; the others must.
    #[case(Core, clauses = ["ENGINE-8"])]
    async fn containers_are_taken_off_the_list_of_synced_ones(fixture: Fixture) -> Check {
        let kind = StoreKind::Container;
        let engine = fixture.engine();
        engine.set_synced(&fixture.location(kind, 9), false).await?;
        check_eq!(engine.synced(fixture.device(0), None, 10).await?, vec![]);
        for number in 0..5 {
            engine.set_synced(&fixture.location(kind, number), true).await?;
        }
        let order = synced_in_pages(&fixture, 10).await?;
        engine.set_synced(&order[1], false).await?;
        engine.set_synced(&order[1], false).await?;
        engine.set_synced(&fixture.location(kind, 9), false).await?;
        let rest = [&order[..1], &order[2..]].concat();
        check_eq!(synced_in_pages(&fixture, 2).await?, rest);
        // A page may begin after one that was taken off meanwhile.
        let later = engine.synced(fixture.device(0), Some(&order[1]), 10).await?;
        check_eq!(later, order[2..]);
        engine.set_synced(&order[1], true).await?;
        check_eq!(synced_in_pages(&fixture, 10).await?, order);
        for location in &order {
            engine.set_synced(location, false).await?;
        }
        check_eq!(synced_in_pages(&fixture, 10).await?, vec![]);
        Ok(())
    }

    /// Replication moves stores about on its own account; the list follows metadata alone.
    #[case(Core, clauses = ["ENGINE-8", "ENGINE-4"])]
    async fn list_of_synced_containers_is_apart_from_the_stores(fixture: Fixture) -> Check {
        let kind = StoreKind::Container;
        let engine = fixture.engine();
        let mut listed = make(&fixture, kind, &[1, 2]).await?;
        listed.push(fixture.location(kind, 3));
        for location in &listed {
            engine.set_synced(location, true).await?;
        }
        check_eq!(in_pages(&fixture, kind, 10).await?.len(), 2, "stores");
        let order = synced_in_pages(&fixture, 10).await?;
        check_eq!(order.len(), 3, "on the list");
        engine.remove(&listed[0]).await?;
        engine.quarantine(&listed[1], "a test").await?;
        engine.remove(&listed[2]).await?;
        check_eq!(in_pages(&fixture, kind, 10).await?, vec![]);
        check_eq!(synced_in_pages(&fixture, 10).await?, order);
        create_container(&*fixture.container_at(&listed[0]), &at(1), 0).await?;
        engine.set_synced(&listed[0], false).await?;
        check!(
            fixture.container_at(&listed[0]).exists().await?,
            "taking a container off the list removes its store"
        );
        check_eq!(synced_in_pages(&fixture, 10).await?.len(), 2, "on the list");
        Ok(())
    }

    /// A handle that was used before the store was removed and made again sees the new one.
    #[case(Core, clauses = ["ENGINE-2", "ENGINE-5", "INIT-1"])]
    async fn old_broker_follows_a_store_made_again(fixture: Fixture) -> Check {
        let old = fixture.container().await?;
        merge(&*old, vec![put("before", 2)]).await?;
        fixture.engine().remove(old.location()).await?;
        let new = fixture.container_broker();
        create_container(&*new, &at(1), 0).await?;
        merge(&*new, vec![put("after", 2)]).await?;
        check_eq!(list(&*old, &everything()).await?, ["after"]);
        old.put_object(put("more", 3)).await?;
        check_eq!(list(&*new, &everything()).await?, ["after", "more"]);
        let again = old
            .initialize(&crate::fixture::new_container(&*old, &at(5), 3))
            .await?;
        check_eq!(again, Initialized::AlreadyExisted);
        Ok(())
    }
}
