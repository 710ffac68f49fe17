//! Stores that go from engine to engine, and to files.

use crate::common::{apus, files, output};
use broker_api::{
    BrokerOptions, Engine, HashPath, Location, MergeOptions, NewContainer, ObjectRecord,
    PolicyIndex, StoreKind, Timestamp,
};
use broker_runtime::RuntimeOptions;
use engine_sqlite::SqliteOptions;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A folder with swift.conf and one device.
struct Stores {
    folder: tempfile::TempDir,
}

impl Stores {
    /// Containers `c0`, `c1`, … of account `a`, with so many rows each.
    fn new(rows: &[usize]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("devices/sda1")).unwrap();
        let swift_conf = "[swift-hash]\nswift_hash_path_suffix = test\n";
        std::fs::write(folder.path().join("swift.conf"), swift_conf).unwrap();
        let stores = Self { folder };
        let engine = stores.sqlite();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        for (number, rows) in rows.iter().enumerate() {
            runtime.block_on(make_container(&*engine, number, *rows));
        }
        stores
    }

    fn devices(&self) -> PathBuf {
        self.folder.path().join("devices")
    }

    fn sqlite(&self) -> Arc<dyn Engine> {
        let options = SqliteOptions::new(self.devices()).with_mount_check(false);
        engine_sqlite::open(options, &RuntimeOptions::default()).unwrap()
    }

    /// A command on these devices.
    fn apus(&self, words: &[&str]) -> Command {
        let mut command = apus(words);
        command.arg("--devices").arg(self.devices());
        command.arg("--swift-dir").arg(self.folder.path());
        command
    }

    /// `apus convert --json`: exit status, the lines of stores, the last line, and standard error.
    fn convert(&self, from: &str, to: &str, more: &[&str]) -> (bool, Vec<Value>, Value, String) {
        let mut command = self.apus(&["convert", "--json", "--from", from, "--to", to]);
        let (ok, text, error) = output(command.args(more));
        let mut lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let last = lines.pop().unwrap_or_default();
        (ok, lines, last, error)
    }

    fn list(&self, engine: &str) -> String {
        let words = [
            "list", "a/c0", "--engine", engine, "--json", "--limit", "100000",
        ];
        let (ok, text, error) = output(&mut self.apus(&words));
        assert!(ok, "{error}");
        text
    }

    fn databases(&self) -> Vec<PathBuf> {
        files(&self.devices(), "db")
    }
}

fn location(number: usize) -> Location {
    let hash = HashPath::new("", "test").container("a", &format!("c{number}"));
    Location::new(StoreKind::Container, "sda1", "1", hash).unwrap()
}

async fn make_container(engine: &dyn Engine, number: usize, rows: usize) {
    let broker = engine.container(&location(number), &BrokerOptions::default());
    let new = NewContainer {
        account: "a".into(),
        container: format!("c{number}"),
        put_timestamp: Timestamp::from_seconds(1).into(),
        policy_index: PolicyIndex(0),
        created_at: Timestamp::from_seconds(1),
        id: format!("id-{number}"),
    };
    broker.initialize(&new).await.unwrap();
    let at = Timestamp::from_seconds(2);
    let records = (0..rows).map(|row| match row % 10 {
        0 => ObjectRecord::delete(format!("{row}"), at),
        _ => ObjectRecord::put(format!("{row}"), at, 1, "t", "e"),
    });
    broker
        .merge_items(records.collect(), MergeOptions::default())
        .await
        .unwrap();
}

