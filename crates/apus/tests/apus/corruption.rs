//! Databases that cannot be read are quarantined, and the server goes on.

use crate::common::{Node, ask, files, put_row};
use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

const EARLY: (&str, &str) = ("X-Timestamp", "1600000000");

fn overwrite(file: &Path, at: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

/// Spoils a container's database in one way while no server has it open (an open one is served from
/// memory as long as nobody says that it changed), and sees that it is put aside, that the neighbour
/// is served all the while, and that the name can be used again.
fn spoiled_container_is_quarantined(spoil: impl Fn(&Path)) {
    let node = Node::new();
    let mut server = node.start("container", "");
    for container in ["spoiled", "neighbour"] {
        let target = format!("/sda1/1/a/{container}");
        assert_eq!(ask(&server, "PUT", &target, &[EARLY]).status, 201);
        for number in 0..300 {
            let row = put_row(
                &server,
                &format!("{target}/object-{number:04}"),
                "1600000001",
            );
            assert_eq!(row.status, 201);
        }
        // Reading merges what was buffered into the database.
        assert_eq!(ask(&server, "GET", &target, &[]).status, 200);
        if container == "spoiled" {
            server.kill().unwrap();
            let [database] = files(&node.path().join("devices"), "db")
                .try_into()
                .unwrap();
            spoil(&database);
            server = node.start("container", "");
        }
    }
    assert_eq!(ask(&server, "GET", "/sda1/1/a/spoiled", &[]).status, 500);
    let aside = node.path().join("devices/sda1/quarantined/containers");
    assert_eq!(std::fs::read_dir(aside).unwrap().count(), 1);
    assert_eq!(ask(&server, "GET", "/sda1/1/a/spoiled", &[]).status, 404);
    assert_eq!(ask(&server, "GET", "/sda1/1/a/neighbour", &[]).status, 200);
    let again = ask(
        &server,
        "PUT",
        "/sda1/1/a/spoiled",
        &[("X-Timestamp", "1600000002")],
    );
    assert_eq!(again.status, 201);
}

/// A failure would mean that a file of another kind in a database's place is looped on for ever.
#[test]
fn a_file_that_is_no_database_is_quarantined() {
    spoiled_container_is_quarantined(|file| overwrite(file, 0, &[0x5a; 4096]));
}

/// A failure would mean that damaged pages are served as if they were rows.
#[test]
fn a_malformed_image_is_quarantined() {
    spoiled_container_is_quarantined(|file| {
        let pages = std::fs::metadata(file).unwrap().len() / 4096;
        for page in 1..pages {
            overwrite(file, page * 4096, &[0xff; 4096]);
        }
    });
}

/// A failure would mean that a damaged schema table leaves a container in limbo.
#[test]
fn a_malformed_schema_is_quarantined() {
    spoiled_container_is_quarantined(|file| {
        let database = rusqlite::Connection::open(file).unwrap();
        let spoil = "PRAGMA writable_schema = ON;
                     UPDATE sqlite_master SET sql = 'CREATE TABLE object (' WHERE name = 'object';";
        database.execute_batch(spoil).unwrap();
    });
}

/// A failure would mean the endless loop that stock Swift falls into.
#[test]
fn a_missing_stat_row_is_quarantined() {
    spoiled_container_is_quarantined(|file| {
        let database = rusqlite::Connection::open(file).unwrap();
        database.execute("DELETE FROM container_info", []).unwrap();
    });
}

/// A failure would mean that a hostile side file runs code, stops the container, or loses good rows.
#[test]
fn a_hostile_pending_record_is_dropped_and_the_good_ones_stay() {
    let node = Node::new();
    let server = node.start("container", "");
    assert_eq!(ask(&server, "PUT", "/sda1/1/a/c", &[EARLY]).status, 201);
    assert_eq!(
        put_row(&server, "/sda1/1/a/c/good", "1600000001").status,
        201
    );
    let [database] = files(&node.path().join("devices"), "db")
        .try_into()
        .unwrap();
    let pending = database.with_extension("db.pending");
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(pending)
        .unwrap();
    // cos\nsystem\n(S'touch /tmp/x'\ntR. in base64, then text that is no base64 at all.
    file.write_all(b":Y29zCnN5c3RlbQooUyd0b3VjaCAvdG1wL3gnCnRSLg==:%%%%")
        .unwrap();
    drop(file);
    assert_eq!(
        put_row(&server, "/sda1/1/a/c/later", "1600000002").status,
        201
    );
    let listing = ask(&server, "GET", "/sda1/1/a/c", &[]);
    assert_eq!(
        (listing.status, listing.text().as_str()),
        (200, "good\nlater\n")
    );
    assert!(files(&node.path().join("devices/sda1/quarantined"), "db").is_empty());
}
