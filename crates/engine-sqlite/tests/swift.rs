//! Files that Python Swift and this engine work on in turn.
//!
//! Set `APUS_SWIFT_PYTHON` to a Python that has Swift 2.38 installed. Without it every test here says
//! that it is skipped and checks nothing.
#![allow(clippy::unwrap_used)]

#[path = "common/legacy.rs"]
mod legacy;

mod common;

use broker_api::{
    AccountBrokerExt, ContainerBrokerExt, ContainerMarks, ContainerRecord, MergeOptions,
    PolicyIndex, ReclaimAge, RowFilter, RowId, TimestampText,
};
use common::*;
use legacy::{Age, OLDEST, PRE_POLICY};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// The Python to ask, or nothing with a word about it.
fn python() -> Option<String> {
    let python = std::env::var("APUS_SWIFT_PYTHON").ok();
    if python.is_none() {
        eprintln!("SKIPPED: APUS_SWIFT_PYTHON names no Python that has Swift");
    }
    python
}

fn swift(python: &str, kind: &str, db: &Path, action: &str, argument: Value) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/swift_side.py");
    let output = Command::new(python)
        .args([script, kind])
        .arg(db)
        .args([action, &argument.to_string()])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(!error.contains("Invalid pending entry"), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_recorded_here_is_still_that_of_swift() {
    let Some(python) = python() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/swift_side.py");
    let output = Command::new(python)
        .args([script, "schema"])
        .output()
        .unwrap();
    let now: Value = serde_json::from_slice(&output.stdout).unwrap();
    let recorded: Value = serde_json::from_str(include_str!("data/swift_schema.json")).unwrap();
    assert_eq!(now, recorded);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_swift_appends_are_read_here() {
    let Some(python) = python() else { return };
    let bench = Bench::new();
    let db = bench.db_of(&container_at("c"));
    let new = json!({"account": ACCOUNT, "container": "c", "put_timestamp": "0000000001.00000"});
    swift(&python, "container", &db, "initialize", new);
    let at = "0000000005.00000";
    let records = json!([
        ["a", at, 70_000, "", "", 0, 0, at, at],
        ["é☃😀", at, 255, "text/plain;swift_bytes=7", "e", 0, 2],
        ["gone", at, 0, "application/deleted", "noetag", 1, 0],
        [
            "big",
            "0000000005.00000_ff",
            1u64 << 40,
            "t",
            "e",
            0,
            0,
            "0000000006.00000",
            null
        ],
    ]);
    swift(&python, "container", &db, "put", records);
    let broker = bench.container("c");
    let rows = broker
        .items_since(RowId::NONE, 10, RowFilter::All)
        .await
        .unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["a", "é☃😀", "gone", "big"]);
    assert_eq!(rows[3].created_at, "0000000005.00000_ff+186a0+0");
    let info = broker.get_info().await.unwrap();
    let facts = swift(&python, "container", &db, "facts", Value::Null);
    assert_eq!(facts["info"]["hash"], info.store.hash.to_string());
    assert_eq!(facts["info"]["count"], info.object_count());
    assert_eq!(facts["integrity"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_are_appended_here_are_read_by_swift() {
    let Some(python) = python() else { return };
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let db = bench.db_of(&container_at("c"));
    for (i, name) in ["a", "é☃😀", "", "a:b\n"].iter().enumerate() {
        let mut record = object(name, 5 + i as u64).in_policy(PolicyIndex(i as i64 % 2));
        record.size = [0, 70_000, 1 << 40, -5][i];
        record.ctype_timestamp = (i % 2 == 1).then(|| at(9));
        broker.put_object(record).await.unwrap();
    }
    broker.delete_object("a", at(8)).await.unwrap();
    let facts = swift(&python, "container", &db, "facts", Value::Null);
    assert_eq!(facts["pending"], 0);
    let info = broker.get_info().await.unwrap();
    assert_eq!(facts["info"]["hash"], info.store.hash.to_string());
    assert_eq!(facts["info"]["max_row"], info.store.max_row.0);
    let rows = broker
        .items_since(RowId::NONE, 10, RowFilter::All)
        .await
        .unwrap();
    assert_eq!(facts["rows"].as_array().unwrap().len(), rows.len());
    for (theirs, ours) in facts["rows"].as_array().unwrap().iter().zip(rows) {
        assert_eq!(theirs["ROWID"], ours.row_id.0);
        assert_eq!(theirs["name"], ours.name);
        assert_eq!(theirs["created_at"], ours.created_at);
        assert_eq!(theirs["size"], ours.size);
        assert_eq!(theirs["deleted"], i64::from(ours.deleted));
        assert_eq!(theirs["storage_policy_index"], ours.policy_index.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_written_in_turn() {
    let Some(python) = python() else { return };
    let bench = Bench::new();
    let broker = bench.new_account().await;
    let db = bench.db_of(&account_at());
    let record = |name: &str, put: u64, count: i64| {
        let never = TimestampText::never();
        ContainerRecord::report(name, text(put), never, count, count * 7, PolicyIndex(1))
    };
    broker.put_container(record("ours", 5, 3)).await.unwrap();
    let theirs = json!([
        ["theirs", "5", "0", "7", "70", "1"],
        ["ours", "0000000006.00000", "0", "4", "28", "1"],
        ["gone", "0", "0000000006.00000", 0, 0, 0],
    ]);
    swift(&python, "account", &db, "put", theirs);
    broker.put_container(record("theirs", 9, 1)).await.unwrap();
    let info = broker.get_info().await.unwrap();
    let facts = swift(&python, "account", &db, "facts", Value::Null);
    assert_eq!(facts["info"]["hash"], info.store.hash.to_string());
    assert_eq!(facts["info"]["count"], info.container_count);
    assert_eq!(facts["info"]["object_count"], info.object_count);
    assert_eq!(info.container_count, 2);
    assert_eq!(facts["integrity"], "ok");
}

/// Both migrate, each its own copy, and must leave the same file.
#[tokio::test(flavor = "multi_thread")]
async fn old_containers_are_completed_as_swift_does_it() {
    let Some(python) = python() else { return };
    let ages = [
        OLDEST,
        Age {
            index: true,
            metadata: true,
            ..OLDEST
        },
        PRE_POLICY,
    ];
    for age in ages {
        for step in ["merge", "reconciler", "sync_points"] {
            let (ours, theirs) = (Bench::new(), Bench::new());
            let (our_db, their_db) = (
                ours.db_of(&container_at("old")),
                theirs.db_of(&container_at("old")),
            );
            legacy::container(&our_db, age);
            legacy::container(&their_db, age);
            let broker = ours.container("old");
            let mut marks = ContainerMarks::default();
            let argument = match step {
                "merge" => {
                    let records = vec![object("n", 9)];
                    broker
                        .merge_items(records, MergeOptions::default())
                        .await
                        .unwrap();
                    json!([{"name": "n", "created_at": at(9).internal(), "size": 10,
                        "content_type": "text/plain", "etag": "etag", "deleted": 0}])
                }
                "reconciler" => {
                    marks.reconciler_sync_point = Some(5);
                    broker.set_marks(&marks).await.unwrap();
                    json!(5)
                }
                _ => {
                    marks.x_container_sync_point1 = Some(3);
                    broker.set_marks(&marks).await.unwrap();
                    json!([3, null])
                }
            };
            swift(&python, "container", &their_db, step, argument);
            let ours = swift(&python, "container", &our_db, "facts", Value::Null);
            let theirs = swift(&python, "container", &their_db, "facts", Value::Null);
            assert_eq!(ours, theirs, "{age:?} {step}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_accounts_are_completed_as_swift_does_it() {
    let Some(python) = python() else { return };
    type Build = fn(&Path);
    let builds: [Build; 4] = [
        |db| legacy::account(db, OLDEST),
        |db| legacy::account(db, PRE_POLICY),
        |db| legacy::account_without_container_counts(db, 1),
        |db| legacy::account_without_container_counts(db, 3),
    ];
    for (number, build) in builds.into_iter().enumerate() {
        for steps in [
            &["merge"][..],
            &["policy_stats"],
            &["policy_stats", "merge"],
        ] {
            let (ours, theirs) = (Bench::new(), Bench::new());
            let (our_db, their_db) = (ours.db_of(&account_at()), theirs.db_of(&account_at()));
            build(&our_db);
            build(&their_db);
            let broker = ours.account();
            for step in steps {
                let argument = match *step {
                    "merge" => {
                        let never = TimestampText::never();
                        let record =
                            ContainerRecord::report("n", text(5), never, 1, 5, PolicyIndex(0));
                        broker
                            .merge_items(vec![record], MergeOptions::default())
                            .await
                            .unwrap();
                        json!([{"name": "n", "put_timestamp": at(5).internal(),
                            "delete_timestamp": "0", "object_count": 1, "bytes_used": 5,
                            "deleted": 0}])
                    }
                    _ => {
                        broker.upgrade().await.unwrap();
                        json!(true)
                    }
                };
                swift(&python, "account", &their_db, step, argument);
            }
            let ours = swift(&python, "account", &our_db, "facts", Value::Null);
            let theirs = swift(&python, "account", &their_db, "facts", Value::Null);
            assert_eq!(ours, theirs, "file {number} {steps:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reclaim_leaves_what_swift_leaves() {
    let Some(python) = python() else { return };
    let (ours, theirs) = (Bench::new(), Bench::new());
    let (our_db, their_db) = (
        ours.db_of(&container_at("old")),
        theirs.db_of(&container_at("old")),
    );
    legacy::container(&our_db, PRE_POLICY);
    legacy::container(&their_db, PRE_POLICY);
    let age = ReclaimAge {
        tombstones: at(100),
        sync_points: at(4_000_000_000),
    };
    ours.container("old")
        .replicate()
        .reclaim(age)
        .await
        .unwrap();
    swift(
        &python,
        "container",
        &their_db,
        "reclaim",
        json!([100.0, 4e9]),
    );
    let ours = swift(&python, "container", &our_db, "facts", Value::Null);
    let theirs = swift(&python, "container", &their_db, "facts", Value::Null);
    assert_eq!(ours, theirs);
}

/// Everything below a directory, links with what they say.
fn tree(top: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(top) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        match std::fs::read_link(&path) {
            Ok(target) => found.push(format!("{} -> {}", path.display(), target.display())),
            Err(_) => {
                found.push(path.display().to_string());
                found.extend(tree(&path));
            }
        }
    }
    found.sort();
    found
}

/// Swift's daemon finds the containers that this engine lists, and each undoes what the other did.
#[tokio::test(flavor = "multi_thread")]
async fn list_of_container_sync_is_kept_in_turn() {
    let Some(python) = python() else { return };
    let bench = Bench::new();
    bench.new_container("c").await;
    bench.new_container("d").await;
    let (c, d) = (container_at("c"), container_at("d"));
    let (db, other) = (bench.db_of(&c), bench.db_of(&d));
    let list = bench.devices().join("sda1/sync_containers");
    let ask = |action| swift(&python, "container", &db, action, json!(bench.devices()));

    bench.engine.set_synced(&c, true).await.unwrap();
    assert_eq!(ask("synced"), json!([db]));
    let ours = tree(&list);
    assert!(
        ours.iter()
            .any(|line| line.ends_with(&format!(" -> {}", db.display()))),
        "{ours:?}"
    );
    ask("sync_add");
    assert_eq!(tree(&list), ours);
    ask("sync_remove");
    assert_eq!(bench.engine.synced("sda1", None, 10).await.unwrap(), []);
    assert!(!list.exists(), "{:?}", tree(&list));

    ask("sync_add");
    assert_eq!(tree(&list), ours);
    bench.engine.set_synced(&c, true).await.unwrap();
    assert_eq!(tree(&list), ours);
    assert_eq!(
        bench.engine.synced("sda1", None, 10).await.unwrap(),
        std::slice::from_ref(&c)
    );
    bench.engine.set_synced(&d, true).await.unwrap();
    let mut both = [&db, &other];
    both.sort();
    assert_eq!(ask("synced"), json!(both));
    bench.engine.set_synced(&c, false).await.unwrap();
    assert_eq!(ask("synced"), json!([other]));
    bench.engine.set_synced(&d, false).await.unwrap();
    assert!(!list.exists(), "{:?}", tree(&list));
    assert!(db.exists() && other.exists());
}

/// Swift in another process and this engine put at the same time; nothing may be lost.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_puts_of_both_are_all_there() {
    let Some(python) = python() else { return };
    let bench = Bench::new();
    let broker = bench.new_container("c").await;
    let db = bench.db_of(&container_at("c"));
    let mut others = Vec::new();
    for process in 0..3 {
        let (python, db) = (python.clone(), db.clone());
        others.push(tokio::task::spawn_blocking(move || {
            let record = |i| json!([format!("p{process}-{i}"), "0000000005.00000", 1, "t", "e"]);
            let records: Vec<_> = (0..700).map(record).collect();
            swift(&python, "container", &db, "put", records.into());
        }));
    }
    for i in 0..3000 {
        broker
            .put_object(object(&format!("r-{i}"), 5))
            .await
            .unwrap();
        if i % 100 == 0 {
            broker.get_info().await.unwrap();
        }
        if i % 10 == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(4)).await;
        }
    }
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(
        broker.get_info().await.unwrap().object_count(),
        3 * 700 + 3000
    );
    let facts = swift(&python, "container", &db, "facts", Value::Null);
    assert_eq!(facts["integrity"], "ok");
}
