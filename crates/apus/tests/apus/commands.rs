//! The command line, as an operator uses it.

use crate::common::{Node, apus, ask, files, output, put_row};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const EARLY: (&str, &str) = ("X-Timestamp", "1600000000");

fn node_with_a_container() -> Node {
    let node = Node::new();
    let server = node.start("container", "");
    let color = ("X-Container-Meta-Color", "blue");
    assert_eq!(
        ask(&server, "PUT", "/sda1/1/a/c", &[EARLY, color]).status,
        201
    );
    for name in ["folder/1", "folder/2", "top"] {
        assert_eq!(
            put_row(&server, &format!("/sda1/1/a/c/{name}"), "1600000001").status,
            201
        );
    }
    node
}

/// A failure would mean that operators cannot look at a store by its name.
#[test]
fn info_finds_a_container_by_its_name_and_by_its_path() {
    let node = node_with_a_container();
    let folder = node.path().to_str().unwrap();
    let devices = node.path().join("devices");
    let devices = devices.to_str().unwrap();
    let (ok, by_name, _) = output(&mut apus(&[
        "info",
        "a/c",
        "--swift-dir",
        folder,
        "--devices",
        devices,
    ]));
    assert!(ok);
    for line in [
        "Path: /a/c",
        "  Deleted: False",
        "  Object Count: 3",
        "  Bytes Used: 15",
        "    X-Container-Meta-Color: blue",
        "  State: unsharded",
    ] {
        assert!(
            by_name.lines().any(|l| l == line),
            "no line {line:?} in:\n{by_name}"
        );
    }
    let [database] = files(&node.path().join("devices"), "db")
        .try_into()
        .unwrap();
    let (ok, by_path, _) = output(
        apus(&[
            "info",
            database.to_str().unwrap(),
            "--swift-dir",
            folder,
            "--devices",
            "/nowhere",
        ])
        .current_dir(folder),
    );
    assert!(ok);
    assert_eq!(by_path, by_name);
}

/// A failure would mean that scripts cannot read what a store says.
#[test]
fn info_and_list_print_json() {
    let node = node_with_a_container();
    let swift_dir = node.path().to_str().unwrap();
    let devices = node.path().join("devices");
    let place = [
        "--swift-dir",
        swift_dir,
        "--devices",
        devices.to_str().unwrap(),
        "--json",
    ];
    let (ok, text, _) = output(apus(&["info", "a/c"]).args(place));
    let info: Value = serde_json::from_str(&text).unwrap();
    assert!(ok);
    assert_eq!(
        (&info["object_count"], &info["is_deleted"]),
        (&3.into(), &false.into())
    );
    let (ok, text, _) = output(apus(&["list", "a/c", "--delimiter", "/"]).args(place));
    let rows: Value = serde_json::from_str(&text).unwrap();
    assert!(ok);
    assert_eq!(
        (&rows[0]["subdir"], &rows[1]["name"]),
        (&"folder/".into(), &"top".into())
    );
}

/// A failure would mean that a mistyped name looks like an empty store.
#[test]
fn an_unknown_container_is_a_clear_error() {
    let node = node_with_a_container();
    let swift_dir = node.path().to_str().unwrap();
    let devices = node.path().join("devices");
    let (ok, out, err) = output(
        apus(&["info", "a/other", "--swift-dir", swift_dir])
            .arg("--devices")
            .arg(devices),
    );
    assert!(!ok && out.is_empty());
    assert!(err.contains("no container \"a/other\""), "{err}");
}

/// A failure would mean that a typing error in a configuration starts the wrong engine.
#[test]
fn an_unknown_engine_is_refused_with_the_choices() {
    let node = Node::new();
    let address = raw_http::free_address().unwrap();
    let conf = node.conf("container", address, "engine = bolt\n");
    let (ok, _, err) = output(&mut apus(&[
        "container-server",
        conf.to_str().unwrap(),
        "-t",
    ]));
    assert!(!ok);
    assert!(
        err.contains("bolt") && err.contains("sqlite, memory"),
        "{err}"
    );
    let conf = node.conf("container", address, "[engine:sqlite]\ncolour = red\n");
    let (ok, _, err) = output(&mut apus(&[
        "container-server",
        conf.to_str().unwrap(),
        "-t",
    ]));
    assert!(!ok);
    assert!(
        err.contains("colour") && err.contains("durability"),
        "{err}"
    );
}

