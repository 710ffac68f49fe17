//! What an operation may say at all. The contract is typed, Swift takes any text: only texts that a
//! typed caller could have passed are played, so that shrinking does not end in mere misspellings.

use crate::op::Op;
use broker_api::{ObjectTimestamps, Timestamp};

/// Whether every text of an operation that should be a timestamp is one.
pub fn is_valid(op: &Op) -> bool {
    match op {
        Op::Initialize {
            put_timestamp, now, ..
        } => is_text(put_timestamp) && is_raw(*now),
        Op::Delete { at }
        | Op::UpdatePutTimestamp { at }
        | Op::UpdateStatusChangedAt { at }
        | Op::SetPolicy { at, .. }
        | Op::DeleteObject { at, .. } => is_internal(at),
        Op::MergeTimestamps {
            created_at,
            put_timestamp,
            delete_timestamp,
            now,
        } => {
            [created_at, put_timestamp, delete_timestamp]
                .into_iter()
                .all(is_text)
                && is_raw(*now)
        }
        Op::UpdateMetadata { updates, .. } => updates.iter().all(|(_, _, at)| is_internal(at)),
        Op::Reclaim { age, .. } | Op::Predicates { age } => is_raw(*age),
        Op::PutContainers { records } => records
            .iter()
            .all(|record| is_text(&record.1) && is_text(&record.2)),
        Op::MergeContainers { records, .. } => records.iter().all(|item| {
            let texts = item.put_timestamp.iter().chain(&item.delete_timestamp);
            texts.into_iter().all(is_text) && item.deleted < 2
        }),
        Op::PutObjects { records } | Op::MergeObjects { records, .. } => {
            records.iter().all(|item| {
                let times = item.ctype_timestamp.iter().chain(&item.meta_timestamp);
                ObjectTimestamps::decode(&item.created_at).is_ok()
                    && times.into_iter().all(is_internal)
                    && item.deleted < 2
            })
        }
        _ => true,
    }
}

fn is_text(text: impl AsRef<str>) -> bool {
    Timestamp::parse(text.as_ref()).is_ok()
}

fn is_internal(text: impl AsRef<str>) -> bool {
    Timestamp::parse(text.as_ref()).is_ok_and(|at| at.internal() == text.as_ref())
}

fn is_raw(raw: u64) -> bool {
    Timestamp::new(raw, 0).is_ok()
}
