//! Devices as Swift's servers see them: directories, perhaps mount points, below one directory.

use broker_api::DeviceHealth;
use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For so long what was free on a device is taken to be free. Every request asks, and asking the system is a
/// tenth of what a HEAD costs.
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

/// The condition of a device below `devices`, which must be mounted when `mount_check` says so. Whether it is there
/// is looked at each time; its room may be that of a tenth of a second ago.
///
/// # Errors
/// When the system does not tell.
pub fn health(devices: &Path, device: &str, mount_check: bool) -> io::Result<DeviceHealth> {
    let path = devices.join(device);
    let usable = is_name(device)
        && match mount_check {
            true => is_mounted(&path)?,
            false => path.is_dir(),
        };
    if !usable {
        return Ok(DeviceHealth::Absent);
    }
    room(path)
}

/// A device that is ready, with its room.
fn room(path: PathBuf) -> io::Result<DeviceHealth> {
    static KNOWN: LazyLock<Mutex<HashMap<PathBuf, (Instant, DeviceHealth)>>> =
        LazyLock::new(Mutex::default);
    let now = Instant::now();
    let is_fresh = |since: &Instant| now.duration_since(*since) < ROOM_IS_KNOWN_FOR;
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, room)) = known.get(&path).filter(|(since, _)| is_fresh(since)) {
        return Ok(*room);
    }
    drop(known);
    let room = rustix::fs::statvfs(&path)?;
    let room = DeviceHealth::Ready {
        free_bytes: room.f_frsize.saturating_mul(room.f_bavail),
        total_bytes: room.f_frsize.saturating_mul(room.f_blocks),
    };
    known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|_, (since, _)| is_fresh(since));
    known.insert(path, (now, room));
    Ok(room)
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
