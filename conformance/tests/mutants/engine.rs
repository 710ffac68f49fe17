//! Opening and finding stores.

use crate::flaw::Flaw::{Answers, Places, Plays};
use crate::flaw::{handle, place};
use crate::mutant::mutants;
use broker_api::{
    ContainerInfo, DeviceHealth, Error, ErrorKind, Location, NewContainer, PolicyIndex, Result,
    StoreKind, Timestamp,
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
    absence_is_remembered breaks ["ENGINE-1", "ENGINE-2", "LIFE-1"] of each kind =
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

    /// A broker that wrote before the store was removed and made again writes to the removed one.
    old_brokers_lose_writes breaks ["ENGINE-2", "ENGINE-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::Remove(location) = &call {
                world.remember(format!("removed {location}"), ());
            }
            if let Call::MergeObjects(..) = &call {
                let removed = format!("removed {}", place(target));
                let is_removed = world.remembered::<()>(&removed).is_some();
                let is_old = world.remembered::<Target>(&handle(target)).is_some();
                if is_removed && is_old {
                    return Ok(().into());
                }
                world.remember(handle(target), target.clone());
            }
            target.play(call, visitor).await
        }));

    /// The partition is no part of a store's place.
    partitions_are_shared breaks ["ENGINE-3", "ENGINE-4"] of each kind =
        Places(|at| moved(at, at.kind(), at.device(), "0"));

    /// The device is no part of a store's place.
    devices_are_shared breaks ["ENGINE-3"] of each kind =
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
}
