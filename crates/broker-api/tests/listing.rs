//! The listing driver over plain sorted names, against a filter that looks at every name.

use broker_api::listing::{ListingDriver, ListingQuery, Shown, Step, after_prefix};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::Bound;

/// Runs the driver over a set as an engine would, obeying its seeks.
fn drive(names: &BTreeSet<String>, query: &ListingQuery) -> Vec<String> {
    let mut shown = Vec::new();
    let Some(mut driver) = ListingDriver::new(query) else {
        return shown;
    };
    let range = driver.range().clone();
    let (mut lower, mut upper) = (range.lower, range.upper);
    loop {
        let next = names.iter().filter(|name| is_within(name, &lower, &upper));
        let next = if range.reverse {
            next.max()
        } else {
            next.min()
        };
        let Some(name) = next else { return shown };
        let (what, step) = driver.visit(name);
        match what {
            Shown::Row => shown.push(name.clone()),
            Shown::Subdir(dir) => shown.push(format!("+{dir}")),
            Shown::Hidden => {}
        }
        let bound = match step {
            Step::Stop => return shown,
            Step::Next => Bound::Excluded(name.clone()),
            Step::Seek(bound) => bound,
        };
        if range.reverse {
            upper = bound
        } else {
            lower = bound
        }
    }
}

fn is_within(name: &str, lower: &Bound<String>, upper: &Bound<String>) -> bool {
    let above = match lower {
        Bound::Unbounded => true,
        Bound::Included(low) => name >= low.as_str(),
        Bound::Excluded(low) => name > low.as_str(),
    };
    above
        && match upper {
            Bound::Unbounded => true,
            Bound::Included(high) => name <= high.as_str(),
            Bound::Excluded(high) => name < high.as_str(),
        }
}

/// The contract's words, name by name.
fn filtered(names: &BTreeSet<String>, query: &ListingQuery) -> Vec<String> {
    let prefix = match query.path.as_deref() {
        None => query.prefix.clone(),
        Some("") => String::new(),
        Some(path) => format!("{}/", path.trim_end_matches('/')),
    };
    let (low, high) = match query.reverse {
        false => (&query.marker, &query.end_marker),
        true => (&query.end_marker, &query.marker),
    };
    let mut entries: Vec<String> = Vec::new();
    let mut names: Vec<_> = names.iter().collect();
    if query.reverse {
        names.reverse();
    }
    for name in names {
        let hidden = !name.starts_with(&prefix)
            || (!low.is_empty() && name <= low)
            || (!high.is_empty() && name >= high)
            || (!query.allow_reserved && name.as_str() < "\u{1}");
        if hidden {
            continue;
        }
        let rest = &name[prefix.len()..];
        let entry = match (&query.path, query.delimiter.as_str()) {
            (Some(_), _) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (!rest.is_empty() && end + 1 >= rest.len()).then(|| name.clone())
            }
            (None, "") => Some(name.clone()),
            (None, delimiter) => match rest.find(delimiter) {
                None => Some(name.clone()),
                Some(at) => {
                    let dir = &name[..prefix.len() + at + delimiter.len()];
                    (dir != low).then(|| format!("+{dir}"))
                }
            },
        };
        entries.extend(entry.filter(|entry| entries.last() != Some(entry)));
    }
    entries.truncate(query.limit);
    entries
}

fn text(max: usize) -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just('a'),
        Just('b'),
        Just('/'),
        Just('/'),
        Just('0'),
        Just('\0'),
        Just('\u{1}'),
        Just('\u{d7ff}'),
        Just('\u{e000}'),
        Just('\u{10ffff}'),
    ];
    proptest::collection::vec(part, 0..=max).prop_map(|parts| parts.into_iter().collect())
}

fn query() -> impl Strategy<Value = ListingQuery> {
    let limit = prop_oneof![Just(0), 1usize..4, Just(1000)];
    let path = proptest::option::weighted(0.2, text(3));
    let delimiter = prop_oneof![Just(String::new()), Just("/".into()), text(2)];
    let flags = (any::<bool>(), any::<bool>());
    (limit, text(3), text(3), text(2), delimiter, path, flags).prop_map(
        |(limit, marker, end_marker, prefix, delimiter, path, (reverse, allow_reserved))| {
            let mut query = ListingQuery::new(limit);
            query.marker = marker;
            query.end_marker = end_marker;
            query.prefix = prefix;
            query.delimiter = delimiter;
            query.path = path;
            query.reverse = reverse;
            query.allow_reserved = allow_reserved;
            query
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The driver's seeks skip nothing that shows and show nothing that does not.
    #[test]
    fn driver_shows_what_a_filter_shows(
        names in proptest::collection::btree_set(text(5), 0..25), query in query(),
    ) {
        prop_assert_eq!(drive(&names, &query), filtered(&names, &query));
    }

    /// The bound after a prefix lies after every name that starts so, and before every later one.
    #[test]
    fn after_prefix_is_the_first_text_past_it(prefix in text(4), name in text(6)) {
        prop_assume!(!prefix.is_empty());
        let is_past = |name: &str| after_prefix(&prefix).is_some_and(|after| name >= after.as_str());
        let expected = name.as_str() > prefix.as_str() && !name.starts_with(&prefix);
        prop_assert_eq!(is_past(&name), expected);
    }
}
