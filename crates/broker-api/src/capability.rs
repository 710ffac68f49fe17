//! What an engine claims. The suite tests both directions: claimed means it works.

/// What an acknowledged write survives.
///
/// # Contract
/// - DURABLE-1: at [`Process`](Self::Process) and more, what was acknowledged is found after the process
///   was killed: stores, rows with their numbers, facts, metadata, sync points, marks, the synced list.
/// - DURABLE-2: what was under way has happened whole or not at all, and counts and hash are those of
///   the rows; only reclaiming may have come half way.
/// - DURABLE-3: a row that was shown with its number is found with it, unless a newer row of its name
///   replaced it; no number that was shown is ever given to another row.
/// - DURABLE-4: repeating what was under way leaves the store as if it had happened once.
/// - DURABLE-5: after a kill the engine opens again without help, also when it was killed while opening.
/// - DURABLE-6: an engine that claims the level `durable` states `Process` or `Disk`; at
///   [`Disk`](Self::Disk) a loss of power leaves what a kill leaves.
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
