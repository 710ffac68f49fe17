//! What a mutant is, and the macro that defines a file of them.

use crate::flaw::Flaw;

/// An engine with one flaw, and the clauses whose cases must notice it.
pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    /// What is wrong, one sentence.
    pub(crate) what: &'static [&'static str],
    pub(crate) breaks: &'static [&'static str],
    /// Accounts and containers with the flaw are two mutants, and both must be noticed.
    pub(crate) is_of_each_kind: bool,
    pub(crate) flaw: Flaw,
}

impl Mutant {
    pub(crate) fn what(&self) -> String {
        let lines: Vec<_> = self.what.iter().map(|line| line.trim()).collect();
        lines.join(" ")
    }
}

/// Defines the mutants of a file and its table `MUTANTS` together.
macro_rules! mutants {
    ($(
        $(#[doc = $what:literal])+
        $name:ident breaks [$($clause:literal),+ $(,)?] $(of $each:ident kind)? = $flaw:expr;
    )+) => {
        /// The mutants of this file.
        pub(crate) const MUTANTS: &[$crate::mutant::Mutant] = &[$(
            $crate::mutant::Mutant {
                name: stringify!($name),
                what: &[$($what),+],
                breaks: &[$($clause),+],
                is_of_each_kind: $crate::mutant::is_of_each_kind!($($each)?),
                flaw: $flaw,
            },
        )+];
    };
}

/// Whether the words `of each kind` are there.
macro_rules! is_of_each_kind {
    () => {
        false
    };
    (each) => {
        true
    };
}

pub(crate) use {is_of_each_kind, mutants};

/// Mutants that the suite cannot notice, and why. One that is noticed must be struck off.
pub(crate) const SURVIVORS: &[(&str, &str)] = &[(
    "disk_is_stated_and_nothing_synced",
    "the suite kills processes and cannot cut the power: tests/crash does",
)];
