//! The one error of this crate: where, what is wrong, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Longest piece of a file that a message repeats, in characters.
const QUOTED_CHARS: usize = 60;

/// Tells apart why a configuration was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or directory is absent, unreadable, too large or not in the expected encoding.
    Read,
    /// A line is neither a section, an option, a comment nor a continuation, or is there twice.
    Syntax,
    /// A `%(name)s` reference is malformed, names nothing, or goes too deep.
    Interpolation,
    /// A required section or option is absent.
    Missing,
    /// A name is not one of those that this program knows.
    Unknown,
    /// An option has a value that it must not have.
    Value,
}

/// Says where in a configuration something stands; unknown parts are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, or the directory if no single file is to blame.
    pub file: PathBuf,
    /// Line number, counted from 1.
    pub line: Option<usize>,
    /// Section name without brackets.
    pub section: Option<String>,
    /// Option name.
    pub option: Option<String>,
}

impl Place {
    /// Returns the place of a whole file.
    pub fn file(path: &Path) -> Self {
        Self {
            file: path.to_path_buf(),
            ..Self::default()
        }
    }

    pub(crate) fn line(path: &Path, line: usize) -> Self {
        Self {
            line: Some(line),
            ..Self::file(path)
        }
    }

    pub(crate) fn section(path: &Path, section: &str) -> Self {
        Self {
            section: Some(section.to_owned()),
            ..Self::file(path)
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.as_os_str().is_empty() {
            f.write_str("configuration")?;
        } else {
            write!(f, "{}", self.file.display())?;
        }
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        if let Some(section) = &self.section {
            write!(f, ", [{}]", shorten(section))?;
        }
        if let Some(option) = &self.option {
            write!(f, ", option {}", shorten(option))?;
        }
        Ok(())
    }
}

/// Reports a configuration that is refused.
///
/// The text reads `<place>: <problem>; <advice>`. Values are repeated only for options that hold
/// no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{place}: {problem}; {advice}")]
pub struct Error {
    kind: ErrorKind,
    place: Box<Place>,
    problem: String,
    advice: String,
}

impl Error {
    /// Makes an error from its parts, for callers that check more than this crate does.
    pub fn new(
        kind: ErrorKind,
        place: Place,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            place: Box::new(place),
            problem: problem.into(),
            advice: advice.into(),
        }
    }

    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::new(
            ErrorKind::Read,
            Place::file(path),
            format!("cannot be read: {error}"),
            "check that it exists and that this user may read it",
        )
    }

    /// Returns why it was refused.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns where it stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns what is wrong.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Returns what to do about it.
    pub fn advice(&self) -> &str {
        &self.advice
    }
}

/// Returns text for a message: control characters escaped, and cut when long.
pub(crate) fn shorten(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(QUOTED_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(QUOTED_CHARS).is_some() {
        out.push_str("...");
    }
    out
}
