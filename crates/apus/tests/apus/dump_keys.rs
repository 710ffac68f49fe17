//! `apus dump-keys`, as an operator uses it.

use crate::common::{Node, apus, ask, output, put_row};
use serde_json::Value;

const EARLY: (&str, &str) = ("X-Timestamp", "1600000000");

fn dump(node: &Node, engine: &str, more: &[&str]) -> (bool, String, String) {
    let devices = node.path().join("devices");
    let mut command = apus(&["dump-keys", "--engine", engine, "--devices"]);
    output(command.arg(devices).args(more))
}

/// A failure would mean that a person cannot see what a key-value engine keeps.
#[test]
fn keys_of_a_container_are_shown_in_words_and_as_json() {
    let node = Node::new();
    let server = node.start("container", "engine = sled\n");
    assert_eq!(ask(&server, "PUT", "/sda1/1/a/c", &[EARLY]).status, 201);
    assert_eq!(put_row(&server, "/sda1/1/a/c/o", "1600000001").status, 201);
    let (ok, _, problem) = dump(&node, "sled", &["sda1"]);
    assert!(
        !ok && problem.contains("open in another process"),
        "{problem}"
    );
    drop(server);
    let (ok, text, problem) = dump(&node, "sled", &["sda1", "containers", "--store", "0"]);
    assert!(ok, "{problem}");
    assert!(
        text.contains("store 0 live object \"o\" in policy 0: row 1, "),
        "{text}"
    );
    assert!(!text.contains("location"), "{text}");
    let (ok, text, _) = dump(&node, "sled", &["sda1", "--json", "--limit", "2"]);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(ok);
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["key"], &lines[0]["text"]),
        (&"00".into(), &"layout: 1".into())
    );
    let (ok, _, problem) = dump(&node, "sled", &["sda1", "accounts"]);
    assert!(
        !ok && problem.contains("has no sled database of accounts"),
        "{problem}"
    );
}

/// A failure would mean that a wrong engine is answered with nothing, or with an error that does not help.
#[test]
fn engines_without_ordered_keys_are_refused() {
    let (ok, text, problem) = dump(&Node::new(), "sqlite", &["sda1"]);
    assert!(!ok && text.is_empty());
    assert!(
        problem.contains("keeps no ordered keys") && problem.contains("sled"),
        "{problem}"
    );
}
