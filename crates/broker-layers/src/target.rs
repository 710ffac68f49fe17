//! Where a call goes: the one place that forwards every method downwards.

use crate::call::{Answer, Call, Visitor};
use broker_api::{
    AccountBroker, Broker, BrokerOptions, ContainerBroker, Engine, Error, ErrorKind, Location,
    Result, Snapshot, StoreKind,
};
use std::sync::Arc;

/// An engine, or a broker that one of its stores was opened with.
#[derive(Debug, Clone)]
pub enum Target {
    /// The engine itself.
    Engine(Arc<dyn Engine>),
    /// An account.
    Account(Arc<dyn AccountBroker>, BrokerOptions),
    /// A container.
    Container(Arc<dyn ContainerBroker>, BrokerOptions),
}

impl Target {
    /// Opens a store on an engine.
    pub fn open(engine: &Arc<dyn Engine>, location: &Location, options: &BrokerOptions) -> Self {
        match location.kind() {
            StoreKind::Account => Target::Account(engine.account(location, options), *options),
            StoreKind::Container => {
                Target::Container(engine.container(location, options), *options)
            }
        }
    }

    /// The same place on another engine.
    #[must_use]
    pub fn on(&self, engine: &Arc<dyn Engine>) -> Self {
        match self.broker() {
            None => Target::Engine(Arc::clone(engine)),
            Some((broker, options)) => Target::open(engine, broker.location(), options),
        }
    }

    /// The store; `None` for the engine itself.
    pub fn location(&self) -> Option<&Location> {
        self.broker().map(|(broker, _)| broker.location())
    }

    /// How the broker was opened; `None` for the engine itself.
    pub fn options(&self) -> Option<&BrokerOptions> {
        self.broker().map(|(_, options)| options)
    }

    /// Whole-store copies, where the engine has them.
    pub(crate) fn snapshot(&self) -> Option<&dyn Snapshot> {
        self.broker().and_then(|(broker, _)| broker.snapshot())
    }

    /// The handle as both kinds of stores have it.
    fn broker(&self) -> Option<(&dyn Broker, &BrokerOptions)> {
        match self {
            Target::Engine(_) => None,
            Target::Account(broker, options) => Some((&**broker, options)),
            Target::Container(broker, options) => Some((&**broker, options)),
        }
    }

    /// Plays a call here. A listing is shown to `visitor`, which the answer gives back.
    ///
    /// # Errors
    /// Those of the operation; [`ErrorKind::Internal`] for a call that does not belong here, such as
    /// merging objects into an account.
    pub async fn play(&self, call: Call, visitor: Visitor) -> Result<Answer> {
        match self {
            Target::Engine(engine) => play_on_engine(&**engine, call).await,
            Target::Account(account, _) => play_on_account(&**account, call, visitor).await,
            Target::Container(container, _) => play_on_container(&**container, call, visitor).await,
        }
    }

    /// Plays a call that is no listing here.
    ///
    /// # Errors
    /// As [`play`](Self::play).
    pub async fn ask(&self, call: Call) -> Result<Answer> {
        self.play(call, Visitor::None).await
    }
}

async fn play_on_engine(engine: &dyn Engine, call: Call) -> Result<Answer> {
    Ok(match call {
        Call::Stores {
            device,
            kind,
            after,
            limit,
        } => engine
            .stores(&device, kind, after.as_ref(), limit)
            .await?
            .into(),
        Call::Quarantine(location, reason) => engine.quarantine(&location, &reason).await?.into(),
        Call::Remove(location) => engine.remove(&location).await?.into(),
        Call::SetSynced(location, synced) => engine.set_synced(&location, synced).await?.into(),
        Call::Synced {
            device,
            after,
            limit,
        } => engine.synced(&device, after.as_ref(), limit).await?.into(),
        Call::DeviceHealth(device) => engine.device_health(&device).await?.into(),
        call => return Err(misplaced(&call)),
    })
}

