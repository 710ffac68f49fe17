//! What the questions share: an engine on a folder of its own, containers, and figures.

use apus::{EngineSetup, Registry};
use broker_api::{
    AccountBroker, BrokerOptions, ContainerBroker, Engine, HashPath, Location, MergeOptions,
    NewAccount, NewContainer, ObjectRecord, PolicyIndex, StoreKind, Timestamp,
};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// An engine under measurement.
pub(crate) struct Bench {
    engine: Option<Arc<dyn Engine>>,
    name: String,
    setup: EngineSetup,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new(name: &str, settings: &[String], folder: &Path) -> Result<Self, Failure> {
        let folder = tempfile::tempdir_in(folder)?;
        std::fs::create_dir(folder.path().join("sda1"))?;
        let mut setup = EngineSetup::new(folder.path());
        for setting in settings {
            let (key, value) = setting.split_once('=').ok_or("--set takes key=value")?;
            setup.settings.insert(key.to_owned(), value.to_owned());
        }
        let mut bench = Self {
            engine: None,
            name: name.to_owned(),
            setup,
            _folder: folder,
        };
        bench.reopen()?;
        Ok(bench)
    }

    /// Closes the engine and opens it again. It opens its databases when they are first used.
    pub(crate) fn reopen(&mut self) -> Result<(), Failure> {
        self.engine = None;
        self.engine = Some(Registry::built_in().open(&self.name, &self.setup)?);
        Ok(())
    }

    pub(crate) fn engine(&self) -> Result<&Arc<dyn Engine>, Failure> {
        self.engine
            .as_ref()
            .ok_or_else(|| "the engine is closed".into())
    }

    pub(crate) fn container(&self, name: &str) -> Result<Arc<dyn ContainerBroker>, Failure> {
        self.container_with(name, &BrokerOptions::default())
    }

    /// The same as servers open it to answer a HEAD or a GET.
    pub(crate) fn container_for_clients(
        &self,
        name: &str,
    ) -> Result<Arc<dyn ContainerBroker>, Failure> {
        self.container_with(name, &BrokerOptions::for_reading())
    }

    fn container_with(
        &self,
        name: &str,
        options: &BrokerOptions,
    ) -> Result<Arc<dyn ContainerBroker>, Failure> {
        let location = location(name).ok_or("no location")?;
        Ok(self.engine()?.container(&location, options))
    }

    /// A container that is made here.
    pub(crate) async fn create(&self, name: &str) -> Result<Arc<dyn ContainerBroker>, Failure> {
        let container = self.container(name)?;
        container.initialize(&new_container(name)).await?;
        Ok(container)
    }

    /// An account that is made here.
    pub(crate) async fn create_account(&self) -> Result<Arc<dyn AccountBroker>, Failure> {
        let hash = HashPath::new("", "end").account("a");
        let location = Location::new(StoreKind::Account, "sda1", "7", hash).ok_or("no location")?;
        let account = self.engine()?.account(&location, &BrokerOptions::default());
        let new = NewAccount {
            account: "a".into(),
            put_timestamp: Timestamp::from_seconds(1).into(),
            created_at: Timestamp::from_seconds(1),
            id: "id-sda1".into(),
        };
        account.initialize(&new).await?;
        Ok(account)
    }
}

pub(crate) fn new_container(name: &str) -> NewContainer {
    NewContainer {
        account: "a".into(),
        container: name.into(),
        put_timestamp: Timestamp::from_seconds(1).into(),
        policy_index: PolicyIndex(0),
        created_at: Timestamp::from_seconds(1),
        id: "id-sda1".into(),
    }
}

pub(crate) fn location(name: &str) -> Option<Location> {
    let hash = HashPath::new("", "end").container("a", name);
    Location::new(StoreKind::Container, "sda1", "7", hash)
}

pub(crate) fn put(name: String, seconds: u64) -> ObjectRecord {
    let at = Timestamp::from_seconds(seconds);
    ObjectRecord::put(
        name,
        at,
        123_456,
        "image/jpeg",
        "d41d8cd98f00b204e9800998ecf8427e",
    )
}

/// An object of a photo collection with a thousand folders.
pub(crate) fn put_numbered(i: usize, seconds: u64) -> ObjectRecord {
    put(
        format!("photos/2024/{:04}/img_{i:08}.jpg", i % 1000),
        seconds,
    )
}

/// Merges records, so many a commit.
pub(crate) async fn merge(
    container: &Arc<dyn ContainerBroker>,
    records: impl Iterator<Item = ObjectRecord>,
    group: usize,
) -> Result<(), Failure> {
    let mut records = records.peekable();
    while records.peek().is_some() {
        let some = records.by_ref().take(group).collect();
        container.merge_items(some, MergeOptions::default()).await?;
    }
    Ok(())
}

/// Runs work and says how many it did a second.
pub(crate) async fn per_second(
    count: usize,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<f64, Failure> {
    let start = Instant::now();
    work.await?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Runs work and shows how many it did a second, and what each cost this process's threads together, which depends
/// less on what else the machine does.
pub(crate) async fn rate(
    what: &str,
    count: usize,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let cpu = cpu_ticks();
    let rate = per_second(count, work).await?;
    let each = (cpu_ticks() - cpu) as f64 * MICROSECONDS_A_TICK / count as f64;
    println!("  {what:<58} {rate:>10.0} /s {each:>8.1} us of CPU each");
    Ok(())
}

const MICROSECONDS_A_TICK: f64 = 10_000.0;

/// Processor time of all threads so far.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold blanks; user and system time are the 12th and 13th after it.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let times = fields.split_whitespace().skip(11).take(2);
    times.filter_map(|time| time.parse::<u64>().ok()).sum()
}

pub(crate) fn show(what: &str, took: Duration) {
    println!("  {what:<58} {:>10.3} ms", took.as_secs_f64() * 1000.0);
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
