//! Sockets, HTTP/1 and the limits of both.
//!
//! ```text
//! listener ──► accept ──► connection task ── head ──► App::handle ──► response ──┐
//!    │           │              ▲   (permit of max_clients held)                │
//!    │           └── registry   └──────────── keep-alive, rest of body drained ◄┘
//!    └── ReloadHandle: next connections get the new generation, old ones finish
//! ```
//!
//! # Why an own loop and not hyper
//!
//! What Swift's servers accept and answer here is not what a general HTTP library does: 505 for a
//! version of 2 and above, 414 and 431 at configured limits, raw bytes and `#` in a target, header
//! names that contain `_` dropped, header names outside of ASCII kept, repeated lines joined with a
//! comma, `Content-Length` left alone in a 204, names sent in Swift's own case. A guard in front of
//! hyper would have had to follow every body's framing to find the next head, which is the same
//! work twice and two parsers that may disagree. Driving the socket directly is smaller and exact,
//! and cheap: no timer and no task per request, one `writev` for head and first chunk of body, no
//! buffer while a connection is idle.
//!
//! | file | what |
//! |---|---|
//! | `options` | limits and times, from configuration |
//! | `socket` | listening sockets, open file limit |
//! | `head` | where a request head ends, and what it says |
//! | `target` | request targets made safe for [`http::Uri`] |
//! | `input` | request bodies: framing, `100-continue`, draining |
//! | `output` | response heads and bodies |
//! | `slot` | who waits for what until when; the registry and its reaper |
//! | `connection` | the loop over requests of one connection |
//! | `server` | accepting, reloading, draining |

mod connection;
mod head;
mod header_name;
mod input;
mod options;
mod output;
mod server;
mod slot;
mod socket;
mod target;

use std::net::SocketAddr;

pub use header_name::{UnusualHeaders, write_canonical};
pub use options::{KeepAlive, Limits, Options};
pub use server::{Drained, ReloadHandle, Server, Stats};
pub use socket::{Bind, bind, raise_open_files};

/// The client's address, an extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The reason phrase of a response, an extension that handlers may set; else Swift's own is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason(pub &'static str);
