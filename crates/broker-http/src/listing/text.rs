//! Escaping and times, written to bytes.

use crate::log::date::write_digits;
use broker_api::Timestamp;
use broker_api::metadata;
use broker_api::timestamp::UNITS_PER_SECOND;

/// Appends a JSON string as Python's `json.dumps` spells it.
pub(crate) fn push_json_text(out: &mut Vec<u8>, text: &str) {
    let is_special = |b: u8| !matches!(b, b' '..=b'~') || b == b'"' || b == b'\\';
    // Without a branch for each byte, so that many are looked at at once.
    if !text.bytes().fold(false, |any, b| any | is_special(b)) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let mut escaped = String::with_capacity(text.len() * 2);
    metadata::push_json_text(&mut escaped, text);
    out.extend_from_slice(escaped.as_bytes());
}

/// Appends text of an XML element.
pub(super) fn push_xml_text(out: &mut Vec<u8>, text: &str) {
    push_escaped(out, text, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        _ => None,
    });
}

/// Appends the value of an XML attribute, with its quotes.
pub(super) fn push_xml_attribute(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'"' => Some("&quot;"),
        b'\r' => Some("&#13;"),
        b'\n' => Some("&#10;"),
        b'\t' => Some("&#09;"),
        _ => None,
    });
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, text: &str, escape: impl Fn(u8) -> Option<&'static str>) {
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if let Some(escaped) = escape(*byte) {
            out.extend_from_slice(&bytes[plain_from..at]);
            out.extend_from_slice(escaped.as_bytes());
            plain_from = at + 1;
        }
    }
    out.extend_from_slice(&bytes[plain_from..]);
}

/// Appends a whole number.
pub(super) fn push_number(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Writes times of listings. Rows of one day are common, so it remembers the date of the last one.
#[derive(Debug, Default)]
pub(crate) struct IsoTime {
    day: Option<u64>,
    date: String,
}

impl IsoTime {
    /// Appends `YYYY-MM-DDTHH:MM:SS.ffffff`.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        let seconds = time.raw() / UNITS_PER_SECOND;
        if self.day != Some(seconds / 86_400) {
            self.day = Some(seconds / 86_400);
            self.date.clear();
            // Writing to a String cannot fail.
            let _ = time.write_isoformat(&mut self.date);
            // All years have four digits; the time follows the `T`.
            self.date.truncate("YYYY-MM-DDT".len());
        }
        out.extend_from_slice(self.date.as_bytes());
        let in_day = seconds % 86_400;
        let mut text = *b"00:00:00.000000";
        write_digits(&mut text[..2], in_day / 3600);
        write_digits(&mut text[3..5], in_day / 60 % 60);
        write_digits(&mut text[6..8], in_day % 60);
        // The sixth digit is always zero.
        write_digits(&mut text[9..14], time.raw() % UNITS_PER_SECOND);
        out.extend_from_slice(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_is_spelled_as_python_spells_it() {
        for (text, expected) in [
            ("plain", "\"plain\""),
            ("a\"b\\c/d", "\"a\\\"b\\\\c/d\""),
            ("\u{7f}\u{0}\n", "\"\\u007f\\u0000\\n\""),
            ("☃\u{1f600}", "\"\\u2603\\ud83d\\ude00\""),
        ] {
            assert_eq!(written(|out| push_json_text(out, text)), expected);
        }
    }

    #[test]
    fn xml_escapes_quotes_and_breaks_in_attributes_only() {
        let text = "a&b<c>\"'\r\n\t☃\u{1}";
        assert_eq!(
            written(|out| push_xml_text(out, text)),
            "a&amp;b&lt;c&gt;\"'\r\n\t☃\u{1}"
        );
        assert_eq!(
            written(|out| push_xml_attribute(out, text)),
            "\"a&amp;b&lt;c&gt;&quot;'&#13;&#10;&#09;☃\u{1}\""
        );
    }

    #[test]
    fn times_equal_those_of_the_contract() {
        let mut iso = IsoTime::default();
        for text in [
            "1",
            "1700000003.12345_a",
            "1700000004",
            "0",
            "9999999999.99999",
            "951782400",
        ] {
            let time = Timestamp::parse(text).unwrap();
            assert_eq!(written(|out| iso.push(out, time)), time.isoformat());
        }
    }
}
