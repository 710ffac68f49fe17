//! Where the files of a store are.
//!
//! ```text
//! <devices>/<device>/<kind>s/<partition>/<suffix>/<hash>/<hash>.db          one file: served
//! <devices>/<device>/<kind>s/<partition>/<suffix>/<hash>/<hash>_<epoch>.db  a sharded container
//! <devices>/<device>/sync_containers/<partition>/<suffix>/<hash>/<hash>.db  link: container sync
//! <devices>/<device>/tmp/<kind>s-<partition>-<hash>.restoring/<hash>.db     not complete yet
//! ```

use crate::error::{Attempt, Failure, OsContext};
use broker_api::{Location, StoreKind};
use rustix::fs::Stat;
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// The paths of one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StorePaths {
    /// The directory of the device.
    pub(crate) device: PathBuf,
    /// The directory of the store.
    pub(crate) dir: PathBuf,
    /// The database.
    pub(crate) db: PathBuf,
    /// The hash, which names the files.
    pub(crate) hash: String,
}

impl StorePaths {
    pub(crate) fn new(devices: &Path, location: &Location) -> Self {
        Self::below(kind_dir(location.kind()), devices, location)
    }

    /// The same below the directory that lists what container sync works through.
    pub(crate) fn synced(devices: &Path, location: &Location) -> Self {
        Self::below(SYNC_DIR, devices, location)
    }

    /// Where the store is put together while it is restored: in the directory for temporary files, into
    /// which Swift's replicators copy whole databases and where its walkers do not look.
    pub(crate) fn restoring(devices: &Path, location: &Location) -> Self {
        let store = Self::new(devices, location);
        let (kind, partition) = (location.kind(), location.partition());
        let name = format!("{kind}s-{partition}-{}.restoring", store.hash);
        let dir = store.device.join("tmp").join(name);
        let db = dir.join(store.db_name());
        Self { dir, db, ..store }
    }

    fn below(top: &str, devices: &Path, location: &Location) -> Self {
        let device = devices.join(location.device());
        let hash = location.hash().to_string();
        let mut dir = device.join(top);
        dir.push(location.partition());
        dir.push(location.hash().suffix());
        dir.push(&hash);
        let db = dir.join(format!("{hash}.db"));
        Self {
            device,
            dir,
            db,
            hash,
        }
    }

    /// Name of the database within the directory.
    pub(crate) fn db_name(&self) -> String {
        format!("{}.db", self.hash)
    }

    /// Name of the pending file within the directory.
    pub(crate) fn pending_name(&self) -> String {
        format!("{}.db.pending", self.hash)
    }

    /// Whether any database of the store is there now.
    pub(crate) fn exists(&self) -> Attempt<bool> {
        Ok(file_id(&self.db)?.is_some() || self.is_sharded()?)
    }

    /// Whether there is a database named after an epoch, as only sharded containers have.
    pub(crate) fn is_sharded(&self) -> Attempt<bool> {
        Ok(self.databases()?.iter().any(|name| name.contains('_')))
    }

    /// The names of all database files of the store.
    pub(crate) fn databases(&self) -> Attempt<Vec<String>> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if is_absence(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error).at("list", &self.dir),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.at("list", &self.dir)?;
            if let Ok(name) = entry.file_name().into_string()
                && is_database(&name, &self.hash)
            {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Holds the list of container sync.
pub(crate) const SYNC_DIR: &str = "sync_containers";

/// `accounts` or `containers`.
pub(crate) fn kind_dir(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Account => "accounts",
        StoreKind::Container => "containers",
    }
}

/// `<hash>.db` or `<hash>_<epoch>.db`, as Swift tells them.
fn is_database(name: &str, hash: &str) -> bool {
    let Some(stem) = name.strip_suffix(".db") else {
        return false;
    };
    stem.split('_').next() == Some(hash)
}

/// Which file a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }
}

/// When a file or a directory last changed (`st_ctime`): what is in a file, a name in a directory, or it was renamed or
/// removed itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChangedAt {
    seconds: i64,
    nanoseconds: i64,
}

impl ChangedAt {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            seconds: stat.st_ctime,
            nanoseconds: stat.st_ctime_nsec as i64,
        }
    }

    /// Whether any change from now on has a later time.
    pub(crate) fn is_past(&self) -> bool {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        self.is_past_at(Self {
            seconds: now.tv_sec,
            nanoseconds: now.tv_nsec,
        })
    }

    /// The clock from which the kernel takes the times of files ticks a few hundred times a second, and file systems
    /// round to a hundredth of a second at most. Some keep whole ones only.
    fn is_past_at(&self, now: Self) -> bool {
        let nanoseconds =
            |at: Self| i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanoseconds);
        let age = nanoseconds(now) - nanoseconds(*self);
        match self.nanoseconds {
            0 => age >= 2_000_000_000,
            _ => age >= 20_000_000,
        }
    }
}

/// The file at a path; `None` when there is none.
pub(crate) fn file_id(path: &Path) -> Attempt<Option<FileId>> {
    match rustix::fs::stat(path) {
        Ok(stat) => Ok(Some(FileId::of(&stat))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(Failure::os("look at", path, errno.into())),
    }
}

/// Whether an error says that a path leads nowhere.
pub(crate) fn is_absence(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker_api::HashPath;

    #[test]
    fn paths_are_those_of_swift() {
        let hash = HashPath::new("", "endcap").container("a", "c");
        let location = Location::new(StoreKind::Container, "sda1", "7", hash).unwrap();
        let paths = StorePaths::new(Path::new("/srv/node"), &location);
        let hex = "33379ecb053aa5c9e356c68997cbb59e";
        let wanted = format!("/srv/node/sda1/containers/7/59e/{hex}/{hex}.db");
        assert_eq!(paths.db, Path::new(&wanted));
        assert_eq!(paths.pending_name(), format!("{hex}.db.pending"));
    }

    /// A failure would mean that a change is missed which comes within the same tick, or second.
    #[test]
    fn times_are_past_when_nothing_can_get_them_any_more() {
        let at = |seconds, nanoseconds| ChangedAt {
            seconds,
            nanoseconds,
        };
        let now = at(1000, 5_000_000);
        for (changed, past) in [
            (at(1000, 5_000_000), false),
            (at(1000, 1), false),
            (at(999, 995_000_000), false),
            (at(999, 985_000_000), true),
            (at(1000, 6_000_000), false),
            (at(1001, 1), false),
            (at(999, 0), false),
            (at(998, 0), true),
            (at(i64::MAX, 1), false),
            (at(i64::MIN, 1), true),
        ] {
            assert_eq!(changed.is_past_at(now), past, "{changed:?}");
        }
    }

    #[test]
    fn database_names_are_told_as_swift_tells_them() {
        for name in ["h.db", "h_1.2.db", "h_.db", "h_1_2.db"] {
            assert!(is_database(name, "h"), "{name}");
        }
        for name in ["h.db.pending", "h.db-journal", "hh.db", "tmp1.tmp", "h"] {
            assert!(!is_database(name, "h"), "{name}");
        }
    }
}
