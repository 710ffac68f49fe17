//! Removing and quarantining stores, and the list of synced containers.

use crate::flaw::Flaw::{Answers, Asks, Forgets, Plays};
use crate::flaw::{object_rows, place};
use crate::mutant::mutants;
use crate::world::World;
use broker_api::{Error, Initialized, Location, MergeOptions, ObjectRow, Result, StoreKind};
use broker_layers::{Answer, Call, Target};

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
    removal_is_for_ever breaks ["ENGINE-5"] of each kind =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::Remove(location) = &call {
                world.remember(location.to_string(), ());
            }
            let removed = world.remembered::<()>(&place(target)).is_some();
            match call {
                Call::InitializeAccount(_) | Call::InitializeContainer(_) if removed => Ok(Initialized::AlreadyExisted.into()),
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
