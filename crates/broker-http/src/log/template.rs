//! Templates of request lines: `log_format`.
//!
//! A template is text with fields in braces, as Python formats it: `{name}`, `{name.part}`,
//! `{name:spec}`, and `{{` and `}}` for the braces themselves. Empty, zero or missing values print
//! `-`, whatever the spec. A template is read once; each request then only appends.

use std::fmt::Write;
use std::time::Duration;

use super::anonymous::Anonymizer;
use super::date::Civil;

/// Swift's own template.
pub const DEFAULT_FORMAT: &str = "{remote_addr} - - [{time.d}/{time.b}/{time.Y}:{time.H}:{time.M}:{time.S} +0000] \
     \"{method} {path}\" {status} {content_length} \"{referer}\" \"{txn_id}\" \"{user_agent}\" \
     {trans_time:.4f} \"{additional_info}\" {pid} {policy_index}";

/// An option of the request log that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad {option} near {near:?}: {problem}")]
pub struct InvalidLogOption {
    option: &'static str,
    near: String,
    problem: String,
}

impl InvalidLogOption {
    pub(super) fn new(option: &'static str, near: &str, problem: impl Into<String>) -> Self {
        Self {
            option,
            near: near.chars().take(40).collect(),
            problem: problem.into(),
        }
    }
}

fn bad(near: &str, problem: &str) -> InvalidLogOption {
    InvalidLogOption::new("log_format", near, problem)
}

/// A template, ready for use.
#[derive(Debug, Clone)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Field {
        field: Field,
        anonymized: bool,
        spec: Spec,
    },
}

/// What a template can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    RemoteAddr,
    Time(TimePart),
    Method,
    Path,
    /// A segment of the path, from 0: disk, partition, account, container, object.
    Segment(usize),
    Status,
    ContentLength,
    Referer,
    TxnId,
    UserAgent,
    TransTime,
    AdditionalInfo,
    Pid,
    PolicyIndex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimePart {
    /// What `strftime` makes of a letter.
    Letter(char),
    Iso8601,
    Asctime,
    Datetime,
    /// So many digits after the point.
    Fraction(usize),
    Seconds,
    Float,
}

const LETTERS: &str = "aAbBcdHIjmMpSUwWxXyYZ";

/// How a value is laid out.
#[derive(Debug, Clone, PartialEq, Default)]
struct Spec {
    fill: Option<char>,
    align: Option<char>,
    width: usize,
    precision: Option<usize>,
}

/// What one request gives. Empty texts are missing values.
#[derive(Debug, Default)]
pub(super) struct Record<'a> {
    pub(super) remote_addr: &'a str,
    /// Since 1970.
    pub(super) time: Duration,
    pub(super) method: &'a str,
    /// Percent-encoded, without query.
    pub(super) path: &'a str,
    pub(super) status: u16,
    pub(super) content_length: u64,
    pub(super) referer: &'a str,
    pub(super) txn_id: &'a str,
    pub(super) user_agent: &'a str,
    pub(super) trans_time: Duration,
    pub(super) pid: u32,
    pub(super) policy_index: &'a str,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// It names a field that does not exist, or is not a template.
    pub fn parse(text: &str) -> Result<Self, InvalidLogOption> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let tail = &rest[at..];
            if tail.starts_with("{{") || tail.starts_with("}}") {
                literal.push_str(&tail[..1]);
                rest = &tail[2..];
                continue;
            }
            if tail.starts_with('}') {
                return Err(bad(tail, "this brace closes nothing"));
            }
            let end = tail.find('}');
            let end = end.ok_or_else(|| bad(tail, "this brace is never closed"))?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::parse(&tail[1..end])?);
            rest = &tail[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { pieces })
    }

    /// Appends the line of one request.
    pub(super) fn write(&self, out: &mut String, record: &Record<'_>, anonymizer: &Anonymizer) {
        let date = Civil::at(record.time.as_secs());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field {
                    field,
                    anonymized,
                    spec,
                } => {
                    let start = out.len();
                    let number = field.write(out, record, &date, spec);
                    if out.len() == start {
                        out.push('-');
                        continue;
                    }
                    if *anonymized {
                        let text = out.split_off(start);
                        anonymizer.write(out, &text);
                    }
                    spec.lay_out(out, start, number);
                }
            }
        }
    }
}

