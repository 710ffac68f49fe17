//! Options of the engine, as code and as the `[engine:rocksdb]` section of a configuration.

use broker_api::{Durability, Result};
use broker_runtime::settings::{Setting, Settings};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// The settings that a configuration may hold. Where the devices are is no setting of an engine: all
/// engines of a server have the same.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "background_jobs",
        default: "2",
        values: "a whole number from 1 to 64",
        meaning: "threads of the process that write and merge files",
    },
    Setting {
        name: "block_cache_mb",
        default: "256",
        values: "a whole number from 1 to 1048576",
        meaning: "cache of rows, indexes and filters for all databases of the process, in MiB",
    },
    Setting {
        name: "bloom_bits",
        default: "10",
        values: "a whole number from 0 to 20",
        meaning: "bits of a filter for each key; 0 for none",
    },
    Setting {
        name: "compaction",
        default: "level",
        values: "level or universal",
        meaning: "how files are merged; universal writes less and needs more room",
    },
    Setting {
        name: "compression",
        default: "lz4",
        values: "none, lz4 or zstd",
        meaning: "how rows are compressed; zstd is smaller and slower to read",
    },
    Setting {
        name: "durability",
        default: "process",
        values: "process or disk",
        meaning: "what an acknowledged write survives",
    },
    Setting {
        name: "info_log_mb",
        default: "4",
        values: "a whole number from 1 to 1024",
        meaning: "size of a database's information log before a new one is begun, in MiB",
    },
    Setting {
        name: "info_logs",
        default: "4",
        values: "a whole number from 1 to 100",
        meaning: "information logs that are kept",
    },
    Setting {
        name: "max_open_files",
        default: "512",
        values: "a whole number from 32 to 1000000",
        meaning: "files that a database keeps open",
    },
    Setting {
        name: "rate_limit_mb",
        default: "0",
        values: "a whole number from 0 to 100000",
        meaning: "the most that background threads write, in MiB a second; 0 for no limit",
    },
    Setting {
        name: "reserve_mb",
        default: "64",
        values: "a whole number from 0 to 1048576",
        meaning: "room on a device that is kept for deletions, in MiB",
    },
    Setting {
        name: "statistics",
        default: "false",
        values: "true or false",
        meaning: "whether the databases' figures are counted and logged",
    },
    Setting {
        name: "statistics_seconds",
        default: "300",
        values: "a whole number from 1 to 86400",
        meaning: "seconds from one line of figures to the next",
    },
    Setting {
        name: "write_buffer_mb",
        default: "128",
        values: "a whole number from 1 to 65536",
        meaning: "memory for rows that are not in a table yet, for all databases of the process, in MiB",
    },
];

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
    /// [`InvalidInput`](broker_api::ErrorKind::InvalidInput) for an unknown setting or a value that is none.
    ///
    /// # Examples
    /// ```
    /// # use engine_rocksdb::RocksdbOptions;
    /// # use std::collections::BTreeMap;
    /// let settings = BTreeMap::from([("block_cache_mb".to_owned(), "512".to_owned())]);
    /// assert_eq!(RocksdbOptions::from_settings(&settings).unwrap().block_cache_mb, 512);
    /// ```
    pub fn from_settings(settings: &BTreeMap<String, String>) -> Result<Self> {
        let settings = Settings::read("rocksdb", SETTINGS, settings)?;
        let mut options = Self::default();
        for (name, bounds) in NUMBERS {
            if let (Some(field), Some(number)) =
                (options.number(name), settings.whole_number(name, bounds)?)
            {
                *field = number;
            }
        }
        let set = settings.one_of("durability", DURABILITIES)?;
        options.durability = set.unwrap_or(options.durability);
        let set = settings.one_of("compression", COMPRESSIONS)?;
        options.compression = set.unwrap_or(options.compression);
        let set = settings.one_of("compaction", COMPACTIONS)?;
        options.compaction = set.unwrap_or(options.compaction);
        options.statistics = settings.truth("statistics")?.unwrap_or(options.statistics);
        Ok(options)
    }

    fn number(&mut self, key: &str) -> Option<&mut u64> {
        Some(match key {
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
            _ => return None,
        })
    }

    /// The same with every number brought within its bounds: fields are public.
    pub(crate) fn bounded(mut self) -> Self {
        for (key, bounds) in NUMBERS {
            if let Some(number) = self.number(key) {
                *number = (*number).clamp(*bounds.start(), *bounds.end());
            }
        }
        self
    }
}

const DURABILITIES: &[(&str, Durability)] =
    &[("process", Durability::Process), ("disk", Durability::Disk)];

const COMPRESSIONS: &[(&str, Compression)] = &[
    ("none", Compression::None),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

const COMPACTIONS: &[(&str, Compaction)] = &[
    ("level", Compaction::Level),
    ("universal", Compaction::Universal),
];

#[cfg(test)]
mod tests {
    use super::*;
    use broker_api::ErrorKind;

    fn settings(pairs: &[(&str, &str)]) -> Result<RocksdbOptions> {
        let pairs = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        RocksdbOptions::from_settings(&pairs.collect())
    }

    #[test]
    fn settings_are_read() {
        let read = settings(&[
            ("statistics", "yes"),
            ("durability", "disk"),
            ("compression", "zstd"),
            ("compaction", "universal"),
        ]);
        let wanted = RocksdbOptions {
            statistics: true,
            durability: Durability::Disk,
            compression: Compression::Zstd,
            compaction: Compaction::Universal,
            ..RocksdbOptions::default()
        };
        assert_eq!(read.unwrap(), wanted);
    }

    /// A failure would mean that the table tells people of another default or other bounds.
    #[test]
    fn the_table_says_what_is_read() {
        for setting in SETTINGS {
            let read = settings(&[(setting.name, setting.default)]);
            assert_eq!(read.unwrap(), RocksdbOptions::default(), "{}", setting.name);
        }
        for (name, bounds) in NUMBERS {
            let setting = SETTINGS
                .iter()
                .find(|setting| setting.name == name)
                .unwrap();
            let (least, most) = (bounds.start(), bounds.end());
            assert_eq!(
                setting.values,
                format!("a whole number from {least} to {most}")
            );
        }
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
    fn words_without_a_sense_are_refused() {
        let senseless = [
            ("cash", "1"),
            ("compression", "gzip"),
            ("compaction", "fifo"),
            ("durability", "memory"),
            ("statistics", ""),
        ];
        for (key, value) in senseless {
            let error = settings(&[(key, value)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{key}");
        }
    }
}
