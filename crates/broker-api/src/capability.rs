//! What an engine claims. The suite tests both directions: claimed means it works.

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Nothing: gone when the engine is dropped.
    Memory,
    /// A crash of the process, as with Swift's own servers.
    Process,
    /// A loss of power: synced before the acknowledgement.
    Disk,
}

impl Durability {
    /// `memory`, `process` or `disk`.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Memory => "memory",
            Durability::Process => "process",
            Durability::Disk => "disk",
        }
    }
}

/// What an engine claims beyond the core of the contract.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Whether other processes may work on the same stores at the same time.
    pub shared_between_processes: bool,
}

impl Capabilities {
    /// Claims a durability and nothing else.
    pub fn new(durability: Durability) -> Self {
        Self {
            durability,
            shared_between_processes: false,
        }
    }

    /// Claims that other processes may work on the same stores.
    #[must_use]
    pub fn shared_between_processes(mut self) -> Self {
        self.shared_between_processes = true;
        self
    }
}
