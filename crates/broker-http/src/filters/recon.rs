//! `recon`: what monitoring asks for, as JSON.
//!
//! Three kinds of answers: values that daemons left in cache files, facts of this machine, and
//! checksums of ring and configuration files. All of them read files, so they are made on a thread
//! for blocking work. The same filter serves all kinds of servers, hence the keys of object servers.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use super::mount::is_mounted;
use super::with_text;
use crate::SWIFT_VERSION;
use crate::body::Response;
use crate::log::write_path;

/// Largest cache file that is read.
const MAX_CACHE: u64 = 16 << 20;

/// Where recon looks.
#[derive(Debug, Clone)]
pub struct ReconOptions {
    /// Directory of the files that daemons write.
    pub recon_cache_path: PathBuf,
    /// Directory that holds the devices.
    pub devices: PathBuf,
    /// Directory of `swift.conf` and the rings.
    pub swift_dir: PathBuf,
    /// Indexes of the storage policies, for their rings.
    pub policies: Vec<u32>,
    /// Where the kernel tells about itself: `/proc`.
    pub proc: PathBuf,
}

/// Answers `/recon/...`.
#[derive(Debug, Clone)]
pub struct Recon {
    options: Arc<ReconOptions>,
}

impl Recon {
    /// Makes the filter.
    pub fn new(options: ReconOptions) -> Self {
        Self {
            options: Arc::new(options),
        }
    }

