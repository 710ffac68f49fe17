//! Options of the engine, as code and as the `[engine:rocksdb]` section of a configuration.

use broker_api::{Durability, Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// How blocks of rows are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// With LZ4: almost free.
    #[default]
    Lz4,
    /// With LZ4, and with Zstandard where the bulk of the rows comes to rest: smaller, slower to read.
    Zstd,
}

/// How files are merged in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compaction {
    /// Into levels of tenfold size: the fewest files to look into, the least room.
    #[default]
    Level,
    /// Runs of about the same size into one: writes less, needs up to twice the room.
    Universal,
}

/// Where the devices are and how RocksDB is set. The README says why the defaults are what they are.
///
/// # Examples
/// ```
/// let mut options = engine_rocksdb::RocksdbOptions::new("/srv/node");
/// options.block_cache_mb = 1024;
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RocksdbOptions {
    /// The directory that holds one directory for each device; `/srv/node` by default.
    pub devices: PathBuf,
    /// A device must be a mount point, or hold a regular file `.ismount`; on by default.
    pub mount_check: bool,
    /// What an acknowledged write survives: `Process` by default, or `Disk`.
    pub durability: Durability,
    /// Cache of rows, indexes and filters for all databases of the process, in MiB; 256 by default.
    pub block_cache_mb: u64,
    /// Memory for rows that are not in a table yet, for all databases of the process, in MiB; 128 by default.
    pub write_buffer_mb: u64,
    /// Bits of a filter for each key; 10 by default, 0 for none.
    pub bloom_bits: u64,
    /// How rows are compressed.
    pub compression: Compression,
    /// How files are merged.
    pub compaction: Compaction,
    /// Threads of the process that write and merge files; 2 by default.
    pub background_jobs: u64,
    /// The most that these threads write, in MiB a second; 0, the default, for no limit.
    pub rate_limit_mb: u64,
    /// Files that a database keeps open; 512 by default.
    pub max_open_files: u64,
    /// Room on a device that is kept for deletions, in MiB; 64 by default, 0 for none.
    pub reserve_mb: u64,
    /// Size of a database's information log before a new one is begun, in MiB; 4 by default.
    pub info_log_mb: u64,
    /// Information logs that are kept; 4 by default.
    pub info_logs: u64,
    /// Whether the databases' figures are counted and logged; off by default.
    pub statistics: bool,
    /// Seconds from one line of figures to the next; 300 by default.
    pub statistics_seconds: u64,
}

/// The settings that are whole numbers, with their bounds.
const NUMBERS: [(&str, RangeInclusive<u64>); 10] = [
    ("background_jobs", 1..=64),
    ("block_cache_mb", 1..=1_048_576),
    ("bloom_bits", 0..=20),
    ("info_log_mb", 1..=1024),
    ("info_logs", 1..=100),
    ("max_open_files", 32..=1_000_000),
    ("rate_limit_mb", 0..=100_000),
    ("reserve_mb", 0..=1_048_576),
    ("statistics_seconds", 1..=86_400),
    ("write_buffer_mb", 1..=65_536),
];

/// The other settings.
const WORDS: [&str; 6] = [
    "compaction",
    "compression",
    "devices",
    "durability",
    "mount_check",
    "statistics",
];

impl Default for RocksdbOptions {
    fn default() -> Self {
        Self::new("/srv/node")
    }
}

impl RocksdbOptions {
    /// The defaults for devices under a directory.
    pub fn new(devices: impl Into<PathBuf>) -> Self {
        Self {
            devices: devices.into(),
            mount_check: true,
            durability: Durability::Process,
            block_cache_mb: 256,
            write_buffer_mb: 128,
            bloom_bits: 10,
            compression: Compression::default(),
            compaction: Compaction::default(),
            background_jobs: 2,
            rate_limit_mb: 0,
            max_open_files: 512,
            reserve_mb: 64,
            info_log_mb: 4,
            info_logs: 4,
            statistics: false,
            statistics_seconds: 300,
        }
    }

    /// The same with another `mount_check`.
    #[must_use]
    pub fn with_mount_check(mut self, mount_check: bool) -> Self {
        self.mount_check = mount_check;
        self
    }

