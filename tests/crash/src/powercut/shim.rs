//! The library that logs, and the folder that it watches.

use crate::disk::{Cut, Disk};
use crate::log;
use std::fs;
use std::path::{Path, PathBuf};

/// Built with this program.
const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/powercut.so"));

/// A folder whose power can be cut.
#[derive(Debug)]
pub(crate) struct Shim {
    library: PathBuf,
    root: PathBuf,
    log: PathBuf,
}

impl Shim {
    /// Prepares to watch `root`, with the library and the log beside it in `folder`. Neither path may
    /// have symbolic links.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(crate) fn install(folder: &Path, root: &Path) -> Result<Self, String> {
        let library = folder.join("powercut.so");
        fs::write(&library, LIBRARY).map_err(|e| format!("{}: {e}", library.display()))?;
        Ok(Self {
            library,
            root: root.to_owned(),
            log: folder.join("log"),
        })
    }

    /// The environment of a process that is watched.
    pub(crate) fn variables(&self) -> [(&'static str, &Path); 3] {
        [
            ("LD_PRELOAD", &self.library),
            ("POWERCUT_ROOT", &self.root),
            ("POWERCUT_LOG", &self.log),
        ]
    }

    /// Begins a new log; the files as they are now are taken as synced.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn scan(&self) -> Result<Disk, String> {
        let _ = fs::remove_file(&self.log);
        Disk::scan(&self.root).map_err(|e| format!("{}: {e}", self.root.display()))
    }

    /// Does on the scanned disk what the watched process did.
    ///
    /// # Errors
    /// When the log has a hole.
    pub(crate) fn replay(&self, disk: &mut Disk) -> Result<(), String> {
        // A process that is killed early has not even begun a log.
        match self.log.exists() {
            true => disk.replay(log::read(&self.log)?),
            false => Ok(()),
        }
    }

    /// Takes back what was not synced.
    ///
    /// # Errors
    /// When the log has a hole, or the files cannot be written.
    pub(crate) fn cut(&self, disk: &mut Disk, cut: &mut Cut<'_>) -> Result<(), String> {
        self.replay(disk)?;
        let written = fs::remove_dir_all(&self.root).and_then(|()| disk.write(&self.root, cut));
        written.map_err(|e| format!("{}: {e}", self.root.display()))
    }
}
