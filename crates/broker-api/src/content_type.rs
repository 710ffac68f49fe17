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
    let mut from = 0;
    loop {
        let at = from + text[from..].find(';')?;
        let (key, rest) = take_token(text[at + 1..].trim_start_matches(is_blank));
        if key.is_empty() {
            from = at + 1;
            continue;
        }
        let value = rest
            .trim_start_matches(is_blank)
            .strip_prefix('=')
            .and_then(|text| {
                let text = text.trim_start_matches(is_blank);
                take_quoted(text).or_else(|| Some(take_token(text)).filter(|(v, _)| !v.is_empty()))
            });
        return Some(match value {
            Some((value, rest)) => (key, value, rest),
            None => (key, "", rest),
        });
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace()
}

fn take_token(text: &str) -> (&str, &str) {
    let is_special =
        |c: char| "()<>@,;:\"[]?={}".contains(c) || c == '\\' || c <= ' ' || c == '\x7f';
    text.split_at(text.find(is_special).unwrap_or(text.len()))
}

fn take_quoted(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, c) in text.strip_prefix('"')?.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(text.split_at(at + 2)),
            _ => {}
        }
    }
    None
}
