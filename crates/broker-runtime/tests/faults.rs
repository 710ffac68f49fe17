//! What the adapter does when an engine is slow, fails or panics: nobody else pays for it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod scripted;

use broker_api::{
    BrokerOptions, ContainerBroker, ContainerBrokerExt, Engine, Entry, ErrorKind, Facts, HashPath,
    ListObjects, ListingQuery, Location, MergeOptions, NewContainer, ObjectRecord, ObjectRowRef,
    ObjectVisitor, PolicyIndex, ReclaimAge, RemoveObjects, RowId, StoreKind, Timestamp,
};
use broker_runtime::{Adapter, RuntimeOptions};
use engine_memory::MemoryDisk;
use scripted::{Merge, Script, Scripted};
use std::future::Future;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Far more than anything here needs, far less than the timeouts of brokers.
const SOON: Duration = Duration::from_secs(10);

struct Bench {
    script: Arc<Script>,
    engine: Arc<dyn Engine>,
}

impl Bench {
    fn new(workers: usize) -> Self {
        Self::with(&RuntimeOptions {
            workers,
            ..RuntimeOptions::default()
        })
    }

    fn with(options: &RuntimeOptions) -> Self {
        let script = Arc::new(Script::default());
        let engine = Scripted::new(&MemoryDisk::new(), &script);
        let engine = Arc::new(Adapter::start(engine, options).unwrap());
        Self { script, engine }
    }

    fn broker(&self, name: &str, options: &BrokerOptions) -> Arc<dyn ContainerBroker> {
        self.engine.container(&location(name), options)
    }

    async fn container(&self, name: &str) -> Arc<dyn ContainerBroker> {
        let broker = self.broker(name, &BrokerOptions::default());
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

    /// Holds a worker with a read of this store until the sender is used.
    async fn hold_worker(&self, name: &str) -> Sender<()> {
        let broker = self.container(name).await;
        broker.put_object(object("held")).await.unwrap();
        let (gate, has_entered, let_go) = gate();
        tokio::spawn(async move { broker.list_objects(&everything(), gate).await.is_ok() });
        entered(has_entered).await;
        let_go
    }
}

fn location(container: &str) -> Location {
    let hash = HashPath::new("", "suffix").container("a", container);
    Location::new(StoreKind::Container, "sda1", "1", hash).unwrap()
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
        // Only the first of several is waited for, and a test that ended has told all of them.
        let _ = self.entered.send(());
        let _ = self.leave.recv();
        ControlFlow::Break(())
    }
}

fn gate() -> (Box<Gate>, Receiver<()>, Sender<()>) {
    let (entered, has_entered) = channel();
    let (let_go, leave) = channel();
    (Box::new(Gate { entered, leave }), has_entered, let_go)
}

async fn entered(has_entered: Receiver<()>) {
    tokio::task::spawn_blocking(move || has_entered.recv().unwrap())
        .await
        .unwrap();
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work).await.expect("it hangs")
}

/// Lets a write that was just begun reach its queue.
async fn queued<T>(mut write: impl Future<Output = T> + Unpin) -> impl Future<Output = T> {
    let polled = std::future::poll_fn(|context| {
        let done = std::pin::Pin::new(&mut write).poll(context).is_ready();
        std::task::Poll::Ready(done)
    });
    assert!(!polled.await, "the write should wait");
    write
}

/// A failure would mean that a few busy containers stop all others of the node.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_under_constant_load_leaves_workers_to_others() {
    let bench = Bench::new(1);
    let (busy, other) = (
        bench.container("busy").await,
        bench.container("other").await,
    );
    // Slow enough that the queue is full again after every group.
    bench.script.slow_writes.store(true, Ordering::Relaxed);
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    for task in 0..32 {
        let (busy, stop) = (Arc::clone(&busy), Arc::clone(&stop));
        load.spawn(async move {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let name = format!("{task}/{number}");
                busy.put_object(object(name)).await.unwrap();
            }
        });
    }
    while bench.script.writes_begun.load(Ordering::Relaxed) < 5 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..5 {
        soon(other.info()).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    soon(load.join_all()).await;
}

