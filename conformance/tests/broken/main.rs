//! Proves that the suite can fail: engines with one flaw each, and the clause that finds it.
//!
//! A suite that passes a broken engine certifies nothing. Each test wraps the reference engine so that
//! one promise is broken, runs the cases that cite its clause, and expects one of them to fail.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod wrapper;

use async_trait::async_trait;
use broker_api::Engine;
use broker_conformance::{Level, Options, Report, Scratch, State, Subject, cases, run};
use broker_runtime::RuntimeOptions;
use engine_memory::MemoryDisk;
use std::sync::Arc;
use wrapper::{BrokenEngine, Flaw};

struct Broken(Option<Flaw>);

#[async_trait]
impl Subject for Broken {
    async fn open(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        let disk = match self.0 {
            Some(Flaw::ForgetsWhenClosed) => MemoryDisk::new(),
            _ => scratch.keep(MemoryDisk::new),
        };
        let engine = engine_memory::open(&disk, &RuntimeOptions::default());
        let engine = engine.map_err(|error| error.to_string())?;
        Ok(match self.0 {
            Some(flaw) => Arc::new(BrokenEngine::new(engine, flaw)),
            None => engine,
        })
    }
}

async fn report(flaw: Option<Flaw>, change: impl FnOnce(&mut Options)) -> Report {
    let mut options = Options::new("broken");
    options.claims = vec![
        Level::Replication,
        Level::Reclaim,
        Level::Concurrent,
        Level::Snapshot,
    ];
    change(&mut options);
    run(Arc::new(Broken(flaw)), &options, |_| {}).await
}

/// Runs the cases of a clause against a flaw and expects one to fail.
async fn finds(flaw: Flaw, clause: &str) {
    let of_clause = cases().filter(|case| case.clauses().contains(&clause));
    let names: Vec<_> = of_clause.map(|case| case.name()).collect();
    assert!(!names.is_empty(), "no case cites {clause}");
    let report = report(Some(flaw), |options| {
        options.exact = true;
        options.filters = names;
    })
    .await;
    assert!(
        report.failures().next().is_some(),
        "{flaw:?} broke no case of {clause}"
    );
    assert!(!report.is_success());
}

macro_rules! flaws {
    ($($name:ident: $flaw:ident breaks $clause:literal;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                finds(Flaw::$flaw, $clause).await;
            }
        )+
    };
}

flaws! {
    rows_with_other_numbers_are_found: RenumbersRows breaks "SINCE-1";
    dropped_offsets_are_found: DropsOffsets breaks "OBJECT-MERGE-1";
    shown_tombstones_are_found: ShowsTombstones breaks "LIST-6";
    lost_writes_are_found: LosesWrites breaks "CONCUR-2";
    late_visibility_is_found: HidesLastWrite breaks "INFO-1";
    wrong_hash_is_found: WrongHash breaks "HASH-1";
    wrong_hash_of_accounts_is_found: WrongHash breaks "HASH-2";
    forgetting_when_closed_is_found: ForgetsWhenClosed breaks "ENGINE-7";
    half_batches_are_found: SplitsBatches breaks "CONCUR-1";
    partly_merged_batches_are_found: SplitsBatches breaks "MERGE-1";
    shared_partitions_are_found: SharesPartitions breaks "ENGINE-3";
    inclusive_markers_are_found: InclusiveMarkers breaks "LIST-2";
    shown_reserved_names_are_found: ShowsReserved breaks "LIST-4";
    ignored_paths_are_found: IgnoresPaths breaks "LIST-5";
    early_reclaim_is_found: ReclaimsEarly breaks "RECLAIM-1";
    early_reclaim_of_metadata_is_found: ReclaimsEarly breaks "RECLAIM-3";
    missing_counts_of_reclaim_are_found: CountsNoTombstones breaks "RECLAIM-4";
    lowered_sync_points_are_found: MixesDirections breaks "SYNC-1";
    kept_reports_are_found: KeepsReported breaks "ID-2";
    folded_keys_are_found: FoldsKeys breaks "META-3";
    unchecked_metadata_is_found: ChecksNoMetadata breaks "META-2";
    ignored_policies_are_found: IgnoresMisplaced breaks "SINCE-2";
    low_max_row_is_found: ForgetsHighestNumber breaks "INFO-3";
    lowered_put_timestamps_are_found: ClearsStatus breaks "DELETE-2";
    unstored_marks_are_found: IgnoresMarks breaks "MARK-1";
    remembered_absence_is_found: NeverAbsent breaks "ABSENT-1";
    writing_readers_are_found: IgnoresSkipCommits breaks "READONLY-1";
    wide_removal_is_found: RemovesTooMuch breaks "REMOVE-1";
    normalised_spelling_is_found: NormalisesReports breaks "VALUE-2";
    repeated_pages_are_found: RepeatsStores breaks "ENGINE-4";
    repeated_pages_of_synced_containers_are_found: RepeatsSynced breaks "ENGINE-8";
    unlisting_with_the_store_is_found: UnlistsRemoved breaks "ENGINE-8";
    forgotten_list_of_synced_containers_is_found: ForgetsWhenClosed breaks "ENGINE-8";
}

