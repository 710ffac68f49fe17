//! Kills a container server again and again and looks for rows that it acknowledged.
//!
//! ```text
//! round n   start ─► 32 writers: PUT, overwrite, DELETE … ─► kill -9 ─► start ─► GET everything
//!                    each remembers what was acknowledged              compare, count
//! ```
//!
//! A request without an answer may or may not have happened; both are accepted for its name, and
//! nothing else is.

use clap::Parser;
use raw_http::{Connection, Server, free_address};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Kills a container server while rows are written, and checks that none is lost.
#[derive(Debug, Parser)]
struct Args {
    /// The apus binary [default: the one beside this program].
    #[arg(long)]
    apus: Option<PathBuf>,
    /// How often to kill.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Connections that write.
    #[arg(long, default_value_t = 32)]
    writers: u32,
    /// Engine under test.
    #[arg(long, default_value = "sqlite")]
    engine: String,
    /// What an acknowledged row is to survive.
    #[arg(long, default_value = "process", value_parser = ["process", "disk"])]
    durability: String,
    /// Seed of the moments and of what is written.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What a name may hold after what was acknowledged and what was left without an answer.
type Expected = BTreeMap<String, BTreeSet<Option<u64>>>;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(rows) => {
            println!(
                "{} rounds on {} at {}: {rows} acknowledged writes, none lost (seed {})",
                args.rounds, args.engine, args.durability, args.seed
            );
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("broker-crash: {problem} (seed {})", args.seed);
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<u64, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let outcome = rounds(args, folder.path());
    if outcome.is_err() {
        eprintln!("the files are kept in {}", folder.keep().display());
    }
    outcome
}

fn rounds(args: &Args, folder: &Path) -> Result<u64, String> {
    let address = free_address().map_err(|e| e.to_string())?;
    let conf = write_conf(args, folder, address).map_err(|e| e.to_string())?;
    let apus = args.apus.clone().unwrap_or_else(beside_this_program);
    let start = || {
        let mut command = Command::new(&apus);
        command
            .arg("container-server")
            .arg(&conf)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Server::start(&mut command, address).map_err(|e| format!("{}: {e}", apus.display()))
    };
    let clock = AtomicU64::new(170_000_000_000_000);
    let mut expected = Expected::new();
    let mut acknowledged = 0;
    let mut draw = Draw(args.seed.max(1));
    let bar = indicatif::ProgressBar::new(u64::from(args.rounds));
    for round in 0..args.rounds {
        let mut server = start()?;
        if round == 0 {
            create_container(address)?;
        }
        let pause = Duration::from_millis(draw.below(200) + 5);
        acknowledged +=
            write_until_killed(args, &mut server, &clock, &mut draw, pause, &mut expected)?;
        let server = start()?;
        check(address, &mut expected).map_err(|e| format!("round {round}: {e}"))?;
        drop(server);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(acknowledged)
}

fn beside_this_program() -> PathBuf {
    std::env::current_exe()
        .unwrap_or_default()
        .with_file_name("apus")
}

fn write_conf(args: &Args, folder: &Path, address: SocketAddr) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(folder.join("devices/sda1"))?;
    std::fs::write(
        folder.join("swift.conf"),
        "[swift-hash]\nswift_hash_path_suffix = crash\n",
    )?;
    let conf = folder.join("container-server.conf");
    let text = format!(
        "[DEFAULT]\nbind_ip = {}\nbind_port = {}\nswift_dir = {dir}\ndevices = {dir}/devices\n\
         mount_check = false\nlog_level = ERROR\nuser = {user}\n\
         [pipeline:main]\npipeline = healthcheck container-server\n\
         [filter:healthcheck]\nuse = egg:swift#healthcheck\n\
         [app:container-server]\nuse = egg:swift#container\nengine = {engine}\n\
         [engine:{engine}]\ndurability = {durability}\n",
        address.ip(),
        address.port(),
        user = raw_http::user_name()?,
        dir = folder.display(),
        engine = args.engine,
        durability = args.durability,
    );
    std::fs::write(&conf, text)?;
    Ok(conf)
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
struct Seen {
    acknowledged: u64,
    /// In the order of the requests: name, size or deletion, whether it was acknowledged.
    writes: Vec<(String, Option<u64>, bool)>,
}

fn write_until_killed(
    args: &Args,
    server: &mut Server,
    clock: &AtomicU64,
    draw: &mut Draw,
    pause: Duration,
    expected: &mut Expected,
) -> Result<u64, String> {
    let address = server.address;
    let seeds: Vec<u64> = (0..args.writers).map(|_| draw.next() | 1).collect();
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let writers: Vec<_> = seeds
            .iter()
            .enumerate()
            .map(|(number, seed)| scope.spawn(move || write(address, number, clock, Draw(*seed))))
            .collect();
        std::thread::sleep(pause);
        let killed = server.kill();
        let seen = writers.into_iter().map(|w| {
            w.join().unwrap_or(Seen {
                acknowledged: 0,
                writes: vec![],
            })
        });
        let seen: Vec<Seen> = seen.collect();
        killed.map(|()| seen).map_err(|e| e.to_string())
    })?;
    let acknowledged = seen.iter().map(|seen| seen.acknowledged).sum();
    for (name, value, known) in seen.into_iter().flat_map(|seen| seen.writes) {
        let may = expected
            .entry(name)
            .or_insert_with(|| BTreeSet::from([None]));
        if known {
            may.clear();
        }
        may.insert(value);
    }
    Ok(acknowledged)
}

