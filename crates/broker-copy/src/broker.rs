//! A broker of either kind, for work that is the same for both.

use broker_api::{
    AccountBroker, Broker, BrokerOptions, ContainerBroker, Direction, Engine, Facts, Location,
    Result, RowFilter, RowId, Rows, StoreImage, StoreKind,
};
use std::sync::Arc;

/// The broker of an account or of a container.
#[derive(Debug, Clone)]
pub enum StoreBroker {
    /// Of an account.
    Account(Arc<dyn AccountBroker>),
    /// Of a container.
    Container(Arc<dyn ContainerBroker>),
}

impl StoreBroker {
    /// The broker for a location, which need not hold a store.
    pub fn open(engine: &dyn Engine, location: &Location) -> Self {
        let options = BrokerOptions::default();
        match location.kind() {
            StoreKind::Account => StoreBroker::Account(engine.account(location, &options)),
            StoreKind::Container => StoreBroker::Container(engine.container(location, &options)),
        }
    }

    /// What both kinds have.
    pub fn broker(&self) -> &dyn Broker {
        match self {
            StoreBroker::Account(broker) => &**broker,
            StoreBroker::Container(broker) => &**broker,
        }
    }

    /// The facts; `None` when there is no store.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn facts(&self) -> Result<Option<Facts>> {
        Ok(match self {
            StoreBroker::Account(broker) => broker.info().await?.map(Facts::Account),
            StoreBroker::Container(broker) => broker.info().await?.map(Facts::Container),
        })
    }

    /// Facts and sync points; `None` when there is no store.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn image(&self) -> Result<Option<StoreImage>> {
        let Some(facts) = self.facts().await? else {
            return Ok(None);
        };
        let replicate = self.broker().replicate();
        Ok(Some(StoreImage {
            facts,
            incoming: replicate.sync_points(Direction::Incoming).await?,
            outgoing: replicate.sync_points(Direction::Outgoing).await?,
        }))
    }

    /// Up to `limit` rows with numbers above `start`, ascending.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn rows_since(&self, start: RowId, limit: usize) -> Result<Rows> {
        Ok(match self {
            StoreBroker::Account(broker) => {
                Rows::Containers(broker.items_since(start, limit).await?)
            }
            StoreBroker::Container(broker) => {
                Rows::Objects(broker.items_since(start, limit, RowFilter::All).await?)
            }
        })
    }
}
