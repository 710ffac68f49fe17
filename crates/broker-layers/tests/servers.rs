//! The layers for servers: limits of time, and metrics.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{Engine, ErrorKind, Outcome, Result};
use broker_layers::{
    Answer, Call, Deadline, Layer, Layered, Limits, Metered, Operation, Target, Visitor, metered,
};
use common::{container, contents, initialize, merge, put};
use engine_memory::MemoryEngine;
use metrics::{Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Unit};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Holds operations back until a test lets them go.
#[derive(Debug, Clone)]
struct Gate(Arc<Semaphore>);

impl Layer for Gate {
    async fn play(&self, target: &Target, call: Call, visitor: Visitor) -> Result<Answer> {
        self.0.acquire().await.unwrap().forget();
        target.play(call, visitor).await
    }
}

fn behind_a_gate(limits: Limits) -> (Arc<dyn Engine>, Target, Gate) {
    let engine = MemoryEngine::open().unwrap();
    let gate = Gate(Arc::new(Semaphore::new(0)));
    let direct = container(&engine, 1);
    let gated = Layered::over(engine, gate.clone());
    (Deadline::over(gated, limits), direct, gate)
}

/// A client waits for as long as the limit says and is told what is known.
#[tokio::test(start_paused = true)]
async fn late_operations_are_busy() {
    let (engine, direct, _gate) = behind_a_gate(Limits::all(Duration::from_millis(5)));
    direct.ask(initialize()).await.unwrap();
    let target = container(&engine, 1);
    let read = target.ask(Call::ContainerInfo).await.unwrap_err();
    let said = (read.kind(), read.outcome(), read.operation());
    assert_eq!(said, (ErrorKind::Busy, Outcome::NotApplied, "info"));
    let write = target.ask(merge(vec![put("o", 2)])).await.unwrap_err();
    let said = (write.kind(), write.outcome(), write.operation());
    assert_eq!(said, (ErrorKind::Busy, Outcome::Unknown, "merge_items"));
    assert!(write.store().contains("sda/containers/7"), "{write}");
}

/// House rule: a mutation that was handed over runs to its end.
#[tokio::test(start_paused = true)]
async fn late_write_runs_on() {
    let (engine, direct, gate) = behind_a_gate(Limits::all(Duration::from_millis(5)));
    direct.ask(initialize()).await.unwrap();
    let target = container(&engine, 1);
    target.ask(merge(vec![put("o", 2)])).await.unwrap_err();
    assert_eq!(contents(&direct).await.unwrap(), []);
    gate.0.add_permits(1);
    let mut looks = 0;
    while contents(&direct).await.unwrap().is_empty() {
        looks += 1;
        assert!(looks < 100_000, "the write ended with its time");
        tokio::task::yield_now().await;
    }
}

/// Reclaiming a large store may take longer than a HEAD.
#[tokio::test]
async fn operations_have_limits_of_their_own() {
    let limits = Limits::all(Duration::from_millis(1));
    let limits = limits.except(Operation::MergeItems, Duration::from_secs(3600));
    let (engine, direct, gate) = behind_a_gate(limits);
    direct.ask(initialize()).await.unwrap();
    let target = container(&engine, 1);
    let patient = target.clone();
    let write = tokio::spawn(async move { patient.ask(merge(vec![put("o", 2)])).await.map(drop) });
    let read = target.ask(Call::Exists).await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Busy);
    gate.0.add_permits(1);
    write.await.unwrap().unwrap();
}

/// What a recorder was told, by metric and labels.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<BTreeMap<String, u64>>>);

struct Metric(String, Told);

impl Metric {
    fn add(&self, value: u64) {
        *self.1.0.lock().unwrap().entry(self.0.clone()).or_default() += value;
    }
}

impl CounterFn for Metric {
    fn increment(&self, value: u64) {
        self.add(value);
    }

    fn absolute(&self, _: u64) {
        unreachable!("counters are incremented");
    }
}

impl HistogramFn for Metric {
    fn record(&self, seconds: f64) {
        assert!((0.0..60.0).contains(&seconds), "{seconds}");
        self.add(1);
    }
}

impl Told {
    fn metric(&self, key: &Key) -> Arc<Metric> {
        let labels = key
            .labels()
            .map(|label| format!(" {}={}", label.key(), label.value()));
        let name = format!("{}{}", key.name(), labels.collect::<String>());
        Arc::new(Metric(name, self.clone()))
    }
}

impl metrics::Recorder for Told {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: metrics::SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: metrics::SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: metrics::SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.metric(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        unreachable!("no gauges")
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.metric(key))
    }
}

/// Operators see which operations are asked for, which fail and how long they take.
#[tokio::test]
async fn operations_are_counted_timed_and_told_apart() {
    let told = Told::default();
    let _recorder = metrics::set_default_local_recorder(&told);
    let engine = Metered::over(MemoryEngine::open().unwrap());
    let target = container(&engine, 1);
    target.ask(Call::Upgrade).await.unwrap_err();
    target.ask(initialize()).await.unwrap();
    for seconds in 2..5 {
        target.ask(merge(vec![put("o", seconds)])).await.unwrap();
    }
    let told = told.0.lock().unwrap().clone();
    let labels = |operation: &str| format!("engine=memory operation={operation}");
    let expected = [
        (format!("{} {}", metered::OPERATIONS, labels("upgrade")), 1),
        (
            format!("{} {}", metered::OPERATIONS, labels("initialize")),
            1,
        ),
        (
            format!("{} {}", metered::OPERATIONS, labels("merge_items")),
            3,
        ),
        (format!("{} {}", metered::SECONDS, labels("merge_items")), 3),
        (
            format!("{} {} kind=NotFound", metered::ERRORS, labels("upgrade")),
            1,
        ),
    ];
    for (name, count) in &expected {
        assert_eq!(told.get(name), Some(count), "{name} in {told:?}");
    }
    let errors = told.keys().filter(|name| name.starts_with(metered::ERRORS));
    assert_eq!(
        errors.count(),
        1,
        "operations that succeeded count no errors"
    );
}

/// Without a recorder the layer is silent.
#[tokio::test]
async fn engine_without_a_recorder_works() {
    let engine = Metered::over(MemoryEngine::open().unwrap());
    container(&engine, 1).ask(initialize()).await.unwrap();
}

/// The array of meters is in the order of the operations.
#[test]
fn operations_are_numbered_in_their_order() {
    for (number, operation) in Operation::ALL.iter().enumerate() {
        assert_eq!(*operation as usize, number, "{operation}");
    }
}
