//! Starts the competitors on files of their own.

use crate::bare::Bare;
use broker_bench::memory;
use raw_http::{Server, free_address};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Which of the two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Account,
    Container,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Account => "account",
            Kind::Container => "container",
        }
    }
}

/// Whose server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Python Swift.
    Stock,
    /// Ours, on an engine with a durability.
    Apus { engine: String, disk: bool },
    /// The limit.
    Bare,
}

impl Subject {
    pub(crate) fn name(&self) -> String {
        match self {
            Subject::Stock => "stock".to_owned(),
            Subject::Apus {
                engine,
                disk: false,
            } => engine.clone(),
            Subject::Apus { engine, disk: true } => format!("{engine} disk"),
            Subject::Bare => "bare".to_owned(),
        }
    }

    /// Whether what it acknowledges survives a loss of power.
    pub(crate) fn is_disk(&self) -> bool {
        matches!(self, Subject::Apus { disk: true, .. })
    }

    fn command(&self, programs: &Programs, kind: Kind, folder: &Path, conf: &Path) -> Command {
        let mut command = match self {
            Subject::Stock | Subject::Bare => {
                let program = format!("venv/bin/swift-{}-server", kind.name());
                Command::new(programs.swift_env.join(program))
            }
            Subject::Apus { .. } => {
                let mut command = Command::new(&programs.apus);
                command.arg(format!("{}-server", kind.name()));
                command
            }
        };
        command.arg(conf).env("APUS_SWIFT_DIR", folder);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// Where the programs are that are compared.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// The apus binary.
    pub(crate) apus: PathBuf,
    /// The Python environment with Swift.
    pub(crate) swift_env: PathBuf,
}

pub(crate) fn apus_beside_this_program() -> PathBuf {
    std::env::current_exe()
        .unwrap_or_default()
        .with_file_name("apus")
}

/// A subject whose servers run on a fresh folder; all goes away when it is dropped.
pub(crate) struct Stage {
    pub(crate) subject: Subject,
    /// The account server and the container server; the bare server is one for both.
    servers: Vec<(Kind, Server)>,
    bare: Option<Bare>,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Starts the servers with two workers each.
    pub(crate) fn start(subject: &Subject, programs: &Programs, folder: &Path) -> io::Result<Self> {
        let mut stage = Self {
            subject: subject.clone(),
            servers: Vec::new(),
            bare: None,
            _folder: tempfile::tempdir_in(folder)?,
        };
        if *subject == Subject::Bare {
            stage.bare = Some(Bare::start()?);
            return Ok(stage);
        }
        for kind in [Kind::Account, Kind::Container] {
            use std::os::unix::process::CommandExt;
            let folder = stage._folder.path();
            let address = free_address()?;
            let conf = write_conf(subject, kind, folder, address.port())?;
            let mut command = subject.command(programs, kind, folder, &conf);
            let server = Server::start(command.process_group(0), address)?;
            stage.servers.push((kind, server));
        }
        Ok(stage)
    }

    /// Where a server listens.
    pub(crate) fn address(&self, kind: Kind) -> io::Result<SocketAddr> {
        if let Some(bare) = &self.bare {
            return Ok(bare.address);
        }
        let server = self.servers.iter().find(|(of, _)| *of == kind);
        let (_, server) = server.ok_or_else(|| io::Error::other("there is no such server"))?;
        Ok(server.address)
    }

    pub(crate) fn bare(&self) -> Option<&Bare> {
        self.bare.as_ref()
    }

    /// Resident memory of a server's processes in MiB.
    pub(crate) fn memory(&self, kind: Kind) -> Option<u64> {
        let (_, server) = self.servers.iter().find(|(of, _)| *of == kind)?;
        let group = server.pid().to_string();
        let of = |process: std::fs::DirEntry| -> Option<u64> {
            let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
            // The name in parentheses may hold blanks; the group is the third field after it.
            let mut fields = stat.rsplit(')').next()?.split_whitespace();
            if fields.nth(2)? != group {
                return None;
            }
            let id = process.file_name().to_str()?.parse().ok()?;
            Some(memory::of_process(id).0)
        };
        let processes = std::fs::read_dir("/proc").ok()?.flatten();
        Some(processes.filter_map(of).sum::<u64>())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for (_, server) in &self.servers {
            // Stock Swift forks its workers: the whole group has to go.
            let group = format!("-{}", server.pid());
            let _ = Command::new("kill").args(["-9", "--", &group]).status();
        }
    }
}

fn write_conf(subject: &Subject, kind: Kind, folder: &Path, port: u16) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder.join("devices/sda1"))?;
    let swift_conf = "[swift-hash]\nswift_hash_path_suffix = bench\n\
                      [storage-policy:0]\nname = gold\ndefault = yes\n";
    std::fs::write(folder.join("swift.conf"), swift_conf)?;
    let kind = kind.name();
    let (engine, settings) = match subject {
        Subject::Stock | Subject::Bare => (String::new(), String::new()),
        Subject::Apus { engine, disk } => {
            let durability = if *disk { "disk" } else { "process" };
            let settings = format!("[engine:{engine}]\ndurability = {durability}\n");
            (format!("engine = {engine}\n"), settings)
        }
    };
    let text = format!(
        "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 2\nuser = {user}\n\
         swift_dir = {dir}\ndevices = {dir}/devices\nmount_check = false\nlog_level = WARNING\n\
         [pipeline:main]\npipeline = healthcheck {kind}-server\n\
         [filter:healthcheck]\nuse = egg:swift#healthcheck\n\
         [app:{kind}-server]\nuse = egg:swift#{kind}\n{engine}{settings}",
        user = raw_http::user_name()?,
        dir = folder.display(),
    );
    let conf = folder.join(format!("{kind}-server.conf"));
    std::fs::write(&conf, text)?;
    Ok(conf)
}
