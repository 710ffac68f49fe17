//! The pending file: what is left out, what is kept, and in what order things become durable.
#![allow(clippy::unwrap_used)]

mod common;

use base64::Engine as _;
use broker_api::{
    BrokerOptions, ContainerBrokerExt, ContainerRecord, MergeOptions, ObjectTimestamps,
    PolicyIndex, RowFilter, RowId, TimestampText,
};
use common::*;
use std::fs;

fn append(path: &std::path::Path, bytes: &[u8]) {
    let mut whole = fs::read(path).unwrap_or_default();
    whole.extend_from_slice(bytes);
    fs::write(path, whole).unwrap();
}

fn entry(pickled: &[u8]) -> Vec<u8> {
    let base64 = base64::engine::general_purpose::STANDARD.encode(pickled);
    format!(":{base64}").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn put_is_one_entry_in_the_file_until_it_is_read() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    broker.put_object(object("o", 5)).await.unwrap();
    let path = bench.pending_of(&container_at("c"));
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.starts_with(b":gAIo"), "{bytes:?}");
    assert_eq!(broker.get_info().await.unwrap().object_count(), 1);
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
}

/// One record that cannot be read must not keep all others from being merged.
#[tokio::test(flavor = "multi_thread")]
async fn bad_entries_are_left_out_and_the_rest_is_merged() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let path = bench.pending_of(&container_at("c"));
    append(&path, b":not base64!:");
    append(&path, &entry(b"no pickle"));
    append(&path, &entry(b"cos\nsystem\n(S'false'\ntR."));
    append(
        &path,
        &entry(b"(X\x01\0\0\0oX\x03\0\0\0badK\x01X\0\0\0\0X\0\0\0\0K\0t."),
    );
    append(
        &path,
        &entry(b"(X\x01\0\0\0aX\x01\0\0\x005K\x01X\0\0\0\0X\0\0\0\0K\0t."),
    );
    broker.put_object(object("b", 5)).await.unwrap();
    let rows = broker
        .items_since(RowId::NONE, 10, RowFilter::All)
        .await
        .unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(rows[0].created_at, "0000000005.00000");
}

/// A writer that was killed in the middle of an append leaves half an entry.
#[tokio::test(flavor = "multi_thread")]
async fn torn_tail_is_left_out_and_later_entries_are_kept() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    broker.put_object(object("a", 5)).await.unwrap();
    broker.put_object(object("torn", 5)).await.unwrap();
    let path = bench.pending_of(&container_at("c"));
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    broker.put_object(object("b", 5)).await.unwrap();
    let rows = broker
        .items_since(RowId::NONE, 10, RowFilter::All)
        .await
        .unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

/// Killed between commit and truncation, the same records are merged again.
#[tokio::test(flavor = "multi_thread")]
async fn merging_the_same_entries_twice_changes_no_object() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    for i in 0..20 {
        broker
            .put_object(object(&format!("o{i}"), 5))
            .await
            .unwrap();
    }
    let path = bench.pending_of(&container_at("c"));
    let bytes = fs::read(&path).unwrap();
    let before = broker.get_info().await.unwrap();
    fs::write(&path, bytes).unwrap();
    assert_eq!(broker.get_info().await.unwrap(), before);
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
}

/// Records are forgotten only once they are committed.
#[tokio::test(flavor = "multi_thread")]
async fn entries_stay_when_the_merge_fails() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    broker.put_object(object("a", 5)).await.unwrap();
    let db = bench.db_of(&container_at("c"));
    let path = bench.pending_of(&container_at("c"));
    let size = fs::metadata(&path).unwrap().len();
    let other = rusqlite::Connection::open(db).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut options = BrokerOptions::default();
    options.timeout = std::time::Duration::from_millis(30);
    let impatient = bench.engine.container(&container_at("c"), &options);
    impatient.get_info().await.unwrap_err();
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
    options.stale_reads_ok = true;
    // Who needs no row numbers needs no commit either.
    let client = bench.engine.container(&container_at("c"), &options);
    assert_eq!(client.get_info().await.unwrap().object_count(), 1);
    options.skip_commits = true;
    let skipping = bench.engine.container(&container_at("c"), &options);
    assert_eq!(skipping.get_info().await.unwrap().object_count(), 0);
    drop(other);
    assert_eq!(broker.get_info().await.unwrap().object_count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn full_file_is_merged_with_the_put_that_finds_it_full() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let path = bench.pending_of(&container_at("c"));
    broker.put_object(object("first", 5)).await.unwrap();
    let padding = 131_072 - fs::metadata(&path).unwrap().len();
    append(&path, &vec![b':'; padding as usize]);
    // Nobody can merge it in good time.
    let other = rusqlite::Connection::open(bench.db_of(&container_at("c"))).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Exactly at the cap still appends.
    broker.put_object(object("second", 5)).await.unwrap();
    assert!(fs::metadata(&path).unwrap().len() > 131_072);
    let third = tokio::spawn(async move {
        broker.put_object(object("third", 5)).await.unwrap();
        broker
    });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!third.is_finished());
    other.execute_batch("COMMIT").unwrap();
    let broker = third.await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    assert_eq!(broker.get_info().await.unwrap().object_count(), 3);
}

