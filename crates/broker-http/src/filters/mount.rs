//! Swift's rule for what is a mounted device.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether `<devices>/<device>` is a mount point, or says that it counts as one by a file
/// `.ismount`; a symbolic link needs that file.
///
/// # Errors
///
/// The kernel cannot tell, other than by the device being absent.
pub(super) fn is_mounted(devices: &Path, device: &str) -> io::Result<bool> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte);
    if !device.bytes().all(is_name) {
        return Ok(false);
    }
    let path = devices.join(device);
    let this = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result?,
    };
    if !this.is_symlink() {
        let parent = fs::symlink_metadata(path.join(".."))?;
        if this.dev() != parent.dev() || this.ino() == parent.ino() {
            return Ok(true);
        }
    }
    Ok(path.join(".ismount").is_file())
}
