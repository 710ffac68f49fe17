//! The log of the preloaded library, `shim/powercut.c`, which draws a record byte by byte.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// One operation on the files, as it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A file or folder has this inode under this path.
    Opened {
        inode: u64,
        path: PathBuf,
        is_new: bool,
        is_cut: bool,
        is_folder: bool,
    },
    Written {
        inode: u64,
        offset: u64,
        data: Vec<u8>,
    },
    /// The file has this length now.
    Resized {
        inode: u64,
        length: u64,
    },
    /// The file has at least this length now.
    Extended {
        inode: u64,
        length: u64,
    },
    Zeroed {
        inode: u64,
        offset: u64,
        length: u64,
    },
    /// What was done to the file or folder before this is on the disk after [`Event::Synced`].
    SyncBegan {
        inode: u64,
        token: u64,
    },
    Synced {
        inode: u64,
        token: u64,
    },
    FolderMade {
        inode: u64,
        path: PathBuf,
    },
    Removed {
        path: PathBuf,
    },
    Renamed {
        from: PathBuf,
        to: PathBuf,
    },
    Linked {
        from: PathBuf,
        to: PathBuf,
    },
    SymbolicLink {
        path: PathBuf,
        target: PathBuf,
    },
}

const HEAD: usize = 40;

/// Reads a log. What the kill cut off at its end is left out.
///
/// # Errors
/// When a record is none.
pub(crate) fn read(path: &Path) -> Result<Vec<Event>, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut events = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((event, after)) = record(rest)? {
        events.push(event);
        rest = after;
    }
    Ok(events)
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    bytes.try_into().ok().map(u64::from_ne_bytes)
}

/// The first record and what follows it.
fn record(bytes: &[u8]) -> Result<Option<(Event, &[u8])>, String> {
    let numbers = [8, 16, 24, 32].map(|at| number(bytes, at).unwrap_or(0));
    let [inode, offset, length_a, length_b] = numbers;
    if bytes.len() < HEAD {
        return Ok(None);
    }
    let (kind, flags) = (bytes[0], bytes[4]);
    // Zeroing has a length and no data.
    let data_length = if kind == b'Z' { 0 } else { length_b };
    let (a, b) = (length_a as usize, data_length as usize);
    let Some(body) = bytes.get(HEAD..HEAD + a + b) else {
        return Ok(None);
    };
    let path = || PathBuf::from(OsStr::from_bytes(&body[..a]));
    let other = || PathBuf::from(OsStr::from_bytes(&body[a..]));
    let event = match kind {
        b'O' => Event::Opened {
            inode,
            path: path(),
            is_new: flags & 1 != 0,
            is_cut: flags & 2 != 0,
            is_folder: flags & 4 != 0,
        },
        b'W' => Event::Written {
            inode,
            offset,
            data: body[a..].to_vec(),
        },
        b'T' => Event::Resized {
            inode,
            length: offset,
        },
        b'G' => Event::Extended {
            inode,
            length: offset,
        },
        b'Z' => Event::Zeroed {
            inode,
            offset,
            length: length_b,
        },
        b'B' => Event::SyncBegan {
            inode,
            token: offset,
        },
        b'E' => Event::Synced {
            inode,
            token: offset,
        },
        b'D' => Event::FolderMade {
            inode,
            path: path(),
        },
        b'U' => Event::Removed { path: path() },
        b'R' => Event::Renamed {
            from: path(),
            to: other(),
        },
        b'L' => Event::Linked {
            from: path(),
            to: other(),
        },
        b'S' => Event::SymbolicLink {
            path: path(),
            target: other(),
        },
        kind => return Err(format!("the log has a record of kind {kind:#x}")),
    };
    Ok(Some((event, &bytes[HEAD + a + b..])))
}
