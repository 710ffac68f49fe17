//! What is certified: something that opens engines.

use crate::door::Door;
use async_trait::async_trait;
use broker_api::Engine;
use std::any::Any;
use std::collections::HashMap;
use std::fmt::Display;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

/// A place for the engine of one case.
///
/// Clones are the same place: an engine that is opened again with it must find what it kept there.
#[derive(Debug, Clone)]
pub struct Scratch {
    path: PathBuf,
    token: String,
    devices: Vec<String>,
    kept: Arc<Mutex<HashMap<&'static str, Box<dyn Any + Send>>>>,
}

impl Scratch {
    pub(crate) fn new(path: PathBuf, token: String, devices: Vec<String>) -> Self {
        Self {
            path,
            token,
            devices,
            kept: Arc::default(),
        }
    }

    /// An existing directory for this case alone. It holds an empty directory for each of the
    /// [`devices`](Self::devices), as a node's `/srv/node` does.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A namespace for this case alone, for engines on a remote service: lower-case letters and
    /// digits, different in every run.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The names of the devices that the case will use.
    pub fn devices(&self) -> &[String] {
        &self.devices
    }

    /// A value that lives as long as this place: made by the first call, cloned by every one. For
    /// engines that keep everything in the memory of the process.
    pub fn keep<T: Clone + Send + 'static>(&self, make: impl FnOnce() -> T) -> T {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let value = kept
            .entry(std::any::type_name::<T>())
            .or_insert_with(|| Box::new(make()));
        match value.downcast_ref::<T>() {
            Some(value) => value.clone(),
            None => unreachable!("two types of one name"),
        }
    }
}

/// Opens the engines that are certified. A closure is enough for most, see
/// [`certify`](crate::certify).
#[async_trait]
pub trait Subject: Send + Sync + 'static {
    /// Opens an engine. The engine opened before on this place, if any, is closed by now.
    ///
    /// # Errors
    /// Says why the case cannot go on; it then fails.
    async fn open(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String>;

    /// Closes an engine: what it acknowledged must be found when it is opened again. Dropping it is
    /// the usual way.
    async fn close(&self, engine: Arc<dyn Engine>) {
        drop(engine);
    }

    /// How cases reach what is certified.
    fn door(&self) -> Door {
        Door::Process
    }

    /// The devices that are there, when they are not the suite's to make.
    fn devices(&self) -> Option<Vec<String>> {
        None
    }

    /// The command that starts this program again, as the child that a durable case kills. Started so,
    /// [`run`](crate::run) opens the subject of the same name on the same place and plays a part there
    /// instead of running cases.
    ///
    /// The same program with the same arguments is right for every program that comes to
    /// [`Certification::run`](crate::Certification::run) or [`run`](crate::run) by them alone.
    ///
    /// # Errors
    /// When the program is not to be found.
    fn child(&self, _scratch: &Scratch) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1));
        Ok(command)
    }

    /// Called after a child was killed and before the engine is opened again. A test of power cuts
    /// takes back here what was not synced; most have nothing to do.
    ///
    /// # Errors
    /// Says why the case cannot go on; it then fails.
    async fn killed(&self, _scratch: &Scratch) -> Result<(), String> {
        Ok(())
    }

    /// Removes what the engine keeps outside [`Scratch::path`], after a case.
    async fn clean(&self, _scratch: &Scratch) {}
}

/// A [`Subject`] made of a closure.
pub(crate) struct Opener<F>(pub(crate) F);

#[async_trait]
impl<F, Fut, E> Subject for Opener<F>
where
    F: Fn(Scratch) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Arc<dyn Engine>, E>> + Send,
    E: Display + Send,
{
    async fn open(&self, scratch: &Scratch) -> Result<Arc<dyn Engine>, String> {
        let opened = (self.0)(scratch.clone()).await;
        opened.map_err(|error| error.to_string())
    }
}
