//! Listings: the queries, and the one driver that turns an ordered scan into a listing.
//!
//! An engine supplies rows in name order from a starting point and can *seek*. Everything that makes
//! a listing a Swift listing stands here once: exclusive markers, `reverse`, `prefix`, `delimiter`
//! roll-up, path mode and the limit. After a subdir the driver seeks past it; rows inside are not read.
//!
//! ```text
//! rows      a   b/1  b/2  …  b/9999   c          delimiter /
//! driver    a   b/1 -> subdir b/, seek past "b/"  c
//! ```

use std::ops::Bound;

/// Rows that hide behind the first byte of their name unless a listing asks for them.
const RESERVED: char = '\0';

/// How many entries Swift returns at most when no limit is given.
pub const DEFAULT_LIMIT: usize = 10_000;

/// What part of the names a listing shows, and how; common to accounts and containers.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListingQuery {
    /// The largest number of entries; zero gives none.
    pub limit: usize,
    /// Exclusive start in listing order; empty for none.
    pub marker: String,
    /// Exclusive end in listing order; empty for none.
    pub end_marker: String,
    /// Only names that start so; empty for all.
    pub prefix: String,
    /// Rolls names up to the first occurrence after the prefix into a subdir; empty for no roll-up.
    pub delimiter: String,
    /// Path mode: only names directly under this path, `Some("")` being the root. Prefix and
    /// delimiter are then ignored. Containers only.
    pub path: Option<String>,
    /// Descending order.
    pub reverse: bool,
    /// Shows names whose first character is NUL.
    pub allow_reserved: bool,
}

impl ListingQuery {
    /// A listing of up to `limit` names in ascending order, without any filter.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }
}

/// Which end of the key space a scan starts from, and where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRange {
    /// The lowest name.
    pub lower: Bound<String>,
    /// The highest name.
    pub upper: Bound<String>,
    /// Whether to go from the highest to the lowest.
    pub reverse: bool,
}

/// What a scan does after a row was visited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Visit the next row in order.
    Next,
    /// Skip to the first row within this bound: the new lower bound of a forward scan, the new upper
    /// bound of a reverse one.
    Seek(Bound<String>),
    /// End the scan.
    Stop,
}

/// What a row becomes in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown<'a> {
    /// The row itself.
    Row,
    /// A subdir of this name, which is a part of the row's name.
    Subdir(&'a str),
    /// Nothing.
    Hidden,
}

/// Turns an ordered scan over names into a listing.
///
/// # Examples
/// ```
/// # use broker_api::listing::{ListingDriver, ListingQuery, Shown, Step};
/// let mut query = ListingQuery::new(10);
/// query.delimiter = "/".into();
/// let mut driver = ListingDriver::new(&query).unwrap();
/// let (shown, step) = driver.visit("b/1");
/// assert_eq!(shown, Shown::Subdir("b/"));
/// assert!(matches!(step, Step::Seek(_)));
/// ```
#[derive(Debug)]
pub struct ListingDriver {
    mode: Mode,
    range: NameRange,
    /// The subdir of this name is not shown: it is the exclusive lower bound.
    lower_marker: String,
    prefix: String,
    remaining: usize,
}

#[derive(Debug)]
enum Mode {
    Plain,
    Delimiter(String),
    Path,
}

impl ListingDriver {
    /// Prepares a listing; `None` when no name can be in it.
    pub fn new(query: &ListingQuery) -> Option<Self> {
        let (mode, prefix) = match &query.path {
            Some(path) => (Mode::Path, path_prefix(path)),
            None if query.delimiter.is_empty() => (Mode::Plain, query.prefix.clone()),
            None => (
                Mode::Delimiter(query.delimiter.clone()),
                query.prefix.clone(),
            ),
        };
        let (low, high) = match query.reverse {
            false => (&query.marker, &query.end_marker),
            true => (&query.end_marker, &query.marker),
        };
        let range = name_range(query, &prefix, low, high);
        if query.limit == 0 || is_empty_range(&range) {
            return None;
        }
        Some(Self {
            mode,
            range,
            lower_marker: low.clone(),
            prefix,
            remaining: query.limit,
        })
    }

    /// The names to scan.
    pub fn range(&self) -> &NameRange {
        &self.range
    }

