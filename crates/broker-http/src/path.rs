//! The request's path: decoding, splitting, and the names in it.

use std::borrow::Cow;

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::response::Refused;

/// The byte that begins the names which only Swift itself uses.
const RESERVED: char = '\0';
const MISPLACED_OBJECTS: &str = ".misplaced_objects";

/// What Python's `quote` escapes: everything but letters, digits, `_.-~` and `/`.
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'_')
    .remove(b'.')
    .remove(b'-')
    .remove(b'~')
    .remove(b'/');

/// Returns text percent-encoded as Python's `quote` does.
pub(crate) fn quote(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, QUOTED)
}

/// Decodes a path; `None` when it is empty or not UTF-8.
pub(crate) fn decode(path: &str) -> Option<Cow<'_, str>> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    (!decoded.is_empty()).then_some(decoded)
}

/// Which paths a method takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `/device/partition/account`.
    Account,
    /// The same, and perhaps a container.
    AccountOrRow,
    /// `/device/partition/account/container`.
    Container,
    /// The same, and perhaps an object, which takes the rest.
    ContainerOrObject,
}

/// The parts of a path. A container or an object that is absent is empty text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The device's name.
    pub(crate) device: &'a str,
    /// The partition, any text.
    pub(crate) partition: &'a str,
    /// The account's name.
    pub(crate) account: &'a str,
    /// The container's name.
    pub(crate) container: &'a str,
    /// The object's name.
    pub(crate) object: &'a str,
}

impl<'a> Target<'a> {
    /// Splits a decoded path and checks the names in it.
    pub(crate) fn parse(
        path: &'a str,
        form: Form,
        auto_create_prefix: &str,
    ) -> Result<Self, Refused> {
        let target = Self::split(path, form)
            .ok_or_else(|| Refused::bad_request_plain(&format!("Invalid path: {}", quote(path))))?;
        target.check_place()?;
        target.check_reserved(auto_create_prefix)?;
        Ok(target)
    }

    fn split(path: &'a str, form: Form) -> Option<Self> {
        let (least, most) = match form {
            Form::Account => (3, 3),
            Form::AccountOrRow => (3, 4),
            Form::Container => (4, 4),
            Form::ContainerOrObject => (4, 5),
        };
        let rest = path.strip_prefix('/')?;
        let mut parts = [""; 5];
        let mut pieces = match form {
            Form::ContainerOrObject => rest.splitn(most, '/'),
            // One piece more than allowed may follow a trailing slash, when it is empty.
            _ => rest.splitn(most + 1, '/'),
        };
        for part in parts.iter_mut().take(most) {
            *part = pieces.next().unwrap_or_default();
        }
        let is_whole = parts[..least].iter().all(|part| !part.is_empty());
        let has_more = pieces.next().is_some_and(|piece| !piece.is_empty());
        let [device, partition, account, container, object] = parts;
        (is_whole && !has_more).then_some(Self {
            device,
            partition,
            account,
            container,
            object,
        })
    }

    fn check_place(&self) -> Result<(), Refused> {
        if matches!(self.device, "." | "..") {
            let text = format!("Invalid device: {}", self.device);
            return Err(Refused::bad_request_plain(&text));
        }
        if matches!(self.partition, "." | "..") || self.partition.contains('\0') {
            let text = format!("Invalid partition: {}", quote(self.partition));
            return Err(Refused::bad_request_plain(&text));
        }
        Ok(())
    }

    fn check_reserved(&self, auto_create_prefix: &str) -> Result<(), Refused> {
        check_name(self.account, "account")?;
        check_name(self.container, "container")?;
        let is_internal =
            self.account.starts_with(auto_create_prefix) || self.account == MISPLACED_OBJECTS;
        if self.object.is_empty() || is_internal {
            return Ok(());
        }
        check_name(self.object, "object")?;
        let text = match (
            self.container.starts_with(RESERVED),
            self.object.starts_with(RESERVED),
        ) {
            (true, false) => "Invalid user-namespace object in reserved-namespace container",
            (false, true) => "Invalid reserved-namespace object in user-namespace container",
            _ => return Ok(()),
        };
        Err(Refused::bad_request(text))
    }
}

fn check_name(name: &str, kind: &str) -> Result<(), Refused> {
    if name.contains(RESERVED) && !name.starts_with(RESERVED) {
        let text = format!("Invalid reserved-namespace {kind}");
        return Err(Refused::bad_request(&text));
    }
    Ok(())
}

/// The refusal of a path that is not UTF-8.
pub(crate) fn not_utf8(text: &str) -> Refused {
    Refused::html(StatusCode::PRECONDITION_FAILED, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &str, form: Form) -> Option<[&str; 5]> {
        Target::split(path, form).map(|t| [t.device, t.partition, t.account, t.container, t.object])
    }

    #[test]
    fn forms_take_the_segments_that_swift_takes() {
        use Form::{Account, AccountOrRow, Container, ContainerOrObject};
        for (path, form, expected) in [
            ("/d/p/a", Account, Some(["d", "p", "a", "", ""])),
            ("/d/p/a/", Account, Some(["d", "p", "a", "", ""])),
            ("/d/p/a//", Account, None),
            ("/d/p/a/c", Account, None),
            ("/d/p", Account, None),
            ("/d/p/", Account, None),
            ("d/p/a", Account, None),
            ("/", Account, None),
            ("//1/a", Account, None),
            ("/d/p/a", AccountOrRow, Some(["d", "p", "a", "", ""])),
            ("/d/p/a/", AccountOrRow, Some(["d", "p", "a", "", ""])),
            ("/d/p/a/c/", AccountOrRow, Some(["d", "p", "a", "c", ""])),
            ("/d/p/a/c/o", AccountOrRow, None),
            ("/d/p/a/c", Container, Some(["d", "p", "a", "c", ""])),
            ("/d/p/a/c/", Container, Some(["d", "p", "a", "c", ""])),
            ("/d/p/a/c/o", Container, None),
            ("/d/p//c", ContainerOrObject, None),
            ("/d/p/a//o", ContainerOrObject, None),
            (
                "/d/p/a/c/",
                ContainerOrObject,
                Some(["d", "p", "a", "c", ""]),
            ),
            (
                "/d/p/a/c//",
                ContainerOrObject,
                Some(["d", "p", "a", "c", "/"]),
            ),
            (
                "/d/p/a/c/o/x/",
                ContainerOrObject,
                Some(["d", "p", "a", "c", "o/x/"]),
            ),
        ] {
            assert_eq!(parts(path, form), expected, "{path} {form:?}");
        }
    }

    #[test]
    fn decoding_leaves_what_is_no_escape() {
        assert_eq!(decode("/a%2Fb+c%zz%").as_deref(), Some("/a/b+c%zz%"));
        assert_eq!(decode("/a%ff"), None);
        assert_eq!(decode("/a%ed%a0%80"), None);
        assert_eq!(decode("/a%c0%af"), None);
        assert_eq!(decode(""), None);
    }

    #[test]
    fn quoting_is_pythons() {
        assert_eq!(quote("/u 1/é~-_.!").to_string(), "/u%201/%C3%A9~-_.%21");
    }
}
