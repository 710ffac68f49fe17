//! What each command of a script does to a broker.

use super::{Command, answers};
use crate::check::{Check, Failure};
use crate::fixture::{Fixture, create_account, create_container, new_account, new_container};
use broker_api::{
    AccountBroker, AccountBrokerExt, Broker, ContainerBroker, ContainerBrokerExt, ContainerEntry,
    ContainerMarks, ContainerRecord, DeletedFilter, Direction, ErrorKind, Initialized, ListObjects,
    ListingQuery, MergeOptions, MergeTimestamps, MetadataEntry, MetadataLimits, ObjectEntry,
    ObjectRecord, ObjectTimestamps, PolicyFilter, PolicyIndex, ReclaimAge, RemoveObjects, Reported,
    RowFilter, RowId, StoreKind, SyncPoint, Timestamp, TimestampText,
};
use std::sync::Arc;

enum Store {
    None,
    Account(Arc<dyn AccountBroker>, Vec<ContainerRecord>),
    Container(Arc<dyn ContainerBroker>, Vec<ObjectRecord>),
}

/// Holds the store that the script works on.
pub(super) struct Player<'a> {
    fixture: &'a Fixture,
    stores: u64,
    store: Store,
}

type Answer = Check<Vec<String>>;

fn nothing() -> Answer {
    Ok(Vec::new())
}

impl<'a> Player<'a> {
    pub(super) fn new(fixture: &'a Fixture) -> Self {
        Self {
            fixture,
            stores: 0,
            store: Store::None,
        }
    }

    /// Runs one command and spells its answer.
    pub(super) async fn run(&mut self, command: &Command) -> Answer {
        match command.word.as_str() {
            "account" | "container" => return self.create(command).await,
            "item" => return self.collect(command),
            "merge" => return self.merge(command).await,
            _ => {}
        }
        match &self.store {
            Store::None => Err(Failure::new("the script has made no store yet")),
            Store::Account(broker, _) => match on_account(&**broker, command).await? {
                Some(answer) => Ok(answer),
                None => on_any(&**broker, command).await,
            },
            Store::Container(broker, _) => match on_container(&**broker, command).await? {
                Some(answer) => Ok(answer),
                None => on_any(&**broker, command).await,
            },
        }
    }

    async fn create(&mut self, command: &Command) -> Answer {
        self.stores += 1;
        let put = TimestampText::parse(command.required("put")?)?;
        if command.word == "account" {
            let location = self.fixture.location(StoreKind::Account, self.stores);
            let broker = self.fixture.account_at(&location);
            create_account(&*broker, &put).await?;
            self.store = Store::Account(broker, Vec::new());
        } else {
            let location = self.fixture.location(StoreKind::Container, self.stores);
            let broker = self.fixture.container_at(&location);
            create_container(&*broker, &put, command.number("policy")?.unwrap_or(0)).await?;
            self.store = Store::Container(broker, Vec::new());
        }
        nothing()
    }

    fn collect(&mut self, command: &Command) -> Answer {
        match &mut self.store {
            Store::None => return Err(Failure::new("the script has made no store yet")),
            Store::Account(_, items) => items.push(container_record(command)?),
            Store::Container(_, items) => items.push(object_record(command)?),
        }
        nothing()
    }

    async fn merge(&mut self, command: &Command) -> Answer {
        let options = match command.get("source") {
            Some(source) => MergeOptions::from_source(source),
            None => MergeOptions::default(),
        };
        let merged = match &mut self.store {
            Store::None => return Err(Failure::new("the script has made no store yet")),
            Store::Account(broker, items) => {
                broker.merge_items(std::mem::take(items), options).await
            }
            Store::Container(broker, items) => {
                broker.merge_items(std::mem::take(items), options).await
            }
        };
        match merged {
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(vec!["refused".into()]),
            merged => merged.map(|()| Vec::new()).map_err(Failure::from),
        }
    }
}

fn timestamp(command: &Command, key: &str) -> Check<Timestamp> {
    Ok(Timestamp::parse(command.required(key)?)?)
}

fn timestamp_text(command: &Command, key: &str) -> Check<TimestampText> {
    Ok(TimestampText::parse(command.required(key)?)?)
}

fn object_record(command: &Command) -> Check<ObjectRecord> {
    let optional = |key: &str| command.get(key).map(Timestamp::parse).transpose();
    let or = |key: &str, other: &str| command.get(key).unwrap_or(other).to_owned();
    Ok(ObjectRecord {
        name: command.required("name")?.to_owned(),
        created_at: ObjectTimestamps::decode(command.required("at")?)?,
        ctype_timestamp: optional("ctype")?,
        meta_timestamp: optional("meta")?,
        size: command.number("size")?.unwrap_or(0),
        content_type: or("type", "text/plain"),
        etag: or("etag", "e"),
        deleted: command.get("deleted") == Some("1"),
        policy_index: PolicyIndex(command.number("policy")?.unwrap_or(0)),
        row_id: command.number("row")?.map(RowId),
    })
}

