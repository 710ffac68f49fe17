//! `apus info`: what a store says about itself, in the words of Swift's info tools.

use crate::cli::InfoArgs;
use crate::registry::Registry;
use crate::store::{Found, find};
use crate::{Failure, block_on};
use broker_api::metadata::MetadataEntry;
use broker_api::{
    AccountBrokerExt, AccountInfo, BrokerOptions, ContainerBrokerExt, ContainerInfo, Direction,
    Location, Metadata, PolicyIndex, Replicate, StoreInfo, StoreKind, SyncPoint, Timestamp,
};
use serde_json::{Value, json};
use std::fmt::Write;
use swift_conf::Policies;

/// Runs the command.
pub(crate) fn run(registry: &Registry, args: &InfoArgs) -> Result<(), Failure> {
    let text = block_on(async {
        let found = find(registry, &args.store).await?;
        show(&found, args).await
    })?;
    print!("{text}");
    Ok(())
}

async fn show(found: &Found, args: &InfoArgs) -> Result<String, Failure> {
    let Found {
        engine,
        location,
        policies,
    } = found;
    let options = BrokerOptions::default();
    let (mut text, mut json, syncs) = match location.kind() {
        StoreKind::Account => {
            let broker = engine.account(location, &options);
            let info = broker.get_info().await?;
            let syncs = sync_points(broker.replicate()).await?;
            (
                account_text(location, &info, args)?,
                account_json(location, &info)?,
                syncs,
            )
        }
        StoreKind::Container => {
            let broker = engine.container(location, &options);
            let info = broker.get_info().await?;
            let syncs = sync_points(broker.replicate()).await?;
            let text = container_text(location, &info, policies, args)?;
            (text, container_json(location, &info)?, syncs)
        }
    };
    if args.store.json {
        json["incoming_sync"] = syncs_json(&syncs.0);
        json["outgoing_sync"] = syncs_json(&syncs.1);
        return Ok(format!("{json:#}\n"));
    }
    if args.sync {
        push_syncs(&mut text, "Incoming", &syncs.0);
        push_syncs(&mut text, "Outgoing", &syncs.1);
    }
    Ok(text)
}

async fn sync_points(store: &dyn Replicate) -> Result<(Vec<SyncPoint>, Vec<SyncPoint>), Failure> {
    let incoming = store.sync_points(Direction::Incoming).await?;
    Ok((incoming, store.sync_points(Direction::Outgoing).await?))
}

/// A timestamp as ISO, with the stored text behind it.
fn time(text: &str) -> String {
    let iso = Timestamp::parse(text).map_or_else(|_| "?".to_owned(), Timestamp::isoformat);
    format!("{iso} ({text})")
}

fn python_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

fn head(location: &Location, store: &StoreInfo, container: Option<&str>, deleted: bool) -> String {
    let mut text = String::new();
    let account = &store.account;
    let path = container.map_or(account.clone(), |container| {
        format!("{account}/{container}")
    });
    let _ = writeln!(text, "Path: /{path}\n  Account: {account}");
    if let Some(container) = container {
        let _ = writeln!(text, "  Container: {container}");
    }
    let kind = if container.is_some() {
        "Container"
    } else {
        "Account"
    };
    let _ = writeln!(text, "  Deleted: {}", python_bool(deleted));
    let _ = writeln!(text, "  {kind} Hash: {}", location.hash());
    let _ = writeln!(text, "Metadata:");
    for (title, stamp) in [
        ("Created at", &store.created_at),
        ("Put Timestamp", &store.put_timestamp),
        ("Delete Timestamp", &store.delete_timestamp),
        ("Status Timestamp", &store.status_changed_at),
    ] {
        let _ = writeln!(text, "  {title}: {}", time(stamp.as_str()));
    }
    text
}

fn account_text(
    location: &Location,
    info: &AccountInfo,
    args: &InfoArgs,
) -> Result<String, Failure> {
    let mut text = head(location, &info.store, None, info.is_deleted());
    let _ = writeln!(text, "  Container Count: {}", info.container_count);
    let _ = writeln!(text, "  Object Count: {}", info.object_count);
    let _ = writeln!(text, "  Bytes Used: {}", info.bytes_used);
    let _ = writeln!(
        text,
        "  Chexor: {}\n  UUID: {}",
        info.store.hash, info.store.id
    );
    push_metadata(
        &mut text,
        &info.store.metadata()?,
        "account",
        args.drop_prefixes,
    );
    Ok(text)
}

