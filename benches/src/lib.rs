//! What the two programs share: figures, documents that they write them into, plots, and memory.

pub mod document;
pub mod figures;
pub mod memory;
pub mod plot;
