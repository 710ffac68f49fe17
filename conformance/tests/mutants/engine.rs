//! Opening, finding, removing and quarantining stores.

use crate::flaw::Flaw::{Answers, Asks, Forgets, Places, Plays};
use crate::flaw::{World, handle, object_rows, place};
use crate::mutant::mutants;
use broker_api::{
    ContainerInfo, DeviceHealth, Error, ErrorKind, Initialized, Location, MergeOptions,
    NewContainer, ObjectRow, PolicyIndex, Result, StoreKind, Timestamp,
};
use broker_layers::{Answer, Call, Target};

fn moved(location: &Location, kind: StoreKind, device: &str, partition: &str) -> Location {
    Location::new(kind, device, partition, location.hash()).unwrap()
}

/// The same hash as the other kind of store.
fn other_kind(location: &Location) -> Location {
    let kind = match location.kind() {
        StoreKind::Account => StoreKind::Container,
        StoreKind::Container => StoreKind::Account,
    };
    moved(location, kind, location.device(), location.partition())
}

async fn create(target: &Target) -> Result<Answer> {
    let new = NewContainer {
        account: "a".into(),
        container: "c".into(),
        put_timestamp: Timestamp::ZERO.into(),
        policy_index: PolicyIndex(0),
        created_at: Timestamp::ZERO,
        id: "x".into(),
    };
    target.ask(Call::InitializeContainer(new)).await
}

/// The rows of a store that goes, for when it is made again.
async fn keep_rows(world: &World, location: &Location) -> Result<()> {
    let target = Target::open(&world.engine, location, &Default::default());
    if let (Target::Container(..), Ok(rows)) = (&target, object_rows(&target).await) {
        world.remember(location.to_string(), rows);
    }
    Ok(())
}

async fn put_back(world: &World, target: &Target) -> Result<()> {
    let rows: Vec<ObjectRow> = world.remembered(&place(target)).unwrap_or_default();
    let records = rows.iter().map(|row| row.to_record().unwrap()).collect();
    let merge = Call::MergeObjects(records, MergeOptions::default());
    target.ask(merge).await.map(drop)
}

fn locations(answer: &mut Result<Answer>) -> Option<&mut Vec<Location>> {
    match answer {
        Ok(Answer::Locations(locations)) => Some(locations),
        _ => None,
    }
}

