//! Kills: what was acknowledged, what was under way, and what is opened afterwards.

use crate::flaw::Flaw::{
    Answers, Asks, ContainerCounts, Facts, Killed, OnFiles, Opens, Plays, Rows, States,
};
use crate::flaw::{object_rows, place, store_info};
use crate::mutant::mutants;
use broker_api::merge::merge_object;
use broker_api::{
    Direction, Durability, Error, ErrorKind, Initialized, MergeOptions, NewAccount, NewContainer,
    ObjectRecord, ObjectRow, Result, RollingHash, RowId, SyncPoint, Timestamp, TimestampText,
};
use broker_layers::{Answer, Call, Target};
use std::path::Path;
use std::time::Duration;

/// Answers at once, and does it a little later.
fn soon(target: &Target, call: Call) -> Result<Answer> {
    let target = target.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        target.ask(call).await
    });
    Ok(().into())
}

/// A moment in which a kill may come, as long as the longest that the suite waits.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// The sync point that a batch brings with it, which it then does not bring any more.
fn sync_point(call: &mut Call) -> Option<SyncPoint> {
    match call {
        Call::MergeObjects(records, options) => {
            let last = records.last()?.row_id?;
            Some(SyncPoint::new(options.source.take()?, last))
        }
        Call::MergeContainers(records, options) => {
            let largest = records.iter().filter_map(|record| record.row_id).max()?;
            Some(SyncPoint::new(options.source.take()?, largest))
        }
        _ => None,
    }
}

/// The put timestamp that a store is to be made with, and the one that it is made with.
fn put_timestamp(call: &mut Call) -> Option<(&mut TimestampText, Timestamp)> {
    match call {
        Call::InitializeAccount(NewAccount {
            put_timestamp,
            created_at,
            ..
        })
        | Call::InitializeContainer(NewContainer {
            put_timestamp,
            created_at,
            ..
        }) => Some((put_timestamp, *created_at)),
        _ => None,
    }
}

/// Records of which the rows are there are a little later than these.
fn later(records: &mut [ObjectRecord], rows: &[ObjectRow]) {
    for record in records {
        let is_it = |row: &&ObjectRow| row.name == record.name;
        if rows
            .iter()
            .any(|row| is_it(&row) && row.created_at == record.created_at.encode())
        {
            record.created_at.data = record.created_at.data.shifted(1).unwrap();
        }
    }
}

/// Half of what was open is set right first; a kill in between leaves it beyond repair.
fn recover_in_halves(path: &Path, was_killed: bool) -> std::result::Result<(), String> {
    let half = path.join("half.mark");
    if half.exists() {
        return Err("recovery was interrupted: remove the mark by hand".into());
    }
    if was_killed {
        std::fs::write(&half, "").unwrap();
        std::thread::sleep(Duration::from_millis(30));
        std::fs::remove_file(&half).unwrap();
    }
    Ok(())
}