/// A failure would mean that one store whose lock somebody holds stops all others of the node.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stuck_store_leaves_workers_to_others() {
    let bench = Bench::new(4);
    let (stuck, other) = (
        bench.container("stuck").await,
        bench.container("other").await,
    );
    stuck.put_object(object("o")).await.unwrap();
    let mut reads = tokio::task::JoinSet::new();
    let mut leave = Vec::new();
    let (any, has_entered) = channel();
    for _ in 0..8 {
        let (mut gate, _, let_go) = gate();
        gate.entered = any.clone();
        leave.push(let_go);
        let stuck = Arc::clone(&stuck);
        reads.spawn(async move { stuck.list_objects(&everything(), gate).await.is_ok() });
    }
    entered(has_entered).await;
    let write = tokio::spawn(async move { stuck.put_object(object("p")).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(soon(other.info()).await.unwrap().is_some());
    drop(leave);
    drop(any);
    soon(write).await.unwrap().unwrap();
    assert_eq!(soon(reads.join_all()).await, [true; 8]);
}

/// A failure would mean that a panic leaves a store locked, for this process and for others.
#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_write_lets_go_of_the_store() {
    let bench = Bench::new(2);
    let broker = bench.container("c").await;
    broker.put_object(object("o")).await.unwrap();
    let remove = RemoveObjects {
        lower: scripted::PANIC.into(),
        ..RemoveObjects::default()
    };
    let failed = broker.remove_objects(&remove).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Internal);
    let info = soon(broker.get_info()).await.unwrap();
    assert_eq!(info.object_count(), 1);
    soon(broker.put_object(object("p"))).await.unwrap();
}

/// A failure would mean that a buffer is merged once too often, or after a fault not any more until it is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_buffer_that_fills_is_merged_by_one_worker_at_a_time_and_again_after_faults() {
    let bench = Bench::new(4);
    let broker = bench.container("c").await;
    let (entered_by, has_entered) = channel();
    let (let_go, leave) = channel();
    let merges = || bench.script.merges.lock().unwrap().len();
    *bench.script.merges.lock().unwrap() = vec![
        Merge::Succeeds,
        Merge::Waits(entered_by, leave),
        Merge::Fails,
        Merge::Panics,
    ];
    bench.script.buffer_fills.store(true, Ordering::Relaxed);
    for left in [3, 2, 1] {
        while merges() > left {
            soon(broker.put_object(object("o"))).await.unwrap();
        }
    }
    entered(has_entered).await;
    for _ in 0..10 {
        soon(broker.put_object(object("o"))).await.unwrap();
    }
    assert_eq!(merges(), 1);
    let_go.send(()).unwrap();
    while merges() > 0 {
        soon(broker.put_object(object("o"))).await.unwrap();
    }
    bench.script.buffer_fills.store(false, Ordering::Relaxed);
}

/// A failure would mean that a good store, brought back by replication, is quarantined for the faults of
/// the one before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_late_failure_does_not_quarantine_the_new_store() {
    let bench = Bench::new(4);
    let broker = bench.container("c").await;
    broker.put_object(object("o")).await.unwrap();
    let (gate, has_entered, let_go) = gate();
    let reader = Arc::clone(&broker);
    // The scan ends as corrupt after its visitor.
    bench.script.corrupt_scans.store(true, Ordering::Relaxed);
    let late = tokio::spawn(async move { reader.list_objects(&everything(), gate).await.err() });
    entered(has_entered).await;
    bench.engine.remove(&location("c")).await.unwrap();
    bench.container("c").await;
    let_go.send(()).unwrap();
    let error = soon(late).await.unwrap().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(broker.exists().await.unwrap());
    // The same failure of the store that is there does.
    broker.put_object(object("o")).await.unwrap();
    broker.object_page(&everything()).await.unwrap_err();
    assert!(!broker.exists().await.unwrap());
}

