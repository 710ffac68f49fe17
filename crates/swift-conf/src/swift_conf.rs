//! The cluster file `swift.conf`: hash prefix and suffix, storage policies, constraints.
//!
//! Swift reads it with other rules than server files: option names match in any case, and a lone
//! `%` is refused, `%%` is a plain one. Hash prefix and suffix are bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::error::{Error, ErrorKind, Place, shorten};
use crate::ini::{Dialect, Ini};
use crate::options::Options;
use crate::value;

/// Name of the cluster file below `swift_dir`.
pub const FILE_NAME: &str = "swift.conf";
/// Name of the one policy of a cluster that declares none.
pub const LEGACY_POLICY_NAME: &str = "Policy-0";

const POLICY_SECTION: &str = "storage-policy:";
const COMMON_POLICY_OPTIONS: [&str; 6] = [
    "name",
    "aliases",
    "policy_type",
    "default",
    "deprecated",
    "diskfile_module",
];
const EC_POLICY_OPTIONS: [&str; 5] = [
    "ec_type",
    "ec_object_segment_size",
    "ec_num_data_fragments",
    "ec_num_parity_fragments",
    "ec_duplication_factor",
];

/// The cluster file, complete and checked.
#[derive(Clone)]
pub struct SwiftConf {
    /// Bytes before each hashed path.
    pub hash_path_prefix: Vec<u8>,
    /// Bytes after each hashed path; not empty if the prefix is.
    pub hash_path_suffix: Vec<u8>,
    /// The storage policies.
    pub policies: Policies,
    /// The constraints that these servers use.
    pub constraints: Constraints,
}

impl SwiftConf {
    /// Makes one in code, with one policy and default constraints.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Missing`] if prefix and suffix are both empty.
    pub fn new(prefix: impl Into<Vec<u8>>, suffix: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let conf = Self {
            hash_path_prefix: prefix.into(),
            hash_path_suffix: suffix.into(),
            policies: Policies::legacy(),
            constraints: Constraints::default(),
        };
        conf.check_hash(Place::default())
    }

    /// Reads `swift.conf` of a directory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Missing`] if prefix and suffix are both empty, else what is wrong in the file.
    pub fn load(swift_dir: &Path) -> Result<Self, Error> {
        Self::from_ini(&Ini::load(&swift_dir.join(FILE_NAME), Dialect::SWIFT_CONF)?)
    }

    /// Parses the text of a cluster file; `source` is for messages.
    ///
    /// # Errors
    ///
    /// As [`SwiftConf::load`].
    pub fn parse(bytes: &[u8], source: &Path) -> Result<Self, Error> {
        Self::from_ini(&Ini::parse(bytes, source, Dialect::SWIFT_CONF)?)
    }

    fn from_ini(ini: &Ini) -> Result<Self, Error> {
        let hash = ini.section("swift-hash")?;
        let part = |name: &str| {
            let text = hash.as_ref().and_then(|options| options.get(name));
            latin1(text.unwrap_or_default())
        };
        let conf = Self {
            hash_path_prefix: part("swift_hash_path_prefix"),
            hash_path_suffix: part("swift_hash_path_suffix"),
            policies: Policies::from_ini(ini)?,
            constraints: Constraints::from_ini(ini)?,
        };
        conf.check_hash(Place::section(ini.source(), "swift-hash"))
    }

    fn check_hash(self, place: Place) -> Result<Self, Error> {
        if !self.hash_path_prefix.is_empty() || !self.hash_path_suffix.is_empty() {
            return Ok(self);
        }
        Err(Error::new(
            ErrorKind::Missing,
            place,
            "hash path prefix and suffix are both empty",
            "set swift_hash_path_suffix to the cluster's secret, the same on all nodes",
        ))
    }
}

/// Shows neither prefix nor suffix.
impl fmt::Debug for SwiftConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwiftConf")
            .field("policies", &self.policies)
            .field("constraints", &self.constraints)
            .finish_non_exhaustive()
    }
}

/// One storage policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The number that containers carry.
    pub index: u32,
    /// Its first name.
    pub name: String,
    /// Its further names.
    pub aliases: Vec<String>,
    /// New containers get it when nothing else is asked for.
    pub is_default: bool,
    /// No new containers get it.
    pub is_deprecated: bool,
}

impl Policy {
    /// Makes a policy without aliases, neither default nor deprecated.
    pub fn new(index: u32, name: impl Into<String>) -> Self {
        Self {
            index,
            name: name.into(),
            aliases: Vec::new(),
            is_default: false,
            is_deprecated: false,
        }
    }