#[tokio::test(flavor = "multi_thread")]
async fn engine_without_a_flaw_is_certified() {
    let report = report(None, |_| {}).await;
    let failed: Vec<_> = report.failures().collect();
    assert!(report.is_success(), "{failed:?}");
    for level in [
        Level::Core,
        Level::Replication,
        Level::Reclaim,
        Level::Concurrent,
        Level::Snapshot,
    ] {
        assert!(report.is_certified(level), "{level}");
    }
    assert!(!report.is_certified(Level::Durable));
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_decides_the_report_alone() {
    let one = report(None, |options| options.seed = 7).await;
    let other = report(None, |options| options.seed = 7).await;
    assert_eq!(one.to_json(), other.to_json());
}

#[tokio::test(flavor = "multi_thread")]
async fn unclaimed_levels_are_skipped_and_not_certified() {
    let report = report(None, |options| options.claims.clear()).await;
    let skipped = report.totals(Some(Level::Replication));
    assert!(skipped.skip == skipped.cases && skipped.cases > 0);
    assert!(report.is_success() && !report.is_certified(Level::Replication));
}

#[tokio::test(flavor = "multi_thread")]
async fn expected_failures_pass_and_stale_ones_fail() {
    let expect = |case: &str| broker_conformance::ExpectedFailure {
        case: case.to_owned(),
        reason: "a test".to_owned(),
    };
    let name = "marks::each_mark_is_set_alone";
    let chosen = |options: &mut Options| {
        options.filters = vec!["marks::".into()];
        options.expected_failures = vec![expect(name), expect("report_is_stored_unconditionally")];
    };
    let failing = report(Some(Flaw::IgnoresMarks), chosen).await;
    assert!(failing.is_success(), "{failing}");
    assert!(
        failing
            .cases()
            .iter()
            .all(|case| case.state == State::ExpectedFailure)
    );
    let passing = report(None, chosen).await;
    assert!(!passing.is_success());
    assert!(
        passing
            .cases()
            .iter()
            .all(|case| case.state == State::Stale)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn expected_failure_without_a_case_fails_the_run() {
    let report = report(None, |options| {
        options.filters = vec!["marks::".into()];
        options.expected_failures = vec![broker_conformance::ExpectedFailure {
            case: "no_such_case".into(),
            reason: "a test".into(),
        }];
    })
    .await;
    assert!(!report.is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn claim_without_cases_fails_the_run() {
    let report = report(None, |options| options.claims.push(Level::Sharding)).await;
    assert!(!report.is_success() && report.to_string().contains("sharding is claimed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn panics_and_hangs_are_failures() {
    let panicking = report(Some(Flaw::Panics), |options| {
        options.filters = vec!["marks::".into()]
    });
    let panicking = panicking.await;
    let reasons: Vec<_> = panicking
        .failures()
        .map(|case| case.reason.as_str())
        .collect();
    assert!(
        reasons.len() == 2 && reasons.iter().all(|r| r.starts_with("panicked:")),
        "{reasons:?}"
    );
    let hanging = report(Some(Flaw::Hangs), |options| {
        options.filters = vec!["marks::".into()];
        options.case_timeout = std::time::Duration::from_millis(200);
    })
    .await;
    let reasons: Vec<_> = hanging
        .failures()
        .map(|case| case.reason.as_str())
        .collect();
    assert!(
        reasons.len() == 2 && reasons.iter().all(|r| r.contains("running")),
        "{reasons:?}"
    );
}
