//! What may be asked of a store while it is restored.

use crate::copies::{Begun, begin_again, begun, noted};
use crate::flaw::Flaw::{Answers, Plays, Reopened};
use crate::flaw::place;
use crate::mutant::mutants;
use broker_api::{
    Error, ErrorKind, Facts, Initialized, ObjectRow, Result, RowId, Rows, StoreImage,
};
use broker_layers::{Answer, Call};
use std::collections::BTreeMap;

/// Takes what was refused: nothing happens, and nobody is told.
fn take(answer: &mut Result<Answer>, taken: impl Into<Answer>) {
    if answer.is_err() {
        *answer = Ok(taken.into());
    }
}

/// Takes a refused image when it is one of these.
fn take_image(call: &Call, answer: &mut Result<Answer>, is_one: fn(&StoreImage) -> bool) {
    if let Call::SnapshotBegin(image) = call
        && is_one(image)
    {
        take(answer, RowId::NONE);
    }
}

/// How often an account's image names a policy.
fn names_a_policy_twice(image: &StoreImage) -> bool {
    let Facts::Account(info) = &image.facts else {
        return false;
    };
    let mut policies: Vec<_> = info
        .policy_stats
        .iter()
        .map(|stat| stat.policy_index)
        .collect();
    policies.sort_unstable();
    policies.windows(2).any(|two| two[0] == two[1])
}

fn has_a_point_twice(image: &StoreImage) -> bool {
    [&image.incoming, &image.outgoing]
        .into_iter()
        .any(|points| {
            let mut ids: Vec<_> = points.iter().map(|point| &point.remote_id).collect();
            ids.sort_unstable();
            ids.windows(2).any(|two| two[0] == two[1])
        })
}

fn numbers(rows: &Rows) -> Vec<RowId> {
    match rows {
        Rows::Containers(rows) => rows.iter().map(|row| row.row_id).collect(),
        Rows::Objects(rows) => rows.iter().map(|row| row.row_id).collect(),
    }
}

