//! What listings remember of their seeks, in files that others change.
#![allow(clippy::unwrap_used)]

mod common;

use broker_api::{
    BrokerOptions, ContainerBroker, ContainerBrokerExt, ListObjects, ListingQuery, ObjectEntry,
};
use common::*;
use rusqlite::{Connection, ToSql};
use std::sync::Arc;

/// Names of a listing by folders; subdirs have a plus sign in front.
async fn folders(broker: &dyn ContainerBroker) -> Vec<String> {
    let mut names = ListingQuery::new(100);
    names.delimiter = "/".into();
    let page = broker.object_page(&ListObjects::new(names)).await.unwrap();
    let shown = |entry| match entry {
        ObjectEntry::Row(row) => format!("{} {}", row.name, row.size),
        ObjectEntry::Subdir(name) => format!("+{name}"),
    };
    page.into_iter().map(shown).collect()
}

/// A container that holds objects, all of them merged.
async fn holding(bench: &Bench, names: &[&str]) -> Arc<dyn ContainerBroker> {
    let broker = bench.new_container("c").await;
    for name in names {
        broker.put_object(object(name, 5)).await.unwrap();
    }
    let count = broker.get_info().await.unwrap().object_count();
    assert_eq!(count, names.len() as i64);
    broker
}

/// Has another process put an object, whose name need not be a text.
fn put(other: &Connection, name: impl ToSql) {
    let sql = "INSERT INTO object (name, created_at, size, content_type, etag, deleted) VALUES (?, 6, 7, 't', 'e', 0)";
    other.execute(sql, [name]).unwrap();
}

/// A failure would mean that a listing shows what another process changed long ago.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_commits_is_shown_by_the_next_listing() {
    let bench = Bench::new();
    let broker = holding(&bench, &["a/2", "a/3", "c/1", "d", "e/1"]).await;
    let other = connect(&bench.db_of(&container_at("c")));
    let delete = |name: &str| {
        assert_eq!(
            other.execute("DELETE FROM object WHERE name = ?", [name]),
            Ok(1)
        )
    };
    let options = BrokerOptions::for_reading();
    let client = bench.engine.container(&container_at("c"), &options);
    for (change, expected) in [
        (None, "+a/,+c/,d 10,+e/"),
        (Some(("b/1", true)), "+a/,+b/,+c/,d 10,+e/"),
        (Some(("c/1", false)), "+a/,+b/,d 10,+e/"),
        (Some(("b0", true)), "+a/,+b/,b0 7,d 10,+e/"),
        (Some(("b/1", false)), "+a/,b0 7,d 10,+e/"),
        (Some(("a/2", false)), "+a/,b0 7,d 10,+e/"),
        (Some(("a/3", false)), "b0 7,d 10,+e/"),
        (Some(("d", false)), "b0 7,+e/"),
        (Some(("f/1", true)), "b0 7,+e/,+f/"),
    ] {
        match change {
            None => {}
            Some((name, true)) => put(&other, name),
            Some((name, false)) => delete(name),
        }
        for broker in [&broker, &client, &client] {
            assert_eq!(
                folders(&**broker).await.join(","),
                expected,
                "after {change:?}"
            );
        }
    }
}

/// A failure would mean that a listing of folders misses what waits in the pending file, or shows it for ever.
#[tokio::test(flavor = "multi_thread")]
async fn buffered_records_are_laid_over_rows_that_were_sought_before() {
    let bench = Bench::new();
    let broker = holding(&bench, &["a/1", "c/1", "e"]).await;
    let options = BrokerOptions::for_reading();
    let client = bench.engine.container(&container_at("c"), &options);
    assert_eq!(folders(&*client).await, ["+a/", "+c/", "e 10"]);
    broker.put_object(object("b/1", 6)).await.unwrap();
    let gone = broker_api::ObjectRecord::delete("c/1", at(6));
    broker.put_object(gone).await.unwrap();
    let pending = bench.pending_of(&container_at("c"));
    for _ in 0..2 {
        assert_eq!(folders(&*client).await, ["+a/", "+b/", "e 10"]);
        assert!(std::fs::metadata(&pending).unwrap().len() > 0);
    }
    assert_eq!(broker.get_info().await.unwrap().object_count(), 3);
    assert_eq!(folders(&*client).await, ["+a/", "+b/", "e 10"]);
}

/// A failure would mean that a name that is no text keeps a listing going for ever, and writers away.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_no_texts_end_a_listing() {
    let bench = Bench::new();
    let broker = holding(&bench, &["b/1", "c"]).await;
    let other = connect(&bench.db_of(&container_at("c")));
    // SQLite has them after all texts.
    put(&other, b"a/1");
    put(&other, b"d/1");
    for _ in 0..2 {
        assert_eq!(folders(&*broker).await, ["+b/", "c 10", "+d/"]);
    }
}
