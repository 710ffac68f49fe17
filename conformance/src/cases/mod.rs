//! All cases, file by file, and what several files need.

mod absent;
mod batches;
mod concurrent;
mod containers;
mod durable;
mod engine;
mod goldens;
mod laws;
mod lifecycle;
mod listing;
mod marks;
mod metadata;
mod objects;
mod overlapping;
mod policies;
mod reclaim;
mod reopen;
mod replication;
mod rows;
mod shown;
mod snapshot;
mod timestamps;
mod values;

use crate::case::Case;
use crate::check::Check;
use crate::fixture::time;
use broker_api::{
    AccountBroker, AccountBrokerExt, ContainerBroker, ContainerBrokerExt, ContainerEntry,
    ContainerRecord, ContainerRow, ListObjects, ListingQuery, MergeOptions, ObjectEntry,
    ObjectRecord, ObjectRow, ObjectTimestamps, PolicyIndex, RowFilter, RowId, Timestamp,
    TimestampText,
};

/// More rows than any case makes.
const MANY: usize = 1_000_000;

/// Every case of the suite.
pub fn all() -> impl Iterator<Item = Case> {
    let files = [
        engine::CASES,
        absent::CASES,
        lifecycle::CASES,
        timestamps::CASES,
        metadata::CASES,
        objects::CASES,
        batches::CASES,
        containers::CASES,
        values::CASES,
        rows::CASES,
        listing::CASES,
        policies::CASES,
        marks::CASES,
        shown::CASES,
        reopen::CASES,
        goldens::CASES,
        laws::CASES,
        replication::CASES,
        reclaim::CASES,
        snapshot::CASES,
        concurrent::CASES,
        overlapping::CASES,
        durable::CASES,
    ];
    files.into_iter().flatten().copied()
}

/// A live object with the times of an encoded text.
fn object(name: &str, created_at: &str) -> ObjectRecord {
    let times = ObjectTimestamps::decode(created_at).expect("a valid created_at");
    ObjectRecord {
        created_at: times,
        ..ObjectRecord::put(name, times.data, 0, "text/plain", "e")
    }
}

/// A live object of one time, in whole seconds.
fn put(name: &str, seconds: u64) -> ObjectRecord {
    ObjectRecord::put(name, Timestamp::from_seconds(seconds), 1, "text/plain", "e")
}

/// A tombstone of one time, in whole seconds.
fn deleted(name: &str, seconds: u64) -> ObjectRecord {
    ObjectRecord::delete(name, Timestamp::from_seconds(seconds))
}

/// What a container server reports of a container of policy 0.
fn report(name: &str, put: &str, delete: &str, objects: i64, bytes: i64) -> ContainerRecord {
    ContainerRecord::report(
        name,
        spelled(put),
        spelled(delete),
        objects,
        bytes,
        PolicyIndex(0),
    )
}

fn spelled(text: &str) -> TimestampText {
    crate::fixture::text(text)
}

/// Merges without a source.
async fn merge(broker: &dyn ContainerBroker, records: Vec<ObjectRecord>) -> Check {
    Ok(broker.merge_items(records, MergeOptions::default()).await?)
}

/// Merges without a source.
async fn merge_reports(broker: &dyn AccountBroker, records: Vec<ContainerRecord>) -> Check {
    Ok(broker.merge_items(records, MergeOptions::default()).await?)
}

async fn object_rows(broker: &dyn ContainerBroker) -> Check<Vec<ObjectRow>> {
    Ok(broker
        .items_since(RowId::NONE, MANY, RowFilter::All)
        .await?)
}

async fn container_rows(broker: &dyn AccountBroker) -> Check<Vec<ContainerRow>> {
    Ok(broker.items_since(RowId::NONE, MANY).await?)
}

/// The row of a name in policy 0.
async fn object_row(broker: &dyn ContainerBroker, name: &str) -> Check<Option<ObjectRow>> {
    let rows = object_rows(broker).await?;
    let is_it = |row: &ObjectRow| row.name == name && row.policy_index == PolicyIndex(0);
    Ok(rows.into_iter().find(is_it))
}

/// Row number, name and encoded times of every row.
async fn numbered(broker: &dyn ContainerBroker) -> Check<Vec<(i64, String, String)>> {
    let rows = object_rows(broker).await?.into_iter();
    Ok(rows
        .map(|row| (row.row_id.0, row.name, row.created_at))
        .collect())
}

/// Names of an object listing; subdirs have a plus sign in front.
async fn list(broker: &dyn ContainerBroker, query: &ListObjects) -> Check<Vec<String>> {
    let entries = broker.object_page(query).await?.into_iter();
    let shown = |entry| match entry {
        ObjectEntry::Row(row) => row.name,
        ObjectEntry::Subdir(name) => format!("+{name}"),
    };
    Ok(entries.map(shown).collect())
}

/// Names of a container listing; subdirs have a plus sign in front.
async fn list_containers(broker: &dyn AccountBroker, query: &ListingQuery) -> Check<Vec<String>> {
    let entries = broker.container_page(query).await?.into_iter();
    let shown = |entry| match entry {
        ContainerEntry::Row { name, .. } => name,
        ContainerEntry::Subdir(name) => format!("+{name}"),
    };
    Ok(entries.map(shown).collect())
}

/// A listing without any filter.
fn everything() -> ListObjects {
    ListObjects::new(ListingQuery::new(MANY))
}

/// `1234567890.0000n`, with n up to 99.
fn unit(n: u64) -> Timestamp {
    time(&format!("1234567890.{n:05}"))
}

fn triple(data: Timestamp, content_type: Timestamp, metadata: Timestamp) -> ObjectTimestamps {
    ObjectTimestamps {
        data,
        content_type,
        metadata,
    }
}
