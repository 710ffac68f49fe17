//! Swift's timestamps: parsing, printing, order, and three of them in one string.
//!
//! A timestamp counts units of ten microseconds since the epoch and carries a 64-bit *offset* that
//! orders events which share a time. Swift prints it in three ways and stores and compares the text:
//!
//! ```text
//!            offset 0            offset 10
//! normal     0000000001.00000    0000000001.00000
//! internal   0000000001.00000    0000000001.00000_000000000000000a
//! short      0000000001.00000    0000000001.00000_a
//! ```
//!
//! An object row keeps three times in its `created_at`: data, content type and metadata, the second
//! and third as signed hexadecimal differences: `0000000005.00000+a+0`. See [`ObjectTimestamps`].
//!
//! Swift counterpart: `swift.common.utils.timestamp`.

use std::fmt;

/// Units of a [`Timestamp`] in one second.
pub const UNITS_PER_SECOND: u64 = 100_000;

/// The first number of seconds that is too large for a timestamp.
pub const MAX_SECONDS: u64 = 10_000_000_000;

const MAX_RAW: u64 = MAX_SECONDS * UNITS_PER_SECOND - 1;

/// A moment in units of ten microseconds, with an offset that breaks ties.
///
/// Ordered by time first, then by offset: the order of [`internal`](Timestamp::internal) text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    raw: u64,
    offset: u64,
}

/// Why a text or a number is not a timestamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid timestamp {text:?}: {reason}")]
pub struct InvalidTimestamp {
    text: String,
    reason: &'static str,
}

impl InvalidTimestamp {
    fn new(text: impl Into<String>, reason: &'static str) -> Self {
        Self {
            text: text.into(),
            reason,
        }
    }
}

impl Timestamp {
    /// The epoch without an offset; prints as `0000000000.00000`.
    pub const ZERO: Timestamp = Timestamp { raw: 0, offset: 0 };

    /// Makes a timestamp of `raw` units of ten microseconds and an offset.
    ///
    /// # Errors
    /// When `raw` reaches ten thousand million seconds.
    pub fn new(raw: u64, offset: u64) -> Result<Self, InvalidTimestamp> {
        if raw > MAX_RAW {
            return Err(InvalidTimestamp::new(raw.to_string(), "too large"));
        }
        Ok(Self { raw, offset })
    }

    /// Makes a timestamp of whole seconds, without an offset; seconds out of range become the last
    /// possible moment.
    pub fn from_seconds(seconds: u64) -> Self {
        Self {
            raw: seconds.saturating_mul(UNITS_PER_SECOND).min(MAX_RAW),
            offset: 0,
        }
    }

