//! Connections as Swift opens them.

use crate::error::{Attempt, Failure};
use crate::path::{FileId, file_id};
use broker_api::{Durability, RollingHash};
use rusqlite::config::DbConfig;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use sqlite_nowait::PrivateConnection;
use std::path::Path;

/// Statements that a connection keeps prepared.
const CACHED_STATEMENTS: usize = 64;

/// How often a file that is replaced while it is opened is tried again.
const ATTEMPTS: usize = 3;

/// Opens a database that exists, and says which file it is; `None` when there is none. With durability `Memory`
/// what is committed survives the death of the process all the same, and nothing is synced.
pub(crate) fn open(
    path: &Path,
    durability: Durability,
) -> Attempt<Option<(PrivateConnection, FileId)>> {
    for _ in 0..ATTEMPTS {
        let Some(file) = file_id(path)? else {
            return Ok(None);
        };
        let opened = connect(path, durability).map_err(|failure| failure.unless_moved(path, file));
        match opened {
            Err(Failure::Absent) => return Ok(None),
            Err(Failure::Replaced) => continue,
            Err(failure) => return Err(failure),
            Ok(conn) if file_id(path)? == Some(file) => return Ok(Some((conn, file))),
            Ok(_) => {}
        }
    }
    Err(Failure::Replaced)
}

fn connect(path: &Path, durability: Durability) -> Attempt<PrivateConnection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = match durability {
        Durability::Disk | Durability::Process => PrivateConnection::open_to_sync(path, flags)?,
        Durability::Memory => PrivateConnection::open(path, flags)?,
    };
    conn.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Without this, a prepared statement whose parameters could matter to its plan is parsed and planned
    // again each time they change: most of what a seek costs.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // EXTRA also syncs the directory after the journal was removed. Without that a loss of power can
    // bring the journal back, and with it the state before the commit.
    let synchronous = match durability {
        Durability::Disk => "EXTRA",
        Durability::Process => "NORMAL",
        Durability::Memory => "OFF",
    };
    conn.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;"
    ))?;
    // Another journal mode would shut out Swift. This also reads the file's header.
    conn.pragma_update(None, "journal_mode", "DELETE")?;
    register_chexor(&conn)?;
    Ok(conn)
}

/// Gives Swift's triggers their hash function.
pub(crate) fn register_chexor(conn: &Connection) -> Attempt<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    Ok(conn.create_scalar_function("chexor", 3, flags, chexor)?)
}

fn chexor(args: &mut Context<'_>) -> rusqlite::Result<String> {
    let refuse = |message: &str| rusqlite::Error::UserFunctionError(message.into());
    let old = argument(args, 0)?.ok_or_else(|| refuse("the hash is null"))?;
    let old = RollingHash::parse(&old).ok_or_else(|| refuse("the hash is not hexadecimal"))?;
    let name = argument(args, 1)?.ok_or_else(|| refuse("the name is null"))?;
    // Python renders a missing suffix as its word for nothing.
    let suffix = argument(args, 2)?.unwrap_or_else(|| "None".into());
    Ok(old.toggled(&name, &suffix).to_string())
}

fn argument<'a>(
    args: &'a Context<'_>,
    index: usize,
) -> rusqlite::Result<Option<std::borrow::Cow<'a, str>>> {
    Ok(match args.get_raw(index) {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string().into()),
        ValueRef::Real(number) => Some(format!("{number:?}").into()),
        ValueRef::Text(text) | ValueRef::Blob(text) => Some(String::from_utf8_lossy(text)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(sql: &str) -> rusqlite::Result<String> {
        let conn = Connection::open_in_memory().unwrap();
        register_chexor(&conn).unwrap();
        conn.query_row(&format!("SELECT chexor({sql})"), [], |row| row.get(0))
    }

    /// A difference would make every replica of a store look different for ever.
    #[test]
    fn chexor_gives_the_hashes_of_swift() {
        let object = ask("'0', 'o', '0000000005.00000'").unwrap();
        assert_eq!(object, "c32e2acf79d592c22899821a69ceb9f7");
        let chained = ask("'d41d8cd98f00b204e9800998ecf8427e', 'new name', '0000000001.00000'");
        assert_eq!(chained.unwrap(), "4f2ea31ac14d4273fe32ba08062b21de");
        assert_eq!(
            ask("'0', 'n', null").unwrap(),
            ask("'0', 'n', 'None'").unwrap()
        );
        assert_eq!(ask("'0', 5, 7").unwrap(), ask("'0', '5', '7'").unwrap());
        assert!(ask("'0', null, 'x'").is_err());
        assert!(ask("'xyz', 'n', 'x'").is_err());
    }
}
