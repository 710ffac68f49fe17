//! The text format: what Python's `configparser` accepts, as Swift uses it.
//!
//! ```text
//! # comment                     a line that starts with # or ; (space before allowed)
//! [section] rest is ignored     up to the last ] of the line; names keep their case and space
//! name = value                  the first = or : splits; either side is trimmed
//! name: value ; not a comment   a comment needs a line of its own
//!     more value                deeper than its option: continues the value after a newline
//! name = %(other)s              other from the same section or from [DEFAULT]
//! ```
//!
//! `[DEFAULT]` is inherited by every section. A section or option twice in one file is refused; a
//! later file of a directory overrides an earlier one option by option. Empty lines belong to the
//! value that they interrupt. References nest ten deep.
//!
//! Swift differs here in one way: an unreadable file of a directory is skipped there without a
//! word, and is refused here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Place, shorten};
use crate::options::{Options, Origin, Value};
use crate::value::{is_space, trim};

/// Largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// How deep references may nest.
pub const MAX_DEPTH: usize = 10;
/// How many references one value may resolve, nested ones included.
pub const MAX_REFERENCES: usize = 10_000;
/// Largest value after references are resolved, in bytes.
pub const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// The section that all others inherit.
pub const DEFAULT: &str = "DEFAULT";

/// How bytes become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8; other bytes are refused.
    Utf8,
    /// Latin-1: each byte is the character of the same number, so that all bytes survive.
    Latin1,
}

/// The three ways in which Swift reads its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Option names are made lower case; section names never are.
    pub fold_names: bool,
    /// A value without `%(` is taken as it stands, so that `1%` needs no escape.
    pub lone_percent: bool,
    /// How bytes become text.
    pub encoding: Encoding,
}

impl Dialect {
    /// Servers, daemons and the rate limit file.
    pub const SERVER: Self = Self {
        fold_names: false,
        lone_percent: true,
        encoding: Encoding::Utf8,
    };
    /// `swift.conf`.
    pub const SWIFT_CONF: Self = Self {
        fold_names: true,
        lone_percent: false,
        encoding: Encoding::Latin1,
    };
    /// `container-sync-realms.conf`.
    pub const REALMS: Self = Self {
        fold_names: true,
        lone_percent: false,
        encoding: Encoding::Utf8,
    };
}

/// Options of one section as written, in the order of first mention.
#[derive(Clone, Default)]
pub(crate) struct RawSection {
    entries: Vec<(String, Value)>,
    index: HashMap<String, usize>,
}

impl RawSection {
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.index.get(name).map(|at| &self.entries[*at].1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(String, Value)> {
        self.entries.iter()
    }

    pub(crate) fn put(&mut self, name: &str, value: Value) -> usize {
        if let Some(at) = self.index.get(name) {
            self.entries[*at].1 = value;
            return *at;
        }
        self.entries.push((name.to_owned(), value));
        self.index.insert(name.to_owned(), self.entries.len() - 1);
        self.entries.len() - 1
    }
}

/// Holds one file, or the files of one directory, as written.
#[derive(Clone)]
pub struct Ini {
    source: PathBuf,
    dialect: Dialect,
    pub(crate) defaults: RawSection,
    sections: Vec<(String, RawSection)>,
    index: HashMap<String, usize>,
}

impl Ini {
    /// Reads a file, or all `*.conf` files of a directory in the order of their names.
    ///
    /// Names that start with a dot are left out, and so are directories.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Read`] if a file cannot be read or the directory has no such file,
    /// [`ErrorKind::Syntax`] for a line that means nothing or is there twice.
    pub fn load(path: &Path, dialect: Dialect) -> Result<Self, Error> {
        let mut ini = Self::empty(path, dialect);
        let files = if path.is_dir() {
            conf_files(path)?
        } else {
            vec![path.to_path_buf()]
        };
        for file in &files {
            ini.add(&read_bounded(file)?, file)?;
        }
        Ok(ini)
    }

