//! Histories of overlapping operations: recording them, and what a single caller would see, written
//! from the contract's text and apart from the rules of `broker-api`.

mod models;
mod record;

pub(crate) use models::{AccountModel, Asked, ContainerModel, Seen, Written};
pub(crate) use record::{Clock, check_explained};

#[cfg(test)]
mod tests;