/// A failure would mean that a good configuration cannot be told from a bad one before a restart.
#[test]
fn a_good_configuration_passes_the_test_and_serves_nothing() {
    let node = Node::new();
    let conf = node.conf("account", raw_http::free_address().unwrap(), "");
    let (ok, _, err) = output(&mut apus(&["account-server", conf.to_str().unwrap(), "-t"]));
    assert!(ok, "{err}");
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// A failure would mean that stopping a node cuts off requests, or never ends.
#[test]
fn sigterm_ends_the_server_with_success() {
    let node = Node::new();
    let address = raw_http::free_address().unwrap();
    let conf = node.conf("container", address, "");
    let mut command = apus(&["container-server", conf.to_str().unwrap()]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while raw_http::once(address, "GET", "/healthcheck", &[]).is_err() {
        assert!(Instant::now() < until, "the server does not answer");
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(child.id(), "TERM");
    assert!(child.wait().unwrap().success());
}

/// A failure would mean that a changed configuration needs a stop, or that a reload drops requests.
#[test]
fn sighup_takes_over_a_changed_configuration_while_it_serves() {
    let node = Node::new();
    let server = node.start("container", "");
    assert_eq!(ask(&server, "PUT", "/sda1/1/a/c", &[EARLY]).status, 201);
    let listing = "/sda1/1/a/c?limit=7";
    assert_eq!(ask(&server, "GET", listing, &[]).status, 204);
    let swift_conf = node.path().join("swift.conf");
    let mut text = std::fs::read_to_string(&swift_conf).unwrap();
    text.push_str("[swift-constraints]\ncontainer_listing_limit = 5\n");
    std::fs::write(swift_conf, text).unwrap();
    signal(server.pid(), "HUP");
    let until = Instant::now() + Duration::from_secs(20);
    while ask(&server, "GET", listing, &[]).status != 412 {
        assert!(Instant::now() < until, "the new limit is not in force");
    }
}

/// A failure would mean that the command of the README does not work as printed.
#[test]
fn serve_needs_no_configuration_and_prints_requests_that_work() {
    let node = tempfile::tempdir().unwrap();
    let account = raw_http::free_address().unwrap();
    let container = raw_http::free_address().unwrap();
    let mut command = apus(&["serve", "--data", "data", "--account-port"]);
    command
        .arg(account.port().to_string())
        .arg("--container-port");
    command
        .arg(container.port().to_string())
        .current_dir(node.path());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    for address in [account, container] {
        while raw_http::once(address, "GET", "/healthcheck", &[]).is_err() {
            assert!(Instant::now() < until, "serve does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let requests = std::thread::spawn({
        let mut out = child.stdout.take().unwrap();
        move || {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut out, &mut text).map(|_| text)
        }
    });
    let at = ("X-Timestamp", "1700000000");
    let answer = |address, method, target, headers: &[_]| {
        raw_http::once(address, method, target, headers).unwrap()
    };
    assert_eq!(
        answer(account, "PUT", "/sda1/1/AUTH_test", &[at]).status,
        201
    );
    let host = account.to_string();
    let account_headers = [
        at,
        ("X-Account-Host", host.as_str()),
        ("X-Account-Device", "sda1"),
        ("X-Account-Partition", "1"),
    ];
    let made = answer(
        container,
        "PUT",
        "/sda1/1/AUTH_test/photos",
        &account_headers,
    );
    assert_eq!(made.status, 201);
    assert_eq!(
        answer(account, "GET", "/sda1/1/AUTH_test", &[]).text(),
        "photos\n"
    );
    signal(child.id(), "TERM");
    assert!(child.wait().unwrap().success());
    let printed = requests.join().unwrap().unwrap();
    assert!(printed.contains("/sda1/1/AUTH_test/photos"), "{printed}");
}
