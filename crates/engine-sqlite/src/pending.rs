//! The pending file: client writes that were acknowledged and not merged yet.
//!
//! ```text
//! : gAIoWAEAAABv…dC4=  : gAIoWAEAAABw…dC4=  : …
//! │ └ base64 of a pickled tuple
//! └ before every entry, none at the end
//! ```
//!
//! Whoever appends holds the lock of the directory. Merging reads everything and begins a transaction with the lock
//! held, commits, and then takes what was merged away: a crash in between merges the same records again, which changes
//! no object. Who merges a file that is full keeps the lock until the end; who merges in good time gives it back while
//! the transaction runs, and appending goes on.

use crate::error::{Attempt, Failure, OsContext};
use crate::lock;
use crate::path::{ChangedAt, FileId, StorePaths, file_id};
use crate::pickle;
use crate::records::NoRecord;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use broker_api::Durability;
use broker_runtime::sync::Buffered;
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::{Errno, ReadWriteFlags};
use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file larger than this takes no more records: they are merged instead.
pub(crate) const PENDING_CAP: u64 = 131_072;

/// A file larger than this should be merged before it is full. What can be appended meanwhile, 350 records, should
/// suffice for as long as a merge takes; smaller merges would cost more commits.
const MERGE_FROM: u64 = PENDING_CAP / 2;

/// After so many more bytes a merge that failed is tried again.
const MERGE_STEP: u64 = MERGE_FROM / 8;

/// How much of an entry that cannot be read is shown in the log.
const SHOWN: usize = 200;

/// The lock and the pending file of one store, kept open between operations.
#[derive(Debug)]
pub(crate) struct Pending {
    dir: OwnedFd,
    dir_id: FileId,
    dir_path: PathBuf,
    name: String,
    path: PathBuf,
    lock: Option<(OwnedFd, FileId)>,
    file: Option<Open>,
    /// What the directory said of changes before the name was looked up and found to lead to `file`, or nowhere.
    found_in: Option<ChangedAt>,
}

/// The pending file while it is open.
#[derive(Debug)]
struct Open {
    file: File,
    id: FileId,
    /// Whether its name is on the disk. Whoever made it may not have seen to that.
    is_named: bool,
}