/// A failure would mean that operators lose something by changing the engine, or by looking first.
#[test]
fn stores_go_to_another_engine_and_back() {
    let stores = Stores::new(&[25_000, 3, 0]);
    runtime()
        .block_on(stores.sqlite().set_synced(&location(1), true))
        .unwrap();
    let (before, databases) = (stores.list("sqlite"), stores.databases());
    let contents: Vec<_> = databases
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    let (ok, lines, last, _) = stores.convert("sqlite", "sled", &["--dry-run"]);
    assert!(
        ok && lines.len() == 3 && lines[0]["state"] == "would be copied",
        "{lines:?}"
    );
    assert_eq!((&last["copied"], &last["synced"]), (&3.into(), &1.into()));
    let (ok, lines, last, error) = stores.convert("sqlite", "sled", &[]);
    assert!(ok, "{error}");
    assert_eq!(
        (&last["copied"], &last["rows"], &last["synced"]),
        (&3.into(), &25_003.into(), &1.into())
    );
    for (file, content) in databases.iter().zip(&contents) {
        assert!(
            std::fs::read(file).unwrap() == *content,
            "{} was touched",
            file.display()
        );
    }
    let (ok, again, last, _) = stores.convert("sqlite", "sled", &["--remove-source"]);
    assert!(
        ok && last["were_there"] == 3 && last["removed"] == 3,
        "{last}"
    );
    let digests = |lines: &[Value]| -> Vec<Value> {
        lines.iter().map(|line| line["digest"].clone()).collect()
    };
    assert_eq!(digests(&again), digests(&lines));
    assert!(stores.databases().is_empty());
    assert_eq!(stores.list("sled"), before);
    let (ok, _, last, error) = stores.convert("sled", "sqlite", &["--remove-source"]);
    assert!(
        ok && last["removed"] == 3 && last["synced"] == 1,
        "{last} {error}"
    );
    assert_eq!(stores.list("sqlite"), before);
    let synced = runtime()
        .block_on(stores.sqlite().synced("sda1", None, 9))
        .unwrap();
    assert_eq!(synced, [location(1)]);
    assert_eq!(
        stores.convert("sled", "sqlite", &["--dry-run"]).2["copied"],
        0
    );
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A failure would mean that an interrupted conversion must begin anew, or ends in something else.
#[test]
fn a_killed_conversion_is_gone_on_with() {
    let stores = Stores::new(&[60_000, 100]);
    let before = stores.list("sqlite");
    let mut seed = std::process::id();
    println!("seed {seed}");
    for _ in 0..6 {
        let mut command = stores.apus(&["convert", "--from", "sqlite", "--to", "sled"]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        std::thread::sleep(Duration::from_millis(u64::from(seed >> 16) % 600));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (ok, _, last, error) = stores.convert("sqlite", "sled", &["--remove-source"]);
    assert!(ok && last["removed"] == 2, "{last} {error}");
    assert_eq!(stores.list("sled"), before);
    assert!(stores.convert("sled", "sqlite", &[]).0);
    assert_eq!(stores.list("sqlite"), before);
}

/// A failure would mean that one bad store keeps all others from moving, or goes unnoticed.
#[test]
fn refused_stores_are_named_and_the_others_are_copied() {
    let stores = Stores::new(&[5, 5, 5]);
    let database = |number: usize| {
        let hash = location(number).hash().to_string();
        let has_name = |file: &PathBuf| file.to_str().unwrap().ends_with(&format!("{hash}.db"));
        stores.databases().into_iter().find(has_name).unwrap()
    };
    // A container that Swift is splitting, and one whose hash is not that of its rows.
    let sharded = database(1);
    let epoch = sharded.with_file_name(format!("{}_1.db", location(1).hash()));
    std::fs::copy(&sharded, epoch).unwrap();
    let sql = "UPDATE container_info SET hash = '00000000000000000000000000000001'";
    rusqlite::Connection::open(database(2))
        .unwrap()
        .execute(sql, [])
        .unwrap();
    let (ok, _, last, error) = stores.convert("sqlite", "sled", &["--remove-source"]);
    assert!(
        !ok && last["copied"] == 1 && last["refused"] == 2 && last["removed"] == 0,
        "{last}"
    );
    for (number, reason) in [(1, "sharded"), (2, "do not fit its rows")] {
        let line = error
            .lines()
            .find(|line| line.contains(&location(number).to_string()));
        assert!(line.is_some_and(|line| line.contains(reason)), "{error}");
    }
    assert_eq!(stores.databases().len(), 4, "the source is as it was");
}

/// A failure would mean that a typing error is found out late, or not at all.
#[test]
fn what_makes_no_sense_is_refused_with_a_way_out() {
    let stores = Stores::new(&[1]);
    let refused = |words: &[&str], reason: &str| {
        let (ok, out, error) = output(&mut stores.apus(words));
        assert!(
            !ok && out.is_empty() && error.contains(reason),
            "{words:?}: {error}"
        );
    };
    let from =
        |to, more: &[&'static str]| [&["convert", "--from", "sqlite", "--to", to], more].concat();
    refused(&from("sqlite", &[]), "choose another --to");
    refused(&from("sledd", &[]), "choose one of");
    refused(&from("sled", &["--device", "sdb1"]), "there are: sda1");
    refused(&from("sled", &["a/other"]), "no container \"a/other\"");
    let bad = stores.folder.path().join("c.sqlite");
    refused(
        &["export", "a/c0", bad.to_str().unwrap()],
        "must end in .db",
    );
    refused(
        &["import", "/nowhere.db", "sda1/containers/1/x"],
        "cannot read",
    );
}

/// A failure would mean that a store is served by nobody, though it is there.
#[test]
fn one_store_alone_is_copied_and_stays_at_its_source() {
    let stores = Stores::new(&[5, 5]);
    let (ok, _, _, error) = stores.convert("sqlite", "sled", &["a/c0", "--remove-source"]);
    assert!(!ok && error.contains("convert the whole device"), "{error}");
    let (ok, _, last, error) = stores.convert("sqlite", "sled", &["a/c0"]);
    assert!(ok && last["copied"] == 1, "{last} {error}");
    assert_eq!(stores.databases().len(), 2, "the source is as it was");
    let (ok, _, last, error) = stores.convert("sqlite", "sled", &[]);
    assert!(
        ok && last["copied"] == 1 && last["were_there"] == 1,
        "{last} {error}"
    );
}

/// A failure would mean that a conversion that is run again brings back what was deleted since.
#[test]
fn what_went_on_at_the_target_is_not_copied_over() {
    let stores = Stores::new(&[5, 5]);
    assert!(stores.convert("sqlite", "sled", &[]).0);
    let back = stores.convert("sled", "sqlite", &[]);
    assert!(back.0, "{}", back.3);
    let gone = stores.databases().remove(0);
    std::fs::remove_dir_all(gone.parent().unwrap()).unwrap();
    let (ok, _, last, error) = stores.convert("sled", "sqlite", &["--remove-source"]);
    let counts = ["copied", "were_there", "went_on", "removed"].map(|what| last[what].as_u64());
    assert!(
        ok && counts == [Some(0), Some(1), Some(1), Some(2)],
        "{last} {error}"
    );
    assert_eq!(stores.databases().len(), 1);
}

/// A failure would mean that there is no way back to Swift's files from another engine.
#[test]
fn a_store_goes_to_a_file_and_from_a_file() {
    let stores = Stores::new(&[50, 1]);
    let before = stores.list("sqlite");
    assert!(stores.convert("sqlite", "sled", &[]).0);
    let file = stores.folder.path().join("c0.db");
    let export = ["export", "a/c0", file.to_str().unwrap(), "--engine", "sled"];
    let (ok, _, error) = output(&mut stores.apus(&export));
    assert!(ok, "{error}");
    let (ok, _, error) = output(&mut stores.apus(&export));
    assert!(!ok && error.contains("exists already"), "{error}");
    let names = std::fs::read_dir(stores.folder.path()).unwrap();
    assert_eq!(
        names.count(),
        3,
        "nothing else is left: devices, swift.conf, the file"
    );

    let (other, third) = (Stores::new(&[]), Stores::new(&[]));
    let file = file.to_str().unwrap();
    let place = location(0).to_string();
    let wrong = location(1).to_string();
    let (ok, _, error) = output(&mut other.apus(&["import", file, &wrong, "--engine", "sled"]));
    assert!(!ok && error.contains("the file holds a/c0"), "{error}");
    let before_import = std::fs::read(file).unwrap();
    for (engine, node) in [("sled", &other), ("sqlite", &third)] {
        let (ok, _, error) = output(&mut node.apus(&["import", file, &place, "--engine", engine]));
        assert!(ok, "{error}");
        assert_eq!(node.list(engine), before);
    }
    assert!(
        std::fs::read(file).unwrap() == before_import,
        "the file was touched"
    );
    std::fs::write(Path::new(file).with_extension("db.pending"), "x").unwrap();
    let (ok, _, error) = output(&mut other.apus(&["import", file, &place]));
    assert!(!ok && error.contains("not merged yet"), "{error}");
}
