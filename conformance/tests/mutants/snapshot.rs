//! What becomes of a store that is restored.

use crate::copies::{Begun, begin_again, begun, finish_in_spite, noted};
use crate::flaw::Flaw::{Asks, Plays};
use crate::mutant::mutants;
use broker_api::{Error, ErrorKind, Facts, Location, ObjectRow, RowId, Rows, StoreImage, Tally};
use broker_layers::{Answer, Call};
use std::collections::HashSet;

/// The image of a restore that begins.
fn image(call: &mut Call) -> Option<&mut StoreImage> {
    match call {
        Call::SnapshotBegin(image) => Some(image),
        _ => None,
    }
}

/// The facts that the rows give.
fn counted(begun: &Begun) -> Option<Facts> {
    let mut tally = Tally::of(&begun.image.as_ref()?.facts);
    begun.pages.iter().for_each(|page| tally.all(page));
    Some(tally.facts().clone())
}

/// Takes a part of what the rows give for what the image says.
fn overlook(mut begun: Begun, take: fn(&mut Facts, &Facts)) -> Begun {
    let counted = counted(&begun);
    if let (Some(image), Some(counted)) = (&mut begun.image, counted) {
        take(&mut image.facts, &counted);
    }
    begun
}

/// Adds statistics at zero that the rows give and the image lacks.
fn take_zeros(said: &mut Facts, counted: &Facts) {
    match (said, counted) {
        (Facts::Container(said), Facts::Container(counted)) => {
            let mut stats = counted.policy_stats.clone();
            stats.retain(|stat| stat.object_count == 0 || said.policy_stats.contains(stat));
            said.policy_stats = stats;
        }
        (Facts::Account(said), Facts::Account(counted)) => {
            let mut stats = counted.policy_stats.clone();
            stats
                .retain(|stat| stat.container_count == Some(0) || said.policy_stats.contains(stat));
            said.policy_stats = stats;
        }
        _ => {}
    }
}

/// Only the first row of each name and policy.
fn without_doubles(mut begun: Begun) -> Begun {
    let mut seen = HashSet::new();
    let mut rows = begun.objects();
    rows.retain(|row| seen.insert((row.name.clone(), row.policy_index.0)));
    if rows.len() == begun.objects().len() {
        return begun;
    }
    begun.pages = vec![Rows::Objects(rows)];
    overlook(begun, |said, counted| *said = counted.clone())
}

