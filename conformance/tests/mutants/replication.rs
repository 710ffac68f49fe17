//! Sync points, identity, reclaiming.

use crate::flaw::Flaw::{Answers, Asks, ContainerFacts, Plays, Store};
use crate::flaw::{container_info, object_rows, place, store_info};
use crate::mutant::mutants;
use crate::store::StoreFlaw::{Reclaims, SetsPoint, Updates};
use broker_api::{
    ContainerMarks, Direction, MergeOptions, Metadata, MetadataEntry, ObjectRow, ReclaimAge, RowId,
    SyncPoint, Timestamp,
};
use broker_layers::{Answer, Call, Target};

fn points(answer: &mut broker_api::Result<Answer>) -> Option<&mut Vec<SyncPoint>> {
    match answer {
        Ok(Answer::SyncPoints(points)) => Some(points),
        _ => None,
    }
}

fn direction(call: &mut Call) -> Option<&mut Direction> {
    match call {
        Call::SyncPoints(direction) | Call::MergeSyncPoints(direction, _) => Some(direction),
        _ => None,
    }
}

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
    let old = metadata.entries().iter().filter(|entry| goes(entry, age.tombstones));
    let blank = old.map(|entry| MetadataEntry::new(&entry.key, "", format!("{}0", entry.timestamp)));
    target.ask(Call::UpdateMetadata(blank.collect(), None)).await.map(drop)
}

fn is_older(entry: &MetadataEntry, age: Timestamp) -> bool {
    Timestamp::parse(&entry.timestamp).is_ok_and(|at| at < age)
}

