//! An account on the account server.

use super::client::{Ask, quote};
use super::facts;
use super::listing::{self, Shown};
use super::refused::{refused, unsupported};
use super::store::{Store, is_everything};
use crate::fixture::ACCOUNT;
use async_trait::async_trait;
use broker_api::{
    AccountBroker, AccountInfo, Broker, ContainerRecord, ContainerRow, ContainerRowRef,
    ContainerVisitor, Entry, Initialized, ListingQuery, Location, MergeOptions, MergeTimestamps,
    MetadataEntry, MetadataLimits, NewAccount, PolicyIndex, Replicate, Result, RowId, Snapshot,
    Timestamp, TimestampText,
};
use http::StatusCode;

/// A broker for one account.
#[derive(Debug)]
pub(super) struct WireAccount(pub(super) Store);

impl WireAccount {
    /// The put timestamp rises by a PUT, which also creates: the account must be there.
    async fn put(&self, timestamp: Timestamp) -> Result<()> {
        let head = self.0.head().await?;
        if !self.0.is_there(&head)? {
            return Err(refused(&head).on(&self.0.location));
        }
        let ask = Ask::new("PUT", self.0.path()).header("x-timestamp", timestamp.internal())?;
        match self.0.send(ask).await?.status {
            StatusCode::ACCEPTED => Ok(()),
            _ => Err(unsupported("a put timestamp of a deleted account")),
        }
    }

    async fn put_row(&self, record: &ContainerRecord) -> Result<()> {
        let (Some(put), Some(delete), Some(objects), Some(bytes)) = (
            &record.put_timestamp,
            &record.delete_timestamp,
            record.object_count,
            record.bytes_used,
        ) else {
            return Err(unsupported("a container record that lacks a value"));
        };
        let (name, policy) = (&record.name, record.policy_index);
        let report =
            ContainerRecord::report(name, put.clone(), delete.clone(), objects, bytes, policy);
        if report.deleted != record.deleted || name.is_empty() || name.contains('/') {
            return Err(unsupported(&format!("such a container record: {record:?}")));
        }
        let ask = Ask::new("PUT", format!("{}/{}", self.0.path(), quote(name)))
            .header("x-put-timestamp", put)?
            .header("x-delete-timestamp", delete)?
            .header("x-object-count", objects)?
            .header("x-bytes-used", bytes)?
            .header("x-backend-storage-policy-index", policy)?
            .header("x-account-override-deleted", "yes")?;
        let answer = self.0.send(ask).await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(refused(&answer).on(&self.0.location)),
        }
    }

    fn row(&self, row: &serde_json::Value) -> Result<ContainerRow> {
        let policy = row.get("storage_policy").map(listing::text).transpose()?;
        let policy = policy.map_or(facts::NO_NUMBER, |name| self.0.servers.policy(&name));
        Ok(ContainerRow {
            row_id: RowId::NONE,
            name: listing::text(&row["name"])?,
            put_timestamp: TimestampText::parse(listing::modified(row)?)?,
            delete_timestamp: TimestampText::never(),
            object_count: listing::number(&row["count"])?,
            bytes_used: listing::number(&row["bytes"])?,
            deleted: false,
            policy_index: PolicyIndex(policy),
        })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl AccountBroker for WireAccount {
    async fn initialize(&self, new: &NewAccount) -> Result<Initialized> {
        self.0.may_write()?;
        if new.account != ACCOUNT {
            return Err(unsupported(&format!("an account named {:?}", new.account)));
        }
        let ask = Ask::new("PUT", self.0.path()).header("x-timestamp", &new.put_timestamp)?;
        let answer = self.0.send(ask).await?;
        match answer.status {
            StatusCode::CREATED => Ok(Initialized::Created),
            StatusCode::ACCEPTED | StatusCode::CONFLICT | StatusCode::FORBIDDEN => {
                Ok(Initialized::AlreadyExisted)
            }
            _ => Err(refused(&answer).on(&self.0.location)),
        }
    }

    async fn info(&self) -> Result<Option<AccountInfo>> {
        facts::account(&self.0.head().await?, &self.0.sent(), &self.0.servers)
    }

    async fn merge_items(
        &self,
        records: Vec<ContainerRecord>,
        options: MergeOptions,
    ) -> Result<()> {
        self.0.may_write()?;
        if options.source.is_some() {
            return Err(unsupported("rows of a source"));
        }
        for record in &records {
            self.put_row(record).await?;
        }
        Ok(())
    }

    async fn items_since(&self, start: RowId, limit: usize) -> Result<Vec<ContainerRow>> {
        if !is_everything(start, limit) {
            return Err(unsupported("rows since a number"));
        }
        let mut query = ListingQuery::new(limit);
        query.allow_reserved = true;
        let mut rows = Vec::new();
        for entry in listing::whole(&self.0, &query, None).await? {
            if let Shown::Row(row) = entry {
                rows.push(self.row(&row)?);
            }
        }
        Ok(rows)
    }

    async fn list_containers(
        &self,
        query: &ListingQuery,
        mut visitor: Box<dyn ContainerVisitor>,
    ) -> Result<Box<dyn ContainerVisitor>> {
        for entry in listing::whole(&self.0, query, None).await? {
            let flow = match entry {
                Shown::Subdir(name) => visitor.visit(Entry::Subdir(&name)),
                Shown::Row(row) => {
                    let row = self.row(&row)?;
                    visitor.visit(Entry::Row(ContainerRowRef {
                        name: &row.name,
                        put_timestamp: row.put_timestamp.as_str(),
                        object_count: row.object_count,
                        bytes_used: row.bytes_used,
                        policy_index: row.policy_index,
                    }))
                }
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(visitor)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Broker for WireAccount {
    fn location(&self) -> &Location {
        &self.0.location
    }

    async fn exists(&self) -> Result<bool> {
        self.0.is_there(&self.0.head().await?)
    }

    async fn delete(&self, timestamp: Timestamp) -> Result<()> {
        self.0.may_write()?;
        let ask = Ask::new("DELETE", self.0.path()).header("x-timestamp", timestamp.internal())?;
        let answer = self.0.send(ask).await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => self.0.gone_or(answer, "a second deletion").await,
        }
    }

    async fn update_put_timestamp(&self, timestamp: Timestamp) -> Result<()> {
        self.0.may_write()?;
        self.put(timestamp).await
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
