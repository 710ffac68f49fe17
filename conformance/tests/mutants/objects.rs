//! Merging object records.

use crate::flaw::Flaw::{Answers, Asks, Plays, Rows, Store};
use crate::flaw::object_rows;
use crate::mutant::mutants;
use crate::store::StoreFlaw::{FindsObject, WritesObject};
use broker_api::content_type::extract_swift_bytes;
use broker_api::{
    Direction, Error, ErrorKind, MergeOptions, ObjectRecord, ObjectRow, ObjectTimestamps,
    PolicyIndex, RowId, SyncPoint,
};
use broker_layers::{Answer, Call};

fn times(row: &ObjectRow) -> ObjectTimestamps {
    ObjectTimestamps::decode(&row.created_at).unwrap()
}

/// Whether the data of the new row is another than that of the stored one.
fn data_won(stored: &ObjectRow, new: &ObjectRow) -> bool {
    times(new).data > times(stored).data
}

fn content_type_won(stored: &ObjectRow, new: &ObjectRow) -> bool {
    times(new).content_type > times(stored).content_type
}

/// The same row with earlier times, as far as these are at all later than zero.
fn earlier(row: &mut ObjectRow, change: impl FnOnce(&mut ObjectTimestamps)) {
    let mut times = times(row);
    change(&mut times);
    row.created_at = times.encode();
}

fn records(call: &mut Call) -> Option<(&mut Vec<ObjectRecord>, &mut MergeOptions)> {
    match call {
        Call::MergeObjects(records, options) => Some((records, options)),
        _ => None,
    }
}

fn by_key(record: &ObjectRecord) -> (String, PolicyIndex) {
    (record.name.clone(), record.policy_index)
}

