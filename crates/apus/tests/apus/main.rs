//! The binary as a whole: processes, sockets, signals and files.

mod commands;
mod common;
mod corruption;
