//! redb beside a map that is known to be right.

use broker_kv::testing;
use engine_redb::RedbStore;
use std::sync::Arc;

#[test]
fn redb_is_an_ordered_store() {
    for seed in 1..4 {
        let dir = tempfile::tempdir().unwrap();
        let open = || Arc::new(RedbStore::open(&dir.path().join("db"), 8 << 20).unwrap());
        testing::check_store(&open(), seed);
        let dir = tempfile::tempdir().unwrap();
        let open = || Arc::new(RedbStore::open(&dir.path().join("db"), 8 << 20).unwrap());
        testing::check_reopen(open, seed);
    }
}
