//! The change counter of a database, without a transaction.

use rusqlite::{Connection, ffi};
use std::ptr;

/// Where a database file keeps its change counter.
const OFFSET: ffi::sqlite3_int64 = 24;

/// The change counter in the file of a connection's main database, which every transaction that writes increments;
/// `None` when it cannot be read.
///
/// No lock is taken. A commit that has ended is seen; one that has not may be, and so may one that is rolled back
/// later. Thus, while the counter is the one that was seen inside a transaction, nothing that is committed has changed
/// what that transaction read. Files of `journal_mode = WAL` have no such counter.
pub fn change_counter(conn: &Connection) -> Option<u32> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the handle is used for this call only, the name is a C string, and with this operation SQLite writes a
    // pointer to where the argument points.
    let found = unsafe {
        ffi::sqlite3_file_control(
            conn.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_FILE_POINTER,
            (&raw mut file).cast(),
        )
    };
    if found != ffi::SQLITE_OK || file.is_null() {
        return None;
    }
    // SAFETY: the file belongs to the connection, which is borrowed and used by no other thread meanwhile. Its methods
    // are null when it is not open, else they stay where they are.
    let read = unsafe { (*file).pMethods.as_ref() }?.xRead?;
    let mut bytes = [0_u8; 4];
    // SAFETY: the file is open, and the buffer is as long as is said.
    let got = unsafe { read(file, bytes.as_mut_ptr().cast(), 4, OFFSET) };
    (got == ffi::SQLITE_OK).then_some(u32::from_be_bytes(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_another_connection_commits_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("CREATE TABLE t (x)").unwrap();
        let mut reader = Connection::open(&path).unwrap();
        crate::prepare(&mut reader).unwrap();
        // SQLite opens the file when it first has to read it.
        reader
            .query_row("SELECT count(*) FROM t", [], |_| Ok(()))
            .unwrap();
        let before = change_counter(&reader).unwrap();
        assert_eq!(change_counter(&reader), Some(before));
        writer
            .execute_batch("BEGIN; INSERT INTO t VALUES (5)")
            .unwrap();
        assert_eq!(change_counter(&reader), Some(before), "not committed");
        writer.execute_batch("COMMIT").unwrap();
        let after = change_counter(&reader).unwrap();
        assert_ne!(after, before);
        writer
            .execute_batch("BEGIN; DELETE FROM t; ROLLBACK")
            .unwrap();
        assert_eq!(change_counter(&reader), Some(after));
    }

    #[test]
    fn memory_has_none() {
        assert_eq!(change_counter(&Connection::open_in_memory().unwrap()), None);
    }
}
