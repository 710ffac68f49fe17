//! Listings of an engine, in the driver's words.

use crate::op::{Names, Op};
use broker_api::container::ListObjects;
use broker_api::{
    AccountBroker, AccountBrokerExt, ContainerBroker, ContainerBrokerExt, ContainerEntry,
    DeletedFilter, ListingQuery, ObjectEntry, ObjectTimestamps, PolicyFilter, PolicyIndex, Result,
    RowId,
};
use serde_json::{Value, json};

fn query(names: &Names) -> ListingQuery {
    let mut query = ListingQuery::new(names.limit);
    query.marker.clone_from(&names.marker);
    query.end_marker.clone_from(&names.end_marker);
    query.prefix.clone_from(&names.prefix);
    query.delimiter.clone_from(&names.delimiter);
    query.path.clone_from(&names.path);
    query.reverse = names.reverse;
    query.allow_reserved = names.allow_reserved;
    query
}

/// A container listing: `["subdir", name]` or name, put timestamp, objects, bytes, policy.
///
/// # Errors
/// When the engine fails.
pub(crate) async fn containers(broker: &dyn AccountBroker, names: &Names) -> Result<Value> {
    let page = broker.container_page(&query(names)).await?;
    let entry = |entry: &ContainerEntry| match entry {
        ContainerEntry::Subdir(name) => json!(["subdir", name]),
        ContainerEntry::Row {
            name,
            put_timestamp,
            object_count,
            bytes_used,
            policy_index,
        } => json!([
            name,
            put_timestamp,
            object_count,
            bytes_used,
            policy_index.0
        ]),
    };
    Ok(page.iter().map(entry).collect())
}

/// An object listing: `["subdir", name]` or name, times, shown time, size, type, etag, deleted, policy.
///
/// # Errors
/// When the engine fails.
pub(crate) async fn objects(broker: &dyn ContainerBroker, op: &Op) -> Result<Value> {
    let Op::ListObjects {
        names,
        policy,
        all_policies,
        deleted,
        since_row,
    } = op
    else {
        return Ok(Value::Null);
    };
    let mut list = ListObjects::new(query(names));
    list.policy = match (policy, all_policies) {
        (_, true) => PolicyFilter::All,
        (Some(index), _) => PolicyFilter::Only(PolicyIndex(*index)),
        (None, _) => PolicyFilter::Own,
    };
    list.deleted = match deleted {
        Some(true) => DeletedFilter::Tombstones,
        Some(false) => DeletedFilter::Live,
        None => DeletedFilter::Both,
    };
    list.since_row = since_row.map(RowId);
    let page = broker.object_page(&list).await?;
    let entries: Vec<Value> = page.iter().map(object_entry).collect::<Result<_>>()?;
    Ok(Value::Array(entries))
}

fn object_entry(entry: &ObjectEntry) -> Result<Value> {
    let row = match entry {
        ObjectEntry::Subdir(name) => return Ok(json!(["subdir", name])),
        ObjectEntry::Row(row) => row,
    };
    let shown = ObjectTimestamps::decode(&row.created_at)?.metadata;
    Ok(json!([
        row.name,
        row.created_at,
        shown.internal(),
        row.size,
        row.content_type,
        row.etag,
        u8::from(row.deleted),
        row.policy_index.0
    ]))
}

/// Brings equal names of several policies into one order, and forgets those that a limit may have cut:
/// neither is specified. Only listings over all policies have such ties.
pub fn settle_ties(op: &Op, result: &mut Value) {
    let Op::ListObjects {
        all_policies: true,
        names,
        ..
    } = op
    else {
        return;
    };
    let Some(entries) = result.get_mut("ok").and_then(Value::as_array_mut) else {
        return;
    };
    let was_cut = entries.len() == names.limit;
    let last = entries.last().map(|entry| entry[0].clone());
    let policy = |entry: &Value| entry[7].as_i64();
    for group in entries.chunk_by_mut(|a, b| a[0] == b[0] && policy(a).is_some()) {
        group.sort_by_key(policy);
    }
    if was_cut {
        for entry in entries.iter_mut().rev() {
            if Some(&entry[0]) != last.as_ref() || policy(entry).is_none() {
                break;
            }
            *entry = json!(["tie", entry[0]]);
        }
    }
}
