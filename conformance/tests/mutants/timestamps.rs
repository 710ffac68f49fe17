//! The timestamps of a store.

use crate::flaw::Flaw::{Plays, Store};
use crate::flaw::{place, store_info};
use crate::mutant::mutants;
use crate::store::StoreFlaw::Updates;
use broker_api::{Facts, StoreInfo, TimestampText};
use broker_layers::{Answer, Call};
use broker_runtime::sync::StatChange;

/// Merging the timestamps of another replica is the only change that may set the time of creation.
fn is_merge(change: &StatChange) -> bool {
    change.created_at.is_some()
}

fn is_later_by_value(one: &TimestampText, other: &TimestampText) -> bool {
    one.value() > other.value()
}

/// The timestamps that were given last, shown whatever was stored.
fn shown(answer: &mut Answer, change: impl FnOnce(&mut StoreInfo)) {
    match answer {
        Answer::AccountInfo(Some(info)) => change(&mut info.store),
        Answer::ContainerInfo(Some(info)) => change(&mut info.store),
        _ => {}
    }
}

mutants! {
    /// The put timestamp is set, later or not.
    puts_are_set breaks ["TIME-1"] = Plays(|world, target, call, visitor| Box::pin(async move {
        if let Call::UpdatePutTimestamp(at) = &call {
            world.remember(place(target), TimestampText::from(*at));
        }
        let mut answer = target.play(call, visitor).await?;
        if let Some(at) = world.remembered(&place(target)) {
            shown(&mut answer, |info| info.put_timestamp = at);
        }
        Ok(answer)
    }));

    /// A put clears the status.
    puts_clear_the_status breaks ["TIME-1"] = Store(Updates(|_, change| {
        if change.put_timestamp.is_some() && !is_merge(change) {
            change.status = Some("");
        }
    }));

    /// A put changes the status.
    puts_change_the_status breaks ["TIME-1"] = Store(Updates(|_, change| {
        if change.put_timestamp.is_some() && !is_merge(change) {
            change.status_changed_at.clone_from(&change.put_timestamp);
        }
    }));

    /// Offsets of puts are not looked at.
    puts_ignore_offsets breaks ["TIME-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let mut call = call;
            if let Call::UpdatePutTimestamp(at) = &mut call {
                *at = at.normalized();
            }
            target.play(call, visitor).await
        }));

    /// The put timestamp is never raised.
    puts_do_nothing breaks ["TIME-1"] =
        Store(Updates(|_, change| change.put_timestamp = None));

    /// The time of the change is set, later or not.
    changes_are_set breaks ["TIME-2"] = Plays(|world, target, call, visitor| Box::pin(async move {
        if let Call::UpdateStatusChangedAt(at) = &call {
            world.remember(place(target), TimestampText::from(*at));
        }
        let mut answer = target.play(call, visitor).await?;
        if let Some(at) = world.remembered(&place(target)) {
            shown(&mut answer, |info| info.status_changed_at = at);
        }
        Ok(answer)
    }));

    /// The time of the change is never raised.
    changes_do_nothing breaks ["TIME-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            match call {
                Call::UpdateStatusChangedAt(_) => Ok(().into()),
                call => target.play(call, visitor).await,
            }
        }));

    /// Merging keeps the own time of creation.
    creation_is_kept breaks ["TIME-3"] = Store(Updates(|_, change| change.created_at = None));

    /// Merging keeps the latest time of creation.
    creation_rises breaks ["TIME-3"] = Plays(|_, target, call, visitor| Box::pin(async move {
        let mut call = call;
        if let Call::MergeTimestamps(merge) = &mut call {
            let stored = store_info(target).await?.created_at;
            if merge.created_at < stored {
                merge.created_at = stored;
            }
        }
        target.play(call, visitor).await
    }));

    /// Merging takes over the put timestamp, later or not.
    merged_puts_are_taken_over breaks ["TIME-3"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::MergeTimestamps(merge) = &call {
                world.remember(place(target), merge.put_timestamp.clone());
            }
            let mut answer = target.play(call, visitor).await?;
            if let Some(at) = world.remembered(&place(target)) {
                shown(&mut answer, |info| info.put_timestamp = at);
            }
            Ok(answer)
        }));

    /// Merging leaves the delete timestamp.
    merged_deletions_are_ignored breaks ["TIME-3"] = Store(Updates(|_, change| {
        if is_merge(change) {
            change.delete_timestamp = None;
        }
    }));

    /// Merging compares values.
    merges_compare_values breaks ["TIME-3"] = Store(Updates(|facts, change| {
        let stored: &StoreInfo = facts.store();
        let is_later = |at: &Option<TimestampText>, stored| {
            at.as_ref().is_some_and(|at| is_later_by_value(at, stored))
        };
        if is_merge(change) && !is_later(&change.put_timestamp, &stored.put_timestamp) {
            change.put_timestamp = None;
        }
        if is_merge(change) && !is_later(&change.delete_timestamp, &stored.delete_timestamp) {
            change.delete_timestamp = None;
        }
    }));

    /// Merging never says that the status changed.
    flips_are_not_noted breaks ["TIME-4"] = Store(Updates(|_, change| {
        if is_merge(change) {
            change.status_changed_at = None;
        }
    }));

    /// Merging always says that the status changed.
    everything_is_a_flip breaks ["TIME-4"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::MergeTimestamps(merge) = &call {
                target.ask(Call::UpdateStatusChangedAt(merge.now)).await?;
            }
            target.play(call, visitor).await
        }));

    /// A flip sets the time of the change, later or not.
    flips_lower_the_time breaks ["TIME-4"] = Plays(|world, target, call, visitor| Box::pin(async move {
        if let Call::MergeTimestamps(merge) = &call {
            world.remember(place(target), TimestampText::from(merge.now));
        }
        let mut answer = target.play(call, visitor).await?;
        if let Some(at) = world.remembered::<TimestampText>(&place(target)) {
            shown(&mut answer, |info| {
                if at < info.status_changed_at {
                    info.status_changed_at = at;
                }
            });
        }
        Ok(answer)
    }));

    /// Merging a newer put clears the status.
    revival_clears_the_status breaks ["TIME-4"] = Store(Updates(|facts: &Facts, change| {
        if is_merge(change) && change.put_timestamp > Some(facts.store().put_timestamp.clone()) {
            change.status = Some("");
        }
    }));
}
