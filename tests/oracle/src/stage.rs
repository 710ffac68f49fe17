//! Plays operations to an engine, and tells what happened in the driver's words.
//!
//! A step is `[result, state]` as in `swift_driver.py`; keys and their order are those of the driver,
//! because both sides compare the MD5 of the text.

use crate::driver::DEVICE;
use crate::listing;
use crate::op::{ContainerItem, History, ObjectItem, Op};
use broker_api::{
    AccountBroker, AccountInfo, Broker, BrokerExt, BrokerOptions, ContainerBroker, ContainerInfo,
    ContainerMarks, ContainerRecord, ContainerRow, Direction, Engine, ErrorKind, HashPath,
    Initialized, InvalidTimestamp, Location, MergeOptions, MergeTimestamps, MetadataEntry,
    MetadataLimits, NewAccount, NewContainer, ObjectRecord, ObjectRow, ObjectTimestamps,
    PolicyIndex, ReclaimAge, RemoveObjects, Reported, Result, RowFilter, RowId, StoreInfo,
    StoreKind, SyncPoint, Timestamp, TimestampText,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Where sync points are all young enough to stay, and where none is, in seconds.
const KEEP_ALL: u64 = 1_000_000_000;
const KEEP_NONE: u64 = 9_999_999_999;

/// The place of the store of a history.
pub fn location(history: &History, number: u64) -> Location {
    let hash = HashPath::new("", "oracle").container("history", &number.to_string());
    let partition = (number % 1024).to_string();
    Location::new(history.kind(), DEVICE, partition, hash)
        .unwrap_or_else(|| unreachable!("a device and a number make a location"))
}

/// One store of an engine, and the broker through which a history is played to it.
#[derive(Debug)]
pub struct Stage {
    engine: Arc<dyn Engine>,
    location: Location,
    broker: Handle,
}

#[derive(Debug)]
enum Handle {
    Account(Arc<dyn AccountBroker>),
    Container(Arc<dyn ContainerBroker>),
}

impl Stage {
    /// A broker for the store at a location.
    pub fn new(engine: &Arc<dyn Engine>, location: &Location) -> Self {
        let options = BrokerOptions::default();
        let broker = match location.kind() {
            StoreKind::Account => Handle::Account(engine.account(location, &options)),
            StoreKind::Container => Handle::Container(engine.container(location, &options)),
        };
        Self {
            engine: Arc::clone(engine),
            location: location.clone(),
            broker,
        }
    }

    /// Performs one operation and tells its step.
    pub async fn perform(&self, op: &Op) -> Value {
        let result = self.result(op).await;
        let state = match (&result, op.only_reads()) {
            (Ok(_), true) => Value::Null,
            _ => self
                .state()
                .await
                .unwrap_or_else(|e| json!({"unreadable": e.to_string()})),
        };
        let result = match result {
            Ok(result) => json!({ "ok": result }),
            Err(error) => json!({ "err": error_word(error.kind()) }),
        };
        json!([result, state])
    }

    /// Removes the store.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn clear(&self) -> Result<()> {
        self.engine.remove(&self.location).await
    }

    async fn result(&self, op: &Op) -> Result<Value> {
        if let Op::Remove = op {
            return self.engine.remove(&self.location).await.map(Value::from);
        }
        match &self.broker {
            Handle::Account(broker) => match on_any(&**broker, op).await? {
                Some(result) => Ok(result),
                None => on_account(broker, op).await,
            },
            Handle::Container(broker) => match on_any(&**broker, op).await? {
                Some(result) => Ok(result),
                None => on_container(broker, op).await,
            },
        }
    }

    /// All that the store holds; null when it is absent.
    async fn state(&self) -> Result<Value> {
        match &self.broker {
            Handle::Account(broker) => match broker.info().await? {
                Some(info) => account_state(&**broker, &info).await,
                None => Ok(Value::Null),
            },
            Handle::Container(broker) => match broker.info().await? {
                Some(info) => container_state(&**broker, &info).await,
                None => Ok(Value::Null),
            },
        }
    }
}

fn error_word(kind: ErrorKind) -> String {
    format!("{kind:?}")
}

fn at(text: &str) -> std::result::Result<Timestamp, InvalidTimestamp> {
    Timestamp::parse(text)
}

fn direction(incoming: bool) -> Direction {
    match incoming {
        true => Direction::Incoming,
        false => Direction::Outgoing,
    }
}

