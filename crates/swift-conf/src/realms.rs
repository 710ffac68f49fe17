//! Realms of container sync, from `container-sync-realms.conf`.
//!
//! ```ini
//! [DEFAULT]
//! mtime_check_interval = 300
//! [realm1]
//! key = secret
//! cluster_name1 = https://host1/v1/
//! ```
//!
//! Realm and cluster names match in any case. Options of `[DEFAULT]` count for every realm.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, ErrorKind};
use crate::ini::{DEFAULT, Dialect, Ini};
use crate::value;

/// Name of the realms file below `swift_dir`.
pub const FILE_NAME: &str = "container-sync-realms.conf";

const INTERVAL: &str = "mtime_check_interval";
const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);

/// One realm: its keys and clusters.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Realm {
    /// The key that signs; a realm without one takes part in nothing.
    pub key: Option<String>,
    /// A second key that is accepted while keys change.
    pub key2: Option<String>,
    /// Endpoints by upper-case cluster name.
    pub clusters: BTreeMap<String, String>,
}

/// Shows no keys.
impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Realm")
            .field("clusters", &self.clusters)
            .finish_non_exhaustive()
    }
}

/// All realms, by upper-case name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Realms {
    realms: BTreeMap<String, Realm>,
}

impl Realms {
    /// Makes realms in code; names are made upper case.
    pub fn new(realms: impl IntoIterator<Item = (String, Realm)>) -> Self {
        let upper = |(name, realm): (String, Realm)| (name.to_uppercase(), realm);
        Self {
            realms: realms.into_iter().map(upper).collect(),
        }
    }

    /// Parses the text of a realms file; of two realms that differ in case only, the last counts.
    ///
    /// # Errors
    ///
    /// As [`Ini::parse`] and [`Ini::section`].
    pub fn parse(bytes: &[u8], source: &Path) -> Result<Self, Error> {
        Self::from_ini(&Ini::parse(bytes, source, Dialect::REALMS)?)
    }

    /// Returns a realm by name in any case.
    pub fn realm(&self, name: &str) -> Option<&Realm> {
        self.realms.get(&name.to_uppercase())
    }

    /// Returns a realm's key.
    pub fn key(&self, realm: &str) -> Option<&str> {
        self.realm(realm)?.key.as_deref()
    }

    /// Returns a realm's second key.
    pub fn key2(&self, realm: &str) -> Option<&str> {
        self.realm(realm)?.key2.as_deref()
    }

    /// Returns the endpoint of a cluster, as written.
    pub fn endpoint(&self, realm: &str, cluster: &str) -> Option<&str> {
        self.realm(realm)?
            .clusters
            .get(&cluster.to_uppercase())
            .map(String::as_str)
    }

    /// Visits the realms in the order of their upper-case names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Realm)> {
        self.realms
            .iter()
            .map(|(name, realm)| (name.as_str(), realm))
    }

    fn from_ini(ini: &Ini) -> Result<Self, Error> {
        let mut realms = BTreeMap::new();
        for section in ini.sections() {
            let Some(options) = ini.section(section)? else {
                continue;
            };
            let mut realm = Realm::default();
            for (name, text) in options.iter() {
                match name {
                    "key" => realm.key = Some(text.to_owned()),
                    "key2" => realm.key2 = Some(text.to_owned()),
                    _ => {
                        if let Some(cluster) = name.strip_prefix("cluster_") {
                            realm
                                .clusters
                                .insert(cluster.to_uppercase(), text.to_owned());
                        }
                    }
                }
            }
            realms.insert(section.to_uppercase(), realm);
        }
        Ok(Self { realms })
    }
}

/// What one look at the realms file gave.
#[derive(Debug, Clone)]
pub enum RealmsEvent {
    /// It is not yet time to look, or the file has not changed.
    Unchanged,
    /// The realms are new; an error means that the check interval was bad and stays as it was.
    Loaded(Option<Error>),
    /// There is no file: to be logged for debugging; the realms stay.
    Absent,
    /// The file cannot be read or is broken: to be logged as an error; the realms stay.
    Kept(Error),
}

/// Keeps the realms and reads the file again when its modification time changes.
///
/// The caller gives the time, as any clock that only goes forward.
#[derive(Debug, Clone)]
pub struct RealmsFile {
    path: PathBuf,
    realms: Realms,
    interval: Duration,
    next_look: Duration,
    modified: Option<SystemTime>,
}

impl RealmsFile {
    /// Starts with a first look at the file.
    pub fn new(path: &Path, now: Duration) -> (Self, RealmsEvent) {
        let mut file = Self {
            path: path.to_path_buf(),
            realms: Realms::default(),
            interval: DEFAULT_INTERVAL,
            next_look: Duration::ZERO,
            modified: None,
        };
        let event = file.poll(now);
        (file, event)
    }

    /// Returns the realms in force.
    pub fn realms(&self) -> &Realms {
        &self.realms
    }

    /// Returns how long a look at the file is good for.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Looks at the file if the interval has passed, and reads it if it changed.
    pub fn poll(&mut self, now: Duration) -> RealmsEvent {
        if now < self.next_look {
            return RealmsEvent::Unchanged;
        }
        let event = self.look();
        self.next_look = now.saturating_add(self.interval);
        event
    }

    fn look(&mut self) -> RealmsEvent {
        let modified = match fs::metadata(&self.path).and_then(|meta| meta.modified()) {
            Ok(modified) => modified,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return RealmsEvent::Absent,
            Err(error) => return RealmsEvent::Kept(Error::unreadable(&self.path, &error)),
        };
        if self.modified == Some(modified) {
            return RealmsEvent::Unchanged;
        }
        self.modified = Some(modified);
        match self.read() {
            Ok(complaint) => RealmsEvent::Loaded(complaint),
            Err(error) => RealmsEvent::Kept(error),
        }
    }

    fn read(&mut self) -> Result<Option<Error>, Error> {
        let ini = Ini::load(&self.path, Dialect::REALMS)?;
        let realms = Realms::from_ini(&ini)?;
        let complaint = match self.read_interval(&ini) {
            Ok(()) => None,
            Err(error) if error.kind() == ErrorKind::Value => Some(error),
            Err(error) => return Err(error),
        };
        self.realms = realms;
        Ok(complaint)
    }

    fn read_interval(&mut self, ini: &Ini) -> Result<(), Error> {
        let Some(defaults) = ini.section(DEFAULT)? else {
            return Ok(());
        };
        let Some(text) = defaults.get(INTERVAL) else {
            self.interval = DEFAULT_INTERVAL;
            return Ok(());
        };
        let advice = "give seconds from 0, or leave it out for 300";
        let number = value::float(text).ok_or_else(|| defaults.bad_value(INTERVAL, advice))?;
        self.interval = Duration::try_from_secs_f64(number.max(0.0)).unwrap_or(Duration::MAX);
        Ok(())
    }
}