impl Piece {
    fn parse(inside: &str) -> Result<Self, InvalidLogOption> {
        let (name, spec) = inside.split_once(':').unwrap_or((inside, ""));
        let (name, part) = name.split_once('.').unwrap_or((name, ""));
        let problem = "there is no such field";
        let mut field = Field::named(name).ok_or_else(|| bad(inside, problem))?;
        let mut anonymized = false;
        match (field, part) {
            (_, "") => {}
            (Field::Time(_), part) => {
                let time = TimePart::named(part);
                let problem = "there is no such part of the time";
                field = Field::Time(time.ok_or_else(|| bad(inside, problem))?);
            }
            (field, "anonymized") if field.can_be_anonymized() => anonymized = true,
            _ => return Err(bad(inside, "this field has no such part")),
        }
        Ok(Self::Field {
            field,
            anonymized,
            spec: Spec::parse(spec, inside)?,
        })
    }
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "remote_addr" => Self::RemoteAddr,
            "time" => Self::Time(TimePart::Float),
            "method" => Self::Method,
            "path" => Self::Path,
            "disk" => Self::Segment(0),
            "partition" => Self::Segment(1),
            "account" => Self::Segment(2),
            "container" => Self::Segment(3),
            "object" => Self::Segment(4),
            "status" => Self::Status,
            "content_length" => Self::ContentLength,
            "referer" => Self::Referer,
            "txn_id" => Self::TxnId,
            "user_agent" => Self::UserAgent,
            "trans_time" => Self::TransTime,
            "additional_info" => Self::AdditionalInfo,
            "pid" => Self::Pid,
            "policy_index" => Self::PolicyIndex,
            _ => return None,
        })
    }

    fn can_be_anonymized(self) -> bool {
        match self {
            Self::RemoteAddr | Self::Path | Self::Referer | Self::UserAgent => true,
            Self::Segment(index) => index >= 2,
            _ => false,
        }
    }

    /// Appends the value, nothing if it is missing; returns whether it is a number.
    fn write(self, out: &mut String, record: &Record<'_>, date: &Civil, spec: &Spec) -> bool {
        let text = match self {
            Self::RemoteAddr => record.remote_addr,
            Self::Method => record.method,
            Self::Path => record.path,
            Self::Segment(index) => {
                let path = record.path.strip_prefix('/').unwrap_or_default();
                path.splitn(5, '/').nth(index).unwrap_or_default()
            }
            Self::Referer => record.referer,
            Self::TxnId => record.txn_id,
            Self::UserAgent => record.user_agent,
            Self::AdditionalInfo => "",
            Self::PolicyIndex => record.policy_index,
            Self::Time(part) => {
                part.write(out, record.time, date);
                return false;
            }
            Self::Status => return write_number(out, u64::from(record.status)),
            Self::ContentLength => return write_number(out, record.content_length),
            Self::Pid => return write_number(out, u64::from(record.pid)),
            Self::TransTime => {
                write_seconds(out, record.trans_time, spec.precision);
                return true;
            }
        };
        let text = match spec.precision {
            Some(most) => text
                .char_indices()
                .nth(most)
                .map_or(text, |(end, _)| &text[..end]),
            None => text,
        };
        out.push_str(text);
        false
    }
}

fn write_number(out: &mut String, number: u64) -> bool {
    if number != 0 {
        out.push_str(itoa::Buffer::new().format(number));
    }
    true
}

fn write_seconds(out: &mut String, time: Duration, precision: Option<usize>) {
    let seconds = time.as_secs_f64();
    // Writing to a string does not fail.
    let _ = match precision {
        _ if time.is_zero() => Ok(()),
        Some(digits) => write!(out, "{seconds:.digits$}"),
        None => write!(out, "{seconds:?}"),
    };
}