fn container_record(command: &Command) -> Check<ContainerRecord> {
    let optional = |key: &str| command.get(key).map(TimestampText::parse).transpose();
    Ok(ContainerRecord {
        name: command.required("name")?.to_owned(),
        put_timestamp: optional("put")?,
        delete_timestamp: optional("delete")?,
        object_count: command.number("count")?,
        bytes_used: command.number("bytes")?,
        deleted: command.get("deleted") == Some("1"),
        policy_index: PolicyIndex(command.number("policy")?.unwrap_or(0)),
        row_id: command.number("row")?.map(RowId),
    })
}

fn listing_query(command: &Command) -> Check<ListingQuery> {
    let mut query = ListingQuery::new(command.number("limit")?.unwrap_or(10_000));
    query.marker = command.text("marker");
    query.end_marker = command.text("end_marker");
    query.prefix = command.text("prefix");
    query.delimiter = command.text("delimiter");
    query.path = command.get("path").map(str::to_owned);
    query.reverse = command.has("reverse");
    query.allow_reserved = command.has("reserved");
    Ok(query)
}

async fn on_account(broker: &dyn AccountBroker, command: &Command) -> Check<Option<Vec<String>>> {
    Ok(Some(match command.word.as_str() {
        "initialize_again" => {
            let put = timestamp_text(command, "put")?;
            initialized(broker.initialize(&new_account(broker, &put)).await?)
        }
        "put" => {
            let record = ContainerRecord::report(
                command.required("name")?,
                timestamp_text(command, "put")?,
                timestamp_text(command, "delete")?,
                command.number("count")?.unwrap_or(0),
                command.number("bytes")?.unwrap_or(0),
                PolicyIndex(command.number("policy")?.unwrap_or(0)),
            );
            broker.put_container(record).await?;
            Vec::new()
        }
        "rows" => {
            let (since, limit) = since_and_limit(command)?;
            let rows = broker.items_since(since, limit).await?;
            rows.iter().map(answers::container_row).collect()
        }
        "info" => {
            let age = command.get("age").map(Timestamp::parse).transpose()?;
            answers::account_info(&broker.get_info().await?, age)
        }
        "show_metadata" => shown_metadata(broker.get_info().await?.store.raw_metadata),
        "names" => {
            let entries = broker.container_page(&listing_query(command)?).await?;
            let is_subdir = |entry: &ContainerEntry| matches!(entry, ContainerEntry::Subdir(_));
            answers::names(entries.iter().map(|entry| (is_subdir(entry), entry.name())))
        }
        "list" => {
            let entries = broker.container_page(&listing_query(command)?).await?;
            answers::or_none(entries.iter().map(answers::container_entry).collect())
        }
        _ => return Ok(None),
    }))
}

async fn on_container(
    broker: &dyn ContainerBroker,
    command: &Command,
) -> Check<Option<Vec<String>>> {
    Ok(Some(match command.word.as_str() {
        "initialize_again" => {
            let put = timestamp_text(command, "put")?;
            let policy = command.number("policy")?.unwrap_or(0);
            initialized(
                broker
                    .initialize(&new_container(broker, &put, policy))
                    .await?,
            )
        }
        "put" => {
            broker.put_object(object_record(command)?).await?;
            Vec::new()
        }
        "rows" => {
            let filter = match command.has("misplaced") {
                true => RowFilter::Misplaced,
                false => RowFilter::All,
            };
            let (since, limit) = since_and_limit(command)?;
            let rows = broker.items_since(since, limit, filter).await?;
            rows.iter().map(answers::object_row).collect()
        }
        "info" => {
            let age = command.get("age").map(Timestamp::parse).transpose()?;
            answers::container_info(&broker.get_info().await?, age)
        }
        "show_metadata" => shown_metadata(broker.get_info().await?.store.raw_metadata),
        "names" => {
            let entries = broker.object_page(&list_objects(command)?).await?;
            let is_subdir = |entry: &ObjectEntry| matches!(entry, ObjectEntry::Subdir(_));
            answers::names(entries.iter().map(|entry| (is_subdir(entry), entry.name())))
        }
        "list" => {
            let entries = broker.object_page(&list_objects(command)?).await?;
            let lines = entries.iter().map(answers::object_entry);
            answers::or_none(lines.collect::<Check<_>>()?)
        }
        _ => return change_container(broker, command).await,
    }))
}

