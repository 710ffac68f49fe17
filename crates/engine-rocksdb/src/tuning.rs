//! How RocksDB is set up. The README says what was measured.
//!
//! All databases of a process are opened with the same [`Options`], which hold what they share:
//!
//! ```text
//! block cache        rows, indexes and filters that are read
//! write buffers      rows that are not in a table yet; when they are full, the oldest are written out
//! rate limit         of what the background threads write
//! statistics         counters
//! ```

use crate::options::{Compaction, Compression, RocksdbOptions};
use rocksdb::{
    BlockBasedOptions, BlockBasedTablePinningTier, Cache, DBCompactionStyle, DBCompressionType,
    Options, WriteBufferManager,
};

const MIB: u64 = 1 << 20;

/// A table is written out at this size at the latest, so that starting after a crash does not take long.
const LARGEST_BUFFER: u64 = 64 * MIB;

/// A table with a window of this many keys of which [`DELETIONS`] are deletions is compacted soon.
const WINDOW: usize = 4096;
const DELETIONS: usize = 2048;

/// RocksDB's own limits, above which writes are stopped.
const MOST_TABLES_IN_LEVEL_0: i32 = 36;
const MOST_PENDING_COMPACTION: usize = 256 << 30;

fn megabytes(number: u64) -> usize {
    usize::try_from(number.saturating_mul(MIB)).unwrap_or(usize::MAX)
}

/// The options of every database of a process.
pub(crate) fn options(wanted: &RocksdbOptions) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    memory(&mut options, wanted);
    files(&mut options, wanted);
    background(&mut options, wanted);
    options.set_max_log_file_size(megabytes(wanted.info_log_mb));
    options.set_keep_log_file_num(count(wanted.info_logs));
    // The figures are logged by this crate.
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    if wanted.statistics {
        options.enable_statistics();
    }
    options
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn memory(options: &mut Options, wanted: &RocksdbOptions) {
    // Its shards are of 32 MiB and more. In one of the small shards of an LRU cache the filter of a large table drives
    // out the next one, and each look-up then reads and checks megabytes.
    let cache = Cache::new_hyper_clock_cache(megabytes(wanted.block_cache_mb), 0);
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&cache);
    // Indexes and filters count in the cache and stay there, for the same reason: rows give way to them.
    table.set_cache_index_and_filter_blocks(true);
    table.set_unpartitioned_pinning_tier(BlockBasedTablePinningTier::All);
    if wanted.bloom_bits > 0 {
        // Two of three keys that a merge of new names asks for are not there.
        table.set_bloom_filter(wanted.bloom_bits as f64, false);
        table.set_optimize_filters_for_memory(true);
        // Nor are they in the write buffers, where a search costs most.
        // Each has its filter from the beginning, and the filters of all databases count as buffers.
        options.set_memtable_prefix_bloom_ratio(0.005);
        options.set_memtable_whole_key_filtering(true);
    }
    options.set_block_based_table_factory(&table);
    let buffers = wanted.write_buffer_mb.saturating_mul(MIB);
    options.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager(
        megabytes(wanted.write_buffer_mb),
        false,
    ));
    options.set_write_buffer_size(count(buffers.min(LARGEST_BUFFER)));
}

fn files(options: &mut Options, wanted: &RocksdbOptions) {
    options.set_compression_type(match wanted.compression {
        Compression::None => DBCompressionType::None,
        Compression::Lz4 | Compression::Zstd => DBCompressionType::Lz4,
    });
    if wanted.compression == Compression::Zstd {
        options.set_bottommost_compression_type(DBCompressionType::Zstd);
    }
    options.set_compaction_style(match wanted.compaction {
        Compaction::Level => DBCompactionStyle::Level,
        Compaction::Universal => DBCompactionStyle::Universal,
    });
    options.add_compact_on_deletion_collector_factory(WINDOW, DELETIONS, 0.5);
    options.set_max_open_files(i32::try_from(wanted.max_open_files).unwrap_or(i32::MAX));
    // Reading every table's properties makes opening slow and serves only the order of compactions.
    options.set_skip_stats_update_on_db_open(true);
    // Written in small steps, so that a sync of the log does not wait for a table's megabytes.
    options.set_bytes_per_sync(MIB);
}

fn background(options: &mut Options, wanted: &RocksdbOptions) {
    let jobs = i32::try_from(wanted.background_jobs).unwrap_or(i32::MAX);
    options.set_max_background_jobs(jobs);
    // Writers are stopped, never delayed: see the module on stalls.
    options.set_level_zero_stop_writes_trigger(MOST_TABLES_IN_LEVEL_0);
    options.set_level_zero_slowdown_writes_trigger(MOST_TABLES_IN_LEVEL_0);
    options.set_soft_pending_compaction_bytes_limit(MOST_PENDING_COMPACTION);
    options.set_hard_pending_compaction_bytes_limit(MOST_PENDING_COMPACTION);
    // Files and buffers that a reader was the last to use are not his to remove.
    options.set_avoid_unnecessary_blocking_io(true);
    let rate = i64::try_from(wanted.rate_limit_mb.saturating_mul(MIB)).unwrap_or(i64::MAX);
    if rate > 0 {
        options.set_ratelimiter(rate, 100_000, 10);
    }
}