/// A stored row that does not decode blocks its own merges and no others.
#[tokio::test(flavor = "multi_thread")]
async fn record_that_cannot_be_merged_is_dropped_alone() {
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let records = vec![object("bad", 5), object("good", 5)];
    broker
        .merge_items(records, MergeOptions::default())
        .await
        .unwrap();
    {
        let conn = rusqlite::Connection::open(bench.db_of(&container_at("c"))).unwrap();
        conn.execute_batch(
            "DROP TRIGGER object_update; UPDATE object SET created_at = 'x' WHERE name = 'bad';",
        )
        .unwrap();
    }
    for name in ["bad", "good", "new"] {
        broker.put_object(object(name, 6)).await.unwrap();
    }
    let rows = broker
        .items_since(RowId(2), 10, RowFilter::All)
        .await
        .unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["good", "new"]);
}

/// Buffering must not change the outcome of a merge, odd offsets included.
#[tokio::test(flavor = "multi_thread")]
async fn buffered_and_merged_records_give_the_same_rows() {
    let bench = Bench::new();
    let buffered = bench.new_container("c").await;
    let merged = bench.new_container("d").await;
    let offset = at(5).with_added_offset(1).unwrap();
    let mut records = Vec::new();
    for (i, times) in [
        ObjectTimestamps {
            data: at(5),
            content_type: offset,
            metadata: offset,
        },
        ObjectTimestamps {
            data: offset,
            content_type: at(5),
            metadata: at(7),
        },
        ObjectTimestamps {
            data: at(5),
            content_type: at(6),
            metadata: at(4),
        },
    ]
    .into_iter()
    .enumerate()
    {
        for ctype in [None, Some(offset), Some(at(8))] {
            for meta in [None, Some(offset), Some(at(9))] {
                let mut record = object(&format!("o{}", i % 2), 5);
                record.created_at = times;
                record.ctype_timestamp = ctype;
                record.meta_timestamp = meta;
                record.content_type = format!("text/{}", records.len());
                records.push(record);
            }
        }
    }
    for record in records {
        buffered.put_object(record.clone()).await.unwrap();
        merged
            .merge_items(vec![record], MergeOptions::default())
            .await
            .unwrap();
    }
    let rows = |mut rows: Vec<broker_api::ObjectRow>| {
        rows.iter_mut().for_each(|row| row.row_id = RowId::NONE);
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    };
    let all = RowFilter::All;
    let buffered = buffered.items_since(RowId::NONE, 100, all).await.unwrap();
    let merged = merged.items_since(RowId::NONE, 100, all).await.unwrap();
    assert_eq!(rows(buffered), rows(merged));
}

/// Swift's account server hands over what the header said: text.
#[tokio::test(flavor = "multi_thread")]
async fn container_records_with_numbers_as_text_are_merged() {
    let bench = Bench::new();
    let broker = bench.new_account().await;
    let pickled = b"(X\x01\0\0\0cX\x01\0\0\x005X\x01\0\0\x000X\x01\0\0\x007X\x02\0\0\x0070K\0X\x01\0\0\x001t.";
    append(&bench.pending_of(&account_at()), &entry(pickled));
    let rows = broker.items_since(RowId::NONE, 10).await.unwrap();
    let wanted = ContainerRecord::report(
        "c",
        TimestampText::parse("5").unwrap(),
        TimestampText::never(),
        7,
        70,
        PolicyIndex(1),
    );
    let mut found = rows[0].to_record();
    found.row_id = None;
    assert_eq!(found, wanted);
}
