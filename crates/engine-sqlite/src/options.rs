//! Options of the engine, as code and as the `[engine:sqlite]` section of a configuration.

use broker_api::{Durability, Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The settings that a configuration may hold.
const KNOWN: [&str; 4] = ["db_preallocation", "devices", "durability", "mount_check"];

/// Where the devices are and how careful the engine is.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The directory that holds one directory for each device; `/srv/node` by default.
    pub devices: PathBuf,
    /// A device must be a mount point, or hold a regular file `.ismount`; on by default.
    pub mount_check: bool,
    /// Allocates room ahead of growing files; off by default.
    pub db_preallocation: bool,
    /// What an acknowledged write survives: [`Durability::Process`] (as Swift, the default) or
    /// [`Durability::Disk`].
    pub durability: Durability,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self::new("/srv/node")
    }
}

impl SqliteOptions {
    /// Swift's defaults for devices under a directory.
    pub fn new(devices: impl Into<PathBuf>) -> Self {
        Self {
            devices: devices.into(),
            mount_check: true,
            db_preallocation: false,
            durability: Durability::Process,
        }
    }

    /// The same with another `mount_check`.
    #[must_use]
    pub fn with_mount_check(mut self, mount_check: bool) -> Self {
        self.mount_check = mount_check;
        self
    }

    /// The same with another durability; [`Durability::Memory`] is taken as
    /// [`Durability::Process`], the weakest that files can be.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability.max(Durability::Process);
        self
    }

    /// The same with another `db_preallocation`.
    #[must_use]
    pub fn with_db_preallocation(mut self, db_preallocation: bool) -> Self {
        self.db_preallocation = db_preallocation;
        self
    }

    /// Reads the settings of a configuration section.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an unknown setting or a value that is none.
    ///
    /// # Examples
    /// ```
    /// # use engine_sqlite::SqliteOptions;
    /// # use std::collections::BTreeMap;
    /// let settings = BTreeMap::from([("durability".to_owned(), "disk".to_owned())]);
    /// let options = SqliteOptions::from_settings(&settings).unwrap();
    /// assert_eq!(options.durability, broker_api::Durability::Disk);
    /// ```
    pub fn from_settings(settings: &BTreeMap<String, String>) -> Result<Self> {
        let mut options = Self::default();
        for (key, value) in settings {
            match key.as_str() {
                "devices" if !value.is_empty() => options.devices = value.into(),
                "mount_check" => options.mount_check = boolean(key, value)?,
                "db_preallocation" => options.db_preallocation = boolean(key, value)?,
                "durability" => options.durability = durability(value)?,
                "devices" => return Err(bad(key, value, "a directory")),
                _ => return Err(unknown(key)),
            }
        }
        Ok(options)
    }
}

fn durability(value: &str) -> Result<Durability> {
    match value {
        "process" => Ok(Durability::Process),
        "disk" => Ok(Durability::Disk),
        _ => Err(bad("durability", value, "process or disk")),
    }
}

fn boolean(key: &str, value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "t" | "y" => Ok(true),
        "false" | "0" | "no" | "off" | "f" | "n" => Ok(false),
        _ => Err(bad(key, value, "true or false")),
    }
}

fn bad(key: &str, value: &str, wanted: &str) -> Error {
    let message = format!("{key} of the sqlite engine is {value:?}, not {wanted}");
    Error::new(ErrorKind::InvalidInput, message)
}

fn unknown(key: &str) -> Error {
    let known = KNOWN.join(", ");
    let message = format!("the sqlite engine has no setting {key:?}; it has {known}");
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<SqliteOptions> {
        let pairs = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        SqliteOptions::from_settings(&pairs.collect())
    }

    #[test]
    fn settings_are_read() {
        let read = settings(&[
            ("devices", "/d"),
            ("mount_check", "No"),
            ("durability", "disk"),
            ("db_preallocation", "on"),
        ]);
        let wanted = SqliteOptions::new("/d")
            .with_mount_check(false)
            .with_durability(Durability::Disk)
            .with_db_preallocation(true);
        assert_eq!(read.unwrap(), wanted);
    }

    #[test]
    fn unknown_settings_are_refused_with_the_known_ones() {
        let error = settings(&[("jornal_mode", "wal")]).unwrap_err();
        for known in KNOWN {
            assert!(error.message().contains(known));
        }
        assert!(settings(&[("mount_check", "maybe")]).is_err());
        assert!(settings(&[("durability", "memory")]).is_err());
    }
}