mutants! {
    /// A merge is acknowledged a little before it happens.
    merges_happen_after_their_answer breaks ["DURABLE-1"] =
        OnFiles(&Plays(|_, target, call, visitor| Box::pin(async move {
            match call {
                Call::MergeObjects(..) | Call::MergeContainers(..) => soon(target, call),
                call => target.play(call, visitor).await,
            }
        })));

    /// Facts, marks and sync points are acknowledged a little before they are changed.
    facts_change_after_their_answer breaks ["DURABLE-1"] =
        OnFiles(&Plays(|_, target, call, visitor| Box::pin(async move {
            match call {
                Call::UpdateMetadata(..) | Call::SetMarks(_) | Call::MergeSyncPoints(..) => {
                    soon(target, call)
                }
                call => target.play(call, visitor).await,
            }
        })));

    /// Removing and quarantining are acknowledged a little before they happen.
    stores_go_after_the_answer breaks ["DURABLE-1"] =
        OnFiles(&Plays(|_, target, call, visitor| Box::pin(async move {
            match call {
                Call::Remove(_) | Call::Quarantine(..) => soon(target, call),
                call => target.play(call, visitor).await,
            }
        })));

    /// The list of container sync is written a little later.
    the_synced_list_is_written_later breaks ["DURABLE-1"] =
        OnFiles(&Plays(|_, target, call, visitor| Box::pin(async move {
            match call {
                Call::SetSynced(..) => soon(target, call),
                call => target.play(call, visitor).await,
            }
        })));

    /// The last row is lost in a kill.
    a_kill_takes_the_last_row breaks ["DURABLE-1"] = Killed(&Answers(|_, answer| match answer {
        Ok(Answer::Objects(rows)) => drop(rows.pop()),
        Ok(Answer::Containers(rows)) => drop(rows.pop()),
        _ => {}
    }));

    /// The first record of a batch is merged in a transaction of its own.
    batches_are_merged_in_two_parts breaks ["DURABLE-2"] =
        OnFiles(&Plays(|_, target, call, visitor| Box::pin(async move {
            let Call::MergeObjects(mut records, options) = call else {
                return target.play(call, visitor).await;
            };
            if records.len() > 1 {
                let rest = records.split_off(1);
                target.ask(Call::MergeObjects(records, MergeOptions::default())).await?;
                a_moment().await;
                records = rest;
            }
            target.ask(Call::MergeObjects(records, options)).await
        })));

    /// The sync point of a batch is raised in a transaction of its own.
    sync_points_precede_their_batches breaks ["DURABLE-2"] =
        OnFiles(&Plays(|_, target, mut call, visitor| Box::pin(async move {
            if let Some(point) = sync_point(&mut call) {
                let raise = Call::MergeSyncPoints(Direction::Incoming, vec![point]);
                target.ask(raise).await?;
                a_moment().await;
            }
            target.play(call, visitor).await
        })));

    /// A store is made before its put timestamp is written.
    stores_are_made_before_their_facts breaks ["DURABLE-2"] =
        OnFiles(&Plays(|_, target, mut call, visitor| Box::pin(async move {
            let Some((put, created_at)) = put_timestamp(&mut call) else {
                return target.play(call, visitor).await;
            };
            let put = std::mem::replace(put, created_at.into()).value();
            let answer = target.ask(call).await?;
            if let Answer::Initialized(Initialized::Created) = answer {
                a_moment().await;
                target.ask(Call::UpdatePutTimestamp(put)).await?;
                target.ask(Call::UpdateStatusChangedAt(put)).await?;
            }
            Ok(answer)
        })));

    /// After a kill the hash is not that of the rows.
    a_kill_takes_the_hash breaks ["DURABLE-2"] =
        Killed(&Facts(|info| info.hash = RollingHash::default()));

    /// Rows are numbered afresh when a killed store is opened.
    rows_are_renumbered_after_a_kill breaks ["DURABLE-3"] = Killed(&Rows(|row| row.row_id.0 += 1));

    /// Only rows that are present after a kill give the highest number.
    a_kill_takes_the_highest_number breaks ["DURABLE-3"] =
        Killed(&ContainerCounts(|info, rows| {
            info.store.max_row = rows.last().map_or(RowId::NONE, |row| row.row_id);
        }));

    /// Rows show with their numbers a little before they are kept.
    rows_show_before_they_are_kept breaks ["DURABLE-3"] =
        OnFiles(&Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::MergeObjects(records, _) = &call {
                let _turn = world.turn.lock().await;
                let next = store_info(target).await?.max_row.0.max(0) + 1;
                let number = |(index, mut row): (usize, ObjectRow)| {
                    row.row_id = RowId(next + index as i64);
                    row
                };
                let new = records.iter().filter_map(|record| merge_object(None, record).ok()?);
                let shown: Vec<_> = new.enumerate().map(number).collect();
                world.remember(place(target), shown);
                tokio::time::sleep(Duration::from_millis(3)).await;
                let answer = target.play(call, visitor).await;
                world.remember(place(target), Vec::<ObjectRow>::new());
                return answer;
            }
            let asked = call.clone();
            let mut answer = target.play(call, visitor).await;
            if let (Call::ObjectsSince(start, ..), Ok(Answer::Objects(rows))) = (asked, &mut answer) {
                let shown: Vec<ObjectRow> = world.remembered(&place(target)).unwrap_or_default();
                let last = rows.last().map_or(start, |row| row.row_id);
                rows.extend(shown.into_iter().filter(|row| row.row_id > last));
            }
            answer
        })));

    /// After a kill, a record that is merged again counts again.
    repetitions_after_a_kill_count breaks ["DURABLE-4"] =
        Killed(&Plays(|_, target, mut call, visitor| Box::pin(async move {
            if let Call::MergeObjects(records, _) = &mut call {
                later(records, &object_rows(target).await?);
            }
            target.play(call, visitor).await
        })));

    /// After a kill, creating a store that was made before is refused.
    creating_again_after_a_kill_is_refused breaks ["DURABLE-4"] =
        Killed(&Answers(|_, answer| {
            if let Ok(Answer::Initialized(Initialized::AlreadyExisted)) = answer {
                *answer = Err(Error::new(ErrorKind::InvalidInput, "made before"));
            }
        }));

    /// After a kill, removing a store that is gone is refused.
    removing_again_after_a_kill_is_refused breaks ["DURABLE-4"] =
        Killed(&Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::Remove(location) = &call {
                let store = Target::open(&world.engine, location, &Default::default());
                if !bool::try_from(store.ask(Call::Exists).await?)? {
                    return Err(Error::not_found());
                }
            }
            target.play(call, visitor).await
        })));

    /// After a kill nothing opens until a file is removed by hand.
    a_lock_outlives_its_process breaks ["DURABLE-5"] = Opens(|_, was_killed| match was_killed {
        true => Err("in use by another process: remove the lock by hand".into()),
        false => Ok(()),
    });

    /// A kill while the engine sets right what a kill left is one too many.
    recovery_must_not_be_interrupted breaks ["DURABLE-5"] = Opens(recover_in_halves);

    /// After a kill the engine opens, and refuses every write.
    writes_are_refused_after_a_kill breaks ["DURABLE-5"] =
        Killed(&Plays(|_, target, call, visitor| Box::pin(async move {
            match call {
                Call::MergeObjects(..) | Call::MergeContainers(..) => {
                    Err(Error::new(ErrorKind::ReadOnly, "to be checked by hand"))
                }
                call => target.play(call, visitor).await,
            }
        })));

    /// An engine whose writes survive nothing claims that they do.
    memory_claims_to_be_durable breaks ["DURABLE-6"] = Asks(|_| ());

    /// Writes survive a kill, but only of memory is it stated.
    files_state_memory breaks ["DURABLE-6"] = States(Durability::Memory);

    /// States disk, and syncs nothing.
    disk_is_stated_and_nothing_synced breaks ["DURABLE-6"] = States(Durability::Disk);
}
