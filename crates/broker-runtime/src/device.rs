//! Devices as Swift's servers see them: directories, perhaps mount points, below one directory.

use crate::slot::lock;
use broker_api::DeviceHealth;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

/// For so long a device that was there is taken to be there. Every request asks, and asking the system is a tenth of
/// what a HEAD costs.
const PRESENCE_IS_KNOWN_FOR: Duration = Duration::from_millis(10);

/// For so long what was free on a device is taken to be free.
const ROOM_IS_KNOWN_FOR: Duration = Duration::from_millis(100);

/// Whether Swift's servers would take the name of a device.
pub fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-~".contains(&b);
    !matches!(name, "" | "." | "..") && name.bytes().all(plain)
}

/// Whether a directory is a mount point, or is declared to be one by a regular file `.ismount`.
///
/// # Errors
/// When the system fails in another way than by absence.
pub fn is_mounted(dir: &Path) -> io::Result<bool> {
    if found(dir.join(".ismount"))?.is_some_and(|stub| stub.is_file()) {
        return Ok(true);
    }
    let (Some(own), Some(parent)) = (found(dir.to_owned())?, found(dir.join(".."))?) else {
        return Ok(false);
    };
    if !own.is_dir() {
        return Ok(false);
    }
    use std::os::unix::fs::MetadataExt;
    // The root of a file system is its own parent.
    Ok(own.dev() != parent.dev() || own.ino() == parent.ino())
}

fn found(path: PathBuf) -> io::Result<Option<Metadata>> {
    use io::ErrorKind::{NotADirectory, NotFound};
    match std::fs::symlink_metadata(&path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What was last seen of a device.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// When it was there, as a mount point or as any directory.
    present: Instant,
    mounted: bool,
    room: DeviceHealth,
    room_at: Instant,
}

/// Devices seen lately, by path, which is hashed as one piece and not part by part.
static SEEN: LazyLock<Mutex<HashMap<OsString, Seen>>> = LazyLock::new(Mutex::default);

/// The condition of a device below `devices`, which must be mounted when `mount_check` says so.
///
/// That it is there may have been seen a hundredth of a second ago, its room a tenth.
///
/// # Errors
/// When the system does not tell.
pub fn health(devices: &Path, device: &str, mount_check: bool) -> io::Result<DeviceHealth> {
    if !is_name(device) {
        return Ok(DeviceHealth::Absent);
    }
    let path = devices.join(device);
    let now = Instant::now();
    let is_recent = |then: Instant, limit| now.saturating_duration_since(then) < limit;
    let seen = lock(&SEEN).get(path.as_os_str()).copied();
    let seen = seen.filter(|seen| is_recent(seen.room_at, ROOM_IS_KNOWN_FOR));
    if let Some(seen) = seen
        && is_recent(seen.present, PRESENCE_IS_KNOWN_FOR)
        && seen.mounted >= mount_check
    {
        return Ok(seen.room);
    }
    let is_present = match mount_check {
        true => is_mounted(&path)?,
        false => path.is_dir(),
    };
    if !is_present {
        return Ok(DeviceHealth::Absent);
    }
    let (room, room_at) = match seen {
        Some(seen) => (seen.room, seen.room_at),
        None => (room(&path)?, now),
    };
    let seen = Seen {
        present: now,
        mounted: mount_check,
        room,
        room_at,
    };
    let mut devices = lock(&SEEN);
    devices.retain(|_, seen| is_recent(seen.room_at, ROOM_IS_KNOWN_FOR));
    devices.insert(path.into_os_string(), seen);
    Ok(room)
}

/// The room of a device that is ready.
fn room(path: &Path) -> io::Result<DeviceHealth> {
    let room = rustix::fs::statvfs(path)?;
    Ok(DeviceHealth::Ready {
        free_bytes: room.f_frsize.saturating_mul(room.f_bavail),
        total_bytes: room.f_frsize.saturating_mul(room.f_blocks),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_mounted_when_it_is_declared_to_be() {
        let dir = std::env::temp_dir().join(format!("apus-device-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("sda1")).unwrap();
        let health = |check| health(&dir, "sda1", check).unwrap();
        assert_eq!(health(true), DeviceHealth::Absent);
        assert!(matches!(health(false), DeviceHealth::Ready { .. }));
        std::fs::write(dir.join("sda1/.ismount"), "").unwrap();
        assert!(matches!(health(true), DeviceHealth::Ready { .. }));
        std::fs::remove_dir_all(&dir).unwrap();
        std::thread::sleep(PRESENCE_IS_KNOWN_FOR);
        assert_eq!(health(true), DeviceHealth::Absent);
        assert_eq!(health(false), DeviceHealth::Absent);
    }

    #[test]
    fn what_is_no_name_is_no_device() {
        for name in ["", ".", "..", "a/b", "a b"] {
            assert!(!is_name(name));
            assert_eq!(
                health(Path::new("/"), name, false).unwrap(),
                DeviceHealth::Absent
            );
        }
    }
}