/// Operations that accounts and containers share; `None` for those of one kind.
async fn on_any<B: Broker + ?Sized>(broker: &B, op: &Op) -> Result<Option<Value>> {
    match op {
        Op::Delete { at: text } => broker.delete(at(text)?).await?,
        Op::UpdatePutTimestamp { at: text } => broker.update_put_timestamp(at(text)?).await?,
        Op::UpdateStatusChangedAt { at: text } => {
            broker.update_status_changed_at(at(text)?).await?;
        }
        Op::MergeTimestamps {
            created_at,
            put_timestamp,
            delete_timestamp,
            now,
        } => {
            let merge = MergeTimestamps {
                created_at: TimestampText::parse(created_at)?,
                put_timestamp: TimestampText::parse(put_timestamp)?,
                delete_timestamp: TimestampText::parse(delete_timestamp)?,
                now: Timestamp::new(*now, 0)?,
            };
            broker.merge_timestamps(&merge).await?;
        }
        Op::UpdateMetadata { updates, limits } => {
            update_metadata(broker, updates, *limits).await?;
        }
        Op::Upgrade => broker.upgrade().await?,
        _ => return on_replicate(broker, op).await,
    }
    Ok(Some(Value::Null))
}

async fn update_metadata<B: Broker + ?Sized>(
    broker: &B,
    updates: &[(String, Value, String)],
    limits: Option<(usize, usize)>,
) -> Result<()> {
    let entries: Vec<_> = updates
        .iter()
        .map(|(key, value, timestamp)| MetadataEntry {
            key: key.clone(),
            value: value.clone(),
            timestamp: timestamp.clone(),
        })
        .collect();
    let limits = limits.map(|(max_meta_count, max_meta_overall_size)| MetadataLimits {
        max_meta_count,
        max_meta_overall_size,
    });
    broker.update_metadata(&entries, limits.as_ref()).await
}

async fn on_replicate<B: Broker + ?Sized>(broker: &B, op: &Op) -> Result<Option<Value>> {
    let replicate = broker.replicate();
    let result = match op {
        Op::MergeSyncPoints { incoming, points } => {
            let points: Vec<_> = points
                .iter()
                .map(|(remote, point)| SyncPoint::new(remote, RowId(*point)))
                .collect();
            let merged = replicate.merge_sync_points(direction(*incoming), &points);
            Value::from(merged.await?)
        }
        Op::NewId { remote, uuid } => {
            let id = format!("{uuid}-{DEVICE}");
            Value::from(replicate.new_id(remote, &id).await?)
        }
        Op::Reclaim {
            age,
            forget_sync_points,
        } => {
            let seconds = if *forget_sync_points {
                KEEP_NONE
            } else {
                KEEP_ALL
            };
            let age = ReclaimAge {
                tombstones: Timestamp::new(*age, 0)?,
                sync_points: Timestamp::from_seconds(seconds),
            };
            let reclaimed = replicate.reclaim(age).await?;
            json!([reclaimed.removed, reclaimed.tombstones])
        }
        Op::SyncPoint { remote, incoming } => {
            let point = broker.sync_point(remote, direction(*incoming)).await?;
            Value::from(point.0)
        }
        _ => return Ok(None),
    };
    Ok(Some(result))
}

async fn on_account(broker: &Arc<dyn AccountBroker>, op: &Op) -> Result<Value> {
    match op {
        Op::Initialize {
            account,
            put_timestamp,
            now,
            uuid,
            ..
        } => {
            let new = NewAccount {
                account: account.clone(),
                put_timestamp: TimestampText::parse(put_timestamp)?,
                created_at: Timestamp::new(*now, 0)?,
                id: format!("{uuid}-{DEVICE}"),
            };
            Ok(initialized(broker.initialize(&new).await?))
        }
        Op::Info => match broker.info().await? {
            Some(info) => account_state(&**broker, &info).await,
            None => Err(broker_api::Error::not_found()),
        },
        Op::Predicates { age } => {
            let Some(info) = broker.info().await? else {
                return Ok(json!({"is_deleted": true}));
            };
            Ok(json!({
                "is_deleted": info.is_deleted(), "is_empty": info.is_empty(),
                "is_reclaimable": info.is_reclaimable(Timestamp::new(*age, 0)?),
                "is_status_deleted": info.is_status_deleted(),
            }))
        }
        Op::ItemsSince { start, count } => {
            let rows = broker.items_since(RowId(*start), *count).await?;
            Ok(rows.iter().map(container_row).collect())
        }
        Op::PutContainers { records } => {
            for (name, put, delete, objects, used, policy) in records {
                let (put, delete) = (TimestampText::parse(put)?, TimestampText::parse(delete)?);
                let policy = PolicyIndex(*policy);
                let record = ContainerRecord::report(name, put, delete, *objects, *used, policy);
                broker
                    .merge_items(vec![record], MergeOptions::put())
                    .await?;
            }
            Ok(Value::Null)
        }
        Op::MergeContainers { records, source } => {
            let records = records
                .iter()
                .map(container_record)
                .collect::<Result<_>>()?;
            let options = merge_options(source.as_deref());
            broker.merge_items(records, options).await.map(Value::from)
        }
        Op::ListContainers { names } => listing::containers(&**broker, names).await,
        other => panic!("not an operation of accounts: {other:?}"),
    }
}

