//! How Swift reads the values of options.
//!
//! Swift leaves most of this to Python's `int` and `float`; what these accept (surrounding space, a
//! sign, single underscores between digits) is accepted here, so that a file that works with Swift
//! works here too. Two differences: `nan` and `inf` are refused, because no option means anything
//! with them, and only ASCII digits count.

use std::time::Duration;

/// Returns whether a value means true: `true`, `1`, `yes`, `on`, `t` or `y`, in any case.
///
/// All else is false, also the same words with space around them.
pub fn is_true(value: &str) -> bool {
    ["true", "1", "yes", "on", "t", "y"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

/// Parses a whole number; `None` if it is not one or does not fit 64 bits.
pub fn integer(value: &str) -> Option<i64> {
    without_underscores(trim(value))?.parse().ok()
}

/// Parses a finite decimal number; `None` for anything else.
pub fn float(value: &str) -> Option<f64> {
    let number: f64 = without_underscores(trim(value))?.parse().ok()?;
    number.is_finite().then_some(number)
}

/// Parses a number of seconds that is not negative; `None` for anything else.
pub fn seconds(value: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(float(value)?).ok()
}

/// Splits a comma list, drops space around the items, and drops empty items.
pub fn list(value: &str) -> Vec<String> {
    value
        .split(',')
        .map(trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A whole number, or the word `auto` for a number that the program finds itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoInteger {
    /// `auto`, in any case, without space around it.
    Auto,
    /// A number.
    Number(i64),
}

impl AutoInteger {
    /// Parses `auto` or a whole number; `None` for anything else.
    pub fn parse(value: &str) -> Option<Self> {
        if value.eq_ignore_ascii_case("auto") {
            return Some(Self::Auto);
        }
        integer(value).map(Self::Number)
    }
}

/// The free space that must remain on a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FallocateReserve {
    /// Bytes.
    Bytes(u64),
    /// Per cent of the device's size; 100 and more mean that a device never has enough.
    Percent(f64),
}

impl FallocateReserve {
    /// Parses bytes, or a percentage if the last character is `%`; `None` for anything else.
    ///
    /// A negative number means that nothing is reserved, as in Swift.
    pub fn parse(value: &str) -> Option<Self> {
        match value.strip_suffix('%') {
            Some(percent) => float(percent).map(|number| Self::Percent(number.max(0.0))),
            None => integer(value).map(|bytes| Self::Bytes(u64::try_from(bytes).unwrap_or(0))),
        }
    }
}

impl Default for FallocateReserve {
    fn default() -> Self {
        Self::Percent(1.0)
    }
}

/// Returns whether Python takes a character for space: Unicode's, and four more controls.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Drops underscores that stand between two digits; `None` if one stands elsewhere.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let misplaced =
        (0..bytes.len()).any(|at| bytes[at] == b'_' && !(at > 0 && digit(at - 1) && digit(at + 1)));
    (!misplaced).then(|| text.replace('_', ""))
}
