//! Whether the process of an engine over files was killed.
//!
//! ```text
//! open ── open.mark is made ──► close: open.mark is removed
//!                           └─► kill -9: it stays, and the next open makes killed.mark beside it
//! ```

use std::path::{Path, PathBuf};

/// The time from opening files to closing them, unless a kill ends it.
#[derive(Debug)]
pub(crate) struct Life {
    mark: PathBuf,
    /// Whether a life before this one was ended by a kill.
    pub(crate) was_killed: bool,
}

impl Life {
    pub(crate) fn begin(path: &Path) -> Self {
        let (mark, killed) = (path.join("open.mark"), path.join("killed.mark"));
        if mark.exists() {
            std::fs::write(&killed, "").unwrap();
        }
        std::fs::write(&mark, "").unwrap();
        let was_killed = killed.exists();
        Self { mark, was_killed }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // It may have gone with its place.
        let _ = std::fs::remove_file(&self.mark);
    }
}