impl TimePart {
    fn named(part: &str) -> Option<Self> {
        Some(match part {
            "iso8601" => Self::Iso8601,
            "asctime" => Self::Asctime,
            "datetime" => Self::Datetime,
            "ms" => Self::Fraction(3),
            "us" => Self::Fraction(6),
            "ns" => Self::Fraction(9),
            "s" => Self::Seconds,
            _ => {
                let letter = part
                    .chars()
                    .next()
                    .filter(|letter| LETTERS.contains(*letter))?;
                (part.len() == 1).then_some(Self::Letter(letter))?
            }
        })
    }

    fn write(self, out: &mut String, time: Duration, date: &Civil) {
        let Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ..
        } = date;
        // Writing to a string does not fail.
        let _ = match self {
            Self::Letter(letter) => return write_letter(out, letter, date),
            Self::Iso8601 => {
                write!(
                    out,
                    "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
                )
            }
            Self::Asctime => return write_letter(out, 'c', date),
            Self::Datetime => {
                let month = &date.month_name()[..3];
                write!(
                    out,
                    "{day:02}/{month}/{year:04}/{hour:02}/{minute:02}/{second:02}"
                )
            }
            Self::Fraction(digits) => {
                let nanos = format!("{:09}", time.subsec_nanos());
                out.push_str(&nanos[..digits]);
                Ok(())
            }
            Self::Seconds => write!(out, "{}", time.as_secs()),
            Self::Float => write!(out, "{}.{:09}", time.as_secs(), time.subsec_nanos()),
        };
    }
}

fn write_letter(out: &mut String, letter: char, date: &Civil) {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        weekday,
        day_of_year,
    } = date;
    let weekday_name = date.weekday_name();
    let month_name = date.month_name();
    // Writing to a string does not fail.
    let _ = match letter {
        'a' => write!(out, "{}", &weekday_name[..3]),
        'A' => write!(out, "{weekday_name}"),
        'b' => write!(out, "{}", &month_name[..3]),
        'B' => write!(out, "{month_name}"),
        'c' => {
            let (weekday, month) = (&weekday_name[..3], &month_name[..3]);
            write!(
                out,
                "{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}"
            )
        }
        'd' => write!(out, "{day:02}"),
        'H' => write!(out, "{hour:02}"),
        'I' => write!(out, "{:02}", (hour + 11) % 12 + 1),
        'j' => write!(out, "{day_of_year:03}"),
        'm' => write!(out, "{month:02}"),
        'M' => write!(out, "{minute:02}"),
        'p' => write!(out, "{}", if *hour < 12 { "AM" } else { "PM" }),
        'S' => write!(out, "{second:02}"),
        'U' => write!(out, "{:02}", (day_of_year + 6 - weekday) / 7),
        'w' => write!(out, "{weekday}"),
        'W' => write!(out, "{:02}", (day_of_year + 6 - (weekday + 6) % 7) / 7),
        'x' => write!(out, "{month:02}/{day:02}/{:02}", year % 100),
        'X' => write!(out, "{hour:02}:{minute:02}:{second:02}"),
        'y' => write!(out, "{:02}", year % 100),
        'Y' => write!(out, "{year}"),
        _ => write!(out, "UTC"),
    };
}

impl Spec {
    /// Reads `[[fill]align][width][.precision][type]`.
    fn parse(text: &str, near: &str) -> Result<Self, InvalidLogOption> {
        let unsupported = || bad(near, "this layout is not supported");
        let mut spec = Self::default();
        let mut rest = text;
        let is_align = |letter: char| matches!(letter, '<' | '>' | '^');
        let mut letters = text.chars();
        match (letters.next(), letters.next()) {
            (Some(fill), Some(align)) if is_align(align) => {
                (spec.fill, spec.align) = (Some(fill), Some(align));
                rest = letters.as_str();
            }
            (Some(align), _) if is_align(align) => {
                spec.align = Some(align);
                rest = &text[1..];
            }
            _ => {}
        }
        if rest.starts_with('0') {
            spec.fill = spec.fill.or(Some('0'));
        }
        rest = rest.strip_suffix(['f', 'F', 'd', 's']).unwrap_or(rest);
        let (width, precision) = rest
            .split_once('.')
            .map_or((rest, None), |(w, p)| (w, Some(p)));
        let number = |digits: &str| digits.parse::<usize>().ok().filter(|number| *number <= 200);
        if !width.is_empty() {
            spec.width = number(width).ok_or_else(unsupported)?;
        }
        if let Some(digits) = precision {
            spec.precision = Some(number(digits).ok_or_else(unsupported)?);
        }
        Ok(spec)
    }

