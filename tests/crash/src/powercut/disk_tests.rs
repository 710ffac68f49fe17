// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

use super::{Cut, Disk};
use crate::log::Event;
use broker_crash::Draw;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder with `a`, which is synced, and what happens to it then.
struct Power {
    folder: tempfile::TempDir,
    disk: Disk,
}

const A: u64 = 1;
const NEW: u64 = 2;
const FOLDER: u64 = 3;

impl Power {
    fn on(content: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let devices = folder.path().join("devices");
        fs::create_dir(&devices).unwrap();
        fs::write(devices.join("a"), content).unwrap();
        let mut disk = Disk::scan(&devices).unwrap();
        // Numbers that the events below can name.
        let a = disk.find(&devices.join("a")).unwrap();
        disk.by_inode.insert(A, a);
        if let super::Node::File(file) = &mut disk.nodes[a] {
            file.inode = A;
        }
        disk.by_inode.insert(FOLDER, 0);
        Self { folder, disk }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("devices").join(name)
    }

    fn happens(&mut self, event: Event) {
        self.disk.replay(vec![event]).unwrap();
    }

    fn writes(&mut self, inode: u64, offset: u64, data: &str) {
        let data = data.into();
        self.happens(Event::Written {
            inode,
            offset,
            data,
        });
    }

    fn makes(&mut self, name: &str) {
        let path = self.path(name);
        self.happens(Event::Opened {
            inode: NEW,
            path,
            is_new: true,
            is_cut: false,
            is_folder: false,
        });
    }

    fn syncs(&mut self, inode: u64) {
        self.happens(Event::SyncBegan { inode, token: 7 });
        self.happens(Event::Synced { inode, token: 7 });
    }

    /// Cuts the power and reads a file.
    fn off(&self, cut: &mut Cut<'_>, name: &str) -> Option<String> {
        let to = self.folder.path().join("after");
        let _ = fs::remove_dir_all(&to);
        self.disk.write(&to, cut).unwrap();
        fs::read_to_string(to.join(name)).ok()
    }

    fn strictly(&self, name: &str) -> Option<String> {
        self.off(&mut Cut::Strict, name)
    }
}

#[test]
fn what_was_written_is_there_after_a_sync_alone() {
    let mut power = Power::on("old");
    power.writes(A, 0, "new!");
    assert_eq!(power.strictly("a").as_deref(), Some("old"));
    power.syncs(A);
    assert_eq!(power.strictly("a").as_deref(), Some("new!"));
}

#[test]
fn sync_covers_what_came_before_it_began() {
    let mut power = Power::on("");
    power.writes(A, 0, "one");
    power.happens(Event::SyncBegan { inode: A, token: 1 });
    power.writes(A, 3, "two");
    assert_eq!(power.strictly("a").as_deref(), Some(""), "not ended yet");
    power.happens(Event::Synced { inode: A, token: 1 });
    assert_eq!(power.strictly("a").as_deref(), Some("one"));
    power.syncs(A);
    assert_eq!(power.strictly("a").as_deref(), Some("onetwo"));
}

#[test]
fn new_file_needs_a_sync_of_its_folder() {
    let mut power = Power::on("");
    power.makes("b");
    power.writes(NEW, 0, "x");
    power.syncs(NEW);
    assert_eq!(power.strictly("b"), None);
    power.syncs(FOLDER);
    assert_eq!(power.strictly("b").as_deref(), Some("x"));
}

#[test]
fn rename_and_removal_need_a_sync_of_the_folder() {
    let mut power = Power::on("kept");
    let (from, to) = (power.path("a"), power.path("b"));
    power.happens(Event::Renamed {
        from,
        to: to.clone(),
    });
    assert_eq!(power.strictly("a").as_deref(), Some("kept"));
    power.syncs(FOLDER);
    assert_eq!(
        (power.strictly("a"), power.strictly("b").as_deref()),
        (None, Some("kept"))
    );
    power.happens(Event::Removed { path: to });
    assert_eq!(power.strictly("b").as_deref(), Some("kept"));
    power.syncs(FOLDER);
    assert_eq!(power.strictly("b"), None);
}

#[test]
fn cutting_and_zeroing_are_changes_like_writes() {
    let mut power = Power::on("abcdef");
    power.happens(Event::Resized {
        inode: A,
        length: 4,
    });
    power.happens(Event::Zeroed {
        inode: A,
        offset: 1,
        length: 2,
    });
    power.happens(Event::Extended {
        inode: A,
        length: 5,
    });
    assert_eq!(power.strictly("a").as_deref(), Some("abcdef"));
    power.syncs(A);
    assert_eq!(power.strictly("a").as_deref(), Some("a\0\0d\0"));
}

#[test]
fn torn_cut_keeps_a_beginning_of_what_was_not_synced() {
    let mut power = Power::on("");
    for (i, part) in ["one", "two", "three"].into_iter().enumerate() {
        power.writes(A, 3 * i as u64, part);
    }
    let mut draw = Draw::new(5);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let left = power.off(&mut Cut::Torn(&mut draw), "a").unwrap();
        assert!("onetwothree".starts_with(&left), "{left}");
        seen.insert(left.len());
    }
    assert_eq!(seen.len(), 12, "every length is seen: {seen:?}");
}

#[test]
fn log_that_does_not_explain_the_files_is_noticed() {
    let mut power = Power::on("as it was");
    assert_eq!(power.disk.differences().unwrap(), Vec::<String>::new());
    fs::write(power.path("a"), "written past the log").unwrap();
    fs::write(power.path("b"), "made past the log").unwrap();
    assert_eq!(power.disk.differences().unwrap().len(), 2);
    let gone = Event::Removed {
        path: Path::new("/elsewhere/x").into(),
    };
    assert!(power.disk.replay(vec![gone]).is_err());
}
