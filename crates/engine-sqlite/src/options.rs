//! Options of the engine, as code and as the `[engine:sqlite]` section of a configuration.

use broker_api::{Durability, Result};
use broker_runtime::settings::{Setting, Settings};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The settings that a configuration may hold. Where the devices are is no setting of an engine: all
/// engines of a server have the same.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "durability",
        default: "process",
        values: "process or disk",
        meaning: "what an acknowledged write survives: a crash of the process, or a loss of power",
    },
    Setting {
        name: "page_cache_mb",
        default: "128",
        values: "a whole number from 0 to 1048576",
        meaning: "memory for pages and rows of large stores beyond the 2 MiB of every open file, in MiB",
    },
];

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
    /// Memory for large stores, beyond the 2 MiB of pages that every open file may have, in MiB; 128 by default. It is
    /// given away until files are closed: 12 MiB for pages when two transactions have read more than 512 of them, 4 MiB for
    /// rows when two listings have shown 1,000 and more.
    pub page_cache_mb: u64,
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
            page_cache_mb: 128,
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
    /// [`InvalidInput`](broker_api::ErrorKind::InvalidInput) for an unknown setting or a value that is none.
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
        let settings = Settings::read("sqlite", SETTINGS, settings)?;
        let mut options = Self::default();
        let choices = [("process", Durability::Process), ("disk", Durability::Disk)];
        if let Some(durability) = settings.one_of("durability", &choices)? {
            options.durability = durability;
        }
        if let Some(megabytes) = settings.whole_number("page_cache_mb", 0..=1_048_576)? {
            options.page_cache_mb = megabytes;
        }
        Ok(options)
    }
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
        let wanted = SqliteOptions::default().with_durability(Durability::Disk);
        assert_eq!(settings(&[("durability", "disk")]).unwrap(), wanted);
    }

    #[test]
    fn the_table_tells_the_defaults() {
        let defaults: Vec<_> = SETTINGS.iter().map(|s| (s.name, s.default)).collect();
        assert_eq!(settings(&defaults).unwrap(), SqliteOptions::default());
    }

    #[test]
    fn settings_without_a_sense_are_refused() {
        let error = settings(&[("jornal_mode", "wal")]).unwrap_err();
        assert!(error.message().contains("durability"));
        assert!(settings(&[("durability", "memory")]).is_err());
        assert!(settings(&[("page_cache_mb", "-1")]).is_err());
    }
}