async fn play_on_account(
    account: &dyn AccountBroker,
    call: Call,
    visitor: Visitor,
) -> Result<Answer> {
    Ok(match (call, visitor) {
        (Call::InitializeAccount(new), _) => account.initialize(&new).await?.into(),
        (Call::AccountInfo, _) => account.info().await?.into(),
        (Call::MergeContainers(records, options), _) => {
            account.merge_items(records, options).await?.into()
        }
        (Call::ContainersSince(start, limit), _) => account.items_since(start, limit).await?.into(),
        (Call::ListContainers(query), Visitor::Containers(visitor)) => {
            account.list_containers(&query, visitor).await?.into()
        }
        (call, _) => play_on_broker(account, call).await?,
    })
}

async fn play_on_container(
    container: &dyn ContainerBroker,
    call: Call,
    visitor: Visitor,
) -> Result<Answer> {
    Ok(match (call, visitor) {
        (Call::InitializeContainer(new), _) => container.initialize(&new).await?.into(),
        (Call::ContainerInfo, _) => container.info().await?.into(),
        (Call::MergeObjects(records, options), _) => {
            container.merge_items(records, options).await?.into()
        }
        (Call::ObjectsSince(start, limit, filter), _) => {
            container.items_since(start, limit, filter).await?.into()
        }
        (Call::ListObjects(query), Visitor::Objects(visitor)) => {
            container.list_objects(&query, visitor).await?.into()
        }
        (Call::RemoveObjects(remove), _) => container.remove_objects(&remove).await?.into(),
        (Call::SetStoragePolicyIndex(index, at), _) => {
            container.set_storage_policy_index(index, at).await?.into()
        }
        (Call::SetMarks(marks), _) => container.set_marks(&marks).await?.into(),
        (call, _) => play_on_broker(container, call).await?,
    })
}

async fn play_on_broker(broker: &dyn Broker, call: Call) -> Result<Answer> {
    let replicate = broker.replicate();
    Ok(match call {
        Call::Exists => broker.exists().await?.into(),
        Call::Delete(at) => broker.delete(at).await?.into(),
        Call::UpdatePutTimestamp(at) => broker.update_put_timestamp(at).await?.into(),
        Call::UpdateStatusChangedAt(at) => broker.update_status_changed_at(at).await?.into(),
        Call::MergeTimestamps(merge) => broker.merge_timestamps(&merge).await?.into(),
        Call::UpdateMetadata(updates, limits) => broker
            .update_metadata(&updates, limits.as_ref())
            .await?
            .into(),
        Call::Upgrade => broker.upgrade().await?.into(),
        Call::SyncPoints(direction) => replicate.sync_points(direction).await?.into(),
        Call::MergeSyncPoints(direction, points) => replicate
            .merge_sync_points(direction, &points)
            .await?
            .into(),
        Call::NewId { remote_id, new_id } => replicate.new_id(&remote_id, &new_id).await?.into(),
        Call::Reclaim(age) => replicate.reclaim(age).await?.into(),
        Call::SnapshotBegin(image) => snapshot(broker)?.begin(&image).await?.into(),
        Call::SnapshotAdd(rows) => snapshot(broker)?.add(rows).await?.into(),
        Call::SnapshotFinish => snapshot(broker)?.finish().await?.into(),
        Call::SnapshotAbandon => snapshot(broker)?.abandon().await?.into(),
        call => return Err(misplaced(&call)),
    })
}

fn snapshot(broker: &dyn Broker) -> Result<&dyn Snapshot> {
    let absent = || {
        Error::new(
            ErrorKind::Unsupported,
            "the engine has no whole-store copies",
        )
    };
    broker.snapshot().ok_or_else(absent)
}

/// A layer that sends a call where it does not belong has a defect.
fn misplaced(call: &Call) -> Error {
    let message = format!(
        "a layer played {} where it does not belong",
        call.operation()
    );
    Error::new(ErrorKind::Internal, message)
}