/// Writes rows of this writer's own names until the server is gone.
fn write(address: SocketAddr, number: usize, clock: &AtomicU64, mut draw: Draw) -> Seen {
    let mut seen = Seen {
        acknowledged: 0,
        writes: Vec::new(),
    };
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

/// Compares the server's listing with what is expected, and settles what was left open.
fn check(address: SocketAddr, expected: &mut Expected) -> Result<(), String> {
    let mut connection =
        Connection::open(address, Duration::from_secs(60)).map_err(|e| e.to_string())?;
    let mut listed = BTreeMap::new();
    let mut bytes = 0;
    let mut marker = String::new();
    loop {
        let target = format!(
            "/sda1/1/a/c?format=json&marker={}",
            marker.replace(' ', "%20")
        );
        let page = connection
            .request("GET", &target, &[], b"")
            .map_err(|e| e.to_string())?;
        let page: Vec<Value> = serde_json::from_slice(&page.body).map_err(|e| e.to_string())?;
        let Some(last) = page.last() else { break };
        marker = last["name"].as_str().unwrap_or_default().to_owned();
        for row in &page {
            let size = row["bytes"].as_u64().unwrap_or(u64::MAX);
            if row["hash"] != format!("etag-{size}") {
                return Err(format!("a row is half applied: {row}"));
            }
            bytes += size;
            listed.insert(row["name"].as_str().unwrap_or_default().to_owned(), size);
        }
    }
    for (name, may) in expected.iter_mut() {
        let found = listed.get(name).copied();
        if !may.contains(&found) {
            return Err(format!(
                "{name:?} is {found:?} but may only be one of {may:?}"
            ));
        }
        *may = BTreeSet::from([found]);
    }
    if let Some(name) = listed.keys().find(|name| !expected.contains_key(*name)) {
        return Err(format!("{name:?} was never written"));
    }
    let head = connection
        .request("HEAD", "/sda1/1/a/c", &[], b"")
        .map_err(|e| e.to_string())?;
    let count = |name: &str| head.header(name).and_then(|n| n.parse::<u64>().ok());
    let counted = (
        count("X-Container-Object-Count"),
        count("X-Container-Bytes-Used"),
    );
    if counted != (Some(listed.len() as u64), Some(bytes)) {
        return Err(format!(
            "{} rows of {bytes} bytes are counted as {counted:?}",
            listed.len()
        ));
    }
    Ok(())
}

/// A small generator of pseudo-random numbers (xorshift), so that a seed repeats a run's choices.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