    /// Reads any spelling that Swift writes: a decimal number, then optionally `_` and up to sixteen
    /// hexadecimal digits.
    ///
    /// The number may have blanks around it, a sign, an exponent, `1.` and `.5`. It is rounded to the
    /// nearest unit, halves to even.
    ///
    /// # Errors
    /// When the text is anything else, negative, or reaches ten thousand million seconds.
    ///
    /// # Examples
    /// ```
    /// # use broker_api::Timestamp;
    /// let at = Timestamp::parse("1_A").unwrap();
    /// assert_eq!(at.internal(), "0000000001.00000_000000000000000a");
    /// assert_eq!(at.short(), "0000000001.00000_a");
    /// ```
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let (number, offset) = text.split_once('_').unwrap_or((text, ""));
        Ok(Self {
            raw: parse_raw(text, number)?,
            offset: parse_offset(text, offset)?,
        })
    }

    /// The time in units of ten microseconds since the epoch.
    pub fn raw(self) -> u64 {
        self.raw
    }

    /// The offset; zero for most.
    pub fn offset(self) -> u64 {
        self.offset
    }

    /// Whether this is the epoch without an offset, which Swift treats as "no time".
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// The same time without the offset.
    #[must_use]
    pub fn normalized(self) -> Self {
        Self {
            raw: self.raw,
            offset: 0,
        }
    }

    /// Adds `units` of ten microseconds, keeping the offset.
    ///
    /// # Errors
    /// When the result is negative or too large.
    pub fn shifted(self, units: i64) -> Result<Self, InvalidTimestamp> {
        let raw = self
            .raw
            .checked_add_signed(units)
            .ok_or_else(|| InvalidTimestamp::new(self.internal(), "delta makes it negative"))?;
        Self::new(raw, self.offset)
    }

    /// Adds to the offset.
    ///
    /// # Errors
    /// When the sum needs more than 64 bits.
    pub fn with_added_offset(self, offset: u64) -> Result<Self, InvalidTimestamp> {
        let offset = self
            .offset
            .checked_add(offset)
            .ok_or_else(|| InvalidTimestamp::new(self.internal(), "offset too large"))?;
        Ok(Self {
            raw: self.raw,
            offset,
        })
    }

    /// Mirrors the order of time: a later timestamp inverts to an earlier one.
    #[must_use]
    pub fn inverted(self) -> Self {
        match self.offset {
            0 => Self {
                raw: MAX_RAW - self.raw,
                offset: 0,
            },
            offset => Self {
                raw: (MAX_RAW - self.raw).saturating_sub(1),
                offset: 0u64.wrapping_sub(offset),
            },
        }
    }

    /// Text without the offset: `0000000001.00000`.
    pub fn normal(self) -> String {
        // Answers have many of these, and formatting machinery costs several times as much.
        let mut text = *b"0000000000.00000";
        let mut rest = self.raw;
        for place in text.iter_mut().rev().filter(|place| **place != b'.') {
            *place += (rest % 10) as u8;
            rest /= 10;
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Text that sorts as the timestamp does; the offset as sixteen hexadecimal digits when not zero.
    pub fn internal(self) -> String {
        match self.offset {
            0 => self.normal(),
            offset => format!("{}_{offset:016x}", self.normal()),
        }
    }

    /// Text with an unpadded offset, as used inside an encoded `created_at`.
    pub fn short(self) -> String {
        match self.offset {
            0 => self.normal(),
            offset => format!("{}_{offset:x}", self.normal()),
        }
    }

    /// UTC as `YYYY-MM-DDTHH:MM:SS.ffffff`, always with six decimals, without the offset.
    ///
    /// Writes to `out`, so that a listing of thousands of rows allocates nothing here.
    pub fn write_isoformat(self, out: &mut impl fmt::Write) -> fmt::Result {
        let seconds = self.raw / UNITS_PER_SECOND;
        let (year, month, day) = civil_from_days((seconds / 86_400) as i64);
        let in_day = seconds % 86_400;
        write!(
            out,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:05}0",
            in_day / 3600,
            in_day / 60 % 60,
            in_day % 60,
            self.raw % UNITS_PER_SECOND
        )
    }

    /// The text of [`write_isoformat`](Self::write_isoformat).
    pub fn isoformat(self) -> String {
        let mut text = String::with_capacity(26);
        // Writing to a String cannot fail.
        let _ = self.write_isoformat(&mut text);
        text
    }

    /// Whole seconds, rounded up: what `Last-Modified` shows.
    pub fn ceil_seconds(self) -> u64 {
        self.raw.div_ceil(UNITS_PER_SECOND)
    }
}

impl fmt::Display for Timestamp {
    /// Prints the internal form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.internal())
    }
}

impl std::str::FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

fn parse_raw(text: &str, number: &str) -> Result<u64, InvalidTimestamp> {
    let number = number.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    if let Some(raw) = parse_normal(number) {
        return Ok(raw);
    }
    let plain = number
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let value = match number.parse::<f64>() {
        Ok(value) if plain => value,
        _ => return Err(InvalidTimestamp::new(text, "not a decimal number")),
    };
    let raw = (value / 1e-5).round_ties_even();
    if raw < 0.0 {
        return Err(InvalidTimestamp::new(text, "negative"));
    }
    if raw > MAX_RAW as f64 {
        return Err(InvalidTimestamp::new(text, "too large"));
    }
    Ok(raw as u64)
}

/// Reads the form in which nearly everything is stored, `0000000001.00000`, which needs no floating point: its value
/// is exact.
fn parse_normal(text: &str) -> Option<u64> {
    let text: &[u8; 16] = text.as_bytes().try_into().ok()?;
    let (mut raw, mut others) = (0, text[10] != b'.');
    for byte in text[..10].iter().chain(&text[11..]) {
        let digit = byte.wrapping_sub(b'0');
        others |= digit > 9;
        raw = raw * 10 + u64::from(digit);
    }
    (!others).then_some(raw)
}

fn parse_offset(text: &str, digits: &str) -> Result<u64, InvalidTimestamp> {
    if digits.is_empty() {
        return Ok(0);
    }
    if digits.len() > 16 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(InvalidTimestamp::new(
            text,
            "the offset is not one to sixteen hex digits",
        ));
    }
    u64::from_str_radix(digits, 16).map_err(|_| InvalidTimestamp::new(text, "bad offset"))
}

