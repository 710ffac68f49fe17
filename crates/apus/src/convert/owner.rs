//! Which engine a device belongs to while its stores are copied, and afterwards.
//!
//! ```text
//! belongs to   nobody, from ──► hold: from ── stores are copied and proven ──► transfer: to
//!              to             ──► stays: an earlier run came to its end, and this one proves it again
//!              anything else  ──► refused
//! ```

use crate::ownership::{self, OwnershipError};
use crate::registry::{EngineEntry, Registry};
use std::path::Path;

/// The two engines of a conversion.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owners<'a> {
    pub(super) registry: &'a Registry,
    pub(super) from: &'a EngineEntry,
    pub(super) to: &'a EngineEntry,
}

impl Owners<'_> {
    /// Sees whether a device may be converted, without changing it.
    pub(super) fn check(&self, device: &Path) -> Result<(), OwnershipError> {
        match ownership::owner(self.registry, device)? {
            Some(owner) if owner.engine == self.to.name => Ok(()),
            _ => ownership::check(self.registry, device, self.from.name).map(drop),
        }
    }

    /// Writes down that a device is the source's until it is transferred.
    pub(super) fn hold(&self, device: &Path) -> Result<(), OwnershipError> {
        match ownership::owner(self.registry, device)? {
            Some(owner) if owner.engine == self.to.name => Ok(()),
            _ => ownership::hold(self.registry, device, self.from),
        }
    }

    /// Makes a device, whose stores are all at the target and proven, the target's.
    pub(super) fn transfer(&self, device: &Path) -> Result<(), OwnershipError> {
        ownership::transfer(self.registry, device, self.from.name, self.to)
    }
}