mutants! {
    /// Incoming and outgoing points are one list.
    directions_are_mixed breaks ["SYNC-1"] = Asks(|call| {
        if let Some(direction) = direction(call) {
            *direction = Direction::Incoming;
        }
    });

    /// A point is set, larger or not.
    points_are_set breaks ["SYNC-1"] = Plays(|world, target, call, visitor| Box::pin(async move {
        if let Call::MergeSyncPoints(direction, given) = &call {
            world.remember(format!("{} {direction:?}", place(target)), given.clone());
        }
        let asked = call.clone();
        let mut answer = target.play(call, visitor).await;
        if let (Call::SyncPoints(direction), Some(points)) = (asked, points(&mut answer)) {
            let key = format!("{} {direction:?}", place(target));
            for given in world.remembered::<Vec<SyncPoint>>(&key).unwrap_or_default() {
                for point in points.iter_mut().filter(|it| it.remote_id == given.remote_id) {
                    point.sync_point = given.sync_point;
                }
            }
        }
        answer
    }));

    /// A point is set once and never raised.
    points_never_rise breaks ["SYNC-1"] =
        Store(SetsPoint(|_, known, point| *point = known.unwrap_or(*point)));

    /// Minus one is no point.
    minus_one_is_no_point breaks ["SYNC-1"] = Answers(|_, answer| {
        if let Some(points) = points(answer) {
            points.retain(|point| point.sync_point != RowId::NONE);
        }
    });

    /// Points are sorted by id.
    points_are_sorted breaks ["SYNC-1"] = Answers(|_, answer| {
        if let Some(points) = points(answer) {
            points.sort_by(|a, b| a.remote_id.cmp(&b.remote_id));
        }
    });

    /// Of several points only the first is merged.
    only_the_first_point_is_merged breaks ["SYNC-1"] = Asks(|call| {
        if let Call::MergeSyncPoints(_, points) = call {
            points.truncate(1);
        }
    });

    /// A point that is not raised keeps its time.
    idle_points_keep_their_time breaks ["SYNC-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let mut call = call;
            if let Call::MergeSyncPoints(direction, given) = &mut call {
                let asked = target.ask(Call::SyncPoints(*direction)).await?;
                let stored: Vec<SyncPoint> = asked.try_into()?;
                given.retain(|given| !stored.iter().any(|known| {
                    known.remote_id == given.remote_id && known.sync_point >= given.sync_point
                }));
            }
            target.play(call, visitor).await
        }));

    /// Times of points are written with decimals.
    times_have_decimals breaks ["SYNC-2"] = Answers(|_, answer| {
        for point in points(answer).into_iter().flatten() {
            point.updated_at.push_str(".00000");
        }
    });

    /// Points have no time.
    points_have_no_time breaks ["SYNC-2"] = Answers(|_, answer| {
        for point in points(answer).into_iter().flatten() {
            point.updated_at.clear();
        }
    });

    /// Times of points are in milliseconds.
    times_are_in_milliseconds breaks ["SYNC-2"] = Answers(|_, answer| {
        for point in points(answer).into_iter().flatten() {
            point.updated_at.push_str("000");
        }
    });

    /// The id stays.
    the_id_stays breaks ["ID-1"] = Store(Updates(|_, change| change.id = None));

    /// A new id only raises the point of the remote.
    new_ids_raise_points breaks ["ID-1"] = Store(SetsPoint(|_, known, point| {
        *point = known.unwrap_or(RowId::NONE).max(*point);
    }));

    /// A new id sets the point to the highest number ever assigned.
    new_ids_count_removed_rows breaks ["ID-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let Call::NewId { remote_id, .. } = &call else {
                return target.play(call, visitor).await;
            };
            let point = SyncPoint::new(remote_id.clone(), store_info(target).await?.max_row);
            let answer = target.play(call, visitor).await;
            target.ask(Call::MergeSyncPoints(Direction::Incoming, vec![point])).await?;
            answer
        }));

    /// A new id sets no point for an empty store.
    new_ids_of_empty_stores_set_nothing breaks ["ID-1"] = Answers(|_, answer| {
        if let Some(points) = points(answer) {
            points.retain(|point| point.sync_point != RowId::NONE);
        }
    });

    /// A new id sets the outgoing point.
    new_ids_set_outgoing_points breaks ["ID-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::NewId { remote_id, .. } = &call {
                let point = vec![SyncPoint::new(remote_id.clone(), RowId(99))];
                target.ask(Call::MergeSyncPoints(Direction::Outgoing, point)).await?;
            }
            target.play(call, visitor).await
        }));

    /// A new id drops the points of other remotes.
    new_ids_drop_other_points breaks ["ID-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::NewId { .. } = &call {
                let (tombstones, sync_points) = (Timestamp::ZERO, Timestamp::from_seconds(9_999_999_999));
                target.ask(Call::Reclaim(ReclaimAge { tombstones, sync_points })).await?;
            }
            target.play(call, visitor).await
        }));

    /// A new id leaves what was reported.
    new_ids_keep_reports breaks ["ID-2"] = Plays(|_, target, call, visitor| Box::pin(async move {
        let is_new_id = matches!(call, Call::NewId { .. });
        let mut marks = ContainerMarks::default();
        if let (true, Target::Container(..)) = (is_new_id, target) {
            marks.reported = Some(container_info(target).await?.reported);
        }
        let answer = target.play(call, visitor).await;
        if marks.reported.is_some() {
            target.ask(Call::SetMarks(marks)).await?;
        }
        answer
    }));

    /// A new id forgets half of what was reported.
    new_ids_keep_reported_times breaks ["ID-2"] =
        ContainerFacts(|info| info.reported.put_timestamp = "0000000001.00000".into());

    /// A new id forgets the marks too.
    new_ids_forget_marks breaks ["ID-2"] = Plays(|_, target, call, visitor| Box::pin(async move {
        if let (Call::NewId { .. }, Target::Container(..)) = (&call, target) {
            let mut marks = ContainerMarks::default();
            marks.x_container_sync_point1 = Some(-1);
            marks.reconciler_sync_point = Some(-1);
            target.ask(Call::SetMarks(marks)).await?;
        }
        target.play(call, visitor).await
    }));

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
