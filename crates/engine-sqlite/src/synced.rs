//! The list that container sync works through: a link for each container on it.
//!
//! ```text
//! <devices>/<device>/sync_containers/<partition>/<suffix>/<hash>/<hash>.db
//!     -> <devices>/<device>/containers/<partition>/<suffix>/<hash>/<hash>.db
//! ```
//!
//! A link may lead nowhere: the list is independent of the stores. No lock is taken, as in Swift.

use crate::create::{make_dirs, retrying, sync_departure, sync_dir, tidy, unless_absent};
use crate::error::{Attempt, OsContext};
use crate::path::{StorePaths, is_absence};
use broker_api::Durability;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Hash, suffix, partition, and the directory of the list itself.
const LEVELS: usize = 4;

/// Whether a container is on the list, by a link of any name that Swift would use.
pub(crate) fn is_listed(link: &StorePaths) -> Attempt<bool> {
    // The usual name is looked for before the directory is read.
    match fs::symlink_metadata(&link.db) {
        Ok(_) => Ok(true),
        Err(error) if is_absence(&error) => Ok(!link.databases()?.is_empty()),
        Err(error) => Err(error).at("look at", &link.db),
    }
}

/// Puts a container on the list; `db` is its database.
pub(crate) fn add(link: &StorePaths, db: &Path) -> Attempt<()> {
    // Swift reads the link from directories of its own.
    let target = std::path::absolute(db).at("find", db)?;
    retrying(|| {
        make_dirs(link)?;
        match std::os::unix::fs::symlink(&target, &link.db) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
            linked => linked.at("link", &link.db)?,
        }
        sync_dir(&link.dir)
    })
}

/// Takes a container off the list, and the directories with it that become empty.
pub(crate) fn remove(link: &StorePaths, durability: Durability) -> Attempt<()> {
    for name in link.databases()? {
        let path = link.dir.join(name);
        unless_absent(fs::remove_file(&path)).at("remove", &path)?;
    }
    sync_departure(&link.dir, durability)?;
    tidy(&link.dir, LEVELS);
    Ok(())
}
