//! Cases, levels, and the macro that defines a file of them.

use crate::check::Check;
use crate::fixture::Fixture;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// A part of the contract that an engine claims as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Stores, rows, listings, merging: required of every engine.
    Core,
    /// Rows since a number, sync points, ids.
    Replication,
    /// Removing old tombstones.
    Reclaim,
    /// Many writers and readers on one store.
    Concurrent,
    /// What is left when the process was killed.
    Durable,
    /// Restoring whole stores, row numbers and all.
    Snapshot,
    /// Splitting containers; no cases in this version of the contract.
    Sharding,
}

impl Level {
    /// All levels, in the order of the report.
    pub const ALL: [Level; 7] = [
        Level::Core,
        Level::Replication,
        Level::Reclaim,
        Level::Concurrent,
        Level::Durable,
        Level::Snapshot,
        Level::Sharding,
    ];

    /// The level's name in reports and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Core => "core",
            Level::Replication => "replication",
            Level::Reclaim => "reclaim",
            Level::Concurrent => "concurrent",
            Level::Durable => "durable",
            Level::Snapshot => "snapshot",
            Level::Sharding => "sharding",
        }
    }

    /// The level of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

type Run = fn(Fixture) -> Pin<Box<dyn Future<Output = Check> + Send>>;

/// One statement about engines that the suite can check.
#[derive(Clone, Copy)]
pub struct Case {
    /// The module that it is in.
    pub(crate) module: &'static str,
    /// The function, a statement.
    pub(crate) function: &'static str,
    /// The level that it belongs to.
    pub(crate) level: Level,
    /// The clauses of the contract that it checks.
    pub(crate) clauses: &'static [&'static str],
    /// What a failure would mean, one line.
    pub(crate) doc: &'static [&'static str],
    /// Runs it.
    pub(crate) run: Run,
}

impl Case {
    /// The name by which it is chosen and listed: `listing::subdir_equal_to_marker_is_not_shown`.
    pub fn name(&self) -> String {
        let module = self.module.rsplit("::").next().unwrap_or(self.module);
        format!("{module}::{}", self.function)
    }

    /// The name without the module.
    pub fn function_name(&self) -> &'static str {
        self.function
    }

    /// The level that it belongs to.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The clauses of the contract that it checks.
    pub fn clauses(&self) -> &'static [&'static str] {
        self.clauses
    }

    /// What it states, in a sentence or two.
    pub fn doc(&self) -> String {
        let lines: Vec<_> = self.doc.iter().map(|line| line.trim()).collect();
        lines.join(" ")
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.level)
    }
}

/// Defines the cases of a file and the file's table `CASES` together, so that none can be forgotten.
macro_rules! cases {
    ($(
        $(#[doc = $doc:literal])+
        #[case($level:ident, clauses = [$($clause:literal),+ $(,)?])]
        async fn $name:ident($fixture:ident: Fixture) -> Check $body:block
    )+) => {
        $(
            $(#[doc = $doc])+
            async fn $name($fixture: $crate::fixture::Fixture) -> $crate::check::Check $body
        )+

        /// The cases of this file.
        pub(crate) const CASES: &[$crate::case::Case] = &[$(
            $crate::case::Case {
                module: module_path!(),
                function: stringify!($name),
                level: $crate::case::Level::$level,
                clauses: &[$($clause),+],
                doc: &[$($doc),+],
                run: |fixture| Box::pin($name(fixture)),
            },
        )+];
    };
}

pub(crate) use cases;