mutants! {
    /// Rows are matched by name alone.
    policies_are_one breaks ["OBJECT-MERGE-1"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            records.iter_mut().for_each(|record| record.policy_index = PolicyIndex(0));
        }
    });

    /// The record wins a tie.
    ties_go_to_the_record breaks ["OBJECT-MERGE-1", "OBJECT-MERGE-2"] =
        Store(FindsObject(|row| earlier(row, |times| {
            times.data = times.data.shifted(-1).unwrap_or(times.data);
            times.content_type = times.content_type.shifted(-1).unwrap_or(times.content_type);
        })));

    /// The last arrival wins.
    the_last_record_wins breaks ["OBJECT-MERGE-1", "OBJECT-MERGE-5"] =
        Store(FindsObject(|row| row.created_at = "0000000000.00000".into()));

    /// The first arrival wins.
    the_first_record_wins breaks ["OBJECT-MERGE-1"] = Store(WritesObject(|stored, new| {
        if let Some(stored) = stored {
            *new = stored.clone();
        }
    }));

    /// The size stays that of the first record.
    sizes_stay breaks ["OBJECT-MERGE-1"] = Store(WritesObject(|stored, new| {
        new.size = stored.map_or(new.size, |stored| stored.size);
    }));

    /// Sizes are added up.
    sizes_are_added breaks ["OBJECT-MERGE-1", "OBJECT-MERGE-5"] = Store(WritesObject(|stored, new| {
        new.size = new.size.saturating_add(stored.map_or(0, |stored| stored.size));
    }));

    /// The etag stays that of the first record.
    etags_stay breaks ["OBJECT-MERGE-1"] = Store(WritesObject(|stored, new| {
        if let Some(stored) = stored {
            new.etag.clone_from(&stored.etag);
        }
    }));

    /// What was deleted once stays deleted.
    deletions_stay breaks ["OBJECT-MERGE-1"] = Store(WritesObject(|stored, new| {
        new.deleted |= stored.is_some_and(|stored| stored.deleted);
    }));

    /// Nothing is ever deleted.
    deletions_are_ignored breaks ["OBJECT-MERGE-1"] = Store(WritesObject(|stored, new| {
        new.deleted = stored.map_or(new.deleted, |stored| stored.deleted);
    }));

    /// The content type follows the data.
    content_types_follow_data breaks ["OBJECT-MERGE-1"] = Store(WritesObject(|stored, new| {
        if let Some(stored) = stored.filter(|stored| !data_won(stored, new)) {
            new.content_type.clone_from(&stored.content_type);
        }
    }));

    /// The content type stays that of the first record.
    content_types_stay breaks ["OBJECT-MERGE-1"] = Store(WritesObject(|stored, new| {
        if let Some(stored) = stored {
            new.content_type.clone_from(&stored.content_type);
        }
    }));

    /// `swift_bytes` follows the content type.
    swift_bytes_follow_the_content_type breaks ["OBJECT-MERGE-1"] =
        Store(WritesObject(|stored, new| {
            if let Some(stored) = stored.filter(|stored| !content_type_won(stored, new)) {
                let mut split = extract_swift_bytes(&new.content_type);
                split.swift_bytes = extract_swift_bytes(&stored.content_type).swift_bytes;
                new.content_type = split.join();
            }
        }));

    /// `swift_bytes` is dropped from a merged content type.
    swift_bytes_are_dropped breaks ["OBJECT-MERGE-1"] = Store(WritesObject(|stored, new| {
        if stored.is_some() {
            let mut split = extract_swift_bytes(&new.content_type);
            split.swift_bytes = None;
            new.content_type = split.join();
        }
    }));

    /// The metadata time stays that of the first record.
    metadata_times_stay breaks ["OBJECT-MERGE-1"] = Store(WritesObject(|stored, new| {
        if let Some(stored) = stored {
            let old = times(stored);
            earlier(new, |times| times.metadata = old.metadata);
        }
    }));

    /// A new content-type time is not written.
    content_type_times_stay breaks ["OBJECT-MERGE-1"] = Store(WritesObject(|stored, new| {
        if let Some(stored) = stored {
            let old = times(stored);
            earlier(new, |times| times.content_type = old.content_type);
        }
    }));

    /// A tombstone keeps no content type.
    tombstones_are_blank breaks ["OBJECT-MERGE-1"] = Rows(|row| {
        if row.deleted {
            row.content_type.clear();
        }
    });

    /// A record that wins nothing gives the row a new number.
    losers_renumber breaks ["OBJECT-MERGE-2", "OBJECT-MERGE-5", "CONCUR-4"] =
        Store(FindsObject(|row| earlier(row, |times| {
            times.metadata = times.metadata.shifted(-1).unwrap_or(times.metadata);
        })));

    /// Older records are refused.
    losers_are_refused breaks ["OBJECT-MERGE-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::MergeObjects(records, _) = &call {
                let rows = object_rows(target).await?;
                let loses = |record: &ObjectRecord| rows.iter().any(|row| {
                    row.name == record.name && times(row).data >= record.timestamps().data
                });
                if records.iter().any(loses) {
                    return Err(Error::new(ErrorKind::InvalidInput, "older than what is stored"));
                }
            }
            target.play(call, visitor).await
        }));

    /// An empty batch is refused.
    empty_batches_are_refused breaks ["OBJECT-MERGE-2"] = Answers(|call, answer| {
        if let Call::MergeObjects(records, options) = call
            && records.is_empty() && options.source.is_none()
        {
            *answer = Err(Error::new(ErrorKind::InvalidInput, "nothing to merge"));
        }
    });

    /// Every record of a batch takes a number.
    batches_are_merged_one_by_one breaks ["OBJECT-MERGE-3", "CONCUR-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let Call::MergeObjects(records, options) = call else {
                return target.play(call, visitor).await;
            };
            for record in records {
                let merge = Call::MergeObjects(vec![record], options.clone());
                target.ask(merge).await?;
                tokio::task::yield_now().await;
            }
            Ok(().into())
        }));

    /// Numbers of a batch follow the names.
    batches_are_sorted breaks ["OBJECT-MERGE-3"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            records.sort_by_key(by_key);
        }
    });

    /// A batch is merged from its end.
    batches_are_reversed breaks ["OBJECT-MERGE-3"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            records.reverse();
        }
    });

    /// Of a batch, the last record of each object counts.
    only_the_last_of_a_batch_counts breaks ["OBJECT-MERGE-3"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            let all = std::mem::take(records);
            for record in all {
                records.retain(|kept| by_key(kept) != by_key(&record));
                records.push(record);
            }
        }
    });

    /// Of a batch, the first record of each object counts.
    only_the_first_of_a_batch_counts breaks ["OBJECT-MERGE-3"] = Asks(|call| {
        if let Some((records, _)) = records(call) {
            let all = std::mem::take(records);
            for record in all {
                if records.iter().all(|kept| by_key(kept) != by_key(&record)) {
                    records.push(record);
                }
            }
        }
    });

    /// The sync point of a source is not raised.
    sources_are_ignored breaks ["OBJECT-MERGE-4"] = Asks(|call| {
        if let Some((records, options)) = records(call)
            && records.last().is_some_and(|record| record.row_id.is_some())
        {
            options.source = None;
        }
    });

    /// The sync point of a source is raised to the largest number of the batch.
    sources_reach_the_largest breaks ["OBJECT-MERGE-4"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let point = match &call {
                Call::MergeObjects(records, MergeOptions { source: Some(source), .. }) => {
                    let largest = records.iter().filter_map(|record| record.row_id).max();
                    Some(SyncPoint::new(source, largest.unwrap_or(RowId::NONE)))
                }
                _ => None,
            };
            let answer = target.play(call, visitor).await?;
            if let Some(point) = point {
                target.ask(Call::MergeSyncPoints(Direction::Incoming, vec![point])).await?;
            }
            Ok(answer)
        }));

    /// A source raises an outgoing point.
    sources_raise_outgoing_points breaks ["OBJECT-MERGE-4"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::MergeObjects(records, MergeOptions { source: Some(source), .. }) = &call
                && let Some(last) = records.last().and_then(|record| record.row_id)
            {
                let point = vec![SyncPoint::new(source, last)];
                target.ask(Call::MergeSyncPoints(Direction::Outgoing, point)).await?;
            }
            target.play(call, visitor).await
        }));

    /// A batch of a source may lack numbers.
    sources_need_no_numbers breaks ["OBJECT-MERGE-4"] = Asks(|call| {
        if let Some((records, options)) = records(call)
            && records.last().is_none_or(|record| record.row_id.is_none())
        {
            options.source = None;
        }
    });

    /// A batch of a source without numbers is merged and then refused.
    refused_batches_are_merged breaks ["OBJECT-MERGE-4", "MERGE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let answer = target.play(call.clone(), visitor).await;
            if let (Call::MergeObjects(records, _), true) = (call, answer.is_err()) {
                target.ask(Call::MergeObjects(records, MergeOptions::default())).await?;
            }
            answer
        }));

    /// What is delivered again is stored again under another policy.
    repetition_is_kept breaks ["OBJECT-MERGE-5"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let mut call = call;
            if let Some((records, _)) = records(&mut call) {
                for record in records {
                    if !world.first_time(format!("{:?} {record:?}", target.location())) {
                        record.size = record.size.saturating_add(1);
                        record.created_at.data = record.created_at.data.shifted(1)?;
                    }
                }
            }
            target.play(call, visitor).await
        }));

    /// Row numbers of another replica are taken over.
    numbers_are_taken_over breaks ["OBJECT-MERGE-3", "INFO-3"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if let Call::MergeObjects(records, _) = &call
                && let Some(number) = records.iter().filter_map(|record| record.row_id).max()
            {
                world.remember("number".into(), number);
            }
            let mut answer = target.play(call, visitor).await?;
            if let (Answer::ContainerInfo(Some(info)), Some(number)) =
                (&mut answer, world.remembered::<RowId>("number"))
            {
                info.store.max_row = info.store.max_row.max(number);
            }
            Ok(answer)
        }));
}