    /// Parses bytes; `source` is for messages and for `%(here)s`.
    ///
    /// # Errors
    ///
    /// As [`Ini::load`].
    pub fn parse(bytes: &[u8], source: &Path, dialect: Dialect) -> Result<Self, Error> {
        let mut ini = Self::empty(source, dialect);
        ini.add(bytes, source)?;
        Ok(ini)
    }

    /// Returns the path that was read.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// Visits the names of all sections but `[DEFAULT]`, in the order of first mention.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.sections.iter().map(|(name, _)| name.as_str())
    }

    /// Returns a section with what it inherits, as daemons see it: its own options win.
    ///
    /// `None` if there is no such section. `[DEFAULT]` counts as a section here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Interpolation`] for a bad reference in any of its options.
    ///
    /// # Swift
    ///
    /// `readconf(path, section)`, without the `log_name` that it adds.
    pub fn section(&self, name: &str) -> Result<Option<Options>, Error> {
        let Some(own) = self.raw(name) else {
            return Ok(None);
        };
        let inherited = self
            .defaults
            .iter()
            .filter(|(option, _)| own.get(option).is_none());
        self.resolve(name, own.iter().chain(inherited)).map(Some)
    }

    /// Returns a section without what it inherits; its references may still use `[DEFAULT]`.
    ///
    /// # Errors
    ///
    /// As [`Ini::section`].
    pub fn own_section(&self, name: &str) -> Result<Option<Options>, Error> {
        let Some(own) = self.raw(name) else {
            return Ok(None);
        };
        self.resolve(name, own.iter()).map(Some)
    }

    pub(crate) fn raw(&self, name: &str) -> Option<&RawSection> {
        if name == DEFAULT {
            return Some(&self.defaults);
        }
        self.index.get(name).map(|at| &self.sections[*at].1)
    }

    fn resolve<'a>(
        &self,
        section: &str,
        entries: impl Iterator<Item = &'a (String, Value)>,
    ) -> Result<Options, Error> {
        let mut values = BTreeMap::new();
        for (option, value) in entries {
            let text = self.expand(section, option, value)?;
            values.insert(
                option.clone(),
                Value {
                    text,
                    origin: value.origin.clone(),
                },
            );
        }
        Ok(Options::new(&self.source, section, values))
    }

    /// Resolves the references in one value, which see the section first and `[DEFAULT]` next.
    pub(crate) fn expand(
        &self,
        section: &str,
        option: &str,
        value: &Value,
    ) -> Result<String, Error> {
        if self.dialect.lone_percent && !value.text.contains("%(") {
            return Ok(value.text.clone());
        }
        let mut expander = Expander {
            ini: self,
            own: self.raw(section),
            out: String::new(),
            references: 0,
        };
        match expander.run(&value.text, 1) {
            Ok(()) => Ok(expander.out),
            Err((problem, advice)) => {
                let place = Place {
                    file: value
                        .origin
                        .as_ref()
                        .map_or(self.source.clone(), |at| at.file.to_path_buf()),
                    line: value.origin.as_ref().map(|at| at.line),
                    section: Some(section.to_owned()),
                    option: Some(option.to_owned()),
                };
                Err(Error::new(ErrorKind::Interpolation, place, problem, advice))
            }
        }
    }

    fn empty(source: &Path, dialect: Dialect) -> Self {
        Self {
            source: source.to_path_buf(),
            dialect,
            defaults: RawSection::default(),
            sections: Vec::new(),
            index: HashMap::new(),
        }
    }

    fn add(&mut self, bytes: &[u8], file: &Path) -> Result<(), Error> {
        let text = decode(bytes, file, self.dialect.encoding)?;
        Reader::new(self, file).run(&text)
    }

    /// Returns the number of a section, made if new; `None` for `[DEFAULT]`.
    fn section_slot(&mut self, name: &str) -> Option<usize> {
        if name == DEFAULT {
            return None;
        }
        if let Some(at) = self.index.get(name) {
            return Some(*at);
        }
        self.sections.push((name.to_owned(), RawSection::default()));
        self.index.insert(name.to_owned(), self.sections.len() - 1);
        Some(self.sections.len() - 1)
    }

    fn slot_mut(&mut self, slot: Option<usize>) -> &mut RawSection {
        match slot {
            None => &mut self.defaults,
            Some(at) => &mut self.sections[at].1,
        }
    }
}

