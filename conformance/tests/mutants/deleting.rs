//! Deleting a store.

use crate::flaw::Flaw::{Plays, Store};
use crate::flaw::{container_info, store_info};
use crate::mutant::mutants;
use crate::store::StoreFlaw::Updates;
use broker_api::{Metadata, MetadataEntry, RemoveObjects, StoreInfo, Timestamp, TimestampText};
use broker_layers::{Call, Target};
use broker_runtime::sync::StatChange;

/// Only deleting sets a status.
fn is_delete(change: &StatChange) -> bool {
    change.status.is_some()
}

fn is_later_by_value(one: &TimestampText, other: &TimestampText) -> bool {
    one.value() > other.value()
}

fn blanked(info: &StoreInfo, at: &str, keys: impl Fn(&str) -> bool) -> Call {
    let metadata: Metadata = info.metadata().unwrap();
    let keys = metadata
        .entries()
        .iter()
        .map(|entry| entry.key.clone())
        .filter(|key| keys(key));
    let updates = keys.map(|key| MetadataEntry::new(key, "", at)).collect();
    Call::UpdateMetadata(updates, None)
}

mutants! {
    /// Deleting leaves metadata as it is.
    deleting_keeps_metadata breaks ["DELETE-1"] = Store(Updates(|_, change| {
        if is_delete(change) {
            change.raw_metadata = None;
        }
    }));

    /// Metadata is blanked only when the deletion takes effect.
    late_deletions_blank_nothing breaks ["DELETE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::Delete(at) = &call {
                let stored = store_info(target).await?.delete_timestamp;
                if stored >= TimestampText::from(*at) {
                    return Ok(().into());
                }
            }
            target.play(call, visitor).await
        }));

    /// Deleting blanks newer metadata too.
    newer_metadata_is_blanked breaks ["DELETE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::Delete(_) = &call {
                let info = store_info(target).await?;
                target.ask(blanked(&info, "9999999999.00000", |_| true)).await?;
            }
            target.play(call, visitor).await
        }));

    /// Deleting a container blanks what ties it to its root.
    sharding_sysmeta_is_blanked breaks ["DELETE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::Delete(at) = &call {
                let info = store_info(target).await?;
                target.ask(blanked(&info, &at.internal(), |_| true)).await?;
            }
            target.play(call, visitor).await
        }));

    /// Deleting a container keeps all that has to do with shards.
    all_sysmeta_of_shards_is_kept breaks ["DELETE-1"] = Store(Updates(|facts, change| {
        let before = facts.store().metadata().unwrap();
        if let (true, Some(json)) = (is_delete(change), &change.raw_metadata) {
            let mut after = Metadata::from_json(json).unwrap();
            let shard = |entry: &&MetadataEntry| entry.key.to_lowercase().contains("shard");
            let kept: Vec<_> = before.entries().iter().filter(shard).cloned().map(later).collect();
            after.update(&kept, None).unwrap();
            change.raw_metadata = Some(after.to_json());
        }
    }));

    /// Deleting leaves the status as it is.
    deleting_sets_no_status breaks ["DELETE-2"] = Store(Updates(|_, change| change.status = None));

    /// Deleting does not say when the status changed.
    deleting_keeps_the_time_of_change breaks ["DELETE-2"] = Store(Updates(|_, change| {
        if is_delete(change) {
            change.status_changed_at = None;
        }
    }));

    /// Deleting never moves the time of the change back.
    time_of_change_only_rises breaks ["DELETE-2"] = Store(Updates(|facts, change| {
        let stored = &facts.store().status_changed_at;
        if is_delete(change) && change.status_changed_at.as_ref().is_some_and(|at| at < stored) {
            change.status_changed_at = None;
        }
    }));

    /// Deleting again at the same time counts.
    deleting_twice_counts breaks ["DELETE-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::Delete(at) = &call {
                let stored = store_info(target).await?.delete_timestamp;
                if stored == TimestampText::from(*at) {
                    target.ask(Call::UpdateStatusChangedAt(Timestamp::from_seconds(99))).await?;
                }
            }
            target.play(call, visitor).await
        }));

    /// Times of deletion are compared by value.
    deletions_compare_values breaks ["DELETE-2"] = Store(Updates(|facts, change| {
        let stored = &facts.store().delete_timestamp;
        let is_later = |at| is_later_by_value(at, stored);
        if is_delete(change) && !change.delete_timestamp.as_ref().is_some_and(is_later) {
            *change = StatChange { raw_metadata: change.raw_metadata.clone(), ..Default::default() };
        }
    }));

    /// What is not empty is not deleted.
    full_stores_are_not_deleted breaks ["DELETE-3"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let (Call::Delete(_), Target::Container(..)) = (&call, target)
                && container_info(target).await?.object_count() > 0
            {
                return Ok(().into());
            }
            target.play(call, visitor).await
        }));

    /// What was put later is not deleted.
    later_puts_prevent_deletion breaks ["DELETE-3", "DELETE-2"] = Store(Updates(|facts, change| {
        let put = &facts.store().put_timestamp;
        if change.delete_timestamp.as_ref().is_some_and(|at| at < put) && is_delete(change) {
            *change = StatChange { raw_metadata: change.raw_metadata.clone(), ..Default::default() };
        }
    }));

    /// Deleting lowers the put timestamp.
    deleting_lowers_the_put breaks ["DELETE-3"] = Store(Updates(|_, change| {
        if is_delete(change) {
            change.put_timestamp = Some(TimestampText::never());
        }
    }));

    /// Deleting removes the rows.
    deleting_removes_rows breaks ["DELETE-3"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let (Call::Delete(_), Target::Container(..)) = (&call, target) {
                target.ask(Call::RemoveObjects(RemoveObjects::default())).await?;
            }
            target.play(call, visitor).await
        }));
}

/// The same entry, so late that it wins.
fn later(entry: MetadataEntry) -> MetadataEntry {
    MetadataEntry {
        timestamp: "9999999999.00000".into(),
        ..entry
    }
}
