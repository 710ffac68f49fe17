//! The pending file: client writes that were acknowledged and not merged yet.
//!
//! ```text
//! : gAIoWAEAAABv…dC4=  : gAIoWAEAAABw…dC4=  : …
//! │ └ base64 of a pickled tuple
//! └ before every entry, none at the end
//! ```
//!
//! Whoever appends or merges holds the lock of the directory. Merging reads everything, commits, and
//! then truncates: a crash in between merges the same records again, which changes no object.

use crate::error::{Attempt, Failure, OsContext};
use crate::lock;
use crate::path::{FileId, StorePaths};
use crate::pickle;
use crate::records::NoRecord;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

/// A file larger than this takes no more records: they are merged instead.
pub(crate) const PENDING_CAP: u64 = 131_072;

/// How much of an entry that cannot be read is shown in the log.
const SHOWN: usize = 200;

/// The lock and the pending file of one store, kept open between operations.
#[derive(Debug)]
pub(crate) struct Pending {
    dir: OwnedFd,
    dir_path: PathBuf,
    name: String,
    path: PathBuf,
    lock: Option<(OwnedFd, FileId)>,
    file: Option<(File, FileId)>,
}

impl Pending {
    /// Prepares for the store at these paths, whose directory exists.
    pub(crate) fn open(paths: &StorePaths) -> Attempt<Self> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&paths.dir, flags, Mode::empty()).at("open", &paths.dir)?;
        let name = paths.pending_name();
        Ok(Self {
            dir,
            dir_path: paths.dir.clone(),
            path: paths.dir.join(&name),
            name,
            lock: None,
            file: None,
        })
    }

    /// Takes the lock of the directory; [`unlock`](Self::unlock) gives it back.
    pub(crate) fn lock(&mut self, timeout: Duration) -> Attempt<()> {
        let path = self.dir_path.join(lock::LOCK_NAME);
        loop {
            let (file, id) = match self.lock.take() {
                Some(open) => open,
                None => {
                    let opened =
                        rustix::fs::openat(&self.dir, lock::LOCK_NAME, lock::flags(), lock::mode());
                    let file = opened.at("open", &path)?;
                    let stat = rustix::fs::fstat(&file).at("look at", &path)?;
                    (file, FileId::of(&stat))
                }
            };
            lock::flock(&file, &path, timeout)?;
            match rustix::fs::statat(&self.dir, lock::LOCK_NAME, AtFlags::empty()) {
                Ok(stat) if FileId::of(&stat) == id => {
                    self.lock = Some((file, id));
                    return Ok(());
                }
                // Somebody removed the file that was locked: lock the one that is there now.
                Ok(_) | Err(Errno::NOENT) => drop(file),
                Err(errno) => return Err(errno).at("look at", &path),
            }
        }
    }

    /// Gives the lock back.
    pub(crate) fn unlock(&mut self) {
        if let Some((file, _)) = &self.lock
            && lock::unlock(file, &self.path).is_err()
        {
            // Closing the file gives the lock back as well.
            self.lock = None;
        }
    }

    /// The size of the file and which one it is; `None` when it is absent.
    fn look(&self) -> Attempt<Option<(u64, FileId)>> {
        match rustix::fs::statat(&self.dir, &self.name, AtFlags::empty()) {
            Ok(stat) => Ok(Some((stat.st_size as u64, FileId::of(&stat)))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno).at("look at", &self.path),
        }
    }

    /// How many bytes wait to be merged. Needs no lock: what is not there yet is not acknowledged.
    pub(crate) fn size(&self) -> Attempt<u64> {
        Ok(self.look()?.map_or(0, |(size, _)| size))
    }

    /// Appends entries in one write, unless the file is over its cap. The lock is held.
    ///
    /// # Errors
    /// Nothing was appended then, unless the device failed while it was being synced.
    pub(crate) fn append(&mut self, entries: &[u8], sync: bool) -> Attempt<bool> {
        let (file, size) = self.file()?;
        if size > PENDING_CAP {
            return Ok(false);
        }
        let mut file = file;
        let written = file.write(entries);
        if !matches!(written, Ok(n) if n == entries.len()) {
            // A part of a record must not stay in front of the next.
            let cut = file.set_len(size);
            let error = match written {
                Err(error) => error,
                Ok(_) => std::io::ErrorKind::StorageFull.into(),
            };
            cut.at("truncate", &self.path)?;
            return Err(Failure::os("append to", &self.path, error));
        }
        if sync {
            file.sync_data().at("sync", &self.path)?;
            if size == 0 {
                self.sync_dir()?;
            }
        }
        Ok(true)
    }

    /// The open file with its size; made when it is absent.
    fn file(&mut self) -> Attempt<(&File, u64)> {
        let seen = self.look()?;
        let open = self.file.take();
        let (kept, size) = match (open, seen) {
            (Some((file, id)), Some((size, now))) if id == now => ((file, id), size),
            _ => {
                let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(0o666);
                let opened = rustix::fs::openat(&self.dir, &self.name, flags, mode);
                let file = File::from(opened.at("open", &self.path)?);
                let stat = rustix::fs::fstat(&file).at("look at", &self.path)?;
                ((file, FileId::of(&stat)), stat.st_size as u64)
            }
        };
        let (file, _) = self.file.insert(kept);
        Ok((file, size))
    }

    fn sync_dir(&self) -> Attempt<()> {
        let dir = File::open(&self.dir_path).at("open", &self.dir_path)?;
        dir.sync_all().at("sync", &self.dir_path)
    }

    /// Everything that waits, read with the lock held.
    pub(crate) fn read(&mut self) -> Attempt<Vec<u8>> {
        let path = self.path.clone();
        let (file, size) = self.file()?;
        let mut bytes = Vec::with_capacity(size as usize);
        let mut file = file;
        std::io::Seek::rewind(&mut file).at("read", &path)?;
        file.read_to_end(&mut bytes).at("read", &path)?;
        Ok(bytes)
    }

    /// Forgets everything, after it was committed and with the lock held.
    pub(crate) fn truncate(&mut self) -> Attempt<()> {
        let path = self.path.clone();
        let (file, _) = self.file()?;
        file.set_len(0).at("truncate", &path)
    }

    /// The records of a file; entries that are none are logged and left out.
    pub(crate) fn decode<R>(
        &self,
        bytes: &[u8],
        record: impl Fn(&[pickle::Value]) -> Result<R, NoRecord>,
    ) -> Vec<R> {
        let mut records = Vec::new();
        let mut pickled = Vec::new();
        for entry in bytes.split(|byte| *byte == b':') {
            if entry.is_empty() {
                continue;
            }
            pickled.clear();
            match decode_entry(entry, &mut pickled, &record) {
                Ok(record) => records.push(record),
                Err(reason) => self.report(entry, &reason.0),
            }
        }
        records
    }

    /// Logs an entry that was left out.
    fn report(&self, entry: &[u8], reason: &str) {
        let shown = String::from_utf8_lossy(&entry[..entry.len().min(SHOWN)]);
        let path = self.path.display();
        tracing::error!("invalid pending entry in {path}: {shown}: {reason}");
    }

    /// Logs a record that could not be merged and was dropped.
    pub(crate) fn report_dropped(&self, name: &str, reason: &broker_api::Error) {
        let path = self.path.display();
        tracing::error!("dropped the pending record of {name:?} in {path}: {reason}");
    }
}

fn decode_entry<R>(
    entry: &[u8],
    pickled: &mut Vec<u8>,
    record: impl Fn(&[pickle::Value]) -> Result<R, NoRecord>,
) -> Result<R, NoRecord> {
    STANDARD.decode_vec(entry, pickled)?;
    record(&pickle::read(pickled)?)
}

/// Adds an entry to a group that will be appended.
pub(crate) fn push_entry(group: &mut String, pickled: &[u8]) {
    group.push(':');
    STANDARD.encode_string(pickled, group);
}
