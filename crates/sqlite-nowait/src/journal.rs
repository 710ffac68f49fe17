//! The rollback journal, written in large pieces.
//!
//! For each page that a transaction changes, SQLite writes three pieces to the journal: its number, what it was, a
//! checksum. Each is a system call, and together they cost more than the pages of the database. Here they are held
//! back and written as one.
//!
//! ```text
//! write     held back, as long as it goes on where the last one ended, up to 64 KiB
//! sync      what is held back is written first            SQLite syncs the journal before it changes the database
//! read      from what is held back, or from the file
//! close     what is held back is forgotten: nothing in the database needs it
//! ```
//!
//! So this is for connections that sync: with `synchronous = OFF` the database would change before the journal is
//! there. All other files are opened as the VFS `unix` does.

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

/// The name of the VFS.
const NAME: &CStr = c"held-back-journals";

/// So much is held back at most.
const LARGEST: usize = 64 << 10;

/// What lies in front of the file of the VFS `unix`, in memory that SQLite has.
#[repr(C)]
struct Journal {
    base: sqlite3_file,
    held: *mut Held,
}

/// What is held back: bytes that go to the file from some offset on.
#[derive(Debug, Default)]
struct Held {
    offset: i64,
    bytes: Vec<u8>,
}

/// The file of the VFS `unix` behind a journal.
#[derive(Clone, Copy)]
struct Real {
    file: *mut sqlite3_file,
    methods: &'static sqlite3_io_methods,
}

/// The VFS `unix`, to which everything is passed on.
struct Unix(*mut sqlite3_vfs);

// SAFETY: SQLite itself uses it from any thread, and never removes it.
unsafe impl Send for Unix {}
// SAFETY: as above.
unsafe impl Sync for Unix {}

static UNIX: OnceLock<Option<Unix>> = OnceLock::new();

/// The name of a VFS that holds journals back; `None` where there is no VFS `unix`.
pub(crate) fn vfs() -> Option<&'static CStr> {
    UNIX.get_or_init(register).as_ref().map(|_| NAME)
}

fn register() -> Option<Unix> {
    // SAFETY: the name is a C string. SQLite makes itself ready for the call when it is not.
    let unix = unsafe { ffi::sqlite3_vfs_find(c"unix".as_ptr()) };
    if unix.is_null() {
        return None;
    }
    // SAFETY: SQLite keeps it as long as the process lives, and changes only its link to the next one, which is not used.
    let mut vfs = unsafe { ptr::read(unix) };
    vfs.zName = NAME.as_ptr();
    vfs.pNext = ptr::null_mut();
    vfs.szOsFile += size_of::<Journal>() as c_int;
    vfs.xOpen = Some(open);
    // SAFETY: it is never freed. Its other methods are those of `unix`, which take nothing from the VFS but sizes.
    let registered = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0) };
    (registered == ffi::SQLITE_OK).then_some(Unix(unix))
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// # Safety
/// As SQLite calls `xOpen`: the file has the size that the VFS asks for.
unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let unix = UNIX.get().and_then(Option::as_ref);
    // SAFETY: the VFS lives as long as the process.
    let Some((vfs, unix_open)) = unix.and_then(|unix| Some((unix.0, unsafe { (*unix.0).xOpen }?)))
    else {
        return ffi::SQLITE_CANTOPEN;
    };
    if flags & ffi::SQLITE_OPEN_MAIN_JOURNAL == 0 {
        // SAFETY: what SQLite passed is passed on.
        return unsafe { unix_open(vfs, name, file, flags, out_flags) };
    }
    let journal = file.cast::<Journal>();
    // SAFETY: there is room for a journal, and behind it for a file of `unix`, for which the alignment suffices, since
    // a journal has that of pointers. Not open is a file whose methods are null.
    unsafe {
        (*journal).base.pMethods = ptr::null();
        let opened = unix_open(vfs, name, journal.add(1).cast(), flags, out_flags);
        if opened == ffi::SQLITE_OK {
            (*journal).held = Box::into_raw(Box::default());
            (*journal).base.pMethods = &raw const METHODS;
        }
        opened
    }
}

