//! The system calls that SQLite makes instead of its own.
//!
//! They are replaced once for the whole process, and on a thread that may wait they do what was there before. Not
//! replaced is what waits for no device or cannot be reached when the others refuse: `fdatasync` follows a write,
//! a directory is opened through `open`, and shared memory is mapped from a file that was opened.

use crate::thread;
use rusqlite::ffi;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

/// Whether SQLite makes these calls; the first to ask sees to it.
pub(crate) fn replaced() -> bool {
    static REPLACED: OnceLock<bool> = OnceLock::new();
    *REPLACED.get_or_init(|| unix_vfs().is_some_and(|vfs| replace_all(&vfs)))
}

/// The means to replace the calls of one VFS.
struct Vfs {
    vfs: *mut ffi::sqlite3_vfs,
    get: unsafe extern "C" fn(*mut ffi::sqlite3_vfs, *const c_char) -> ffi::sqlite3_syscall_ptr,
    set: unsafe extern "C" fn(
        *mut ffi::sqlite3_vfs,
        *const c_char,
        ffi::sqlite3_syscall_ptr,
    ) -> c_int,
}

/// The VFS of SQLite for Unix, when it is the one that connections get and its calls can be replaced.
fn unix_vfs() -> Option<Vfs> {
    // SAFETY: the name is a C string or null, which asks for the default; both are only looked at. SQLite makes
    // itself ready for the call when it is not.
    let (unix, default) = unsafe {
        (
            ffi::sqlite3_vfs_find(c"unix".as_ptr()),
            ffi::sqlite3_vfs_find(ptr::null()),
        )
    };
    if unix.is_null() || unix != default {
        return None;
    }
    // SAFETY: it is not null, so it is a registered VFS, which stays where it is and whose fields nobody changes
    // but SQLite its link to the next one, which is not read here.
    let (version, get, set) = unsafe {
        (
            (*unix).iVersion,
            (*unix).xGetSystemCall,
            (*unix).xSetSystemCall,
        )
    };
    // Older ones end before these fields, but SQLite's own, which this is, has had them since 2011.
    (version >= 3).then_some((get, set)).and_then(|(get, set)| {
        Some(Vfs {
            vfs: unix,
            get: get?,
            set: set?,
        })
    })
}

/// A function of any signature, as SQLite passes them around.
type AnyCall = unsafe extern "C" fn();

/// Says that the call was refused, in the way of system calls. It must not be EINTR, after which SQLite tries again.
fn refused<T: From<i8>>() -> T {
    thread::refuse();
    // SAFETY: the pointer is to this thread's own number, valid as long as the thread runs.
    unsafe { *libc::__errno_location() = libc::EAGAIN };
    T::from(-1)
}

/// Reads what is in the page cache; an offset of -1 stands for the file's position, from which an SQLite without
/// `pread` reads. Any failure is a refusal: that
/// the page is not there, that the file system cannot tell (EOPNOTSUPP), or that the device is broken, which is
/// for those to find out who may wait. A page of which only the beginning is there is asked for again by SQLite,
/// from where it ended. Nothing at all is a refusal as well: some versions of Linux (5.9, 5.10) say so of pages that
/// are not in the cache, and nobody reads behind the end of a database that is whole.
///
/// # Safety
/// `buffer` is valid for writes of `count` bytes.
unsafe fn read_from_memory(
    fd: c_int,
    buffer: *mut c_void,
    count: libc::size_t,
    offset: libc::off_t,
) -> libc::ssize_t {
    if !thread::spend(1) {
        return refused();
    }
    let part = libc::iovec {
        iov_base: buffer,
        iov_len: count,
    };
    // SAFETY: one part is passed, which the system writes to no further than the caller of this function allows.
    let got = unsafe { libc::preadv2(fd, &part, 1, offset, libc::RWF_NOWAIT) };
    if got <= 0 {
        return refused();
    }
    got
}

