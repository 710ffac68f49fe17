//! Starts the two competitors on files of their own.

use raw_http::{Server, free_address};
use std::io;
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
#[derive(Debug, Clone)]
pub(crate) enum Software {
    /// Python Swift from a private environment.
    Stock { environment: PathBuf },
    /// Ours.
    Apus { binary: PathBuf, engine: String },
}

impl Software {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Software::Stock { .. } => "stock Swift",
            Software::Apus { .. } => "Apus",
        }
    }

    fn command(&self, kind: Kind, folder: &Path, conf: &Path) -> Command {
        let mut command = match self {
            Software::Stock { environment } => {
                let program = format!("venv/bin/swift-{}-server", kind.name());
                Command::new(environment.join(program))
            }
            Software::Apus { binary, .. } => {
                let mut command = Command::new(binary);
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

pub(crate) fn apus_beside_this_program() -> PathBuf {
    std::env::current_exe()
        .unwrap_or_default()
        .with_file_name("apus")
}

/// A running server on a fresh folder; both go away when it is dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) server: Server,
    group: u32,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Starts a server with two workers.
    pub(crate) fn start(software: &Software, kind: Kind) -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        let conf = write_conf(software, kind, folder.path(), address.port())?;
        let mut command = software.command(kind, folder.path(), &conf);
        let server = Server::start(command.process_group(0), address)?;
        let group = server.pid();
        Ok(Self {
            server,
            group,
            _folder: folder,
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Stock Swift forks its workers: the whole group has to go.
        let group = format!("-{}", self.group);
        let _ = Command::new("kill").args(["-9", "--", &group]).status();
    }
}

fn write_conf(software: &Software, kind: Kind, folder: &Path, port: u16) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder.join("devices/sda1"))?;
    let swift_conf = "[swift-hash]\nswift_hash_path_suffix = bench\n\
                      [storage-policy:0]\nname = gold\ndefault = yes\n";
    std::fs::write(folder.join("swift.conf"), swift_conf)?;
    let kind = kind.name();
    let engine = match software {
        Software::Stock { .. } => String::new(),
        Software::Apus { engine, .. } => format!("engine = {engine}\n"),
    };
    let text = format!(
        "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 2\nuser = {user}\n\
         swift_dir = {dir}\ndevices = {dir}/devices\nmount_check = false\nlog_level = WARNING\n\
         [pipeline:main]\npipeline = healthcheck {kind}-server\n\
         [filter:healthcheck]\nuse = egg:swift#healthcheck\n\
         [app:{kind}-server]\nuse = egg:swift#{kind}\n{engine}",
        user = raw_http::user_name()?,
        dir = folder.display(),
    );
    let conf = folder.join(format!("{kind}-server.conf"));
    std::fs::write(&conf, text)?;
    Ok(conf)
}
