//! Which engine owns a device.
//!
//! A device belongs to one engine. It says so itself, in a small file that every server on the node reads:
//!
//! ```text
//! /srv/node/sda1/apus-engine        engine sled, marker version 1
//! /srv/node/sda1/apus-sled/…        its data
//!
//! marker    Swift's folders,   another engine's    belongs to
//!           with content       folder, with content
//! sled      any                any                 sled
//! none      yes                no                  sqlite: Swift's disks stay as they are
//! none      no                 one                 that engine: something lost the marker
//! none      both or two kinds                      nobody, until a person says which: refused
//! none      no                 no                  nobody: the first engine that serves it claims it
//! ```
//!
//! The marker counts before the folders, so that a device whose data was converted belongs to the new
//! engine while the old data is still there. A marker is written to a temporary file, synced and then
//! named, so that a crash leaves the old one or the new one.

use crate::registry::{EngineEntry, OnDevice, Registry};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The name of the marker in a device's folder.
pub const MARKER: &str = "apus-engine";

/// The version of the marker. What a later version means is not known here.
const VERSION: &str = "1";

/// The engine that a device belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name; the engine need not be one of this binary.
    pub engine: String,
    /// Whether the marker says so; otherwise its folders do.
    pub marked: bool,
}

/// Why an engine may not use a device, or why that cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// It belongs to another engine.
    #[error(
        "device {device} belongs to the engine {owner}, not to {wanted}: choose that engine \
         (engine.{device} = {owner} in a server's file, --engine {owner} on the command line), or move \
         the data with `apus convert --from {owner} --to {wanted}`"
    )]
    Owned {
        /// The device.
        device: String,
        /// The engine that it belongs to.
        owner: String,
        /// The engine that wants it.
        wanted: String,
    },
    /// There is data of several engines and no marker.
    #[error(
        "device {device} has data of {engines} and no {MARKER} that says which is in use: find out, then \
         write this line into {path}: {line}"
    )]
    Unclear {
        /// The device.
        device: String,
        /// The engines.
        engines: String,
        /// The marker.
        path: PathBuf,
        /// What it may hold.
        line: String,
    },
    /// The marker is not one that this version writes.
    #[error(
        "{path} holds {found:?}, which this version does not understand: use the version of Apus that \
         wrote it, or correct it to a line like {line:?}"
    )]
    Marker {
        /// The marker.
        path: PathBuf,
        /// Its beginning.
        found: String,
        /// What it may hold.
        line: String,
    },
    /// The device fails.
    #[error("cannot {action} {path}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

type Result<T> = std::result::Result<T, OwnershipError>;

/// Finds the engine that a device belongs to; `None` when it is free.
///
/// `device` is the device's folder. Absent folders are free.
///
/// # Errors
/// [`OwnershipError::Unclear`] and [`OwnershipError::Marker`] when only a person can tell.
pub fn owner(registry: &Registry, device: &Path) -> Result<Option<Owner>> {
    if let Some(engine) = read_marker(device)? {
        let marked = true;
        return Ok(Some(Owner { engine, marked }));
    }
    let mut found = Vec::new();
    for entry in registry.entries() {
        if has_data(entry, device)? {
            found.push(entry.name);
        }
    }
    match found[..] {
        [] => Ok(None),
        [engine] => Ok(Some(Owner {
            engine: engine.to_owned(),
            marked: false,
        })),
        [first, ..] => Err(OwnershipError::Unclear {
            device: name(device),
            engines: found.join(" and "),
            path: device.join(MARKER),
            line: line(first),
        }),
    }
}

/// Sees whether an engine may use a device: it owns it, or nobody does. Returns the owner.
///
/// # Errors
/// [`OwnershipError::Owned`] when another engine owns it, and as [`owner`].
pub fn check(registry: &Registry, device: &Path, wanted: &str) -> Result<Option<Owner>> {
    match owner(registry, device)? {
        Some(owner) if owner.engine != wanted => Err(OwnershipError::Owned {
            device: name(device),
            owner: owner.engine,
            wanted: wanted.to_owned(),
        }),
        owner => Ok(owner),
    }
}

/// Makes a device an engine's own, durably, unless it is that already.
///
/// The caller has seen that the device is mounted: a marker below a mount point would be out of sight
/// later. Two engines that claim a free device at the same time do not both get it. An engine that uses
/// Swift's own files, or none, claims nothing: see [`OnDevice`].
///
/// # Errors
/// As [`check`], and when the marker cannot be written.
pub fn claim(registry: &Registry, device: &Path, wanted: &EngineEntry) -> Result<()> {
    let owner = check(registry, device, wanted.name)?;
    let is_marked = owner.is_some_and(|owner| owner.marked);
    if is_marked || !matches!(wanted.on_device, OnDevice::Folders(_)) {
        return Ok(());
    }
    let made = write_temporary(device, wanted.name)?;
    // A link, unlike a rename, does not replace what another process named in between.
    let named = fs::hard_link(&made, device.join(MARKER));
    fs::remove_file(&made).at("remove", &made)?;
    match named {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            check(registry, device, wanted.name).map(drop)
        }
        named => {
            named.at("make", &device.join(MARKER))?;
            sync(device)
        }
    }
}

