//! What a case works on: an engine of its own, and names that no other case uses.

use crate::check::{Check, Failure};
use crate::door::Door;
use crate::rng::Rng;
use crate::subject::{Scratch, Subject};
use broker_api::location::NameHash;
use broker_api::{
    AccountBroker, BrokerOptions, ContainerBroker, Engine, Initialized, Location, NewAccount,
    NewContainer, PolicyIndex, StoreKind, Timestamp, TimestampText,
};
use std::process::Command;
use std::sync::Arc;

/// The account name of every store that [`Fixture`] makes.
pub(crate) const ACCOUNT: &str = "AUTH_test";

/// The container name of every store that [`Fixture`] makes.
pub(crate) const CONTAINER: &str = "c";

/// The id that stores start with, but for the device.
pub(crate) const STORE_ID: &str = "0d1f1f4e-6a5c-4f6c-9d8a-3f2b1c0a9e87";

/// Where a case comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The engine's name in the report.
    pub(crate) engine: String,
    /// Where random numbers begin.
    pub(crate) seed: u64,
    /// The name of the case.
    pub(crate) case: String,
}

/// An engine of a case's own.
pub(crate) struct Fixture {
    subject: Arc<dyn Subject>,
    scratch: Scratch,
    engine: Arc<dyn Engine>,
    origin: Origin,
}

/// What is left of a fixture while its engine is closed.
pub(crate) struct Closed {
    subject: Arc<dyn Subject>,
    scratch: Scratch,
    origin: Origin,
}

impl Closed {
    /// Opens the engine again.
    pub(crate) async fn open(self) -> Check<Fixture> {
        Fixture::open(self.subject, self.scratch, self.origin).await
    }

    /// The command that starts a child on the same place.
    pub(crate) fn child(&self) -> std::io::Result<Command> {
        self.subject.child(&self.scratch)
    }

    /// Tells the subject that the child was killed.
    pub(crate) async fn killed(&self) -> Check {
        let done = self.subject.killed(&self.scratch).await;
        done.map_err(|error| Failure::new(format!("after the kill: {error}")))
    }
}

impl Fixture {
    pub(crate) async fn open(
        subject: Arc<dyn Subject>,
        scratch: Scratch,
        origin: Origin,
    ) -> Check<Self> {
        let engine = open(&subject, &scratch).await?;
        Ok(Self {
            subject,
            scratch,
            engine,
            origin,
        })
    }

    /// Closes the engine and opens it again. Brokers of the old one must be dropped before.
    pub(crate) async fn reopen(self) -> Check<Self> {
        self.close().await.open().await
    }

    /// Closes the engine. Its brokers must be dropped before.
    pub(crate) async fn close(self) -> Closed {
        self.subject.close(self.engine).await;
        Closed {
            subject: self.subject,
            scratch: self.scratch,
            origin: self.origin,
        }
    }

    /// Which case this is for.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Where the engine is.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// The door through which the case reaches it.
    pub(crate) fn door(&self) -> Door {
        self.subject.door()
    }

    /// Random numbers, the same for every run of this case with this seed.
    pub(crate) fn rng(&self) -> Rng {
        Rng::new(self.origin.seed, &self.origin.case)
    }

    /// The name of a device; there are two.
    pub(crate) fn device(&self, number: usize) -> &str {
        &self.scratch.devices()[number]
    }

    /// A place for a store on the first device: different for every `number`.
    pub(crate) fn location(&self, kind: StoreKind, number: u64) -> Location {
        self.location_in(kind, 0, number % 1024, number)
    }

    /// A place for a store on one of the devices, in a partition.
    pub(crate) fn location_in(
        &self,
        kind: StoreKind,
        device: usize,
        partition: u64,
        number: u64,
    ) -> Location {
        let mut rng = Rng::new(self.origin.seed ^ number, &self.origin.case);
        let hash = u128::from(rng.next()) << 64 | u128::from(rng.next());
        let location = Location::new(
            kind,
            self.device(device),
            partition.to_string(),
            NameHash(hash.to_be_bytes()),
        );
        location.expect("device and partition are plain words")
    }

