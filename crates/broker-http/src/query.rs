//! The query string and the parameters of listings.

use std::borrow::Cow;

use broker_api::ListingQuery;
use http::StatusCode;
use percent_encoding::percent_decode;

use crate::response::Refused;

/// A query string, not yet decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// Takes the text after `?`.
    pub(crate) fn new(text: Option<&'a str>) -> Self {
        Self(text.unwrap_or_default())
    }

    /// The value of a parameter, of several the last.
    ///
    /// # Errors
    /// 400 when the value is not UTF-8.
    pub(crate) fn get(self, name: &str) -> Result<Option<String>, Refused> {
        let mut found = None;
        for pair in self.0.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if decode(key) == name.as_bytes() {
                found = Some(value);
            }
        }
        let Some(value) = found else {
            return Ok(None);
        };
        let not_utf8 =
            |_| Refused::bad_request_plain(&format!("\"{name}\" parameter not valid UTF-8"));
        String::from_utf8(decode(value).into_owned())
            .map(Some)
            .map_err(not_utf8)
    }

    /// The same, with absent and empty made one.
    pub(crate) fn text(self, name: &str) -> Result<String, Refused> {
        self.get(name).map(Option::unwrap_or_default)
    }

    /// Whether a parameter means true.
    pub(crate) fn is_true(self, name: &str) -> Result<bool, Refused> {
        let value = self.get(name)?;
        Ok(value.is_some_and(|value| swift_conf::value::is_true(&value)))
    }

    /// `limit`, at most and by default `most`; what is no number of ASCII digits is ignored.
    ///
    /// # Errors
    /// 412 when it is larger.
    pub(crate) fn limit(self, most: u64) -> Result<usize, Refused> {
        let text = self.text("limit")?;
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let limit = match is_number {
            // Digits that do not parse are too many.
            true => text.parse().unwrap_or(u64::MAX),
            false => most,
        };
        if limit > most {
            let text = format!("Maximum limit is {most}");
            return Err(Refused::html(StatusCode::PRECONDITION_FAILED, &text));
        }
        Ok(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// The parameters of an account listing, checked in Swift's order.
    pub(crate) fn account_listing(
        self,
        most: u64,
        allow_reserved: bool,
    ) -> Result<ListingQuery, Refused> {
        let prefix = self.text("prefix")?;
        let delimiter = self.text("delimiter")?;
        let reverse = self.is_true("reverse")?;
        let mut query = ListingQuery::new(self.limit(most)?);
        query.marker = self.text("marker")?;
        query.end_marker = self.text("end_marker")?;
        query.prefix = prefix;
        query.delimiter = delimiter;
        query.reverse = reverse;
        query.allow_reserved = allow_reserved;
        Ok(query)
    }

    /// The parameters of a container listing, checked in Swift's order.
    pub(crate) fn container_listing(
        self,
        most: u64,
        allow_reserved: bool,
    ) -> Result<ContainerListing, Refused> {
        let mut names = ListingQuery::new(0);
        names.marker = self.text("marker")?;
        names.end_marker = self.text("end_marker")?;
        names.prefix = self.text("prefix")?;
        names.delimiter = self.text("delimiter")?;
        names.path = self.get("path")?;
        let format = self.text("format")?;
        names.reverse = self.is_true("reverse")?;
        let states = self.get("states")?;
        let includes = self.get("includes")?;
        names.limit = self.limit(most)?;
        names.allow_reserved = allow_reserved;
        Ok(ContainerListing {
            names,
            format,
            states,
            includes,
        })
    }
}

/// The parameters of a container listing.
#[derive(Debug)]
pub(crate) struct ContainerListing {
    /// What an object listing shows.
    pub(crate) names: ListingQuery,
    /// `format`, empty for none.
    pub(crate) format: String,
    /// `states` of a shard listing.
    pub(crate) states: Option<String>,
    /// `includes` of a shard listing.
    pub(crate) includes: Option<String>,
}

fn decode(text: &str) -> Cow<'_, [u8]> {
    match text.contains('+') {
        false => percent_decode(text.as_bytes()).into(),
        true => {
            let blanks = text.replace('+', " ");
            Cow::Owned(percent_decode(blanks.as_bytes()).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(query: &str, name: &str) -> Option<String> {
        Query::new(Some(query)).get(name).unwrap()
    }

    #[test]
    fn the_last_of_several_counts_and_semicolons_are_data() {
        assert_eq!(get("a=1&b=2&a=3", "a").as_deref(), Some("3"));
        assert_eq!(get("a=1;b=2", "a").as_deref(), Some("1;b=2"));
        assert_eq!(get("a=1;b=2", "b"), None);
        assert_eq!(get("a", "a").as_deref(), Some(""));
        assert_eq!(get("a=b=c+d%20e%2B", "a").as_deref(), Some("b=c d e+"));
        assert_eq!(get("%61=1", "a").as_deref(), Some("1"));
        assert_eq!(get("", "a"), None);
    }

    #[test]
    fn a_used_parameter_must_be_utf8() {
        let query = Query::new(Some("a=%ff&b=1"));
        assert!(query.get("a").is_err());
        assert!(query.get("b").is_ok());
    }

    #[test]
    fn limits_are_digits_and_bounded() {
        let limit = |query| Query::new(Some(query)).limit(10_000).ok();
        for (query, expected) in [
            ("", Some(10_000)),
            ("limit=", Some(10_000)),
            ("limit=-1", Some(10_000)),
            ("limit=abc", Some(10_000)),
            ("limit=%C2%B2", Some(10_000)),
            ("limit=0", Some(0)),
            ("limit=007", Some(7)),
            ("limit=10000", Some(10_000)),
            ("limit=10001", None),
            ("limit=99999999999999999999999999", None),
        ] {
            assert_eq!(limit(query), expected, "{query}");
        }
    }
}
