//! SQLite that answers from memory or not at all.
//!
//! A read of a database is a few microseconds when its pages are in the system's page cache and milliseconds when
//! they are not, and SQLite cannot tell beforehand. Here it is told by its system calls, which its VFS lets one
//! replace: while [`without_waiting`] runs on a thread, they read with `RWF_NOWAIT` and refuse all that could
//! wait for a device. A statement that needs more fails, and the caller repeats it where waiting is allowed.
//!
//! ```text
//! without_waiting(effort, work)    notes for this thread: refuse, and how much work is left
//!   └ work ─► SQLite ─► read  ─► preadv2(RWF_NOWAIT) ─► the page, or EAGAIN        syscalls
//!                       open, write, unlink, … ─► EAGAIN
//!                       progress handler ─► stops a statement that takes long       thread
//! ```
//!
//! ```
//! let dir = tempfile::tempdir()?;
//! let mut conn = rusqlite::Connection::open(dir.path().join("some.db"))?;
//! conn.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (5)")?;
//! sqlite_nowait::prepare(&mut conn)?;
//! conn.busy_timeout(std::time::Duration::ZERO)?; // another's lock is waited for in SQLite, not in a system call
//! let ask = || conn.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0));
//! let x = match sqlite_nowait::without_waiting(1000, ask) {
//!     Ok(answer) => answer?,
//!     Err(sqlite_nowait::WouldWait) => ask()?, // on a thread that may
//! };
//! assert_eq!(x, 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`PrivateConnection`] that syncs may also write its rollback journal in large pieces; `journal.rs` says why that is
//! safe.
//!
//! What [`without_waiting`] does not see:
//!
//! * A page that is not in memory is refused, and the system begins to read it ahead for whoever comes next. Handing
//!   that to a device whose queue is full may take a moment.
//! * Looking up names (`stat`, `access`) is let through: the directory of an open database is in memory.
//! * Locks of POSIX are asked for, never waited for, and let through. A network file system may wait for them.
//! * Pages that are mapped (`PRAGMA mmap_size`) are read without a system call. SQLite maps none unless told to.
//! * Only the VFS `unix`, and only while it is the default. Connections that hold their journal back use its files.
#![allow(
    unsafe_code,
    reason = "SQLite calls C functions and takes C functions in their place; no safe interface to this exists. \
              The unsafe blocks are in three modules, and forward what SQLite passed or hand out."
)]

mod journal;
mod private;
mod syscalls;
mod thread;

pub use private::{FileState, PrivateConnection};
pub use thread::{must_not_wait, reads};

use rusqlite::Connection;

/// Something would have had to wait, or took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work would have to wait")]
pub struct WouldWait;

/// Makes a connection fit for [`without_waiting`]: sees to the system calls of the process and takes the
/// connection's progress handler. Best done before the connection is used.
///
/// # Errors
/// When SQLite refuses the handler.
pub fn prepare(conn: &mut Connection) -> rusqlite::Result<()> {
    syscalls::replaced();
    conn.progress_handler(thread::STEPS, Some(thread::stops_after_steps))
}

/// Runs work during which no system call that SQLite makes on this thread waits for a device.
///
/// `effort` bounds the work itself, in units of about a microsecond: a page that is read counts one, and sixteen
/// steps of SQLite's machine, as many as a row of a simple query takes. Connections that are not
/// [prepared](prepare) count pages only.
///
/// After a refusal SQLite has rolled back the transaction or left it open; roll back in either case. The connection
/// is as good as before then.
///
/// # Errors
/// When anything was refused, whatever the work made of that.
pub fn without_waiting<R>(effort: u32, work: impl FnOnce() -> R) -> Result<R, WouldWait> {
    if !syscalls::replaced() {
        return Err(WouldWait);
    }
    let scope = thread::Scope::enter(effort);
    let answer = work();
    match scope.was_refused() {
        false => Ok(answer),
        true => Err(WouldWait),
    }
}

/// The README, whose samples are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