    pub(super) async fn answer(&self, path: &str) -> Option<Response> {
        let rest = path.strip_prefix("/recon/")?;
        let (check, kind) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(check) = Check::find(check, kind) else {
            let mut text = "Invalid path: ".to_owned();
            write_path(&mut text, path);
            return Some(with_text(StatusCode::NOT_FOUND, "text/plain", text));
        };
        let options = Arc::clone(&self.options);
        let content = tokio::task::spawn_blocking(move || check.run(&options)).await;
        Some(match content {
            Ok(Ok(content)) => with_text(StatusCode::OK, "application/json", content.to_string()),
            failed => {
                tracing::error!("recon cannot answer {path}: {failed:?}");
                let text = "Internal server error.";
                with_text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", text)
            }
        })
    }
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Version,
    Time,
    /// Keys of a cache file.
    Cache(&'static str, &'static [&'static str]),
    Devices,
    Mounted,
    Unmounted,
    DiskUsage,
    RingMd5,
    SwiftConfMd5,
    Quarantined,
    Load,
    Memory,
    SocketStat,
}

const REPLICATION: &[&str] = &["replication_time", "replication_stats", "replication_last"];
const ACCOUNT: &str = "account.recon";
const CONTAINER: &str = "container.recon";
const OBJECT: &str = "object.recon";

impl Check {
    fn find(check: &str, kind: &str) -> Option<Self> {
        Some(match check {
            "version" => Self::Version,
            "time" => Self::Time,
            "devices" => Self::Devices,
            "mounted" => Self::Mounted,
            "unmounted" => Self::Unmounted,
            "diskusage" => Self::DiskUsage,
            "ringmd5" => Self::RingMd5,
            "swiftconfmd5" => Self::SwiftConfMd5,
            "quarantined" => Self::Quarantined,
            "load" => Self::Load,
            "mem" => Self::Memory,
            "sockstat" => Self::SocketStat,
            _ => return Self::find_cached(check, kind),
        })
    }

    fn find_cached(check: &str, kind: &str) -> Option<Self> {
        let (file, keys): (_, &[_]) = match (check, kind) {
            ("replication", "account") => (ACCOUNT, REPLICATION),
            ("replication", "container") => (CONTAINER, REPLICATION),
            ("replication", "object" | "") => (
                OBJECT,
                &[
                    "replication_time",
                    "replication_stats",
                    "replication_last",
                    "object_replication_time",
                    "object_replication_last",
                ],
            ),
            ("auditor", "account") => (
                ACCOUNT,
                &[
                    "account_audits_passed",
                    "account_auditor_pass_completed",
                    "account_audits_since",
                    "account_audits_failed",
                ],
            ),
            ("auditor", "container") => (
                CONTAINER,
                &[
                    "container_audits_passed",
                    "container_auditor_pass_completed",
                    "container_audits_since",
                    "container_audits_failed",
                ],
            ),
            ("auditor", "object") => (
                OBJECT,
                &["object_auditor_stats_ALL", "object_auditor_stats_ZBF"],
            ),
            ("updater", "container") => (CONTAINER, &["container_updater_sweep"]),
            ("updater", "object") => (
                OBJECT,
                &[
                    "object_updater_sweep",
                    "object_updater_stats",
                    "object_updater_last",
                ],
            ),
            ("expirer", "object") => (OBJECT, &["object_expiration_pass", "expired_last_pass"]),
            ("reconstruction", "object") => (
                OBJECT,
                &["object_reconstruction_last", "object_reconstruction_time"],
            ),
            ("sharding", _) => (
                CONTAINER,
                &["sharding_stats", "sharding_time", "sharding_last"],
            ),
            ("async", _) => (OBJECT, &["async_pending", "async_pending_last"]),
            ("driveaudit", _) => ("drive.recon", &["drive_audit_errors"]),
            ("relinker", _) => ("relinker.recon", &["devices", "workers"]),
            _ => return None,
        };
        Some(Self::Cache(file, keys))
    }

    fn run(self, options: &ReconOptions) -> io::Result<Value> {
        match self {
            Self::Version => Ok(json!({ "version": SWIFT_VERSION })),
            Self::Time => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                Ok(json!(now.as_secs_f64()))
            }
            Self::Cache(file, keys) => Ok(cached(&options.recon_cache_path.join(file), keys)),
            Self::Devices => Ok(devices(&options.devices)),
            Self::Mounted => mounted(&options.proc),
            Self::Unmounted => unmounted(&options.devices),
            Self::DiskUsage => disk_usage(&options.devices),
            Self::RingMd5 => Ok(ring_md5(options)),
            Self::SwiftConfMd5 => {
                let file = options.swift_dir.join("swift.conf");
                Ok(json!({ file.to_string_lossy(): md5_of(&file) }))
            }
            Self::Quarantined => quarantined(&options.devices),
            Self::Load => load(&options.proc),
            Self::Memory => memory(&options.proc),
            Self::SocketStat => socket_stat(&options.proc),
        }
    }
}

/// Returns keys of a cache file, null where there is no value or no readable file.
fn cached(file: &Path, keys: &[&str]) -> Value {
    let mut text = String::new();
    let content = File::open(file)
        .and_then(|file| file.take(MAX_CACHE).read_to_string(&mut text))
        .and_then(|_| serde_json::from_str::<Value>(&text).map_err(io::Error::from));
    let content = content.unwrap_or_else(|error| {
        tracing::error!("cannot read recon cache file {}: {error}", file.display());
        Value::Null
    });
    let value = |key: &&str| content.get(*key).cloned().unwrap_or_default();
    keys.iter()
        .map(|key| ((*key).to_owned(), value(key)))
        .collect::<Map<_, _>>()
        .into()
}

/// Returns the names in a directory.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir(directory)?;
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

fn devices(root: &Path) -> Value {
    let list = names(root).inspect_err(|error| {
        tracing::error!("cannot list devices in {}: {error}", root.display());
    });
    json!({ root.to_string_lossy(): list.ok() })
}

/// Returns each device and whether it is mounted: true, false or an error text.
fn mount_states(root: &Path) -> io::Result<Vec<(String, Value)>> {
    let directories = names(root)?
        .into_iter()
        .filter(|name| root.join(name).is_dir());
    let state = |name: String| {
        let mounted = match is_mounted(root, &name) {
            Ok(mounted) => Value::Bool(mounted),
            Err(error) => Value::String(error.to_string()),
        };
        (name, mounted)
    };
    Ok(directories.map(state).collect())
}

fn mounted(proc: &Path) -> io::Result<Value> {
    let text = std::fs::read_to_string(proc.join("mounts"))?;
    let mounts = text.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (device, path) = (fields.next()?, fields.next()?);
        Some(json!({ "device": device, "path": path }))
    });
    Ok(mounts.collect())
}

fn unmounted(root: &Path) -> io::Result<Value> {
    let states = mount_states(root)?.into_iter();
    let failed = states.filter(|(_, mounted)| *mounted != Value::Bool(true));
    Ok(failed
        .map(|(name, mounted)| json!({ "device": name, "mounted": mounted }))
        .collect())
}

fn disk_usage(root: &Path) -> io::Result<Value> {
    let mut list = Vec::new();
    for (device, mounted) in mount_states(root)? {
        if mounted != Value::Bool(true) {
            list.push(json!({
                "device": device, "mounted": mounted, "size": "", "used": "", "avail": "",
            }));
            continue;
        }
        let disk = rustix::fs::statvfs(root.join(&device))?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_bsize);
        list.push(json!({
            "device": device,
            "mounted": true,
            "size": bytes(disk.f_blocks),
            "used": bytes(disk.f_blocks.saturating_sub(disk.f_bavail)),
            "avail": bytes(disk.f_bavail),
        }));
    }
    Ok(list.into())
}