mutants! {
    /// A store exists from the moment at which its restore began.
    unfinished_stores_exist breaks ["SNAPSHOT-1"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            match call {
                Call::Exists if begun(world, target).image.is_some() => Ok(true.into()),
                call => noted(world, target, call, visitor).await,
            }
        }));

    /// Facts of a store show before it is complete.
    facts_of_unfinished_stores_show breaks ["SNAPSHOT-1"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            match (&call, begun(world, target).image.map(|image| image.facts)) {
                (Call::ContainerInfo, Some(Facts::Container(info))) => Ok(Some(info).into()),
                (Call::AccountInfo, Some(Facts::Account(info))) => Ok(Some(info).into()),
                _ => noted(world, target, call, visitor).await,
            }
        }));

    /// Unfinished stores are listed.
    unfinished_stores_are_listed breaks ["SNAPSHOT-1"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let asked = call.clone();
            let mut answer = target.play(call, visitor).await?;
            world.change("begun".into(), |all: &mut Vec<Location>| match (asked, &mut answer) {
                (Call::SnapshotBegin(_), _) => all.extend(target.location().cloned()),
                (Call::SnapshotFinish | Call::SnapshotAbandon, _) => {
                    all.retain(|begun| Some(begun) != target.location());
                }
                (Call::Stores { device, kind, .. }, Answer::Locations(found)) => {
                    let here = |begun: &&Location| begun.device() == device && begun.kind() == kind;
                    found.extend(all.iter().filter(here).cloned());
                }
                _ => {}
            });
            Ok(answer)
        }));

    /// A restore begins where a store is, and removes it.
    a_restore_begins_over_a_store breaks ["SNAPSHOT-1"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let (Call::SnapshotBegin(_), Some(location)) = (&call, target.location()) {
                world.engine.remove(location).await?;
            }
            target.play(call, visitor).await
        }));

    /// A restore ends where a store was made meanwhile, and takes its place.
    a_restore_ends_over_a_store breaks ["SNAPSHOT-1"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let (Call::SnapshotFinish, Some(location)) = (&call, target.location()) {
                world.engine.remove(location).await?;
            }
            target.play(call, visitor).await
        }));

    /// A restored store has an id of its own.
    restored_stores_have_another_id breaks ["SNAPSHOT-2"] = Asks(|call| {
        if let Some(image) = image(call) {
            image.facts.store_mut().id.push('x');
        }
    });

    /// Timestamps are spelled as this engine would.
    restored_timestamps_are_spelled_anew breaks ["SNAPSHOT-2"] = Asks(|call| {
        if let Some(image) = image(call) {
            let put = &mut image.facts.store_mut().put_timestamp;
            *put = put.value().into();
        }
    });

    /// Sync points are dated when they are restored.
    restored_points_are_dated_anew breaks ["SNAPSHOT-2"] = Asks(|call| {
        let incoming = image(call).map(|image| &mut image.incoming);
        for point in incoming.into_iter().flatten() {
            point.updated_at = "1400000000".into();
        }
    });

    /// Sync points are sorted by id.
    restored_points_are_sorted breaks ["SNAPSHOT-2"] = Asks(|call| {
        if let Some(image) = image(call) {
            image.incoming.sort_by(|a, b| a.remote_id.cmp(&b.remote_id));
        }
    });

    /// Rows are numbered without gaps.
    restored_rows_have_no_gaps breaks ["SNAPSHOT-2"] =
        Plays(|world, target, mut call, visitor| Box::pin(async move {
            let mut last = begun(world, target).highest().0.max(0);
            if let Call::SnapshotAdd(Rows::Objects(rows)) = &mut call {
                for row in rows {
                    last += 1;
                    row.row_id = RowId(last);
                }
            }
            noted(world, target, call, visitor).await
        }));

    /// The next number is the one after the last row.
    restored_stores_forget_their_highest_number breaks ["SNAPSHOT-2"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let mut begun = begun(world, target);
            let highest = begun.highest();
            if let (Call::SnapshotFinish, Some(image)) = (&call, &mut begun.image) {
                image.facts.store_mut().max_row = highest;
                begin_again(target, &begun).await?;
            }
            noted(world, target, call, visitor).await
        }));

    /// Tombstones are left out.
    tombstones_are_not_restored breaks ["SNAPSHOT-2", "SNAPSHOT-3"] =
        Plays(|world, target, mut call, visitor| Box::pin(async move {
            if let Call::SnapshotAdd(Rows::Objects(rows)) = &mut call {
                rows.retain(|row| !row.deleted);
            }
            finish_in_spite(world, target, call, visitor, |begun| {
                overlook(begun, |said, counted| *said = counted.clone())
            }).await
        }));

    /// The hash of the rows is not looked at.
    the_hash_of_an_image_is_believed breaks ["SNAPSHOT-3"] =
        Plays(|world, target, call, visitor| Box::pin(finish_in_spite(
            world, target, call, visitor,
            |begun| overlook(begun, |said, counted| {
                said.store_mut().hash = counted.store().hash;
            }),
        )));

    /// Counts and sizes of the rows are not looked at.
    the_counts_of_an_image_are_believed breaks ["SNAPSHOT-3"] =
        Plays(|world, target, call, visitor| Box::pin(finish_in_spite(
            world, target, call, visitor,
            |begun| overlook(begun, |said, counted| {
                let hash = said.store().hash;
                *said = counted.clone();
                said.store_mut().hash = hash;
            }),
        )));

    /// Statistics at zero may be missing.
    missing_zeros_are_overlooked breaks ["SNAPSHOT-3"] =
        Plays(|world, target, call, visitor| Box::pin(finish_in_spite(
            world, target, call, visitor,
            |begun| overlook(begun, take_zeros),
        )));

    /// Of two rows of one name, the second is dropped.
    doubles_are_dropped breaks ["SNAPSHOT-3"] =
        Plays(|world, target, call, visitor| Box::pin(finish_in_spite(
            world, target, call, visitor, without_doubles,
        )));

    /// A name may be there once, whatever the policy.
    objects_of_two_policies_are_doubles breaks ["SNAPSHOT-3"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let rows = begun(world, target).objects();
            let names: HashSet<_> = rows.iter().map(|row: &ObjectRow| &row.name).collect();
            if call == Call::SnapshotFinish && names.len() < rows.len() {
                return Err(Error::new(ErrorKind::InvalidInput, "two rows are of one name"));
            }
            noted(world, target, call, visitor).await
        }));

    /// A finish that is refused forgets what was added.
    a_refused_finish_forgets_all breaks ["SNAPSHOT-3"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let is_finish = call == Call::SnapshotFinish;
            let answer = target.play(call, visitor).await;
            if is_finish && answer.is_err() {
                target.ask(Call::SnapshotAbandon).await?;
            }
            answer
        }));
}
