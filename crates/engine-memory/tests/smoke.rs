//! The reference engine through the asynchronous contract.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use broker_api::{
    AccountBrokerExt, BrokerOptions, ContainerBrokerExt, HashPath, Initialized, ListObjects,
    ListingQuery, Location, NewContainer, ObjectRecord, PolicyIndex, StoreKind, Timestamp,
};

fn location() -> Location {
    let hash = HashPath::new("", "suffix").container("a", "c");
    Location::new(StoreKind::Container, "sda1", "1", hash).unwrap()
}

/// A failure would mean that an acknowledged object is missing from listings and counts.
#[tokio::test]
async fn written_objects_are_listed_and_counted() {
    let engine = engine_memory::MemoryEngine::open().unwrap();
    let broker = engine.container(&location(), &BrokerOptions::default());
    let new = NewContainer {
        account: "a".into(),
        container: "c".into(),
        put_timestamp: Timestamp::from_seconds(1).into(),
        policy_index: PolicyIndex(0),
        created_at: Timestamp::from_seconds(1),
        id: "id-sda1".into(),
    };
    assert_eq!(broker.initialize(&new).await.unwrap(), Initialized::Created);
    assert_eq!(
        broker.initialize(&new).await.unwrap(),
        Initialized::AlreadyExisted
    );
    for (name, size) in [("b/1", 1), ("b/2", 2), ("a", 4)] {
        let at = Timestamp::from_seconds(2);
        broker
            .put_object(ObjectRecord::put(name, at, size, "t/x", "e"))
            .await
            .unwrap();
    }
    broker
        .delete_object("b/1", Timestamp::from_seconds(3))
        .await
        .unwrap();
    let info = broker.get_info().await.unwrap();
    assert_eq!((info.object_count(), info.bytes_used()), (2, 6));
    let mut names = ListingQuery::new(10);
    names.delimiter = "/".into();
    let page = broker.object_page(&ListObjects::new(names)).await.unwrap();
    let names: Vec<_> = page.iter().map(|entry| entry.name()).collect();
    assert_eq!(names, ["a", "b/"]);
}

/// A failure would mean that a missing account is an error where Swift answers 404.
#[tokio::test]
async fn an_absent_account_is_deleted_and_has_no_info() {
    let engine = engine_memory::MemoryEngine::open().unwrap();
    let hash = HashPath::new("", "suffix").account("a");
    let location = Location::new(StoreKind::Account, "sda1", "1", hash).unwrap();
    let broker = engine.account(&location, &BrokerOptions::default());
    assert!(broker.is_deleted().await.unwrap());
    assert!(broker.info().await.unwrap().is_none());
    assert!(!broker.exists().await.unwrap());
}
