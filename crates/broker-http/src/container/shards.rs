//! Shard listings and shard PUT, for containers that have no shard ranges.
//!
//! This version of the contract keeps no shard ranges, so every container is unsharded. A listing
//! of its ranges is empty, or the one range that fills the gap when a listing or updating view is
//! asked for: the whole container itself. Ranges that are handed in are refused rather than lost.

use broker_api::{ContainerInfo, Timestamp};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, StatusCode};

use super::read::{gone, say_ok_when_empty};
use super::{Call, X_BACKEND_RECORD_TYPE};
use crate::accept::Choice;
use crate::body::{self, Response};
use crate::listing::{IsoTime, push_json_text};
use crate::query::ContainerListing;
use crate::request;
use crate::response::{self, Answer, Refused};

const X_BACKEND_OVERRIDE_DELETED: HeaderName =
    HeaderName::from_static("x-backend-override-deleted");
const X_BACKEND_INCLUDE_DELETED: HeaderName = HeaderName::from_static("x-backend-include-deleted");
const X_BACKEND_RECORD_SHARD_FORMAT: HeaderName =
    HeaderName::from_static("x-backend-record-shard-format");

/// The words that `states` may hold, beside numbers and aliases.
const STATES: [(&str, u32); 8] = [
    ("found", 10),
    ("created", 20),
    ("cleaved", 30),
    ("active", 40),
    ("shrinking", 50),
    ("sharding", 60),
    ("sharded", 70),
    ("shrunk", 80),
];

/// What `states` asks for, as far as it matters without ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct States {
    /// The `listing` or `updating` alias is there: gaps are filled.
    fills_gaps: bool,
    /// The `auditing` alias is there.
    has_auditing: bool,
}

impl Call<'_> {
    pub(super) fn put_shards(&self) -> Answer {
        self.policy_index()?;
        Err(Refused::bad_request(
            "Invalid body: this version of Apus does not keep shard ranges",
        ))
    }

    pub(super) fn get_shards(
        &self,
        info: Option<&ContainerInfo>,
        listing: &ContainerListing,
        choice: Choice,
    ) -> Answer {
        let headers = &self.parts.headers;
        let shows_deleted = request::is_true(headers, &X_BACKEND_OVERRIDE_DELETED);
        let shown = info.filter(|info| shows_deleted || !info.is_deleted());
        let Some(info) = shown else {
            return Err(gone(info));
        };
        let states = parse_states(listing.states.as_deref().unwrap_or_default())
            .ok_or_else(|| Refused::bad_request("Bad state"))?;
        let format = request::text(headers, &X_BACKEND_RECORD_SHARD_FORMAT).unwrap_or_default();
        let is_namespace = format.eq_ignore_ascii_case("namespace");
        if is_namespace && request::is_true(headers, &X_BACKEND_INCLUDE_DELETED) {
            let text = "No include_deleted for namespace GET";
            return Err(Refused::bad_request(text));
        }
        if is_namespace && states.has_auditing {
            return Err(Refused::bad_request("No auditing state for namespace GET"));
        }
        let gap = gap(listing, states);
        let name = format!("{}/{}", info.store.account, info.container);
        let content = match (choice, gap) {
            (Choice::Xml | Choice::TextXml, _) => {
                return Err(Refused::page(StatusCode::NOT_ACCEPTABLE));
            }
            (Choice::Plain, None) => Vec::new(),
            (Choice::Plain, Some(_)) => format!("{name}\n").into_bytes(),
            (Choice::Json, None) => b"[]".to_vec(),
            (Choice::Json, Some(gap)) if is_namespace => namespace_json(&name, gap),
            (Choice::Json, Some(gap)) => full_json(&name, gap, self.context.clock.now()),
        };
        let mut response = shard_response(content, choice);
        say_ok_when_empty(&mut response);
        self.describe(&mut response, info)?;
        response::set(&mut response, X_BACKEND_RECORD_TYPE, "shard");
        let format = if is_namespace { "namespace" } else { "full" };
        response::set(&mut response, X_BACKEND_RECORD_SHARD_FORMAT, format);
        Ok(response)
    }
}

