//! `apus serve`: both servers on this machine, from a data folder that is made when absent.
//!
//! ```text
//! apus-data/
//!   etc/swift.conf    made once, with a secret of its own
//!   devices/sda1/     the stores
//!   recon/            where daemons would leave their statistics
//! ```

use crate::cli::ServeArgs;
use crate::ownership;
use crate::privileges;
use crate::registry::Registry;
use crate::server::{self, ConfSource, Stage};
use crate::{Failure, block_on_threads};
use std::path::{Path, PathBuf};
use swift_conf::ServerKind;
use swift_conf::server_conf::DEFAULT_ENGINE;

/// Runs the command until it is told to stop.
pub(crate) fn run(registry: &Registry, args: &ServeArgs) -> Result<(), Failure> {
    if let Some(engine) = &args.engine {
        registry.find(engine)?;
    }
    let data = prepare(args)?;
    let engine = match &args.engine {
        Some(engine) => engine.clone(),
        None => ownership::owner(registry, &data.join("devices/sda1"))?
            .map_or_else(|| DEFAULT_ENGINE.to_owned(), |owner| owner.engine),
    };
    let conf = |kind, name: &str, port| ConfSource::Text {
        text: server_conf(&data, name, port, &engine),
        name: data.join(format!("etc/{name}-server.conf")),
        kind,
    };
    let stages = vec![
        Stage::prepare(
            registry,
            conf(ServerKind::Account, "account", args.account_port),
            true,
        )?,
        Stage::prepare(
            registry,
            conf(ServerKind::Container, "container", args.container_port),
            true,
        )?,
    ];
    print_first_requests(args, &data);
    block_on_threads(server::run_stages(registry, stages))
}

/// Makes what is absent of the data folder.
fn prepare(args: &ServeArgs) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(args.data.join("devices/sda1"))?;
    std::fs::create_dir_all(args.data.join("etc"))?;
    std::fs::create_dir_all(args.data.join("recon"))?;
    let data = args.data.canonicalize()?;
    write_once(&data.join("etc/swift.conf"), || {
        let secret = uuid::Uuid::new_v4().simple().to_string();
        format!(
            "# Made by apus serve. The secret is part of the name of every store: keep it.\n\
             [swift-hash]\nswift_hash_path_suffix = {secret}\n"
        )
    })?;
    Ok(data)
}

fn write_once(path: &Path, text: impl FnOnce() -> String) -> Result<(), Failure> {
    use std::io::Write;
    match std::fs::File::create_new(path) {
        Ok(mut file) => Ok(file.write_all(text().as_bytes())?),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Failure::new(format!(
            "cannot make {}: {error}",
            path.display()
        ))),
    }
}

fn server_conf(data: &Path, kind: &str, port: u16, engine: &str) -> String {
    let (data, user) = (data.display(), privileges::current_user());
    format!(
        "[DEFAULT]\n\
         bind_ip = 127.0.0.1\n\
         bind_port = {port}\n\
         swift_dir = {data}/etc\n\
         devices = {data}/devices\n\
         mount_check = false\n\
         user = {user}\n\
         log_level = INFO\n\
         \n\
         [pipeline:main]\n\
         pipeline = healthcheck recon {kind}-server\n\
         \n\
         [filter:healthcheck]\n\
         use = egg:swift#healthcheck\n\
         \n\
         [filter:recon]\n\
         use = egg:swift#recon\n\
         recon_cache_path = {data}/recon\n\
         \n\
         [app:{kind}-server]\n\
         use = egg:swift#{kind}\n\
         engine = {engine}\n"
    )
}

fn print_first_requests(args: &ServeArgs, data: &Path) {
    let account = format!("http://127.0.0.1:{}/sda1/1/AUTH_test", args.account_port);
    let container = format!(
        "http://127.0.0.1:{}/sda1/1/AUTH_test/photos",
        args.container_port
    );
    let account_headers = format!(
        "-H 'X-Account-Host: 127.0.0.1:{}' -H 'X-Account-Device: sda1' -H 'X-Account-Partition: 1'",
        args.account_port
    );
    println!(
        "Apus serves accounts on 127.0.0.1:{} and containers on 127.0.0.1:{}, from {}.\n\
         \n\
         Try, in another terminal:\n\
         \n\
         curl -i -X PUT -H \"X-Timestamp: $(date +%s)\" {account}\n\
         curl -i -X PUT -H \"X-Timestamp: $(date +%s)\" {account_headers} {container}\n\
         curl -i -X PUT -H \"X-Timestamp: $(date +%s)\" -H 'X-Size: 5' -H 'X-Content-Type: text/plain' \
         -H 'X-Etag: 5d41402abc4b2a76b9719d911017c592' {container}/hello\n\
         curl '{container}?format=json'\n\
         curl '{account}?format=json'\n\
         {} info AUTH_test/photos --data {}\n\
         \n\
         Ctrl-C ends it; running requests are finished first.",
        args.account_port,
        args.container_port,
        data.display(),
        std::env::current_exe()
            .unwrap_or_else(|_| "apus".into())
            .display(),
        data.display()
    );
}
