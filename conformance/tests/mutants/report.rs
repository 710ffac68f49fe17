//! The kill rate: compared with what is checked in, or written anew.

use crate::mutant::SURVIVORS;
use crate::run::Verdict;
use broker_conformance::{cases, contract};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The share of mutants that must be killed, in per cent.
const REQUIRED: f64 = 95.0;

fn percent(part: usize, whole: usize) -> f64 {
    (1000.0 * part as f64 / whole.max(1) as f64).round() / 10.0
}

fn rate(verdicts: &[Verdict]) -> (usize, usize, f64) {
    let killed = verdicts
        .iter()
        .filter(|verdict| verdict.is_killed())
        .count();
    (killed, verdicts.len(), percent(killed, verdicts.len()))
}

/// What a person reads.
pub(crate) fn summary(verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    for verdict in verdicts.iter().filter(|verdict| !verdict.is_killed()) {
        let name = verdict.mutant.name;
        for (clause, _) in verdict
            .killers
            .iter()
            .filter(|(_, killer)| killer.is_none())
        {
            text.push_str(&format!(
                "survives {clause}: {name}, {}\n",
                verdict.mutant.what()
            ));
        }
    }
    let (killed, all, percent) = rate(verdicts);
    text.push_str(&format!("kill rate: {killed} of {all} ({percent} %)\n"));
    text
}

/// What is wrong with the verdicts; `whole` when they are of all mutants.
pub(crate) fn complaints(verdicts: &[Verdict], whole: bool) -> Vec<String> {
    let reason = |verdict: &Verdict| {
        let expected = SURVIVORS
            .iter()
            .find(|(name, _)| *name == verdict.mutant.name);
        expected.map(|(_, reason)| *reason)
    };
    let mut complaints = Vec::new();
    for verdict in verdicts {
        let name = verdict.mutant.name;
        match (verdict.is_killed(), reason(verdict)) {
            (false, None) => complaints.push(format!("{name} survives, and no reason is given")),
            (true, Some(_)) => complaints.push(format!("{name} is killed: it is no survivor")),
            _ => {}
        }
        for clause in verdict.mutant.breaks {
            if !cases().any(|case| case.clauses().contains(clause)) {
                complaints.push(format!("{name} breaks {clause}, which no case cites"));
            }
        }
    }
    if whole {
        complaints.extend(complaints_of_all(verdicts));
    }
    complaints
}

fn complaints_of_all(verdicts: &[Verdict]) -> Vec<String> {
    let mut complaints = Vec::new();
    for clause in contract::clause_numbers() {
        if !verdicts
            .iter()
            .any(|verdict| verdict.mutant.breaks.contains(&clause))
        {
            complaints.push(format!("{clause} has no mutant"));
        }
    }
    for (name, _) in SURVIVORS {
        if !verdicts.iter().any(|verdict| verdict.mutant.name == *name) {
            complaints.push(format!("the survivor {name} is no mutant"));
        }
    }
    let (killed, all, percent) = rate(verdicts);
    if percent < REQUIRED {
        complaints.push(format!(
            "{killed} of {all} is less than {REQUIRED} per cent"
        ));
    }
    complaints.extend(compare(&as_json(verdicts)));
    complaints
}

/// One entry for each clause, with its mutants and the cases that killed them.
fn as_json(verdicts: &[Verdict]) -> String {
    let of_clause = |clause: &str| -> Vec<Value> {
        let breaking = verdicts.iter().flat_map(|verdict| {
            let killers = verdict.killers.iter();
            killers
                .filter(|(broken, _)| *broken == clause)
                .map(move |(_, killer)| (verdict, killer))
        });
        let entry = |(verdict, killer): (&Verdict, &Option<String>)| {
            json!({
                "name": verdict.mutant.name,
                "flaw": verdict.mutant.what(),
                "killed_by": killer,
            })
        };
        breaking.map(entry).collect()
    };
    let clauses = contract::clause_numbers();
    let clauses = clauses.map(|clause| json!({"clause": clause, "mutants": of_clause(clause)}));
    let (killed, all, percent) = rate(verdicts);
    let report = json!({
        "contract": broker_api::contract::VERSION,
        "mutants": all,
        "killed": killed,
        "percent": percent,
        "clauses": clauses.collect::<Vec<_>>(),
    });
    format!("{report:#}\n")
}

fn compare(made: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("mutants.json");
    if std::env::var_os("APUS_BLESS").is_some() {
        std::fs::write(&path, made).unwrap();
        return None;
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    (checked_in != made)
        .then(|| "mutants.json is another: run 'make mutants' and review the change".to_owned())
}
