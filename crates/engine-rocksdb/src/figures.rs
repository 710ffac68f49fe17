//! What databases say about themselves, for people and logs.

use crate::store::RocksdbStore;
use parking_lot::Mutex;
use rocksdb::statistics::Ticker;
use rocksdb::{DB, Options, properties};
use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Figures of one database.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Keys, estimated; deleted ones may be among them.
    pub keys: u64,
    /// Bytes in tables that are in use.
    pub table_bytes: u64,
    /// Bytes of rows that are not in a table yet.
    pub buffer_bytes: u64,
    /// Bytes that compaction has to rewrite.
    pub pending_bytes: u64,
    /// Compactions and flushes that run.
    pub jobs: u64,
    /// Views that are open.
    pub snapshots: u64,
    /// Failures in the background since the database was opened.
    pub errors: u64,
    /// Bytes of the process's cache in use.
    pub cache_bytes: u64,
}

impl Figures {
    pub(crate) fn read(db: &DB) -> Result<Self, rocksdb::Error> {
        let number = |name: &properties::PropName| -> Result<u64, rocksdb::Error> {
            Ok(db.property_int_value(name)?.unwrap_or_default())
        };
        Ok(Self {
            keys: number(properties::ESTIMATE_NUM_KEYS)?,
            table_bytes: number(properties::LIVE_SST_FILES_SIZE)?,
            buffer_bytes: number(properties::CUR_SIZE_ALL_MEM_TABLES)?,
            pending_bytes: number(properties::ESTIMATE_PENDING_COMPACTION_BYTES)?,
            jobs: number(properties::NUM_RUNNING_COMPACTIONS)?
                + number(properties::NUM_RUNNING_FLUSHES)?,
            snapshots: number(properties::NUM_SNAPSHOTS)?,
            errors: number(properties::BACKGROUND_ERRORS)?,
            cache_bytes: number(properties::BLOCK_CACHE_USAGE)?,
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes >> 20;
        write!(
            f,
            "{} keys, {} MiB in tables, {} MiB in buffers, {} MiB to compact, {} jobs, {} views, \
             {} MiB of cache, {} background errors",
            self.keys,
            mib(self.table_bytes),
            mib(self.buffer_bytes),
            mib(self.pending_bytes),
            self.jobs,
            self.snapshots,
            mib(self.cache_bytes),
            self.errors
        )
    }
}

type Watched = Arc<Mutex<Vec<(String, Weak<RocksdbStore>)>>>;

/// Logs the figures of all open databases from time to time, until it is dropped.
#[derive(Debug)]
pub(crate) struct Reporter {
    watched: Watched,
    /// Its end is what the thread waits for.
    _end: Sender<()>,
}

impl Reporter {
    /// Starts the thread that logs.
    pub(crate) fn start(options: Arc<Options>, period: Duration) -> std::io::Result<Self> {
        let watched = Watched::default();
        let (end, ended) = channel();
        let databases = Arc::clone(&watched);
        let report = move || {
            while ended.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                for (name, store) in databases.lock().iter() {
                    if let Some(figures) = store.upgrade().and_then(|store| store.figures().ok()) {
                        tracing::info!(database = %name, "{figures}");
                    }
                }
                tracing::info!("{}", counters(&options));
            }
        };
        let thread = std::thread::Builder::new().name("rocksdb-figures".into());
        thread.spawn(report)?;
        Ok(Self { watched, _end: end })
    }

    /// Adds a database.
    pub(crate) fn watch(&self, name: String, store: &Arc<RocksdbStore>) {
        let mut watched = self.watched.lock();
        watched.retain(|(_, store)| store.strong_count() > 0);
        watched.push((name, Arc::downgrade(store)));
    }
}

/// One line of what was counted in the process.
fn counters(options: &Options) -> String {
    let count = |ticker| options.get_ticker_count(ticker);
    let (hits, misses) = (count(Ticker::BlockCacheHit), count(Ticker::BlockCacheMiss));
    format!(
        "{} bytes written, {} log syncs, {hits} cache hits, {misses} misses, {} reads spared by filters, \
         {} ms of stalls",
        count(Ticker::BytesWritten),
        count(Ticker::WalFileSynced),
        count(Ticker::BloomFilterUseful),
        count(Ticker::StallMicros) / 1000
    )
}
