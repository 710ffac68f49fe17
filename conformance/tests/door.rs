//! Every case declares whether HTTP shows what it needs.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use broker_conformance::{cases, door};

const FILE: &str = include_str!("../wire-cases.txt");

#[test]
fn every_case_declares_whether_http_shows_it() {
    let expected: Vec<_> = cases().map(|case| case.name()).collect();
    let declared: Vec<_> = door::declarations().map(|declared| declared.case).collect();
    assert_eq!(
        declared, expected,
        "see the head of conformance/wire-cases.txt for how to write it anew"
    );
}

#[test]
fn every_line_is_understood_and_says_why() {
    let lines = FILE.lines().filter(|line| !line.starts_with('#'));
    for (line, declared) in lines.zip(door::declarations()) {
        let (case, said) = line.split_once(' ').unwrap();
        assert_eq!(case, declared.case);
        let why = said.trim().strip_prefix("no: ");
        assert_eq!(why, declared.lacks, "{line}");
        assert!(why.is_none_or(|why| (4..80).contains(&why.len())), "{line}");
    }
}

#[test]
fn http_shows_something_of_the_core_and_of_concurrency() {
    let shown = door::declarations().filter(|declared| declared.lacks.is_none());
    let shown: Vec<_> = shown.map(|declared| declared.case).collect();
    for module in [
        "listing::",
        "objects::",
        "shown::",
        "goldens::",
        "laws::",
        "concurrent::",
    ] {
        assert!(
            shown.iter().any(|case| case.starts_with(module)),
            "{module}"
        );
    }
}
