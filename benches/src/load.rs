//! Connections that send one request after the other, and what they saw.

use raw_http::Connection;
use serde_json::{Value, json};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Rate and latencies of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Finished requests, or pairs of requests, a second.
    pub(crate) rate: f64,
    /// Median latency in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99th percentile in milliseconds.
    pub(crate) p99_ms: f64,
}

impl Figures {
    /// The medians of several runs, figure by figure.
    pub(crate) fn median(runs: &[Figures]) -> Figures {
        let of = |figure: fn(&Figures) -> f64| median(&runs.iter().map(figure).collect::<Vec<_>>());
        Figures {
            rate: of(|f| f.rate),
            p50_ms: of(|f| f.p50_ms),
            p99_ms: of(|f| f.p99_ms),
        }
    }

    pub(crate) fn as_json(&self) -> Value {
        json!({"per_second": self.rate, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms})
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} {:.2} {:.2}", self.rate, self.p50_ms, self.p99_ms)
    }
}

/// The middle value; of an even number, the lower of the two.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

/// Sends requests over `connections` for `length`. `request` is told which connection and which
/// of its requests this is, and fails on any answer but the right one.
pub(crate) fn drive(
    address: SocketAddr,
    connections: usize,
    length: Duration,
    request: impl Fn(&mut Connection, usize, u64) -> io::Result<()> + Sync,
) -> io::Result<Figures> {
    let started = Instant::now();
    let runs: Vec<io::Result<Vec<Duration>>> = std::thread::scope(|scope| {
        let request = &request;
        let one = |number| {
            scope.spawn(move || {
                let mut connection = Connection::open(address, Duration::from_secs(60))?;
                let mut latencies = Vec::new();
                while started.elapsed() < length {
                    let sent = Instant::now();
                    request(&mut connection, number, latencies.len() as u64)?;
                    latencies.push(sent.elapsed());
                }
                Ok(latencies)
            })
        };
        let threads: Vec<_> = (0..connections).map(one).collect();
        threads
            .into_iter()
            .map(|t| {
                t.join()
                    .unwrap_or_else(|_| Err(io::Error::other("a connection panicked")))
            })
            .collect()
    });
    let took = started.elapsed().as_secs_f64();
    let mut latencies = Vec::new();
    for run in runs {
        latencies.extend(run?);
    }
    latencies.sort();
    let at = |part: f64| {
        let index = (latencies.len() as f64 * part) as usize;
        latencies.get(index.min(latencies.len().saturating_sub(1)))
    };
    let ms = |latency: Option<&Duration>| latency.map_or(f64::NAN, |l| l.as_secs_f64() * 1e3);
    Ok(Figures {
        rate: latencies.len() as f64 / took,
        p50_ms: ms(at(0.5)),
        p99_ms: ms(at(0.99)),
    })
}
