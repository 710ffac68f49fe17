//! The oracle finds bugs of known nature, and makes the histories that show them small.

use broker_oracle::broken::Fault;
use broker_oracle::compare::Comparer;
use broker_oracle::driver::Driver;
use broker_oracle::error::Result;
use broker_oracle::report;
use broker_oracle::run::{Plan, run};
use broker_oracle::subject::{EngineName, Subject};

/// The largest history that still is easy to read.
const SMALL: usize = 6;

/// A failure would mean that a run without differences proves less than it seems to.
#[test]
fn every_seeded_bug_is_found_and_made_small() {
    // Two Swifts at work: most of the time goes into replaying candidates.
    let (some, others) = Fault::ALL.split_at(Fault::ALL.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| find_all(some));
        find_all(others);
    });
}

fn find_all(faults: &[Fault]) {
    if let Err(error) = try_find_all(faults) {
        panic!("{error}");
    }
}

fn try_find_all(faults: &[Fault]) -> Result<()> {
    let mut comparer = Comparer::new(Driver::start()?)?;
    for fault in faults {
        let subjects = [Subject::open(EngineName::Memory)?.with_fault(*fault)];
        let plan = Plan {
            seed: 11,
            operations: 20_000,
            time: None,
        };
        let outcome = run(&mut comparer, &subjects, &plan, |_| {})?;
        let [finding] = &outcome.findings[..] else {
            panic!("{} was not found", fault.as_str());
        };
        let text = report::text(&finding.engine, &finding.history, &finding.difference);
        println!("{text}");
        assert!(
            finding.history.ops.len() <= SMALL,
            "not made small:\n{text}"
        );
    }
    Ok(())
}
