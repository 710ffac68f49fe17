//! Shows keys and values to people.

use crate::keys::{self, space};
use crate::row::{Row, RowKey, sealed::Sealed};
use crate::value::{self, Reader};
use broker_api::{ContainerRow, Facts, ObjectRow};
use std::fmt::Write;

/// One line about a key and its value, as a dump shows it. What cannot be read is shown as bytes.
///
/// # Examples
/// ```
/// assert_eq!(broker_kv::describe_entry(&[1], &[1, 12]), "next store number: 12");
/// assert_eq!(broker_kv::describe_entry(&[7, 1], &[2]), "unknown key 0701: 02");
/// ```
pub fn describe_entry(key: &[u8], value: &[u8]) -> String {
    match read_entry(key, value) {
        Some(text) => text,
        None => format!("unknown key {}: {}", hex(key), hex(value)),
    }
}

fn read_entry(key: &[u8], value: &[u8]) -> Option<String> {
    match *key.first()? {
        space::FORMAT => Some(format!("layout: {}", count(value)?)),
        space::NEXT_NUMBER => Some(format!("next store number: {}", count(value)?)),
        space::LOCATION => {
            let place = keys::read_place(key)?;
            let (kind, partition, hash) = (place.kind, place.partition, place.hash);
            let number = count(value)?;
            Some(format!(
                "location {kind}s/{partition}/{hash}: store {number}"
            ))
        }
        space::QUARANTINED => {
            let place = keys::read_place(key)?;
            let (kind, partition, hash) = (place.kind, place.partition, place.hash);
            let number = place.number?.0;
            let (at, reason) = value::read_quarantine(value).ok()?;
            Some(format!(
                "quarantined {kind}s/{partition}/{hash}: store {number}, at {at}, due to {reason}"
            ))
        }
        space::SYNCED => {
            let place = keys::read_place(key)?;
            let (kind, partition, hash) = (place.kind, place.partition, place.hash);
            Some(format!("synced {kind}s/{partition}/{hash}"))
        }
        space::RESTORING => {
            let place = keys::read_place(key)?;
            let (kind, partition, hash) = (place.kind, place.partition, place.hash);
            let number = count(value)?;
            Some(format!(
                "being restored {kind}s/{partition}/{hash}: store {number}"
            ))
        }
        space::DOOMED => Some(format!(
            "being removed: store {}",
            keys::read_doomed(key)?.0
        )),
        space::CONTENTS => read_contents(key, value),
        _ => None,
    }
}

fn read_contents(key: &[u8], value: &[u8]) -> Option<String> {
    use keys::section::{INCOMING, LIVE, METADATA, OUTGOING, ROW_LOG, STAT, TOMBSTONE};
    let (number, section, rest) = keys::split(key)?;
    let text = match section {
        STAT => format!(
            "stat: {}",
            stat(&value::read_stat(value, String::new()).ok()?)
        ),
        METADATA => format!("metadata: {}", value::read_metadata(value).ok()?),
        INCOMING | OUTGOING => {
            let way = if section == INCOMING { "from" } else { "to" };
            let point = value::read_sync_point(value).ok()?;
            let (id, at, when) = (point.remote_id, point.sync_point, point.updated_at);
            format!("sync point {way} {id}: row {at}, at {when}")
        }
        LIVE | TOMBSTONE => row(keys::tail(key), value)?,
        ROW_LOG => {
            let id = keys::read_signed(rest)?;
            let tail = Reader::new(value, "the row log").ok()?.rest();
            format!("row {id} is {}", row_key(&RowKey::read(tail).ok()?))
        }
        _ => return None,
    };
    Some(format!("store {} {text}", number.0))
}

fn row(tail: &[u8], value: &[u8]) -> Option<String> {
    let key = RowKey::read(tail).ok()?;
    let shown = row_key(&key);
    Some(match key.policy {
        Some(_) => {
            let row = read_row::<ObjectRow>(tail, value)?;
            let (id, at, size) = (row.row_id, row.created_at, row.size);
            let (content_type, etag) = (row.content_type, row.etag);
            format!(
                "{shown}: row {id}, created {at}, {size} bytes, {content_type:?}, etag {etag:?}"
            )
        }
        None => {
            let row = read_row::<ContainerRow>(tail, value)?;
            let (id, policy, put, delete) = (
                row.row_id,
                row.policy_index,
                row.put_timestamp,
                row.delete_timestamp,
            );
            let (objects, bytes) = (row.object_count, row.bytes_used);
            format!(
                "{shown}: row {id}, policy {policy}, put {put}, deleted {delete}, \
                 {objects} objects, {bytes} bytes"
            )
        }
    })
}

fn read_row<R: Row>(tail: &[u8], value: &[u8]) -> Option<R> {
    <R as Sealed>::read(tail, value).ok()
}

fn row_key(key: &RowKey<'_>) -> String {
    let state = if key.deleted { "tombstone" } else { "live" };
    match key.policy {
        Some(policy) => format!("{state} object {:?} in policy {policy}", key.name),
        None => format!("{state} container {:?}", key.name),
    }
}

fn stat(facts: &Facts) -> String {
    let store = facts.store();
    let mut text = String::new();
    let counts = match facts {
        Facts::Account(info) => format!(
            "account {:?}, {} containers, {} objects, {} bytes",
            store.account, info.container_count, info.object_count, info.bytes_used
        ),
        Facts::Container(info) => format!(
            "container {:?} of {:?}, policy {}, {} objects, {} bytes",
            info.container,
            store.account,
            info.policy_index,
            info.object_count(),
            info.bytes_used()
        ),
    };
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{counts}, created {}, put {}, deleted {}, status {:?} since {}, hash {}, id {:?}, max row {}",
        store.created_at,
        store.put_timestamp,
        store.delete_timestamp,
        store.status,
        store.status_changed_at,
        store.hash,
        store.id,
        store.max_row
    );
    text
}

fn count(value: &[u8]) -> Option<u64> {
    value::read_count(value, "a number").ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
