//! Which attributes win when a record meets the row that is already there.
//!
//! ```text
//! object     data time          -> size, etag, deleted, swift_bytes
//!            content-type time  -> content type without swift_bytes
//!            metadata time      -> itself
//!            ties go to the row; nothing won means no change at all
//! container  put, delete        -> the larger by value
//!            counts, policy     -> the record, whatever its age
//!            deleted            -> delete > put and no objects; the row is always replaced
//! ```
//!
//! Swift counterparts: `update_new_item_from_existing`, `ContainerBroker.merge_items`,
//! `AccountBroker.merge_items`.

use crate::content_type::{SplitContentType, extract_swift_bytes};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{ContainerRecord, ContainerRow, ObjectRecord, ObjectRow, RowId};
use crate::timestamp::{ObjectTimestamps, TimestampText};

/// What the row of an object becomes when `record` is merged; `None` when nothing changes.
///
/// The returned row has no number yet: its `row_id` is [`RowId::NONE`].
///
/// # Errors
/// [`ErrorKind::InvalidInput`] when the stored `created_at` does not decode.
pub fn merge_object(
    stored: Option<&ObjectRow>,
    record: &ObjectRecord,
) -> Result<Option<ObjectRow>> {
    let times = record.timestamps();
    let Some(stored) = stored else {
        return Ok(Some(inserted(record, &times)));
    };
    let old = ObjectTimestamps::decode(&stored.created_at)?;
    let data_wins = times.data > old.data;
    let content_type_wins = times.content_type > old.content_type;
    let metadata_wins = times.metadata > old.metadata;
    if !(data_wins || content_type_wins || metadata_wins) {
        return Ok(None);
    }
    let merged = ObjectTimestamps {
        data: times.data.max(old.data),
        content_type: times.content_type.max(old.content_type),
        metadata: times.metadata.max(old.metadata),
    };
    let content_type = merged_content_type(stored, record, content_type_wins, data_wins);
    let (size, etag, deleted) = match data_wins {
        true => (record.size, &record.etag, record.deleted),
        false => (stored.size, &stored.etag, stored.deleted),
    };
    Ok(Some(ObjectRow {
        row_id: RowId::NONE,
        name: stored.name.clone(),
        created_at: merged.encode(),
        size,
        content_type,
        etag: etag.clone(),
        deleted,
        policy_index: stored.policy_index,
    }))
}

fn inserted(record: &ObjectRecord, times: &ObjectTimestamps) -> ObjectRow {
    ObjectRow {
        row_id: RowId::NONE,
        name: record.name.clone(),
        created_at: times.encode(),
        size: record.size,
        content_type: record.content_type.clone(),
        etag: record.etag.clone(),
        deleted: record.deleted,
        policy_index: record.policy_index,
    }
}

fn merged_content_type(
    stored: &ObjectRow,
    record: &ObjectRecord,
    record_type_wins: bool,
    record_data_wins: bool,
) -> String {
    let new = extract_swift_bytes(&record.content_type);
    let old = extract_swift_bytes(&stored.content_type);
    let content_type = if record_type_wins {
        new.content_type
    } else {
        old.content_type
    };
    let swift_bytes = if record_data_wins {
        new.swift_bytes
    } else {
        old.swift_bytes
    };
    let merged = SplitContentType {
        content_type,
        swift_bytes,
    };
    merged.join()
}

/// What the row of a container becomes when `record` is merged into an account.
///
/// There is always a new row, even when nothing in it changes. It has no number yet: its `row_id` is
/// [`RowId::NONE`].
///
/// # Errors
/// [`ErrorKind::InvalidInput`] when there is no row yet and the record lacks a value.
pub fn merge_container(
    stored: Option<&ContainerRow>,
    record: &ContainerRecord,
) -> Result<ContainerRow> {
    let lacks =
        |what| move || Error::new(ErrorKind::InvalidInput, format!("the record lacks {what}"));
    let put = later(
        stored.map(|row| &row.put_timestamp),
        record.put_timestamp.as_ref(),
    )
    .ok_or_else(lacks("a put timestamp"))?;
    let delete = later(
        stored.map(|row| &row.delete_timestamp),
        record.delete_timestamp.as_ref(),
    )
    .ok_or_else(lacks("a delete timestamp"))?;
    let object_count = record.object_count.or(stored.map(|row| row.object_count));
    let object_count = object_count.ok_or_else(lacks("an object count"))?;
    let bytes_used = record.bytes_used.or(stored.map(|row| row.bytes_used));
    let deleted = match stored {
        Some(_) => delete.value() > put.value() && object_count == 0,
        None => record.deleted,
    };
    Ok(ContainerRow {
        row_id: RowId::NONE,
        name: record.name.clone(),
        put_timestamp: put,
        delete_timestamp: delete,
        object_count,
        bytes_used: bytes_used.ok_or_else(lacks("a number of bytes"))?,
        deleted,
        policy_index: record.policy_index,
    })
}

/// The later by value; the record's text on a tie.
fn later(stored: Option<&TimestampText>, record: Option<&TimestampText>) -> Option<TimestampText> {
    match (stored, record) {
        (Some(stored), Some(record)) if stored.value() > record.value() => Some(stored.clone()),
        (_, Some(record)) => Some(record.clone()),
        (stored, None) => stored.cloned(),
    }
}

/// The sync point that a merged batch of object rows leaves for its source: the number of the last.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for an empty batch, or when the last record has no number.
pub fn object_batch_sync_point(records: &[ObjectRecord]) -> Result<RowId> {
    let last = records.last().and_then(|record| record.row_id);
    last.ok_or_else(|| no_row_id("a batch from a source needs records with row ids"))
}

/// The sync point that a merged batch of container rows leaves for its source: the largest number,
/// or [`RowId::NONE`] for an empty batch.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] when a record has no number.
pub fn container_batch_sync_point(records: &[ContainerRecord]) -> Result<RowId> {
    let numbers = records.iter().map(|record| record.row_id);
    let largest = numbers
        .collect::<Option<Vec<_>>>()
        .map(|ids| ids.into_iter().max());
    let largest = largest.ok_or_else(|| no_row_id("a record from a source has no row id"))?;
    Ok(largest.unwrap_or(RowId::NONE))
}

fn no_row_id(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
