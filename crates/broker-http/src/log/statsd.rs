//! Metrics for a statsd server, one datagram each.

use std::cell::Cell;
use std::fmt::Write;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use swift_conf::server_conf::StatsdConf;

use super::sink::connect_udp;
use super::spool::{Drain, Spool};

/// Datagrams that may wait to be sent.
const ROOM: usize = 16384;
/// How long a name is taken to mean the same address, and a failure to last.
const RESOLVE_EVERY: Duration = Duration::from_secs(60);

/// Where metrics go and how many of them.
#[derive(Debug, Clone)]
pub struct StatsdOptions {
    /// Host name or address.
    pub host: String,
    /// UDP port.
    pub port: u16,
    /// Put before each metric's name, with its dots.
    pub prefix: String,
    /// Part of the events that is sent unless an event has its own.
    pub default_sample_rate: f64,
    /// Factor on every sample rate.
    pub sample_rate_factor: f64,
}

impl StatsdOptions {
    /// Takes a server's options; `log_name` is part of each metric's name.
    pub fn from_conf(conf: &StatsdConf, log_name: &str) -> Self {
        let parts = [conf.metric_prefix.as_str(), log_name];
        let prefix = parts.iter().filter(|part| !part.is_empty());
        Self {
            host: conf.host.clone(),
            port: conf.port,
            prefix: prefix.map(|part| format!("{part}.")).collect(),
            default_sample_rate: conf.default_sample_rate,
            sample_rate_factor: conf.sample_rate_factor,
        }
    }
}

/// Sends metrics, or nothing if it is [`Statsd::off`]; clones send to the same place.
#[derive(Debug, Clone, Default)]
pub struct Statsd {
    sender: Option<Sender>,
}

#[derive(Debug, Clone)]
struct Sender {
    spool: Spool<String>,
    prefix: String,
    default_sample_rate: f64,
    sample_rate_factor: f64,
}

impl Statsd {
    /// Returns one that sends nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Starts a thread that sends metrics.
    ///
    /// # Errors
    ///
    /// The thread cannot be started. A host that cannot be reached is no error.
    pub fn start(options: StatsdOptions) -> io::Result<Self> {
        let StatsdOptions {
            host,
            port,
            prefix,
            default_sample_rate,
            sample_rate_factor,
        } = options;
        let spool = Spool::start(
            "statsd",
            ROOM,
            Writer {
                host,
                port,
                socket: None,
                looked: None,
            },
        )?;
        let sender = Sender {
            spool,
            prefix,
            default_sample_rate,
            sample_rate_factor,
        };
        Ok(Self {
            sender: Some(sender),
        })
    }

    /// Counts an event.
    pub fn increment(&self, metric: &str) {
        if let Some(sender) = &self.sender {
            sender.send(&[metric], "1|c", None);
        }
    }

    /// Tells how long something took. The metric's name may come in parts; `sample_rate` of `None`
    /// means the configured one.
    pub fn timing(&self, metric: &[&str], took: Duration, sample_rate: Option<f64>) {
        if let Some(sender) = &self.sender {
            let ms = (took.as_secs_f64() * 1e7).round() / 1e4;
            sender.send(metric, &format!("{ms:?}|ms"), sample_rate);
        }
    }

    /// Waits until all metrics so far are sent, at most `limit`.
    pub fn flush(&self, limit: Duration) {
        if let Some(sender) = &self.sender {
            sender.spool.flush(limit);
        }
    }
}

impl Sender {
    fn send(&self, metric: &[&str], value: &str, sample_rate: Option<f64>) {
        let rate = sample_rate.unwrap_or(self.default_sample_rate) * self.sample_rate_factor;
        if rate < 1.0 && random() >= rate {
            return;
        }
        let mut datagram = String::with_capacity(self.prefix.len() + value.len() + 40);
        datagram.push_str(&self.prefix);
        datagram.extend(metric.iter().copied());
        datagram.push(':');
        datagram.push_str(value);
        if rate < 1.0 {
            // Writing to a string does not fail.
            let _ = write!(datagram, "|@{rate:?}");
        }
        self.spool.put(datagram);
    }
}

/// Returns a number from 0 to below 1, good enough for sampling.
fn random() -> f64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish() | 1);
    }
    let mut state = STATE.get();
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    STATE.set(state);
    // 53 bits are what a float holds.
    (state >> 11) as f64 / (1u64 << 53) as f64
}

/// The sending side, in its own thread.
struct Writer {
    host: String,
    port: u16,
    socket: Option<UdpSocket>,
    looked: Option<Instant>,
}

impl Drain<String> for Writer {
    fn write(&mut self, datagrams: &[String], _dropped: u64) {
        if self
            .looked
            .is_none_or(|looked| looked.elapsed() > RESOLVE_EVERY)
        {
            self.looked = Some(Instant::now());
            self.socket = connect_udp(&self.host, self.port).ok();
        }
        if let Some(socket) = &self.socket {
            for datagram in datagrams {
                // Metrics may be lost; a refused datagram says something about an earlier one.
                let _ = socket.send(datagram.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(receiver: &UdpSocket) -> String {
        let mut buffer = [0; 200];
        let count = receiver.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }

    /// Dashboards made for Swift show our metrics.
    #[test]
    fn datagrams_are_swifts() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let conf = StatsdConf {
            host: "127.0.0.1".to_owned(),
            port: receiver.local_addr().unwrap().port(),
            default_sample_rate: 1.0,
            sample_rate_factor: 1.0,
            metric_prefix: "east".to_owned(),
        };
        let statsd = Statsd::start(StatsdOptions::from_conf(&conf, "account-server")).unwrap();
        statsd.increment("backend.ratelimit");
        assert_eq!(
            receive(&receiver),
            "east.account-server.backend.ratelimit:1|c"
        );
        statsd.timing(&["GET", ".timing"], Duration::from_nanos(1_234_567), None);
        assert_eq!(
            receive(&receiver),
            "east.account-server.GET.timing:1.2346|ms"
        );
        for _ in 0..1000 {
            statsd.timing(&["HEAD.timing"], Duration::from_millis(2), Some(0.1));
        }
        assert_eq!(
            receive(&receiver),
            "east.account-server.HEAD.timing:2.0|ms|@0.1"
        );
    }

    /// A sample is neither empty nor everything.
    #[test]
    fn sampling_is_about_right() {
        let hits = (0..10_000).filter(|_| random() < 0.1).count();
        assert!((700..1300).contains(&hits), "{hits}");
    }
}