async fn on_container(broker: &Arc<dyn ContainerBroker>, op: &Op) -> Result<Value> {
    match op {
        Op::Initialize {
            account,
            container,
            put_timestamp,
            policy,
            now,
            uuid,
        } => {
            let new = NewContainer {
                account: account.clone(),
                container: container.clone(),
                put_timestamp: TimestampText::parse(put_timestamp)?,
                policy_index: PolicyIndex(*policy),
                created_at: Timestamp::new(*now, 0)?,
                id: format!("{uuid}-{DEVICE}"),
            };
            Ok(initialized(broker.initialize(&new).await?))
        }
        Op::Info => match broker.info().await? {
            Some(info) => container_state(&**broker, &info).await,
            None => Err(broker_api::Error::not_found()),
        },
        Op::Predicates { age } => {
            let Some(info) = broker.info().await? else {
                return Ok(json!({"is_deleted": true}));
            };
            let age = Timestamp::new(*age, 0)?;
            Ok(json!({
                "is_deleted": info.is_deleted(), "is_empty": info.is_empty(),
                "is_reclaimable": info.is_reclaimable(age),
                "is_old_enough": info.is_old_enough_to_reclaim(age),
                "has_multiple_policies": info.has_multiple_policies(),
            }))
        }
        Op::ItemsSince { start, count } => {
            let rows = broker.items_since(RowId(*start), *count, RowFilter::All);
            Ok(rows.await?.iter().map(object_row).collect())
        }
        Op::Misplaced { start, count } => {
            let rows = broker.items_since(RowId(*start), *count, RowFilter::Misplaced);
            Ok(rows.await?.iter().map(object_row).collect())
        }
        _ => on_objects(&**broker, op).await,
    }
}

/// What changes or lists the objects of a container.
async fn on_objects(broker: &dyn ContainerBroker, op: &Op) -> Result<Value> {
    match op {
        Op::PutObjects { records } => {
            for record in records {
                let record = object_record(record)?;
                broker
                    .merge_items(vec![record], MergeOptions::put())
                    .await?;
            }
        }
        Op::DeleteObject {
            name,
            at: text,
            policy,
        } => {
            let record = ObjectRecord::delete(name, at(text)?).in_policy(PolicyIndex(*policy));
            broker
                .merge_items(vec![record], MergeOptions::put())
                .await?;
        }
        Op::MergeObjects { records, source } => {
            let records = records.iter().map(object_record).collect::<Result<_>>()?;
            let options = merge_options(source.as_deref());
            broker.merge_items(records, options).await?;
        }
        Op::RemoveObjects {
            lower,
            upper,
            max_row,
        } => {
            let remove = RemoveObjects {
                lower: lower.clone(),
                upper: upper.clone(),
                max_row: max_row.map(RowId),
            };
            broker.remove_objects(&remove).await?;
        }
        Op::SetPolicy { policy, at: text } => {
            let policy = PolicyIndex(*policy);
            broker.set_storage_policy_index(policy, at(text)?).await?;
        }
        Op::Marks {
            reported,
            sync_point1,
            sync_point2,
            reconciler,
        } => {
            let mut marks = ContainerMarks::default();
            marks.reported = reported.clone().map(reported_marks);
            marks.x_container_sync_point1 = *sync_point1;
            marks.x_container_sync_point2 = *sync_point2;
            marks.reconciler_sync_point = *reconciler;
            broker.set_marks(&marks).await?;
        }
        Op::ListObjects { .. } => return listing::objects(broker, op).await,
        other => panic!("not an operation of containers: {other:?}"),
    }
    Ok(Value::Null)
}

fn reported_marks((put, delete, objects, used): (String, String, i64, i64)) -> Reported {
    Reported {
        put_timestamp: put,
        delete_timestamp: delete,
        object_count: objects,
        bytes_used: used,
    }
}

fn initialized(outcome: Initialized) -> Value {
    Value::from(match outcome {
        Initialized::Created => "created",
        Initialized::AlreadyExisted => "existed",
    })
}

fn merge_options(source: Option<&str>) -> MergeOptions {
    match source {
        Some(source) => MergeOptions::from_source(source),
        None => MergeOptions::default(),
    }
}

