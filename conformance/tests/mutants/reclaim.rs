//! Reclaiming.

use crate::flaw::Flaw::{Answers, Asks, Plays, Store};
use crate::flaw::{container_info, object_rows, place, store_info};
use crate::mutant::mutants;
use crate::store::StoreFlaw::{Reclaims, Updates};
use broker_api::{
    Direction, MergeOptions, Metadata, MetadataEntry, ObjectRow, ReclaimAge, SyncPoint, Timestamp,
};
use broker_layers::{Answer, Call, Target};

fn age(call: &mut Call, change: impl FnOnce(&mut ReclaimAge)) {
    if let Call::Reclaim(age) = call {
        change(age);
    }
}

/// Blanks metadata and drops it, as far as it is older than the age.
async fn drop_metadata(
    target: &Target,
    age: &ReclaimAge,
    goes: fn(&MetadataEntry, Timestamp) -> bool,
) -> broker_api::Result<()> {
    let metadata: Metadata = store_info(target).await?.metadata()?;
    let old = metadata
        .entries()
        .iter()
        .filter(|entry| goes(entry, age.tombstones));
    let blank =
        old.map(|entry| MetadataEntry::new(&entry.key, "", format!("{}0", entry.timestamp)));
    target
        .ask(Call::UpdateMetadata(blank.collect(), None))
        .await
        .map(drop)
}

fn is_older(entry: &MetadataEntry, age: Timestamp) -> bool {
    Timestamp::parse(&entry.timestamp).is_ok_and(|at| at < age)
}

