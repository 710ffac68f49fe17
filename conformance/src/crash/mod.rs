//! Engines whose process is killed.
//!
//! ```text
//! case (parent)                                     child: this program, started again
//!   close the engine                                  open it on the same scratch
//!   start the child ───────── Part ─────────────────► play a seeded history
//!   hear `done 0`, `done 1`, …  ◄──── a line for each acknowledgement
//!   kill -9 ────────────────────────────────────────► (gone in the middle of an operation)
//!   open the engine, look at everything
//!   compare with the World after what was acknowledged, or after one operation more
//! ```
//!
//! Both sides make the history from the seed; only numbers travel between them. The child is the same
//! command line with an environment variable, so an engine's author has nothing to do for it.

mod child;
mod history;
mod look;
mod play;
mod text;
mod trial;
mod world;

pub(crate) use child::{Part, play_part};
pub(crate) use history::Kind;
pub(crate) use trial::{Kill, Trial};