impl Pending {
    /// Prepares for the store at these paths, whose directory exists.
    pub(crate) fn open(paths: &StorePaths) -> Attempt<Self> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&paths.dir, flags, Mode::empty()).at("open", &paths.dir)?;
        let stat = rustix::fs::fstat(&dir).at("look at", &paths.dir)?;
        let name = paths.pending_name();
        Ok(Self {
            dir,
            dir_id: FileId::of(&stat),
            dir_path: paths.dir.clone(),
            path: paths.dir.join(&name),
            name,
            lock: None,
            file: None,
            found_in: None,
        })
    }

    /// What the directory that is open says of changes; `None` when it cannot be seen.
    pub(crate) fn dir_state(&self) -> Option<ChangedAt> {
        let stat = rustix::fs::fstat(&self.dir).ok()?;
        Some(ChangedAt::of(&stat))
    }

    /// Whether the directory that is open is the one at a path.
    pub(crate) fn is_in(&self, dir: &Path) -> Attempt<bool> {
        Ok(file_id(dir)? == Some(self.dir_id))
    }

    /// Takes the lock of the directory, asking at least as often as `poll`; [`unlock`](Self::unlock) gives it back.
    pub(crate) fn lock(&mut self, timeout: Duration, poll: Duration) -> Attempt<()> {
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
            if let Err(failure) = lock::flock(&file, &path, timeout, poll) {
                self.lock = Some((file, id));
                return Err(failure);
            }
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

    /// What the system says of a file in the directory that is open; `None` when it is absent.
    pub(crate) fn look_at(&self, name: &str) -> Attempt<Option<Stat>> {
        match rustix::fs::statat(&self.dir, name, AtFlags::empty()) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno).at("look at", &self.dir_path.join(name)),
        }
    }

    /// The size of the file and which one it is; `None` when it is absent.
    fn look(&self) -> Attempt<Option<(u64, FileId)>> {
        let seen = self.look_at(&self.name)?;
        Ok(seen.map(|stat| (stat.st_size as u64, FileId::of(&stat))))
    }

    /// How many bytes wait to be merged. Needs no lock: what is not there yet is not acknowledged.
    pub(crate) fn size(&self) -> Attempt<u64> {
        Ok(self.look()?.map_or(0, |(size, _)| size))
    }

    /// The same, for a caller who saw just now that this is what the directory says of changes, and that any later change
    /// makes it say something else. The name is looked up once; from then on the file that it led to is asked.
    pub(crate) fn size_in(&mut self, dir: ChangedAt) -> Attempt<u64> {
        if self.found_in != Some(dir) {
            match self.look()? {
                None => self.forget(),
                seen => _ = self.file_as(seen)?,
            }
            self.found_in = Some(dir);
        }
        let Some(open) = &self.file else {
            return Ok(0);
        };
        let stat = rustix::fs::fstat(&open.file).at("look at", &self.path)?;
        Ok(stat.st_size as u64)
    }

    /// Appends entries in one write, unless the file is over its cap. The lock is held.
    ///
    /// # Errors
    /// Nothing was appended then, unless the device failed while it was being synced.
    pub(crate) fn append(&mut self, entries: &[u8], sync: bool) -> Attempt<Buffered> {
        let (open, size) = self.file()?;
        if size > PENDING_CAP {
            return Ok(Buffered::No);
        }
        let is_named = open.is_named;
        let mut file = &open.file;
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
            if !is_named {
                self.sync_dir()?;
            }
        }
        let after = size + entries.len() as u64;
        Ok(
            match after > MERGE_FROM && after / MERGE_STEP > size / MERGE_STEP {
                true => Buffered::Filling,
                false => Buffered::Yes,
            },
        )
    }

    /// The open file with its size; made when it is absent.
    fn file(&mut self) -> Attempt<(&Open, u64)> {
        let seen = self.look()?;
        self.file_as(seen)
    }

    /// The same after a look.
    fn file_as(&mut self, seen: Option<(u64, FileId)>) -> Attempt<(&Open, u64)> {
        let open = self.file.take();
        let (kept, size) = match (open, seen) {
            (Some(open), Some((size, now))) if open.id == now => (open, size),
            _ => {
                self.forget();
                let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
                let mode = Mode::from_raw_mode(0o666);
                let opened = rustix::fs::openat(&self.dir, &self.name, flags, mode);
                let file = File::from(opened.at("open", &self.path)?);
                let stat = rustix::fs::fstat(&file).at("look at", &self.path)?;
                let open = Open {
                    file,
                    id: FileId::of(&stat),
                    is_named: false,
                };
                (open, stat.st_size as u64)
            }
        };
        Ok((self.file.insert(kept), size))
    }

    fn forget(&mut self) {
        self.file = None;
        self.found_in = None;
    }

    fn sync_dir(&mut self) -> Attempt<()> {
        let dir = File::open(&self.dir_path).at("open", &self.dir_path)?;
        dir.sync_all().at("sync", &self.dir_path)?;
        if let Some(open) = &mut self.file {
            open.is_named = true;
        }
        Ok(())
    }

    /// Everything that waits, read with the lock held.
    pub(crate) fn read(&mut self) -> Attempt<Vec<u8>> {
        let path = self.path.clone();
        let (open, _) = self.file()?;
        let mut file = &open.file;
        let mut bytes = Vec::new();
        std::io::Seek::rewind(&mut file).at("read", &path)?;
        file.read_to_end(&mut bytes).at("read", &path)?;
        Ok(bytes)
    }

    /// The same from memory; `None` when that would have to wait.
    pub(crate) fn read_at_once(&self) -> Option<Vec<u8>> {
        let open = self.file.as_ref()?;
        let (size, _) = self.look().ok()?.filter(|(_, id)| *id == open.id)?;
        let mut bytes = vec![0; usize::try_from(size).ok()?];
        let parts = &mut [IoSliceMut::new(&mut bytes)];
        let got = rustix::io::preadv2(&open.file, parts, 0, ReadWriteFlags::NOWAIT);
        (got == Ok(bytes.len())).then_some(bytes)
    }

    /// Whether neither the lock nor the file has to be opened.
    pub(crate) fn is_ready(&self) -> bool {
        self.lock.is_some() && self.file.is_some()
    }

    /// Forgets everything, after it was committed and with the lock held.
    pub(crate) fn truncate(&mut self, sync: bool) -> Attempt<()> {
        let path = self.path.clone();
        let (open, _) = self.file()?;
        open.file.set_len(0).at("truncate", &path)?;
        match sync {
            true => open.file.sync_data().at("sync", &path),
            false => Ok(()),
        }
    }

    /// Takes the beginning of the file away, after it was committed and with the lock held. Nothing happens when the
    /// file begins with something else. `is_current` is asked right before.
    ///
    /// # Errors
    /// The file is as it was then, unless the device failed while it was being synced.
    pub(crate) fn remove(
        &mut self,
        merged: &[u8],
        durability: Durability,
        is_final: bool,
        is_current: impl FnOnce() -> Attempt<()>,
    ) -> Attempt<()> {
        let bytes = self.read()?;
        match bytes.strip_prefix(merged) {
            _ if merged.is_empty() => Ok(()),
            None => Ok(()),
            Some([]) => {
                is_current()?;
                self.truncate(is_final)
            }
            Some(rest) => {
                self.replace(rest, durability == Durability::Disk, is_current)?;
                match is_final {
                    true => self.sync_dir(),
                    false => Ok(()),
                }
            }
        }
    }

    /// Puts a file with this content in place of the present one.
    fn replace(
        &mut self,
        content: &[u8],
        sync: bool,
        is_current: impl FnOnce() -> Attempt<()>,
    ) -> Attempt<()> {
        let path = self.path.clone();
        let temporary = self.dir_path.join(format!("{}.tmp", self.name));
        let (present, _) = self.file()?;
        let replaced = write_like(&present.file, &temporary, content, sync)
            .at("replace", &path)
            .and_then(|()| is_current())
            .and_then(|()| std::fs::rename(&temporary, &path).at("replace", &path));
        if replaced.is_err() {
            // What is left of it would be overwritten the next time.
            let _ = std::fs::remove_file(&temporary);
        }
        // The new one is opened by who needs it, and its name synced before what is appended counts as durable.
        self.forget();
        replaced
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
            match decode_entry(entry, &mut pickled, &record) {
                Ok(record) => records.push(record),
                Err(reason) => self.report(entry, &reason.0),
            }
        }
        records
    }

    /// The records of a file; `None` when an entry is none.
    pub(crate) fn decode_all<R>(
        bytes: &[u8],
        record: impl Fn(&[pickle::Value]) -> Result<R, NoRecord>,
    ) -> Option<Vec<R>> {
        let mut pickled = Vec::new();
        let entries = bytes.split(|byte| *byte == b':');
        let entries = entries.filter(|entry| !entry.is_empty());
        let records = entries.map(|entry| decode_entry(entry, &mut pickled, &record));
        records.collect::<Result<_, _>>().ok()
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

/// Makes a file with this content for those who may use the present one, such as a Swift that runs as another user.
fn write_like(present: &File, path: &Path, content: &[u8], sync: bool) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    let (present, made) = (present.metadata()?, file.metadata()?);
    if (made.uid(), made.gid()) != (present.uid(), present.gid()) {
        std::os::unix::fs::fchown(&file, Some(present.uid()), Some(present.gid()))?;
    }
    file.set_permissions(present.permissions())?;
    file.write_all(content)?;
    match sync {
        true => file.sync_data(),
        false => Ok(()),
    }
}

