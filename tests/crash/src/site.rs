//! A container server with one device in a folder of its own.

use raw_http::{Server, free_address};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where a server runs.
#[derive(Debug)]
pub struct Site {
    folder: PathBuf,
    conf: PathBuf,
    apus: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Site {
    /// Writes the configuration; `apus` is the one beside this program unless given.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn make(
        folder: &Path,
        apus: Option<&Path>,
        engine: &str,
        durability: &str,
    ) -> Result<Self, String> {
        let site = Self {
            folder: folder.to_owned(),
            conf: folder.join("container-server.conf"),
            apus: apus.map_or_else(beside_this_program, Path::to_owned),
            address: free_address().map_err(|e| e.to_string())?,
        };
        let written = site.write_conf(engine, durability);
        written.map_err(|e| format!("{}: {e}", folder.display()))?;
        Ok(site)
    }

    /// The folder of the devices.
    pub fn devices(&self) -> PathBuf {
        self.folder.join("devices")
    }

    /// Starts the server with further environment variables.
    ///
    /// # Errors
    /// When it does not serve.
    pub fn start<V: AsRef<OsStr>>(&self, variables: &[(&str, V)]) -> Result<Server, String> {
        let mut command = Command::new(&self.apus);
        command
            .arg("container-server")
            .arg(&self.conf)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = Server::start(&mut command, self.address);
        started.map_err(|e| format!("{}: {e}", self.apus.display()))
    }

    fn write_conf(&self, engine: &str, durability: &str) -> std::io::Result<()> {
        std::fs::create_dir_all(self.folder.join("devices/sda1"))?;
        std::fs::write(
            self.folder.join("swift.conf"),
            "[swift-hash]\nswift_hash_path_suffix = crash\n",
        )?;
        let text = format!(
            "[DEFAULT]\nbind_ip = {}\nbind_port = {}\nswift_dir = {dir}\ndevices = {dir}/devices\n\
         mount_check = false\nlog_level = ERROR\nuser = {user}\n\
         [pipeline:main]\npipeline = healthcheck container-server\n\
         [filter:healthcheck]\nuse = egg:swift#healthcheck\n\
         [app:container-server]\nuse = egg:swift#container\nengine = {engine}\n\
         [engine:{engine}]\ndurability = {durability}\n",
            self.address.ip(),
            self.address.port(),
            user = raw_http::user_name()?,
            dir = self.folder.display(),
        );
        std::fs::write(&self.conf, text)
    }
}

fn beside_this_program() -> PathBuf {
    std::env::current_exe()
        .unwrap_or_default()
        .with_file_name("apus")
}
