//! Settings of an engine: the options of its section `[engine:NAME]`.
//!
//! ```text
//! table, written once by the engine ──► apus engines: what may be set, and what it means
//!        │
//!        └─► Settings::read ──► values; refuses what the table does not have
//! ```

use broker_api::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// One setting, in words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the section.
    pub name: &'static str,
    /// The value that it has when it is not set.
    pub default: &'static str,
    /// What it may be: `process or disk`, `a whole number from 1 to 64`.
    pub values: &'static str,
    /// What it does, in a few words.
    pub meaning: &'static str,
}

/// The settings that a configuration gives an engine.
///
/// # Examples
/// ```
/// use broker_runtime::settings::{Setting, Settings};
///
/// const TABLE: &[Setting] = &[Setting {
///     name: "cache_mb",
///     default: "64",
///     values: "a whole number from 1 to 65536",
///     meaning: "memory for pages, in MiB",
/// }];
/// let given = [("cache_mb".to_owned(), "256".to_owned())].into();
/// let settings = Settings::read("mine", TABLE, &given)?;
/// assert_eq!(settings.whole_number("cache_mb", 1..=65_536)?, Some(256));
/// assert!(Settings::read("mine", TABLE, &[("cash_mb".to_owned(), "1".to_owned())].into()).is_err());
/// # Ok::<(), broker_api::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    engine: &'a str,
    given: &'a BTreeMap<String, String>,
}

impl<'a> Settings<'a> {
    /// Takes the settings of a section when all of them are in the engine's table.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] names the unknown setting and those that there are.
    pub fn read(
        engine: &'a str,
        table: &[Setting],
        given: &'a BTreeMap<String, String>,
    ) -> Result<Self> {
        for key in given.keys() {
            if !table.iter().any(|setting| setting.name == key) {
                return Err(unknown(engine, table, key));
            }
        }
        Ok(Self { engine, given })
    }

    /// The text of a setting, if it is set.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.given.get(name).map(String::as_str)
    }

    /// A setting that is a whole number within a range, if it is set.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else.
    pub fn whole_number(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>> {
        let number = |text: &str| {
            let number = text.parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| {
                let (low, high) = (range.start(), range.end());
                self.bad_value(name, &format!("a whole number from {low} to {high}"))
            })
        };
        self.text(name).map(number).transpose()
    }

    /// A setting that is one of a few words, if it is set.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for any other word.
    pub fn one_of<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let choose = |text: &str| {
            let chosen = choices.iter().find(|(word, _)| *word == text);
            chosen.map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
                self.bad_value(name, &words.join(" or "))
            })
        };
        self.text(name).map(choose).transpose()
    }

    /// A setting that is on or off, in any of the words that Swift's own files use, if it is set.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for anything else.
    pub fn truth(&self, name: &str) -> Result<Option<bool>> {
        let read = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => Ok(true),
            "false" | "0" | "no" | "off" | "f" | "n" => Ok(false),
            _ => Err(self.bad_value(name, "true or false")),
        };
        self.text(name).map(read).transpose()
    }

    /// The error for a value that does not fit.
    pub fn bad_value(&self, name: &str, wanted: &str) -> Error {
        let (engine, value) = (self.engine, self.text(name).unwrap_or_default());
        let message = format!("{name} of the {engine} engine is {value:?}, not {wanted}");
        Error::new(ErrorKind::InvalidInput, message)
    }
}

fn unknown(engine: &str, table: &[Setting], key: &str) -> Error {
    let known: Vec<_> = table.iter().map(|setting| setting.name).collect();
    let known = match known.as_slice() {
        [] => "none".to_owned(),
        known => known.join(", "),
    };
    let message = format!("the {engine} engine has no setting {key:?}; it has {known}");
    Error::new(ErrorKind::InvalidInput, message)
}
