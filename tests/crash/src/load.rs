//! Many connections that write rows until the server is gone.

use crate::draw::Draw;
use raw_http::{Connection, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a name may hold after what was acknowledged and what was left without an answer: sizes, or
/// nothing.
pub type Expected = BTreeMap<String, BTreeSet<Option<u64>>>;

/// The load of all rounds, and what it has left.
#[derive(Debug)]
pub struct Load {
    writers: u32,
    clock: AtomicU64,
    draw: Draw,
    /// What the container must hold.
    pub expected: Expected,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
}

impl Load {
    /// No rows yet.
    pub fn new(writers: u32, draw: Draw) -> Self {
        Self {
            writers,
            clock: AtomicU64::new(170_000_000_000_000),
            draw,
            expected: Expected::new(),
            acknowledged: 0,
        }
    }

    /// Makes the container that is written to.
    ///
    /// # Errors
    /// When the server does not.
    pub fn create_container(address: SocketAddr) -> Result<(), String> {
        create_container(address)
    }

    /// Writes over all connections for a moment, and remembers nothing.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn write_for_a_while(&mut self, server: &Server) -> Result<(), String> {
        let (address, clock, draw) = (server.address, &self.clock, &mut self.draw);
        let mut connection =
            Connection::open(address, Duration::from_secs(10)).map_err(|e| e.to_string())?;
        for number in 0..200 {
            let raw = clock.fetch_add(1, Ordering::Relaxed);
            let size = Some(draw.below(1000));
            send(&mut connection, &format!("while/{number}"), size, raw)?;
        }
        Ok(())
    }

    /// Writes over all connections, kills the server after a random moment, and remembers what it said.
    ///
    /// # Errors
    /// When the server cannot be killed.
    pub fn write_until_killed(&mut self, server: &mut Server) -> Result<(), String> {
        let pause = Duration::from_millis(self.draw.below(200) + 5);
        let address = server.address;
        let seeds: Vec<u64> = (0..self.writers).map(|_| self.draw.next() | 1).collect();
        let clock = &self.clock;
        let seen: Vec<Seen> = std::thread::scope(|scope| {
            let writers: Vec<_> = seeds
                .iter()
                .enumerate()
                .map(|(number, seed)| {
                    scope.spawn(move || write(address, number, clock, Draw::new(*seed)))
                })
                .collect();
            std::thread::sleep(pause);
            let killed = server.kill();
            let seen = writers.into_iter().map(|w| w.join().unwrap_or_default());
            let seen: Vec<Seen> = seen.collect();
            killed.map(|()| seen).map_err(|e| e.to_string())
        })?;
        self.acknowledged += seen.iter().map(|seen| seen.acknowledged).sum::<u64>();
        for (name, value, known) in seen.into_iter().flat_map(|seen| seen.writes) {
            let may = self
                .expected
                .entry(name)
                .or_insert_with(|| BTreeSet::from([None]));
            if known {
                may.clear();
            }
            may.insert(value);
        }
        Ok(())
    }
}

fn create_container(address: SocketAddr) -> Result<(), String> {
    let made = raw_http::once(
        address,
        "PUT",
        "/sda1/1/a/c",
        &[("X-Timestamp", "1600000000")],
    );
    match made.map_err(|e| e.to_string())?.status {
        201 | 202 => Ok(()),
        status => Err(format!("the container was answered {status}")),
    }
}

/// What one writer saw in a round.
#[derive(Debug, Default)]
struct Seen {
    acknowledged: u64,
    /// In the order of the requests: name, size or deletion, whether it was acknowledged.
    writes: Vec<(String, Option<u64>, bool)>,
}

/// Writes rows of this writer's own names until the server is gone.
fn write(address: SocketAddr, number: usize, clock: &AtomicU64, mut draw: Draw) -> Seen {
    let mut seen = Seen::default();
    let Ok(mut connection) = Connection::open(address, Duration::from_secs(10)) else {
        return seen;
    };
    loop {
        let name = format!("writer {number:02}/{:04}", draw.below(2000));
        let size = (draw.below(5) > 0).then(|| draw.below(1_000_000));
        let raw = clock.fetch_add(1, Ordering::Relaxed);
        let answer = send(&mut connection, &name, size, raw);
        let known = answer.is_ok();
        seen.writes.push((name, size, known));
        seen.acknowledged += u64::from(known);
        if !known {
            return seen;
        }
    }
}

fn send(
    connection: &mut Connection,
    name: &str,
    size: Option<u64>,
    raw: u64,
) -> Result<(), String> {
    let target = format!("/sda1/1/a/c/{}", name.replace(' ', "%20"));
    let stamp = format!("{}.{:05}", raw / 100_000, raw % 100_000);
    let size_text = size.unwrap_or_default().to_string();
    let etag = format!("etag-{size_text}");
    let headers = [
        ("X-Timestamp", stamp.as_str()),
        ("X-Size", &size_text),
        ("X-Content-Type", "text/plain"),
        ("X-Etag", &etag),
    ];
    let (method, headers) = match size {
        Some(_) => ("PUT", &headers[..]),
        None => ("DELETE", &headers[..1]),
    };
    let answer = connection
        .request(method, &target, headers, b"")
        .map_err(|e| e.to_string())?;
    match answer.status {
        201 | 204 => Ok(()),
        status => Err(format!("{method} was answered {status}")),
    }
}