fn ring_md5(options: &ReconOptions) -> Value {
    let policies = options.policies.iter().map(|index| match index {
        0 => "object".to_owned(),
        index => format!("object-{index}"),
    });
    let rings = ["account".to_owned(), "container".to_owned()]
        .into_iter()
        .chain(policies);
    let files = rings.map(|ring| options.swift_dir.join(format!("{ring}.ring.gz")));
    let sums = files.filter(|file| file.exists());
    sums.map(|file| (file.to_string_lossy().into_owned(), json!(md5_of(&file))))
        .collect::<Map<_, _>>()
        .into()
}

/// Returns the checksum of a file; `None` if it cannot be read.
fn md5_of(file: &Path) -> Option<String> {
    let mut digest = Md5::new();
    let copied = File::open(file).and_then(|mut file| io::copy(&mut file, &mut digest));
    if let Err(error) = copied {
        tracing::error!("cannot read {}: {error}", file.display());
        return None;
    }
    Some(
        digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

/// Counts what daemons put aside, per kind, objects also per policy.
fn quarantined(root: &Path) -> io::Result<Value> {
    let (mut objects, mut containers, mut accounts) = (0, 0, 0);
    let mut policies = Map::new();
    for device in names(root)? {
        let directory = root.join(device).join("quarantined");
        for kind in names(&directory).unwrap_or_default() {
            let count = count_directories(&directory.join(&kind));
            match kind.as_str() {
                "containers" => containers += count,
                "accounts" => accounts += count,
                _ if count > 0 && kind.starts_with("objects") => {
                    objects += count;
                    let policy = kind.split_once('-').map_or("0", |(_, index)| index);
                    let entry = policies.entry(policy).or_insert(json!({ "objects": 0 }));
                    let before = entry["objects"].as_u64().unwrap_or_default();
                    entry["objects"] = json!(before + count);
                }
                _ => {}
            }
        }
    }
    Ok(json!({
        "objects": objects, "containers": containers, "accounts": accounts, "policies": policies,
    }))
}

/// Returns how many directories a directory holds. Most file systems know from its links.
fn count_directories(directory: &Path) -> u64 {
    let links = std::fs::symlink_metadata(directory).map_or(2, |it| it.nlink());
    if links >= 2 {
        return links - 2;
    }
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .fold(0, |n, _| n + 1)
}

fn unexpected(file: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("/proc/{file} has an unexpected form"),
    )
}

fn load(proc: &Path) -> io::Result<Value> {
    let text = std::fs::read_to_string(proc.join("loadavg"))?;
    let fields: Vec<_> = text.split_whitespace().collect();
    let [one, five, fifteen, tasks, processes] = fields[..] else {
        return Err(unexpected("loadavg"));
    };
    let float = |text: &str| text.parse::<f64>().map_err(|_| unexpected("loadavg"));
    let processes = processes
        .parse::<u64>()
        .map_err(|_| unexpected("loadavg"))?;
    Ok(json!({
        "1m": float(one)?,
        "5m": float(five)?,
        "15m": float(fifteen)?,
        "tasks": tasks,
        "processes": processes,
    }))
}

fn memory(proc: &Path) -> io::Result<Value> {
    let text = std::fs::read_to_string(proc.join("meminfo"))?;
    let entries = text.lines().filter_map(|line| line.split_once(':'));
    let entries = entries.map(|(name, value)| (name.to_owned(), json!(value.trim())));
    Ok(entries.collect::<Map<_, _>>().into())
}

fn socket_stat(proc: &Path) -> io::Result<Value> {
    let read = |name: &str| match std::fs::read_to_string(proc.join("net").join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        result => result,
    };
    let mut stat = Map::new();
    let (v4, v6) = (read("sockstat")?, read("sockstat6")?);
    for line in v4.lines().filter(|line| line.starts_with("TCP: inuse")) {
        let number = |at| {
            line.split(' ')
                .nth(at)
                .and_then(|text| text.parse::<u64>().ok())
        };
        let number = |at| number(at).ok_or_else(|| unexpected("net/sockstat"));
        stat.insert("tcp_in_use".to_owned(), number(2)?.into());
        stat.insert("orphan".to_owned(), number(4)?.into());
        stat.insert("time_wait".to_owned(), number(6)?.into());
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        let bytes = number(10)?.saturating_mul(page);
        stat.insert("tcp_mem_allocated_bytes".to_owned(), bytes.into());
    }
    for line in v6.lines().filter(|line| line.starts_with("TCP6: inuse")) {
        let number = line
            .split(' ')
            .nth(2)
            .and_then(|text| text.parse::<u64>().ok());
        let number = number.ok_or_else(|| unexpected("net/sockstat6"))?;
        stat.insert("tcp6_in_use".to_owned(), number.into());
    }
    Ok(stat.into())
}

#[cfg(test)]
mod tests;
