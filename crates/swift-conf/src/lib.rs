//! Reads Swift's configuration files with Swift's rules.
//!
//! An operator keeps `account-server.conf`, `container-server.conf`, `swift.conf` and
//! `container-sync-realms.conf` as they are; this crate turns them into plain typed values and
//! refuses, at start and with advice, what a server could not work with.
//!
//! ```text
//! bytes --ini--> Ini --section()------> Options   daemons: the section wins over [DEFAULT]
//!                 |
//!                 +--paste--> Component.options   servers: [DEFAULT] wins unless `set name = value`
//!                                   |
//!                                   +--> ServerConf, RateLimitConf, ...
//! ```
//!
//! * [`ini`]: the text format and `%(name)s` references.
//! * [`paste`]: pipelines, filters and apps, and which section wins.
//! * [`value`]: how Swift reads booleans, whole numbers, floats and percentages.
//! * [`server_conf`]: one account or container server.
//! * [`swift_conf`]: the cluster file: hash prefix and suffix, storage policies, constraints.
//! * [`ratelimit_conf`]: options of the `backend_ratelimit` filter and its extra file.
//! * [`realms`]: realms of container sync.
//!
//! Files are taken as hostile: their size, the depth and the size of references, and the length of
//! a `use` chain are bounded, and nothing in them makes this crate panic.
//!
//! # Examples
//!
//! ```
//! use std::path::Path;
//! use swift_conf::{ServerConf, ServerKind};
//!
//! let text = "
//! [DEFAULT]
//! bind_port = 6202
//! [pipeline:main]
//! pipeline = healthcheck account-server
//! [filter:healthcheck]
//! use = egg:swift#healthcheck
//! [app:account-server]
//! use = egg:swift#account
//! ";
//! let conf = ServerConf::parse(text.as_bytes(), Path::new("account-server.conf"), ServerKind::Account)?;
//! assert_eq!(conf.listen.bind_port, 6202);
//! assert_eq!(conf.engines.default, "sqlite");
//! # Ok::<(), swift_conf::Error>(())
//! ```

mod error;
pub mod ini;
mod options;
pub mod paste;
pub mod ratelimit_conf;
pub mod realms;
pub mod server_conf;
pub mod swift_conf;
pub mod value;

pub use error::{Error, ErrorKind, Place};
pub use ini::{Dialect, Ini};
pub use options::Options;
pub use ratelimit_conf::{RateLimitConf, RateLimitEvent, RateLimitWatch, Rates};
pub use realms::{Realm, Realms, RealmsEvent, RealmsFile};
pub use server_conf::{EngineChoice, ServerConf, ServerKind};
pub use swift_conf::{Constraints, Policies, Policy, SwiftConf};