/// Hands a device from one engine to another, durably, after its data was moved.
///
/// A device that becomes sqlite's loses its marker when nothing of other engines is left on it, and is a
/// plain Swift disk again. Handing over again what was handed over changes nothing.
///
/// # Errors
/// [`OwnershipError::Owned`] when the device belongs to neither of the two, and when the marker cannot be
/// written.
pub fn transfer(registry: &Registry, device: &Path, from: &str, to: &EngineEntry) -> Result<()> {
    let owner = match read_marker(device)? {
        Some(engine) => Some(engine),
        // The data of both is there by now, and only the marker could tell them apart.
        None if has_data_of(registry, device, from)? => Some(from.to_owned()),
        None => owner(registry, device)?.map(|owner| owner.engine),
    };
    if let Some(owner) = owner.filter(|owner| owner != from && owner != to.name) {
        return Err(OwnershipError::Owned {
            device: name(device),
            owner,
            wanted: to.name.to_owned(),
        });
    }
    if matches!(to.on_device, OnDevice::Swift(_)) && !has_data_of_others(registry, device, to)? {
        return remove_marker(device);
    }
    write_marker(device, to.name)
}

/// Writes down that a device is an engine's, Swift's own files included, before data of another engine is
/// put beside its own. Without that, a conversion that was cut short would leave an unclear owner.
///
/// # Errors
/// As [`check`], and when the marker cannot be written.
pub fn hold(registry: &Registry, device: &Path, engine: &EngineEntry) -> Result<()> {
    match check(registry, device, engine.name)? {
        Some(owner) if owner.marked => Ok(()),
        _ => write_marker(device, engine.name),
    }
}

/// Writes the marker, or another in its place.
fn write_marker(device: &Path, engine: &str) -> Result<()> {
    let (made, marker) = (write_temporary(device, engine)?, device.join(MARKER));
    fs::rename(&made, &marker).at("make", &marker)?;
    sync(device)
}

fn has_data_of(registry: &Registry, device: &Path, name: &str) -> Result<bool> {
    let entry = registry.entries().iter().find(|entry| entry.name == name);
    entry.map_or(Ok(false), |entry| has_data(entry, device))
}

fn has_data_of_others(registry: &Registry, device: &Path, own: &EngineEntry) -> Result<bool> {
    for entry in registry.entries().iter().filter(|e| e.name != own.name) {
        if has_data(entry, device)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether there is anything in an engine's folders.
fn has_data(entry: &EngineEntry, device: &Path) -> Result<bool> {
    let (OnDevice::Swift(folders) | OnDevice::Folders(folders)) = entry.on_device else {
        return Ok(false);
    };
    for folder in folders {
        let path = device.join(folder);
        match fs::read_dir(&path) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Ok(true);
                }
            }
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err(error).at("read", &path),
        }
    }
    Ok(false)
}

fn line(engine: &str) -> String {
    format!("engine {engine}, marker version {VERSION}")
}

fn read_marker(device: &Path) -> Result<Option<String>> {
    let path = device.join(MARKER);
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(error).at("read", &path),
    };
    let engine = text
        .trim_end()
        .strip_prefix("engine ")
        .and_then(|rest| rest.strip_suffix(&format!(", marker version {VERSION}")));
    match engine {
        Some(engine) => Ok(Some(engine.to_owned())),
        None => Err(OwnershipError::Marker {
            found: text.chars().take(80).collect(),
            line: line("sqlite"),
            path,
        }),
    }
}

/// A synced file of this process's own, for a marker to be made of.
fn write_temporary(device: &Path, engine: &str) -> Result<PathBuf> {
    let path = device.join(format!("{MARKER}.{}", uuid::Uuid::new_v4().simple()));
    let mut file = fs::File::create_new(&path).at("make", &path)?;
    writeln!(file, "{}", line(engine)).at("write", &path)?;
    file.sync_all().at("sync", &path)?;
    Ok(path)
}

fn remove_marker(device: &Path) -> Result<()> {
    let path = device.join(MARKER);
    match fs::remove_file(&path) {
        Err(error) if is_absence(&error) => return Ok(()),
        removed => removed.at("remove", &path)?,
    }
    sync(device)
}

fn sync(folder: &Path) -> Result<()> {
    let opened = fs::File::open(folder).at("open", folder)?;
    opened.sync_all().at("sync", folder)
}

/// The device's name in messages.
fn name(device: &Path) -> String {
    device.file_name().map_or_else(
        || device.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| OwnershipError::Io {
            action,
            path: path.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests;