/// Shows section names only, because values may be secrets.
impl std::fmt::Debug for Ini {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ini")
            .field("source", &self.source)
            .field("sections", &self.sections().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Reads the lines of one file into an [`Ini`].
struct Reader<'a> {
    ini: &'a mut Ini,
    file: Arc<Path>,
    line: usize,
    /// Column of the last section or option; deeper lines continue a value.
    indent: usize,
    /// Name and slot of the section being read; `None` before the first.
    section: Option<(String, Option<usize>)>,
    /// The option that a deeper line would continue, by its place in the section.
    open: Option<usize>,
    seen_sections: HashSet<String>,
    seen_options: HashSet<(String, String)>,
}

impl<'a> Reader<'a> {
    fn new(ini: &'a mut Ini, file: &Path) -> Self {
        Self {
            ini,
            file: Arc::from(file),
            line: 0,
            indent: 0,
            section: None,
            open: None,
            seen_sections: HashSet::new(),
            seen_options: HashSet::new(),
        }
    }

    fn run(mut self, text: &str) -> Result<(), Error> {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        for line in text.split('\n') {
            self.line += 1;
            self.read_line(line)?;
        }
        self.close();
        Ok(())
    }

    fn read_line(&mut self, line: &str) -> Result<(), Error> {
        let content = trim(line);
        if content.starts_with(['#', ';']) {
            return Ok(());
        }
        if content.is_empty() {
            self.extend("");
            return Ok(());
        }
        let indent = line.chars().take_while(|c| is_space(*c)).count();
        if self.open.is_some() && indent > self.indent {
            self.extend(content);
            return Ok(());
        }
        self.indent = indent;
        match header(content) {
            Some(name) => self.start_section(name),
            None => self.read_option(content),
        }
    }

    /// Adds a line to the open option, if any.
    fn extend(&mut self, content: &str) {
        if let (Some((_, slot)), Some(at)) = (&self.section, self.open) {
            let text = &mut self.ini.slot_mut(*slot).entries[at].1.text;
            text.push('\n');
            text.push_str(content);
        }
    }

    /// Ends the open option: empty lines after a value are no part of it.
    fn close(&mut self) {
        if let (Some((_, slot)), Some(at)) = (&self.section, self.open.take()) {
            let text = &mut self.ini.slot_mut(*slot).entries[at].1.text;
            text.truncate(text.trim_end_matches(is_space).len());
        }
    }

    fn start_section(&mut self, name: &str) -> Result<(), Error> {
        self.close();
        if name != DEFAULT && !self.seen_sections.insert(name.to_owned()) {
            let problem = format!("section [{}] is there twice", shorten(name));
            return Err(self.refuse(problem, "merge the two, or move one to a later file"));
        }
        let slot = self.ini.section_slot(name);
        self.section = Some((name.to_owned(), slot));
        Ok(())
    }

    fn read_option(&mut self, content: &str) -> Result<(), Error> {
        self.close();
        let Some((section, slot)) = self.section.clone() else {
            return Err(self.refuse(
                "text before the first section",
                "begin with a line such as [DEFAULT]",
            ));
        };
        let split = content
            .split_once(['=', ':'])
            .filter(|(name, _)| !name.is_empty());
        let Some((name, value)) = split else {
            return Err(self.refuse(
                "this line is neither a section nor an option",
                "write name = value, or start the line with # to make it a comment",
            ));
        };
        let mut name = name.trim_end_matches(is_space).to_owned();
        if self.ini.dialect.fold_names {
            name = name.to_lowercase();
        }
        if !self.seen_options.insert((section.clone(), name.clone())) {
            let problem = format!(
                "option {} of [{}] is there twice",
                shorten(&name),
                shorten(&section)
            );
            return Err(self.refuse(problem, "keep one of them"));
        }
        let origin = Some(Origin {
            file: Arc::clone(&self.file),
            line: self.line,
        });
        let value = Value {
            text: trim(value).to_owned(),
            origin,
        };
        self.open = Some(self.ini.slot_mut(slot).put(&name, value));
        Ok(())
    }