/// A failure would mean that a client is refused because another one is in a hurry.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_waits_as_long_as_its_most_patient_write() {
    let bench = Bench::new(1);
    bench.container("c").await;
    let mut hurried = BrokerOptions::default();
    hurried.timeout = Duration::from_secs(1);
    let mut patient = BrokerOptions::default();
    patient.timeout = Duration::from_secs(30);
    let (hurried, patient) = (bench.broker("c", &hurried), bench.broker("c", &patient));
    let let_go = bench.hold_worker("other").await;
    let first = queued(hurried.put_object(object("a"))).await;
    let second = queued(patient.put_object(object("b"))).await;
    let_go.send(()).unwrap();
    let (first, second) = soon(async { tokio::join!(first, second) }).await;
    first.and(second).unwrap();
    let timeout = bench.script.write_timeout.lock().unwrap().unwrap();
    assert_eq!(timeout, Duration::from_secs(30));
}

/// A failure would mean that one bad object fails the puts of other clients.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_cannot_be_merged_fails_alone() {
    let bench = Bench::new(1);
    let broker = bench.container("c").await;
    let let_go = bench.hold_worker("other").await;
    let bad = queued(broker.put_object(object(scripted::BAD_ROW))).await;
    let good = queued(broker.put_object(object("good"))).await;
    let_go.send(()).unwrap();
    let (bad, good) = soon(async { tokio::join!(bad, good) }).await;
    assert_eq!(bad.unwrap_err().kind(), ErrorKind::InvalidInput);
    good.unwrap();
    assert_eq!(broker.get_info().await.unwrap().object_count(), 1);
}

/// A failure would mean that a batch that was refused is half there.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_sync_point_cannot_be_read_merges_nothing() {
    let bench = Bench::new(2);
    let broker = bench.container("c").await;
    bench.script.bad_sync_points.store(true, Ordering::Relaxed);
    let mut record = object("o");
    record.row_id = Some(RowId(1));
    let merge = broker.merge_items(vec![record], MergeOptions::from_source("remote"));
    assert_eq!(merge.await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(broker.get_info().await.unwrap().object_count(), 0);
}

/// A failure would mean that an engine which counts on one writer a store has two.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_in_use_is_not_opened_a_second_time() {
    let bench = Bench::with(&RuntimeOptions {
        workers: 4,
        open_stores: NonZeroUsize::MIN,
        ..RuntimeOptions::default()
    });
    let broker = bench.container("c").await;
    let (let_go, has_entered) = bench.script.hold_replace();
    let writer = Arc::clone(&broker);
    let first = tokio::spawn(async move { writer.put_object(object(scripted::HELD)).await });
    entered(has_entered).await;
    // It takes the only place among the open stores.
    bench.container("other").await.info().await.unwrap();
    let second = tokio::spawn(async move { broker.put_object(object("p")).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bench.script.writes_begun.load(Ordering::Relaxed), 1);
    let_go.send(()).unwrap();
    soon(first).await.unwrap().unwrap();
    soon(second).await.unwrap().unwrap();
}

/// A failure would mean that reclaiming turns in a circle.
#[tokio::test(flavor = "multi_thread")]
async fn reclaim_ends_with_more_tombstones_of_one_name_than_a_page() {
    let bench = Bench::with(&RuntimeOptions {
        reclaim_page: 1,
        ..RuntimeOptions::default()
    });
    let broker = bench.container("c").await;
    let tombstone = |policy| {
        ObjectRecord::delete("o", Timestamp::from_seconds(2)).in_policy(PolicyIndex(policy))
    };
    let records = (0..3).map(tombstone).collect();
    let merge = broker.merge_items(records, MergeOptions::default());
    merge.await.unwrap();
    let age = ReclaimAge {
        tombstones: Timestamp::from_seconds(9),
        sync_points: Timestamp::from_seconds(9),
    };
    let done = soon(broker.replicate().reclaim(age)).await.unwrap();
    assert_eq!(done.removed, 3);
}

