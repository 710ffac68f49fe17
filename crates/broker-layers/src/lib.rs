//! Wrappers over any broker engine, each an [`Engine`](broker_api::Engine) over another.
//!
//! | layer | what it does | for |
//! |---|---|---|
//! | [`Mirror`] | plays every operation to two engines and compares the answers | tests |
//! | [`Faulty`] | fails operations by a seed; what happens and what is reported are drawn apart | tests |
//! | [`Deadline`] | ends operations that take too long | servers |
//! | [`Metered`] | counts and times operations through the `metrics` crate | servers |
//!
//! All of them are a [`Layer`]: one method, which sees every operation as a value.
//!
//! ```text
//! caller ──► Layered: Engine, Broker, Replicate, AccountBroker, ContainerBroker
//!               │  a method becomes a Call
//!               ▼
//!            Layer::play(target, call)      ◄── the only thing that a layer writes
//!               │
//!               ▼
//!            Target::play: a Call becomes a method again ──► engine below
//! ```
//!
//! A method that is added to the contract is forwarded in two places, [`Layered`] and [`Target`], and
//! then goes through every layer. `clippy::missing_trait_methods` is denied there, so that a default body
//! of the contract can never stand in for the engine below.
//!
//! # Examples
//! A layer that counts writes:
//!
//! ```
//! use broker_api::Result;
//! use broker_layers::{Answer, Call, Layer, Layered, Target, Visitor};
//! use std::sync::atomic::{AtomicU64, Ordering};
//!
//! #[derive(Debug, Default)]
//! struct CountsWrites(AtomicU64);
//!
//! impl Layer for CountsWrites {
//!     async fn play(&self, target: &Target, call: Call, visitor: Visitor) -> Result<Answer> {
//!         if call.operation().is_mutation() {
//!             self.0.fetch_add(1, Ordering::Relaxed);
//!         }
//!         target.play(call, visitor).await
//!     }
//! }
//!
//! let engine = Layered::over(engine_memory::MemoryEngine::open()?, CountsWrites::default());
//! assert_eq!(engine.name(), "memory");
//! # Ok::<(), broker_api::Error>(())
//! ```

pub mod call;
pub mod deadline;
pub mod faulty;
pub mod layer;
pub mod metered;
pub mod mirror;
pub mod operation;
pub mod target;

pub use call::{Answer, Call, Visitor};
pub use deadline::{Deadline, Limits};
pub use faulty::{Drawn, Faults, Faulty, Odds};
pub use layer::{Layer, Layered};
pub use metered::Metered;
pub use mirror::{Difference, Mirror};
pub use operation::Operation;
pub use target::Target;

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
