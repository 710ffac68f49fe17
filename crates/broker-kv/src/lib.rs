//! Account and container brokers over any ordered key-value store.
//!
//! An engine author implements [`OrderedStore`] (get, cursors, atomic batches, sync) and [`Devices`] (open
//! a database), and has the whole broker contract: rows, tombstones, listings, replication, reclaim,
//! quarantine. This crate owns keys and values.
//!
//! ```text
//! broker-runtime   Adapter: queues, group commit, workers
//! broker-kv        KvEngine ─► Device ─► KvStore: transactions, rows, facts, locks, gaps, shared syncs
//! ─────────────────────────────────────── the door: OrderedStore, View, Cursor, Devices ────────────
//! engine-sled, engine-rocksdb, yours
//! ```
//!
//! # Keys
//!
//! A device has one database for its accounts and one for its containers. In each:
//!
//! ```text
//! 00                                                    ► layout of the keys: 1
//! 01                                                    ► number of the next store
//! 02 kind partition 00 hash                             ► number of the store at this location
//! 03 kind partition 00 hash number                      ► a quarantined store: when, why
//! 04 number                                             ► a store whose contents are being dropped
//! 05 kind partition 00 hash                             ► on the list of container sync
//! 06 kind partition 00 hash                             ► number of the store that is being restored here
//! 10 number 01                                          ► stat record
//! 10 number 02                                          ► metadata
//! 10 number 03 place                                    ► incoming sync point
//! 10 number 04 place                                    ► outgoing sync point
//! 10 number 10 name 00 00 policy                        ► live row
//! 10 number 11 name 00 00 policy                        ► tombstone
//! 10 number 12 row-number                               ► row log: which row has this number
//!
//! kind        1 byte, "a" or "c"         number      8 bytes, unsigned, big-endian
//! partition   text, never holds NUL      place       4 bytes, unsigned, big-endian
//! hash        16 bytes                   row-number  8 bytes, big-endian, top bit flipped
//! policy      as row-number; objects only: an account has one row for a name, whatever its policy
//! name        UTF-8 with every 00 written as 00 FF, so that 00 00 ends it and order is kept:
//!             "a" 00 00  <  "a" 00 FF … (a NUL follows)  <  "a" 01 …  <  "ab" …
//! ```
//!
//! A live object "a/b" of policy 1, row number 9, in the store with number 7:
//!
//! ```text
//! 10 0000000000000007 10 61 2f 62 00 00 8000000000000001       key
//!  │  number           │  a  /  b  end   policy 1
//!  contents            live
//!
//! 01 12 8a01 10 30303030303030303035 2e 3030303030 …            value
//!  │  │  │    └ created_at: length 16, "0000000005.00000"; then content type and etag likewise
//!  │  │  size 69, zigzag varint
//!  │  row number 9
//!  version of the value
//!
//! 10 0000000000000007 12 8000000000000009  ►  01 10 61 2f 62 00 00 8000000000000001       its log
//! ```
//!
//! # Values
//!
//! Each begins with a version byte; a later version is refused with `Unsupported`, not taken for damage.
//! Numbers are zigzag varints, texts are length and UTF-8.
//!
//! | value | fields after the version |
//! |---|---|
//! | live row, tombstone of an object | row number, size, created_at, content type, etag |
//! | live row, tombstone of a container | row number, policy, put, delete, object count, bytes used |
//! | row log | the row's key from its section on |
//! | stat record | kind, names, timestamps, status, hash, id, highest row number, marks, totals, counters by policy |
//! | sync point | remote id, row number, updated_at |
//! | quarantined store | epoch seconds, reason |
//!
//! [`describe_entry`] turns any key and value into a line for people.
//!
//! # Stores come and go by their number
//!
//! A location leads to a number, and everything a store holds is under the number. Numbers are never used
//! again, so a store that is made where another one was cannot see its rows.
//!
//! ```text
//! create       batch: location, next number, stat record
//! quarantine   batch: location ──► quarantined entry               no row is read or moved
//! remove       batch: location ──► doomed entry;  drop the range of the number;  drop the entry
//!              after a crash in between: the next opening goes on with the doomed entries
//! restore      batch: restored entry, next number, stat record, metadata, sync points;
//!              batches: rows and row log, a thousand rows at a time;
//!              all rows are counted;  batch: restored entry ──► location
//! ```
//!
//! # Transactions
//!
//! A writer lays its changes over the view it began with and keeps the facts in memory. Its commit is one
//! batch: the rows, the row log, and the stat record once, however many rows there are. The batch is atomic,
//! so a crash leaves all of a commit or nothing: counts and hash always fit the rows. A commit is
//! acknowledged after the sync that the database asks for; commits of different stores that wait at
//! the same time share it.
//!
//! | | with [`Views::Snapshot`] | with [`Views::Live`] |
//! |---|---|---|
//! | a read | sees the database as it was at its beginning; holds its store's lock, shared | holds its store's lock, shared |
//! | a commit | is applied at once | takes that lock alone while it is applied, not while it syncs |
//! | wait for each other | never | reads and commits of one store, up to the timeout, then `Busy` |
//! | removing, quarantining | waits for the reads of the store that are going on | the same |
//!
//! One writer at a time has a store. All locks are in memory: a database belongs to one [`KvEngine`].
//!
//! # Gaps
//!
//! Databases keep what was deleted for a while, as markers or as empty pages: the live row that was deleted is
//! still in the way of a listing, though its tombstone is elsewhere. A walk that took long from one key to the
//! next, and takes long once more, remembers that there is nothing in between, and later walks have a cursor on
//! either side, none across.
//! Up to 64 gaps are remembered for each store, in memory, as long as somebody has it open. Commits are
//! numbered, so that a view uses only what is true of it, and a commit that puts a key into a gap splits
//! it before it is applied. `gaps.rs` says why that is right; a random test holds it against a plain map.
//!
//! Beside the gaps, a store remembers where the seeks of listings came down, from subdir to subdir, and a commit that puts
//! or deletes a key there has it forgotten: see [`broker_runtime::landings`].
//!
//! # Cost
//!
//! *n* rows in the store, *g* records in a commit, *l* entries shown; a get or seek costs what the database
//! makes of it, usually O(log *n*).
//!
//! | operation | reads | keys written |
//! |---|---|---|
//! | exists, is the handle current | 1 get, none | |
//! | info | none; 2 gets by the first who has the store open | |
//! | merge of *g* new records | *g* gets, 2*g* where there are tombstones | 2*g* + 1, one batch |
//! | … that overwrite rows | *g* gets, 2*g* for tombstones | 3*g* + 1; 4*g* + 1 when rows turn into tombstones or back |
//! | listing | 1 seek and one for each gap, *l* steps; rows of other policies are passed over | |
//! | … with a delimiter | one seek for each subdir, none when it was listed before; the rows inside are not read | |
//! | … after a million deletions | the same: tombstones are elsewhere, and see below | |
//! | rows by number | 1 seek, *l* steps, *l* gets; misplaced rows: a step for every row above the start | |
//! | reclaim, a page of *p* tombstones | 2*p* steps; the last page also counts those left | 2 for each removed, 1 |
//! | remove_objects | a step for each row in range; they are held in memory until the commit | 2 for each, 1 |
//! | sync points | a step for each point | 1 |
//! | create | 2 gets | 3 |
//! | quarantine | 2 gets | 2 |
//! | restore *n* rows | *n* steps over rows and *n* over the log, at the end | 2*n* + 5 |
//! | remove | 2 gets | 3, and the range |
//! | stores, synced | 1 seek, *l* steps | |

mod change;
mod describe;
mod device;
mod dump;
mod engine;
mod folder;
mod gaps;
mod keys;
mod kinds;
mod lanes;
mod memory;
mod ordered;
mod restore;
mod row;
mod sighted;
mod store;
mod sync_group;
pub mod testing;
mod value;

pub use describe::describe_entry;
pub use dump::{DumpKeys, DumpVisit, dump_keys};
pub use engine::{Devices, KvEngine, Presence, open};
pub use folder::Folder;
pub use memory::{MemoryDevices, MemoryOrdered, MemoryView};
pub use ordered::{Batch, Change, Cursor, Description, OrderedStore, Pair, View, Views, Walk};
pub use row::Row;
pub use store::KvStore;

/// The README, whose samples are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
