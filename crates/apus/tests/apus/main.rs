//! The binary as a whole: processes, sockets, signals and files.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod common;
mod convert;
mod corruption;
mod dump_keys;
mod engines;
mod wire;