/// What is held back for an open journal, and its file.
///
/// # Safety
/// The file was opened by [`open`] as a journal and is not closed yet; SQLite uses it on one thread at a time, and
/// what this gives is gone before the next call.
unsafe fn parts<'a>(file: *mut sqlite3_file) -> Option<(&'a mut Held, Real)> {
    let journal = file.cast::<Journal>();
    // SAFETY: both were made by `open`, and nobody else has them.
    let (held, real) = unsafe {
        (
            (*journal).held.as_mut()?,
            journal.add(1).cast::<sqlite3_file>(),
        )
    };
    // SAFETY: the methods of an open file stay where they are.
    let methods = unsafe { (*real).pMethods.as_ref()? };
    Some((
        held,
        Real {
            file: real,
            methods,
        },
    ))
}

impl Real {
    fn write(self, bytes: &[u8], offset: i64) -> c_int {
        let (Some(write), Ok(length)) = (self.methods.xWrite, c_int::try_from(bytes.len())) else {
            return ffi::SQLITE_IOERR_WRITE;
        };
        // SAFETY: the file is open, and there are so many bytes.
        unsafe { write(self.file, bytes.as_ptr().cast(), length, offset) }
    }

    fn size(self) -> Result<i64, c_int> {
        let size = self.methods.xFileSize.ok_or(ffi::SQLITE_IOERR_FSTAT)?;
        let mut found = 0;
        // SAFETY: the file is open, and the number outlives the call.
        match unsafe { size(self.file, &raw mut found) } {
            ffi::SQLITE_OK => Ok(found),
            failed => Err(failed),
        }
    }
}

impl Held {
    fn end(&self) -> i64 {
        self.offset + self.bytes.len() as i64
    }

    /// Writes what is held back. It stays when that fails, to be read by the transaction that is rolled back.
    fn flush(&mut self, real: Real) -> c_int {
        if self.bytes.is_empty() {
            return ffi::SQLITE_OK;
        }
        let written = real.write(&self.bytes, self.offset);
        if written == ffi::SQLITE_OK {
            self.bytes.clear();
        }
        written
    }

    fn write(&mut self, real: Real, bytes: &[u8], offset: i64) -> c_int {
        if offset != self.end() || self.bytes.len() + bytes.len() > LARGEST {
            let flushed = self.flush(real);
            if flushed != ffi::SQLITE_OK {
                return flushed;
            }
            self.offset = offset;
        }
        self.bytes.extend_from_slice(bytes);
        ffi::SQLITE_OK
    }

    /// So many bytes from an offset on, when all of them are held back.
    fn read(&self, offset: i64, length: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        self.bytes.get(start..start.checked_add(length)?)
    }

    /// Forgets what is at or after an offset.
    fn truncate(&mut self, size: i64) {
        let kept = usize::try_from(size - self.offset).unwrap_or(0);
        self.bytes.truncate(kept);
    }
}

/// # Safety
/// As SQLite calls `xWrite`.
unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite writes to files that it has opened.
    let (Some((held, real)), Ok(length)) = (unsafe { parts(file) }, usize::try_from(length)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: SQLite passes so many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast(), length) };
    held.write(real, bytes, offset)
}

/// # Safety
/// As SQLite calls `xRead`.
unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    buffer: *mut c_void,
    length: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite reads files that it has opened.
    let Some((held, real)) = (unsafe { parts(file) }) else {
        return ffi::SQLITE_IOERR_READ;
    };
    if let Some(bytes) = usize::try_from(length)
        .ok()
        .and_then(|length| held.read(offset, length))
    {
        // SAFETY: SQLite's buffer has room for them and is not what is held back.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast(), bytes.len()) };
        return ffi::SQLITE_OK;
    }
    let flushed = match offset < held.end() && held.offset < offset + sqlite3_int64::from(length) {
        true => held.flush(real),
        false => ffi::SQLITE_OK,
    };
    match (flushed, real.methods.xRead) {
        // SAFETY: what SQLite passed is passed on.
        (ffi::SQLITE_OK, Some(read)) => unsafe { read(real.file, buffer, length, offset) },
        (ffi::SQLITE_OK, None) => ffi::SQLITE_IOERR_READ,
        (failed, _) => failed,
    }
}

/// # Safety
/// As SQLite calls `xTruncate`.
unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: SQLite truncates files that it has opened.
    let Some((held, real)) = (unsafe { parts(file) }) else {
        return ffi::SQLITE_IOERR_TRUNCATE;
    };
    held.truncate(size);
    match real.methods.xTruncate {
        // SAFETY: what SQLite passed is passed on.
        Some(truncate) => unsafe { truncate(real.file, size) },
        None => ffi::SQLITE_IOERR_TRUNCATE,
    }
}

