//! The options of one section after inheritance and references, with their places.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Place, shorten};
use crate::value;

/// Where an option was written.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) file: Arc<Path>,
    pub(crate) line: usize,
}

/// A value with its place; options that no file wrote have none.
#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) text: String,
    pub(crate) origin: Option<Origin>,
}

/// Holds the resolved options of one section, by name.
///
/// Names compare byte by byte. The typed accessors return the default when the option is absent,
/// and an [`Error`] that names the place when its value does not fit.
#[derive(Clone)]
pub struct Options {
    source: PathBuf,
    section: String,
    values: BTreeMap<String, Value>,
}

impl Options {
    pub(crate) fn new(source: &Path, section: &str, values: BTreeMap<String, Value>) -> Self {
        Self {
            source: source.to_path_buf(),
            section: section.to_owned(),
            values,
        }
    }

    /// Returns the name of the section.
    pub fn section(&self) -> &str {
        &self.section
    }

    /// Returns an option's text; `None` if absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.text.as_str())
    }

    /// Returns an option's text; `None` if absent or empty.
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|text| !text.is_empty())
    }

    /// Visits all options in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.text.as_str()))
    }

    /// Returns an option's text, or the default if absent.
    pub fn text(&self, name: &str, default: &str) -> String {
        self.get(name).unwrap_or(default).to_owned()
    }

    /// Returns an option as a path, or the default if absent.
    pub fn path(&self, name: &str, default: &str) -> PathBuf {
        PathBuf::from(self.get(name).unwrap_or(default))
    }

    /// Returns an option as a boolean, see [`value::is_true`].
    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.get(name).map_or(default, value::is_true)
    }

    /// Returns an option as a whole number within a range, ends included.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Value`] if it is not a whole number or out of range.
    pub fn integer(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
        default: i64,
    ) -> Result<i64, Error> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        value::integer(text)
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let wanted = describe_range(&range);
                self.bad_value(
                    name,
                    &format!("give {wanted}, or leave it out for {default}"),
                )
            })
    }

    /// Returns an option as a number that is not negative.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Value`] if it is negative or not a finite number.
    pub fn non_negative(&self, name: &str, default: f64) -> Result<f64, Error> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        value::float(text)
            .filter(|number| *number >= 0.0)
            .ok_or_else(|| {
                self.bad_value(
                    name,
                    &format!("give a number from 0, or leave it out for {default}"),
                )
            })
    }

    /// Returns an option as a time in seconds; fractions are allowed, `0` too.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Value`] if it is not such a number.
    pub fn seconds(&self, name: &str, default: Duration) -> Result<Duration, Error> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        value::seconds(text).ok_or_else(|| {
            let default = default.as_secs_f64();
            self.bad_value(
                name,
                &format!("give seconds from 0, or leave it out for {default}"),
            )
        })
    }

    /// Makes an error that says that this option's value does not fit, and repeats the value.
    pub fn bad_value(&self, name: &str, advice: &str) -> Error {
        let text = shorten(self.get(name).unwrap_or_default());
        Error::new(
            ErrorKind::Value,
            self.place(name),
            format!("\"{text}\" is not a valid value"),
            advice,
        )
    }

    /// Makes an error that says that this option is absent.
    pub fn missing(&self, name: &str, advice: &str) -> Error {
        Error::new(
            ErrorKind::Missing,
            self.place(name),
            "it is not set",
            advice,
        )
    }

    /// Returns the place of an option: file and line where written, else file and section.
    pub fn place(&self, name: &str) -> Place {
        let origin = self
            .values
            .get(name)
            .and_then(|value| value.origin.as_ref());
        Place {
            file: origin.map_or_else(|| self.source.clone(), |at| at.file.to_path_buf()),
            line: origin.map(|at| at.line),
            section: Some(self.section.clone()),
            option: Some(name.to_owned()),
        }
    }
}

/// Shows names only, because values may be secrets.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("section", &self.section)
            .field("names", &self.values.keys())
            .finish_non_exhaustive()
    }
}

fn describe_range(range: &RangeInclusive<i64>) -> String {
    match (*range.start(), *range.end()) {
        (i64::MIN, _) => "a whole number".to_owned(),
        (low, i64::MAX) => format!("a whole number from {low}"),
        (low, high) => format!("a whole number from {low} to {high}"),
    }
}
