//! Every clause is in the contract's text, in the documentation of the traits, and in a case.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use broker_conformance::{Level, cases, contract};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

type Clauses = BTreeSet<String>;

/// Numbers of the bullets under `# Contract` in doc comments.
fn documented() -> Clauses {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/broker-api/src");
    let mut found = Clauses::new();
    for entry in fs::read_dir(sources).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut in_contract = false;
        for line in text.lines() {
            let line = line.trim_start();
            let Some(doc) = line
                .strip_prefix("///")
                .or_else(|| line.strip_prefix("//!"))
            else {
                in_contract = false;
                continue;
            };
            match doc.trim() {
                "# Contract" => in_contract = true,
                heading if heading.starts_with("# ") => in_contract = false,
                bullet if in_contract && bullet.starts_with("- ") => {
                    let (number, _) = bullet[2..].split_once(':').unwrap();
                    assert!(
                        found.insert(number.to_owned()),
                        "{number} is documented twice"
                    );
                }
                _ => {}
            }
        }
    }
    found
}

fn cited() -> Clauses {
    cases()
        .flat_map(|case| case.clauses().iter().map(|clause| clause.to_string()))
        .collect()
}

fn written() -> Clauses {
    let numbers: Vec<_> = contract::clause_numbers().collect();
    let set: Clauses = numbers.iter().map(|number| number.to_string()).collect();
    assert_eq!(
        numbers.len(),
        set.len(),
        "a number is used twice in contract.md"
    );
    set
}

#[track_caller]
fn assert_same(one: (&str, &Clauses), other: (&str, &Clauses)) {
    let only_one: Vec<_> = one.1.difference(other.1).collect();
    let only_other: Vec<_> = other.1.difference(one.1).collect();
    assert!(
        only_one.is_empty() && only_other.is_empty(),
        "only in {}: {only_one:?}; only in {}: {only_other:?}",
        one.0,
        other.0
    );
}

#[test]
fn clauses_of_text_traits_and_cases_are_the_same() {
    let written = written();
    assert!(
        written.len() > 50,
        "the text of the contract was not understood"
    );
    assert_same(("contract.md", &written), ("trait docs", &documented()));
    assert_same(("contract.md", &written), ("cases", &cited()));
}

#[test]
fn every_clause_has_a_text() {
    for number in contract::clause_numbers() {
        assert!(
            contract::clause_text(number).is_some_and(|text| text.len() > 20),
            "{number}"
        );
    }
}

#[test]
fn names_of_cases_are_unique_statements() {
    let mut names = BTreeSet::new();
    for case in cases() {
        assert!(names.insert(case.name()), "{} is there twice", case.name());
        let function = case.function_name();
        assert!(
            !function.starts_with("test_") && function.contains('_'),
            "{function}"
        );
        assert!(
            !case.doc().is_empty() && !case.clauses().is_empty(),
            "{function}"
        );
    }
}

#[test]
fn levels_with_cases_are_those_that_can_be_claimed() {
    let levels: BTreeSet<_> = cases().map(|case| case.level()).collect();
    let expected = [
        Level::Core,
        Level::Replication,
        Level::Reclaim,
        Level::Concurrent,
        Level::Snapshot,
        Level::Durable,
    ];
    assert_eq!(levels, BTreeSet::from(expected));
}

/// The table of clauses and cases in COMPAT.md, as it must be.
fn compat_table() -> String {
    let mut table = String::from("| clause | cases |\n|---|---|\n");
    for clause in contract::clause_numbers() {
        let citing = cases().filter(|case| case.clauses().contains(&clause));
        let names: Vec<_> = citing.map(|case| format!("`{}`", case.name())).collect();
        table.push_str(&format!("| {clause} | {} |\n", names.join(", ")));
    }
    table
}

/// Run with `APUS_BLESS=1` to write the table anew.
#[test]
fn compat_lists_the_cases_of_every_clause() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("COMPAT.md");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- cases: begin -->\n", "<!-- cases: end -->");
    let (head, rest) = text.split_once(begin).unwrap();
    let (table, tail) = rest.split_once(end).unwrap();
    let expected = compat_table();
    if std::env::var_os("APUS_BLESS").is_some() {
        fs::write(&path, format!("{head}{begin}{expected}{end}{tail}")).unwrap();
        return;
    }
    assert_eq!(
        table, expected,
        "run this test with APUS_BLESS=1 and review the change"
    );
}

/// Cases that COMPAT.md names must exist, and clauses too.
#[test]
fn compat_names_only_what_exists() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("COMPAT.md")).unwrap();
    let names: BTreeSet<_> = cases().map(|case| case.name()).collect();
    let quoted = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains("::"));
    for name in quoted {
        assert!(names.contains(name), "there is no case {name}");
    }
    for number in 1..=17 {
        assert!(
            text.contains(&format!("\n| {number} |")),
            "quirk {number} is not listed"
        );
    }
}