    /// The prefix that every shown name starts with; the scan's range already sees to it.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Judges the next name of the scan: what to show for it, and how to go on.
    pub fn visit<'a>(&mut self, name: &'a str) -> (Shown<'a>, Step) {
        let (shown, step) = match &self.mode {
            Mode::Plain => (Shown::Row, Step::Next),
            Mode::Delimiter(delimiter) => self.roll_up(name, delimiter),
            Mode::Path => self.in_path(name),
        };
        if shown == Shown::Hidden {
            return (shown, step);
        }
        self.remaining -= 1;
        if self.remaining == 0 {
            (shown, Step::Stop)
        } else {
            (shown, step)
        }
    }

    fn roll_up<'a>(&self, name: &'a str, delimiter: &str) -> (Shown<'a>, Step) {
        let Some(at) = name
            .get(self.prefix.len()..)
            .and_then(|rest| rest.find(delimiter))
        else {
            return (Shown::Row, Step::Next);
        };
        let dir = &name[..self.prefix.len() + at + delimiter.len()];
        let shown = match dir == self.lower_marker {
            true => Shown::Hidden,
            false => Shown::Subdir(dir),
        };
        (shown, self.past(dir))
    }

    fn in_path<'a>(&self, name: &'a str) -> (Shown<'a>, Step) {
        let rest = name.get(self.prefix.len()..).unwrap_or_default();
        if rest.is_empty() {
            return (Shown::Hidden, Step::Next);
        }
        match rest.find('/') {
            Some(at) if at + 1 < rest.len() => {
                let dir = &name[..self.prefix.len() + at + 1];
                // Reverse order meets the directory itself last; it is a row of its own to show.
                let step = match self.range.reverse {
                    false => self.past(dir),
                    true => Step::Seek(Bound::Included(dir.to_owned())),
                };
                (Shown::Hidden, step)
            }
            _ => (Shown::Row, Step::Next),
        }
    }

    /// Skips every name that starts with `dir`.
    fn past(&self, dir: &str) -> Step {
        if self.range.reverse {
            return Step::Seek(Bound::Excluded(dir.to_owned()));
        }
        match after_prefix(dir) {
            Some(next) => Step::Seek(Bound::Included(next)),
            None => Step::Stop,
        }
    }
}

/// The first text after every text that starts with `prefix`; `None` when there is none.
pub fn after_prefix(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // The code points between U+D7FF and U+E000 are no characters.
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            last => char::from_u32(last as u32 + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

fn path_prefix(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => String::new(),
        trimmed => format!("{trimmed}/"),
    }
}

fn name_range(query: &ListingQuery, prefix: &str, low: &str, high: &str) -> NameRange {
    let mut lower = match query.allow_reserved {
        true => Bound::Unbounded,
        false => Bound::Included("\u{1}".to_owned()),
    };
    let mut upper = Bound::Unbounded;
    if !prefix.is_empty() {
        lower = higher(lower, Bound::Included(prefix.to_owned()));
        upper = after_prefix(prefix).map_or(Bound::Unbounded, Bound::Excluded);
    }
    if !low.is_empty() {
        lower = higher(lower, Bound::Excluded(low.to_owned()));
    }
    if !high.is_empty() && !matches!(&upper, Bound::Excluded(text) if text.as_str() < high) {
        upper = Bound::Excluded(high.to_owned());
    }
    if !query.allow_reserved && prefix.starts_with(RESERVED) {
        upper = Bound::Excluded(String::new());
    }
    NameRange {
        lower,
        upper,
        reverse: query.reverse,
    }
}

fn higher(a: Bound<String>, b: Bound<String>) -> Bound<String> {
    let rank = |bound: &Bound<String>| match bound {
        Bound::Unbounded => (String::new(), 0),
        Bound::Included(text) => (text.clone(), 0),
        Bound::Excluded(text) => (text.clone(), 1),
    };
    if rank(&a) >= rank(&b) { a } else { b }
}

fn is_empty_range(range: &NameRange) -> bool {
    use Bound::{Excluded, Included, Unbounded};
    match (&range.lower, &range.upper) {
        (Unbounded, Excluded(high)) => high.is_empty(),
        (Unbounded, _) | (_, Unbounded) => false,
        (Included(low), Included(high)) => low > high,
        (Included(low) | Excluded(low), Excluded(high) | Included(high)) => low >= high,
    }
}
