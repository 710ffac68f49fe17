//! A container server under load, and what it must still know after its end.
//!
//! ```text
//! broker-crash      start ─► 32 writers: PUT, overwrite, DELETE … ─► kill -9 ─► start ─► compare
//! broker-powercut   the same, with the files cut back to what was synced before the second start
//! ```
//!
//! A request without an answer may or may not have happened; both are accepted for its name, and
//! nothing else is.

mod draw;
mod load;
mod site;
mod verify;

pub use draw::Draw;
pub use load::{Expected, Load};
pub use site::Site;
pub use verify::verify;