    /// A broker for an account, which need not exist.
    pub(crate) fn account_at(&self, location: &Location) -> Arc<dyn AccountBroker> {
        self.engine.account(location, &BrokerOptions::default())
    }

    /// A broker for a container, which need not exist.
    pub(crate) fn container_at(&self, location: &Location) -> Arc<dyn ContainerBroker> {
        self.engine.container(location, &BrokerOptions::default())
    }

    /// A broker for the first account of this case; the same store on every call.
    pub(crate) fn account_broker(&self) -> Arc<dyn AccountBroker> {
        self.account_at(&self.location(StoreKind::Account, 0))
    }

    /// A broker for the first container of this case; the same store on every call.
    pub(crate) fn container_broker(&self) -> Arc<dyn ContainerBroker> {
        self.container_at(&self.location(StoreKind::Container, 0))
    }

    /// A new account, put at second 1.
    pub(crate) async fn account(&self) -> Check<Arc<dyn AccountBroker>> {
        let broker = self.account_broker();
        create_account(&*broker, &at(1)).await?;
        Ok(broker)
    }

    /// A new container of policy 0, put at second 1.
    pub(crate) async fn container(&self) -> Check<Arc<dyn ContainerBroker>> {
        self.container_of_policy(0).await
    }

    /// A new container of a policy, put at second 1.
    pub(crate) async fn container_of_policy(&self, policy: i64) -> Check<Arc<dyn ContainerBroker>> {
        let broker = self.container_broker();
        create_container(&*broker, &at(1), policy).await?;
        Ok(broker)
    }
}

async fn open(subject: &Arc<dyn Subject>, scratch: &Scratch) -> Check<Arc<dyn Engine>> {
    let opened = subject.open(scratch).await;
    opened.map_err(|error| Failure::new(format!("the engine does not open: {error}")))
}

/// Makes an account that must be absent.
pub(crate) async fn create_account(broker: &dyn AccountBroker, put: &TimestampText) -> Check {
    match broker.initialize(&new_account(broker, put)).await? {
        Initialized::Created => Ok(()),
        Initialized::AlreadyExisted => Err(Failure::new("a fresh account existed already")),
    }
}

/// Makes a container that must be absent.
pub(crate) async fn create_container(
    broker: &dyn ContainerBroker,
    put: &TimestampText,
    policy: i64,
) -> Check {
    let new = new_container(broker, put, policy);
    match broker.initialize(&new).await? {
        Initialized::Created => Ok(()),
        Initialized::AlreadyExisted => Err(Failure::new("a fresh container existed already")),
    }
}

/// What accounts of the suite start with.
pub(crate) fn new_account(broker: &dyn AccountBroker, put: &TimestampText) -> NewAccount {
    NewAccount {
        account: ACCOUNT.to_owned(),
        put_timestamp: put.clone(),
        created_at: seconds(1),
        id: format!("{STORE_ID}-{}", broker.location().device()),
    }
}

/// What containers of the suite start with.
pub(crate) fn new_container(
    broker: &dyn ContainerBroker,
    put: &TimestampText,
    policy: i64,
) -> NewContainer {
    NewContainer {
        account: ACCOUNT.to_owned(),
        container: CONTAINER.to_owned(),
        put_timestamp: put.clone(),
        policy_index: PolicyIndex(policy),
        created_at: seconds(1),
        id: format!("{STORE_ID}-{}", broker.location().device()),
    }
}

/// A timestamp of whole seconds.
pub(crate) fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// A timestamp of whole seconds with an offset.
pub(crate) fn offset(seconds: u64, offset: u64) -> Timestamp {
    let at = self::seconds(seconds).with_added_offset(offset);
    at.expect("a small offset")
}

/// The text of a timestamp of whole seconds.
pub(crate) fn at(seconds: u64) -> TimestampText {
    self::seconds(seconds).into()
}

/// A timestamp from its text.
pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a valid timestamp")
}

/// A stored timestamp from its text, kept as it is.
pub(crate) fn text(text: &str) -> TimestampText {
    TimestampText::parse(text).expect("a valid timestamp")
}
