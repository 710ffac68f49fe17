//! [`PrivateConnection`]: what its file says of changes, without a transaction.

use crate::{journal, prepare};
use rusqlite::{Connection, OpenFlags, ffi};
use std::ffi::CStr;
use std::ops::Deref;
use std::path::Path;
use std::ptr;

/// The part of a database's header that is read.
const HEADER: std::ops::Range<usize> = 18..40;
/// In it, whether the file is written and read by way of a write-ahead log.
const LOGS: std::ops::Range<usize> = 0..2;
const WRITE_AHEAD: u8 = 2;
/// In it, what SQLite itself looks at to see whether what it has in memory is still so: the change counter, the size,
/// and the list of free pages.
const STATE: std::ops::Range<usize> = 6..22;

/// A [prepared](prepare) connection with a page cache of its own.
#[derive(Debug)]
pub struct PrivateConnection(Connection);

/// What a database file said of changes at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState([u8; 16]);

impl FileState {
    /// Whether changes lead from an earlier state to this one, or none. A copy from before that was put over the file is told
    /// by fewer changes, or by as many that were others. The count begins again after 4,294,967,295: of two counts, the
    /// later one is the one that fewer changes lead to.
    pub fn may_follow(self, earlier: Self) -> bool {
        let changes = |state: Self| {
            let [a, b, c, d, ..] = state.0;
            u32::from_be_bytes([a, b, c, d])
        };
        let between = changes(self).wrapping_sub(changes(earlier));
        self == earlier || (1..=u32::MAX / 2).contains(&between)
    }
}

impl PrivateConnection {
    /// Opens a file as `flags` say, but never with a shared cache.
    ///
    /// # Errors
    /// When SQLite does not open it, or the path is a URI, which may ask for a shared cache.
    pub fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Self> {
        Self::open_in(None, path, flags)
    }

    /// The same, and writes its rollback journal in large pieces, the last of them when SQLite syncs it, which it does
    /// before it changes the database.
    ///
    /// With `PRAGMA synchronous = OFF` the database would change before its journal is there, so that a process which
    /// dies leaves a damaged file: connections that do not sync are to be opened with [`open`](Self::open).
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn open_to_sync(path: &Path, flags: OpenFlags) -> rusqlite::Result<Self> {
        Self::open_in(journal::vfs(), path, flags)
    }

    fn open_in(vfs: Option<&CStr>, path: &Path, flags: OpenFlags) -> rusqlite::Result<Self> {
        if path.as_os_str().as_encoded_bytes().starts_with(b"file:") {
            return Err(rusqlite::Error::InvalidPath(path.to_owned()));
        }
        let shared = OpenFlags::SQLITE_OPEN_SHARED_CACHE | OpenFlags::SQLITE_OPEN_URI;
        let private = (flags - shared) | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
        let mut conn = match vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(path, private, vfs)?,
            None => Connection::open_with_flags(path, private)?,
        };
        prepare(&mut conn)?;
        Ok(Self(conn))
    }

    /// What the main database's file says of changes; `None` when it cannot be read, or is not written by way of a
    /// rollback journal.
    ///
    /// No lock is taken. A commit that has ended is seen; one that has not may be, and so may one that is rolled back
    /// later. Thus, while this is what it was inside a transaction, nothing that is committed has changed what that
    /// transaction read.
    pub fn file_state(&self) -> Option<FileState> {
        let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
        // SAFETY: the handle is used for this call only, the name is a C string, and with this operation SQLite writes
        // a pointer to where the argument points.
        let found = unsafe {
            ffi::sqlite3_file_control(
                self.0.handle(),
                c"main".as_ptr(),
                ffi::SQLITE_FCNTL_FILE_POINTER,
                (&raw mut file).cast(),
            )
        };
        if found != ffi::SQLITE_OK || file.is_null() {
            return None;
        }
        // SAFETY: the file belongs to the connection alone, since it shares no cache, and no other thread uses the
        // connection while it is borrowed here. The methods are null when the file is not open, else they stay where
        // they are.
        let read = unsafe { (*file).pMethods.as_ref() }?.xRead?;
        let mut header = [0_u8; HEADER.end - HEADER.start];
        // SAFETY: the file is open, and the buffer has room for 22 bytes.
        let got = unsafe { read(file, header.as_mut_ptr().cast(), 22, HEADER.start as i64) };
        if got != ffi::SQLITE_OK || header[LOGS].contains(&WRITE_AHEAD) {
            return None;
        }
        header[STATE].try_into().ok().map(FileState)
    }
}

impl Deref for PrivateConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn open(path: &Path) -> rusqlite::Result<PrivateConnection> {
        PrivateConnection::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    #[test]
    fn earlier_states_are_told_from_later_ones() {
        let state = |changes: u32| {
            let mut state = [7; 16];
            state[..4].copy_from_slice(&changes.to_be_bytes());
            FileState(state)
        };
        for (earlier, later) in [(1, 2), (255, 256), (u32::MAX, 0), (u32::MAX - 5, 1000)] {
            assert!(state(later).may_follow(state(earlier)));
            assert!(!state(earlier).may_follow(state(later)));
        }
        assert!(state(3).may_follow(state(3)));
        let FileState(mut other) = state(3);
        other[15] = 8;
        assert!(!FileState(other).may_follow(state(3)));
    }

    #[test]
    fn what_another_connection_commits_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE t (x)").unwrap();
        let reader = open(&path).unwrap();
        let before = reader.file_state().unwrap();
        assert_eq!(reader.file_state(), Some(before));
        let write = |sql| writer.execute_batch(sql).unwrap();
        write("BEGIN; INSERT INTO t VALUES (5)");
        assert_eq!(reader.file_state(), Some(before), "not committed");
        write("COMMIT");
        let after = reader.file_state().unwrap();
        assert_ne!(after, before);
        write("BEGIN; DELETE FROM t; ROLLBACK");
        assert_eq!(reader.file_state(), Some(after));
        write("PRAGMA journal_mode = WAL");
        assert_eq!(reader.file_state(), None, "a log is not looked into");
    }

    #[test]
    fn caches_are_never_shared() {
        assert!(open(Path::new("file:some.db?cache=shared")).is_err());
    }
}