fn decode_entry<R>(
    entry: &[u8],
    pickled: &mut Vec<u8>,
    record: impl Fn(&[pickle::Value]) -> Result<R, NoRecord>,
) -> Result<R, NoRecord> {
    pickled.clear();
    STANDARD.decode_vec(entry, pickled)?;
    record(&pickle::read(pickled)?)
}

/// Adds an entry to a group that will be appended.
pub(crate) fn push_entry(group: &mut String, pickled: &[u8]) {
    group.push(':');
    STANDARD.encode_string(pickled, group);
}

#[cfg(test)]
mod tests {
    use super::*;
    use broker_api::{HashPath, Location, StoreKind};
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn paths(devices: &Path) -> StorePaths {
        let hash = HashPath::new("", "endcap").container("a", "c");
        let location = Location::new(StoreKind::Container, "sda1", "7", hash).unwrap();
        let paths = StorePaths::new(devices, &location);
        std::fs::create_dir_all(&paths.dir).unwrap();
        paths
    }

    /// With durability `disk`, a loss of power could take the file away together with what was
    /// acknowledged after it was made by somebody who does not sync, such as Swift.
    #[test]
    fn name_of_a_file_that_others_made_is_synced() {
        let devices = tempfile::tempdir().unwrap();
        let paths = paths(devices.path());
        std::fs::write(paths.dir.join(paths.pending_name()), b":theirs").unwrap();
        let mut pending = Pending::open(&paths).unwrap();
        assert_eq!(pending.append(b":lazy", false).unwrap(), Buffered::Yes);
        assert!(!pending.file.as_ref().unwrap().is_named);
        assert_eq!(pending.append(b":ours", true).unwrap(), Buffered::Yes);
        assert!(pending.file.as_ref().unwrap().is_named);
        assert_eq!(pending.read().unwrap(), b":theirs:lazy:ours");
    }