mutants! {
    /// Tombstones as old as the age go.
    tombstones_go_early breaks ["RECLAIM-1"] = Store(Reclaims(|age| format!("{age}\0")));

    /// Times of tombstones are compared without what follows the first.
    tombstones_go_by_whole_seconds breaks ["RECLAIM-1"] =
        Store(Reclaims(|age| age.split('.').next().unwrap_or_default().to_owned()));

    /// All tombstones go.
    all_tombstones_go breaks ["RECLAIM-1"] = Store(Reclaims(|_| "A".to_owned()));

    /// No tombstone goes.
    no_tombstone_goes breaks ["RECLAIM-1"] = Store(Reclaims(|_| String::new()));

    /// Offsets of the age are not looked at.
    ages_have_no_offset breaks ["RECLAIM-1"] =
        Asks(|call| age(call, |age| age.tombstones = age.tombstones.normalized()));

    /// Live rows go too.
    live_rows_go breaks ["RECLAIM-1"] = Plays(|_, target, call, visitor| Box::pin(async move {
        if let (Call::Reclaim(age), Target::Container(..)) = (&call, target) {
            let old = |row: &&ObjectRow| row.created_at < age.tombstones.internal();
            let rows = object_rows(target).await?;
            for row in rows.iter().filter(old).filter(|row| !row.deleted) {
                let remove = broker_api::RemoveObjects {
                    max_row: Some(row.row_id),
                    ..Default::default()
                };
                target.ask(Call::RemoveObjects(remove)).await?;
            }
        }
        target.play(call, visitor).await
    }));

    /// Only tombstones of the own policy go.
    other_tombstones_stay breaks ["RECLAIM-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let mut kept = Vec::new();
            if let (Call::Reclaim(_), Target::Container(..)) = (&call, target) {
                let own = container_info(target).await?.policy_index;
                kept = object_rows(target).await?;
                kept.retain(|row| row.deleted && row.policy_index != own);
            }
            let answer = target.play(call, visitor).await;
            if !kept.is_empty() {
                let records = kept.iter().map(|row| row.to_record().unwrap()).collect();
                target.ask(Call::MergeObjects(records, MergeOptions::default())).await?;
            }
            answer
        }));

    /// Reclaimed tombstones stay in the hash.
    the_hash_keeps_tombstones breaks ["RECLAIM-1"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let (Call::Reclaim(_), Target::Container(..)) = (&call, target) {
                world.remember(place(target), container_info(target).await?.store.hash);
            }
            let mut answer = target.play(call, visitor).await;
            if let (Ok(Answer::ContainerInfo(Some(info))), Some(hash)) =
                (&mut answer, world.remembered(&place(target)))
            {
                info.store.hash = hash;
            }
            answer
        }));

    /// Sync points are never too old.
    no_point_goes breaks ["RECLAIM-2"] =
        Asks(|call| age(call, |age| age.sync_points = Timestamp::ZERO));

    /// Sync points always go.
    all_points_go breaks ["RECLAIM-2"] = Asks(|call| age(call, |age| {
        age.sync_points = Timestamp::from_seconds(9_999_999_999);
    }));

    /// Only incoming points go.
    outgoing_points_stay breaks ["RECLAIM-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let mut outgoing = Vec::new();
            if let Call::Reclaim(_) = &call {
                let asked = target.ask(Call::SyncPoints(Direction::Outgoing)).await?;
                outgoing = Vec::<SyncPoint>::try_from(asked)?;
            }
            let answer = target.play(call, visitor).await;
            if !outgoing.is_empty() {
                target.ask(Call::MergeSyncPoints(Direction::Outgoing, outgoing)).await?;
            }
            answer
        }));

    /// Removed metadata never goes.
    removed_metadata_stays breaks ["RECLAIM-3"] = Store(Updates(|facts, change| {
        let count = |json: &str| Metadata::from_json(json).unwrap().entries().len();
        let before = count(&facts.store().raw_metadata);
        change.raw_metadata.take_if(|json| count(json) < before);
    }));

    /// Metadata with a value goes too.
    live_metadata_goes breaks ["RECLAIM-3"] = Plays(|_, target, call, visitor| Box::pin(async move {
        if let Call::Reclaim(age) = &call {
            drop_metadata(target, age, is_older).await?;
        }
        target.play(call, visitor).await
    }));

    /// Removed metadata goes when it is as old as the age.
    metadata_goes_early breaks ["RECLAIM-3"] = Plays(|_, target, call, visitor| Box::pin(async move {
        let Call::Reclaim(age) = call else {
            return target.play(call, visitor).await;
        };
        let answer = target.play(call, visitor).await;
        let later = age.tombstones.shifted(1)?;
        let (tombstones, sync_points) = (later, Timestamp::ZERO);
        let rows = match target {
            Target::Container(..) => object_rows(target).await?,
            _ => Vec::new(),
        };
        if rows.iter().all(|row| !row.deleted) {
            target.ask(Call::Reclaim(ReclaimAge { tombstones, sync_points })).await?;
        }
        answer
    }));

    /// All removed metadata goes.
    all_removed_metadata_goes breaks ["RECLAIM-3"] = crate::flaw::Flaw::Facts(|info| {
        let mut metadata = info.metadata().unwrap();
        if metadata.reclaim(Timestamp::from_seconds(9_999_999_999)) {
            info.raw_metadata = metadata.to_json();
        }
    });

    /// Tombstones that are left are not counted.
    left_tombstones_are_not_counted breaks ["RECLAIM-4"] = Answers(|_, answer| {
        if let Ok(Answer::Reclaimed(done)) = answer {
            done.tombstones = 0;
        }
    });

    /// Tombstones that are removed are not counted.
    removed_tombstones_are_not_counted breaks ["RECLAIM-4"] = Answers(|_, answer| {
        if let Ok(Answer::Reclaimed(done)) = answer {
            done.removed = 0;
        }
    });

    /// Removed tombstones count as left.
    all_tombstones_count_as_left breaks ["RECLAIM-4"] = Answers(|_, answer| {
        if let Ok(Answer::Reclaimed(done)) = answer {
            done.tombstones += done.removed;
        }
    });

    /// Writes that arrive during a reclaim are lost.
    reclaims_lose_writes breaks ["RECLAIM-4", "CONCUR-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let (Call::Reclaim(_), Target::Container(..)) = (&call, target) {
                let before = container_info(target).await?.store.max_row;
                let answer = target.play(call, visitor).await;
                tokio::task::yield_now().await;
                let late = object_rows(target).await?;
                for row in late.iter().filter(|row| row.row_id > before) {
                    let mut upper = row.name.clone();
                    let lower = upper.pop().map_or(String::new(), |_| upper);
                    let remove = broker_api::RemoveObjects {
                        lower,
                        upper: row.name.clone(),
                        ..Default::default()
                    };
                    target.ask(Call::RemoveObjects(remove)).await?;
                }
                return answer;
            }
            target.play(call, visitor).await
        }));
}
