//! Choosing engines, as an operator does: what is refused, and what the refusal says.

use crate::common::{Node, apus, ask, output, put_row};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const EARLY: (&str, &str) = ("X-Timestamp", "1600000000");
const MARKER: &str = "apus-engine";

/// What a server's file with these lines is refused with.
fn refusal(node: &Node, more: &str) -> String {
    let conf = node.conf("container", raw_http::free_address().unwrap(), more);
    let tested = output(&mut apus(&[
        "container-server",
        conf.to_str().unwrap(),
        "-t",
    ]));
    let started = output(&mut apus(&["container-server", conf.to_str().unwrap()]));
    assert!(!tested.0 && !started.0);
    assert_eq!(tested.2, started.2);
    tested.2
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

fn marker(node: &Node) -> PathBuf {
    node.path().join("devices/sda1").join(MARKER)
}

/// A failure would mean that a typing error in a file is found out by lost rows.
#[test]
fn a_bad_choice_is_refused_at_start_and_by_the_test() {
    let node = Node::new();
    let text = refusal(&node, "engine = bolt\n");
    assert_says(
        &text,
        &["container-server.conf", "\"bolt\"", "sqlite, memory"],
    );
    let text = refusal(&node, "engine.sdb1 = bolt\n");
    assert_says(&text, &["\"bolt\"", "sqlite, memory"]);
    let text = refusal(&node, "engine.sd/b1 = sled\n");
    assert_says(
        &text,
        &["line", "option engine.sd/b1", "engine.DEVICE = NAME"],
    );
    let text = refusal(&node, "engine = sled\n[engine:sled]\ncash = 1\n");
    assert_says(
        &text,
        &["\"sled\" does not open", "\"cash\"", "cache_capacity_mb"],
    );
    let text = refusal(
        &node,
        "engine = sled\n[engine:sled]\ncache_capacity_mb = lots\n",
    );
    assert_says(&text, &["cache_capacity_mb", "\"lots\"", "from 1 to 65536"]);
    let text = refusal(&node, "engine = sled\n[engine:sled]\ndurability = disk\n");
    assert_says(&text, &["durability", "choose another engine"]);
    let text = refusal(&node, "[engine:slde]\nmode = low_space\n");
    assert_says(&text, &["[engine:slde]", "sqlite, memory"]);
}

/// A failure would mean that nobody tells how to get an engine that the documentation names.
#[test]
fn an_engine_that_was_left_out_is_refused_with_how_to_build_it() {
    let (_, text, _) = output(&mut apus(&["engines", "--json"]));
    let engines: Value = serde_json::from_str(&text).unwrap();
    for left_out in engines["left_out"].as_array().unwrap() {
        let name = left_out["name"].as_str().unwrap();
        let text = refusal(&Node::new(), &format!("engine = {name}\n"));
        assert_says(
            &text,
            &["built without", name, "--features", "sqlite, memory"],
        );
    }
}

/// A failure would mean that settings of an engine that nothing uses are lost without a word.
#[test]
fn a_section_that_nothing_uses_is_a_warning() {
    let node = Node::new();
    let more = "[engine:sled]\nmode = low_space\n";
    let conf = node.conf("container", raw_http::free_address().unwrap(), more);
    let (ok, _, err) = output(&mut apus(&[
        "container-server",
        conf.to_str().unwrap(),
        "-t",
    ]));
    assert!(ok);
    assert_says(&err, &["[engine:sled] is not in use"]);
}

/// A failure would mean that a device's rows are hidden by those of another engine.
#[test]
fn a_device_of_another_engine_keeps_the_server_from_starting() {
    let node = Node::new();
    let server = node.start("container", "engine = sled\n");
    assert_eq!(ask(&server, "PUT", "/sda1/1/a/c", &[EARLY]).status, 201);
    drop(server);
    let line = fs::read_to_string(marker(&node)).unwrap();
    assert_eq!(line, "engine sled, marker version 1\n");
    for other in ["sqlite", "memory"] {
        let text = refusal(&node, &format!("engine = {other}\n"));
        let convert = format!("apus convert --from sled --to {other}");
        assert_says(
            &text,
            &[
                "device sda1 belongs to the engine sled",
                "engine.sda1 = sled",
                &convert,
            ],
        );
    }
    let server = node.start("container", "engine.sda1 = sled\n");
    assert_eq!(ask(&server, "HEAD", "/sda1/1/a/c", &[]).status, 204);
}

/// A failure would mean that a Swift disk is not one any more after Apus served it.
#[test]
fn a_swift_disk_stays_plain_and_is_refused_to_other_engines() {
    let node = Node::new();
    let server = node.start("container", "");
    assert_eq!(ask(&server, "PUT", "/sda1/1/a/c", &[EARLY]).status, 201);
    drop(server);
    assert!(!marker(&node).exists());
    let text = refusal(&node, "engine = sled\n");
    assert_says(&text, &["device sda1 belongs to the engine sqlite"]);
}

/// A failure would mean that one disk with foreign data stops a node.
#[test]
fn a_device_that_appears_later_is_refused_while_others_are_served() {
    let node = Node::new();
    let server = node.start("container", "engine = sled\n");
    let device = node.path().join("devices/sdb1");
    fs::create_dir_all(device.join("containers/7")).unwrap();
    assert_eq!(ask(&server, "PUT", "/sdb1/1/a/c", &[EARLY]).status, 507);
    assert_eq!(ask(&server, "GET", "/sdb1/1/a/c", &[]).status, 507);
    assert_eq!(ask(&server, "PUT", "/sda1/1/a/c", &[EARLY]).status, 201);
    assert!(!device.join(MARKER).exists() && !device.join("apus-sled").exists());
    fs::remove_dir_all(device.join("containers")).unwrap();
    assert_eq!(ask(&server, "PUT", "/sdb1/1/a/c", &[EARLY]).status, 201);
}

/// A server whose log can be read, and whose file can be changed while it runs.
struct Reloaded {
    node: Node,
    server: raw_http::Server,
}

impl Reloaded {
    fn start(more: &str) -> Self {
        let (node, address) = (Node::new(), raw_http::free_address().unwrap());
        let conf = Self::write(&node, address, more);
        let mut command = apus(&["container-server", conf.to_str().unwrap(), "--verbose"]);
        command.stderr(fs::File::create(node.path().join("log")).unwrap());
        let server = raw_http::Server::start(&mut command, address).unwrap();
        assert_eq!(ask(&server, "PUT", "/sda1/1/a/c", &[EARLY]).status, 201);
        Self { node, server }
    }

    fn write(node: &Node, address: std::net::SocketAddr, more: &str) -> PathBuf {
        let conf = node.conf("container", address, more);
        let text = fs::read_to_string(&conf).unwrap();
        fs::write(&conf, text.replace("log_level = ERROR", "log_level = INFO")).unwrap();
        conf
    }

    /// Changes the file, waits until the log says so, and sees that the server goes on. Returns what
    /// was logged.
    fn reload(&self, more: &str, until: &str) -> String {
        let log = || fs::read_to_string(self.node.path().join("log")).unwrap();
        let before = log().len();
        Self::write(&self.node, self.server.address, more);
        let pid = self.server.pid().to_string();
        let sent = Command::new("kill").args(["-HUP", &pid]).status();
        assert!(sent.unwrap().success());
        let patience = Instant::now() + Duration::from_secs(20);
        while !log()[before..].contains(until) {
            assert!(Instant::now() < patience, "no {until:?} in: {}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
        let put = put_row(&self.server, "/sda1/1/a/c/o", "1600000001");
        assert_eq!(put.status, 201);
        let listing = ask(&self.server, "GET", "/sda1/1/a/c", &[]);
        assert_eq!(listing.text(), "o\n");
        log()[before..].to_owned()
    }
}

/// A failure would mean that a reload opens a second engine on a database that the first one holds.
#[test]
fn a_reload_keeps_an_engine_that_cannot_be_opened_twice() {
    let small = "engine = sled\n[engine:sled]\ncache_capacity_mb = 8\n";
    let large = "engine = sled\n[engine:sled]\ncache_capacity_mb = 16\n";
    let server = Reloaded::start(small);
    let log = server.reload(large, "took over");
    assert_says(&log, &["[engine:sled] changed", "restart the server"]);
    let log = server.reload("engine = sqlite\n", "keeping the old configuration");
    assert_says(&log, &["belongs to the engine sled"]);
    let log = server.reload(small, "took over");
    assert!(!log.contains("restart"), "{log}");
}

/// A failure would mean that a change of sqlite's settings needs a stop.
#[test]
fn a_reload_opens_sqlite_anew() {
    let server = Reloaded::start("");
    let log = server.reload("[engine:sqlite]\ndurability = disk\n", "took over");
    assert!(!log.contains("restart"), "{log}");
    let log = server.reload("[engine:sqlite]\ndurability = none\n", "keeping the old");
    assert_says(&log, &["durability", "\"none\""]);
}

/// A failure would mean that people must know by heart which engine keeps which device.
#[test]
fn info_finds_the_engine_of_a_device_by_itself() {
    let node = Node::new();
    let server = node.start("container", "engine = sled\n");
    assert_eq!(ask(&server, "PUT", "/sda1/1/a/c", &[EARLY]).status, 201);
    drop(server);
    let devices = node.path().join("devices");
    let place = [
        "--swift-dir",
        node.path().to_str().unwrap(),
        "--devices",
        devices.to_str().unwrap(),
    ];
    let (ok, text, err) = output(apus(&["info", "a/c", "--json"]).args(place));
    assert!(ok, "{err}");
    let info: Value = serde_json::from_str(&text).unwrap();
    let location = info["location"].as_str().unwrap();
    let (ok, _, err) = output(apus(&["info", location, "--engine", "sled"]).args(place));
    assert!(ok, "{err}");
    let (ok, _, err) = output(apus(&["info", location, "--engine", "sqlite"]).args(place));
    assert!(!ok);
    assert_says(
        &err,
        &["device sda1 belongs to the engine sled, not to sqlite"],
    );
    let (ok, _, err) = output(apus(&["list", "a/c", "--engine", "sqlite"]).args(place));
    assert!(!ok);
    assert_says(
        &err,
        &["no container \"a/c\"", "not searched: device sda1 belongs"],
    );
    let (ok, _, err) = output(apus(&["list", "a/c", "--engine", "bolt"]).args(place));
    assert!(!ok);
    assert_says(&err, &["there is no engine \"bolt\""]);
}

/// A failure would mean that `apus serve` forgets, or hides, what it kept with another engine.
#[test]
fn serve_goes_on_with_the_engine_of_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let serve = |more: &[&str]| {
        let addresses = [(); 2].map(|()| raw_http::free_address().unwrap());
        let ports = addresses.map(|address| address.port().to_string());
        let mut command = apus(&["serve", "--data", data.to_str().unwrap()]);
        command.args(["--account-port", &ports[0], "--container-port", &ports[1]]);
        command
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        (command, addresses[0])
    };
    let start = |more: &[&str]| {
        let (mut command, account) = serve(more);
        raw_http::Server::start(&mut command, account).unwrap()
    };
    let put = start(&["--engine", "sled"]);
    assert_eq!(ask(&put, "PUT", "/sda1/1/a", &[EARLY]).status, 201);
    drop(put);
    let again = start(&[]);
    assert_eq!(ask(&again, "HEAD", "/sda1/1/a", &[]).status, 204);
    drop(again);
    let (mut refused, _) = serve(&["--engine", "sqlite"]);
    let (ok, _, err) = output(refused.stderr(Stdio::piped()));
    assert!(!ok);
    assert_says(&err, &["belongs to the engine sled", "--engine sled"]);
}

/// A failure would mean that the list of engines leaves out what people choose by.
#[test]
fn engines_are_listed_for_people_and_for_programs() {
    let (ok, text, _) = output(&mut apus(&["engines"]));
    assert!(ok);
    assert_says(
        &text,
        &[
            "sqlite    Swift's own files",
            "durability  process, or disk",
            "core (",
            "settings    cache_capacity_mb = 64: ",
        ],
    );
    let (ok, text, _) = output(&mut apus(&["engines", "--json"]));
    assert!(ok);
    let engines: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> = engines["engines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["name"])
        .collect();
    assert_says(&format!("{names:?}"), &["sqlite", "memory", "sled"]);
    for engine in engines["engines"].as_array().unwrap() {
        let certified = engine["certified"].as_array().unwrap();
        assert_eq!(certified, engine["claims"].as_array().unwrap(), "{engine}");
    }
}
