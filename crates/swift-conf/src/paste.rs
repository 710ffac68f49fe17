//! Pipelines, filters and apps of a server file, and which section wins.
//!
//! For servers the usual order is turned round: an option of `[DEFAULT]` wins over the same option
//! of an app or filter section, unless that section writes `set name = value`. An option that
//! `[DEFAULT]` does not have needs no `set`.
//!
//! ```text
//! [DEFAULT]               log_level = INFO
//! [app:account-server]    log_level = DEBUG         ignored: [DEFAULT] has it
//!                         set log_level = DEBUG     wins
//!                         replication_server = no   wins: [DEFAULT] does not have it
//! ```
//!
//! `set` in the pipeline section counts for every filter and for the app. `get name = other` copies
//! a global option. `use = other` takes another section as base. `%(here)s` is the directory of the
//! file (or the directory itself) and `%(__file__)s` its path.
//!
//! Of PasteDeploy's forms, those that Swift's samples use are read; `filter-with`, `composite:`,
//! `filter-app:`, `config:` and Python factories are refused with what to write instead.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, ErrorKind, Place, shorten};
use crate::ini::{DEFAULT, Dialect, Ini};
use crate::options::{Options, Value};
use crate::value::{is_space, trim};

/// How many `use = other` may follow each other.
pub const MAX_USE_CHAIN: usize = 16;

/// Kinds of sections that take part in a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    App,
    Filter,
}

impl Role {
    /// Prefixes by which a section may have this role; of each group the first found counts.
    fn prefixes(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::App => &[
                &["app", "application"],
                &["composite", "composit"],
                &["pipeline"],
                &["filter-app"],
            ],
            Self::Filter => &[&["filter"]],
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Filter => "filter",
        }
    }
}

/// One filter or app: what it is and its options.
#[derive(Debug, Clone)]
pub struct Component {
    /// The name that the pipeline gives it.
    pub name: String,
    /// What `use = egg:swift#...` names, such as `account` or `healthcheck`.
    pub factory: String,
    /// Its options, those of `[DEFAULT]` included.
    pub options: Options,
}

/// What a request passes: filters, outermost first, then the app.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The filters in the order of the file.
    pub filters: Vec<Component>,
    /// The app.
    pub app: Component,
}

/// A server file with PasteDeploy's rules on top.
#[derive(Debug, Clone)]
pub struct PasteConf {
    ini: Ini,
}

type Values = BTreeMap<String, Value>;