/// # Safety
/// As SQLite calls `xSync`.
unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite syncs files that it has opened.
    let Some((held, real)) = (unsafe { parts(file) }) else {
        return ffi::SQLITE_IOERR_FSYNC;
    };
    match (held.flush(real), real.methods.xSync) {
        // SAFETY: what SQLite passed is passed on.
        (ffi::SQLITE_OK, Some(sync)) => unsafe { sync(real.file, flags) },
        (ffi::SQLITE_OK, None) => ffi::SQLITE_IOERR_FSYNC,
        (failed, _) => failed,
    }
}

/// # Safety
/// As SQLite calls `xFileSize`.
unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    // SAFETY: SQLite asks for the size of files that it has opened.
    let Some((held, real)) = (unsafe { parts(file) }) else {
        return ffi::SQLITE_IOERR_FSTAT;
    };
    match real.size() {
        Ok(found) => {
            let is_larger = !held.bytes.is_empty() && held.end() > found;
            // SAFETY: SQLite passes where the number goes.
            unsafe { *size = if is_larger { held.end() } else { found } };
            ffi::SQLITE_OK
        }
        Err(failed) => failed,
    }
}

/// # Safety
/// As SQLite calls `xClose`.
unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes files that it has opened, once.
    let Some((held, real)) = (unsafe { parts(file) }) else {
        return ffi::SQLITE_IOERR_CLOSE;
    };
    // SAFETY: it was boxed by `open`, and is not reached any more.
    drop(unsafe { Box::from_raw(held) });
    // SAFETY: the journal lies before its file.
    unsafe { (*file.cast::<Journal>()).held = ptr::null_mut() };
    // SAFETY: the file is open.
    real.methods
        .xClose
        .map_or(ffi::SQLITE_IOERR_CLOSE, |close| unsafe { close(real.file) })
}

/// Passes a call on to the file behind a journal.
macro_rules! passed_on {
    ($($name:ident = $method:ident($($argument:ident: $type:ty),*), or $failed:expr;)*) => {
        $(
            /// # Safety
            /// As SQLite calls the method of this name.
            unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $type),*) -> c_int {
                // SAFETY: SQLite calls methods of files that it has opened.
                let Some((_, real)) = (unsafe { parts(file) }) else {
                    return $failed;
                };
                // SAFETY: what SQLite passed is passed on.
                real.methods.$method.map_or($failed, |call| unsafe { call(real.file, $($argument),*) })
            }
        )*
    };
}