fn container_text(
    location: &Location,
    info: &ContainerInfo,
    policies: &Policies,
    args: &InfoArgs,
) -> Result<String, Failure> {
    let mut text = head(
        location,
        &info.store,
        Some(&info.container),
        info.is_deleted(),
    );
    let PolicyIndex(index) = info.policy_index;
    let policy = u32::try_from(index)
        .ok()
        .and_then(|index| policies.by_index(index));
    let policy = policy.map_or("Unknown", |policy| policy.name.as_str());
    let _ = writeln!(text, "  Object Count: {}", info.object_count());
    let _ = writeln!(text, "  Bytes Used: {}", info.bytes_used());
    let _ = writeln!(text, "  Storage Policy: {policy} ({index})");
    let reported = &info.reported;
    let _ = writeln!(
        text,
        "  Reported Put Timestamp: {}",
        time(&reported.put_timestamp)
    );
    let _ = writeln!(
        text,
        "  Reported Delete Timestamp: {}",
        time(&reported.delete_timestamp)
    );
    let _ = writeln!(text, "  Reported Object Count: {}", reported.object_count);
    let _ = writeln!(text, "  Reported Bytes Used: {}", reported.bytes_used);
    let _ = writeln!(
        text,
        "  Chexor: {}\n  UUID: {}",
        info.store.hash, info.store.id
    );
    let _ = writeln!(
        text,
        "  X-Container-Sync-Point1: {}",
        info.x_container_sync_point1
    );
    let _ = writeln!(
        text,
        "  X-Container-Sync-Point2: {}",
        info.x_container_sync_point2
    );
    let metadata = info.store.metadata()?;
    push_metadata(&mut text, &metadata, "container", args.drop_prefixes);
    let kind = if is_root(info, &metadata) {
        "root"
    } else {
        "shard"
    };
    let _ = writeln!(text, "Sharding Metadata:\n  Type: {kind}");
    let _ = writeln!(text, "  State: {}", info.db_state.as_str());
    Ok(text)
}

/// A shard names its root in its metadata; everything else is its own root.
fn is_root(info: &ContainerInfo, metadata: &Metadata) -> bool {
    let own = format!("{}/{}", info.store.account, info.container);
    let root = [
        "X-Container-Sysmeta-Shard-Quoted-Root",
        "X-Container-Sysmeta-Shard-Root",
    ]
    .iter()
    .filter_map(|key| metadata.get(key)?.text().filter(|value| !value.is_empty()))
    .next();
    root.is_none_or(|root| root == own)
}

fn push_metadata(text: &mut String, metadata: &Metadata, kind: &str, drop_prefixes: bool) {
    let user = format!("x-{kind}-meta-");
    let system = format!("x-{kind}-sysmeta-");
    let value = |entry: &MetadataEntry| match &entry.value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (mut users, mut systems) = (String::new(), String::new());
    for entry in metadata.entries() {
        let lower = entry.key.to_lowercase();
        let known = [(&user, &mut users), (&system, &mut systems)]
            .into_iter()
            .find(|(prefix, _)| lower.starts_with(prefix.as_str()));
        match known {
            Some((prefix, section)) => {
                let key = if drop_prefixes {
                    &entry.key[prefix.len()..]
                } else {
                    &entry.key
                };
                let _ = writeln!(section, "    {key}: {}", value(entry));
            }
            None => {
                let _ = writeln!(text, "  {}: {}", title_case(&entry.key), value(entry));
            }
        }
    }
    for (name, section) in [("System", systems), ("User", users)] {
        if section.is_empty() {
            let _ = writeln!(text, "No {} metadata found in db file", name.to_lowercase());
        } else {
            let _ = write!(text, "  {name} Metadata:\n{section}");
        }
    }
}

/// Every letter after a non-letter in upper case, as Python's `str.title` does.
fn title_case(key: &str) -> String {
    let mut after_letter = false;
    let mut titled = String::with_capacity(key.len());
    for c in key.replace('_', "-").chars() {
        if after_letter {
            titled.extend(c.to_lowercase());
        } else {
            titled.extend(c.to_uppercase());
        }
        after_letter = c.is_alphabetic();
    }
    titled
}

