//! The one request type and the one response type between the transport and the servers.
//!
//! The transport wraps what arrives on the socket into a [`RequestBody`] that nobody has read yet,
//! so that `100-continue` is sent when a handler first asks for data. A response body is either
//! complete (its length is known and is sent as `Content-Length`) or a stream of chunks.

use std::io;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, LengthLimitError, Limited};

/// What a handler reads: lazily, in chunks, each at most as large as the transport's read buffer.
pub type RequestBody = UnsyncBoxBody<Bytes, io::Error>;

/// What a handler answers with.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A request as the servers see it: the target in origin form, one header line per name.
pub type Request = http::Request<RequestBody>;

/// A response as the servers make it.
pub type Response = http::Response<Body>;

/// Returns a body without bytes.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Returns a body of known content.
pub fn full(content: impl Into<Bytes>) -> Body {
    Full::new(content.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Why a request body could not be collected.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// More bytes than the handler is willing to hold.
    TooLarge,
    /// The client went away or broke the transfer coding.
    Broken,
}

/// Reads a whole request body of at most `limit` bytes.
pub(crate) async fn collect(body: RequestBody, limit: usize) -> Result<Bytes, ReadError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ReadError::TooLarge),
        Err(_) => Err(ReadError::Broken),
    }
}
