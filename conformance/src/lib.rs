//! The suite that certifies broker engines, for anyone's engine.
//!
//! A test without the standard harness and five lines are enough:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     broker_conformance::certify("my-engine", |scratch| async move {
//!         # let _ = scratch.path();
//!         # Err::<std::sync::Arc<dyn broker_api::Engine>, _>("a sketch")
//!         // my_engine::MyEngine::open(scratch.path()).await
//!     })
//! }
//! ```
//!
//! ```text
//! contract.md ──► clauses ◄── cases ──► runner ──► report: table, JSON, exit status
//!                               │          └─ an engine for each case: Subject, Fixture
//!                               └─ scripts recorded from Swift, random histories against a model
//! ```
//!
//! A second door runs the same cases against account and container servers, in any language, over HTTP:
//! `apus certify --account-url … --container-url …`, or `WireSubject` with the feature `wire`.
//!
//! The suite writes only to the places that the opener is given. What it checks changes with the
//! contract's version, not with the crate's.

mod case;
mod cases;
mod certify;
mod check;
pub mod contract;
mod crash;
pub mod door;
mod fixture;
mod linear;
mod model;
mod overlap;
mod report;
pub mod reports;
mod rng;
mod runner;
mod script;
mod shown;
mod subject;
#[cfg(feature = "wire")]
mod wire;

pub use case::{Case, Level};
pub use cases::all as cases;
pub use certify::{Certification, certify};
pub use door::Door;
pub use report::{CaseReport, Report, State, Totals};
pub use runner::{DEFAULT_SEED, ExpectedFailure, Options, run};
pub use subject::{Scratch, Subject};
#[cfg(feature = "wire")]
pub use wire::{Servers, WireSubject};
