//! The programs that measure must not rot: each question of the short ones is asked once, of little.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

fn engine_bench(folder: &Path, words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_engine-bench"))
        .env_remove("APUS_SWIFT_PYTHON")
        .args(["--engine", "sqlite", "--engine", "rocksdb", "--folder"])
        .arg(folder)
        .arg("--document")
        .arg(folder.join("document.md"))
        .arg("--json")
        .arg(folder.join("figures.json"))
        .args(words)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {said}");
    std::fs::read_to_string(folder.join("document.md")).unwrap()
}

/// A failure would mean that figures are measured for an hour and then not written.
#[test]
fn figures_are_put_where_the_document_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let empty =
        "before\n<!-- brokers -->\nold\n<!-- end -->\n<!-- growth -->\n<!-- end -->\nafter\n";
    std::fs::write(folder.path().join("document.md"), empty).unwrap();
    let document = engine_bench(
        folder.path(),
        &["brokers", "--rows", "1000", "--rounds", "1"],
    );
    assert!(
        document.starts_with("before\n<!-- brokers -->\nThings a second"),
        "{document}"
    );
    assert!(document.contains("of the store"), "{document}");
    assert!(!document.contains("old"), "{document}");
    let small = ["growth", "--rows", "100", "--rows", "2000", "--stores", "5"];
    let document = engine_bench(folder.path(), &small);
    assert!(document.contains("| HEAD: µs | rocksdb | "), "{document}");
    assert!(document.ends_with("<!-- end -->\nafter\n"), "{document}");
    for plot in ["growth-rows.svg", "growth-containers.svg"] {
        let plot = std::fs::read_to_string(folder.path().join(plot)).unwrap();
        assert!(
            plot.contains("rocksdb") && plot.contains("polyline"),
            "{plot}"
        );
    }
    let figures = std::fs::read_to_string(folder.path().join("figures.json")).unwrap();
    let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
    let last = &figures["rows"]["sqlite"][1];
    assert_eq!(last["size"], 2000);
    for question in ["HEAD: µs", "PUT, 16 at a time: µs each"] {
        let ratio = last["beside_small"][question].as_f64();
        assert!(ratio.is_some_and(|ratio| ratio > 0.0), "{last}");
    }
}