    /// A failure would mean that writes which came during a merge are lost, or that Swift, under another user, cannot
    /// append any more.
    #[test]
    fn what_was_merged_is_taken_away_and_nothing_else_changes() {
        let devices = tempfile::tempdir().unwrap();
        let paths = paths(devices.path());
        let mut pending = Pending::open(&paths).unwrap();
        pending.append(b":merged", true).unwrap();
        pending.append(b":later", true).unwrap();
        let file = paths.dir.join(paths.pending_name());
        std::fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
        let disk = Durability::Disk;
        let replaced = pending.remove(b":merged", disk, true, || Err(Failure::Replaced));
        assert!(matches!(replaced, Err(Failure::Replaced)));
        pending.remove(b":other", disk, true, || Ok(())).unwrap();
        pending.remove(b"", disk, true, || Ok(())).unwrap();
        assert_eq!(pending.read().unwrap(), b":merged:later");
        pending.remove(b":merged", disk, true, || Ok(())).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b":later");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o664);
        pending.append(b":last", true).unwrap();
        pending
            .remove(b":later:last", disk, true, || Ok(()))
            .unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"");
        assert_eq!(std::fs::read_dir(&paths.dir).unwrap().count(), 1);
    }

    /// A failure would mean that a client does not see what was acknowledged to it.
    #[test]
    fn size_is_that_of_the_file_to_which_the_name_leads() {
        let devices = tempfile::tempdir().unwrap();
        let paths = paths(devices.path());
        let mut pending = Pending::open(&paths).unwrap();
        let size = |pending: &mut Pending| {
            let dir = loop {
                match pending.dir_state().filter(ChangedAt::is_past) {
                    Some(dir) => break dir,
                    None => std::thread::sleep(Duration::from_millis(1)),
                }
            };
            pending.size_in(dir).unwrap()
        };
        assert_eq!(size(&mut pending), 0);
        let file = paths.dir.join(paths.pending_name());
        std::fs::write(&file, b":theirs").unwrap();
        assert_eq!(size(&mut pending), 7);
        let mut theirs = File::options().append(true).open(&file).unwrap();
        theirs.write_all(b":more").unwrap();
        assert_eq!(size(&mut pending), 12);
        let other = paths.dir.join("other");
        std::fs::write(&other, b":new").unwrap();
        std::fs::rename(&other, &file).unwrap();
        assert_eq!(size(&mut pending), 4);
        std::fs::create_dir(paths.dir.join(format!("{}.tmp", paths.pending_name()))).unwrap();
        assert_eq!(size(&mut pending), 4);
        let replaced = pending.remove(b":n", Durability::Disk, true, || Ok(()));
        assert!(replaced.is_err());
        assert_eq!(size(&mut pending), 4);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(size(&mut pending), 0);
    }

    /// Each merge that fails would otherwise be tried again with the next put.
    #[test]
    fn a_file_that_stays_large_asks_to_be_merged_from_time_to_time() {
        let devices = tempfile::tempdir().unwrap();
        let mut pending = Pending::open(&paths(devices.path())).unwrap();
        let entry = [b':'; 1024];
        let asked = (1..=129).filter(|_| {
            let appended = pending.append(&entry, false).unwrap();
            appended == Buffered::Filling
        });
        let asked: Vec<_> = asked.collect();
        assert_eq!(asked, [72, 80, 88, 96, 104, 112, 120, 128]);
        assert_eq!(pending.append(&entry, false).unwrap(), Buffered::No);
    }
}