impl PasteConf {
    /// Reads a file or a directory of `*.conf` files.
    ///
    /// # Errors
    ///
    /// As [`Ini::load`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let here = if path.is_dir() { Some(path) } else { None };
        Ok(Self::with_here(Ini::load(path, Dialect::SERVER)?, here))
    }

    /// Parses bytes as one file at `source`, which need not exist.
    ///
    /// # Errors
    ///
    /// As [`Ini::parse`].
    pub fn parse(bytes: &[u8], source: &Path) -> Result<Self, Error> {
        Ok(Self::with_here(
            Ini::parse(bytes, source, Dialect::SERVER)?,
            None,
        ))
    }

    /// Returns the file as written.
    pub fn ini(&self) -> &Ini {
        &self.ini
    }

    /// Returns the app of a name by itself, outside a pipeline.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Missing`] without such a section, and others for forms that are not read.
    ///
    /// # Swift
    ///
    /// `appconfig`, from which the address, the workers and the log come.
    pub fn app(&self, name: &str) -> Result<Component, Error> {
        self.component(Role::App, name, &Values::new(), 0)
    }

    /// Returns the pipeline `main`, or the app `main` as a pipeline without filters.
    ///
    /// `globals` count as options of `[DEFAULT]` and win over those in the file.
    ///
    /// # Errors
    ///
    /// As [`PasteConf::app`].
    ///
    /// # Swift
    ///
    /// `loadapp`, which passes the `log_name` of [`PasteConf::app`].
    pub fn pipeline(&self, globals: &[(&str, &str)]) -> Result<Pipeline, Error> {
        let mut conf = self.clone();
        let mut given = Values::new();
        for (name, text) in globals {
            let value = Value {
                text: (*text).to_owned(),
                origin: None,
            };
            if conf.ini.defaults.get(name).is_none() {
                conf.ini.defaults.put(name, value.clone());
            }
            given.insert((*name).to_owned(), value);
        }
        let section = conf.find(Role::App, "main")?;
        if !section.starts_with("pipeline:") {
            let app = conf.component(Role::App, "main", &given, 0)?;
            return Ok(Pipeline {
                filters: Vec::new(),
                app,
            });
        }
        conf.read_pipeline(&section, &given)
    }

    fn read_pipeline(&self, section: &str, given: &Values) -> Result<Pipeline, Error> {
        let mut scope = self.scope(section, given)?;
        let Some(line) = scope.local.remove("pipeline") else {
            let advice = "set pipeline = FILTER ... APP in this section, and not in [DEFAULT]";
            return Err(self.missing(section, "it has no pipeline of its own", advice));
        };
        if let Some(name) = scope.local.keys().next() {
            let options = Options::new(self.ini.source(), section, scope.local.clone());
            let advice = "put it into [DEFAULT] or the app's section, or write set before it";
            let problem = "the pipeline section takes no such option";
            return Err(Error::new(
                ErrorKind::Unknown,
                options.place(name),
                problem,
                advice,
            ));
        }
        let mut names: Vec<&str> = line
            .text
            .split(is_space)
            .filter(|n| !n.is_empty())
            .collect();
        let Some(app) = names.pop() else {
            return Err(self.missing(section, "the pipeline is empty", "name at least the app"));
        };
        let app = self.component(Role::App, app, &scope.global, 0)?;
        let filter = |name: &&str| self.component(Role::Filter, name, &scope.global, 0);
        Ok(Pipeline {
            filters: names.iter().map(filter).collect::<Result<_, _>>()?,
            app,
        })
    }

    fn component(
        &self,
        role: Role,
        name: &str,
        given: &Values,
        depth: usize,
    ) -> Result<Component, Error> {
        let found = self.context(role, name, given, depth)?;
        let mut values = found.global;
        values.extend(found.local);
        let options = Options::new(self.ini.source(), &found.section, values);
        Ok(Component {
            name: name.to_owned(),
            factory: found.factory,
            options,
        })
    }

    fn context(
        &self,
        role: Role,
        name: &str,
        given: &Values,
        depth: usize,
    ) -> Result<Context, Error> {
        if has_scheme(name) {
            return self.egg(name, given);
        }
        let section = self.find(role, name)?;
        if depth > MAX_USE_CHAIN {
            let problem = "use goes round in a circle";
            return Err(self.refuse(&section, problem, "let the last section use egg:swift#..."));
        }
        let supported = section.starts_with(role.word());
        if !supported || section.starts_with("filter-app") {
            return Err(self.refuse(
                &section,
                "this kind of section is not read",
                "use [app:NAME]",
            ));
        }
        let mut scope = self.scope(&section, given)?;
        self.refuse_unread(&section, &scope)?;
        let Some(used) = scope.local.remove("use") else {
            let problem = "it has no use of its own";
            let advice = "set use = egg:swift#NAME in this section, and not in [DEFAULT]";
            return Err(self.missing(&section, problem, advice));
        };
        let base = self.context(role, &used.text, &scope.global, depth + 1)?;
        let (mut global, mut local) = (base.global, base.local);
        global.extend(scope.additions);
        local.extend(scope.local);
        Ok(Context {
            section,
            factory: base.factory,
            global,
            local,
        })
    }

    /// Resolves `egg:swift#name`; the options are the global ones.
    fn egg(&self, uri: &str, given: &Values) -> Result<Context, Error> {
        let factory = uri
            .strip_prefix("egg:swift#")
            .map(trim)
            .filter(|name| !name.is_empty());
        let Some(factory) = factory else {
            let problem = format!("{} is not a part of this program", shorten(uri));
            let advice = "write egg:swift#NAME; other packages and files cannot be loaded";
            return Err(Error::new(
                ErrorKind::Unknown,
                Place::file(self.ini.source()),
                problem,
                advice,
            ));
        };
        Ok(Context {
            section: uri.to_owned(),
            factory: factory.to_owned(),
            global: given.clone(),
            local: Values::new(),
        })
    }

    /// Sorts a section's options into global and local ones.
    fn scope(&self, section: &str, given: &Values) -> Result<Scope, Error> {
        let defaults = self.defaults()?;
        let mut scope = Scope {
            global: defaults.clone(),
            ..Scope::default()
        };
        scope.global.extend(given.clone());
        let mut copies = Vec::new();
        for (option, value) in self.visible(section) {
            if let Some(name) = option.strip_prefix("set ") {
                let value = self.expanded(section, option, value)?;
                scope.global.insert(trim(name).to_owned(), value.clone());
                scope.additions.insert(trim(name).to_owned(), value);
            } else if let Some(name) = option.strip_prefix("get ") {
                copies.push((trim(name), self.expanded(section, option, value)?));
            } else if !defaults.contains_key(option) {
                scope
                    .local
                    .insert(option.clone(), self.expanded(section, option, value)?);
            }
        }
        for (name, source) in copies {
            let Some(value) = scope.global.get(&source.text) else {
                let problem = format!("get {} copies an option that is not set", shorten(name));
                return Err(self.missing(section, &problem, "set it in [DEFAULT]"));
            };
            scope.local.insert(name.to_owned(), value.clone());
        }
        scope.local.remove("require");
        Ok(scope)
    }

    /// Visits a section's own options, then those that only `[DEFAULT]` has.
    fn visible(&self, section: &str) -> impl Iterator<Item = &(String, Value)> {
        let own = self.ini.raw(section);
        let inherited = self.ini.defaults.iter();
        let inherited =
            inherited.filter(move |(name, _)| own.is_none_or(|own| own.get(name).is_none()));
        own.into_iter().flat_map(|own| own.iter()).chain(inherited)
    }

    /// Returns the options of `[DEFAULT]`; one that resolves to nothing stays as written.
    fn defaults(&self) -> Result<Values, Error> {
        let mut values = Values::new();
        for (option, raw) in self.ini.defaults.iter() {
            let mut value = self.expanded(DEFAULT, option, raw)?;
            if value.text.is_empty() {
                value.text.clone_from(&raw.text);
            }
            values.insert(option.clone(), value);
        }
        Ok(values)
    }

    fn expanded(&self, section: &str, option: &str, value: &Value) -> Result<Value, Error> {
        let text = self.ini.expand(section, option, value)?;
        Ok(Value {
            text,
            origin: value.origin.clone(),
        })
    }

    /// Finds the one section that has a role and a name.
    fn find(&self, role: Role, name: &str) -> Result<String, Error> {
        let mut found: Vec<&str> = Vec::new();
        for group in role.prefixes() {
            let first = group
                .iter()
                .map(|prefix| self.named(prefix, name))
                .find(|m| !m.is_empty());
            found.extend(first.unwrap_or_default());
        }
        let place = Place::file(self.ini.source());
        match found[..] {
            [one] => Ok(one.to_owned()),
            [] => {
                let wanted = format!("[{}:{}]", role.word(), shorten(name));
                let problem = format!("there is no section {wanted}");
                Err(Error::new(
                    ErrorKind::Missing,
                    place,
                    problem,
                    format!("add {wanted} with a use option"),
                ))
            }
            [first, second, ..] => {
                let problem = format!(
                    "[{}] and [{}] have the same name",
                    shorten(first),
                    shorten(second)
                );
                Err(Error::new(
                    ErrorKind::Syntax,
                    place,
                    problem,
                    "rename one of them",
                ))
            }
        }
    }

    fn named<'a>(&'a self, prefix: &str, name: &str) -> Vec<&'a str> {
        let matches = |section: &&str| {
            let rest = section
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix(':'));
            rest.is_some_and(|rest| trim(rest) == name)
        };
        self.ini.sections().filter(matches).collect()
    }

    fn refuse_unread(&self, section: &str, scope: &Scope) -> Result<(), Error> {
        if scope.local.contains_key("filter-with") {
            let advice = "name the filter in the pipeline instead";
            return Err(self.refuse(section, "filter-with is not read", advice));
        }
        if scope.local.keys().any(|name| name.starts_with("paste.")) {
            let problem = "Python factories cannot be loaded";
            return Err(self.refuse(section, problem, "write use = egg:swift#NAME instead"));
        }
        Ok(())
    }

    fn refuse(&self, section: &str, problem: &str, advice: &str) -> Error {
        let place = Place::section(self.ini.source(), section);
        Error::new(ErrorKind::Unknown, place, problem, advice)
    }

    fn missing(&self, section: &str, problem: &str, advice: &str) -> Error {
        let place = Place::section(self.ini.source(), section);
        Error::new(ErrorKind::Missing, place, problem, advice)
    }

    fn with_here(mut ini: Ini, directory: Option<&Path>) -> Self {
        let path = std::path::absolute(ini.source()).unwrap_or_else(|_| ini.source().to_path_buf());
        let here = match directory {
            Some(_) => path.clone(),
            None => path.parent().map(Path::to_path_buf).unwrap_or_default(),
        };
        for (name, path) in [("here", here), ("__file__", path)] {
            if ini.defaults.get(name).is_none() {
                let text = path.to_string_lossy().into_owned();
                ini.defaults.put(name, Value { text, origin: None });
            }
        }
        Self { ini }
    }
}

/// A section's options by where they count.
#[derive(Default)]
struct Scope {
    global: Values,
    local: Values,
    /// What `set` added; it wins over a base section too.
    additions: Values,
}

struct Context {
    section: String,
    factory: String,
    global: Values,
    local: Values,
}

/// Returns whether a name is one of another place, such as `egg:swift#account`.
fn has_scheme(name: &str) -> bool {
    let scheme = name.split_once(':').map_or("", |(scheme, _)| scheme);
    !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphabetic())
}