fn shard_response(content: Vec<u8>, choice: Choice) -> Response {
    let length = content.len();
    let mut response = Response::new(body::full(Bytes::from(content)));
    if length == 0 {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response::set_number(&mut response, CONTENT_LENGTH, length);
    response::set(&mut response, CONTENT_TYPE, choice.content_type());
    response
}

/// Reads `states`: names in any case, numbers, aliases in lower case; `None` when one is unknown.
fn parse_states(text: &str) -> Option<States> {
    let mut states = States::default();
    if text.is_empty() {
        return Some(states);
    }
    for word in text.split(',').map(str::trim) {
        let is_state = |(name, number): &(&str, u32)| {
            word.eq_ignore_ascii_case(name) || word.parse() == Ok(*number)
        };
        match word {
            "listing" | "updating" => states.fills_gaps = true,
            "auditing" => states.has_auditing = true,
            _ if STATES.iter().any(is_state) => {}
            _ => return None,
        }
    }
    Some(states)
}

/// The bounds of the range that stands for the whole container, when one is shown.
fn gap(listing: &ContainerListing, states: States) -> Option<(&str, &str)> {
    if listing.includes.is_some() || !states.fills_gaps {
        return None;
    }
    let names = &listing.names;
    let (lower, upper) = match names.reverse {
        false => (&names.marker, &names.end_marker),
        true => (&names.end_marker, &names.marker),
    };
    let is_empty = !lower.is_empty() && !upper.is_empty() && lower >= upper;
    (!is_empty).then_some((lower, upper))
}

fn namespace_json(name: &str, (lower, upper): (&str, &str)) -> Vec<u8> {
    let mut out = b"[{\"name\": ".to_vec();
    push_json_text(&mut out, name);
    out.extend_from_slice(b", \"lower\": ");
    push_json_text(&mut out, lower);
    out.extend_from_slice(b", \"upper\": ");
    push_json_text(&mut out, upper);
    out.extend_from_slice(b"}]");
    out
}

/// The container's own range as it is before anybody sharded it: active, as of now, with zero
/// counts.
fn full_json(name: &str, (lower, upper): (&str, &str), now: Timestamp) -> Vec<u8> {
    let at = now.internal();
    let mut out = b"[{\"name\": ".to_vec();
    push_json_text(&mut out, name);
    out.extend_from_slice(format!(", \"timestamp\": \"{at}\", \"lower\": ").as_bytes());
    push_json_text(&mut out, lower);
    out.extend_from_slice(b", \"upper\": ");
    push_json_text(&mut out, upper);
    let rest = format!(
        ", \"object_count\": 0, \"bytes_used\": 0, \"meta_timestamp\": \"{at}\", \"deleted\": 0, \
         \"state\": 40, \"state_timestamp\": \"{at}\", \"epoch\": null, \"reported\": 0, \
         \"tombstones\": -1, \"last_modified\": \""
    );
    out.extend_from_slice(rest.as_bytes());
    IsoTime::default().push(&mut out, now);
    out.extend_from_slice(b"\"}]");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_names_numbers_and_aliases() {
        let fills_gaps = States {
            fills_gaps: true,
            has_auditing: false,
        };
        for (text, expected) in [
            ("", Some(States::default())),
            ("active,FOUND,60", Some(States::default())),
            ("listing", Some(fills_gaps)),
            ("updating,active", Some(fills_gaps)),
            ("Listing", None),
            ("bad", None),
            ("41", None),
            ("active,", None),
        ] {
            assert_eq!(parse_states(text), expected, "{text}");
        }
        assert!(parse_states("auditing").is_some_and(|states| states.has_auditing));
    }
}
