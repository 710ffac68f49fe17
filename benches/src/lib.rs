//! What the two programs share: documents that they write their figures into, plots, and memory.

pub mod document;
pub mod memory;
pub mod plot;
