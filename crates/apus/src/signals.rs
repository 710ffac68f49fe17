//! What the process does on a signal.
//!
//! ```text
//! SIGTERM, SIGINT    stop accepting, finish running requests, exit
//! SIGHUP, SIGUSR1    read the configuration again; the listening socket stays open, running
//!                    requests finish under the old configuration
//! ```

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that the servers listen to.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Drain and exit.
    Stop,
    /// Read the configuration again.
    Reload,
}

impl Signals {
    /// Takes over the signals of this process.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.user1.recv() => Asked::Reload,
        }
    }
}
