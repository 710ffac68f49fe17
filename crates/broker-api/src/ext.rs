//! Conveniences over the contract; nobody implements these.

use crate::account::{AccountBroker, ContainerVisitor, MergeOptions};
use crate::broker::Broker;
use crate::container::{ContainerBroker, ListObjects, ObjectVisitor};
use crate::error::{Error, ErrorKind, Result};
use crate::info::{AccountInfo, ContainerInfo};
use crate::listing::ListingQuery;
use crate::record::{
    ContainerRecord, ContainerRowRef, Entry, ObjectRecord, ObjectRow, ObjectRowRef,
};
use crate::record::{PolicyIndex, RowId};
use crate::replicate::Direction;
use crate::timestamp::{Timestamp, TimestampText};
use async_trait::async_trait;
use std::any::Any;
use std::ops::ControlFlow;

/// An entry of an object listing with text of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectEntry {
    /// A row.
    Row(ObjectRow),
    /// Everything that starts with this text.
    Subdir(String),
}

impl ObjectEntry {
    /// The name of the row or subdir.
    pub fn name(&self) -> &str {
        match self {
            ObjectEntry::Row(row) => &row.name,
            ObjectEntry::Subdir(name) => name,
        }
    }
}

/// An entry of a container listing with text of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerEntry {
    /// A row.
    Row {
        /// The container's name.
        name: String,
        /// Put timestamp, stored text.
        put_timestamp: String,
        /// Objects in the container.
        object_count: i64,
        /// Bytes in the container.
        bytes_used: i64,
        /// The container's policy.
        policy_index: PolicyIndex,
    },
    /// Everything that starts with this text.
    Subdir(String),
}

impl ContainerEntry {
    /// The name of the row or subdir.
    pub fn name(&self) -> &str {
        match self {
            ContainerEntry::Row { name, .. } | ContainerEntry::Subdir(name) => name,
        }
    }
}

struct Collect<T>(Vec<T>);

impl ObjectVisitor for Collect<ObjectEntry> {
    fn visit(&mut self, entry: Entry<'_, ObjectRowRef<'_>>) -> ControlFlow<()> {
        self.0.push(match entry {
            Entry::Row(row) => ObjectEntry::Row(row.to_owned()),
            Entry::Subdir(name) => ObjectEntry::Subdir(name.to_owned()),
        });
        ControlFlow::Continue(())
    }
}

impl ContainerVisitor for Collect<ContainerEntry> {
    fn visit(&mut self, entry: Entry<'_, ContainerRowRef<'_>>) -> ControlFlow<()> {
        self.0.push(match entry {
            Entry::Row(row) => ContainerEntry::Row {
                name: row.name.to_owned(),
                put_timestamp: row.put_timestamp.to_owned(),
                object_count: row.object_count,
                bytes_used: row.bytes_used,
                policy_index: row.policy_index,
            },
            Entry::Subdir(name) => ContainerEntry::Subdir(name.to_owned()),
        });
        ControlFlow::Continue(())
    }
}

fn own<V: Any>(visitor: Box<dyn Any>) -> Result<V> {
    let wrong = |_| Error::new(ErrorKind::Internal, "the engine returned another visitor");
    visitor
        .downcast::<V>()
        .map(|visitor| *visitor)
        .map_err(wrong)
}

/// Conveniences for every broker.
#[async_trait]
pub trait BrokerExt: Broker {
    /// The sync point of one remote; [`RowId::NONE`] when unknown.
    ///
    /// # Swift
    /// `get_sync`
    async fn sync_point(&self, remote_id: &str, direction: Direction) -> Result<RowId> {
        let points = self.replicate().sync_points(direction).await?;
        let point = points.iter().find(|point| point.remote_id == remote_id);
        Ok(point.map_or(RowId::NONE, |point| point.sync_point))
    }
}

impl<B: Broker + ?Sized> BrokerExt for B {}

/// Conveniences for accounts.
#[async_trait]
pub trait AccountBrokerExt: AccountBroker {
    /// The facts of a store that must exist.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it does not.
    async fn get_info(&self) -> Result<AccountInfo> {
        self.info()
            .await?
            .ok_or_else(|| Error::not_found().on(self.location()))
    }

    /// Whether clients are told that the account is gone; true for an absent one.
    async fn is_deleted(&self) -> Result<bool> {
        Ok(self.info().await?.is_none_or(|info| info.is_deleted()))
    }

    /// Records what a container server reports.
    ///
    /// # Swift
    /// `put_container`
    async fn put_container(&self, record: ContainerRecord) -> Result<()> {
        self.merge_items(vec![record], MergeOptions::put()).await
    }

    /// A listing as owned entries.
    async fn container_page(&self, query: &ListingQuery) -> Result<Vec<ContainerEntry>> {
        let visitor = Box::new(Collect::<ContainerEntry>(Vec::new()));
        let visitor = self.list_containers(query, visitor).await?;
        Ok(own::<Collect<ContainerEntry>>(visitor)?.0)
    }

    /// A listing shown to a visitor of a known type.
    async fn visit_containers<V>(&self, query: &ListingQuery, visitor: V) -> Result<V>
    where
        V: ContainerVisitor,
        Self: Sync,
    {
        own(self.list_containers(query, Box::new(visitor)).await?)
    }
}

impl<B: AccountBroker + ?Sized> AccountBrokerExt for B {}

/// Conveniences for containers.
#[async_trait]
pub trait ContainerBrokerExt: ContainerBroker {
    /// The facts of a store that must exist.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it does not.
    async fn get_info(&self) -> Result<ContainerInfo> {
        self.info()
            .await?
            .ok_or_else(|| Error::not_found().on(self.location()))
    }

    /// Whether clients are told that the container is gone; true for an absent one.
    async fn is_deleted(&self) -> Result<bool> {
        Ok(self.info().await?.is_none_or(|info| info.is_deleted()))
    }

    /// Records one object.
    ///
    /// # Swift
    /// `put_object`
    async fn put_object(&self, record: ObjectRecord) -> Result<()> {
        self.merge_items(vec![record], MergeOptions::put()).await
    }

    /// Records the deletion of one object in policy 0.
    ///
    /// # Swift
    /// `delete_object`
    async fn delete_object(&self, name: &str, at: Timestamp) -> Result<()> {
        self.put_object(ObjectRecord::delete(name, at)).await
    }

    /// A listing as owned entries.
    async fn object_page(&self, query: &ListObjects) -> Result<Vec<ObjectEntry>> {
        let visitor = self
            .list_objects(query, Box::new(Collect::<ObjectEntry>(Vec::new())))
            .await?;
        Ok(own::<Collect<ObjectEntry>>(visitor)?.0)
    }

    /// A listing shown to a visitor of a known type.
    async fn visit_objects<V>(&self, query: &ListObjects, visitor: V) -> Result<V>
    where
        V: ObjectVisitor,
        Self: Sync,
    {
        own(self.list_objects(query, Box::new(visitor)).await?)
    }
}

impl<B: ContainerBroker + ?Sized> ContainerBrokerExt for B {}

/// The timestamp that a new store gets when its creator names none.
pub fn no_put_timestamp() -> TimestampText {
    Timestamp::ZERO.into()
}
