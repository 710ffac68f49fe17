//! The two doors of the suite, and which cases can be run through the second.
//!
//! In process a case sees all of the contract. Over HTTP it sees what requests do and responses show.
//! `wire-cases.txt` declares for every case whether that is enough:
//!
//! ```text
//! listing::markers_are_exclusive_in_listing_order      yes
//! engine::same_hash_in_another_partition_or_device_…   yes, two devices
//! values::hash_of_objects_is_swifts                    no: hash
//! ```
//!
//! Nothing is skipped on this ground: every case is run. One that is declared to be seen and is not fails;
//! one that is declared not to be seen and passes is stale.

/// How a case reaches what is certified.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Door {
    /// Brokers in this process.
    #[default]
    Process,
    /// Account and container servers, over HTTP.
    Wire,
}

/// The id of a store whose facts came over HTTP: no response shows it.
pub(crate) const NOT_SHOWN: &str = "(no response shows it)";

/// What is declared of one case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    /// The case.
    pub case: &'static str,
    /// Devices that it needs.
    pub devices: usize,
    /// What it needs that HTTP neither does nor shows.
    pub lacks: Option<&'static str>,
}

/// The checked-in declarations, in the order of the file.
///
/// A line that is not understood is left out, and then its case lacks a declaration: a test finds both.
pub fn declarations() -> impl Iterator<Item = Declared> {
    let lines = include_str!("../wire-cases.txt").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(parse)
}

/// What is declared of a case.
pub(crate) fn declared(case: &str) -> Option<Declared> {
    declarations().find(|declared| declared.case == case)
}

fn parse(line: &'static str) -> Option<Declared> {
    let (case, said) = line.trim().split_once(' ')?;
    let (devices, lacks) = match said.trim() {
        "yes" => (1, None),
        "yes, two devices" => (2, None),
        no => (1, Some(no.strip_prefix("no: ")?)),
    };
    Some(Declared {
        case,
        devices,
        lacks,
    })
}
