//! Options of the `backend_ratelimit` filter, and when its extra file counts.
//!
//! The filter's section gives the first rates. The file `backend-ratelimit.conf` (or another that
//! the section names) overrides them option by option; an option that leaves the file falls back to
//! the section. A file that is broken or gone changes nothing. The buckets themselves are not here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Place};
use crate::ini::{Dialect, Ini};
use crate::options::Options;

/// The methods that have a rate, in the order of [`Rates::per_method`].
pub const METHODS: [&str; 7] = [
    "GET",
    "HEAD",
    "PUT",
    "POST",
    "DELETE",
    "UPDATE",
    "REPLICATE",
];
/// The section of the extra file.
pub const FILE_SECTION: &str = "backend_ratelimit";
/// The extra file's name below `swift_dir`, unless the filter's section names another.
pub const FILE_NAME: &str = "backend-ratelimit.conf";

const ALL: &str = "requests_per_device_per_second";
const BUFFER: &str = "requests_per_device_rate_buffer";

/// Requests per second that one device takes; 0 means unlimited.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// All methods together.
    pub aggregate: f64,
    /// Each of [`METHODS`].
    pub per_method: [f64; METHODS.len()],
    /// Seconds of unused rate that a bucket keeps.
    pub buffer_seconds: f64,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            aggregate: 0.0,
            per_method: [0.0; METHODS.len()],
            buffer_seconds: 1.0,
        }
    }
}

impl Rates {
    /// Reads rates from options, with those of `base` for what is absent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Value`] for a rate that is negative or no number.
    pub fn from_options(options: &Options, base: &Self) -> Result<Self, Error> {
        let mut rates = Self {
            aggregate: options.non_negative(ALL, base.aggregate)?,
            per_method: base.per_method,
            buffer_seconds: options.non_negative(BUFFER, base.buffer_seconds)?,
        };
        for (rate, method) in rates.per_method.iter_mut().zip(METHODS) {
            let name = format!("{}_{ALL}", method.to_ascii_lowercase());
            *rate = options.non_negative(&name, *rate)?;
        }
        Ok(rates)
    }

    /// Returns the rate of a method; `None` if the method is never limited.
    pub fn of(&self, method: &str) -> Option<f64> {
        METHODS
            .iter()
            .position(|known| *known == method)
            .map(|at| self.per_method[at])
    }

    /// Returns whether no rate is set at all.
    pub fn is_unlimited(&self) -> bool {
        self.aggregate == 0.0 && self.per_method.iter().all(|rate| *rate == 0.0)
    }
}

/// The filter's section.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimitConf {
    /// Rates of the section, before the extra file.
    pub rates: Rates,
    /// The extra file.
    pub file: PathBuf,
    /// The section named the file, so that its absence is worth a warning.
    pub file_expected: bool,
    /// How often the file is read again; `None` means never after start.
    pub reload_interval: Option<Duration>,
}

impl RateLimitConf {
    /// Reads the filter's options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Value`] for a rate or interval that is negative or no number.
    pub fn from_options(options: &Options) -> Result<Self, Error> {
        let default_file = options.path("swift_dir", "/etc/swift").join(FILE_NAME);
        let named = options
            .get("backend_ratelimit_conf_path")
            .map(PathBuf::from);
        let interval = options.seconds("config_reload_interval", Duration::from_secs(60))?;
        Ok(Self {
            rates: Rates::from_options(options, &Rates::default())?,
            file_expected: named.is_some(),
            file: named.unwrap_or(default_file),
            reload_interval: (!interval.is_zero()).then_some(interval),
        })
    }

    /// Reads the extra file and returns the section's rates with the file's on top.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Read`] if there is no readable file, else what is wrong in it.
    pub fn read_file(&self) -> Result<Rates, Error> {
        let ini = Ini::load(&self.file, Dialect::SERVER)?;
        let options = ini.section(FILE_SECTION)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Missing,
                Place::file(&self.file),
                format!("there is no section [{FILE_SECTION}]"),
                format!("add [{FILE_SECTION}], or remove the file"),
            )
        })?;
        Rates::from_options(&options, &self.rates)
    }
}

/// What one look at the extra file gave.
#[derive(Debug, Clone)]
pub enum RateLimitEvent {
    /// It is not yet time to look.
    NotDue,
    /// The file is good and nothing changed.
    Unchanged,
    /// The file is good and the rates are new.
    Changed,
    /// There is no file and none was expected.
    Absent,
    /// The file is gone or broken: to be logged as a warning; the rates stay.
    Kept(Error),
}

/// Keeps the rates in force and decides when to read the extra file again.
///
/// The caller gives the time, as any clock that only goes forward.
#[derive(Debug, Clone)]
pub struct RateLimitWatch {
    conf: RateLimitConf,
    rates: Rates,
    file_expected: bool,
    last_look: Duration,
}

impl RateLimitWatch {
    /// Starts with the section's rates and looks at the file once.
    pub fn new(conf: RateLimitConf, now: Duration) -> (Self, RateLimitEvent) {
        let (rates, file_expected) = (conf.rates.clone(), conf.file_expected);
        let mut watch = Self {
            conf,
            rates,
            file_expected,
            last_look: now,
        };
        let event = watch.look_again();
        (watch, event)
    }

    /// Returns the rates in force.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Returns the file that is watched.
    pub fn file(&self) -> &Path {
        &self.conf.file
    }

    /// Reads the file again if its interval has passed.
    pub fn poll(&mut self, now: Duration) -> RateLimitEvent {
        let due = self
            .conf
            .reload_interval
            .is_some_and(|every| now.saturating_sub(self.last_look) >= every);
        if !due {
            return RateLimitEvent::NotDue;
        }
        self.last_look = now;
        self.look_again()
    }

    /// Reads the file again now, whatever the interval.
    pub fn look_again(&mut self) -> RateLimitEvent {
        match self.conf.read_file() {
            Ok(rates) => {
                self.file_expected = true;
                if rates == self.rates {
                    return RateLimitEvent::Unchanged;
                }
                self.rates = rates;
                RateLimitEvent::Changed
            }
            Err(error) if error.kind() == ErrorKind::Read && !self.conf.file.exists() => {
                match std::mem::take(&mut self.file_expected) {
                    true => RateLimitEvent::Kept(error),
                    false => RateLimitEvent::Absent,
                }
            }
            Err(error) => RateLimitEvent::Kept(error),
        }
    }
}
