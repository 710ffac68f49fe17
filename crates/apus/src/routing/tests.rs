//! Which engine a device gets, and what a refused device answers.

use super::*;
use crate::ownership::MARKER;
use crate::registry::EngineSetup;
use broker_api::{HashPath, NewContainer, PolicyIndex, Timestamp};
use std::fs;

/// A folder of devices and the routing over it: sled everywhere but on `sdb1`, which is sqlite's.
struct Node {
    dir: tempfile::TempDir,
    routing: Routing,
}

fn node(mount_check: bool) -> Node {
    let dir = tempfile::tempdir().unwrap();
    for device in ["sda1", "sdb1"] {
        fs::create_dir(dir.path().join(device)).unwrap();
    }
    let registry = Registry::built_in();
    let mut setup = EngineSetup::new(dir.path());
    setup.mount_check = mount_check;
    let opened = |name| Opened {
        entry: *registry.find(name).unwrap(),
        engine: registry.open(name, &setup).unwrap(),
    };
    let routing = Routing::new(Routes {
        devices: dir.path().to_owned(),
        mount_check,
        default: opened("sled"),
        per_device: BTreeMap::from([("sdb1".to_owned(), opened("sqlite"))]),
        registry: registry.clone(),
    });
    Node { dir, routing }
}

impl Node {
    fn names(&self, device: &str) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join(device)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    fn owned_by(&self, device: &str, engine: &str) {
        let line = format!("engine {engine}, marker version 1\n");
        fs::write(self.dir.path().join(device).join(MARKER), line).unwrap();
    }

    async fn create(&self, device: &str) -> Result<()> {
        let hash = HashPath::new("", "end").container("a", "c");
        let location = Location::new(StoreKind::Container, device, "7", hash).unwrap();
        let broker = self.routing.container(&location, &BrokerOptions::default());
        let new = NewContainer {
            account: "a".into(),
            container: "c".into(),
            put_timestamp: Timestamp::from_seconds(1).into(),
            policy_index: PolicyIndex(0),
            created_at: Timestamp::from_seconds(1),
            id: "id".into(),
        };
        broker.initialize(&new).await.map(drop)
    }
}

/// A failure would mean that a device's rows go to the engine of another one.
#[tokio::test]
async fn every_device_is_served_by_its_own_engine() {
    let node = node(false);
    node.routing.check_present().unwrap();
    node.create("sda1").await.unwrap();
    node.create("sdb1").await.unwrap();
    let mut on_sled = node.names("sda1");
    on_sled.sort();
    assert_eq!(on_sled, [MARKER, "apus-sled"]);
    assert!(!node.names("sdb1").contains(&MARKER.to_owned()));
    let kind = StoreKind::Container;
    for device in ["sda1", "sdb1"] {
        let stores = node.routing.stores(device, kind, None, 9).await.unwrap();
        assert_eq!(stores.len(), 1);
    }
}

/// A failure would mean that a device of another engine is written to, or takes the others with it.
#[tokio::test]
async fn a_device_that_appears_with_another_owner_is_refused_alone() {
    let node = node(false);
    node.routing.check_present().unwrap();
    node.routing.settle_present();
    fs::create_dir(node.dir.path().join("sdc1")).unwrap();
    node.owned_by("sdc1", "sqlite");
    let refused = node.routing.device_health("sdc1").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Io);
    assert!(
        refused.message().contains("belongs to the engine sqlite"),
        "{refused}"
    );
    let refused = node.create("sdc1").await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.outcome()),
        (ErrorKind::Io, Outcome::NotApplied)
    );
    assert_eq!(node.names("sdc1"), [MARKER]);
    node.create("sda1").await.unwrap();
    node.owned_by("sdc1", "sled");
    node.create("sdc1").await.unwrap();
}

/// A failure would mean that a server starts on a device whose rows it does not see.
#[test]
fn starting_on_a_device_of_another_engine_is_refused() {
    let node = node(false);
    node.owned_by("sdb1", "sled");
    let error = node.routing.check_present().unwrap_err();
    assert!(error.to_string().contains("engine.sdb1 = sled"), "{error}");
    assert!(node.names("sda1").is_empty());
}

/// A failure would mean that a marker is left below a mount point, where nobody sees it later.
#[tokio::test]
async fn nothing_is_written_below_the_mount_point_of_an_unmounted_device() {
    let node = node(true);
    node.routing.check_present().unwrap();
    node.routing.settle_present();
    let health = node.routing.device_health("sda1").await.unwrap();
    assert_eq!(health, DeviceHealth::Absent);
    assert!(node.create("sda1").await.is_err());
    assert!(node.names("sda1").is_empty());
    fs::write(node.dir.path().join("sda1/.ismount"), "").unwrap();
    node.create("sda1").await.unwrap();
    assert!(node.names("sda1").contains(&MARKER.to_owned()));
}

/// A failure would mean that sqlite goes on with a device that another engine claimed while it was free.
#[tokio::test]
async fn a_free_device_is_not_sqlites_before_its_first_file() {
    let node = node(false);
    node.routing.settle_present();
    node.owned_by("sdb1", "sled");
    assert!(node.create("sdb1").await.is_err());
    assert_eq!(node.names("sdb1"), [MARKER]);
}