    /// Pads what was appended since `start`.
    fn lay_out(&self, out: &mut String, start: usize, is_number: bool) {
        let missing = self.width.saturating_sub(out[start..].chars().count());
        if missing == 0 {
            return;
        }
        let default = if is_number { '>' } else { '<' };
        let left = match self.align.unwrap_or(default) {
            '<' => 0,
            '^' => missing / 2,
            _ => missing,
        };
        let pad = |count| std::iter::repeat_n(self.fill.unwrap_or(' '), count).collect::<String>();
        out.insert_str(start, &pad(left));
        out.push_str(&pad(missing - left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record<'static> {
        Record {
            remote_addr: "1.2.3.4",
            time: Duration::new(10006, 123_456_789),
            method: "HEAD",
            path: "/sda1/p/a/c",
            status: 404,
            trans_time: Duration::from_secs(2),
            pid: 1234,
            policy_index: "0",
            ..Record::default()
        }
    }

    fn line(template: &str) -> String {
        let mut out = String::new();
        let template = Template::parse(template).unwrap();
        template.write(&mut out, &sample(), &Anonymizer::default());
        out
    }

    /// Log analysers made for Swift read our lines.
    #[test]
    fn default_line_is_swifts() {
        let expected = "1.2.3.4 - - [01/Jan/1970:02:46:46 +0000] \"HEAD /sda1/p/a/c\" 404 - \"-\" \"-\" \"-\" \
                        2.0000 \"-\" 1234 0";
        assert_eq!(line(DEFAULT_FORMAT), expected);
    }

    /// Every documented field of custom formats is there.
    #[test]
    fn custom_fields_are_filled() {
        assert_eq!(
            line("{disk}|{partition}|{account}|{container}|{object}"),
            "sda1|p|a|c|-"
        );
        assert_eq!(
            line("{time.iso8601} {time.asctime}"),
            "1970-01-01T02:46:46 Thu Jan  1 02:46:46 1970"
        );
        assert_eq!(
            line("{time.datetime} {time.s}.{time.ms}"),
            "01/Jan/1970/02/46/46 10006.123"
        );
        assert_eq!(
            line("{time.us} {time.ns} {time}"),
            "123456 123456789 10006.123456789"
        );
        assert_eq!(
            line("{time.a} {time.A} {time.B} {time.c} {time.I} {time.j} {time.m} {time.p}"),
            "Thu Thursday January Thu Jan  1 02:46:46 1970 02 001 01 AM"
        );
        assert_eq!(
            line("{time.U} {time.w} {time.W} {time.x} {time.X} {time.y} {time.Z}"),
            "00 4 00 01/01/70 02:46:46 70 UTC"
        );
        assert_eq!(
            line("{{{remote_addr.anonymized}}}"),
            "{{MD5}6465ec74397c9126916786bbcd6d7601}"
        );
        assert_eq!(line("{user_agent.anonymized}{object.anonymized:>9}"), "--");
        assert_eq!(
            line("{pid:>6}|{method:<6}|{method:*^6}|{path:.5}|{trans_time}"),
            "  1234|HEAD  |*HEAD*|/sda1|2.0"
        );
        assert_eq!(line("{pid:06d}|{content_length:5}"), "001234|-");
    }

    /// A mistake in the file stops the server at start, not each request.
    #[test]
    fn mistakes_are_refused() {
        for text in [
            "{",
            "}",
            "{nope}",
            "{method.anonymized}",
            "{time.q}",
            "{time.dd}",
            "{path.x}",
            "{pid:x}",
            "{}",
            "{0}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
