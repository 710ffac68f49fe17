//! Answers that are errors of the contract.

use super::client::Answer;
use broker_api::{Error, ErrorKind};
use http::StatusCode;

/// An operation for which there is no request.
pub(super) fn unsupported(what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("HTTP has no request for {what}"),
    )
}

/// Something between here and the server went wrong.
pub(super) fn failed(what: &str) -> Error {
    Error::new(ErrorKind::Io, what)
}

/// An answer that is not a success, by what the caller does about it.
pub(super) fn refused(answer: &Answer) -> Error {
    let kind = match answer.status {
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::BAD_REQUEST | StatusCode::PRECONDITION_FAILED => ErrorKind::InvalidInput,
        StatusCode::INSUFFICIENT_STORAGE => ErrorKind::Full,
        _ => ErrorKind::Io,
    };
    let said = match (kind, answer.text()) {
        (ErrorKind::InvalidInput, text) if !text.is_empty() => text,
        (_, text) => format!("the server answered {}: {text}", answer.status),
    };
    Error::new(kind, said)
}

/// An answer that contradicts itself, or is not in the form that it should have.
pub(super) fn nonsense(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}