fn container_record(item: &ContainerItem) -> Result<ContainerRecord> {
    let text = |text: &Option<String>| text.as_ref().map(TimestampText::parse).transpose();
    Ok(ContainerRecord {
        name: item.name.clone(),
        put_timestamp: text(&item.put_timestamp)?,
        delete_timestamp: text(&item.delete_timestamp)?,
        object_count: item.object_count,
        bytes_used: item.bytes_used,
        deleted: item.deleted != 0,
        policy_index: PolicyIndex(item.storage_policy_index),
        row_id: item.row_id.map(RowId),
    })
}

fn object_record(item: &ObjectItem) -> Result<ObjectRecord> {
    let time = |text: &Option<String>| text.as_deref().map(Timestamp::parse).transpose();
    Ok(ObjectRecord {
        name: item.name.clone(),
        created_at: ObjectTimestamps::decode(&item.created_at)?,
        ctype_timestamp: time(&item.ctype_timestamp)?,
        meta_timestamp: time(&item.meta_timestamp)?,
        size: item.size,
        content_type: item.content_type.clone(),
        etag: item.etag.clone(),
        deleted: item.deleted != 0,
        policy_index: PolicyIndex(item.storage_policy_index),
        row_id: item.row_id.map(RowId),
    })
}

fn container_row(row: &ContainerRow) -> Value {
    json!([
        row.row_id.0,
        row.name,
        row.put_timestamp.as_str(),
        row.delete_timestamp.as_str(),
        row.object_count,
        row.bytes_used,
        u8::from(row.deleted),
        row.policy_index.0
    ])
}

fn object_row(row: &ObjectRow) -> Value {
    json!([
        row.row_id.0,
        row.name,
        row.created_at,
        row.size,
        row.content_type,
        row.etag,
        u8::from(row.deleted),
        row.policy_index.0
    ])
}

fn store_state(store: &StoreInfo) -> Value {
    json!({
        "account": store.account,
        "created_at": store.created_at.as_str(),
        "put_timestamp": store.put_timestamp.as_str(),
        "delete_timestamp": store.delete_timestamp.as_str(),
        "status": store.status,
        "status_changed_at": store.status_changed_at.as_str(),
        "hash": store.hash.to_string(),
        "id": store.id,
        "metadata": store.raw_metadata,
        "max_row": store.max_row.0,
    })
}

async fn account_state(broker: &dyn AccountBroker, info: &AccountInfo) -> Result<Value> {
    let mut state = store_state(&info.store);
    state["totals"] = json!([info.container_count, info.object_count, info.bytes_used]);
    let stats = info.policy_stats.iter().map(|stat| {
        json!([
            stat.policy_index.0,
            stat.container_count,
            stat.object_count,
            stat.bytes_used
        ])
    });
    state["policy_stats"] = stats.collect();
    let rows = broker.items_since(RowId::NONE, usize::MAX).await?;
    state["rows"] = rows.iter().map(container_row).collect();
    add_sync_points(broker, &mut state).await?;
    Ok(state)
}

async fn container_state(broker: &dyn ContainerBroker, info: &ContainerInfo) -> Result<Value> {
    let mut state = store_state(&info.store);
    state["container"] = json!(info.container);
    state["policy"] = json!(info.policy_index.0);
    let stats = info
        .policy_stats
        .iter()
        .map(|stat| json!([stat.policy_index.0, stat.object_count, stat.bytes_used]));
    state["policy_stats"] = stats.collect();
    let reported = &info.reported;
    state["reported"] = json!([
        reported.put_timestamp,
        reported.delete_timestamp,
        reported.object_count,
        reported.bytes_used
    ]);
    state["marks"] = json!([
        info.x_container_sync_point1,
        info.x_container_sync_point2,
        info.reconciler_sync_point
    ]);
    let rows = broker
        .items_since(RowId::NONE, usize::MAX, RowFilter::All)
        .await?;
    state["rows"] = rows.iter().map(object_row).collect();
    add_sync_points(broker, &mut state).await?;
    Ok(state)
}

async fn add_sync_points<B: Broker + ?Sized>(broker: &B, state: &mut Value) -> Result<()> {
    for (key, way) in [
        ("incoming", Direction::Incoming),
        ("outgoing", Direction::Outgoing),
    ] {
        let mut points = broker.replicate().sync_points(way).await?;
        points.sort_by(|a, b| a.remote_id.cmp(&b.remote_id));
        let points = points
            .iter()
            .map(|point| json!([point.remote_id, point.sync_point.0]));
        state[key] = points.collect();
    }
    Ok(())
}
