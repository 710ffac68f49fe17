//! The differential oracle: one random history, played to Swift's own brokers and to an engine, must
//! give the same answers and leave the same store, step by step.
//!
//! ```text
//! generate ──► History ──┬──► Driver (Python: Swift's brokers) ──► steps ─┐
//!                        └──► Stage  (an engine of ours)       ──► steps ─┴──► compare ──► shrink ──► report
//! ```
//!
//! What is left out, and why, stands in one table: [`exclusions::EXCLUSIONS`].

pub mod broken;
pub mod compare;
pub mod driver;
pub mod error;
pub mod exclusions;
pub mod generate;
pub mod legacy;
pub mod listing;
pub mod op;
pub mod report;
pub mod rng;
pub mod run;
pub mod shrink;
pub mod stage;
pub mod subject;
pub mod valid;
