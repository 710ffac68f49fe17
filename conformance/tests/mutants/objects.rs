//! Merging one object record.

use crate::flaw::Flaw::{Answers, Asks, Plays, Rows, Store};
use crate::flaw::object_rows;
use crate::mutant::mutants;
use crate::store::StoreFlaw::{FindsObject, WritesObject};
use broker_api::content_type::extract_swift_bytes;
use broker_api::{
    Error, ErrorKind, MergeOptions, ObjectRecord, ObjectRow, ObjectTimestamps, PolicyIndex,
};
use broker_layers::Call;

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
}