/// A failure would mean that a store is opened to answer what its engine knows, or that an open one is not asked.
#[tokio::test(flavor = "multi_thread")]
async fn remembered_facts_are_shown_while_no_handle_is_open() {
    let bench = Bench::new(1);
    let broker = bench.container("c").await;
    let stored = soon(broker.info()).await.unwrap().unwrap();

    let other = bench.container("other").await;
    let mut remembered = stored.clone();
    remembered.store.id = "remembered".into();
    let facts = Facts::Container(remembered.clone());
    *bench.script.remembered.lock().unwrap() = Some(facts);
    for _ in 0..2 {
        let shown = soon(other.info()).await.unwrap();
        assert_eq!(shown.as_ref(), Some(&remembered));
    }
    assert_eq!(soon(broker.info()).await.unwrap(), Some(stored));

    // A listing opens one, and so does who asks again and again.
    soon(other.object_page(&everything())).await.unwrap();
    let shown = soon(other.info()).await.unwrap().unwrap();
    assert_eq!(shown.store.id, "id-sda1");
    let asked = bench.container("asked").await;
    let mut times = 0;
    while soon(asked.info()).await.unwrap() == Some(remembered.clone()) {
        times += 1;
    }
    assert_eq!(times, 8);
}

/// A failure would mean that a listing that could not be read without waiting shows rows twice, or none.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_memory_does_not_hold_begins_afresh() {
    let bench = Bench::new(2);
    let broker = bench.container("c").await;
    let names = ["a", "b", "c"];
    let records = names.map(object).to_vec();
    let merge = broker.merge_items(records, MergeOptions::default());
    merge.await.unwrap();
    let page = ListObjects::new(ListingQuery::new(10));
    let listed = async || {
        let page = soon(broker.object_page(&page)).await.unwrap();
        page.iter()
            .map(|entry| entry.name().to_owned())
            .collect::<Vec<_>>()
    };
    let tried = || bench.script.reads_of_memory.load(Ordering::Relaxed);
    // There is no handle yet, then one that does not read so.
    assert_eq!(listed().await, names);
    assert_eq!(listed().await, names);
    assert_eq!(tried(), 0);
    bench.script.reads_memory.store(true, Ordering::Relaxed);
    assert_eq!(listed().await, names);
    assert_eq!(tried(), 1);
    bench
        .script
        .one_row_in_memory
        .store(true, Ordering::Relaxed);
    assert_eq!(listed().await, names);
    assert_eq!(tried(), 2);
    // However much is asked for, what is there counts; a long one is not tried.
    soon(broker.object_page(&everything())).await.unwrap();
    assert_eq!(tried(), 3);
    let many = (0..1000).map(|i| object(format!("d{i:04}"))).collect();
    let merge = broker.merge_items(many, MergeOptions::default());
    merge.await.unwrap();
    soon(broker.object_page(&everything())).await.unwrap();
    assert_eq!(tried(), 3);
}

/// A failure would mean that short reads wait for a worker although memory answers them.
#[tokio::test(flavor = "multi_thread")]
async fn what_memory_holds_is_read_while_all_workers_are_busy() {
    let bench = Bench::new(1);
    let broker = bench.container("c").await;
    broker.put_object(object("o")).await.unwrap();
    broker.get_info().await.unwrap();
    let let_go = bench.hold_worker("other").await;
    bench.script.reads_memory.store(true, Ordering::Relaxed);
    assert_eq!(soon(broker.get_info()).await.unwrap().object_count(), 1);
    let page = ListObjects::new(ListingQuery::new(10));
    assert_eq!(soon(broker.object_page(&page)).await.unwrap().len(), 1);
    let skipped = || bench.script.skipped_commits.load(Ordering::Relaxed);
    assert!(!skipped());
    // What is buffered matters to the store, and does not to this caller.
    let skipping = bench.broker("c", &BrokerOptions::default().skipping_commits());
    for read in [true, false] {
        match read {
            true => drop(soon(skipping.get_info()).await.unwrap()),
            false => drop(soon(skipping.object_page(&page)).await.unwrap()),
        }
        assert!(skipped());
        soon(broker.get_info()).await.unwrap();
        assert!(!skipped());
    }
    let_go.send(()).unwrap();
}
