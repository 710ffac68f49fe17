//! What HTTP shows of things that are known whole: the half of a comparison that a case has from a model,
//! or from Swift's recorded answers, cut down to what the other half can hold.
//!
//! ```text
//! row, whole   7 "a" at=0000000005.00002_ff+a+5 size=9 type="t;swift_bytes=3" etag="e" deleted=0 policy=1
//! row, shown  -1 "a" at=0000000005.00017        size=3 type="t"               etag="e" deleted=0 policy=1
//! ```

use crate::check::Check;
use crate::door::{Door, NOT_SHOWN};
use broker_api::content_type::extract_swift_bytes;
use broker_api::{ObjectRow, ObjectTimestamps, RowId, StoreInfo};

/// Rows as the door shows them: over HTTP live ones alone, by policy and name.
pub(crate) fn rows(door: Door, rows: Vec<ObjectRow>) -> Check<Vec<ObjectRow>> {
    if door == Door::Process {
        return Ok(rows);
    }
    let live = rows.into_iter().filter(|row| !row.deleted);
    let mut shown: Vec<_> = live.map(row).collect::<Check<_>>()?;
    shown.sort_by(|a, b| (a.policy_index, &a.name).cmp(&(b.policy_index, &b.name)));
    Ok(shown)
}

/// The highest row number, when the door shows it.
pub(crate) fn max_row(store: &StoreInfo) -> Option<RowId> {
    (store.id != NOT_SHOWN).then_some(store.max_row)
}

/// A live row as a listing shows it.
pub(crate) fn row(row: ObjectRow) -> Check<ObjectRow> {
    let modified = ObjectTimestamps::decode(&row.created_at)?.metadata;
    let (size, content_type) = match row.content_type.contains(';') {
        false => (row.size, row.content_type),
        true => {
            let split = extract_swift_bytes(&row.content_type);
            let bytes = split
                .swift_bytes
                .and_then(|bytes| bytes.trim().parse().ok());
            (bytes.unwrap_or(row.size), split.content_type)
        }
    };
    Ok(ObjectRow {
        row_id: RowId::NONE,
        created_at: modified.normal(),
        size,
        content_type,
        ..row
    })
}