    fn refuse(&self, problem: impl Into<String>, advice: &str) -> Error {
        Error::new(
            ErrorKind::Syntax,
            Place::line(&self.file, self.line),
            problem,
            advice,
        )
    }
}

/// Resolves the references of one value.
struct Expander<'a> {
    ini: &'a Ini,
    own: Option<&'a RawSection>,
    out: String,
    references: usize,
}

/// What is wrong and what to do.
type Refusal = (String, &'static str);

impl Expander<'_> {
    fn run(&mut self, text: &str, depth: usize) -> Result<(), Refusal> {
        if depth > MAX_DEPTH {
            let problem = format!("references go more than {MAX_DEPTH} deep");
            return Err((problem, "look for an option that refers to itself"));
        }
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            self.push(&rest[..at])?;
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                self.push("%")?;
                rest = after;
                continue;
            }
            let Some((name, after)) = reference(rest) else {
                return Err((
                    "a % is followed by neither % nor (name)s".to_owned(),
                    "write %% for a plain %",
                ));
            };
            self.follow(name, depth)?;
            rest = after;
        }
        self.push(rest)
    }

    fn follow(&mut self, name: &str, depth: usize) -> Result<(), Refusal> {
        self.references += 1;
        if self.references > MAX_REFERENCES {
            let problem = format!("it has more than {MAX_REFERENCES} references");
            return Err((problem, "write the value out"));
        }
        let name = if self.ini.dialect.fold_names {
            name.to_lowercase()
        } else {
            name.to_owned()
        };
        let value = self
            .own
            .and_then(|own| own.get(&name))
            .or_else(|| self.ini.defaults.get(&name));
        let Some(value) = value else {
            let problem = format!("%({})s names no option", shorten(&name));
            return Err((
                problem,
                "set that option in the same section or in [DEFAULT]",
            ));
        };
        if !value.text.contains('%') {
            return self.push(&value.text);
        }
        self.run(&value.text, depth + 1)
    }

    fn push(&mut self, text: &str) -> Result<(), Refusal> {
        if self.out.len() + text.len() > MAX_VALUE_BYTES {
            let problem = format!("its value grows beyond {MAX_VALUE_BYTES} bytes");
            return Err((problem, "use fewer references"));
        }
        self.out.push_str(text);
        Ok(())
    }
}

/// Splits `(name)s rest`; `None` if the text does not start with a reference.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.strip_prefix('(')?.split_once(')')?;
    let rest = rest.strip_prefix('s')?;
    (!name.is_empty()).then_some((name, rest))
}

/// Returns the name in a `[name]` line; text after the last `]` is ignored.
fn header(content: &str) -> Option<&str> {
    let inner = content.strip_prefix('[')?;
    let name = &inner[..inner.rfind(']')?];
    (!name.is_empty()).then_some(name)
}

fn decode(bytes: &[u8], file: &Path, encoding: Encoding) -> Result<String, Error> {
    if encoding == Encoding::Latin1 {
        return Ok(bytes.iter().map(|byte| char::from(*byte)).collect());
    }
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|error| {
            let good = &bytes[..error.valid_up_to()];
            let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
            Error::new(
                ErrorKind::Read,
                Place::line(file, line),
                "the text is not UTF-8",
                "save the file as UTF-8",
            )
        })
}

fn conf_files(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |error| Error::unreadable(directory, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let bytes = name.as_encoded_bytes();
        let path = directory.join(&name);
        if bytes.ends_with(b".conf") && !bytes.starts_with(b".") && !path.is_dir() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::new(
            ErrorKind::Read,
            Place::file(directory),
            "the directory has no *.conf file",
            "add one, or name the right directory",
        ));
    }
    files.sort();
    Ok(files)
}

fn read_bounded(file: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |error| Error::unreadable(file, &error);
    let mut bytes = Vec::new();
    let handle = fs::File::open(file).map_err(unreadable)?;
    handle
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::new(
            ErrorKind::Read,
            Place::file(file),
            format!("the file is larger than {MAX_FILE_BYTES} bytes"),
            "check that this is a configuration file",
        ));
    }
    Ok(bytes)
}
