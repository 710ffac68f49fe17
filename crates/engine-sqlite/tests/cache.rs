//! Large stores keep more pages in memory, as long as there is room.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::listing::{NameRange, Step};
use broker_api::{BrokerOptions, DeletedFilter, PolicyFilter};
use broker_runtime::ops;
use broker_runtime::sync::{Access, ContainerStore, ObjectFilter, Store, SyncEngine};
use common::{container_at, new_container, object};
use engine_sqlite::{Container, SqliteEngine, SqliteOptions, SqliteStore};
use std::ops::Bound;

/// Table and index take about 5 MB.
const ROWS: usize = 60_000;

/// A listing of the whole container, and how often it read the file.
fn reads_of_a_listing(store: &mut SqliteStore<Container>) -> u64 {
    let before = sqlite_nowait::reads();
    let everything = NameRange {
        lower: Bound::Unbounded,
        upper: Bound::Unbounded,
        reverse: false,
    };
    let live = ObjectFilter {
        policy: PolicyFilter::Own,
        deleted: DeletedFilter::Live,
        since_row: None,
    };
    let mut rows = 0;
    store
        .begin(Access::Read, &BrokerOptions::default())
        .unwrap();
    store
        .scan(&everything, &live, &mut |_| {
            rows += 1;
            Step::Next
        })
        .unwrap();
    store.commit().unwrap();
    assert_eq!(rows, ROWS);
    sqlite_nowait::reads() - before
}

fn engine(dir: &std::path::Path, page_cache_mb: u64) -> SqliteEngine {
    let mut options = SqliteOptions::new(dir).with_mount_check(false);
    options.page_cache_mb = page_cache_mb;
    SqliteEngine::new(options)
}

#[test]
fn what_a_large_listing_read_is_kept_while_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let (location, options) = (container_at("c"), BrokerOptions::default());
    let roomy = engine(dir.path(), 16);
    roomy
        .create_container(&location, &new_container("c"), &options)
        .unwrap();
    let records: Vec<_> = (0..ROWS)
        .map(|n| object(&format!("object-{n:05}"), 5))
        .collect();
    let mut writer = engine(dir.path(), 0)
        .open_container(&location)
        .unwrap()
        .unwrap();
    writer.begin(Access::Write, &options).unwrap();
    ops::merge_objects(&mut writer, &records, None).unwrap();
    writer.commit().unwrap();

    let open = |engine: &SqliteEngine| engine.open_container(&location).unwrap().unwrap();
    let mut first = open(&roomy);
    let cold = reads_of_a_listing(&mut first);
    assert!(cold > 1000, "{cold} reads");
    // It gets its share after the second, and has kept 2 MiB of that, the last read.
    assert!(reads_of_a_listing(&mut first) > 1000);
    assert!(reads_of_a_listing(&mut first) > 100);
    let warm = reads_of_a_listing(&mut first);
    assert!(warm < 10, "{warm} reads");

    let mut second = open(&roomy);
    for _ in 0..3 {
        assert!(
            reads_of_a_listing(&mut second) > 1000,
            "the first has the only share"
        );
    }
    drop(first);
    reads_of_a_listing(&mut second);
    reads_of_a_listing(&mut second);
    assert!(
        reads_of_a_listing(&mut second) < 10,
        "the share was given back"
    );
}
