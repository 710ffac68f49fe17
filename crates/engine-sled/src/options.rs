//! Options of the engine, as code and as the `[engine:sled]` section of a configuration.

use broker_api::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The settings that a configuration may hold.
const KNOWN: [&str; 5] = [
    "cache_capacity_mb",
    "devices",
    "durability",
    "mode",
    "mount_check",
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
    /// [`ErrorKind::InvalidInput`] for an unknown setting or a value that is none.
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
        let mut options = Self::default();
        for (key, value) in settings {
            match key.as_str() {
                "devices" if !value.is_empty() => options.devices = value.into(),
                "mount_check" => options.mount_check = boolean(key, value)?,
                "cache_capacity_mb" => options.cache_capacity_mb = megabytes(key, value)?,
                "mode" => options.mode = mode(value)?,
                "durability" => durability(value)?,
                "devices" => return Err(bad(key, value, "a directory")),
                _ => return Err(unknown(key)),
            }
        }
        Ok(options)
    }
}

fn megabytes(key: &str, value: &str) -> Result<u64> {
    let number = value
        .parse()
        .ok()
        .filter(|number| CACHE_MB.contains(number));
    number.ok_or_else(|| bad(key, value, "a whole number from 1 to 65536"))
}

fn mode(value: &str) -> Result<SledMode> {
    match value {
        "high_throughput" => Ok(SledMode::HighThroughput),
        "low_space" => Ok(SledMode::LowSpace),
        _ => Err(bad("mode", value, "high_throughput or low_space")),
    }
}

fn durability(value: &str) -> Result<()> {
    match value {
        "process" => Ok(()),
        "disk" => Err(bad(
            "durability",
            value,
            "process: sled 0.34 does not flush the disk's cache, choose another engine for more",
        )),
        _ => Err(bad("durability", value, "process")),
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
    let message = format!("{key} of the sled engine is {value:?}, not {wanted}");
    Error::new(ErrorKind::InvalidInput, message)
}

fn unknown(key: &str) -> Error {
    let known = KNOWN.join(", ");
    let message = format!("the sled engine has no setting {key:?}; it has {known}");
    Error::new(ErrorKind::InvalidInput, message)
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
            ("devices", "/d"),
            ("mount_check", "No"),
            ("durability", "process"),
            ("cache_capacity_mb", "8"),
            ("mode", "low_space"),
        ]);
        let wanted = SledOptions::new("/d")
            .with_mount_check(false)
            .with_cache_capacity_mb(8)
            .with_mode(SledMode::LowSpace);
        assert_eq!(read.unwrap(), wanted);
    }

    #[test]
    fn unknown_settings_are_refused_with_the_known_ones() {
        let error = settings(&[("cash", "1")]).unwrap_err();
        for known in KNOWN {
            assert!(error.message().contains(known));
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
            ("mount_check", "maybe"),
            ("devices", ""),
        ];
        for (key, value) in senseless {
            let error = settings(&[(key, value)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{key}");
        }
    }
}