mutants! {
    /// Asking for a store makes it.
    opening_makes_the_store breaks ["ENGINE-1"] = Plays(|_, target, call, visitor| Box::pin(async move {
        if let (Target::Container(..), Call::Exists | Call::ContainerInfo) = (target, &call) {
            create(target).await?;
        }
        target.play(call, visitor).await
    }));

    /// A broker that found no store never finds one.
    absence_is_remembered breaks ["ENGINE-1", "ENGINE-2", "LIFE-1"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let absent = world.remembered::<Target>(&handle(target));
            if absent.is_some() && call == Call::Exists {
                return Ok(Answer::Exists(false));
            }
            let answer = target.play(call, visitor).await;
            if let Ok(Answer::Exists(false)) = answer {
                world.remember(handle(target), target.clone());
            }
            answer
        }));

    /// A broker shows the facts that it saw first until it writes itself.
    brokers_cache_facts breaks ["ENGINE-2", "CONCUR-3", "INFO-1"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if call == Call::ContainerInfo && !world.first_time(handle(target)) {
                let kept: Option<(Target, Option<ContainerInfo>)> = world.remembered(&place(target));
                if let Some((_, info)) = kept {
                    return Ok(info.into());
                }
            }
            let answer = target.play(call, visitor).await;
            if let Ok(Answer::ContainerInfo(info)) = &answer {
                world.remember(place(target), (target.clone(), info.clone()));
            }
            answer
        }));

    /// A broker opened before the store was removed and made again writes to the removed one.
    old_brokers_lose_writes breaks ["ENGINE-2", "ENGINE-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::Remove(location) = &call {
                world.remember(format!("removed {location}"), ());
            }
            let removed = world.remembered::<()>(&format!("removed {}", place(target))).is_some();
            match call {
                Call::InitializeContainer(_) => {
                    world.remember(handle(target), target.clone());
                }
                Call::MergeObjects(..) if removed => {
                    if world.remembered::<Target>(&format!("old {}", handle(target))).is_some() {
                        return Ok(().into());
                    }
                }
                Call::MergeObjects(..) => {
                    world.remember(format!("old {}", handle(target)), target.clone());
                }
                _ => {}
            }
            target.play(call, visitor).await
        }));

    /// The partition is no part of a store's place.
    partitions_are_shared breaks ["ENGINE-3", "ENGINE-4"] =
        Places(|at| moved(at, at.kind(), at.device(), "0"));

    /// The device is no part of a store's place.
    devices_are_shared breaks ["ENGINE-3"] =
        Places(|at| moved(at, at.kind(), "sd", at.partition()));

    /// Removing an account removes the container of the same hash.
    kinds_are_removed_together breaks ["ENGINE-3"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::Remove(location) = &call {
                target.ask(Call::Remove(other_kind(location))).await?;
            }
            target.play(call, visitor).await
        }));

    /// A page begins with the last store of the page before.
    pages_overlap breaks ["ENGINE-4"] = Plays(|world, target, call, visitor| Box::pin(async move {
        let mut call = call;
        if let Call::Stores { device, after, .. } = &mut call {
            let before = world.remember(device.clone(), after.clone()).flatten();
            *after = before.filter(|_| after.is_some());
        }
        target.play(call, visitor).await
    }));

    /// The last store of a full page is lost.
    full_pages_lose_a_store breaks ["ENGINE-4"] = Answers(|call, answer| {
        if let (Call::Stores { limit, .. }, Some(page)) = (call, locations(answer))
            && page.len() == *limit && page.len() > 1
        {
            page.remove(0);
        }
    });

    /// The order of stores depends on the size of the page.
    order_follows_the_page breaks ["ENGINE-4"] = Answers(|call, answer| {
        if let (Call::Stores { limit, .. }, Some(page)) = (call, locations(answer))
            && limit % 2 == 0
        {
            page.reverse();
        }
    });

    /// Stores of the other kind are found too.
    kinds_are_found_together breaks ["ENGINE-4"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let Call::Stores { device, kind: StoreKind::Account, after, limit } = call.clone() else {
                return target.play(call, visitor).await;
            };
            let kind = StoreKind::Container;
            let mut found: Vec<Location> =
                target.ask(Call::Stores { device, kind, after, limit }).await?.try_into()?;
            let own: Vec<Location> = target.ask(call).await?.try_into()?;
            found.extend(own);
            Ok(found.into())
        }));

    /// A page that should begin after a store that is gone is empty.
    walks_end_at_a_removed_store breaks ["ENGINE-4"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::Stores { after: Some(after), .. } = &call {
                let store = Target::open(&world.engine, after, &Default::default());
                if !bool::try_from(store.ask(Call::Exists).await?)? {
                    return Ok(Vec::<Location>::new().into());
                }
            }
            target.play(call, visitor).await
        }));

    /// Removed stores are found.
    removed_stores_are_found breaks ["ENGINE-4", "ENGINE-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::Remove(location) = &call {
                world.remember("removed".into(), location.clone());
            }
            let is_first = matches!(&call, Call::Stores { after: None, .. });
            let mut answer = target.play(call, visitor).await;
            if let (true, Some(page)) = (is_first, locations(&mut answer)) {
                page.extend(world.remembered::<Location>("removed"));
            }
            answer
        }));

    /// Asking for the stores of an absent device fails.
    absent_devices_fail breaks ["ENGINE-4"] = Answers(|call, answer| {
        if let Call::Stores { device, .. } = call && device.starts_with("no-") {
            *answer = Err(Error::new(ErrorKind::Io, "no such device"));
        }
    });

    /// The device of a store is said to be absent.
    devices_seem_absent breaks ["ENGINE-4"] = Answers(|_, answer| {
        if let Ok(Answer::Health(health)) = answer {
            *health = DeviceHealth::Absent;
        }
    });

    /// Removing an absent store is refused.
    removing_nothing_is_refused breaks ["ENGINE-5", "ABSENT-1"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::Remove(location) = &call {
                let store = Target::open(&world.engine, location, &Default::default());
                if !bool::try_from(store.ask(Call::Exists).await?)? {
                    return Err(Error::not_found());
                }
            }
            target.play(call, visitor).await
        }));

    /// A store made again has the rows of the removed one.
    rows_survive_removal breaks ["ENGINE-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::Remove(location) = &call {
                keep_rows(world, location).await?;
            }
            let is_made = matches!(call, Call::InitializeContainer(_));
            let answer = target.play(call, visitor).await;
            if is_made {
                put_back(world, target).await?;
            }
            answer
        }));

    /// Removing a store removes the other stores of its device.
    neighbours_are_removed breaks ["ENGINE-5"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::Remove(location) = &call {
                let (device, kind) = (location.device().to_owned(), location.kind());
                let all = Call::Stores { device, kind, after: None, limit: 100 };
                let all: Vec<Location> = target.ask(all).await?.try_into()?;
                for neighbour in all {
                    target.ask(Call::Remove(neighbour)).await?;
                }
            }
            target.play(call, visitor).await
        }));

    /// A removed store cannot be made again.
    removal_is_for_ever breaks ["ENGINE-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::Remove(location) = &call {
                world.remember(location.to_string(), ());
            }
            let removed = world.remembered::<()>(&place(target)).is_some();
            match call {
                Call::InitializeContainer(_) if removed => Ok(Initialized::AlreadyExisted.into()),
                call => target.play(call, visitor).await,
            }
        }));

    /// Quarantining leaves the store where it is.
    quarantine_does_nothing breaks ["ENGINE-6", "LIFE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            match call {
                Call::Quarantine(..) => Ok(().into()),
                call => target.play(call, visitor).await,
            }
        }));

    /// Quarantining an absent store succeeds.
    absent_stores_are_quarantined breaks ["ENGINE-6"] = Answers(|call, answer| {
        if let Call::Quarantine(..) = call {
            *answer = Ok(().into());
        }
    });

    /// A store made again has the rows of the quarantined one.
    rows_survive_quarantine breaks ["ENGINE-6"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::Quarantine(location, _) = &call {
                keep_rows(world, location).await?;
            }
            let is_made = matches!(call, Call::InitializeContainer(_));
            let answer = target.play(call, visitor).await;
            if is_made {
                put_back(world, target).await?;
            }
            answer
        }));

    /// A quarantined store is still found.
    quarantined_stores_are_found breaks ["ENGINE-6", "ENGINE-4"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::Quarantine(location, _) = &call {
                world.remember("quarantined".into(), location.clone());
            }
            let is_first = matches!(&call, Call::Stores { after: None, .. });
            let mut answer = target.play(call, visitor).await;
            if let (true, Some(page)) = (is_first, locations(&mut answer)) {
                page.extend(world.remembered::<Location>("quarantined"));
            }
            answer
        }));

    /// Everything is gone when the engine was closed.
    nothing_is_kept breaks ["ENGINE-7", "ENGINE-8"] = Forgets;

    /// A page of synced containers begins with the last one of the page before.
    synced_pages_overlap breaks ["ENGINE-8"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let mut call = call;
            if let Call::Synced { device, after, .. } = &mut call {
                let before = world.remember(device.clone(), after.clone()).flatten();
                *after = before.filter(|_| after.is_some());
            }
            target.play(call, visitor).await
        }));

    /// A container put on the list twice is there twice.
    lists_synced_twice breaks ["ENGINE-8"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::SetSynced(location, true) = &call
                && !world.first_time(location.to_string())
            {
                world.remember("twice".into(), location.clone());
            }
            let mut answer = target.play(call.clone(), visitor).await;
            if let (Call::Synced { .. }, Some(page)) = (&call, locations(&mut answer)) {
                let twice = world.remembered::<Location>("twice");
                page.extend(twice.filter(|twice| page.contains(twice)));
            }
            answer
        }));

    /// Taking a container off the list does nothing.
    synced_containers_stay breaks ["ENGINE-8"] = Asks(|call| {
        if let Call::SetSynced(_, synced) = call {
            *synced = true;
        }
    });

    /// A container leaves the list with its store.
    removal_unlists breaks ["ENGINE-8"] = Plays(|_, target, call, visitor| Box::pin(async move {
        if let Call::Remove(location) = &call && location.kind() == StoreKind::Container {
            target.ask(Call::SetSynced(location.clone(), false)).await?;
        }
        target.play(call, visitor).await
    }));

    /// Only containers with a store can be on the list.
    unmade_containers_are_not_listed breaks ["ENGINE-8"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::SetSynced(location, true) = &call {
                let store = Target::open(&world.engine, location, &Default::default());
                if !bool::try_from(store.ask(Call::Exists).await?)? {
                    return Ok(().into());
                }
            }
            target.play(call, visitor).await
        }));

    /// Containers of all devices are on one list.
    synced_devices_are_mixed breaks ["ENGINE-8"] = Answers(|call, answer| {
        if let (Call::Synced { device, after: None, .. }, Some(page)) = (call, locations(answer))
            && page.is_empty()
        {
            let hash = broker_api::NameHash([7; 16]);
            page.extend(Location::new(StoreKind::Container, device.as_str(), "1", hash));
        }
    });
}
