//! Sync points and identity.

use crate::flaw::Flaw::{Answers, Asks, ContainerFacts, Plays, Store};
use crate::flaw::{container_info, place, store_info};
use crate::mutant::mutants;
use crate::store::StoreFlaw::{SetsPoint, Updates};
use broker_api::{ContainerMarks, Direction, ReclaimAge, RowId, SyncPoint, Timestamp};
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
}
