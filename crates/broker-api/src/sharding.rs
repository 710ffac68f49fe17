//! Sharding: an optional group of the contract, reached by
//! [`ContainerBroker::sharding`](crate::ContainerBroker::sharding).

use std::fmt::Debug;

/// Splitting a container into shards. It has no operations in this version of the contract, so no
/// engine can offer it; absence is how an engine says so.
pub trait Sharding: Debug + Send + Sync {}