passed_on! {
    lock = xLock(level: c_int), or ffi::SQLITE_IOERR_LOCK;
    unlock = xUnlock(level: c_int), or ffi::SQLITE_IOERR_UNLOCK;
    check_reserved_lock = xCheckReservedLock(found: *mut c_int), or ffi::SQLITE_IOERR_CHECKRESERVEDLOCK;
    file_control = xFileControl(operation: c_int, argument: *mut c_void), or ffi::SQLITE_NOTFOUND;
    sector_size = xSectorSize(), or 0;
    device_characteristics = xDeviceCharacteristics(), or 0;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::PrivateConnection;
    use rusqlite::{Connection, OpenFlags};
    use std::ffi::CString;
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    const ROWS: i64 = 2000;

    fn open(path: &Path) -> PrivateConnection {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let conn = PrivateConnection::open_to_sync(path, flags).unwrap();
        conn.execute_batch("PRAGMA synchronous = NORMAL").unwrap();
        conn
    }

    fn filled(dir: &Path) -> (PathBuf, PrivateConnection) {
        let path = dir.join("some.db");
        let conn = open(&path);
        conn.execute_batch("CREATE TABLE t (x INTEGER PRIMARY KEY, y)")
            .unwrap();
        let fill =
            "INSERT INTO t WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT ?)
            SELECT x, 'before ' || hex(zeroblob(200)) FROM n";
        conn.execute(fill, [ROWS]).unwrap();
        (path, conn)
    }

    /// How many rows begin with this text in a whole database.
    fn count(conn: &Connection, text: &str) -> i64 {
        let whole: String = conn
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(whole, "ok");
        let sql = "SELECT count(*) FROM t WHERE y LIKE ? || '%'";
        conn.query_row(sql, [text], |row| row.get(0)).unwrap()
    }

    fn journal(path: &Path) -> PathBuf {
        path.with_extension("db-journal")
    }

    /// What a crash at this moment would leave.
    fn crashed(path: &Path, dir: &Path) -> Connection {
        let copy = dir.join("crashed.db");
        for (from, to) in [
            (path.to_owned(), copy.clone()),
            (journal(path), journal(&copy)),
        ] {
            match std::fs::copy(&from, &to) {
                Ok(_) => {}
                Err(_) => drop(std::fs::remove_file(&to)),
            }
        }
        Connection::open(copy).unwrap()
    }

    const CHANGE: &str = "UPDATE t SET y = 'after ' || hex(zeroblob(200)) WHERE x % 3 = 0";

    /// A failure would mean that a process which dies leaves a changed database without what brings it back.
    #[test]
    fn the_journal_is_on_the_disk_before_the_database_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (path, conn) = filled(dir.path());
        let before = std::fs::read(&path).unwrap();
        // With so few pages in memory some are written before the commit, the last of them while all are read: nothing
        // goes to the journal after it was synced.
        conn.execute_batch("PRAGMA cache_size = 5; BEGIN").unwrap();
        conn.execute(CHANGE, []).unwrap();
        let all = conn.query_row("SELECT sum(length(y)) FROM t", [], |row| {
            row.get::<_, i64>(0)
        });
        assert!(all.is_ok());
        assert_ne!(std::fs::read(&path).unwrap(), before);
        assert_eq!(count(&crashed(&path, dir.path()), "before"), ROWS);
        conn.execute_batch("COMMIT").unwrap();
        assert_eq!(count(&crashed(&path, dir.path()), "after"), ROWS / 3);
    }

    /// A failure would mean that a commit changes the database while its journal is in memory only.
    #[test]
    fn what_is_held_back_is_written_before_a_sync_and_forgotten_by_a_close() {
        let dir = tempfile::tempdir().unwrap();
        // It is given the mode of its database.
        std::fs::write(dir.path().join("some.db"), "").unwrap();
        let path = dir.path().join("some.db-journal");
        let name = CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
        let vfs = super::vfs().unwrap();
        let flags =
            ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE;
        // SAFETY: the file has the memory that the VFS asks for, which stays where it is; it is open until it is closed.
        unsafe {
            let vfs = &mut *ffi::sqlite3_vfs_find(vfs.as_ptr());
            let mut memory = vec![0_u64; vfs.szOsFile as usize / 8 + 1];
            let file = memory.as_mut_ptr().cast::<sqlite3_file>();
            let opened = vfs.xOpen.unwrap()(vfs, name.as_ptr(), file, flags, ptr::null_mut());
            assert_eq!(opened, ffi::SQLITE_OK);
            let methods = &*(*file).pMethods;
            let write = |text: &str, offset| {
                let length = text.len() as c_int;
                let written = methods.xWrite.unwrap()(file, text.as_ptr().cast(), length, offset);
                assert_eq!(written, ffi::SQLITE_OK);
            };
            let on_disk = || std::fs::read_to_string(&path).unwrap();
            write("abc", 0);
            write("def", 3);
            assert_eq!(on_disk(), "");
            assert_eq!(
                methods.xSync.unwrap()(file, ffi::SQLITE_SYNC_NORMAL),
                ffi::SQLITE_OK
            );
            assert_eq!(on_disk(), "abcdef");
            write("B", 1);
            assert_eq!(
                methods.xSync.unwrap()(file, ffi::SQLITE_SYNC_NORMAL),
                ffi::SQLITE_OK
            );
            assert_eq!(on_disk(), "aBcdef");
            write("ghi", 6);
            assert_eq!(methods.xClose.unwrap()(file), ffi::SQLITE_OK);
            assert_eq!(on_disk(), "aBcdef");
        }
    }

    static FULL: AtomicBool = AtomicBool::new(false);
    static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    unsafe extern "C" fn write_unless_full(
        _: *mut sqlite3_file,
        bytes: *const c_void,
        length: c_int,
        _: sqlite3_int64,
    ) -> c_int {
        if FULL.load(Ordering::Relaxed) {
            return ffi::SQLITE_FULL;
        }
        // SAFETY: so many bytes are passed.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.cast(), length as usize) };
        WRITTEN.lock().unwrap().extend_from_slice(bytes);
        ffi::SQLITE_OK
    }

    unsafe extern "C" fn empty(_: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
        // SAFETY: the number is there.
        unsafe { *size = 0 };
        ffi::SQLITE_OK
    }

    unsafe extern "C" fn done(_: *mut sqlite3_file) -> c_int {
        ffi::SQLITE_OK
    }

    unsafe extern "C" fn synced(_: *mut sqlite3_file, _: c_int) -> c_int {
        ffi::SQLITE_OK
    }

    /// A failure would mean that a transaction cannot be rolled back on a full device, or that a part of the journal
    /// is missing once there is room.
    #[test]
    fn what_cannot_be_written_stays_held_back() {
        static ON_A_FULL_DEVICE: sqlite3_io_methods = sqlite3_io_methods {
            xWrite: Some(write_unless_full),
            xFileSize: Some(empty),
            xSync: Some(synced),
            xClose: Some(done),
            ..METHODS
        };
        #[repr(C)]
        struct Both {
            journal: Journal,
            real: sqlite3_file,
        }
        let mut both = Both {
            journal: Journal {
                base: sqlite3_file {
                    pMethods: &raw const METHODS,
                },
                held: Box::into_raw(Box::default()),
            },
            real: sqlite3_file {
                pMethods: &raw const ON_A_FULL_DEVICE,
            },
        };
        let file = (&raw mut both).cast::<sqlite3_file>();
        // SAFETY: the file lies behind its journal, both are open, and buffers are as long as is said.
        unsafe {
            assert_eq!(write(file, b"abc".as_ptr().cast(), 3, 0), ffi::SQLITE_OK);
            FULL.store(true, Ordering::Relaxed);
            assert_eq!(write(file, b"X".as_ptr().cast(), 1, 1), ffi::SQLITE_FULL);
            assert_eq!(sync(file, ffi::SQLITE_SYNC_NORMAL), ffi::SQLITE_FULL);
            let (mut seen, mut size) = ([0_u8; 3], 0);
            assert_eq!(read(file, seen.as_mut_ptr().cast(), 3, 0), ffi::SQLITE_OK);
            assert_eq!(file_size(file, &raw mut size), ffi::SQLITE_OK);
            assert_eq!((&seen, size), (b"abc", 3));
            FULL.store(false, Ordering::Relaxed);
            assert_eq!(sync(file, ffi::SQLITE_SYNC_NORMAL), ffi::SQLITE_OK);
            assert_eq!(close(file), ffi::SQLITE_OK);
        }
        assert_eq!(WRITTEN.lock().unwrap().as_slice(), b"abc");
    }

    #[test]
    fn what_is_held_back_is_read_and_cut() {
        let mut held = Held {
            offset: 10,
            bytes: b"abcde".to_vec(),
        };
        assert_eq!(held.read(10, 5), Some(&b"abcde"[..]));
        assert_eq!(held.read(12, 2), Some(&b"cd"[..]));
        assert_eq!(
            [held.read(9, 2), held.read(14, 2), held.read(99, 1)],
            [None; 3]
        );
        held.truncate(13);
        assert_eq!((held.end(), held.bytes.as_slice()), (13, &b"abc"[..]));
        held.truncate(5);
        assert!(held.bytes.is_empty());
    }

    #[test]
    fn what_is_held_back_is_rolled_back() {
        let dir = tempfile::tempdir().unwrap();
        let (path, conn) = filled(dir.path());
        for pages in [5, 2000] {
            conn.execute_batch(&format!("PRAGMA cache_size = {pages}; BEGIN"))
                .unwrap();
            conn.execute(CHANGE, []).unwrap();
            // A savepoint that is rolled back reads the journal while a part of it is held back.
            conn.execute_batch("SAVEPOINT s; DELETE FROM t WHERE x % 2 = 0; ROLLBACK TO s")
                .unwrap();
            assert_eq!(count(&conn, "after"), ROWS / 3);
            conn.execute_batch("INSERT INTO t (y) VALUES ('after'); ROLLBACK")
                .unwrap();
            assert_eq!(count(&conn, "before"), ROWS);
            assert!(!journal(&path).exists());
        }
    }

    /// A failure would mean that nothing is held back.
    #[test]
    fn a_small_transaction_writes_its_journal_when_it_commits() {
        let dir = tempfile::tempdir().unwrap();
        let (path, conn) = filled(dir.path());
        conn.execute_batch("BEGIN; UPDATE t SET y = '' WHERE x = 5")
            .unwrap();
        assert_eq!(std::fs::metadata(journal(&path)).unwrap().len(), 0);
        conn.execute_batch("COMMIT").unwrap();
        assert_eq!(count(&conn, "before"), ROWS - 1);
    }
}
