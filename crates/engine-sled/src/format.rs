//! The marker that says which sled wrote a folder.
//!
//! sled 0.34 and 1.0 open each other's folders without an error, as empty databases. Nothing is opened
//! here that does not carry the marker of this version.

use crate::error::{Attempt, Failure, OsContext};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// The name of the marker, beside sled's folder.
pub(crate) const NAME: &str = "FORMAT";

/// What the marker holds. A change of the versions of sled or of the folder's layout changes it; the
/// layout of keys has a version of its own, inside the database.
pub(crate) const TEXT: &str = "apus engine-sled, sled 0.34, folder 1\n";

/// What a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folder {
    /// A database of this version.
    Ours,
    /// Absent or without a database.
    Empty,
}

/// Looks at the folder of a database; `db` is sled's folder in it.
///
/// # Errors
/// [`Failure::Foreign`] for anything that another version or another program made.
pub(crate) fn look(folder: &Path, db: &Path) -> Attempt<Folder> {
    let foreign = |found: String| Failure::Foreign {
        path: folder.to_owned(),
        found,
        wanted: TEXT.trim_end(),
    };
    let marker = folder.join(NAME);
    match fs::read(&marker) {
        Ok(text) if text == TEXT.as_bytes() => Ok(Folder::Ours),
        Ok(text) => {
            let text = String::from_utf8_lossy(&text[..text.len().min(80)]).into_owned();
            Err(foreign(format!("{NAME} holds {:?}", text.trim_end())))
        }
        Err(error) if is_absence(&error) => match fs::symlink_metadata(db) {
            Ok(_) => Err(foreign(format!("it has data and no {NAME}"))),
            Err(error) if is_absence(&error) => Ok(Folder::Empty),
            Err(error) => Err(error).at("look at", db),
        },
        Err(error) => Err(error).at("read", &marker),
    }
}

/// Marks a folder, before sled writes into it.
pub(crate) fn mark(folder: &Path) -> Attempt<()> {
    let (marker, made) = (folder.join(NAME), folder.join("FORMAT.new"));
    let mut file = fs::File::create(&made).at("make", &made)?;
    file.write_all(TEXT.as_bytes()).at("write", &made)?;
    file.sync_all().at("sync", &made)?;
    fs::rename(&made, &marker).at("name", &marker)?;
    let dir = fs::File::open(folder).at("open", folder)?;
    dir.sync_all().at("sync", folder)
}

fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}
