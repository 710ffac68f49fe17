//! Reading a request's headers: times, booleans, numbers, policy index, metadata.

use std::borrow::Cow;

use broker_api::{MetadataEntry, PolicyIndex, Timestamp};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use swift_conf::{Policies, value};

use crate::header_names::{self, NotUtf8};
use crate::response::Refused;
use crate::transport::UnusualHeaders;

/// `X-Timestamp`
pub(crate) const X_TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");
/// `X-Trans-Id`
pub(crate) const X_TRANS_ID: HeaderName = HeaderName::from_static("x-trans-id");
/// `X-Backend-Storage-Policy-Index`
pub(crate) const X_BACKEND_STORAGE_POLICY_INDEX: HeaderName =
    HeaderName::from_static("x-backend-storage-policy-index");
/// `X-Put-Timestamp`
pub(crate) const X_PUT_TIMESTAMP: HeaderName = HeaderName::from_static("x-put-timestamp");
/// `X-Delete-Timestamp`
pub(crate) const X_DELETE_TIMESTAMP: HeaderName = HeaderName::from_static("x-delete-timestamp");
/// `X-Object-Count`
pub(crate) const X_OBJECT_COUNT: HeaderName = HeaderName::from_static("x-object-count");
/// `X-Bytes-Used`
pub(crate) const X_BYTES_USED: HeaderName = HeaderName::from_static("x-bytes-used");
/// `X-Account-Override-Deleted`
pub(crate) const X_ACCOUNT_OVERRIDE_DELETED: HeaderName =
    HeaderName::from_static("x-account-override-deleted");
/// `X-Backend-Allow-Reserved-Names`
pub(crate) const X_BACKEND_ALLOW_RESERVED_NAMES: HeaderName =
    HeaderName::from_static("x-backend-allow-reserved-names");

/// The bytes of a header, lines of one name joined with a comma.
pub(crate) fn bytes<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let first = values.next()?;
    let mut joined = Cow::Borrowed(first);
    for value in values {
        let joined = joined.to_mut();
        joined.push(b',');
        joined.extend_from_slice(value);
    }
    Some(joined)
}

/// The text of a header; bytes that are not UTF-8 become replacement characters.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    Some(match bytes(headers, name)? {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    })
}

/// Whether a header is there and means true.
pub(crate) fn is_true(headers: &HeaderMap, name: &HeaderName) -> bool {
    text(headers, name).is_some_and(|text| value::is_true(&text))
}

/// The header that a row cannot do without, verbatim.
pub(crate) fn required(
    headers: &HeaderMap,
    name: &HeaderName,
    shown: &str,
) -> Result<String, Refused> {
    let missing = || Refused::bad_request_plain(&format!("Missing {shown} header"));
    let bytes = bytes(headers, name).ok_or_else(missing)?;
    String::from_utf8(bytes.into_owned()).map_err(|_| invalid(shown))
}

/// The whole number in a header that a row cannot do without.
pub(crate) fn required_number(
    headers: &HeaderMap,
    name: &HeaderName,
    shown: &str,
) -> Result<i64, Refused> {
    value::integer(&required(headers, name, shown)?).ok_or_else(|| invalid(shown))
}

/// The refusal of a header that does not parse.
pub(crate) fn invalid(shown: &str) -> Refused {
    Refused::bad_request_plain(&format!("Invalid {shown} header"))
}

/// `X-Timestamp`, when it is there.
pub(crate) fn optional_timestamp(headers: &HeaderMap) -> Result<Option<Timestamp>, Refused> {
    let Some(text) = text(headers, &X_TIMESTAMP) else {
        return Ok(None);
    };
    let parsed = Timestamp::parse(&text).map_err(|_| invalid("X-Timestamp"))?;
    Ok(Some(parsed))
}

/// `X-Timestamp`, which must be there.
pub(crate) fn timestamp(headers: &HeaderMap) -> Result<Timestamp, Refused> {
    optional_timestamp(headers)?
        .ok_or_else(|| Refused::bad_request_plain("Missing X-Timestamp header"))
}

/// `X-Backend-Storage-Policy-Index`, which must name a policy of the cluster when it is there.
pub(crate) fn policy_index(
    headers: &HeaderMap,
    policies: &Policies,
) -> Result<Option<PolicyIndex>, Refused> {
    let Some(text) = text(headers, &X_BACKEND_STORAGE_POLICY_INDEX) else {
        return Ok(None);
    };
    let shown = match value::integer(&text) {
        Some(index) if is_policy(index, policies) => return Ok(Some(PolicyIndex(index))),
        Some(index) => index.to_string(),
        None => format!("'{text}'"),
    };
    let text = format!("Invalid X-Backend-Storage-Policy-Index {shown}");
    Err(Refused::bad_request_plain(&text))
}

fn is_policy(index: i64, policies: &Policies) -> bool {
    u32::try_from(index).is_ok_and(|index| policies.by_index(index).is_some())
}

/// Whether a header's name, in lower case, is `prefix` and something.
pub(crate) fn has_prefix(name: &str, prefix: &str) -> bool {
    name.len() > prefix.len() && name.starts_with(prefix)
}

/// The headers that a server keeps, as entries at `timestamp`.
///
/// `keeps` is asked with names in lower case. Names with `_` are dropped, as Swift does.
pub(crate) fn metadata(
    parts: &Parts,
    keeps: impl Fn(&str) -> bool,
    timestamp: &str,
) -> Result<Vec<MetadataEntry>, NotUtf8> {
    let mut entries = Vec::new();
    let names = parts
        .headers
        .keys()
        .filter(|name| !name.as_str().contains('_'));
    for name in names.filter(|name| keeps(name.as_str())) {
        let value = bytes(&parts.headers, name).unwrap_or_default().into_owned();
        let value = String::from_utf8(value).map_err(|_| NotUtf8)?;
        let key = header_names::canonical_case(name.as_str());
        entries.push(MetadataEntry::new(key, value, timestamp));
    }
    let Some(UnusualHeaders(lines)) = parts.extensions.get() else {
        return Ok(entries);
    };
    for (name, value) in lines {
        let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
        if keeps(&lower) {
            let name = std::str::from_utf8(name).map_err(|_| NotUtf8)?;
            let value = std::str::from_utf8(value).map_err(|_| NotUtf8)?;
            let key = header_names::canonical_case(name);
            entries.push(MetadataEntry::new(key, value, timestamp));
        }
    }
    Ok(entries)
}

/// The refusal of metadata that is not text.
pub(crate) fn metadata_not_utf8() -> Refused {
    Refused::bad_request("Metadata must be valid UTF-8")
}
