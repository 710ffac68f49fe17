//! How a broker's error becomes a response: the one place where kinds meet status codes.

use broker_api::{Error, ErrorKind, Metadata, StoreInfo};
use http::StatusCode;

use crate::response::{self, Refused};

/// The status that a client gets for an error of this kind.
pub fn of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::Full => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Busy
        | ErrorKind::Corrupt
        | ErrorKind::ReadOnly
        | ErrorKind::Io
        | ErrorKind::Unsupported
        | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        // A kind that is newer than this server.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Turns a broker's error into a refusal, and logs what an operator must hear of.
pub(crate) fn refuse(error: &Error, device: &str) -> Refused {
    let status = of(error.kind());
    match status {
        StatusCode::BAD_REQUEST => Refused::html(status, error.message()),
        StatusCode::INSUFFICIENT_STORAGE => {
            tracing::error!(%error, cause = cause(error), "no room on device {device}");
            Refused::from(response::no_room(device))
        }
        StatusCode::NOT_FOUND => Refused::page(status),
        _ => {
            tracing::error!(%error, kind = ?error.kind(), cause = cause(error), "broker failed");
            Refused::from(response::internal_error())
        }
    }
}

/// The text of what caused an error.
pub(crate) fn cause(error: &Error) -> Option<String> {
    std::error::Error::source(error).map(ToString::to_string)
}

/// The metadata of a store.
///
/// # Errors
/// 500 when what is stored cannot be read: the fault is not the client's.
pub(crate) fn stored_metadata(store: &StoreInfo) -> Result<Metadata, Refused> {
    store.metadata().map_err(|error| {
        tracing::error!(%error, cause = cause(&error), store = store.id, "broken metadata");
        response::internal_error().into()
    })
}

/// Shortens "refuse the request when the broker fails".
pub(crate) trait OrRefuse<T> {
    /// The value, or the response to an error on a device.
    fn or_refuse(self, device: &str) -> Result<T, Refused>;
}

impl<T> OrRefuse<T> for broker_api::Result<T> {
    fn or_refuse(self, device: &str) -> Result<T, Refused> {
        self.map_err(|error| refuse(&error, device))
    }
}