    /// Visits its names, the first one first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    fn from_options(options: &Options, index: &str) -> Result<Self, Error> {
        let index = value::integer(index).and_then(|number| u32::try_from(number).ok());
        let Some(index) = index else {
            let advice = "name the section [storage-policy:N] with N from 0";
            return Err(refuse(
                options,
                ErrorKind::Value,
                "the policy index is no such number",
                advice,
            ));
        };
        check_policy_options(options)?;
        let name = options.text("name", "");
        let mut aliases = value::list(options.get("aliases").unwrap_or_default());
        aliases.retain(|alias| *alias != name);
        Ok(Self {
            index,
            name,
            aliases,
            is_default: options.flag("default", false),
            is_deprecated: options.flag("deprecated", false),
        })
    }

    fn check(&self) -> Result<(), (String, &'static str)> {
        let mut seen: Vec<String> = Vec::new();
        for name in self.names() {
            let shown = shorten(name);
            if name.is_empty() {
                return Err(("it has no name".to_owned(), "set name"));
            }
            if !name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            {
                let problem = format!("\"{shown}\" is not a policy name");
                return Err((problem, "use letters, digits and - only"));
            }
            if self.index != 0 && name.eq_ignore_ascii_case(LEGACY_POLICY_NAME) {
                return Err((
                    format!("{shown} is the name of policy 0"),
                    "choose another name",
                ));
            }
            if seen.contains(&name.to_ascii_uppercase()) {
                return Err((format!("it has the name {shown} twice"), "remove one"));
            }
            seen.push(name.to_ascii_uppercase());
        }
        if self.is_default && self.is_deprecated {
            let problem = "a deprecated policy cannot be the default".to_owned();
            return Err((problem, "make another policy the default"));
        }
        Ok(())
    }
}

/// The storage policies of a cluster, by index and by name.
#[derive(Debug, Clone)]
pub struct Policies {
    list: Vec<Policy>,
    by_index: BTreeMap<u32, usize>,
    by_name: BTreeMap<String, usize>,
    default: usize,
}

impl Policies {
    /// Returns the one policy of a cluster that declares none: index 0, `Policy-0`, default.
    pub fn legacy() -> Self {
        let only = Policy {
            is_default: true,
            ..Policy::new(0, LEGACY_POLICY_NAME)
        };
        Self {
            by_index: BTreeMap::from([(0, 0)]),
            by_name: BTreeMap::from([(only.name.to_uppercase(), 0)]),
            list: vec![only],
            default: 0,
        }
    }

    /// Checks policies and puts them together; without any there is `Policy-0`.
    ///
    /// A single policy is the default even if it does not say so.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Value`] or [`ErrorKind::Missing`] if: an index or name is there twice (names in
    /// any case), a name is not made of letters, digits and `-`, there is no policy 0, there is not
    /// exactly one default, the default is deprecated, or all are.
    pub fn new(list: Vec<Policy>) -> Result<Self, Error> {
        Self::build(list, Path::new(""))
    }

    /// Returns the policy of an index; `None` if there is none.
    pub fn by_index(&self, index: u32) -> Option<&Policy> {
        self.by_index.get(&index).map(|at| &self.list[*at])
    }

    /// Returns the policy that has a name or alias, in any case.
    pub fn by_name(&self, name: &str) -> Option<&Policy> {
        self.by_name
            .get(&name.to_uppercase())
            .map(|at| &self.list[*at])
    }

    /// Returns the default policy.
    pub fn default(&self) -> &Policy {
        &self.list[self.default]
    }

    /// Visits the policies in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.list.iter()
    }

    fn from_ini(ini: &Ini) -> Result<Self, Error> {
        let mut list = Vec::new();
        for section in ini.sections() {
            let Some(index) = section.strip_prefix(POLICY_SECTION) else {
                continue;
            };
            let Some(options) = ini.section(section)? else {
                continue;
            };
            let policy = Policy::from_options(&options, index)?;
            policy.check().map_err(|(problem, advice)| {
                refuse(&options, ErrorKind::Value, &problem, advice)
            })?;
            list.push(policy);
        }
        Self::build(list, ini.source())
    }

    fn build(mut list: Vec<Policy>, source: &Path) -> Result<Self, Error> {
        let bad = |kind, problem: String, advice: &str| {
            Error::new(kind, Place::file(source), problem, advice)
        };
        if list.is_empty() {
            list.push(Policy::new(0, LEGACY_POLICY_NAME));
        }
        if let [only] = &mut list[..] {
            only.is_default |= !only.is_deprecated;
        }
        let (by_index, by_name) = index_policies(&list)
            .map_err(|(problem, advice)| bad(ErrorKind::Value, problem, advice))?;
        if !by_index.contains_key(&0) {
            let problem = "there is no policy 0".to_owned();
            return Err(bad(
                ErrorKind::Missing,
                problem,
                "add a section [storage-policy:0]",
            ));
        }
        if list.iter().all(|policy| policy.is_deprecated) {
            let problem = "all policies are deprecated".to_owned();
            return Err(bad(
                ErrorKind::Value,
                problem,
                "keep or add one that is not",
            ));
        }
        let mut defaults = (0..list.len()).filter(|at| list[*at].is_default);
        let default = match (defaults.next(), defaults.next()) {
            (Some(default), None) => default,
            (found, _) => {
                let many = if found.is_some() {
                    "more than one policy is"
                } else {
                    "no policy is"
                };
                let problem = format!("{many} the default");
                return Err(bad(
                    ErrorKind::Value,
                    problem,
                    "set default = yes in exactly one",
                ));
            }
        };
        Ok(Self {
            list,
            by_index,
            by_name,
            default,
        })
    }
}

