//! Restoring whole stores.

use crate::flaw::Flaw::{Asks, ContainerCounts, Plays, Reopened};
use crate::flaw::{World, place};
use crate::mutant::mutants;
use broker_api::{
    Error, ErrorKind, Facts, ObjectRow, Reported, Result, RowId, Rows, StoreImage, Tally,
};
use broker_layers::{Answer, Call, Target, Visitor};
use std::collections::HashSet;

/// What was handed in so far for a store.
#[derive(Clone)]
struct Given {
    image: StoreImage,
    objects: Vec<ObjectRow>,
}

fn image(call: &mut Call, change: impl FnOnce(&mut StoreImage)) {
    if let Call::SnapshotBegin(image) = call {
        change(image);
    }
}

fn objects(call: &mut Call, change: impl FnOnce(&mut Vec<ObjectRow>)) {
    if let Call::SnapshotAdd(Rows::Objects(rows)) = call {
        change(rows);
    }
}

/// Remembers what is handed in; what there is of this store.
fn given(world: &World, target: &Target, call: &Call) -> Option<Given> {
    let key = format!("given {}", place(target));
    let mut given = world.remembered::<Given>(&key);
    match call {
        Call::SnapshotBegin(image) => {
            let (image, objects) = ((**image).clone(), Vec::new());
            given = Some(Given { image, objects });
        }
        Call::SnapshotAdd(Rows::Objects(rows)) => {
            given.as_mut()?.objects.extend(rows.iter().cloned());
        }
        _ => {}
    }
    world.remember(key, given.clone()?);
    given
}

/// Restores other rows under facts of their own.
async fn restore(target: &Target, mut given: Given) -> Result<Answer> {
    let rows = Rows::Objects(given.objects);
    let mut tally = Tally::of(&given.image.facts);
    tally.all(&rows);
    given.image.facts = tally.facts().clone();
    target.ask(Call::SnapshotAbandon).await?;
    target
        .ask(Call::SnapshotBegin(Box::new(given.image)))
        .await?;
    target.ask(Call::SnapshotAdd(rows)).await?;
    target.ask(Call::SnapshotFinish).await
}

fn is_refused(answer: &Result<Answer>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::InvalidInput)
}

/// The first row of a page when the page has rows that were handed in before.
fn repeats(world: &World, target: &Target, call: &Call) -> bool {
    let before = world.remembered::<Given>(&format!("given {}", place(target)));
    let highest = before.and_then(|given| given.objects.last().map(|row| row.row_id));
    given(world, target, call);
    match call {
        Call::SnapshotAdd(Rows::Objects(rows)) => {
            rows.first().is_some_and(|row| Some(row.row_id) <= highest)
        }
        _ => false,
    }
}

