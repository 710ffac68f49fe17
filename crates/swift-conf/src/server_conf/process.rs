//! Where a server listens, and how its processes behave.

use std::path::PathBuf;
use std::time::Duration;

use super::{AutoInteger, Error, Options, value};

const MAX_COUNT: i64 = u32::MAX as i64;

/// Where and how to listen.
#[derive(Debug, Clone)]
pub struct ListenConf {
    /// Address or host name.
    pub bind_ip: String,
    /// Port, never 0.
    pub bind_port: u16,
    /// How long to try while the address is in use.
    pub bind_timeout: Duration,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Seconds without traffic before the kernel probes a connection, 1 to 32766.
    pub keep_idle: u16,
    /// Certificate and key files, for tests with TLS.
    pub tls_files: Option<(PathBuf, PathBuf)>,
}

impl ListenConf {
    pub(super) fn from_options(options: &Options) -> Result<Self, Error> {
        let bind_timeout = options.integer("bind_timeout", 0..=MAX_COUNT, 30)?;
        Ok(Self {
            bind_ip: options.text("bind_ip", "0.0.0.0"),
            bind_port: read_port(options)?,
            bind_timeout: Duration::from_secs(bind_timeout.unsigned_abs()),
            backlog: count(options, "backlog", 0, 4096)?,
            keep_idle: small(options.integer("keep_idle", 1..=32766, 600)?),
            tls_files: read_tls_files(options)?,
        })
    }
}

/// How many worker processes serve requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One for each processor.
    Auto,
    /// None: the first process serves.
    Foreground,
    /// So many, at least 1.
    Count(u32),
}

/// How long a connection may stay open between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// As long as the client's time limit allows.
    ClientTimeout,
    /// Not at all: each connection is closed after its request.
    Disabled,
    /// So long.
    After(Duration),
}

/// Scheduling class for disk access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoClass {
    /// `IOPRIO_CLASS_RT`.
    RealTime,
    /// `IOPRIO_CLASS_BE`.
    BestEffort,
    /// `IOPRIO_CLASS_IDLE`.
    Idle,
}

/// Workers, user and time limits.
#[derive(Debug, Clone)]
pub struct ProcessConf {
    /// How many worker processes.
    pub workers: Workers,
    /// Requests that one worker handles at once, at least 1.
    pub max_clients: u32,
    /// How long a client may be silent; never 0.
    pub client_timeout: Duration,
    /// How long a connection may stay open between requests.
    pub keepalive_timeout: KeepAlive,
    /// The user to become.
    pub user: String,
    /// How long old workers may finish after a reload.
    pub stale_worker_timeout: Duration,
    /// Scheduling priority, -20 to 19.
    pub nice_priority: Option<i8>,
    /// Class for disk access.
    pub ionice_class: Option<IoClass>,
    /// Priority within that class, 0 to 7.
    pub ionice_priority: Option<u8>,
}

impl ProcessConf {
    pub(super) fn from_options(options: &Options) -> Result<Self, Error> {
        Ok(Self {
            workers: read_workers(options)?,
            max_clients: count(options, "max_clients", 1, 1024)?,
            client_timeout: read_client_timeout(options)?,
            keepalive_timeout: read_keepalive(options)?,
            user: options.text("user", "swift"),
            stale_worker_timeout: options
                .seconds("stale_worker_timeout", Duration::from_secs(86400))?,
            nice_priority: optional(options, "nice_priority", -20, 19)?,
            ionice_class: read_io_class(options)?,
            ionice_priority: optional(options, "ionice_priority", 0, 7)?,
        })
    }
}

fn read_port(options: &Options) -> Result<u16, Error> {
    let advice = "set it to a whole number from 1 to 65535; samples use 6202 for accounts and 6201 for containers";
    let Some(text) = options.get("bind_port") else {
        return Err(options.missing("bind_port", advice));
    };
    let port = value::integer(text).and_then(|number| u16::try_from(number).ok());
    port.filter(|port| *port != 0)
        .ok_or_else(|| options.bad_value("bind_port", advice))
}

fn read_tls_files(options: &Options) -> Result<Option<(PathBuf, PathBuf)>, Error> {
    let Some(certificate) = options.get("cert_file") else {
        return Ok(None);
    };
    let advice = "set it next to cert_file, or remove both";
    let key = options
        .get("key_file")
        .ok_or_else(|| options.missing("key_file", advice))?;
    Ok(Some((PathBuf::from(certificate), PathBuf::from(key))))
}

fn read_workers(options: &Options) -> Result<Workers, Error> {
    let Some(text) = options.get("workers") else {
        return Ok(Workers::Auto);
    };
    let parsed = match AutoInteger::parse(text) {
        Some(AutoInteger::Auto) => Some(Workers::Auto),
        Some(AutoInteger::Number(0)) => Some(Workers::Foreground),
        Some(AutoInteger::Number(number)) => u32::try_from(number).ok().map(Workers::Count),
        None => None,
    };
    parsed.ok_or_else(|| {
        options.bad_value(
            "workers",
            "give auto, 0 to serve without workers, or a number",
        )
    })
}

fn read_client_timeout(options: &Options) -> Result<Duration, Error> {
    let Some(text) = options.non_empty("client_timeout") else {
        return Ok(Duration::from_secs(60));
    };
    let time = value::seconds(text).filter(|time| !time.is_zero());
    time.ok_or_else(|| {
        options.bad_value(
            "client_timeout",
            "give seconds above 0, or leave it out for 60",
        )
    })
}

fn read_keepalive(options: &Options) -> Result<KeepAlive, Error> {
    let Some(text) = options.non_empty("keepalive_timeout") else {
        return Ok(KeepAlive::ClientTimeout);
    };
    match value::seconds(text) {
        Some(time) if time.is_zero() => Ok(KeepAlive::Disabled),
        Some(time) => Ok(KeepAlive::After(time)),
        None => Err(options.bad_value(
            "keepalive_timeout",
            "give seconds, or 0 to close after each request",
        )),
    }
}

fn read_io_class(options: &Options) -> Result<Option<IoClass>, Error> {
    match options.non_empty("ionice_class") {
        None => Ok(None),
        Some("IOPRIO_CLASS_RT") => Ok(Some(IoClass::RealTime)),
        Some("IOPRIO_CLASS_BE") => Ok(Some(IoClass::BestEffort)),
        Some("IOPRIO_CLASS_IDLE") => Ok(Some(IoClass::Idle)),
        Some(_) => {
            let advice = "use IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE";
            Err(options.bad_value("ionice_class", advice))
        }
    }
}

fn count(options: &Options, name: &str, least: i64, default: u32) -> Result<u32, Error> {
    options
        .integer(name, least..=MAX_COUNT, i64::from(default))
        .map(small)
}

/// Reads a whole number of a small range; `None` if absent or empty.
fn optional<T: TryFrom<i64> + Default>(
    options: &Options,
    name: &str,
    low: i64,
    high: i64,
) -> Result<Option<T>, Error> {
    if options.non_empty(name).is_none() {
        return Ok(None);
    }
    options
        .integer(name, low..=high, low)
        .map(|number| Some(small(number)))
}

/// Narrows a number whose range is already checked.
fn small<T: TryFrom<i64> + Default>(number: i64) -> T {
    T::try_from(number).unwrap_or_default()
}
