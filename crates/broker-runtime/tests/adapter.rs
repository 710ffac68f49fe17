//! What the adapter adds to an engine: queues, groups, reopening, and staying alive.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use broker_api::{
    BrokerOptions, ContainerBroker, ContainerBrokerExt, Engine, Entry, ErrorKind, HashPath,
    ListObjects, ListingQuery, Location, MergeOptions, NewContainer, ObjectRecord, ObjectRowRef,
    ObjectVisitor, PolicyIndex, RowFilter, RowId, StoreKind, Timestamp,
};
use broker_runtime::RuntimeOptions;
use engine_memory::MemoryDisk;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

fn location(container: &str) -> Location {
    let hash = HashPath::new("", "suffix").container("a", container);
    Location::new(StoreKind::Container, "sda1", "1", hash).unwrap()
}

fn engine(options: &RuntimeOptions) -> Arc<dyn Engine> {
    engine_memory::open(&MemoryDisk::new(), options).unwrap()
}

async fn container(engine: &Arc<dyn Engine>, name: &str) -> Arc<dyn ContainerBroker> {
    let broker = engine.container(&location(name), &BrokerOptions::default());
    let new = NewContainer {
        account: "a".into(),
        container: name.into(),
        put_timestamp: Timestamp::from_seconds(1).into(),
        policy_index: PolicyIndex(0),
        created_at: Timestamp::from_seconds(1),
        id: "id-sda1".into(),
    };
    broker.initialize(&new).await.unwrap();
    broker
}

fn object(name: impl Into<String>) -> ObjectRecord {
    ObjectRecord::put(name, Timestamp::from_seconds(2), 1, "text/plain", "etag")
}

fn everything() -> ListObjects {
    ListObjects::new(ListingQuery::new(10_000))
}

/// Holds a read open until it is told to go on.
struct Gate {
    entered: Sender<()>,
    leave: Receiver<()>,
}

impl ObjectVisitor for Gate {
    fn visit(&mut self, _: Entry<'_, ObjectRowRef<'_>>) -> ControlFlow<()> {
        self.entered.send(()).unwrap();
        self.leave.recv().unwrap();
        ControlFlow::Break(())
    }
}

struct Panics;

impl ObjectVisitor for Panics {
    fn visit(&mut self, _: Entry<'_, ObjectRowRef<'_>>) -> ControlFlow<()> {
        panic!("a defect of the visitor")
    }
}

/// A failure would mean that one defect in a request takes a container out of service.
#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_operation_is_an_error_and_the_store_goes_on() {
    let engine = engine(&RuntimeOptions::default());
    let broker = container(&engine, "c").await;
    broker.put_object(object("o")).await.unwrap();
    let failed = broker.list_objects(&everything(), Box::new(Panics)).await;
    assert_eq!(
        failed.err().map(|error| error.kind()),
        Some(ErrorKind::Internal)
    );
    broker.put_object(object("p")).await.unwrap();
    assert_eq!(broker.get_info().await.unwrap().object_count(), 2);
}

/// A failure would mean that a client that goes away early undoes or tears its write.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_caller_left_still_happens() {
    let engine = engine(&RuntimeOptions::default());
    let broker = container(&engine, "c").await;
    let mut write = broker.merge_items(vec![object("left")], MergeOptions::put());
    // One poll hands the write over; then its future is dropped.
    let polled = std::future::poll_fn(|context| {
        std::task::Poll::Ready(write.as_mut().poll(context).is_ready())
    });
    polled.await;
    drop(write);
    // A later write of the same store comes after it.
    broker.put_object(object("later")).await.unwrap();
    let names: Vec<_> = broker.object_page(&everything()).await.unwrap();
    assert_eq!(names.len(), 2);
}

