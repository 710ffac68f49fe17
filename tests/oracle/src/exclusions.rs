//! What histories leave out, because Apus decided to differ from Swift or Swift leaves it open.

use crate::op::{History, Names, Op};
use serde_json::Value;
use std::collections::HashSet;

/// A decided difference.
#[derive(Debug, Clone, Copy)]
pub struct Exclusion {
    /// The quirk of the broker contract, when it is one.
    pub quirk: &'static str,
    /// What no history does.
    pub left_out: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// Every exclusion; the checks below are in the same order.
pub const EXCLUSIONS: [Exclusion; 15] = [
    Exclusion {
        quirk: "QUIRK-6",
        left_out: "path listings that meet a directory's neighbour: forward a name with 0 in it, in \
                   reverse a name that ends with /",
        reason: "Swift's skip is off by one and loses the row; Apus shows it",
    },
    Exclusion {
        quirk: "QUIRK-4, QUIRK-8",
        left_out: "null values, except where an earlier record of the same batch supplies them",
        reason: "Swift stores null, which spoils sums and blocks later merges; Apus refuses it",
    },
    Exclusion {
        quirk: "QUIRK-7",
        left_out: "prefixes and delimiters that end with U+10FFFF or U+D7FF",
        reason: "Swift fails to name the character after it; Apus gives the natural listing",
    },
    Exclusion {
        quirk: "QUIRK-3",
        left_out: "a missing stat record",
        reason: "Swift never returns; no operation of the contract can remove it anyway",
    },
    Exclusion {
        quirk: "",
        left_out: "reclaim ages before the year 2001",
        reason: "Swift compares a float's shortest spelling as text, which needs ten digits to be in order",
    },
    Exclusion {
        quirk: "",
        left_out: "path listings over all policies",
        reason: "Swift loses rows of equal name at its internal pages, and never asks for it",
    },
    Exclusion {
        quirk: "",
        left_out: "metadata that is not text, together with limits",
        reason: "Swift's check fails with an unrelated error",
    },
    Exclusion {
        quirk: "",
        left_out: "the same key twice in one batch of buffered puts",
        reason: "row numbers after buffered puts are not promised",
    },
    Exclusion {
        quirk: "",
        left_out: "one key twice in one metadata update",
        reason: "Swift takes a dictionary",
    },
    Exclusion {
        quirk: "",
        left_out: "sizes and counts whose sums leave 64 bits",
        reason: "SQLite goes on with floating numbers; the contract leaves it open",
    },
    Exclusion {
        quirk: "",
        left_out: "merges from a source whose id is empty",
        reason: "Swift takes it for no source at all",
    },
    Exclusion {
        quirk: "",
        left_out: "the order of sync points",
        reason: "Swift's newid moves its point to the end, ours leaves it in place; nobody reads the order",
    },
    Exclusion {
        quirk: "",
        left_out: "listings with roll-up that may show the empty name",
        reason: "Swift takes it for no marker, starts again and shows it twice; no such object can exist",
    },
    Exclusion {
        quirk: "",
        left_out: "updated_at of sync points; a reclaim takes all points or none",
        reason: "SQLite's own clock stamps them",
    },
    Exclusion {
        quirk: "",
        left_out: "the order of equal names of several policies, and which of them a limit cuts off",
        reason: "unspecified; both sides are sorted before they are compared",
    },
];

/// Names that a history gives to records.
fn record_names(history: &History) -> HashSet<&str> {
    let mut names = HashSet::new();
    for op in &history.ops {
        match op {
            Op::PutContainers { records } => names.extend(records.iter().map(|r| r.0.as_str())),
            Op::MergeContainers { records, .. } => {
                names.extend(records.iter().map(|r| r.name.as_str()));
            }
            Op::PutObjects { records } | Op::MergeObjects { records, .. } => {
                names.extend(records.iter().map(|r| r.name.as_str()));
            }
            Op::DeleteObject { name, .. } => {
                names.insert(name.as_str());
            }
            _ => {}
        }
    }
    names
}

/// Whether a history does something that is left out.
pub fn is_excluded(history: &History) -> bool {
    let names = record_names(history);
    history.ops.iter().any(|op| is_excluded_op(op, &names)) || mixes_odd_metadata(&history.ops)
}

/// Whether one operation, in a history that gives these names to records, is left out.
pub fn is_excluded_op(op: &Op, names: &HashSet<&str>) -> bool {
    match op {
        Op::ListContainers { names: query } => {
            query.path.is_some() || has_bad_end(query) || repeats_empty_name(names, query)
        }
        Op::ListObjects {
            names: query,
            all_policies,
            ..
        } => {
            let meets_neighbour = query.path.is_some()
                && (*all_policies || names.iter().any(|name| is_neighbour(name, query)));
            meets_neighbour || has_bad_end(query) || repeats_empty_name(names, query)
        }
        Op::MergeContainers { source, .. } | Op::MergeObjects { source, .. }
            if source.as_deref() == Some("") =>
        {
            true
        }
        Op::MergeContainers { records, .. } => {
            let mut whole = HashSet::new();
            records.iter().any(|item| {
                let is_whole = item.put_timestamp.is_some()
                    && item.delete_timestamp.is_some()
                    && item.object_count.is_some()
                    && item.bytes_used.is_some();
                if is_whole {
                    whole.insert(&item.name);
                }
                !whole.contains(&item.name)
            })
        }
        Op::Reclaim { age, .. } => *age < 1_000_000_000 * broker_api::timestamp::UNITS_PER_SECOND,
        Op::PutObjects { records } => {
            let mut seen = HashSet::new();
            !records
                .iter()
                .all(|r| seen.insert((&r.name, r.storage_policy_index)))
        }
        Op::UpdateMetadata { updates, .. } => {
            let mut seen = HashSet::new();
            !updates.iter().all(|(key, _, _)| seen.insert(key))
        }
        _ => false,
    }
}

fn is_neighbour(name: &str, query: &Names) -> bool {
    match query.reverse {
        false => name.contains('0'),
        true => name.ends_with('/'),
    }
}

fn has_bad_end(query: &Names) -> bool {
    let bad = |text: &str| text.ends_with(['\u{10FFFF}', '\u{D7FF}']);
    bad(&query.prefix) || bad(&query.delimiter)
}

fn repeats_empty_name(names: &HashSet<&str>, query: &Names) -> bool {
    let rolls_up = !query.delimiter.is_empty() || query.path.is_some();
    rolls_up && query.allow_reserved && names.contains("")
}

fn mixes_odd_metadata(ops: &[Op]) -> bool {
    let (mut odd, mut limited) = (false, false);
    for op in ops {
        if let Op::UpdateMetadata { updates, limits } = op {
            odd |= updates
                .iter()
                .any(|(_, value, _)| !matches!(value, Value::String(_)));
            limited |= limits.is_some();
        }
    }
    odd && limited
}
