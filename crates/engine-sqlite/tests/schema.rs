//! New databases have what Swift's have: names, columns, types and defaults.
//!
//! `tests/data/swift_schema.json` was printed by `tests/swift_side.py schema` with Swift 2.38.3.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::Path;

fn rows(conn: &Connection, sql: &str) -> Vec<Value> {
    let mut statement = conn.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let value = |index| match row.get_ref_unwrap(index) {
            rusqlite::types::ValueRef::Null => Value::Null,
            rusqlite::types::ValueRef::Integer(number) => number.into(),
            other => other.as_str().unwrap().into(),
        };
        Ok((0..columns).map(value).collect::<Value>())
    };
    let rows = statement.query_map([], row).unwrap();
    rows.map(Result::unwrap).collect()
}

fn dump(db: &Path) -> Value {
    let conn = Connection::open(db).unwrap();
    let objects = rows(
        &conn,
        "SELECT type, name, tbl_name FROM sqlite_master ORDER BY type, name",
    );
    let (mut columns, mut indexes) = (json!({}), json!({}));
    for object in &objects {
        let name = object[1].as_str().unwrap();
        match object[0].as_str().unwrap() {
            "table" | "view" => {
                let sql = format!(
                    "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{name}')"
                );
                columns[name] = rows(&conn, &sql).into();
            }
            "index" => {
                let sql = format!("SELECT name FROM pragma_index_info('{name}')");
                let names = rows(&conn, &sql).into_iter().map(|row| row[0].clone());
                indexes[name] = names.collect();
            }
            _ => {}
        }
    }
    let mut settings = json!({});
    for name in [
        "encoding",
        "user_version",
        "application_id",
        "auto_vacuum",
        "journal_mode",
    ] {
        settings[name] = rows(&conn, &format!("PRAGMA {name}"))[0][0].clone();
    }
    json!({"objects": objects, "columns": columns, "indexes": indexes, "settings": settings})
}

fn recorded(kind: &str) -> Value {
    let recorded: Value = serde_json::from_str(include_str!("data/swift_schema.json")).unwrap();
    recorded[kind].clone()
}

fn assert_same(ours: &Value, swifts: &Value) {
    for part in ["objects", "columns", "indexes", "settings"] {
        assert_eq!(ours[part], swifts[part], "{part}");
    }
}

#[tokio::test]
async fn new_container_has_the_schema_of_swift() {
    let bench = Bench::new();
    bench.new_container("c").await;
    assert_same(
        &dump(&bench.db_of(&container_at("c"))),
        &recorded("container"),
    );
}

#[tokio::test]
async fn new_account_has_the_schema_of_swift() {
    let bench = Bench::new();
    bench.new_account().await;
    assert_same(&dump(&bench.db_of(&account_at())), &recorded("account"));
}

/// A failure would mean that Swift cannot go on with a store that came from another engine.
#[tokio::test]
async fn restored_stores_have_the_schema_of_swift() {
    use broker_api::{AccountBroker, Broker, ContainerBroker, Facts, StoreImage};
    let (bench, other) = (Bench::new(), Bench::new());
    let container = bench
        .new_container("c")
        .await
        .info()
        .await
        .unwrap()
        .unwrap();
    let account = bench.new_account().await.info().await.unwrap().unwrap();
    let image = |facts| StoreImage {
        facts,
        incoming: Vec::new(),
        outgoing: Vec::new(),
    };
    let broker = other.container("c");
    let snapshot = broker.snapshot().unwrap();
    snapshot
        .begin(&image(Facts::Container(container)))
        .await
        .unwrap();
    snapshot.finish().await.unwrap();
    let broker = other.account();
    let snapshot = broker.snapshot().unwrap();
    snapshot
        .begin(&image(Facts::Account(account)))
        .await
        .unwrap();
    snapshot.finish().await.unwrap();
    for (location, kind) in [(container_at("c"), "container"), (account_at(), "account")] {
        assert_same(&dump(&other.db_of(&location)), &recorded(kind));
        let (ours, created) = (other.db_of(&location), bench.db_of(&location));
        let sql = "SELECT name, sql FROM sqlite_master ORDER BY name";
        let definitions = |db| rows(&Connection::open(db).unwrap(), sql);
        assert_eq!(
            definitions(ours),
            definitions(created),
            "triggers of {kind}"
        );
    }
}

/// Swift opens files with whatever user it runs as; other modes lock one of the two out.
#[tokio::test]
async fn new_database_is_private_to_its_user() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    bench.new_container("c").await;
    let metadata = std::fs::metadata(bench.db_of(&container_at("c"))).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}
