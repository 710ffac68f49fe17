//! Options of the engine, as code and as the `[engine:sled]` section of a configuration.

use broker_api::Result;
use broker_runtime::settings::{Setting, Settings};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The settings that a configuration may hold. Where the devices are is no setting of an engine: all
/// engines of a server have the same.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "cache_capacity_mb",
        default: "64",
        values: "a whole number from 1 to 65536",
        meaning: "sled's page cache for each database, in MiB; sled uses more",
    },
    Setting {
        name: "durability",
        default: "process",
        values: "process",
        meaning: "what an acknowledged write survives; sled can do no more",
    },
    Setting {
        name: "mode",
        default: "high_throughput",
        values: "high_throughput or low_space",
        meaning: "what sled spares; low_space rewrites files sooner",
    },
];

/// The bounds of `cache_capacity_mb`. sled uses about ten times as much when it is written to.
const CACHE_MB: std::ops::RangeInclusive<u64> = 1..=65_536;

/// What sled spares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SledMode {
    /// Time: files are tidied up less often.
    #[default]
    HighThroughput,
    /// Room: files are rewritten sooner.
    LowSpace,
}

/// Where the devices are and how sled is set.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SledOptions {
    /// The directory that holds one directory for each device; `/srv/node` by default.
    pub devices: PathBuf,
    /// A device must be a mount point, or hold a regular file `.ismount`; on by default.
    pub mount_check: bool,
    /// sled's page cache for each database, in MiB; 64 by default.
    pub cache_capacity_mb: u64,
    /// What sled spares.
    pub mode: SledMode,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self::new("/srv/node")
    }
}

impl SledOptions {
    /// The defaults for devices under a directory.
    pub fn new(devices: impl Into<PathBuf>) -> Self {
        Self {
            devices: devices.into(),
            mount_check: true,
            cache_capacity_mb: 64,
            mode: SledMode::default(),
        }
    }

    /// The same with another `mount_check`.
    #[must_use]
    pub fn with_mount_check(mut self, mount_check: bool) -> Self {
        self.mount_check = mount_check;
        self
    }

    /// The same with another `cache_capacity_mb`, brought within 1 to 65,536.
    #[must_use]
    pub fn with_cache_capacity_mb(mut self, cache_capacity_mb: u64) -> Self {
        self.cache_capacity_mb = cache_capacity_mb.clamp(*CACHE_MB.start(), *CACHE_MB.end());
        self
    }

    /// The same with another mode.
    #[must_use]
    pub fn with_mode(mut self, mode: SledMode) -> Self {
        self.mode = mode;
        self
    }

    /// Reads the settings of a configuration section.
    ///
    /// # Errors
    /// [`InvalidInput`](broker_api::ErrorKind::InvalidInput) for an unknown setting or a value that is none.
    ///
    /// # Examples
    /// ```
    /// # use engine_sled::SledOptions;
    /// # use std::collections::BTreeMap;
    /// let settings = BTreeMap::from([("cache_capacity_mb".to_owned(), "256".to_owned())]);
    /// let options = SledOptions::from_settings(&settings).unwrap();
    /// assert_eq!(options.cache_capacity_mb, 256);
    /// ```
    pub fn from_settings(settings: &BTreeMap<String, String>) -> Result<Self> {
        let settings = Settings::read("sled", SETTINGS, settings)?;
        let mut options = Self::default();
        if let Some(megabytes) = settings.whole_number("cache_capacity_mb", CACHE_MB)? {
            options.cache_capacity_mb = megabytes;
        }
        let modes = [
            ("high_throughput", SledMode::HighThroughput),
            ("low_space", SledMode::LowSpace),
        ];
        if let Some(mode) = settings.one_of("mode", &modes)? {
            options.mode = mode;
        }
        match settings.text("durability") {
            None | Some("process") => Ok(options),
            Some(_) => Err(settings.bad_value(
                "durability",
                "process: sled 0.34 does not flush the disk's cache, choose another engine for disk",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<SledOptions> {
        let pairs = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        SledOptions::from_settings(&pairs.collect())
    }

    #[test]
    fn settings_are_read() {
        let read = settings(&[
            ("durability", "process"),
            ("cache_capacity_mb", "8"),
            ("mode", "low_space"),
        ]);
        let wanted = SledOptions::default()
            .with_cache_capacity_mb(8)
            .with_mode(SledMode::LowSpace);
        assert_eq!(read.unwrap(), wanted);
    }

    #[test]
    fn the_table_tells_the_defaults() {
        let defaults: Vec<_> = SETTINGS.iter().map(|s| (s.name, s.default)).collect();
        assert_eq!(settings(&defaults).unwrap(), SledOptions::default());
    }

    #[test]
    fn unknown_settings_are_refused_with_the_known_ones() {
        let error = settings(&[("cash", "1")]).unwrap_err();
        for known in SETTINGS {
            assert!(error.message().contains(known.name));
        }
    }

    #[test]
    fn settings_without_a_sense_are_refused() {
        let senseless = [
            ("cache_capacity_mb", "0"),
            ("cache_capacity_mb", "1g"),
            ("cache_capacity_mb", "65537"),
            ("mode", "fast"),
            ("durability", "disk"),
            ("devices", "/elsewhere"),
        ];
        for (key, value) in senseless {
            let error = settings(&[(key, value)]).unwrap_err();
            assert_eq!(error.kind(), broker_api::ErrorKind::InvalidInput, "{key}");
        }
    }
}
