//! Which engine a device belongs to while its stores are copied, and afterwards.
//!
//! ```text
//! belongs to   nobody, from ──► hold: from ── stores are copied and proven ──► transfer: to
//!              to             ──► an earlier run came to its end: what is at `to` is in use, and goes on without
//!                                 what is at `from`, which is old
//!              anything else  ──► refused
//! ```

use crate::Failure;
use crate::ownership::{self, OwnershipError};
use crate::registry::{EngineEntry, Registry};
use std::fs::File;
use std::path::Path;

/// The two engines of a conversion.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owners<'a> {
    pub(super) registry: &'a Registry,
    pub(super) from: &'a EngineEntry,
    pub(super) to: &'a EngineEntry,
}

impl Owners<'_> {
    /// Whether a device is the target's already. One that may not be converted is refused.
    pub(super) fn is_transferred(&self, device: &Path) -> Result<bool, OwnershipError> {
        match ownership::owner(self.registry, device)? {
            Some(owner) if owner.engine == self.to.name => Ok(true),
            _ => ownership::check(self.registry, device, self.from.name).map(|_| false),
        }
    }

    /// Writes down that a device is the source's until it is transferred.
    pub(super) fn hold(&self, device: &Path) -> Result<(), OwnershipError> {
        ownership::hold(self.registry, device, self.from)
    }

    /// Makes a device, whose stores are all at the target and proven, the target's. All that was written to it
    /// is synced first, whatever the target's engine waits for: the source may be removed next.
    pub(super) fn transfer(&self, device: &Path) -> Result<(), Failure> {
        let failed = |error| Failure::new(format!("cannot sync {}: {error}", device.display()));
        let folder = File::open(device).map_err(failed)?;
        rustix::fs::syncfs(folder).map_err(|error| failed(error.into()))?;
        Ok(ownership::transfer(
            self.registry,
            device,
            self.from.name,
            self.to,
        )?)
    }
}
