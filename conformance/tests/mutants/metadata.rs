//! The metadata dictionary.

use crate::flaw::Flaw::{Asks, Facts, Plays};
use crate::flaw::store_info;
use crate::mutant::mutants;
use broker_api::{Error, ErrorKind, Metadata, MetadataEntry, MetadataLimits, Timestamp};
use broker_layers::Call;

fn updates(call: &mut Call, change: impl FnMut(&mut MetadataEntry)) {
    if let Call::UpdateMetadata(updates, _) = call {
        updates.iter_mut().for_each(change);
    }
}

fn limits(call: &mut Call, change: impl FnOnce(&mut MetadataLimits)) {
    if let Call::UpdateMetadata(_, Some(limits)) = call {
        change(limits);
    }
}

/// What counts towards the limits of a careless engine.
fn too_much(kept: usize, counted: impl Fn(&MetadataEntry) -> bool, metadata: &Metadata) -> bool {
    metadata
        .entries()
        .iter()
        .filter(|entry| counted(entry))
        .count()
        > kept
}

fn refused() -> Error {
    Error::new(ErrorKind::InvalidInput, "Too many metadata items; max 90")
}

mutants! {
    /// An equal timestamp wins.
    equal_metadata_wins breaks ["META-1"] = Plays(|_, target, call, visitor| Box::pin(async move {
        let mut call = call;
        if let Call::UpdateMetadata(updates, _) = &mut call {
            let stored = store_info(target).await?.metadata()?;
            for update in updates {
                if stored.get(&update.key).is_some_and(|e| e.timestamp == update.timestamp) {
                    update.timestamp.push('0');
                }
            }
        }
        target.play(call, visitor).await
    }));

    /// The last arrival wins.
    last_metadata_wins breaks ["META-1"] = Plays(|_, target, call, visitor| Box::pin(async move {
        let mut call = call;
        if let Call::UpdateMetadata(updates, _) = &mut call {
            let stored = store_info(target).await?.metadata()?;
            for update in updates {
                if let Some(stored) = stored.get(&update.key) {
                    update.timestamp = update.timestamp.clone().max(format!("{}0", stored.timestamp));
                }
            }
        }
        target.play(call, visitor).await
    }));

    /// Timestamps are compared without their offsets.
    metadata_ignores_offsets breaks ["META-1"] = Asks(|call| updates(call, |update| {
        if let Ok(at) = Timestamp::parse(&update.timestamp) {
            update.timestamp = at.normal();
        }
    }));

    /// One key that loses refuses the others of its update.
    updates_win_together breaks ["META-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::UpdateMetadata(updates, _) = &call {
                let stored = store_info(target).await?.metadata()?;
                let loses = |update: &MetadataEntry| {
                    stored.get(&update.key).is_some_and(|e| e.timestamp > update.timestamp)
                };
                if updates.iter().any(loses) {
                    return Ok(().into());
                }
            }
            target.play(call, visitor).await
        }));

    /// Keys that are not in an update are blanked.
    other_keys_are_blanked breaks ["META-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let mut call = call;
            if let Call::UpdateMetadata(updates, _) = &mut call {
                let stored = store_info(target).await?.metadata()?;
                let latest = updates.iter().map(|update| update.timestamp.clone()).max();
                let latest = latest.unwrap_or_default();
                for entry in stored.entries() {
                    if updates.iter().all(|update| update.key != entry.key) {
                        updates.push(MetadataEntry::new(&entry.key, "", &latest));
                    }
                }
            }
            target.play(call, visitor).await
        }));

    /// Limits are not checked.
    limits_are_not_checked breaks ["META-2"] = Asks(|call| {
        if let Call::UpdateMetadata(_, limits) = call {
            *limits = None;
        }
    });

    /// Limits are checked when nobody gave any.
    limits_are_always_checked breaks ["META-2"] = Asks(|call| {
        if let Call::UpdateMetadata(_, limits) = call {
            limits.get_or_insert_default();
        }
    });

    /// Limits are those of Swift, whatever was given.
    limits_are_fixed breaks ["META-2"] =
        Asks(|call| limits(call, |limits| *limits = MetadataLimits::default()));

    /// One item more is allowed.
    one_item_too_many breaks ["META-2"] =
        Asks(|call| limits(call, |limits| limits.max_meta_count += 1));

    /// One item fewer is allowed.
    one_item_too_few breaks ["META-2"] =
        Asks(|call| limits(call, |limits| limits.max_meta_count -= 1));

    /// One character more is allowed.
    one_character_too_many breaks ["META-2"] =
        Asks(|call| limits(call, |limits| limits.max_meta_overall_size += 1));

    /// One character fewer is allowed.
    one_character_too_few breaks ["META-2"] =
        Asks(|call| limits(call, |limits| limits.max_meta_overall_size -= 1));

    /// An update that changes nothing is checked.
    idle_updates_are_checked breaks ["META-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::UpdateMetadata(_, Some(limits)) = &call {
                store_info(target).await?.metadata()?.check(limits)?;
            }
            target.play(call, visitor).await
        }));

    /// Removed items count.
    removed_items_count breaks ["META-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::UpdateMetadata(updates, Some(limits)) = &call {
                let mut merged = store_info(target).await?.metadata()?;
                let is_user = |entry: &MetadataEntry| entry.key.to_lowercase().contains("-meta-");
                let changes = merged.update(updates, None)?;
                if changes && too_much(limits.max_meta_count, is_user, &merged) {
                    return Err(refused());
                }
            }
            target.play(call, visitor).await
        }));

    /// System metadata counts.
    system_items_count breaks ["META-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::UpdateMetadata(updates, Some(limits)) = &call {
                let mut merged = store_info(target).await?.metadata()?;
                merged.update(updates, None)?;
                if too_much(limits.max_meta_count, |entry| !entry.is_removed(), &merged) {
                    return Err(refused());
                }
            }
            target.play(call, visitor).await
        }));

    /// Bytes count, not characters.
    bytes_count breaks ["META-2"] = Plays(|_, target, call, visitor| Box::pin(async move {
        if let Call::UpdateMetadata(updates, Some(limits)) = &call {
            let user = updates.iter().filter(|update| update.key.to_lowercase().contains("-meta-"));
            let size: usize = user.map(|update| update.text().unwrap_or_default().len()).sum();
            if size > limits.max_meta_overall_size {
                let message = "Total metadata too large; max 4096";
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        }
        target.play(call, visitor).await
    }));

    /// NUL is allowed.
    nul_is_allowed breaks ["META-2"] = Asks(|call| {
        if let Call::UpdateMetadata(updates, limits) = call
            && updates.iter().any(|update| update.key.contains('\0'))
        {
            *limits = None;
        }
    });

    /// A refused update is stored up to where it breaks the limits.
    refused_updates_are_stored breaks ["META-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let answer = target.play(call.clone(), visitor).await;
            if let (Call::UpdateMetadata(updates, _), true) = (call, answer.is_err()) {
                target.ask(Call::UpdateMetadata(updates, None)).await?;
            }
            answer
        }));

    /// Broken limits are a defect of the engine.
    broken_limits_are_defects breaks ["META-2"] =
        crate::flaw::Flaw::Answers(|call, answer| {
            if let (Call::UpdateMetadata(_, Some(_)), Err(error)) = (call, &answer) {
                let message = error.message().to_owned();
                *answer = Err(Error::new(ErrorKind::Internal, message));
            }
        });

    /// Keys are folded to lower case.
    keys_are_folded breaks ["META-3"] =
        Asks(|call| updates(call, |update| update.key = update.key.to_lowercase()));

    /// Keys are sorted.
    keys_are_sorted breaks ["META-3"] = Facts(|info| {
        let mut entries = info.metadata().unwrap().entries().to_vec();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        let mut sorted = Metadata::default();
        if sorted.update(&entries, None).unwrap() {
            info.raw_metadata = sorted.to_json();
        }
    });

    /// Removed keys are forgotten.
    removed_keys_are_forgotten breaks ["META-3"] = Facts(|info| {
        let entries = info.metadata().unwrap().entries().to_vec();
        let live: Vec<_> = entries.into_iter().filter(|entry| !entry.is_removed()).collect();
        let mut kept = Metadata::default();
        if kept.update(&live, None).unwrap() {
            info.raw_metadata = kept.to_json();
        }
    });

    /// Values become text.
    values_become_text breaks ["META-3"] = Asks(|call| updates(call, |update| {
        if update.text().is_none() {
            update.value = update.value.to_string().into();
        }
    }));

    /// The stored text is spelled in another way.
    metadata_is_spelled_tightly breaks ["META-3"] = Facts(|info| {
        info.raw_metadata = info.raw_metadata.replace("\": [", "\":[");
    });
}