mutants! {
    /// Beginning with the same image forgets what is there.
    beginning_again_starts_afresh breaks ["SNAPSHOT-4"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::SnapshotBegin(_) = &call {
                target.ask(Call::SnapshotAbandon).await?;
            }
            target.play(call, visitor).await
        }));

    /// What was begun is forgotten when the engine is closed.
    unfinished_stores_are_forgotten breaks ["SNAPSHOT-4"] =
        Reopened(&Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::SnapshotBegin(_) = &call && world.first_time(place(target)) {
                target.ask(Call::SnapshotAbandon).await?;
            }
            target.play(call, visitor).await
        })));

    /// It is not told how far an earlier attempt had got.
    beginning_again_tells_no_number breaks ["SNAPSHOT-4"] = Answers(|_, answer| {
        if let Ok(Answer::Restored(highest)) = answer {
            *highest = RowId::NONE;
        }
    });

    /// Another image goes on with what was added before.
    another_image_goes_on breaks ["SNAPSHOT-4"] =
        Plays(|world, target, mut call, visitor| Box::pin(async move {
            if let (Call::SnapshotBegin(image), Some(old)) =
                (&mut call, begun(world, target).image)
            {
                **image = old;
            }
            noted(world, target, call, visitor).await
        }));

    /// An image with another sync point counts as the same.
    sync_points_of_images_are_not_compared breaks ["SNAPSHOT-4"] =
        Plays(|world, target, mut call, visitor| Box::pin(async move {
            if let (Call::SnapshotBegin(image), Some(old)) =
                (&mut call, begun(world, target).image)
                && image.facts == old.facts
            {
                **image = old;
            }
            noted(world, target, call, visitor).await
        }));

    /// Rows that are there already are refused.
    repeated_rows_are_refused breaks ["SNAPSHOT-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let highest = begun(world, target).highest();
            if let Call::SnapshotAdd(rows) = &call
                && numbers(rows).iter().any(|number| *number <= highest)
            {
                return Err(Error::new(ErrorKind::InvalidInput, "a row is there already"));
            }
            noted(world, target, call, visitor).await
        }));

    /// New rows behind repeated ones are dropped with them.
    pages_with_repeated_rows_are_dropped breaks ["SNAPSHOT-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let highest = begun(world, target).highest();
            match &call {
                Call::SnapshotAdd(rows) if numbers(rows).iter().any(|it| *it <= highest) => {
                    Ok(().into())
                }
                _ => noted(world, target, call, visitor).await,
            }
        }));

    /// Repeated rows take the place of those that are there.
    repeated_rows_replace_the_first breaks ["SNAPSHOT-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let mut all: Begun = begun(world, target);
            let repeats = match &call {
                Call::SnapshotAdd(rows) => numbers(rows).iter().any(|it| *it <= all.highest()),
                _ => false,
            };
            let answer = noted(world, target, call, visitor).await;
            if repeats {
                all = begun(world, target);
                let by_number = |row: ObjectRow| (row.row_id, row);
                let rows: BTreeMap<_, _> = all.objects().into_iter().map(by_number).collect();
                all.pages = vec![Rows::Objects(rows.into_values().collect())];
                begin_again(target, &all).await?;
            }
            answer
        }));

    /// An image of the other kind is taken.
    images_of_the_other_kind_are_taken breaks ["SNAPSHOT-6"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            match (&call, target.location()) {
                (Call::SnapshotBegin(image), Some(place)) if image.kind() != place.kind() => {
                    Ok(RowId::NONE.into())
                }
                _ => target.play(call, visitor).await,
            }
        }));

    /// An image without a name is taken.
    images_without_a_name_are_taken breaks ["SNAPSHOT-6"] = Answers(|call, answer| {
        take_image(call, answer, |image| image.facts.store().account.is_empty());
    });

    /// Statistics that do not count containers are taken.
    statistics_without_containers_are_taken breaks ["SNAPSHOT-6"] = Answers(|call, answer| {
        take_image(call, answer, |image| {
            let Facts::Account(info) = &image.facts else {
                return false;
            };
            info.policy_stats.iter().any(|stat| stat.container_count.is_none())
        });
    });

    /// A policy may be named twice.
    policies_are_named_twice breaks ["SNAPSHOT-6"] =
        Answers(|call, answer| take_image(call, answer, names_a_policy_twice));

    /// Two sync points may be of one id.
    points_of_one_id_are_taken breaks ["SNAPSHOT-6"] =
        Answers(|call, answer| take_image(call, answer, has_a_point_twice));

    /// Rows of the other kind are taken.
    rows_of_the_other_kind_are_taken breaks ["SNAPSHOT-6"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            match (&call, target.location()) {
                (Call::SnapshotAdd(rows), Some(place)) if rows.kind() != place.kind() => {
                    Ok(().into())
                }
                _ => target.play(call, visitor).await,
            }
        }));

    /// Rows may come in any order.
    rows_in_any_order_are_taken breaks ["SNAPSHOT-6"] = Answers(|call, answer| {
        if let Call::SnapshotAdd(rows) = call && !numbers(rows).is_sorted() {
            take(answer, ());
        }
    });

    /// Rows above the highest number are taken.
    rows_above_the_highest_are_taken breaks ["SNAPSHOT-6"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let image = begun(world, target).image;
            let max_row = image.map(|image| image.facts.store().max_row);
            match &call {
                Call::SnapshotAdd(rows) if max_row.is_some() && rows.last() > max_row => {
                    Ok(().into())
                }
                _ => noted(world, target, call, visitor).await,
            }
        }));

    /// Rows are taken where nothing was begun.
    rows_without_a_beginning_are_taken breaks ["SNAPSHOT-6"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            match (&call, begun(world, target).image) {
                (Call::SnapshotAdd(_), None) => Ok(().into()),
                _ => noted(world, target, call, visitor).await,
            }
        }));

    /// A finish succeeds where nothing was begun.
    finishing_nothing_succeeds breaks ["SNAPSHOT-6"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            match (&call, begun(world, target).image) {
                (Call::SnapshotFinish, None) => Ok(().into()),
                _ => noted(world, target, call, visitor).await,
            }
        }));

    /// Abandoning keeps what was added.
    abandoning_forgets_nothing breaks ["SNAPSHOT-7"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            match call {
                Call::SnapshotAbandon => Ok(().into()),
                call => target.play(call, visitor).await,
            }
        }));

    /// Abandoning is refused where nothing was begun.
    abandoning_nothing_is_refused breaks ["SNAPSHOT-7"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            match (&call, begun(world, target).image) {
                (Call::SnapshotAbandon, None) => {
                    Err(Error::new(ErrorKind::InvalidInput, "nothing is being restored here"))
                }
                _ => noted(world, target, call, visitor).await,
            }
        }));

    /// Where a restore was abandoned, none begins again.
    abandoned_places_are_not_restored breaks ["SNAPSHOT-7"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let was_abandoned = world.remembered::<()>(&place(target)).is_some();
            match &call {
                Call::SnapshotBegin(_) if was_abandoned => {
                    return Err(Error::new(ErrorKind::InvalidInput, "abandoned"));
                }
                Call::SnapshotAbandon => drop(world.remember(place(target), ())),
                _ => {}
            }
            target.play(call, visitor).await
        }));

    /// Where a restore was abandoned, no store is made.
    abandoned_places_stay_taken breaks ["SNAPSHOT-7"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let was_abandoned = world.remembered::<()>(&place(target)).is_some();
            match &call {
                Call::InitializeAccount(_) if was_abandoned => {
                    return Ok(Initialized::AlreadyExisted.into());
                }
                Call::SnapshotAbandon => drop(world.remember(place(target), ())),
                _ => {}
            }
            target.play(call, visitor).await
        }));
}
