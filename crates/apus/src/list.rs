//! `apus list`: the rows of a store.

use crate::cli::ListArgs;
use crate::registry::Registry;
use crate::store::{Found, find};
use crate::{Failure, block_on};
use broker_api::{
    AccountBrokerExt, BrokerOptions, ContainerBrokerExt, ContainerEntry, ListObjects, ListingQuery,
    ObjectEntry, ObjectTimestamps, PolicyFilter, PolicyIndex, StoreKind, Timestamp,
};
use serde_json::{Value, json};
use std::io::Write;

/// Runs the command.
pub(crate) fn run(registry: &Registry, args: &ListArgs) -> Result<(), Failure> {
    let rows = block_on(async {
        let found = find(registry, &args.store).await?;
        rows(&found, args).await
    })?;
    let mut out = std::io::stdout().lock();
    if args.store.json {
        writeln!(out, "{:#}", Value::from(rows))?;
        return Ok(());
    }
    for row in rows {
        writeln!(out, "{}", line(&row))?;
    }
    Ok(())
}

async fn rows(found: &Found, args: &ListArgs) -> Result<Vec<Value>, Failure> {
    let mut names = ListingQuery::new(args.limit);
    names.prefix.clone_from(&args.prefix);
    names.delimiter.clone_from(&args.delimiter);
    names.marker.clone_from(&args.marker);
    names.end_marker.clone_from(&args.end_marker);
    names.reverse = args.reverse;
    names.allow_reserved = true;
    let options = BrokerOptions::default();
    Ok(match found.location.kind() {
        StoreKind::Account => {
            let broker = found.engine.account(&found.location, &options);
            broker
                .container_page(&names)
                .await?
                .iter()
                .map(container_row)
                .collect()
        }
        StoreKind::Container => {
            let mut query = ListObjects::new(names);
            if let Some(policy) = args.policy {
                query.policy = PolicyFilter::Only(PolicyIndex(policy));
            }
            let broker = found.engine.container(&found.location, &options);
            broker
                .object_page(&query)
                .await?
                .iter()
                .map(object_row)
                .collect()
        }
    })
}

fn container_row(entry: &ContainerEntry) -> Value {
    match entry {
        ContainerEntry::Subdir(name) => json!({"subdir": name}),
        ContainerEntry::Row {
            name,
            put_timestamp,
            object_count,
            bytes_used,
            policy_index,
        } => {
            let modified = Timestamp::parse(put_timestamp).map(Timestamp::isoformat);
            json!({
                "name": name,
                "bytes": bytes_used,
                "count": object_count,
                "last_modified": modified.unwrap_or_default(),
                "storage_policy_index": policy_index.0,
            })
        }
    }
}

fn object_row(entry: &ObjectEntry) -> Value {
    match entry {
        ObjectEntry::Subdir(name) => json!({"subdir": name}),
        ObjectEntry::Row(row) => {
            let modified = ObjectTimestamps::decode(&row.created_at);
            json!({
                "name": row.name,
                "bytes": row.size,
                "hash": row.etag,
                "content_type": row.content_type,
                "last_modified": modified.map(|at| at.metadata.isoformat()).unwrap_or_default(),
                "storage_policy_index": row.policy_index.0,
                "row_id": row.row_id.0,
            })
        }
    }
}

/// Bytes, time, objects of a container or content type, name.
fn line(row: &Value) -> String {
    if let Some(subdir) = row["subdir"].as_str() {
        return format!("{:>14}  {:26}  {:24}  {subdir}", "", "", "(subdir)");
    }
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let what = match &row["count"] {
        Value::Null => text("content_type"),
        count => format!("{count} objects"),
    };
    let (bytes, modified, name) = (&row["bytes"], text("last_modified"), text("name"));
    format!(
        "{:>14}  {modified:26}  {what:24}  {name}",
        bytes.to_string()
    )
}
