//! Making, removing and quarantining stores.
//!
//! A new database is built under a temporary name with everything in it, synced, and renamed under
//! the lock of the directory: it exists completely or not at all, and of several creators one wins.

use crate::connection::register_chexor;
use crate::error::{Attempt, Failure, OsContext};
use crate::lock::DirLock;
use crate::path::{StorePaths, is_absence, kind_dir};
use broker_api::{Durability, Initialized, StoreKind};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// How often a directory that others remove while it is being used is made again.
const ATTEMPTS: usize = 5;

/// How long the removal of a store waits for those who append to it; Swift's default.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes a store whose tables `build` fills, unless it exists.
pub(crate) fn create(
    paths: &StorePaths,
    timeout: Duration,
    build: impl Fn(&Connection) -> Attempt<()>,
) -> Attempt<Initialized> {
    retrying(|| try_create(paths, timeout, &build))
}

/// Does it again when those who tidy up empty directories took one before it held anything.
pub(crate) fn retrying<T>(mut attempt: impl FnMut() -> Attempt<T>) -> Attempt<T> {
    let mut attempts = 1;
    loop {
        match attempt() {
            Err(Failure::Os { source, .. }) if is_absence(&source) && attempts < ATTEMPTS => {
                attempts += 1;
            }
            done => return done,
        }
    }
}

fn try_create(
    paths: &StorePaths,
    timeout: Duration,
    build: &impl Fn(&Connection) -> Attempt<()>,
) -> Attempt<Initialized> {
    if paths.exists()? {
        return Ok(Initialized::AlreadyExisted);
    }
    make_dirs(paths)?;
    let temporary = Temporary::new(&paths.dir)?;
    temporary.fill(build)?;
    let placed = place(&temporary.path, paths, timeout)?;
    if placed == Initialized::Created {
        std::mem::forget(temporary);
    }
    Ok(placed)
}

/// Gives a complete and synced file its name, unless a store is there.
fn place(file: &Path, paths: &StorePaths, timeout: Duration) -> Attempt<Initialized> {
    let _lock = DirLock::take(&paths.dir, timeout)?;
    if paths.exists()? {
        return Ok(Initialized::AlreadyExisted);
    }
    // What a removal that was cut short left here is not the new store's.
    let pending = paths.dir.join(paths.pending_name());
    unless_absent(fs::remove_file(&pending)).at("remove", &pending)?;
    fs::rename(file, &paths.db).at("name", &paths.db)?;
    sync_dir(&paths.dir)?;
    Ok(Initialized::Created)
}

/// Moves a complete and synced file from elsewhere on the device to its place, unless a store is there.
pub(crate) fn move_in(file: &Path, paths: &StorePaths, timeout: Duration) -> Attempt<Initialized> {
    retrying(|| {
        make_dirs(paths)?;
        place(file, paths, timeout)
    })
}

/// Makes the directory of a store and those above it, and syncs their names before anything is in it.
///
/// All of them: one that is there already may have been made by another thread a moment ago, which has
/// not come to syncing it. What was synced before costs next to nothing.
pub(crate) fn make_dirs(paths: &StorePaths) -> Attempt<()> {
    fs::create_dir_all(&paths.dir).at("make", &paths.dir)?;
    for parent in paths.dir.ancestors().skip(1) {
        sync_dir(parent)?;
        if parent == paths.device {
            break;
        }
    }
    Ok(())
}

pub(crate) fn sync_dir(dir: &Path) -> Attempt<()> {
    let opened = File::open(dir).at("open", dir)?;
    opened.sync_all().at("sync", dir)
}

/// Makes an empty file, of the mode that Swift's databases have.
pub(crate) fn make_file(path: &Path) -> Attempt<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).at("make", path).map(drop)
}

