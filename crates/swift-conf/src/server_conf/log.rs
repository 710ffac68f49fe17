//! The log and the metrics of a server.

use std::path::PathBuf;

use super::{Error, Options, value};

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// A local socket, or UDP port 514 of this host if it is none.
    Socket(PathBuf),
    /// A syslog server.
    Udp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
}

/// The log of a server.
#[derive(Debug, Clone)]
pub struct LogConf {
    /// Name in each line, and of the metrics.
    pub name: String,
    /// Least level that is logged, in upper case, such as `INFO`.
    pub level: String,
    /// Syslog facility number; names that are not known mean `LOG_LOCAL0`.
    pub facility: u8,
    /// Where lines go.
    pub target: LogTarget,
    /// Longer lines are cut in the middle; 0 means never.
    pub max_line_length: u64,
    /// Each request is logged.
    pub requests: bool,
    /// Template of request lines; `None` for Swift's own.
    pub format: Option<String>,
    /// How clients' addresses and names are hidden where the template asks for it.
    pub anonymization_method: String,
    /// Salt of that.
    pub anonymization_salt: String,
}

impl LogConf {
    pub(super) fn from_options(
        server: &Options,
        app: &Options,
        name: String,
    ) -> Result<Self, Error> {
        let longest = server.integer("log_max_line_length", i64::MIN..=i64::MAX, 0)?;
        Ok(Self {
            name,
            level: read_level(server.get("log_level").unwrap_or("INFO")),
            facility: read_facility(server.get("log_facility").unwrap_or("LOG_LOCAL0")),
            target: read_target(server)?,
            max_line_length: u64::try_from(longest).unwrap_or(0),
            requests: app.flag("log_requests", true),
            format: app.get("log_format").map(str::to_owned),
            anonymization_method: app.text("log_anonymization_method", "md5"),
            anonymization_salt: app.text("log_anonymization_salt", ""),
        })
    }
}

/// Where metrics go.
#[derive(Debug, Clone)]
pub struct StatsdConf {
    /// Host name or address.
    pub host: String,
    /// UDP port.
    pub port: u16,
    /// Part of all events that is sent, 1.0 for all.
    pub default_sample_rate: f64,
    /// Factor on every sample rate.
    pub sample_rate_factor: f64,
    /// Put before every metric's name.
    pub metric_prefix: String,
}

impl StatsdConf {
    pub(super) fn from_options(options: &Options) -> Result<Option<Self>, Error> {
        let conf = Self {
            host: options.text("log_statsd_host", ""),
            port: read_port(options, "log_statsd_port", 8125)?,
            default_sample_rate: options.non_negative("log_statsd_default_sample_rate", 1.0)?,
            sample_rate_factor: options.non_negative("log_statsd_sample_rate_factor", 1.0)?,
            metric_prefix: options.text("log_statsd_metric_prefix", ""),
        };
        Ok((!conf.host.is_empty()).then_some(conf))
    }
}

/// Returns a level in upper case; one that Swift does not know means `INFO`.
fn read_level(text: &str) -> String {
    let level = text.to_uppercase();
    let known = [
        "DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL", "NOTSET",
    ];
    if known.contains(&level.as_str()) {
        level
    } else {
        "INFO".to_owned()
    }
}

fn read_facility(name: &str) -> u8 {
    let names = [
        "KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON",
        "AUTHPRIV", "FTP", "NTP", "SECURITY", "CONSOLE", "SOLCRON", "LOCAL0", "LOCAL1", "LOCAL2",
        "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6", "LOCAL7",
    ];
    let wanted = name.strip_prefix("LOG_");
    let found = (0u8..).zip(names).find(|(_, known)| wanted == Some(known));
    found.map_or(16, |(number, _)| number)
}

fn read_target(options: &Options) -> Result<LogTarget, Error> {
    match options.non_empty("log_udp_host") {
        None => Ok(LogTarget::Socket(options.path("log_address", "/dev/log"))),
        Some(host) => {
            let port = read_port(options, "log_udp_port", 514)?;
            Ok(LogTarget::Udp {
                host: host.to_owned(),
                port,
            })
        }
    }
}

fn read_port(options: &Options, name: &str, default: u16) -> Result<u16, Error> {
    let Some(text) = options.get(name) else {
        return Ok(default);
    };
    let port = value::integer(text).and_then(|number| u16::try_from(number).ok());
    port.ok_or_else(|| {
        options.bad_value(
            name,
            &format!("give a port number, or leave it out for {default}"),
        )
    })
}
