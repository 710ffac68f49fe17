//! Which of four content types a listing is written in: `format=` and `Accept`.

use http::StatusCode;
use http::header::{ACCEPT, HeaderMap};

use crate::request;
use crate::response::Refused;

/// A content type that a client may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// `text/plain`
    Plain,
    /// `application/json`
    Json,
    /// `application/xml`
    Xml,
    /// `text/xml`, the same bytes as `application/xml`.
    TextXml,
}

impl Choice {
    /// In the order in which they are offered.
    const ALL: [Choice; 4] = [Choice::Plain, Choice::Json, Choice::Xml, Choice::TextXml];

    fn names(self) -> (&'static str, &'static str) {
        match self {
            Choice::Plain => ("text", "plain"),
            Choice::Json => ("application", "json"),
            Choice::Xml => ("application", "xml"),
            Choice::TextXml => ("text", "xml"),
        }
    }

    /// The value of `Content-Type`.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Choice::Plain => "text/plain; charset=utf-8",
            Choice::Json => "application/json; charset=utf-8",
            Choice::Xml => "application/xml; charset=utf-8",
            Choice::TextXml => "text/xml; charset=utf-8",
        }
    }
}

/// Chooses by the `format` parameter, else by the `Accept` header.
///
/// # Errors
/// 400 for a header that does not parse, 406 when it accepts none of the four.
pub(crate) fn negotiate(format: &str, headers: &HeaderMap) -> Result<Choice, Refused> {
    if !format.is_empty() {
        return Ok(match format.to_ascii_lowercase().as_str() {
            "json" => Choice::Json,
            "xml" => Choice::Xml,
            _ => Choice::Plain,
        });
    }
    let accept = request::text(headers, &ACCEPT).unwrap_or_default();
    if accept.is_empty() {
        return Ok(Choice::Plain);
    }
    let ranges = parse(&accept).ok_or_else(|| Refused::bad_request("Invalid Accept header"))?;
    let best = ranges.iter().find_map(|range| {
        Choice::ALL.into_iter().find(|choice| {
            let (kind, subtype) = choice.names();
            is_match(range.kind, kind) && is_match(range.subtype, subtype)
        })
    });
    best.ok_or_else(|| Refused::page(StatusCode::NOT_ACCEPTABLE))
}

/// One element of an `Accept` header.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: f64,
}

impl Range<'_> {
    fn has_star(&self) -> bool {
        self.kind.contains('*') || self.subtype.contains('*')
    }
}

/// Parses the header, best element first; `None` when any element is bad.
fn parse(header: &str) -> Option<Vec<Range<'_>>> {
    let mut ranges = header
        .split(',')
        .map(parse_range)
        .collect::<Option<Vec<_>>>()?;
    ranges.sort_by(|a, b| {
        let by_quality = b.quality.total_cmp(&a.quality);
        by_quality.then(a.has_star().cmp(&b.has_star()))
    });
    Some(ranges)
}

fn parse_range(element: &str) -> Option<Range<'_>> {
    let (kind, rest) = token(element.trim_start())?;
    let (subtype, mut rest) = token(rest.strip_prefix('/')?)?;
    let mut quality = None;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Some(Range {
                kind,
                subtype,
                quality: quality.unwrap_or(1.0),
            });
        }
        let (name, after) = word(rest.strip_prefix(';')?.trim_start())?;
        let (value, after) = word(after.trim_start().strip_prefix('=')?.trim_start())?;
        rest = after;
        if name == "q" && quality.replace(value.parse().ok()?).is_some() {
            return None;
        }
    }
}

/// Takes a token of at least one character off the front.
fn token(text: &str) -> Option<(&str, &str)> {
    let is_special = |c: char| "()<>@,;:\"/[]?={}\\\x7f".contains(c) || c <= ' ';
    let end = text.find(is_special).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Takes a token or a quoted string off the front, quotes included.
fn word(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return token(text);
    };
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(text.split_at(at + 2)),
            _ => {}
        }
    }
    None
}

/// Whether a pattern in which `*` stands for one or more characters matches a name.
fn is_match(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
            ends.into_iter().any(|end| is_match(rest, &name[end..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn choose(format: &str, accept: &str) -> Result<Choice, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        negotiate(format, &headers).map_err(|refused| refused.into_response().status().as_u16())
    }

    #[test]
    fn accept_chooses_what_swift_chooses() {
        use Choice::{Json, Plain, TextXml, Xml};
        for (accept, expected) in [
            ("", Ok(Plain)),
            ("*/*", Ok(Plain)),
            ("text/*", Ok(Plain)),
            ("application/*", Ok(Json)),
            ("application/json, text/plain", Ok(Json)),
            ("text/xml", Ok(TextXml)),
            ("application/xml;q=0.8,*/*;q=0.9", Ok(Plain)),
            ("application/json;q=0", Ok(Json)),
            ("text/html,application/xml;q=0.5", Ok(Xml)),
            ("*/*,application/xml", Ok(Xml)),
            ("text/plain ; x = \"a,\"", Err(400)),
            (
                "text/xml ; x = \"a;\" ; q = .5 , application/json;q=0.4",
                Ok(TextXml),
            ),
            ("application/xml*", Err(406)),
            ("text/json", Err(406)),
            ("Application/JSON", Err(406)),
            ("foo/bar", Err(406)),
            ("json", Err(400)),
            ("a/b;q", Err(400)),
            ("a/b;q=foo", Err(400)),
            ("a/b;q=\"0.5\"", Err(400)),
            ("a/b;q=1;q=1", Err(400)),
            (",", Err(400)),
            ("application/json,,", Err(400)),
        ] {
            assert_eq!(choose("", accept), expected, "{accept}");
        }
    }

    #[test]
    fn format_outweighs_accept() {
        for (format, expected) in [
            ("json", Choice::Json),
            ("JSON", Choice::Json),
            ("Xml", Choice::Xml),
            ("plain", Choice::Plain),
            ("text/xml", Choice::Plain),
            ("html", Choice::Plain),
        ] {
            assert_eq!(choose(format, "text/xml"), Ok(expected), "{format}");
            assert_eq!(choose(format, ","), Ok(expected), "{format}");
        }
    }
}