mutants! {
    /// A store exists from the beginning of its restoring.
    unfinished_stores_exist breaks ["SNAPSHOT-1"] = Plays(|world, target, call, visitor| Box::pin(async move {
        let begun = given(world, target, &call).is_some();
        match call {
            Call::Exists if begun => Ok(true.into()),
            call => target.play(call, visitor).await,
        }
    }));

    /// A store is found from the beginning of its restoring.
    unfinished_stores_are_listed breaks ["SNAPSHOT-1"] = Plays(|world, target, call, visitor| Box::pin(async move {
        if let (Call::SnapshotBegin(_), Some(location)) = (&call, target.location()) {
            world.remember("begun".to_owned(), location.clone());
        }
        let is_listing = matches!(call, Call::Stores { .. });
        let mut answer = target.play(call, visitor).await;
        if let (true, Ok(Answer::Locations(found))) = (is_listing, &mut answer) {
            found.extend(world.remembered("begun"));
        }
        answer
    }));

    /// What is restored takes the place of a store that was made meanwhile.
    finishing_replaces_a_store breaks ["SNAPSHOT-1"] = Plays(|world, target, call, visitor| Box::pin(async move {
        if let (Call::SnapshotFinish, Some(location)) = (&call, target.location()) {
            world.engine.remove(location).await?;
        }
        target.play(call, visitor).await
    }));

    /// Nothing is said against a beginning, whatever it begins with and wherever.
    any_beginning_is_accepted breaks ["SNAPSHOT-1", "SNAPSHOT-6"] = Plays(|_, target, call, visitor| Box::pin(async move {
        let begins = matches!(call, Call::SnapshotBegin(_));
        let answer = target.play(call, visitor).await;
        match begins && is_refused(&answer) {
            true => Ok(Answer::Restored(RowId::NONE)),
            false => answer,
        }
    }));

    /// Metadata stays behind.
    metadata_stays_behind breaks ["SNAPSHOT-2"] =
        Asks(|call| image(call, |image| image.facts.store_mut().raw_metadata.clear()));

    /// A restored store has an id of its own.
    restored_stores_have_new_ids breaks ["SNAPSHOT-2"] =
        Asks(|call| image(call, |image| image.facts.store_mut().id.push('x')));

    /// The status stays behind.
    the_status_stays_behind breaks ["SNAPSHOT-2"] =
        Asks(|call| image(call, |image| image.facts.store_mut().status.clear()));

    /// Times are written as this engine spells them.
    times_are_spelled_anew breaks ["SNAPSHOT-2"] = Asks(|call| image(call, |image| {
        let store = image.facts.store_mut();
        store.put_timestamp = store.put_timestamp.value().into();
    }));

    /// Sync points are dated now.
    sync_points_are_dated_anew breaks ["SNAPSHOT-2"] = Asks(|call| image(call, |image| {
        image.incoming.iter_mut().for_each(|point| point.updated_at = "1700000000".into());
    }));

    /// Outgoing points stay behind.
    outgoing_points_stay_behind breaks ["SNAPSHOT-2"] =
        Asks(|call| image(call, |image| image.outgoing.clear()));

    /// Marks and reports stay behind.
    marks_stay_behind breaks ["SNAPSHOT-2"] = Asks(|call| image(call, |image| {
        if let Facts::Container(info) = &mut image.facts {
            info.reconciler_sync_point = -1;
            info.reported = Reported::default();
        }
    }));

    /// Statistics of policies without rows stay behind.
    zero_statistics_stay_behind breaks ["SNAPSHOT-2"] = Asks(|call| image(call, |image| {
        if let Facts::Container(info) = &mut image.facts {
            info.policy_stats.retain(|stat| stat.object_count != 0 || stat.bytes_used != 0);
        }
    }));

    /// The highest number is that of the last row.
    the_highest_number_stays_behind breaks ["SNAPSHOT-2"] = ContainerCounts(|info, rows| {
        info.store.max_row = rows.last().map_or(RowId::NONE, |row| row.row_id);
    });

    /// Content types stay behind, which neither hash nor counts show.
    content_types_stay_behind breaks ["SNAPSHOT-2"] = Asks(|call| objects(call, |rows| {
        rows.iter_mut().for_each(|row| row.content_type.clear());
    }));

    /// Tombstones stay behind.
    tombstones_stay_behind breaks ["SNAPSHOT-2", "SNAPSHOT-3"] = Plays(|world, target, call, visitor| Box::pin(async move {
        let given = given(world, target, &call);
        match (call, given) {
            (Call::SnapshotFinish, Some(mut given)) => {
                given.objects.retain(|row| !row.deleted);
                restore(target, given).await
            }
            (call, _) => target.play(call, visitor).await,
        }
    }));

    /// Counts are those of the rows, whatever the image says.
    counts_are_not_compared breaks ["SNAPSHOT-3"] = Plays(|world, target, call, visitor| Box::pin(async move {
        let given = given(world, target, &call);
        let finishes = call == Call::SnapshotFinish;
        let answer = target.play(call, visitor).await;
        match given {
            Some(given) if finishes && is_refused(&answer) => restore(target, given).await,
            _ => answer,
        }
    }));

    /// Of two rows of a name, one is kept.
    one_of_two_rows_of_a_name_is_kept breaks ["SNAPSHOT-3"] = Plays(|world, target, call, visitor| Box::pin(async move {
        let given = given(world, target, &call);
        let finishes = call == Call::SnapshotFinish;
        let answer = target.play(call, visitor).await;
        match given {
            Some(mut given) if finishes && is_refused(&answer) => {
                let mut names = HashSet::new();
                let before = given.objects.len();
                given.objects.retain(|row| names.insert((row.name.clone(), row.policy_index)));
                match given.objects.len() < before {
                    true => restore(target, given).await,
                    false => answer,
                }
            }
            _ => answer,
        }
    }));

    /// A refused finish forgets what was added.
    a_refused_finish_forgets breaks ["SNAPSHOT-3"] = Plays(|_, target, call, visitor| Box::pin(async move {
        let finishes = call == Call::SnapshotFinish;
        let answer = target.play(call, visitor).await;
        if finishes && is_refused(&answer) {
            target.ask(Call::SnapshotAbandon).await?;
        }
        answer
    }));

    /// Every beginning is a fresh one.
    every_beginning_is_fresh breaks ["SNAPSHOT-4"] = Plays(|_, target, call, visitor| {
        Box::pin(begin_afresh(target, call, visitor))
    });

    /// What was added is forgotten when the engine is closed.
    unfinished_stores_are_forgotten breaks ["SNAPSHOT-4"] = Reopened(&Plays(|_, target, call, visitor| {
        Box::pin(begin_afresh(target, call, visitor))
    }));

    /// What was begun goes on, whatever the image.
    any_image_goes_on breaks ["SNAPSHOT-4"] = Plays(|world, target, mut call, visitor| Box::pin(async move {
        let key = format!("first {}", place(target));
        if let Call::SnapshotBegin(image) = &mut call {
            let first = world.remembered::<StoreImage>(&key).unwrap_or_else(|| (**image).clone());
            world.remember(key, first.clone());
            **image = first;
        }
        target.play(call, visitor).await
    }));

    /// A page that begins with a known row is taken for a repetition as a whole.
    pages_with_known_rows_are_lost breaks ["SNAPSHOT-5"] = Plays(|world, target, call, visitor| Box::pin(async move {
        match repeats(world, target, &call) {
            true => Ok(().into()),
            false => target.play(call, visitor).await,
        }
    }));

    /// Rows that are there already are refused.
    repeated_rows_are_refused breaks ["SNAPSHOT-5"] = Plays(|world, target, call, visitor| Box::pin(async move {
        match repeats(world, target, &call) {
            true => Err(Error::new(ErrorKind::InvalidInput, "these rows are here")),
            false => target.play(call, visitor).await,
        }
    }));

    /// Nothing is said against rows, whatever their kind, order or numbers.
    any_rows_are_accepted breaks ["SNAPSHOT-6"] = Plays(|_, target, call, visitor| Box::pin(async move {
        let adds = matches!(call, Call::SnapshotAdd(_));
        let answer = target.play(call, visitor).await;
        match adds && is_refused(&answer) {
            true => Ok(().into()),
            false => answer,
        }
    }));

    /// Abandoning does nothing.
    nothing_is_abandoned breaks ["SNAPSHOT-7"] = Plays(|_, target, call, visitor| Box::pin(async move {
        match call {
            Call::SnapshotAbandon => Ok(().into()),
            call => target.play(call, visitor).await,
        }
    }));

    /// There must be something to abandon.
    abandoning_nothing_is_refused breaks ["SNAPSHOT-7"] = Plays(|world, target, call, visitor| Box::pin(async move {
        let key = format!("begun {}", place(target));
        match &call {
            Call::SnapshotBegin(_) => drop(world.remember(key, true)),
            Call::SnapshotAbandon if world.remember(key, false) != Some(true) => {
                return Err(Error::new(ErrorKind::InvalidInput, "nothing to abandon"));
            }
            _ => {}
        }
        target.play(call, visitor).await
    }));
}

async fn begin_afresh(target: &Target, call: Call, visitor: Visitor) -> Result<Answer> {
    if let Call::SnapshotBegin(_) = &call {
        target.ask(Call::SnapshotAbandon).await?;
    }
    target.play(call, visitor).await
}
