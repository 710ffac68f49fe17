//! Counts, errors and times of every operation, for any recorder of the `metrics` crate.
//!
//! | metric | kind | labels |
//! |---|---|---|
//! | `apus_broker_operations_total` | counter | `engine`, `operation` |
//! | `apus_broker_errors_total` | counter | `engine`, `operation`, `kind` |
//! | `apus_broker_operation_seconds` | histogram | `engine`, `operation` |
//!
//! `engine` is [`Engine::name`], `operation` is [`Operation::as_str`], `kind` is the name of the
//! [`ErrorKind`]. Facts that an operation has no store for (`info` of an absent one) are no errors.

use crate::call::{Answer, Call, Visitor};
use crate::layer::{Layer, Layered};
use crate::operation::Operation;
use crate::target::Target;
use broker_api::{Engine, ErrorKind, Result};
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use std::sync::Arc;
use std::time::Instant;

/// Name of the counter of operations.
pub const OPERATIONS: &str = "apus_broker_operations_total";

/// Name of the counter of failed operations.
pub const ERRORS: &str = "apus_broker_errors_total";

/// Name of the histogram of times, in seconds.
pub const SECONDS: &str = "apus_broker_operation_seconds";

/// Measures every operation.
///
/// Handles are registered once, when the layer is put on: install the recorder before. Without one, an
/// operation pays two readings of the clock and nothing else.
#[derive(Debug)]
pub struct Metered {
    engine: String,
    /// In the order of [`Operation::ALL`].
    meters: Vec<Meter>,
}

#[derive(Debug)]
struct Meter {
    count: Counter,
    seconds: Histogram,
}

impl Metered {
    /// An engine whose operations are measured.
    pub fn over(engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        describe_counter!(OPERATIONS, Unit::Count, "Operations on stores that ended");
        describe_counter!(ERRORS, Unit::Count, "Operations on stores that failed");
        describe_histogram!(
            SECONDS,
            Unit::Seconds,
            "Time that operations on stores took"
        );
        let name = engine.name().to_owned();
        let meter = |operation: &Operation| Meter {
            count: counter!(OPERATIONS, "engine" => name.clone(), "operation" => operation.as_str()),
            seconds: histogram!(SECONDS, "engine" => name.clone(), "operation" => operation.as_str()),
        };
        let meters = Operation::ALL.iter().map(meter).collect();
        Layered::over(
            engine,
            Self {
                engine: name,
                meters,
            },
        )
    }

    /// Failures are rare: their counters are looked up when they happen.
    fn count_error(&self, operation: Operation, kind: ErrorKind) {
        let (engine, kind) = (self.engine.clone(), format!("{kind:?}"));
        let errors = counter!(
            ERRORS, "engine" => engine, "operation" => operation.as_str(), "kind" => kind
        );
        errors.increment(1);
    }
}

impl Layer for Metered {
    async fn play(&self, target: &Target, call: Call, visitor: Visitor) -> Result<Answer> {
        let operation = call.operation();
        let meter = &self.meters[operation as usize];
        let begun = Instant::now();
        let answer = target.play(call, visitor).await;
        meter.seconds.record(begun.elapsed());
        meter.count.increment(1);
        if let Err(error) = &answer {
            self.count_error(operation, error.kind());
        }
        answer
    }
}
