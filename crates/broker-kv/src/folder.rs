//! [`Folder`]: the place of a database in the file system, marked and locked.
//!
//! ```text
//! <folder>/
//!     FORMAT     which engine wrote it, and in which version
//!     LOCK       flock(2), held while a process has the database open
//!     db/        the database's own files
//! ```
//!
//! Databases are not always good at telling their own files from those of another version: sled 0.34 and 1.0
//! open each other's without an error, as empty ones. So nothing is opened that does not carry the marker.

use crate::engine::Presence;
use broker_api::{Error, ErrorKind, Outcome, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The name of the marker.
const MARKER: &str = "FORMAT";

/// A folder that is marked and, unless it was only looked at, locked.
#[derive(Debug)]
pub struct Folder {
    db: PathBuf,
    _lock: Option<File>,
}

impl Folder {
    /// Locks the folder of a database that carries `marker`, one line. Where there is nothing, the answer is
    /// `None`, or the folder is made.
    ///
    /// # Errors
    /// `Busy` when another process has it, `Unsupported` when it carries another marker or holds data without
    /// one; it is left alone then. As of the system otherwise.
    pub fn claim(path: &Path, marker: &str, presence: Presence) -> Result<Option<Self>> {
        let db = path.join("db");
        if !is_marked(path, &db, marker)? {
            if presence == Presence::Existing {
                return Ok(None);
            }
            fs::create_dir_all(path).map_err(|error| failed("make", path, error))?;
        }
        let lock = lock(path)?;
        // Another process may have made it in between.
        if !is_marked(path, &db, marker)? {
            mark(path, marker)?;
            make_durably(path, &db)?;
        }
        let _lock = Some(lock);
        Ok(Some(Self { db, _lock }))
    }

    /// As [`claim`](Self::claim) of a folder that exists, without locking it: for databases that can be read
    /// while another process writes to them.
    ///
    /// # Errors
    /// As those of [`claim`](Self::claim), but never `Busy`.
    pub fn look(path: &Path, marker: &str) -> Result<Option<Self>> {
        let db = path.join("db");
        let found = is_marked(path, &db, marker)?;
        Ok(found.then_some(Self { db, _lock: None }))
    }

    /// The error for a database that is open already: `Busy`, for which the engine waits a moment.
    pub fn in_use(path: &Path) -> Error {
        let message = format!(
            "{} is open in another process; a database serves one, so a server and its daemons must be one",
            path.display()
        );
        Error::new(ErrorKind::Busy, message).with_outcome(Outcome::NotApplied)
    }

    /// Where the database's own files are.
    pub fn db(&self) -> &Path {
        &self.db
    }
}

/// Whether the folder has the marker; false when there is nothing.
fn is_marked(path: &Path, db: &Path, marker: &str) -> Result<bool> {
    let foreign = |found: String| {
        let message = format!(
            "{} is not a database of this engine: {found}; it holds {marker:?} when it is",
            path.display()
        );
        Error::new(ErrorKind::Unsupported, message).with_outcome(Outcome::NotApplied)
    };
    let file = path.join(MARKER);
    match fs::read(&file) {
        Ok(text) if text.strip_suffix(b"\n") == Some(marker.as_bytes()) => Ok(true),
        Ok(text) => {
            let text = String::from_utf8_lossy(&text[..text.len().min(80)]).into_owned();
            Err(foreign(format!("{MARKER} holds {:?}", text.trim_end())))
        }
        Err(error) if is_absence(&error) => match fs::symlink_metadata(db) {
            Ok(_) => Err(foreign(format!("it has data and no {MARKER}"))),
            Err(error) if is_absence(&error) => Ok(false),
            Err(error) => Err(failed("look at", db, error)),
        },
        Err(error) => Err(failed("read", &file, error)),
    }
}

/// Marks a folder, before the database writes into it.
fn mark(path: &Path, marker: &str) -> Result<()> {
    let (file, made) = (path.join(MARKER), path.join("FORMAT.new"));
    let write = || -> io::Result<()> {
        let mut file = File::create(&made)?;
        writeln!(file, "{marker}")?;
        file.sync_all()
    };
    write().map_err(|error| failed("write", &made, error))?;
    let publish = || -> io::Result<()> {
        fs::rename(&made, &file)?;
        File::open(path)?.sync_all()
    };
    publish().map_err(|error| failed("name", &file, error))
}

/// Makes the folder of the database's own files and sees to it that a loss of power takes none of the folders
/// that lead there: not all databases look above their own. Also those that another process may have made a
/// moment ago: the engine's on the device, and this one in it.
fn make_durably(path: &Path, db: &Path) -> Result<()> {
    fs::create_dir_all(db).map_err(|error| failed("make", db, error))?;
    for dir in path.ancestors().take(3) {
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|error| failed("sync", dir, error))?;
    }
    Ok(())
}

/// Makes sure that no other process has the database open.
fn lock(path: &Path) -> Result<File> {
    let name = path.join("LOCK");
    let mut options = fs::OpenOptions::new();
    let options = options.create(true).truncate(false).write(true);
    let file = options.open(&name);
    let file = file.map_err(|error| failed("open", &name, error))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(Folder::in_use(path)),
        Err(errno) => Err(failed("lock", &name, errno.into())),
    }
}

fn failed(action: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
        _ => ErrorKind::Io,
    };
    let message = format!("cannot {action} {}", path.display());
    let failed = Error::new(kind, message).with_outcome(Outcome::NotApplied);
    failed.caused_by(error)
}

fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}
