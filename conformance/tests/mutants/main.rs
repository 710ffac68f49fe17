//! Proves that the suite can fail: engines with one flaw each, and the cases that find it.
//!
//! A suite that passes a broken engine certifies nothing. Every clause of the contract has mutants: the
//! reference engine, or for kills the one over Swift's files, wrapped so that it breaks a promise. The
//! cases that cite the clause are run against it, one after the other, until one fails. A mutant that no
//! case kills is a weak case, and fails this test unless it is listed with a reason.
//!
//! ```text
//! cargo test --release -p broker-conformance --test mutants                  all, compared with the report
//! cargo test --release -p broker-conformance --test mutants -- LIST-3        those of a clause or a name
//! APUS_BLESS=1 cargo test --release -p broker-conformance --test mutants     writes the report anew
//! ```

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod batches;
mod concurrent;
mod containers;
mod copies;
mod creation;
mod deleting;
mod departure;
mod durable;
mod engine;
mod facts;
mod flaw;
mod life;
mod life_mark;
mod listing;
mod listing_filters;
mod metadata;
mod mutant;
mod objects;
mod overlapping;
mod reclaim;
mod reopen;
mod replication;
mod report;
mod restoring;
mod rows;
mod run;
mod snapshot;
mod store;
mod timestamps;
mod world;

use mutant::Mutant;
use std::process::ExitCode;

/// Every mutant of the suite.
fn mutants() -> impl Iterator<Item = &'static Mutant> {
    let files = [
        engine::MUTANTS,
        departure::MUTANTS,
        reopen::MUTANTS,
        life::MUTANTS,
        creation::MUTANTS,
        facts::MUTANTS,
        deleting::MUTANTS,
        timestamps::MUTANTS,
        metadata::MUTANTS,
        objects::MUTANTS,
        batches::MUTANTS,
        containers::MUTANTS,
        rows::MUTANTS,
        listing::MUTANTS,
        listing_filters::MUTANTS,
        replication::MUTANTS,
        reclaim::MUTANTS,
        snapshot::MUTANTS,
        restoring::MUTANTS,
        concurrent::MUTANTS,
        overlapping::MUTANTS,
        durable::MUTANTS,
    ];
    files.into_iter().flatten()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        mutants().for_each(|mutant| println!("{}: test", mutant.name));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<_> = arguments
        .into_iter()
        .filter(|a| !a.starts_with('-'))
        .collect();
    let is_chosen = |mutant: &&Mutant| {
        let matches = |filter: &String| {
            mutant.name.contains(filter.as_str()) || mutant.breaks.contains(&filter.as_str())
        };
        filters.is_empty() || filters.iter().any(matches)
    };
    let chosen: Vec<_> = mutants().filter(is_chosen).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let verdicts = runtime.block_on(run::judge_all(chosen));
    let complaints = report::complaints(&verdicts, filters.is_empty());
    print!("{}", report::summary(&verdicts));
    for complaint in &complaints {
        eprintln!("error: {complaint}");
    }
    match complaints.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
