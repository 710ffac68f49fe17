//! Account and container brokers over [redb](https://docs.rs/redb), a key-value store in pure Rust.
//!
//! An engine from elsewhere: it uses what Apus publishes and nothing else. The brokers are those of
//! [`broker_kv`]; this crate opens databases and says what redb can do.
//!
//! ```text
//! <devices>/<device>/apus-redb/
//!     accounts.redb        all accounts of the device
//!     containers.redb      all its containers
//! ```

mod devices;
mod store;

pub use devices::{FOLDER, RedbDevices, RedbOptions, SETTINGS, open};
pub use store::{RedbStore, RedbView};

use broker_api::{Error, ErrorKind};

/// What a failure of redb is in the contract.
pub(crate) fn failed(error: impl Into<redb::Error>) -> Error {
    let error = error.into();
    let kind = match &error {
        redb::Error::Io(source) => ErrorKind::from(source),
        redb::Error::DatabaseAlreadyOpen => ErrorKind::Busy,
        redb::Error::UpgradeRequired(_) => ErrorKind::Unsupported,
        // Damage is in the database of all stores; `Corrupt` would put one store aside for it.
        _ => ErrorKind::Io,
    };
    Error::new(kind, "the redb database failed").caused_by(error)
}
