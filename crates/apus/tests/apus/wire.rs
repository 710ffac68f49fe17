//! The suite's second door: what it finds in servers, good ones and ones with a flaw.

use crate::common::{Node, apus, output};
use raw_http::{Server, free_address};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Something that a server gets wrong: it reads or writes one text as another of the same length.
struct Flaw {
    /// In requests; else in responses.
    in_requests: bool,
    from: &'static str,
    to: &'static str,
    /// The cases of which one must find it.
    filter: &'static str,
}

const fn deaf(from: &'static str, to: &'static str, filter: &'static str) -> Flaw {
    Flaw {
        in_requests: true,
        from,
        to,
        filter,
    }
}

const fn lying(from: &'static str, to: &'static str, filter: &'static str) -> Flaw {
    Flaw {
        in_requests: false,
        ..deaf(from, to, filter)
    }
}

const FLAWS: [Flaw; 20] = [
    deaf("&marker=", "&marked=", "listing::markers"),
    deaf("&end_marker=", "&end_marked=", "listing::markers"),
    deaf("&prefix=", "&prefax=", "listing::prefix"),
    deaf("&delimiter=", "&delimites=", "listing::delimiter"),
    deaf("&path=", "&pats=", "listing::path"),
    deaf("&reverse=true", "&reverse=nope", "listing::names"),
    deaf("limit=7&", "limit=8&", "listing::pages"),
    deaf(
        "reserved-names: true",
        "reserved-names: nope",
        "listing::reserved",
    ),
    deaf(
        "x-content-type-timestamp",
        "x-content-type-timestamq",
        "shown::content",
    ),
    deaf("x-meta-timestamp", "x-meta-timestamq", "shown::content"),
    deaf(
        "\"ctype_timestamp\"",
        "\"ctype_timestamq\"",
        "shown::content",
    ),
    deaf("\"deleted\":1", "\"deleted\":0", "shown::latest_data"),
    deaf("policy-index: 1", "policy-index: 0", "shown::policies"),
    deaf("x-object-count: 0", "x-object-count: 1", "shown::reports"),
    deaf(
        "_0000000000000001",
        "_0000000000000000",
        "shown::latest_data",
    ),
    lying(
        "X-Account-Status: ",
        "X-Account-Statue: ",
        "shown::deleted_account",
    ),
    lying(
        "X-Backend-Delete-Timestamp: 0000000009",
        "X-Backend-Delete-Timestamp: 0000000008",
        "shown::later",
    ),
    lying(
        "X-Container-Object-Count: 1",
        "X-Container-Object-Count: 2",
        "shown::latest_data",
    ),
    lying(
        "X-Container-Meta-A",
        "X-Container-Meta-D",
        "shown::latest_metadata",
    ),
    lying("\"subdir\"", "\"subdjr\"", "listing::delimiter"),
];

/// Account and container server of one node, with what the suite needs of them.
struct Servers {
    account: Server,
    container: Server,
    _node: Node,
}

impl Servers {
    fn start() -> Self {
        let node = Node::new();
        std::fs::create_dir(node.path().join("devices/sdb1")).unwrap();
        let mut conf = String::from("[swift-hash]\nswift_hash_path_suffix = test\n");
        for index in 0..32 {
            let default = if index == 0 { "default = yes\n" } else { "" };
            conf += &format!("[storage-policy:{index}]\nname = policy-{index}\n{default}");
        }
        std::fs::write(node.path().join("swift.conf"), conf).unwrap();
        Self {
            account: node.start("account", "engine = memory\n"),
            container: node.start("container", "engine = memory\n"),
            _node: node,
        }
    }
}

/// Runs the suite; whether it was content, and what it said.
fn certify(account: SocketAddr, container: SocketAddr, more: &[&str]) -> (bool, String) {
    let (account, container) = (format!("http://{account}"), format!("http://{container}"));
    let urls = [
        "certify",
        "--account-url",
        &account,
        "--container-url",
        &container,
    ];
    let mut command = apus(&urls);
    command
        .args(["--device", "sda1", "--device", "sdb1"])
        .args(more);
    let (content, stdout, stderr) = output(&mut command);
    (content, stdout + &stderr)
}

