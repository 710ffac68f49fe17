//! An account on the account server.

use super::client::{Ask, quote};
use super::facts;
use super::listing::{self, Shown};
use super::refused::{refused, unsupported};
use super::store::{Store, is_everything};
use crate::fixture::ACCOUNT;
use async_trait::async_trait;
use broker_api::{
    AccountBroker, AccountInfo, ContainerRecord, ContainerRow, ContainerRowRef, ContainerVisitor,
    Entry, Initialized, ListingQuery, MergeOptions, NewAccount, PolicyIndex, Result, RowId,
    Timestamp, TimestampText,
};
use http::StatusCode;

impl Store {
    /// The put timestamp rises by a PUT, which also creates: the account must be there.
    pub(super) async fn put_account(&self, timestamp: Timestamp) -> Result<()> {
        let head = self.head().await?;
        if !self.is_there(&head)? {
            return Err(refused(&head).on(&self.location));
        }
        let ask = Ask::new("PUT", self.path()).header("x-timestamp", timestamp.internal())?;
        match self.send(ask).await?.status {
            StatusCode::ACCEPTED => Ok(()),
            _ => Err(unsupported("a put timestamp of a deleted account")),
        }
    }

    async fn put_container_row(&self, record: &ContainerRecord) -> Result<()> {
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
        let ask = Ask::new("PUT", format!("{}/{}", self.path(), quote(name)))
            .header("x-put-timestamp", put)?
            .header("x-delete-timestamp", delete)?
            .header("x-object-count", objects)?
            .header("x-bytes-used", bytes)?
            .header("x-backend-storage-policy-index", policy)?
            .header("x-account-override-deleted", "yes")?;
        self.accepted(ask).await
    }

    /// A deleted account is not deleted again: to a server it is gone.
    pub(super) async fn delete_account(&self, timestamp: Timestamp) -> Result<()> {
        let ask = Ask::new("DELETE", self.path()).header("x-timestamp", timestamp.internal())?;
        let answer = self.send(ask).await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => self.gone_or(answer, "a second deletion").await,
        }
    }

    fn container_row(&self, row: &serde_json::Value) -> Result<ContainerRow> {
        let policy = row.get("storage_policy").map(listing::text).transpose()?;
        let policy = policy.map_or(facts::NO_NUMBER, |name| self.servers.policy(&name));
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
impl AccountBroker for Store {
    async fn initialize(&self, new: &NewAccount) -> Result<Initialized> {
        self.may_write()?;
        if new.account != ACCOUNT {
            return Err(unsupported(&format!("an account named {:?}", new.account)));
        }
        let ask = Ask::new("PUT", self.path()).header("x-timestamp", &new.put_timestamp)?;
        let answer = self.send(ask).await?;
        match answer.status {
            StatusCode::CREATED => Ok(Initialized::Created),
            StatusCode::ACCEPTED | StatusCode::CONFLICT | StatusCode::FORBIDDEN => {
                Ok(Initialized::AlreadyExisted)
            }
            _ => Err(refused(&answer).on(&self.location)),
        }
    }

    async fn info(&self) -> Result<Option<AccountInfo>> {
        facts::account(&self.head().await?, &self.sent(), &self.servers)
    }

    async fn merge_items(
        &self,
        records: Vec<ContainerRecord>,
        options: MergeOptions,
    ) -> Result<()> {
        self.may_write()?;
        if options.source.is_some() {
            return Err(unsupported("rows of a source"));
        }
        for record in &records {
            self.put_container_row(record).await?;
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
        for entry in listing::whole(self, &query, None).await? {
            if let Shown::Row(row) = entry {
                rows.push(self.container_row(&row)?);
            }
        }
        Ok(rows)
    }

    async fn list_containers(
        &self,
        query: &ListingQuery,
        mut visitor: Box<dyn ContainerVisitor>,
    ) -> Result<Box<dyn ContainerVisitor>> {
        for entry in listing::whole(self, query, None).await? {
            let flow = match entry {
                Shown::Subdir(name) => visitor.visit(Entry::Subdir(&name)),
                Shown::Row(row) => {
                    let row = self.container_row(&row)?;
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