    /// The same with another durability; `Memory` means `Process`.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability.max(Durability::Process);
        self
    }

    /// Reads the settings of a configuration section.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for an unknown setting or a value that is none.
    ///
    /// # Examples
    /// ```
    /// # use engine_rocksdb::RocksdbOptions;
    /// # use std::collections::BTreeMap;
    /// let settings = BTreeMap::from([("block_cache_mb".to_owned(), "512".to_owned())]);
    /// assert_eq!(RocksdbOptions::from_settings(&settings).unwrap().block_cache_mb, 512);
    /// ```
    pub fn from_settings(settings: &BTreeMap<String, String>) -> Result<Self> {
        let mut options = Self::default();
        for (key, value) in settings {
            match key.as_str() {
                "devices" if value.is_empty() => return Err(bad(key, value, "a directory")),
                "devices" => options.devices = value.into(),
                "mount_check" => options.mount_check = boolean(key, value)?,
                "statistics" => options.statistics = boolean(key, value)?,
                "durability" => options.durability = durability(value)?,
                "compression" => options.compression = compression(value)?,
                "compaction" => options.compaction = compaction(value)?,
                _ => *options.number(key)? = number(key, value)?,
            }
        }
        Ok(options)
    }

    fn number(&mut self, key: &str) -> Result<&mut u64> {
        Ok(match key {
            "background_jobs" => &mut self.background_jobs,
            "block_cache_mb" => &mut self.block_cache_mb,
            "bloom_bits" => &mut self.bloom_bits,
            "info_log_mb" => &mut self.info_log_mb,
            "info_logs" => &mut self.info_logs,
            "max_open_files" => &mut self.max_open_files,
            "rate_limit_mb" => &mut self.rate_limit_mb,
            "reserve_mb" => &mut self.reserve_mb,
            "statistics_seconds" => &mut self.statistics_seconds,
            "write_buffer_mb" => &mut self.write_buffer_mb,
            _ => return Err(unknown(key)),
        })
    }

    /// The same with every number brought within its bounds: fields are public.
    pub(crate) fn bounded(mut self) -> Self {
        for (key, bounds) in NUMBERS {
            if let Ok(number) = self.number(key) {
                *number = (*number).clamp(*bounds.start(), *bounds.end());
            }
        }
        self
    }
}

fn number(key: &str, value: &str) -> Result<u64> {
    let bounds = NUMBERS.iter().find(|(known, _)| *known == key);
    let bounds = bounds.map_or(0..=u64::MAX, |(_, bounds)| bounds.clone());
    let number = value.parse().ok().filter(|number| bounds.contains(number));
    number.ok_or_else(|| {
        let (least, most) = (bounds.start(), bounds.end());
        bad(
            key,
            value,
            &format!("a whole number from {least} to {most}"),
        )
    })
}

fn durability(value: &str) -> Result<Durability> {
    match value {
        "process" => Ok(Durability::Process),
        "disk" => Ok(Durability::Disk),
        _ => Err(bad("durability", value, "process or disk")),
    }
}

fn compression(value: &str) -> Result<Compression> {
    match value {
        "none" => Ok(Compression::None),
        "lz4" => Ok(Compression::Lz4),
        "zstd" => Ok(Compression::Zstd),
        _ => Err(bad("compression", value, "none, lz4 or zstd")),
    }
}

fn compaction(value: &str) -> Result<Compaction> {
    match value {
        "level" => Ok(Compaction::Level),
        "universal" => Ok(Compaction::Universal),
        _ => Err(bad("compaction", value, "level or universal")),
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
    let message = format!("{key} of the rocksdb engine is {value:?}, not {wanted}");
    Error::new(ErrorKind::InvalidInput, message)
}

fn unknown(key: &str) -> Error {
    let mut known: Vec<_> = WORDS.to_vec();
    known.extend(NUMBERS.iter().map(|(key, _)| *key));
    known.sort_unstable();
    let known = known.join(", ");
    let message = format!("the rocksdb engine has no setting {key:?}; it has {known}");
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<RocksdbOptions> {
        let pairs = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        RocksdbOptions::from_settings(&pairs.collect())
    }

    #[test]
    fn settings_are_read() {
        let read = settings(&[
            ("devices", "/d"),
            ("mount_check", "No"),
            ("statistics", "yes"),
            ("durability", "disk"),
            ("compression", "zstd"),
            ("compaction", "universal"),
        ]);
        let mut wanted = RocksdbOptions::new("/d").with_mount_check(false);
        wanted.statistics = true;
        wanted.durability = Durability::Disk;
        wanted.compression = Compression::Zstd;
        wanted.compaction = Compaction::Universal;
        assert_eq!(read.unwrap(), wanted);
    }

    /// A failure would mean that a setting is documented and refused, or sets another one.
    #[test]
    fn every_number_is_read_within_its_bounds_only() {
        for (key, bounds) in NUMBERS {
            for number in [*bounds.start(), *bounds.end()] {
                let mut read = settings(&[(key, &number.to_string())]).unwrap();
                assert_eq!(read.clone().bounded(), read);
                assert_eq!(*read.number(key).unwrap(), number, "{key}");
                *read.number(key).unwrap() = *RocksdbOptions::default().number(key).unwrap();
                assert_eq!(read, RocksdbOptions::default(), "{key}");
            }
            let above = (bounds.end() + 1).to_string();
            for senseless in [above.as_str(), "-1", "", "8m"] {
                let error = settings(&[(key, senseless)]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{key}");
                assert!(error.message().contains(&bounds.end().to_string()));
            }
        }
    }

    #[test]
    fn unknown_settings_are_refused_with_the_known_ones() {
        let error = settings(&[("cash", "1")]).unwrap_err();
        for known in NUMBERS.iter().map(|(key, _)| key).chain(&WORDS) {
            assert!(error.message().contains(known));
        }
    }

    #[test]
    fn words_without_a_sense_are_refused() {
        let senseless = [
            ("compression", "gzip"),
            ("compaction", "fifo"),
            ("durability", "memory"),
            ("mount_check", "maybe"),
            ("statistics", ""),
            ("devices", ""),
        ];
        for (key, value) in senseless {
            let error = settings(&[(key, value)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{key}");
        }
    }
}