/// A way to a server on which one text becomes another. It ends with the test's process.
fn tampered(server: SocketAddr, flaw: &'static Flaw) -> SocketAddr {
    let listener = TcpListener::bind(free_address().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(server).unwrap();
            let (to_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let change =
                |applies: bool| applies.then_some((flaw.from.as_bytes(), flaw.to.as_bytes()));
            let (requests, responses) = (change(flaw.in_requests), change(!flaw.in_requests));
            thread::spawn(move || pump(client, to_server, requests));
            thread::spawn(move || pump(server, to_client, responses));
        }
    });
    address
}

/// Copies until the source ends. What is to be changed comes in one piece: heads and bodies are small.
fn pump(mut source: TcpStream, mut target: TcpStream, change: Option<(&[u8], &[u8])>) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok(count @ 1..) = source.read(&mut buffer) {
        let piece = &mut buffer[..count];
        if let Some((from, to)) = change {
            for at in 0..count.saturating_sub(from.len() - 1) {
                if piece[at..].starts_with(from) {
                    piece[at..at + to.len()].copy_from_slice(to);
                }
            }
        }
        if target.write_all(piece).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _ = target.shutdown(Shutdown::Both);
}

/// A server that is not certified cannot tell what it does wrong; one that is must have been looked at.
#[test]
fn servers_are_certified_over_http() {
    let servers = Servers::start();
    let (content, said) = certify(servers.account.address, servers.container.address, &[]);
    assert!(content, "{said}");
    assert!(said.contains("as far as HTTP shows"), "{said}");
    assert!(!said.contains(" 0 passed"), "{said}");
}

/// Were one of these not found, certificates over HTTP would be worth less than they say.
#[test]
fn flaws_of_servers_are_found_over_http() {
    let servers = Servers::start();
    for flaw in &FLAWS {
        assert_eq!(flaw.from.len(), flaw.to.len(), "{}", flaw.from);
        let (account, container) = (servers.account.address, servers.container.address);
        let filter = ["--filter", flaw.filter];
        let (content, said) = certify(account, container, &filter);
        assert!(
            content && said.contains(" passed"),
            "without a flaw: {said}"
        );
        let (account, container) = (tampered(account, flaw), tampered(container, flaw));
        let (content, said) = certify(account, container, &filter);
        assert!(
            !content,
            "{} as {} is not noticed:\n{said}",
            flaw.from, flaw.to
        );
    }
}

/// A list of known failures must shrink with them, or it hides the next ones.
#[test]
fn expected_failures_must_fail_and_have_reasons() {
    let servers = Servers::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("expected.txt");
    for (line, expected) in [
        (
            "shown::new_account_is_shown_empty because",
            "stale shown::new_account",
        ),
        ("shown::no_such_case because", "there is no such case"),
        ("shown::new_account_is_shown_empty", "has no reason"),
    ] {
        std::fs::write(&file, format!("# a comment\n\n{line}\n")).unwrap();
        let more = [
            "--filter",
            "shown::new_account",
            "--expect",
            file.to_str().unwrap(),
        ];
        let (account, container) = (servers.account.address, servers.container.address);
        let (content, said) = certify(account, container, &more);
        assert!(!content && said.contains(expected), "{line}: {said}");
    }
}

/// Half a door is none, and an address without a port is no server.
#[test]
fn addresses_of_servers_are_checked() {
    for (arguments, expected) in [
        (
            vec!["--account-url", "http://127.0.0.1:1"],
            "--container-url",
        ),
        (
            vec!["--account-url", "host", "--container-url", "http://h:1"],
            "write http://host:port",
        ),
        (vec![], "--engine"),
    ] {
        let (content, _, stderr) = output(apus(&["certify"]).args(&arguments));
        assert!(
            !content && stderr.contains(expected),
            "{arguments:?}: {stderr}"
        );
    }
    let nobody = free_address().unwrap();
    let (content, said) = certify(nobody, nobody, &["--filter", "shown::new_account"]);
    assert!(!content && said.contains("cannot connect"), "{said}");
}