/// The constraints that account and container servers use.
///
/// The lengths of names and of single metadata items are for the proxy and are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraints {
    /// Most rows in one listing of a container.
    pub container_listing_limit: u64,
    /// Most rows in one listing of an account.
    pub account_listing_limit: u64,
    /// Most metadata items of one account or container.
    pub max_meta_count: u64,
    /// Most bytes of all metadata names and values together.
    pub max_meta_overall_size: u64,
    /// Longest header line in bytes.
    pub max_header_size: u64,
    /// Longest request line in bytes.
    pub max_request_line: u64,
    /// Headers allowed beyond the computed number; negative counts as 0.
    pub extra_header_count: i64,
    /// Accounts whose name starts so are made when first needed; empty means every account.
    pub auto_create_account_prefix: String,
}

impl Constraints {
    /// Returns how many headers a request may have.
    pub fn max_header_count(&self) -> u64 {
        let extra = u64::try_from(self.extra_header_count).unwrap_or(0);
        self.max_meta_count.saturating_add(36).saturating_add(extra)
    }

    fn from_ini(ini: &Ini) -> Result<Self, Error> {
        let defaults = Self::default();
        let Some(options) = ini.section("swift-constraints")? else {
            return Ok(defaults);
        };
        let natural = |name: &str, default: u64| {
            let default = i64::try_from(default).unwrap_or(i64::MAX);
            options
                .integer(name, 0..=i64::MAX, default)
                .map(i64::unsigned_abs)
        };
        let prefix = match options.get("auto_create_account_prefix") {
            None => defaults.auto_create_account_prefix,
            Some(text) => String::from_utf8(latin1(text)).map_err(|_| {
                options.bad_value("auto_create_account_prefix", "write it in UTF-8")
            })?,
        };
        Ok(Self {
            container_listing_limit: natural(
                "container_listing_limit",
                defaults.container_listing_limit,
            )?,
            account_listing_limit: natural(
                "account_listing_limit",
                defaults.account_listing_limit,
            )?,
            max_meta_count: natural("max_meta_count", defaults.max_meta_count)?,
            max_meta_overall_size: natural(
                "max_meta_overall_size",
                defaults.max_meta_overall_size,
            )?,
            max_header_size: natural("max_header_size", defaults.max_header_size)?,
            max_request_line: natural("max_request_line", defaults.max_request_line)?,
            extra_header_count: options.integer("extra_header_count", i64::MIN..=i64::MAX, 0)?,
            auto_create_account_prefix: prefix,
        })
    }
}

impl Default for Constraints {
    fn default() -> Self {
        Self {
            container_listing_limit: 10_000,
            account_listing_limit: 10_000,
            max_meta_count: 90,
            max_meta_overall_size: 4096,
            max_header_size: 8192,
            max_request_line: 8192,
            extra_header_count: 0,
            auto_create_account_prefix: ".".to_owned(),
        }
    }
}

fn check_policy_options(options: &Options) -> Result<(), Error> {
    let further: &[&str] = match options.get("policy_type").unwrap_or("replication") {
        "replication" => &[],
        "erasure_coding" => &EC_POLICY_OPTIONS,
        _ => return Err(options.bad_value("policy_type", "use replication or erasure_coding")),
    };
    for (name, _) in options.iter() {
        if !COMMON_POLICY_OPTIONS.contains(&name) && !further.contains(&name) {
            let known = [&COMMON_POLICY_OPTIONS[..], further].concat().join(", ");
            let problem = "a storage policy of this type has no such option";
            let advice = format!("remove it also from [DEFAULT]; known are {known}");
            return Err(Error::new(
                ErrorKind::Unknown,
                options.place(name),
                problem,
                advice,
            ));
        }
    }
    Ok(())
}

type PolicyIndexes = (BTreeMap<u32, usize>, BTreeMap<String, usize>);

fn index_policies(list: &[Policy]) -> Result<PolicyIndexes, (String, &'static str)> {
    let (mut by_index, mut by_name) = PolicyIndexes::default();
    for (at, policy) in list.iter().enumerate() {
        policy.check().map_err(|(problem, advice)| {
            (
                format!("storage policy {}: {problem}", policy.index),
                advice,
            )
        })?;
        if by_index.insert(policy.index, at).is_some() {
            let problem = format!("two storage policies have the index {}", policy.index);
            return Err((problem, "give each its own number"));
        }
        for name in policy.names() {
            if by_name.insert(name.to_uppercase(), at).is_some() {
                let problem = format!("two storage policies have the name {}", shorten(name));
                return Err((problem, "names must differ by more than case"));
            }
        }
    }
    Ok((by_index, by_name))
}

fn refuse(options: &Options, kind: ErrorKind, problem: &str, advice: &str) -> Error {
    let place = Place {
        option: None,
        line: None,
        ..options.place("name")
    };
    Error::new(kind, place, problem, advice)
}

/// Returns the bytes of text that was read as Latin-1.
fn latin1(text: &str) -> Vec<u8> {
    text.chars()
        .filter_map(|c| u8::try_from(u32::from(c)).ok())
        .collect()
}