/// A failure would mean that many concurrent clients lose rows, or see others' errors.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writes_of_one_store_all_arrive() {
    let engine = engine(&RuntimeOptions::default());
    let broker = container(&engine, "c").await;
    let writes = (0..64).map(|task| {
        let broker = Arc::clone(&broker);
        tokio::spawn(async move {
            for number in 0..50 {
                broker
                    .put_object(object(format!("{task}/{number}")))
                    .await
                    .unwrap();
            }
        })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap();
    }
    assert_eq!(broker.get_info().await.unwrap().object_count(), 3200);
    let rows = broker
        .items_since(RowId::NONE, usize::MAX, RowFilter::All)
        .await
        .unwrap();
    assert_eq!(rows.len(), 3200);
}

/// A failure would mean that bad input of one client fails the writes committed together with it.
#[tokio::test(flavor = "multi_thread")]
async fn bad_input_in_a_group_harms_nobody_else() {
    let engine = engine(&RuntimeOptions::default());
    let broker = container(&engine, "c").await;
    let bad = broker.merge_items(Vec::new(), MergeOptions::from_source("remote"));
    let good = broker.merge_items(vec![object("good")], MergeOptions::default());
    let (bad, good) = tokio::join!(bad, good);
    assert_eq!(bad.unwrap_err().kind(), ErrorKind::InvalidInput);
    good.unwrap();
    assert_eq!(broker.get_info().await.unwrap().object_count(), 1);
}

/// A failure would mean that a flood of requests grows memory instead of being refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_queue_refuses_at_once() {
    let options = RuntimeOptions {
        workers: 1,
        queue_depth: 1,
        ..RuntimeOptions::default()
    };
    let engine = engine(&options);
    let broker = container(&engine, "c").await;
    broker.put_object(object("o")).await.unwrap();
    let (entered, has_entered) = channel();
    let (let_go, leave) = channel();
    let gate = Box::new(Gate { entered, leave });
    let reader = Arc::clone(&broker);
    let held = tokio::spawn(async move { reader.list_objects(&everything(), gate).await.is_ok() });
    tokio::task::spawn_blocking(move || has_entered.recv().unwrap())
        .await
        .unwrap();
    // The one worker is held: one operation may wait, the others are refused at once.
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let broker = Arc::clone(&broker);
        asking.spawn(async move { broker.exists().await });
    }
    for _ in 0..2 {
        let refused = asking.join_next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
    }
    let_go.send(()).unwrap();
    assert!(held.await.unwrap());
    assert!(asking.join_next().await.unwrap().unwrap().unwrap());
}

/// A failure would mean that a node with more containers than open handles loses some of them.
#[tokio::test]
async fn more_stores_than_open_handles_all_answer() {
    let options = RuntimeOptions {
        open_stores: NonZeroUsize::MIN,
        ..RuntimeOptions::default()
    };
    let engine = engine(&options);
    for name in ["c1", "c2", "c3"] {
        container(&engine, name)
            .await
            .put_object(object(name))
            .await
            .unwrap();
    }
    for name in ["c1", "c2", "c3"] {
        let broker = engine.container(&location(name), &BrokerOptions::default());
        assert_eq!(broker.get_info().await.unwrap().object_count(), 1);
    }
}

/// A failure would mean that a tool that only looks at a store changes it.
#[tokio::test]
async fn a_broker_that_skips_commits_refuses_every_write() {
    let engine = engine(&RuntimeOptions::default());
    container(&engine, "c").await;
    let looking = engine.container(&location("c"), &BrokerOptions::default().skipping_commits());
    let refused = looking.put_object(object("o")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    assert_eq!(looking.get_info().await.unwrap().object_count(), 0);
}

/// A failure would mean that a removed store lives on in an open handle.
#[tokio::test]
async fn a_removed_store_is_absent_for_brokers_that_knew_it() {
    let engine = engine(&RuntimeOptions::default());
    let broker = container(&engine, "c").await;
    broker.put_object(object("o")).await.unwrap();
    engine.remove(&location("c")).await.unwrap();
    assert_eq!(
        broker.put_object(object("p")).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert!(broker.info().await.unwrap().is_none());
    container(&engine, "c").await;
    assert_eq!(broker.get_info().await.unwrap().object_count(), 0);
}
