//! A node for tests: a folder with configuration and devices, and servers on it.

use raw_http::{Response, Server, free_address};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder with one device.
pub(crate) struct Node {
    pub(crate) folder: tempfile::TempDir,
}

impl Node {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("devices/sda1")).unwrap();
        let swift_conf = "[swift-hash]\nswift_hash_path_suffix = test\n";
        std::fs::write(folder.path().join("swift.conf"), swift_conf).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a configuration file and returns its path.
    pub(crate) fn conf(&self, kind: &str, address: SocketAddr, more: &str) -> PathBuf {
        let text = format!(
            "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {}\nuser = {}\nswift_dir = {dir}\n\
             devices = {dir}/devices\nmount_check = false\nlog_level = ERROR\n\
             [pipeline:main]\npipeline = healthcheck recon {kind}-server\n\
             [filter:healthcheck]\nuse = egg:swift#healthcheck\n\
             [filter:recon]\nuse = egg:swift#recon\nrecon_cache_path = {dir}/recon\n\
             [app:{kind}-server]\nuse = egg:swift#{kind}\n{more}",
            address.port(),
            raw_http::user_name().unwrap(),
            dir = self.path().display(),
        );
        let conf = self.path().join(format!("{kind}-server.conf"));
        std::fs::write(&conf, text).unwrap();
        conf
    }

    /// Starts a server of a kind, `account` or `container`.
    pub(crate) fn start(&self, kind: &str, more: &str) -> Server {
        let address = free_address().unwrap();
        let conf = self.conf(kind, address, more);
        let mut command = apus(&[&format!("{kind}-server"), conf.to_str().unwrap()]);
        Server::start(command.stderr(Stdio::null()), address).unwrap()
    }
}

/// The binary under test with arguments.
pub(crate) fn apus(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apus"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn output(command: &mut Command) -> (bool, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

/// Sends one request.
pub(crate) fn ask(
    server: &Server,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Response {
    raw_http::once(server.address, method, target, headers).unwrap()
}

/// Puts an object row.
pub(crate) fn put_row(server: &Server, target: &str, timestamp: &str) -> Response {
    let headers = [
        ("X-Timestamp", timestamp),
        ("X-Size", "5"),
        ("X-Content-Type", "text/plain"),
        ("X-Etag", "etag"),
    ];
    ask(server, "PUT", target, &headers)
}

/// Every file below a folder with an extension.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}
