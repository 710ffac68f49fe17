//! The Python process in which Swift's own brokers run.

use crate::error::{OracleError, Result};
use crate::op::Op;
use broker_api::Location;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The version of Swift whose answers count.
pub const SWIFT_VERSION: &str = "2.38.3";

/// The folder of a device under which stores are kept.
pub const DEVICE: &str = "sda1";

/// How a story is told: by digest, or in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The MD5 of each step.
    Digest,
    /// The steps themselves.
    Full,
}

/// A running driver. Requests are answered in order; one may be sent while another is being answered.
#[derive(Debug)]
pub struct Driver {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    devices: PathBuf,
    /// Keeps the devices folder when the driver made it.
    _scratch: Option<tempfile::TempDir>,
}

impl Driver {
    /// Starts a driver with a devices folder of its own, in memory where the system offers that.
    ///
    /// # Errors
    /// When there is no Python with the right Swift, or it does not start.
    pub fn start() -> Result<Self> {
        let scratch = scratch_folder()?;
        let mut driver = Self::start_in(scratch.path())?;
        driver._scratch = Some(scratch);
        Ok(driver)
    }

    /// Starts a driver that keeps stores under `devices`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_in(devices: &Path) -> Result<Self> {
        let python = python();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("swift_driver.py");
        let missing = || OracleError::NoSwift {
            version: SWIFT_VERSION,
            python: python.clone(),
        };
        std::fs::create_dir_all(devices.join(DEVICE))?;
        let mut child = Command::new(&python)
            .arg("-B")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|_| missing())?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(missing());
        };
        let mut driver = Self {
            child,
            input: Some(input),
            output: BufReader::new(output),
            devices: devices.to_owned(),
            _scratch: None,
        };
        let hello = driver.ask(&json!({"do": "hello"})).map_err(|_| missing())?;
        let found = hello["swift"].as_str().unwrap_or_default().to_owned();
        if found != SWIFT_VERSION {
            let version = SWIFT_VERSION;
            return Err(OracleError::WrongSwift {
                version,
                found,
                python,
            });
        }
        Ok(driver)
    }

    /// Sends a request and waits for its answer; no other may be outstanding.
    ///
    /// # Errors
    /// When the driver is gone, or says that it failed.
    pub fn ask(&mut self, request: &Value) -> Result<Value> {
        self.send(request)?;
        self.receive()
    }

    /// Asks for the steps of a fresh store under `location`.
    ///
    /// # Errors
    /// When the driver is gone.
    pub fn send_play(&mut self, location: &Location, ops: &[Op], detail: Detail) -> Result<()> {
        let store = self.place(location);
        self.send(&json!({"do": "play", "store": store, "ops": ops,
                          "full": detail == Detail::Full}))
    }

    /// The steps of the oldest play that has not been answered.
    ///
    /// # Errors
    /// When the driver is gone, or says that it failed.
    pub fn receive_steps(&mut self) -> Result<Vec<Value>> {
        match self.receive()?["steps"].take() {
            Value::Array(steps) => Ok(steps),
            other => Err(OracleError::Driver(format!(
                "no steps in its answer: {other}"
            ))),
        }
    }

    /// Where a store is, as the driver wants to be told.
    pub fn place(&self, location: &Location) -> Value {
        json!({
            "kind": location.kind().as_str(),
            "devices": self.devices,
            "device": location.device(),
            "partition": location.partition(),
            "hash": location.hash().to_string(),
        })
    }

    fn send(&mut self, request: &Value) -> Result<()> {
        let gone = || OracleError::Driver("it has no input".into());
        let input = self.input.as_mut().ok_or_else(gone)?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        input.write_all(&line)?;
        Ok(input.flush()?)
    }

    fn receive(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(OracleError::Driver("it ended".into()));
        }
        let answer: Value = serde_json::from_str(&line)?;
        match answer.get("failed").and_then(Value::as_str) {
            Some(failed) => Err(OracleError::Driver(failed.to_owned())),
            None => Ok(answer),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The end of its input ends the driver.
        self.input.take();
        let _ = self.child.wait();
    }
}

/// A temporary folder, in memory where the system offers that: both sides sync to disk very often.
///
/// # Errors
/// When it cannot be made.
pub fn scratch_folder() -> Result<tempfile::TempDir> {
    let in_memory = Path::new("/dev/shm");
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("apus-oracle-");
        builder
    };
    match builder().tempdir_in(in_memory) {
        Ok(folder) => Ok(folder),
        Err(_) => Ok(builder().tempdir()?),
    }
}

/// The interpreter: `APUS_SWIFT_PYTHON`, else that of the environment which `tests/swift/python_env.py`
/// makes.
fn python() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(python) = set("APUS_SWIFT_PYTHON") {
        return python.into();
    }
    let environment = set("APUS_SWIFT_ENV").map(PathBuf::from);
    let cache = || {
        let home = || PathBuf::from(set("HOME").unwrap_or_default()).join(".cache");
        let cache = set("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
        cache.join("apus").join(format!("swift-{SWIFT_VERSION}"))
    };
    let environment = environment.unwrap_or_else(cache);
    environment.join("venv").join("bin").join("python")
}
