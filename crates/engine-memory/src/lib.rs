//! The reference engine: plain maps, written to be read
