use std::fs;

use http_body_util::BodyExt;

use super::*;

struct Fixture {
    root: tempfile::TempDir,
    recon: Recon,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(&path).unwrap();
            path
        };
        let recon = Recon::new(ReconOptions {
            recon_cache_path: at("cache"),
            devices: at("node"),
            swift_dir: at("swift"),
            policies: vec![0, 1],
            proc: at("proc"),
        });
        Self { root, recon }
    }

    fn path(&self, name: &str) -> String {
        self.root.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn text(&self, path: &str) -> (u16, String) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let response = self.recon.answer(path).await.unwrap();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        })
    }

    fn json(&self, path: &str) -> Value {
        let (status, text) = self.text(path);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// Monitoring gets what daemons left, and nulls where they left nothing.
#[test]
fn cache_files_are_shown() {
    let fixture = Fixture::new();
    fixture.write(
        "cache/account.recon",
        "{\"replication_last\": 2.5, \"replication_stats\": {\"ok\": 1}}\n",
    );
    fixture.write("cache/container.recon", "{broken");
    assert_eq!(
        fixture.json("/recon/replication/account"),
        json!({"replication_time": null, "replication_stats": {"ok": 1}, "replication_last": 2.5})
    );
    assert_eq!(
        fixture.json("/recon/updater/container"),
        json!({"container_updater_sweep": null})
    );
    assert_eq!(
        fixture.json("/recon/async/ignored"),
        json!({"async_pending": null, "async_pending_last": null})
    );
    assert_eq!(
        fixture
            .json("/recon/replication")
            .as_object()
            .unwrap()
            .len(),
        5
    );
}

/// Every check of the table is there.
#[test]
fn all_checks_are_known() {
    for (check, kinds) in [
        (
            "version time devices mounted unmounted diskusage ringmd5 swiftconfmd5 quarantined load mem sockstat",
            "",
        ),
        ("sharding async driveaudit relinker", ""),
        ("replication auditor", "account container object"),
        ("updater", "container object"),
        ("expirer reconstruction", "object"),
    ] {
        for check in check.split(' ') {
            for kind in kinds.split(' ') {
                assert!(Check::find(check, kind).is_some(), "{check}/{kind}");
            }
        }
    }
}

/// A wrong path is told apart from a server that has no answer.
#[test]
fn other_paths_are_not_found() {
    let fixture = Fixture::new();
    for path in [
        "/recon/x",
        "/recon/",
        "/recon/updater/account",
        "/recon/auditor",
        "/recon//version",
        "/recon/a%20b",
    ] {
        assert_eq!(fixture.text(path), (404, format!("Invalid path: {path}")));
    }
    assert_eq!(
        fixture.text("/recon/load"),
        (500, "Internal server error.".to_owned())
    );
}

/// Devices that are not mounted are listed, whatever else lies beside them.
#[test]
fn devices_are_examined() {
    let fixture = Fixture::new();
    fixture.write("node/sda1/.ismount", "");
    fixture.write("node/sdb1/x", "");
    fixture.write("node/a file", "");
    assert_eq!(
        fixture.json("/recon/unmounted"),
        json!([{"device": "sdb1", "mounted": false}])
    );
    let usage = fixture.json("/recon/diskusage");
    for device in usage.as_array().unwrap() {
        if device["device"] == "sdb1" {
            let expected =
                json!({"device": "sdb1", "mounted": false, "size": "", "used": "", "avail": ""});
            assert_eq!(*device, expected);
        } else {
            let number = |name: &str| device[name].as_u64().unwrap();
            assert_eq!(number("size"), number("used") + number("avail"));
        }
    }
    let root = fixture.path("node");
    assert_eq!(
        fixture.json("/recon/devices")[&root]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

/// Stores that were put aside are counted, per kind and policy.
#[test]
fn quarantined_stores_are_counted() {
    let fixture = Fixture::new();
    for name in [
        "containers/a",
        "containers/b",
        "accounts/c",
        "objects/d",
        "objects-1/e",
        "objects-1/f",
    ] {
        fs::create_dir_all(fixture.path(&format!("node/sda1/quarantined/{name}"))).unwrap();
    }
    fs::create_dir_all(fixture.path("node/sdb1")).unwrap();
    assert_eq!(
        fixture.json("/recon/quarantined"),
        json!({"objects": 3, "containers": 2, "accounts": 1,
               "policies": {"0": {"objects": 1}, "1": {"objects": 2}}})
    );
}

/// Checksums are keyed by the paths that `swift-recon` looks up.
#[test]
fn checksums_are_keyed_by_path() {
    let fixture = Fixture::new();
    fixture.write("swift/account.ring.gz", "abc");
    fixture.write("swift/object-1.ring.gz", "");
    let (account, object) = (
        fixture.path("swift/account.ring.gz"),
        fixture.path("swift/object-1.ring.gz"),
    );
    assert_eq!(
        fixture.json("/recon/ringmd5"),
        json!({account: "900150983cd24fb0d6963f7d28e17f72", object: "d41d8cd98f00b204e9800998ecf8427e"})
    );
    let conf = fixture.path("swift/swift.conf");
    assert_eq!(fixture.json("/recon/swiftconfmd5"), json!({conf: null}));
}

/// Facts of the kernel have the names that Swift gives them.
#[test]
fn machine_facts_are_shown() {
    let fixture = Fixture::new();
    fixture.write("proc/loadavg", "0.50 0.29 0.16 1/173 17274\n");
    fixture.write(
        "proc/meminfo",
        "MemTotal:       24684084 kB\nHugePages:  0\n",
    );
    fixture.write("proc/mounts", "proc /proc proc rw 0 0\n");
    let stat = "sockets: used 1\nTCP: inuse 7 orphan 1 tw 2 alloc 9 mem 3\n";
    fixture.write("proc/net/sockstat", stat);
    assert_eq!(
        fixture.json("/recon/load"),
        json!({"1m": 0.5, "5m": 0.29, "15m": 0.16, "tasks": "1/173", "processes": 17274})
    );
    assert_eq!(
        fixture.json("/recon/mem"),
        json!({"MemTotal": "24684084 kB", "HugePages": "0"})
    );
    assert_eq!(
        fixture.json("/recon/mounted"),
        json!([{"device": "proc", "path": "/proc"}])
    );
    let page = rustix::param::page_size();
    assert_eq!(
        fixture.json("/recon/sockstat"),
        json!({"tcp_in_use": 7, "orphan": 1, "time_wait": 2, "tcp_mem_allocated_bytes": 3 * page})
    );
    assert_eq!(fixture.json("/recon/version"), json!({"version": "2.38.3"}));
    assert!(fixture.json("/recon/time").as_f64().unwrap() > 1.7e9);
}
