//! A container on the container server.

use super::client::{Ask, fits_a_header, quote_object};
use super::facts;
use super::listing::{self, Shown};
use super::refused::{refused, unsupported};
use super::store::{Store, is_everything};
use crate::fixture::{ACCOUNT, CONTAINER};
use async_trait::async_trait;
use broker_api::{
    Broker, ContainerBroker, ContainerInfo, ContainerMarks, DeletedFilter, Entry, Initialized,
    ListObjects, ListingQuery, Location, MergeOptions, MergeTimestamps, MetadataEntry,
    MetadataLimits, NewContainer, ObjectRecord, ObjectRow, ObjectTimestamps, ObjectVisitor,
    PolicyFilter, PolicyIndex, RemoveObjects, Replicate, Result, RowFilter, RowId, Sharding,
    Snapshot, Timestamp,
};
use http::StatusCode;
use serde_json::json;

/// A broker for one container.
#[derive(Debug)]
pub(super) struct WireContainer(pub(super) Store);

impl WireContainer {
    /// One record, as an object server sends it.
    async fn put_row(&self, record: &ObjectRecord) -> Result<()> {
        let path = format!("{}/{}", self.0.path(), quote_object(&record.name));
        let method = if record.deleted { "DELETE" } else { "PUT" };
        let mut ask = Ask::new(method, path)
            .header("x-timestamp", record.created_at.data.internal())?
            .header("x-backend-storage-policy-index", record.policy_index)?;
        if !record.deleted {
            ask = ask
                .header("x-size", record.size)?
                .header("x-content-type", &record.content_type)?
                .header("x-etag", &record.etag)?;
        }
        if let Some(time) = record.ctype_timestamp {
            ask = ask.header("x-content-type-timestamp", time.internal())?;
        }
        if let Some(time) = record.meta_timestamp {
            ask = ask.header("x-meta-timestamp", time.internal())?;
        }
        self.accepted(ask).await
    }

    async fn accepted(&self, ask: Ask) -> Result<()> {
        let answer = self.0.send(ask).await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(refused(&answer).on(&self.0.location)),
        }
    }

    /// A batch, as the proxy's internal tools send it. The request's own time means nothing.
    async fn update(&self, records: &[ObjectRecord]) -> Result<()> {
        let items: Vec<_> = records.iter().map(item).collect();
        let ask = Ask::new("UPDATE", self.0.path())
            .header("x-timestamp", "1")?
            .header("content-type", "application/json")?
            .body(serde_json::Value::from(items).to_string());
        self.accepted(ask).await
    }

    async fn rows_of(&self, policy: PolicyIndex, limit: usize) -> Result<Vec<ObjectRow>> {
        let mut query = ListingQuery::new(limit);
        query.allow_reserved = true;
        let mut rows = Vec::new();
        for entry in listing::whole(&self.0, &query, Some(policy)).await? {
            if let Shown::Row(row) = entry {
                rows.push(listing::object(&row, policy)?);
            }
        }
        Ok(rows)
    }
}

/// Whether an object server could have sent the record as a request for one row.
fn is_one_row(record: &ObjectRecord) -> bool {
    let has_one_time = record.created_at == ObjectTimestamps::all(record.created_at.data);
    let name_fits = !record.name.is_empty() && !record.name.contains('\0');
    let as_deleted = ObjectRecord::delete(&record.name, record.created_at.data);
    let values_fit = match record.deleted {
        true => *record == as_deleted.in_policy(record.policy_index),
        false => fits_a_header(&record.content_type) && fits_a_header(&record.etag),
    };
    has_one_time && name_fits && values_fit
}

