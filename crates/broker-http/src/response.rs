//! Responses that carry no listing: explicit texts, default pages, empty bodies.
//!
//! `Content-Length` stands in the header map exactly when Swift logs a length: for explicit texts
//! and for the empty bodies that announce themselves. Default pages leave it to the transport,
//! which knows the body's size.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use crate::body::{self, Response};

/// Content type of default pages and of most explicit texts.
pub(crate) const HTML: &str = "text/html; charset=UTF-8";
/// Content type of the account server's 403 and 404.
pub(crate) const HTML_LOWER: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain";

/// A response that ends the handling of a request early.
#[derive(Debug)]
pub(crate) struct Refused(Box<Response>);

impl Refused {
    /// The default page of a status.
    pub(crate) fn page(status: StatusCode) -> Self {
        page(status).into()
    }

    /// An explicit text that says it is HTML, as most of Swift's do.
    pub(crate) fn html(status: StatusCode, text: &str) -> Self {
        with_text(status, HTML, text).into()
    }

    /// An explicit plain text.
    pub(crate) fn plain(status: StatusCode, text: &str) -> Self {
        with_text(status, PLAIN, text).into()
    }

    /// 400 with an explicit text that says it is HTML.
    pub(crate) fn bad_request(text: &str) -> Self {
        Self::html(StatusCode::BAD_REQUEST, text)
    }

    /// 400 with an explicit plain text.
    pub(crate) fn bad_request_plain(text: &str) -> Self {
        Self::plain(StatusCode::BAD_REQUEST, text)
    }

    /// The response itself.
    pub(crate) fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Response> for Refused {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

/// What a handler returns: both sides are responses, the error side is only the shorter way out.
pub(crate) type Answer = Result<Response, Refused>;

/// An explicit text.
pub(crate) fn with_text(status: StatusCode, content_type: &'static str, text: &str) -> Response {
    let mut response = Response::new(body::full(text.to_owned()));
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, content_type);
    set_number(&mut response, CONTENT_LENGTH, text.len());
    response
}

/// The default page of a status; a status without one gets an empty body.
pub(crate) fn page(status: StatusCode) -> Response {
    let content = default_text(status).map_or_else(body::empty, |(title, text)| {
        body::full(format!("<html><h1>{title}</h1><p>{text}</p></html>"))
    });
    let mut response = Response::new(content);
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, HTML);
    response
}

/// 507, naming the device.
pub(crate) fn no_room(device: &str) -> Response {
    let text = format!(
        "<html><h1>Insufficient Storage</h1><p>There was not enough space to save the resource. \
         Drive: {device}</p></html>"
    );
    let mut response = Response::new(body::full(text));
    *response.status_mut() = StatusCode::INSUFFICIENT_STORAGE;
    set(&mut response, CONTENT_TYPE, HTML);
    response
}

/// 500 with a short text that gives nothing away.
pub(crate) fn internal_error() -> Response {
    let text = "An error occurred, see the log of the server.";
    with_text(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, text)
}

/// A response without a body that says so: 201 and some others.
pub(crate) fn with_no_body(status: StatusCode, content_type: &'static str) -> Response {
    let mut response = without_length(status, content_type);
    set(&mut response, CONTENT_LENGTH, "0");
    response
}

/// A response without a body and without a length: 204 to POST and DELETE.
pub(crate) fn without_length(status: StatusCode, content_type: &'static str) -> Response {
    let mut response = Response::new(body::empty());
    *response.status_mut() = status;
    set(&mut response, CONTENT_TYPE, content_type);
    response
}

/// The answer to OPTIONS.
pub(crate) fn options(allow: &'static str, server: &'static str) -> Response {
    let mut response = with_no_body(StatusCode::OK, HTML);
    set(&mut response, http::header::ALLOW, allow);
    let version = format!("{server}/{}", crate::context::SWIFT_VERSION);
    set_owned(&mut response, http::header::SERVER, version);
    response
}

/// Takes the body off the answer to a HEAD request; headers stay.
pub(crate) fn for_method(method: &Method, mut response: Response) -> Response {
    if method == Method::HEAD {
        *response.body_mut() = body::empty();
    }
    response
}

/// Sets a header to a constant.
pub(crate) fn set(response: &mut Response, name: HeaderName, value: &'static str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

/// Sets a header to a text that is made for it; text that no header can hold is left out.
pub(crate) fn set_owned(response: &mut Response, name: HeaderName, value: impl Into<Bytes>) {
    if let Ok(value) = HeaderValue::from_maybe_shared(value.into()) {
        response.headers_mut().insert(name, value);
    }
}

/// Sets a header to a number.
pub(crate) fn set_number(
    response: &mut Response,
    name: HeaderName,
    number: impl Into<HeaderNumber>,
) {
    response.headers_mut().insert(name, number.into().0);
}

/// A number as header value.
pub(crate) struct HeaderNumber(HeaderValue);

impl From<usize> for HeaderNumber {
    fn from(number: usize) -> Self {
        Self(number.into())
    }
}

impl From<i64> for HeaderNumber {
    fn from(number: i64) -> Self {
        Self(number.into())
    }
}

fn default_text(status: StatusCode) -> Option<(&'static str, &'static str)> {
    Some(match status.as_u16() {
        202 => ("Accepted", "The request is accepted for processing."),
        301 => ("Moved Permanently", "The resource has moved permanently."),
        400 => (
            "Bad Request",
            "The server could not comply with the request since it is either malformed or otherwise incorrect.",
        ),
        404 => ("Not Found", "The resource could not be found."),
        405 => (
            "Method Not Allowed",
            "The method is not allowed for this resource.",
        ),
        406 => (
            "Not Acceptable",
            "The resource is not available in a format acceptable to your browser.",
        ),
        409 => (
            "Conflict",
            "There was a conflict when trying to complete your request.",
        ),
        _ => return None,
    })
}
