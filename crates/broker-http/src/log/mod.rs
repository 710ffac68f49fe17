//! The request log, other log lines and metrics.
//!
//! ```text
//! App::handle ─► Logged ─► RequestLog ── Template ──► line ─┐
//! tracing events ────────► LogLayer ──────────────────► line ┴► LogSink ─ queue ─► writer thread ─► syslog, UDP or stderr
//! Logged, filters ───────► Statsd ────────────────────► datagram ─ queue ─► writer thread ─► UDP
//! ```
//!
//! Async threads only format and enqueue. The queues are bounded: when a log daemon hangs, lines are
//! dropped, counted, and the number is logged once there is room again.

mod anonymous;
pub(crate) mod date;
mod layer;
mod request;
mod sink;
mod spool;
mod statsd;
mod template;

pub use anonymous::Anonymizer;
pub use layer::LogLayer;
pub(crate) use request::write_path;
pub use request::{Logged, RequestLog, TimedAs};
pub use sink::{Level, LogSink, LogSinkOptions, Target};
pub use statsd::{Statsd, StatsdOptions};
pub use template::{DEFAULT_FORMAT, InvalidLogOption, Template};
