//! Many callers at once.

use crate::flaw::Flaw::Plays;
use crate::flaw::{container_info, place, store_info};
use crate::mutant::mutants;
use broker_api::ContainerInfo;
use broker_layers::{Answer, Call};
use std::time::Duration;

mutants! {
    /// The counts of facts are older than the rest.
    facts_are_of_two_moments breaks ["CONCUR-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let mut answer = target.play(call, visitor).await;
            if let Ok(Answer::ContainerInfo(Some(info))) = &mut answer {
                tokio::time::sleep(Duration::from_micros(300)).await;
                info.store.max_row = container_info(target).await?.store.max_row;
            }
            answer
        }));

    /// Halves of a batch are merged one after the other.
    batches_come_in_halves breaks ["CONCUR-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let Call::MergeObjects(mut records, options) = call else {
                return target.play(call, visitor).await;
            };
            if options.source.is_none() && records.len() > 1 {
                let rest = records.split_off(records.len() / 2);
                target.ask(Call::MergeObjects(records, options.clone())).await?;
                tokio::time::sleep(Duration::from_micros(200)).await;
                records = rest;
            }
            target.ask(Call::MergeObjects(records, options)).await
        }));

    /// Several creators create.
    creators_race breaks ["INIT-1", "CONCUR-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::InitializeContainer(_) = &call {
                let was_there = store_info(target).await.is_ok();
                tokio::time::sleep(Duration::from_millis(2)).await;
                let answer = target.play(call, visitor).await;
                return match was_there {
                    true => answer,
                    false => Ok(broker_api::Initialized::Created.into()),
                };
            }
            target.play(call, visitor).await
        }));

    /// Every seventh write is acknowledged and lost.
    writes_are_lost breaks ["CONCUR-2", "INFO-1"] of each kind =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let is_merge = matches!(call, Call::MergeObjects(..) | Call::MergeContainers(..));
            match is_merge && world.count() % 7 == 6 {
                true => Ok(().into()),
                false => target.play(call, visitor).await,
            }
        }));

    /// Metadata that was read before another update is written back over it.
    metadata_updates_overwrite_each_other breaks ["CONCUR-2"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let Call::UpdateMetadata(updates, limits) = call else {
                return target.play(call, visitor).await;
            };
            let read = store_info(target).await?.metadata()?;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let now = store_info(target).await?.metadata()?;
            let was_changed = read != now && world.count() % 2 == 1;
            let left = updates.into_iter().skip(usize::from(was_changed)).collect();
            target.ask(Call::UpdateMetadata(left, limits)).await
        }));

    /// A sync point that others raise meanwhile is lost.
    busy_sync_points_are_lost breaks ["CONCUR-2"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            match call {
                Call::MergeSyncPoints(..) if world.count() % 2 == 1 => Ok(().into()),
                call => target.play(call, visitor).await,
            }
        }));

    /// Facts are kept for a while.
    facts_are_kept_for_a_while breaks ["CONCUR-3"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let is_asked = call == Call::ContainerInfo;
            let key = place(target);
            if is_asked && world.count() % 3 != 0
                && let Some(info) = world.remembered::<Option<ContainerInfo>>(&key)
            {
                return Ok(info.into());
            }
            let answer = target.play(call, visitor).await;
            if let Ok(Answer::ContainerInfo(info)) = &answer {
                world.remember(key, info.clone());
            }
            answer
        }));

    /// Records that are delivered again count again.
    repeated_records_count_again breaks ["CONCUR-4"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::MergeObjects(records, _) = &call {
                let key = place(target);
                let before = world.remembered::<i64>(&key).unwrap_or(0);
                world.remember(key, before + records.len() as i64);
            }
            let mut answer = target.play(call, visitor).await;
            if let (Ok(Answer::ContainerInfo(Some(info))), Some(count)) =
                (&mut answer, world.remembered::<i64>(&place(target)))
            {
                let own = info.policy_index;
                for stat in info.policy_stats.iter_mut().filter(|stat| stat.policy_index == own) {
                    stat.object_count = count;
                }
            }
            answer
        }));

    /// Every delivery takes numbers.
    deliveries_take_numbers breaks ["CONCUR-4"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::MergeObjects(records, _) = &call {
                let key = place(target);
                let before = world.remembered::<i64>(&key).unwrap_or(0);
                world.remember(key, before + records.len() as i64);
            }
            let mut answer = target.play(call, visitor).await;
            if let (Ok(Answer::ContainerInfo(Some(info))), Some(count)) =
                (&mut answer, world.remembered::<i64>(&place(target)))
            {
                info.store.max_row.0 = count;
            }
            answer
        }));
}