/// A database under a name that nobody opens; removed when it is dropped.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    /// Makes an empty file under a name like Swift's, which its replicator tidies up after a crash.
    fn new(dir: &Path) -> Attempt<Self> {
        let unique = Uuid::new_v4().simple().to_string();
        let path = dir.join(format!("tmp{}.tmp", &unique[..8]));
        make_file(&path)?;
        Ok(Self { path })
    }

    fn fill(&self, build: &impl Fn(&Connection) -> Attempt<()>) -> Attempt<()> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags)?;
        // Fast and careless: the file is synced once, at the end.
        conn.execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA journal_mode = MEMORY;",
        )?;
        register_chexor(&conn)?;
        conn.execute_batch("BEGIN")?;
        build(&conn)?;
        conn.execute_batch("COMMIT")?;
        conn.close().map_err(|(_, error)| error)?;
        let file = File::open(&self.path).at("open", &self.path)?;
        file.sync_all().at("sync", &self.path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What remains is found by the replicator.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes a store and everything in its directory, and the directories above that become empty.
pub(crate) fn remove(paths: &StorePaths, durability: Durability) -> Attempt<()> {
    let lock = match DirLock::take(&paths.dir, REMOVE_TIMEOUT) {
        Ok(lock) => lock,
        Err(Failure::Os { source, .. }) if is_absence(&source) => return Ok(()),
        Err(failure) => return Err(failure),
    };
    // The databases go first: whatever follows, the store is absent.
    for name in paths.databases()? {
        let path = paths.dir.join(name);
        unless_absent(fs::remove_file(&path)).at("remove", &path)?;
    }
    match fs::remove_dir_all(&paths.dir) {
        // Somebody creates a store here already.
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
            return sync_departure(&paths.dir, durability);
        }
        removed => unless_absent(removed).at("remove", &paths.dir)?,
    }
    drop(lock);
    if let Some(suffix) = paths.dir.parent() {
        sync_departure(suffix, durability)?;
        tidy(suffix, 2);
    }
    Ok(())
}

/// Makes sure that what went from a directory does not come back when the power is lost, where that is
/// promised. A directory that is gone as well needs nothing.
pub(crate) fn sync_departure(dir: &Path, durability: Durability) -> Attempt<()> {
    if durability < Durability::Disk {
        return Ok(());
    }
    match sync_dir(dir) {
        Err(Failure::Os { source, .. }) if is_absence(&source) => Ok(()),
        synced => synced,
    }
}

/// Removes a directory and those above it, `levels` at most, as long as they are empty.
pub(crate) fn tidy(dir: &Path, levels: usize) {
    for dir in dir.ancestors().take(levels) {
        if fs::remove_dir(dir).is_err() {
            break;
        }
    }
}

pub(crate) fn unless_absent(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if is_absence(&error) => Ok(()),
        result => result,
    }
}

/// Moves the directory of a store out of sight, to `quarantined` on its device.
pub(crate) fn quarantine(
    paths: &StorePaths,
    kind: StoreKind,
    durability: Durability,
) -> Attempt<PathBuf> {
    if !paths.exists()? {
        return Err(Failure::Absent);
    }
    let parent = paths.device.join("quarantined").join(kind_dir(kind));
    fs::create_dir_all(&parent).at("make", &parent)?;
    let target = move_aside(paths, &parent)?;
    // Where it is now before where it was: it may be in both places, never in none.
    let device: &Path = &paths.device;
    for dir in [
        Some(device),
        parent.parent(),
        Some(&parent),
        paths.dir.parent(),
    ] {
        dir.map_or(Ok(()), |dir| sync_departure(dir, durability))?;
    }
    Ok(target)
}

fn move_aside(paths: &StorePaths, parent: &Path) -> Attempt<PathBuf> {
    let target = parent.join(&paths.hash);
    match fs::rename(&paths.dir, &target) {
        Ok(()) => return Ok(target),
        Err(error) => match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty => {}
            ErrorKind::NotFound => return Err(Failure::Absent),
            _ => return Err(Failure::os("quarantine", &paths.dir, error)),
        },
    }
    let unique = parent.join(format!("{}-{}", paths.hash, Uuid::new_v4().simple()));
    fs::rename(&paths.dir, &unique).at("quarantine", &paths.dir)?;
    Ok(unique)
}