fn item(record: &ObjectRecord) -> serde_json::Value {
    json!({
        "name": record.name,
        "created_at": record.created_at.encode(),
        "size": record.size,
        "content_type": record.content_type,
        "etag": record.etag,
        "deleted": u8::from(record.deleted),
        "storage_policy_index": record.policy_index.0,
        "ctype_timestamp": record.ctype_timestamp.map(Timestamp::internal),
        "meta_timestamp": record.meta_timestamp.map(Timestamp::internal),
    })
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ContainerBroker for WireContainer {
    async fn initialize(&self, new: &NewContainer) -> Result<Initialized> {
        self.0.may_write()?;
        if new.account != ACCOUNT || new.container != CONTAINER {
            let names = (&new.account, &new.container);
            return Err(unsupported(&format!("a container named {names:?}")));
        }
        let ask = Ask::new("PUT", self.0.path())
            .header("x-timestamp", &new.put_timestamp)?
            .header("x-backend-storage-policy-index", new.policy_index)?;
        let answer = self.0.send(ask).await?;
        match answer.status {
            StatusCode::CREATED => Ok(Initialized::Created),
            StatusCode::ACCEPTED | StatusCode::CONFLICT => Ok(Initialized::AlreadyExisted),
            _ => Err(refused(&answer).on(&self.0.location)),
        }
    }

    async fn info(&self) -> Result<Option<ContainerInfo>> {
        facts::container(&self.0.head().await?, &self.0.sent())
    }

    async fn merge_items(&self, records: Vec<ObjectRecord>, options: MergeOptions) -> Result<()> {
        self.0.may_write()?;
        if options.source.is_some() {
            return Err(unsupported("rows of a source"));
        }
        let policies = records.iter().map(|record| record.policy_index);
        self.0.ledger.policies_were_sent(&self.0.location, policies);
        match records.as_slice() {
            [record] if options.may_buffer && is_one_row(record) => self.put_row(record).await,
            records => self.update(records).await,
        }
    }

    async fn items_since(
        &self,
        start: RowId,
        limit: usize,
        filter: RowFilter,
    ) -> Result<Vec<ObjectRow>> {
        if !is_everything(start, limit) || filter != RowFilter::All {
            return Err(unsupported("rows since a number"));
        }
        let mut policies = self.0.sent().policies;
        if policies.is_empty() {
            policies.insert(0);
        }
        let mut rows = Vec::new();
        for policy in policies {
            rows.extend(self.rows_of(PolicyIndex(policy), limit).await?);
        }
        Ok(rows)
    }

    async fn list_objects(
        &self,
        query: &ListObjects,
        mut visitor: Box<dyn ObjectVisitor>,
    ) -> Result<Box<dyn ObjectVisitor>> {
        let policy = match query.policy {
            PolicyFilter::Own => None,
            PolicyFilter::Only(policy) => Some(policy),
            PolicyFilter::All => return Err(unsupported("a listing of all policies")),
        };
        if query.deleted != DeletedFilter::Live || query.since_row.is_some() {
            return Err(unsupported("a listing of tombstones, or since a row"));
        }
        for entry in listing::whole(&self.0, &query.names, policy).await? {
            let flow = match entry {
                Shown::Subdir(name) => visitor.visit(Entry::Subdir(&name)),
                Shown::Row(row) => {
                    let row = listing::object(&row, policy.unwrap_or_default())?;
                    visitor.visit(Entry::Row(row.as_ref()))
                }
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(visitor)
    }

    async fn remove_objects(&self, _: &RemoveObjects) -> Result<()> {
        Err(unsupported("removing rows"))
    }

    async fn set_storage_policy_index(&self, _: PolicyIndex, _: Timestamp) -> Result<()> {
        Err(unsupported(
            "another policy of a container that is not deleted",
        ))
    }

    async fn set_marks(&self, _: &ContainerMarks) -> Result<()> {
        Err(unsupported("marks"))
    }

    fn sharding(&self) -> Option<&dyn Sharding> {
        None
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Broker for WireContainer {
    fn location(&self) -> &Location {
        &self.0.location
    }

    async fn exists(&self) -> Result<bool> {
        self.0.is_there(&self.0.head().await?)
    }

    /// A DELETE that comes too late is a 404, one that comes too early a 409: both are carried out. So is
    /// none for a container with objects, which is a 409 too.
    async fn delete(&self, timestamp: Timestamp) -> Result<()> {
        self.0.may_write()?;
        let ask = Ask::new("DELETE", self.0.path()).header("x-timestamp", timestamp.internal())?;
        let answer = self.0.send(ask).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        let is_told_later = matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::CONFLICT);
        let info = self.info().await?.filter(|_| is_told_later);
        match info {
            None => Err(refused(&answer).on(&self.0.location)),
            Some(info) if info.store.delete_timestamp.value() >= timestamp => Ok(()),
            Some(_) => Err(unsupported("deleting a container with objects")),
        }
    }

    async fn update_put_timestamp(&self, timestamp: Timestamp) -> Result<()> {
        self.0.may_write()?;
        let ask = Ask::new("POST", self.0.path()).header("x-timestamp", timestamp.internal())?;
        let answer = self.0.send(ask).await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => self.0.gone_or(answer, "a put timestamp").await,
        }
    }

    async fn update_status_changed_at(&self, _: Timestamp) -> Result<()> {
        Err(unsupported("the time of the last status change"))
    }

    async fn merge_timestamps(&self, _: &MergeTimestamps) -> Result<()> {
        Err(unsupported("merging timestamps"))
    }

    async fn update_metadata(
        &self,
        updates: &[MetadataEntry],
        limits: Option<&MetadataLimits>,
    ) -> Result<()> {
        self.0.post_metadata(updates, limits).await
    }

    async fn upgrade(&self) -> Result<()> {
        Err(unsupported("upgrading"))
    }

    fn replicate(&self) -> &dyn Replicate {
        &self.0
    }

    fn snapshot(&self) -> Option<&dyn Snapshot> {
        None
    }
}