fn push_syncs(text: &mut String, title: &str, points: &[SyncPoint]) {
    let numbers: Vec<String> = points.iter().map(|p| p.sync_point.to_string()).collect();
    let width = |texts: &mut dyn Iterator<Item = usize>, title: &str| {
        texts.max().unwrap_or(0).max(title.len())
    };
    let points_width = width(&mut numbers.iter().map(String::len), "Sync Point");
    let ids_width = width(
        &mut points.iter().map(|p| p.remote_id.chars().count()),
        "Remote ID",
    );
    let _ = writeln!(text, "{title} Syncs:");
    let (point, id) = ("Sync Point", "Remote ID");
    let _ = writeln!(text, "  {point:points_width$}\t{id:ids_width$}\tUpdated At");
    for (point, number) in points.iter().zip(&numbers) {
        let (id, at) = (&point.remote_id, time(&point.updated_at));
        let _ = writeln!(text, "  {number:points_width$}\t{id:ids_width$}\t{at}");
    }
}

fn store_json(location: &Location, store: &StoreInfo) -> Result<Value, Failure> {
    let metadata = store.metadata()?;
    let metadata: serde_json::Map<String, Value> = metadata
        .entries()
        .iter()
        .map(|entry| (entry.key.clone(), json!([entry.value, entry.timestamp])))
        .collect();
    Ok(json!({
        "location": location.to_string(),
        "account": store.account,
        "created_at": store.created_at.as_str(),
        "put_timestamp": store.put_timestamp.as_str(),
        "delete_timestamp": store.delete_timestamp.as_str(),
        "status": store.status,
        "status_changed_at": store.status_changed_at.as_str(),
        "hash": store.hash.to_string(),
        "id": store.id,
        "max_row": store.max_row.0,
        "metadata": metadata,
    }))
}

fn account_json(location: &Location, info: &AccountInfo) -> Result<Value, Failure> {
    let mut json = store_json(location, &info.store)?;
    json["is_deleted"] = info.is_deleted().into();
    json["is_status_deleted"] = info.is_status_deleted().into();
    json["container_count"] = info.container_count.into();
    json["object_count"] = info.object_count.into();
    json["bytes_used"] = info.bytes_used.into();
    json["policy_stats"] = info
        .policy_stats
        .iter()
        .map(|stat| {
            json!({
                "storage_policy_index": stat.policy_index.0,
                "container_count": stat.container_count,
                "object_count": stat.object_count,
                "bytes_used": stat.bytes_used,
            })
        })
        .collect();
    Ok(json)
}

fn container_json(location: &Location, info: &ContainerInfo) -> Result<Value, Failure> {
    let mut json = store_json(location, &info.store)?;
    json["container"] = info.container.clone().into();
    json["is_deleted"] = info.is_deleted().into();
    json["object_count"] = info.object_count().into();
    json["bytes_used"] = info.bytes_used().into();
    json["storage_policy_index"] = info.policy_index.0.into();
    json["reported_put_timestamp"] = info.reported.put_timestamp.clone().into();
    json["reported_delete_timestamp"] = info.reported.delete_timestamp.clone().into();
    json["reported_object_count"] = info.reported.object_count.into();
    json["reported_bytes_used"] = info.reported.bytes_used.into();
    json["x_container_sync_point1"] = info.x_container_sync_point1.into();
    json["x_container_sync_point2"] = info.x_container_sync_point2.into();
    json["reconciler_sync_point"] = info.reconciler_sync_point.into();
    json["db_state"] = info.db_state.as_str().into();
    json["policy_stats"] = info
        .policy_stats
        .iter()
        .map(|stat| {
            json!({
                "storage_policy_index": stat.policy_index.0,
                "object_count": stat.object_count,
                "bytes_used": stat.bytes_used,
            })
        })
        .collect();
    Ok(json)
}

fn syncs_json(points: &[SyncPoint]) -> Value {
    let point = |point: &SyncPoint| {
        json!({
            "remote_id": point.remote_id,
            "sync_point": point.sync_point.0,
            "updated_at": point.updated_at,
        })
    };
    points.iter().map(point).collect()
}
