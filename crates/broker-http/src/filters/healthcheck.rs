//! `healthcheck`: answers whether a load balancer should use this server.

use std::path::PathBuf;

use http::StatusCode;

use super::with_text;
use crate::body::Response;

/// Answers `/healthcheck`.
#[derive(Debug, Clone)]
pub struct HealthCheck {
    disable_path: Option<PathBuf>,
}

impl HealthCheck {
    /// Makes the filter; while the file is there, the answer is 503.
    pub fn new(disable_path: Option<PathBuf>) -> Self {
        Self { disable_path }
    }

    pub(super) async fn answer(&self, path: &str) -> Option<Response> {
        if path != "/healthcheck" {
            return None;
        }
        let disabled = match &self.disable_path {
            Some(path) => tokio::fs::try_exists(path).await.unwrap_or(false),
            None => false,
        };
        Some(match disabled {
            true => with_text(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain",
                "DISABLED BY FILE",
            ),
            false => with_text(StatusCode::OK, "text/plain", "OK"),
        })
    }
}