/// Year, month and day of a count of days since 1970-01-01, in the proleptic Gregorian calendar.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A timestamp together with the text in which it is stored.
///
/// Swift compares most stored timestamps as text, and hashes their text, so the spelling is part of
/// the value: the delete timestamp of a fresh store is the single character `0`. Equality and order
/// are those of the text; compare [`value`](Self::value)s where the contract says "by value".
#[derive(Debug, Clone)]
pub struct TimestampText {
    text: Box<str>,
    value: Timestamp,
}

impl TimestampText {
    /// Takes over a text that parses as a [`Timestamp`].
    ///
    /// # Errors
    /// As [`Timestamp::parse`].
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidTimestamp> {
        let text = text.into();
        let value = Timestamp::parse(&text)?;
        Ok(Self {
            text: text.into(),
            value,
        })
    }

    /// The initial delete timestamp: the character `0`, not normalised.
    pub fn never() -> Self {
        Self {
            text: "0".into(),
            value: Timestamp::ZERO,
        }
    }

    /// The stored text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parsed value.
    pub fn value(&self) -> Timestamp {
        self.value
    }
}

impl From<Timestamp> for TimestampText {
    /// The internal form.
    fn from(value: Timestamp) -> Self {
        Self {
            text: value.internal().into(),
            value,
        }
    }
}

impl fmt::Display for TimestampText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for TimestampText {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TimestampText {}

impl PartialOrd for TimestampText {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TimestampText {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

/// The three times of an object row: data, content type, metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectTimestamps {
    /// When the data was written; also decides size, etag and deletion.
    pub data: Timestamp,
    /// When the content type was last set.
    pub content_type: Timestamp,
    /// When the metadata was last set.
    pub metadata: Timestamp,
}

impl ObjectTimestamps {
    /// One time for all three.
    pub fn all(at: Timestamp) -> Self {
        Self {
            data: at,
            content_type: at,
            metadata: at,
        }
    }

    /// The text stored in `created_at`: the data time in short form, then signed differences when any
    /// is not zero. Offsets of the second and third time are not kept.
    ///
    /// # Contract
    /// - ENCODE-1: this is the text of `created_at` in every object row that an engine stores.
    ///
    /// Swift counterpart: `encode_timestamps`.
    pub fn encode(&self) -> String {
        let mut text = self.data.short();
        if self.content_type.raw != self.data.raw || self.metadata.raw != self.content_type.raw {
            push_delta(&mut text, self.data.raw, self.content_type.raw);
            push_delta(&mut text, self.content_type.raw, self.metadata.raw);
        }
        text
    }

    /// Reads a `created_at`. A missing difference repeats the time before it, as does a zero one,
    /// offset included; any other difference makes a time without offset. Pieces past the third are
    /// ignored.
    ///
    /// Swift counterpart: `decode_timestamps`.
    ///
    /// # Errors
    /// When the first piece is not a timestamp, a difference is not hexadecimal, or a time leaves the
    /// range of timestamps.
    pub fn decode(text: &str) -> Result<Self, InvalidTimestamp> {
        if let Some(raw) = parse_normal(text) {
            return Ok(Self::all(Timestamp { raw, offset: 0 }));
        }
        let end = text.find(['+', '-']).unwrap_or(text.len());
        let data = Timestamp::parse(&text[..end])?;
        let (content_type, rest) = take_delta(text, &text[end..], data)?;
        let (metadata, _) = take_delta(text, rest, content_type)?;
        Ok(Self {
            data,
            content_type,
            metadata,
        })
    }
}

fn push_delta(text: &mut String, from: u64, to: u64) {
    use fmt::Write;
    let sign = if to < from { '-' } else { '+' };
    // Writing to a String cannot fail.
    let _ = write!(text, "{sign}{:x}", from.abs_diff(to));
}

fn take_delta<'a>(
    text: &str,
    rest: &'a str,
    base: Timestamp,
) -> Result<(Timestamp, &'a str), InvalidTimestamp> {
    let Some(sign) = rest.chars().next() else {
        return Ok((base, ""));
    };
    let digits = &rest[1..];
    let end = digits.find(['+', '-']).unwrap_or(digits.len());
    let hex = &digits[..end];
    if hex.is_empty() || hex.len() > 15 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(InvalidTimestamp::new(
            text,
            "a difference is not hexadecimal",
        ));
    }
    let delta = i64::from_str_radix(hex, 16)
        .map_err(|_| InvalidTimestamp::new(text, "a difference is out of range"))?;
    let at = match (delta, sign) {
        (0, _) => base,
        (delta, '-') => base.normalized().shifted(-delta)?,
        (delta, _) => base.normalized().shifted(delta)?,
    };
    Ok((at, &digits[end..]))
}
