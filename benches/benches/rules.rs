//! What the rules cost that every engine runs for every row: what is left of a broker without a store.
//!
//! `cargo bench --package broker-bench --bench rules`, and a part of its name to choose.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a bench fails by panicking"
)]

use broker_api::listing::{ListingDriver, ListingQuery, Shown, Step};
use broker_api::merge::{merge_container, merge_object};
use broker_api::{
    ContainerRecord, ContainerRow, ObjectRecord, ObjectRow, ObjectTimestamps, PolicyIndex,
    RollingHash, RowId, Timestamp, TimestampText,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const ETAG: &str = "d41d8cd98f00b204e9800998ecf8427e";
const NAME: &str = "photos/2024/folder-0123/image-00001234";

fn put(seconds: u64) -> ObjectRecord {
    ObjectRecord::put(
        NAME,
        Timestamp::from_seconds(seconds),
        123_456,
        "image/jpeg",
        ETAG,
    )
}

fn stored(record: &ObjectRecord) -> ObjectRow {
    merge_object(None, record).unwrap().unwrap()
}

/// What wins when a record meets a row.
fn merging(c: &mut Criterion) {
    let mut group = c.benchmark_group("merge");
    let row = stored(&put(1_700_000_000));
    let mut post = put(1_700_000_000);
    post.meta_timestamp = Some(Timestamp::from_seconds(1_700_000_009));
    for (case, stored, record) in [
        ("a new object", None, put(1_700_000_000)),
        ("a newer object over a row", Some(&row), put(1_700_000_001)),
        ("an older object over a row", Some(&row), put(1_600_000_000)),
        ("new metadata over a row", Some(&row), post),
    ] {
        group.bench_function(case, |b| {
            b.iter(|| merge_object(black_box(stored), black_box(&record)).unwrap());
        });
    }
    let (at, never) = (
        Timestamp::from_seconds(1_700_000_000),
        TimestampText::never(),
    );
    let report = ContainerRecord::report("c", at.into(), never, 3, 30, PolicyIndex(0));
    let row: ContainerRow = merge_container(None, &report).unwrap();
    group.bench_function("a report over a container's row", |b| {
        b.iter(|| merge_container(black_box(Some(&row)), black_box(&report)).unwrap());
    });
    group.finish();
}

/// How rows are counted into the hash.
fn hashing(c: &mut Criterion) {
    let hash = RollingHash::default();
    c.bench_function("hash/a row toggled", |b| {
        b.iter(|| black_box(hash).toggled(black_box(NAME), black_box("1700000000.12345")));
    });
}

/// Times on their way from and to text.
fn times(c: &mut Criterion) {
    let mut group = c.benchmark_group("timestamp");
    let text = "1700000000.12345";
    let at = Timestamp::parse(text).unwrap();
    group.bench_function("parse", |b| {
        b.iter(|| Timestamp::parse(black_box(text)).unwrap())
    });
    group.bench_function("internal", |b| b.iter(|| black_box(at).internal()));
    group.bench_function("isoformat", |b| b.iter(|| black_box(at).isoformat()));
    let mut times = ObjectTimestamps::all(at);
    times.metadata = Timestamp::from_seconds(1_700_000_100);
    let encoded = times.encode();
    group.bench_function("encode three", |b| b.iter(|| black_box(&times).encode()));
    group.bench_function("decode three", |b| {
        b.iter(|| ObjectTimestamps::decode(black_box(&encoded)).unwrap());
    });
    group.finish();
}

/// Shows the names to a listing, as an engine's scan does, and says how many entries came of it.
fn listed(query: &ListingQuery, names: &[String]) -> usize {
    let mut driver = ListingDriver::new(query).unwrap();
    let (mut entries, mut next) = (0, 0);
    while let Some(name) = names.get(next) {
        let (shown, step) = driver.visit(name);
        entries += usize::from(shown != Shown::Hidden);
        next = match step {
            Step::Next => next + 1,
            Step::Stop => break,
            Step::Seek(bound) => {
                let is_before = |name: &String| match &bound {
                    std::ops::Bound::Included(low) => name < low,
                    std::ops::Bound::Excluded(low) => name <= low,
                    std::ops::Bound::Unbounded => false,
                };
                next + names[next..].partition_point(is_before)
            }
        };
    }
    entries
}

/// What makes a listing of names in order.
fn listings(c: &mut Criterion) {
    let names: Vec<_> = (0..10_000)
        .map(|i| format!("photos/folder-{:04}/image-{i:08}", i / 10))
        .collect();
    let mut group = c.benchmark_group("listing of 10,000 names");
    group.throughput(Throughput::Elements(names.len() as u64));
    let plain = ListingQuery::new(10_000);
    assert_eq!(listed(&plain, &names), 10_000);
    group.bench_function("plain", |b| b.iter(|| listed(black_box(&plain), &names)));
    let mut rolled_up = plain.clone();
    rolled_up.prefix = "photos/".into();
    rolled_up.delimiter = "/".into();
    assert_eq!(listed(&rolled_up, &names), 1_000);
    group.bench_function("1,000 subdirs", |b| {
        b.iter(|| listed(black_box(&rolled_up), &names))
    });
    group.finish();
}

/// What a row costs between its store and its reader.
fn rows(c: &mut Criterion) {
    let mut row = stored(&put(1_700_000_000));
    row.row_id = RowId(7);
    c.bench_function("row/to a record", |b| {
        b.iter_batched(|| row.clone(), |row| row.to_record(), BatchSize::SmallInput);
    });
}

criterion_group!(rules, merging, hashing, times, listings, rows);
criterion_main!(rules);
