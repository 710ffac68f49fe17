//! What a case answers, and the macros with which it checks.

use std::fmt;
use std::panic::Location;

/// The answer of a case.
pub(crate) type Check<T = ()> = Result<T, Failure>;

/// Why a case failed: a sentence, and the line of the suite that said so.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    message: String,
    at: &'static Location<'static>,
}

impl Failure {
    /// A failure at the caller's line.
    #[track_caller]
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            at: Location::caller(),
        }
    }

    /// What was expected and what happened instead.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The line of the suite that found it.
    pub(crate) fn at(&self) -> &'static Location<'static> {
        self.at
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<broker_api::Error> for Failure {
    #[track_caller]
    fn from(error: broker_api::Error) -> Self {
        let mut message = format!("the engine failed with {:?}: {error}", error.kind());
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message.push_str(&format!("; caused by: {cause}"));
            source = cause.source();
        }
        Self::new(message)
    }
}

impl From<broker_api::InvalidTimestamp> for Failure {
    #[track_caller]
    fn from(error: broker_api::InvalidTimestamp) -> Self {
        Self::new(error.to_string())
    }
}

/// Ends the case with a failure unless the condition holds; further arguments say what it means.
macro_rules! check {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::check::Failure::new(format!($($message)+)));
        }
    };
}

/// Ends the case with a failure unless both sides are equal: what the engine said, what it should
/// have said, and optionally what that means.
macro_rules! check_eq {
    ($found:expr, $expected:expr $(,)?) => {
        check_eq!($found, $expected, "{}", stringify!($found))
    };
    ($found:expr, $expected:expr, $($message:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if found != expected {
                    let what = format!($($message)+);
                    return Err($crate::check::Failure::new(format!(
                        "{what}: found {found:?}, expected {expected:?}"
                    )));
                }
            }
        }
    };
}

/// Ends the case with a failure unless the result is an error of the kind, with nothing applied.
macro_rules! check_refused {
    ($result:expr, $kind:ident) => {
        match $result {
            Ok(_) => {
                return Err($crate::check::Failure::new(format!(
                    "{} succeeded, expected {}",
                    stringify!($result),
                    stringify!($kind)
                )));
            }
            Err(error) => {
                check_eq!(
                    (error.kind(), error.outcome()),
                    (
                        broker_api::ErrorKind::$kind,
                        broker_api::Outcome::NotApplied
                    ),
                    "{}",
                    stringify!($result)
                );
            }
        }
    };
}

pub(crate) use {check, check_eq, check_refused};
