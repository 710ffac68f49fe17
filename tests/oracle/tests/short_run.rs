//! Short differential runs on the engines of this repository: fixed seeds, and one that is new each time.

use broker_oracle::compare::Comparer;
use broker_oracle::driver::Driver;
use broker_oracle::error::Result;
use broker_oracle::exclusions::is_excluded;
use broker_oracle::report;
use broker_oracle::rng::{Rng, history_seed};
use broker_oracle::run::{Plan, run};
use broker_oracle::subject::{EngineName, Subject};
use broker_oracle::valid::is_valid;
use broker_oracle::{generate, op::History};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

const SEEDS: [u64; 2] = [1, 20_250];
const OPERATIONS: u64 = 6_000;
const TIME: Duration = Duration::from_secs(25);

fn answers_as_swift_does(engine: EngineName) {
    match differences(engine) {
        Ok(texts) => assert!(texts.is_empty(), "{}", texts.join("\n")),
        Err(error) => panic!("{error}"),
    }
}

fn differences(engine: EngineName) -> Result<Vec<String>> {
    let mut comparer = Comparer::new(Driver::start()?)?;
    let subjects = [Subject::open(engine)?];
    let fresh = RandomState::new().hash_one(engine.as_str());
    println!("fresh seed {fresh}");
    let mut texts = Vec::new();
    for seed in SEEDS.into_iter().chain([fresh]) {
        let plan = Plan {
            seed,
            operations: OPERATIONS,
            time: Some(TIME),
        };
        let outcome = run(&mut comparer, &subjects, &plan, |_| {})?;
        assert!(outcome.operations > 0, "nothing was played");
        texts.extend(
            outcome.findings.iter().map(|finding| {
                report::text(&finding.engine, &finding.history, &finding.difference)
            }),
        );
    }
    Ok(texts)
}

/// A failure would mean that the reference engine, and with it the contract, is not what Swift does.
#[test]
fn memory_answers_as_swift_does() {
    answers_as_swift_does(EngineName::Memory);
}

/// A failure would mean that engines over ordered keys are not what Swift is.
#[test]
fn sled_answers_as_swift_does() {
    answers_as_swift_does(EngineName::Sled);
}

/// A failure would mean that replicas of one container diverge in a cluster with both kinds of node.
#[test]
fn sqlite_answers_as_swift_does() {
    answers_as_swift_does(EngineName::Sqlite);
}

/// A failure would mean that a printed seed does not show its difference again.
#[test]
fn seeds_replay_identically() {
    for index in 0..50 {
        let seed = history_seed(7, index);
        let make = || generate::history(seed, 100);
        assert_eq!(make(), make());
        let text = serde_json::to_string(&make()).unwrap();
        assert_eq!(serde_json::from_str::<History>(&text).unwrap(), make());
    }
}

/// A failure would mean that runs end in differences that were decided long ago.
#[test]
fn histories_keep_to_the_exclusions() {
    let mut rng = Rng::new(3);
    for _ in 0..200 {
        let history = generate::history(rng.bits(), 200);
        assert!(!is_excluded(&history), "seed {}", history.seed);
        let invalid = history.ops.iter().find(|op| !is_valid(op));
        assert_eq!(invalid, None, "seed {}", history.seed);
    }
}
