//! The runner itself: states of cases, claims, exceptions, seeds, panics and hangs.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use broker_api::{Engine, Result};
use broker_conformance::{
    ExpectedFailure, Level, Options, Report, Scratch, State, Subject, cases, run,
};
use broker_layers::{Answer, Call, Layer, Layered, Target, Visitor};
use broker_runtime::RuntimeOptions;
use engine_memory::MemoryDisk;
use std::sync::Arc;
use std::time::Duration;

/// What an engine does when it is asked to set marks.
#[derive(Debug, Clone, Copy)]
enum Marks {
    AreSet,
    AreIgnored,
    Panic,
    Hang,
}

impl Layer for Marks {
    async fn play(&self, target: &Target, call: Call, visitor: Visitor) -> Result<Answer> {
        match (self, &call) {
            (Marks::AreIgnored, Call::SetMarks(_)) => return Ok(().into()),
            (Marks::Panic, Call::SetMarks(_)) => panic!("a flaw of the engine"),
            (Marks::Hang, Call::SetMarks(_)) => std::future::pending().await,
            _ => {}
        }
        target.play(call, visitor).await
    }
}

#[async_trait]
impl Subject for Marks {
    async fn open(&self, scratch: &Scratch) -> std::result::Result<Arc<dyn Engine>, String> {
        let engine =
            engine_memory::open(&scratch.keep(MemoryDisk::new), &RuntimeOptions::default());
        Ok(Layered::over(
            engine.map_err(|error| error.to_string())?,
            *self,
        ))
    }
}

async fn report(marks: Marks, change: impl FnOnce(&mut Options)) -> Report {
    let mut options = Options::new("marks");
    options.claims = vec![Level::Replication, Level::Reclaim, Level::Concurrent];
    change(&mut options);
    run(Arc::new(marks), &options, |_| {}).await
}

fn only_marks(options: &mut Options) {
    options.filters = vec!["marks::".into()];
}

fn reasons(report: &Report) -> Vec<&str> {
    let failures = report.failures();
    failures.map(|case| case.reason.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_without_a_flaw_is_certified() {
    let report = report(Marks::AreSet, |_| {}).await;
    assert!(report.is_success(), "{:?}", reasons(&report));
    let claimed = [
        Level::Core,
        Level::Replication,
        Level::Reclaim,
        Level::Concurrent,
    ];
    for level in claimed {
        assert!(report.is_certified(level), "{level}");
    }
    assert!(!report.is_certified(Level::Durable));
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_with_a_flaw_is_not_certified() {
    let report = report(Marks::AreIgnored, only_marks).await;
    assert!(!report.is_success() && !report.is_certified(Level::Core));
    assert_eq!(reasons(&report).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_decides_the_report_alone() {
    let one = report(Marks::AreSet, |options| options.seed = 7).await;
    let other = report(Marks::AreSet, |options| options.seed = 7).await;
    assert_eq!(one.to_json(), other.to_json());
}

#[tokio::test(flavor = "multi_thread")]
async fn unclaimed_levels_are_skipped_and_not_certified() {
    let report = report(Marks::AreSet, |options| options.claims.clear()).await;
    let skipped = report.totals(Some(Level::Replication));
    assert!(skipped.skip == skipped.cases && skipped.cases > 0);
    assert!(report.is_success() && !report.is_certified(Level::Replication));
}

#[tokio::test(flavor = "multi_thread")]
async fn expected_failures_pass_and_stale_ones_fail() {
    let expect = |case: &str| ExpectedFailure {
        case: case.to_owned(),
        reason: "a test".to_owned(),
    };
    let name = "marks::each_mark_is_set_alone";
    let chosen = |options: &mut Options| {
        only_marks(options);
        options.expected_failures = vec![expect(name), expect("report_is_stored_unconditionally")];
    };
    let all_are = |report: &Report, state| report.cases().iter().all(|case| case.state == state);
    let failing = report(Marks::AreIgnored, chosen).await;
    assert!(failing.is_success(), "{failing}");
    assert!(all_are(&failing, State::ExpectedFailure));
    let passing = report(Marks::AreSet, chosen).await;
    assert!(!passing.is_success());
    assert!(all_are(&passing, State::Stale));
}

#[tokio::test(flavor = "multi_thread")]
async fn expected_failure_without_a_case_fails_the_run() {
    let report = report(Marks::AreSet, |options| {
        only_marks(options);
        options.expected_failures = vec![ExpectedFailure {
            case: "no_such_case".into(),
            reason: "a test".into(),
        }];
    })
    .await;
    assert!(!report.is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_without_cases_fails_the_run() {
    let without_cases = |level: &&Level| !cases().any(|case| case.level() == **level);
    let level = *Level::ALL.iter().find(without_cases).unwrap();
    let report = report(Marks::AreSet, |options| options.claims.push(level)).await;
    let complaint = format!("{level} is claimed");
    assert!(!report.is_success() && report.to_string().contains(&complaint));
}

#[tokio::test(flavor = "multi_thread")]
async fn panics_are_failures() {
    let report = report(Marks::Panic, only_marks).await;
    let reasons = reasons(&report);
    let all = reasons.iter().all(|reason| reason.starts_with("panicked:"));
    assert!(reasons.len() == 2 && all, "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hangs_are_failures() {
    let report = report(Marks::Hang, |options| {
        only_marks(options);
        options.case_timeout = Duration::from_millis(200);
    })
    .await;
    let reasons = reasons(&report);
    let all = reasons.iter().all(|reason| reason.contains("running"));
    assert!(reasons.len() == 2 && all, "{reasons:?}");
}