async fn change_container(
    broker: &dyn ContainerBroker,
    command: &Command,
) -> Check<Option<Vec<String>>> {
    match command.word.as_str() {
        "remove" => {
            let remove = RemoveObjects {
                lower: command.text("lower"),
                upper: command.text("upper"),
                max_row: command.number("max_row")?.map(RowId),
            };
            broker.remove_objects(&remove).await?;
        }
        "set_policy" => {
            let index = PolicyIndex(command.number("index")?.unwrap_or(0));
            let at = timestamp(command, "at")?;
            broker.set_storage_policy_index(index, at).await?;
        }
        "report" => {
            let mut marks = ContainerMarks::default();
            marks.reported = Some(Reported {
                put_timestamp: command.text("put"),
                delete_timestamp: command.text("delete"),
                object_count: command.number("count")?.unwrap_or(0),
                bytes_used: command.number("bytes")?.unwrap_or(0),
            });
            broker.set_marks(&marks).await?;
        }
        "marks" => {
            let mut marks = ContainerMarks::default();
            marks.x_container_sync_point1 = command.number("sync1")?;
            marks.x_container_sync_point2 = command.number("sync2")?;
            marks.reconciler_sync_point = command.number("reconciler")?;
            broker.set_marks(&marks).await?;
        }
        _ => return Ok(None),
    }
    Ok(Some(Vec::new()))
}

fn list_objects(command: &Command) -> Check<ListObjects> {
    let mut query = ListObjects::new(listing_query(command)?);
    query.policy = match command.number("policy")? {
        Some(index) => PolicyFilter::Only(PolicyIndex(index)),
        None if command.has("all_policies") => PolicyFilter::All,
        None => PolicyFilter::Own,
    };
    query.deleted = match command.get("deleted") {
        Some("tombstones") => DeletedFilter::Tombstones,
        Some("both") => DeletedFilter::Both,
        _ => DeletedFilter::Live,
    };
    // Zero stands for no filter in Swift.
    query.since_row = command
        .number("since")?
        .filter(|since| *since != 0)
        .map(RowId);
    Ok(query)
}

fn since_and_limit(command: &Command) -> Check<(RowId, usize)> {
    let since = command.number("since")?.map_or(RowId::NONE, RowId);
    Ok((since, command.number("limit")?.unwrap_or(1_000_000)))
}

fn shown_metadata(raw: String) -> Vec<String> {
    answers::or_none(if raw.is_empty() {
        Vec::new()
    } else {
        vec![raw]
    })
}

fn initialized(answer: Initialized) -> Vec<String> {
    vec![match answer {
        Initialized::Created => "created".into(),
        Initialized::AlreadyExisted => "existed".into(),
    }]
}

async fn on_any<B: Broker + ?Sized>(broker: &B, command: &Command) -> Answer {
    let direction = match command.has("outgoing") {
        true => Direction::Outgoing,
        false => Direction::Incoming,
    };
    match command.word.as_str() {
        "delete" => broker.delete(timestamp(command, "at")?).await?,
        "put_timestamp" => {
            broker
                .update_put_timestamp(timestamp(command, "at")?)
                .await?
        }
        "status_changed_at" => {
            broker
                .update_status_changed_at(timestamp(command, "at")?)
                .await?;
        }
        "merge_timestamps" => {
            let merge = MergeTimestamps {
                created_at: timestamp_text(command, "created")?,
                put_timestamp: timestamp_text(command, "put")?,
                delete_timestamp: timestamp_text(command, "delete")?,
                now: timestamp(command, "now")?,
            };
            broker.merge_timestamps(&merge).await?;
        }
        "metadata" => return update_metadata(broker, command).await,
        "sync" => {
            let point = RowId(command.number("point")?.unwrap_or(-1));
            let point = SyncPoint::new(command.required("id")?, point);
            broker
                .replicate()
                .merge_sync_points(direction, &[point])
                .await?;
        }
        "syncs" => {
            let mut points = broker.replicate().sync_points(direction).await?;
            points.sort_by(|a, b| a.remote_id.cmp(&b.remote_id));
            let points: Vec<_> = points
                .iter()
                .map(|point| format!("{}={}", point.remote_id, point.sync_point))
                .collect();
            let line = points.join(" ");
            return Ok(answers::or_none(if points.is_empty() {
                Vec::new()
            } else {
                vec![line]
            }));
        }
        "newid" => {
            let remote = command.required("remote")?;
            broker.replicate().new_id(remote, "a-new-id-sda").await?;
        }
        "reclaim" => {
            let age = ReclaimAge {
                tombstones: timestamp(command, "age")?,
                sync_points: timestamp(command, "sync_age")?,
            };
            let done = broker.replicate().reclaim(age).await?;
            return Ok(vec![format!(
                "removed={} left={}",
                done.removed, done.tombstones
            )]);
        }
        word => {
            return Err(Failure::new(format!(
                "the script's command {word} is unknown"
            )));
        }
    }
    nothing()
}

async fn update_metadata<B: Broker + ?Sized>(broker: &B, command: &Command) -> Answer {
    let entry = MetadataEntry::new(
        command.text("key"),
        command.text("value"),
        command.required("at")?,
    );
    let limits = MetadataLimits::default();
    let limits = command.has("validate").then_some(&limits);
    match broker.update_metadata(&[entry], limits).await {
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            Ok(vec![format!("refused {}", answers::quote(error.message()))])
        }
        updated => updated.map(|()| Vec::new()).map_err(Failure::from),
    }
}