/// Makes, for each call, a module with what was there before and what takes its place, and a function that replaces
/// them all. Each begins with a note of what it is; the bodies are for threads that must not wait.
macro_rules! replacements {
    ($($note:ident fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $instead:block)*) => {
        $(mod $name {
            use super::*;

            pub(super) type Call = unsafe extern "C" fn($($type),*) -> $result;
            pub(super) static BEFORE: OnceLock<Call> = OnceLock::new();

            /// # Safety
            /// As for the system call of this name.
            pub(super) unsafe extern "C" fn call($($argument: $type),*) -> $result {
                $note();
                match BEFORE.get() {
                    // SAFETY: the caller keeps the promises of the system call, and this is what it would have called.
                    Some(before) if !thread::must_not_wait() => unsafe { before($($argument),*) },
                    _ => $instead,
                }
            }
        })*

        fn replace_all(vfs: &Vfs) -> bool {
            let mut all = true;
            $(
                let name = CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes());
                all &= name.is_ok_and(|name| vfs.replace(
                    name,
                    // SAFETY: SQLite keeps under this name a function of this signature, or none (`aSyscall` in its
                    // os_unix.c), so it only gets back the type that it had.
                    |before| $name::BEFORE.set(unsafe { std::mem::transmute::<AnyCall, $name::Call>(before) }).is_ok(),
                    // SAFETY: SQLite calls it only after giving it its type again.
                    unsafe { std::mem::transmute::<$name::Call, AnyCall>($name::call) },
                ));
            )*
            all
        }
    };
}

impl Vfs {
    /// Replaces one call, after `keep` has what it was before. One that SQLite was built without is never made.
    fn replace(&self, name: &CStr, keep: impl FnOnce(AnyCall) -> bool, call: AnyCall) -> bool {
        // SAFETY: the VFS is the one that the function belongs to, and the name is a C string.
        let Some(before) = (unsafe { (self.get)(self.vfs, name.as_ptr()) }) else {
            return true;
        };
        // SAFETY: as above; the function is of the signature that belongs to the name. Other threads that are
        // about to make the call at this moment make the one or the other: SQLite loads one aligned pointer.
        keep(before) && unsafe { (self.set)(self.vfs, name.as_ptr(), Some(call)) } == ffi::SQLITE_OK
    }
}

/// Notes a call that reads.
fn a_read() {
    thread::count_read();
}

/// Any other call is not noted.
fn not_a_read() {}

replacements! {
    // Opening waits for the inode, and what is opened in a read is a journal to be rolled back.
    not_a_read fn open(path: *const c_char, flags: c_int, mode: c_int) -> c_int { refused() }
    a_read fn read(fd: c_int, buffer: *mut c_void, count: libc::size_t) -> libc::ssize_t {
        // SAFETY: who calls `read` passes a buffer of this size.
        unsafe { read_from_memory(fd, buffer, count, -1) }
    }
    a_read fn pread(fd: c_int, buffer: *mut c_void, count: libc::size_t, offset: libc::off_t) -> libc::ssize_t {
        // SAFETY: who calls `pread` passes a buffer of this size.
        unsafe { read_from_memory(fd, buffer, count, offset) }
    }
    // Its offset is of another type on some systems, and hardly an SQLite is built to use it.
    a_read fn pread64(fd: c_int, buffer: *mut c_void, count: libc::size_t, offset: libc::off64_t) -> libc::ssize_t {
        refused()
    }
    not_a_read fn write(fd: c_int, bytes: *const c_void, count: libc::size_t) -> libc::ssize_t { refused() }
    not_a_read fn pwrite(fd: c_int, bytes: *const c_void, count: libc::size_t, offset: libc::off_t) -> libc::ssize_t {
        refused()
    }
    not_a_read fn pwrite64(fd: c_int, bytes: *const c_void, count: libc::size_t, offset: libc::off64_t) -> libc::ssize_t {
        refused()
    }
    not_a_read fn ftruncate(fd: c_int, length: libc::off_t) -> c_int { refused() }
    not_a_read fn fallocate(fd: c_int, from: libc::off_t, length: libc::off_t) -> c_int { refused() }
    not_a_read fn unlink(path: *const c_char) -> c_int { refused() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;

    /// SQLite as it is built here reads with `pread` only.
    #[test]
    fn both_ways_to_read_give_the_same() {
        assert!(replaced());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abcdefgh").unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let mut buffer = [0_u8; 6];
        let (fd, to, count) = (file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len());
        let scope = thread::Scope::enter(10);
        // SAFETY: the buffer is as long as is said.
        let got = unsafe { read::call(fd, to, count) };
        if got < 0 {
            assert!(scope.was_refused(), "the file system cannot tell");
            return;
        }
        assert_eq!(&buffer, b"abcdef");
        // SAFETY: as above.
        assert_eq!(unsafe { read::call(fd, to, count) }, 2);
        assert_eq!(&buffer, b"ghcdef");
        // SAFETY: as above.
        assert_eq!(unsafe { pread::call(fd, to, count, 1) }, 6);
        assert_eq!(&buffer, b"bcdefg");
        assert!(!scope.was_refused());
    }
}
