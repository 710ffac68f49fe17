//! Splitting a stored content type into its type and parameters.
//!
//! Swift hides the size of a large object's data in a parameter, `swift_bytes`, so merging rows and
//! writing listings both take content types apart and put them together again.
//!
//! Swift counterpart: `parse_content_type`, `extract_swift_bytes`, `override_bytes_from_content_type`.

/// The parameter that carries the size of a large object's data.
pub const SWIFT_BYTES: &str = "swift_bytes";

/// A content type without `swift_bytes`, and the value of that parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitContentType {
    /// `type;key=value;…` with blanks around `;` and `=` gone.
    pub content_type: String,
    /// The value of the last `swift_bytes` parameter, when there is one.
    pub swift_bytes: Option<String>,
}

impl SplitContentType {
    /// Puts the two together again; an empty `swift_bytes` vanishes.
    #[must_use]
    pub fn join(self) -> String {
        match self.swift_bytes.filter(|value| !value.is_empty()) {
            Some(value) => format!("{};{SWIFT_BYTES}={value}", self.content_type),
            None => self.content_type,
        }
    }
}

/// Takes `swift_bytes` out of a content type and normalises the other parameters.
///
/// A parameter without a value becomes `;key=`; pieces that do not parse are dropped. Text without
/// `;` stays as it is.
pub fn extract_swift_bytes(content_type: &str) -> SplitContentType {
    let Some((kind, parameters)) = content_type.split_once(';') else {
        return SplitContentType {
            content_type: content_type.to_owned(),
            swift_bytes: None,
        };
    };
    let mut split = SplitContentType {
        content_type: kind.to_owned(),
        swift_bytes: None,
    };
    let mut rest = &content_type[content_type.len() - parameters.len() - 1..];
    while let Some((key, value, after)) = next_parameter(rest) {
        rest = after;
        if key == SWIFT_BYTES {
            split.swift_bytes = Some(value.to_owned());
        } else {
            split.content_type.extend([";", key, "=", value]);
        }
    }
    split
}

/// Finds the next `; token [= value]` in `text`; returns key, value and what follows.
fn next_parameter(text: &str) -> Option<(&str, &str, &str)> {
    let mut rest = text;
    loop {
        rest = &rest[rest.find(';')? + 1..];
        if let Some((key, after)) = take_after_blanks(rest, take_token) {
            let (value, after) = take_value(after).unwrap_or(("", after));
            return Some((
                key.trim_matches(is_blank),
                value.trim_matches(is_blank),
                after,
            ));
        }
    }
}

/// Takes `= value` after blanks.
fn take_value(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(is_blank).strip_prefix('=')?;
    take_after_blanks(text, |text| take_token(text).or_else(|| take_quoted(text)))
}

/// Skips blanks, then takes something. Where nothing can be taken, the last blank beyond ASCII is
/// taken for a token, as Swift's regular expression does when it steps back.
fn take_after_blanks(
    text: &str,
    take: impl Fn(&str) -> Option<(&str, &str)>,
) -> Option<(&str, &str)> {
    let start = text.trim_start_matches(is_blank);
    take(start).or_else(|| {
        let blanks = &text[..text.len() - start.len()];
        let (at, c) = blanks.char_indices().rfind(|(_, c)| is_in_token(*c))?;
        let (token, _) = text[at..].split_at(c.len_utf8());
        Some((token, &text[at + c.len_utf8()..]))
    })
}

/// What Python's `str.isspace` says.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

fn is_in_token(c: char) -> bool {
    c > ' ' && c != '\x7f' && !"()<>@,;:\"/[]?={}".contains(c)
}

fn take_token(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c| !is_in_token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn take_quoted(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, c) in text.strip_prefix('"')?.char_indices() {
        match c {
            '\n' if escaped => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(text.split_at(at + 2)),
            _ => {}
        }
    }
    None
}
