//! What several test files need.
#![allow(dead_code, clippy::unwrap_used)]

use broker_api::{
    AccountBroker, BrokerOptions, ContainerBroker, Durability, Engine, HashPath, Initialized,
    Location, NewAccount, NewContainer, ObjectRecord, PolicyIndex, RollingHash, StoreKind,
    Timestamp, TimestampText,
};
use broker_runtime::RuntimeOptions;
use engine_sqlite::SqliteOptions;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const ACCOUNT: &str = "AUTH_t";

/// An engine on a directory of its own.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) engine: Arc<dyn Engine>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Durability::Process)
    }

    pub(crate) fn with(durability: Durability) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = reopen(dir.path(), durability);
        Self { dir, engine }
    }

    pub(crate) fn devices(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn container(&self, name: &str) -> Arc<dyn ContainerBroker> {
        let options = BrokerOptions::default();
        self.engine.container(&container_at(name), &options)
    }

    pub(crate) fn account(&self) -> Arc<dyn AccountBroker> {
        let options = BrokerOptions::default();
        self.engine.account(&account_at(), &options)
    }

    pub(crate) async fn new_container(&self, name: &str) -> Arc<dyn ContainerBroker> {
        let broker = self.container(name);
        let made = broker.initialize(&new_container(name)).await.unwrap();
        assert_eq!(made, Initialized::Created);
        broker
    }

    pub(crate) async fn new_account(&self) -> Arc<dyn AccountBroker> {
        let broker = self.account();
        let made = broker.initialize(&new_account()).await.unwrap();
        assert_eq!(made, Initialized::Created);
        broker
    }

    /// The directory of a store.
    pub(crate) fn dir_of(&self, location: &Location) -> PathBuf {
        let kind = match location.kind() {
            StoreKind::Account => "accounts",
            StoreKind::Container => "containers",
        };
        self.devices()
            .join(location.device())
            .join(kind)
            .join(location.partition())
            .join(location.hash().suffix())
            .join(location.hash().to_string())
    }

    pub(crate) fn db_of(&self, location: &Location) -> PathBuf {
        self.dir_of(location)
            .join(format!("{}.db", location.hash()))
    }

    pub(crate) fn pending_of(&self, location: &Location) -> PathBuf {
        self.dir_of(location)
            .join(format!("{}.db.pending", location.hash()))
    }
}

pub(crate) fn reopen(devices: &Path, durability: Durability) -> Arc<dyn Engine> {
    let options = SqliteOptions::new(devices)
        .with_mount_check(false)
        .with_durability(durability);
    engine_sqlite::open(options, &RuntimeOptions::default()).unwrap()
}

/// A connection as another process has one, with the function that Swift's triggers call.
pub(crate) fn connect(db: &Path) -> Connection {
    let conn = Connection::open(db).unwrap();
    let chexor = |args: &mut Context<'_>| {
        let bytes = |index| args.get_raw(index).as_bytes();
        let [old, name, suffix] =
            [bytes(0)?, bytes(1)?, bytes(2)?].map(|bytes| std::str::from_utf8(bytes).unwrap());
        let old = RollingHash::parse(old).unwrap();
        Ok(old.toggled(name, suffix).to_string())
    };
    let flags = FunctionFlags::SQLITE_UTF8;
    conn.create_scalar_function("chexor", 3, flags, chexor)
        .unwrap();
    conn
}

pub(crate) fn hash_path() -> HashPath {
    HashPath::new("", "endcap")
}

pub(crate) fn container_at(name: &str) -> Location {
    let hash = hash_path().container(ACCOUNT, name);
    Location::new(StoreKind::Container, "sda1", "7", hash).unwrap()
}

pub(crate) fn account_at() -> Location {
    let hash = hash_path().account(ACCOUNT);
    Location::new(StoreKind::Account, "sda1", "7", hash).unwrap()
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn text(seconds: u64) -> TimestampText {
    at(seconds).into()
}

pub(crate) fn new_container(name: &str) -> NewContainer {
    NewContainer {
        account: ACCOUNT.into(),
        container: name.into(),
        put_timestamp: text(1),
        policy_index: PolicyIndex(0),
        created_at: at(1),
        id: "id-sda1".into(),
    }
}

pub(crate) fn new_account() -> NewAccount {
    NewAccount {
        account: ACCOUNT.into(),
        put_timestamp: text(1),
        created_at: at(1),
        id: "id-sda1".into(),
    }
}

pub(crate) fn object(name: &str, seconds: u64) -> ObjectRecord {
    ObjectRecord::put(name, at(seconds), 10, "text/plain", "etag")
}
