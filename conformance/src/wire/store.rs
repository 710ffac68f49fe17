//! What accounts and containers have in common: their place on the server, and their metadata.

use super::Servers;
use super::client::{Answer, Ask, Client, quote};
use super::facts;
use super::refused::{refused, unsupported};
use super::sent::{Ledger, Sent};
use async_trait::async_trait;
use broker_api::{
    Direction, Location, MetadataEntry, MetadataLimits, ReclaimAge, Reclaimed, Replicate, Result,
    RowId, StoreKind, SyncPoint,
};
use std::sync::Arc;

/// The container's name, of which each location has one in an account of its own.
const CONTAINER_ON_SERVER: &str = "c";

/// One store of a case, and the servers.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub(super) servers: Arc<Servers>,
    pub(super) location: Location,
    pub(super) token: Arc<str>,
    pub(super) ledger: Arc<Ledger>,
    /// The broker may only read: nothing of HTTP says so.
    pub(super) only_reads: bool,
}

impl Store {
    pub(super) fn client(&self) -> &Client {
        match self.location.kind() {
            StoreKind::Account => &self.servers.account,
            StoreKind::Container => &self.servers.container,
        }
    }

    /// The path of the store: names that no other case and no other run uses.
    pub(super) fn path(&self) -> String {
        let (device, partition) = (self.location.device(), self.location.partition());
        let place = format!("/{}/{}", quote(device), quote(partition));
        let account = format!("{}-{}", self.token, self.location.hash());
        match self.location.kind() {
            StoreKind::Account => format!("{place}/{account}"),
            StoreKind::Container => format!("{place}/{account}/{CONTAINER_ON_SERVER}"),
        }
    }

    pub(super) fn sent(&self) -> Sent {
        self.ledger.of(&self.location)
    }

    /// Refuses what a broker that only reads refuses by itself.
    pub(super) fn may_write(&self) -> Result<()> {
        match self.only_reads {
            true => Err(unsupported("a broker that only reads")),
            false => Ok(()),
        }
    }

    pub(super) async fn send(&self, ask: Ask) -> Result<Answer> {
        let answered = self.client().send(ask).await;
        answered.map_err(|error| error.on(&self.location))
    }

    pub(super) async fn head(&self) -> Result<Answer> {
        self.send(Ask::new("HEAD", self.path())).await
    }

    /// Whether the server has the store, deleted or not: each server marks a 404 in its own way.
    pub(super) fn is_there(&self, head: &Answer) -> Result<bool> {
        Ok(match self.location.kind() {
            StoreKind::Account => facts::account(head, &self.sent(), &self.servers)?.is_some(),
            StoreKind::Container => facts::container(head, &self.sent())?.is_some(),
        })
    }

    /// The error of an answer for a store that may be there, and deleted.
    pub(super) async fn gone_or(&self, answer: Answer, what: &str) -> Result<()> {
        if answer.status != http::StatusCode::NOT_FOUND {
            return Err(refused(&answer).on(&self.location));
        }
        match self.is_there(&self.head().await?)? {
            true => Err(unsupported(&format!("{what} of a deleted store"))),
            false => Err(refused(&answer).on(&self.location)),
        }
    }

    /// One POST for each time among the updates: a request has one.
    pub(super) async fn post_metadata(
        &self,
        updates: &[MetadataEntry],
        limits: Option<&MetadataLimits>,
    ) -> Result<()> {
        self.may_write()?;
        if limits.is_some_and(|limits| *limits != MetadataLimits::default()) {
            return Err(unsupported("limits of metadata"));
        }
        let mut rest: Vec<&MetadataEntry> = updates.iter().collect();
        while let Some(first) = rest.first() {
            let timestamp = first.timestamp.clone();
            let (now, later) = rest
                .into_iter()
                .partition(|entry| entry.timestamp == timestamp);
            rest = later;
            self.post_entries(&timestamp, now).await?;
        }
        self.ledger.metadata_was_sent(&self.location, updates);
        Ok(())
    }

    async fn post_entries(&self, timestamp: &str, entries: Vec<&MetadataEntry>) -> Result<()> {
        let mut ask = Ask::new("POST", self.path())
            .header("x-timestamp", timestamp)?
            .header("x-backend-no-timestamp-update", "true")?;
        for entry in entries {
            let is_shown =
                facts::is_metadata(&entry.key) && facts::canonical(&entry.key) == entry.key;
            let Some(value) = entry.text().filter(|_| is_shown) else {
                return Err(unsupported(&format!(
                    "metadata {:?}: {}",
                    entry.key, entry.value
                )));
            };
            ask = ask.header(&entry.key, value)?;
        }
        let answer = self.send(ask).await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => self.gone_or(answer, "metadata").await,
        }
    }
}

/// Peers' business: Swift's own verb for it is not part of what the two servers must both speak.
#[async_trait]
impl Replicate for Store {
    async fn sync_points(&self, _: Direction) -> Result<Vec<SyncPoint>> {
        Err(unsupported("sync points"))
    }

    async fn merge_sync_points(&self, _: Direction, _: &[SyncPoint]) -> Result<()> {
        Err(unsupported("sync points"))
    }

    async fn new_id(&self, _: &str, _: &str) -> Result<()> {
        Err(unsupported("a new id"))
    }

    async fn reclaim(&self, _: ReclaimAge) -> Result<Reclaimed> {
        Err(unsupported("reclaiming"))
    }
}

/// Whether rows since a number are all rows: then listings show them.
pub(super) fn is_everything(start: RowId, limit: usize) -> bool {
    start <= RowId(0) && limit >= 1_000_000
}
