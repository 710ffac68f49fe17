//! A limit of time for every operation.
//!
//! ```text
//! read   ── in time ──► its answer        ── too late ──► Busy, not applied; the read is dropped
//! write  ── in time ──► its answer        ── too late ──► Busy, unknown; the write runs on to its end
//! ```

use crate::call::{Answer, Call, Visitor};
use crate::layer::{Layer, Layered};
use crate::operation::Operation;
use crate::target::Target;
use broker_api::{Engine, Error, ErrorKind, Outcome, Result};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long operations may take: one limit, and exceptions from it.
///
/// # Examples
/// ```
/// use broker_layers::{Limits, Operation};
/// use std::time::Duration;
///
/// let limits = Limits::all(Duration::from_secs(5))
///     .except(Operation::Reclaim, Duration::from_secs(600));
/// assert_eq!(limits.of(Operation::Reclaim), Duration::from_secs(600));
/// assert_eq!(limits.of(Operation::Info), Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    usual: Duration,
    exceptions: HashMap<Operation, Duration>,
}

impl Limits {
    /// The same limit for every operation.
    pub fn all(limit: Duration) -> Self {
        Self {
            usual: limit,
            exceptions: HashMap::new(),
        }
    }

    /// Another limit for one operation.
    #[must_use]
    pub fn except(mut self, operation: Operation, limit: Duration) -> Self {
        self.exceptions.insert(operation, limit);
        self
    }

    /// The limit of an operation.
    pub fn of(&self, operation: Operation) -> Duration {
        let exception = self.exceptions.get(&operation);
        exception.copied().unwrap_or(self.usual)
    }
}

/// Fails operations that take too long with [`ErrorKind::Busy`].
///
/// # Cancellation
/// A write runs in a task of its own: neither the end of its time nor a caller that stops waiting leaves
/// it half driven.
#[derive(Debug)]
pub struct Deadline {
    limits: Limits,
}

impl Deadline {
    /// An engine that answers in time. It needs a Tokio runtime with time.
    pub fn over(engine: Arc<dyn Engine>, limits: Limits) -> Arc<dyn Engine> {
        Layered::over(engine, Self { limits })
    }
}

impl Layer for Deadline {
    async fn play(&self, target: &Target, call: Call, visitor: Visitor) -> Result<Answer> {
        let operation = call.operation();
        let limit = self.limits.of(operation);
        let in_time = match operation.is_mutation() {
            false => tokio::time::timeout(limit, target.play(call, visitor)).await,
            true => {
                let running = run_to_its_end(target.clone(), call, visitor);
                tokio::time::timeout(limit, running).await
            }
        };
        in_time.unwrap_or_else(|_| Err(too_late(target, operation, limit)))
    }
}

/// Plays a call in a task of its own, which goes on when nobody waits for it any more.
pub(crate) async fn run_to_its_end(target: Target, call: Call, visitor: Visitor) -> Result<Answer> {
    let running = tokio::spawn(async move { target.play(call, visitor).await });
    let panicked =
        |error| Err(Error::new(ErrorKind::Internal, "the operation did not end").caused_by(error));
    running.await.unwrap_or_else(panicked)
}

fn too_late(target: &Target, operation: Operation, limit: Duration) -> Error {
    let message = format!("no answer within {} ms", limit.as_millis());
    let outcome = match operation.is_mutation() {
        true => Outcome::Unknown,
        false => Outcome::NotApplied,
    };
    let error = Error::new(ErrorKind::Busy, message)
        .during(operation.as_str())
        .with_outcome(outcome);
    match target.location() {
        Some(location) => error.on(location),
        None => error,
    }
}
