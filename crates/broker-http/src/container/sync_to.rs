//! Container sync: the check of `X-Container-Sync-To`, and the list of containers to work on.

use broker_api::{ContainerBroker, ContainerInfo};
use http::HeaderName;

use super::Call;
use crate::request;
use crate::response::Refused;
use crate::status;

const X_CONTAINER_SYNC_TO: HeaderName = HeaderName::from_static("x-container-sync-to");

impl Call<'_> {
    /// Refuses a destination that container sync could not or must not go to.
    pub(super) fn check_sync_to(&self) -> Result<(), Refused> {
        let Some(value) = request::text(&self.parts.headers, &X_CONTAINER_SYNC_TO) else {
            return Ok(());
        };
        let checked = match value.trim_end_matches('/') {
            "" => Ok(()),
            realm if realm.starts_with("//") => self.check_realm(realm),
            url => check_url(url, &self.context.allowed_sync_hosts),
        };
        checked.map_err(|text| Refused::bad_request(&text))
    }

    /// Puts the container on the list of container sync or takes it off, as its metadata says now.
    ///
    /// What fails is only logged: the container has changed already, and its next change tries again.
    pub(super) async fn register_sync(&self, broker: &dyn ContainerBroker) {
        if let Err(error) = self.try_register_sync(broker).await {
            let cause = status::cause(&error);
            tracing::error!(%error, cause, store = %broker.location(), "not registered for container sync");
        }
    }

    async fn try_register_sync(&self, broker: &dyn ContainerBroker) -> broker_api::Result<()> {
        let Some(info) = broker.info().await? else {
            return Ok(());
        };
        let Some(synced) = info.is_synced()? else {
            return Ok(());
        };
        let engine = &self.context.engine;
        engine.set_synced(broker.location(), synced).await
    }

    /// Checks `//realm/cluster/account/container`.
    fn check_realm(&self, value: &str) -> Result<(), String> {
        let parts: Vec<&str> = value[2..].split('/').collect();
        let [realm, cluster, account, container] = parts[..] else {
            return Err(bad_format(value));
        };
        if [realm, cluster, account, container].contains(&"") {
            return Err(bad_format(value));
        }
        self.context.realms.with(|realms| {
            if realms.key(realm).is_none_or(str::is_empty) {
                return Err(format!("No realm key for '{realm}'"));
            }
            match realms.endpoint(realm, cluster) {
                Some(endpoint) if !endpoint.is_empty() => Ok(()),
                _ => Err(format!("No cluster endpoint for '{realm}' '{cluster}'")),
            }
        })
    }
}

/// Whether there is anything about container sync to register; broken metadata is found out then.
pub(super) fn concerns(info: &ContainerInfo) -> bool {
    !matches!(info.is_synced(), Ok(None))
}

fn bad_format(value: &str) -> String {
    format!("Invalid X-Container-Sync-To format '{value}'")
}

/// The parts of a URL that matter here.
struct Url<'a> {
    scheme: String,
    host: String,
    path: &'a str,
    has_extras: bool,
}

fn check_url(url: &str, allowed_hosts: &[String]) -> Result<(), String> {
    let url = Url::parse(url).ok_or_else(|| bad_format(url))?;
    if !matches!(url.scheme.as_str(), "http" | "https") {
        return Err(format!(
            "Invalid scheme '{}' in X-Container-Sync-To, must be \"//\", \"http\", or \"https\".",
            url.scheme
        ));
    }
    if url.path.is_empty() {
        return Err("Path required in X-Container-Sync-To".to_owned());
    }
    if url.has_extras {
        return Err("Params, queries, and fragments not allowed in X-Container-Sync-To".to_owned());
    }
    match allowed_hosts.contains(&url.host) {
        true => Ok(()),
        false => Err(format!(
            "Invalid host '{}' in X-Container-Sync-To",
            url.host
        )),
    }
}

impl<'a> Url<'a> {
    /// Takes a URL apart; `None` for one with unbalanced brackets around its host.
    fn parse(url: &'a str) -> Option<Self> {
        let is_scheme = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        };
        let (scheme, rest) = match url.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ => (String::new(), url),
        };
        let (authority, rest) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
            None => ("", rest),
        };
        let (before_fragment, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (path, query) = before_fragment
            .split_once('?')
            .unwrap_or((before_fragment, ""));
        // Parameters belong to the last segment of the path.
        let last = path.rfind('/').unwrap_or(0);
        let (path, parameters) = match path[last..].find(';') {
            Some(at) => (&path[..last + at], &path[last + at + 1..]),
            None => (path, ""),
        };
        Some(Self {
            scheme,
            host: host_of(authority)?,
            path,
            has_extras: [parameters, query, fragment]
                .iter()
                .any(|part| !part.is_empty()),
        })
    }
}

/// The host of `user@host:port` in lower case; `None` when its brackets do not match.
fn host_of(authority: &str) -> Option<String> {
    if authority.contains('[') != authority.contains(']') {
        return None;
    }
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?.0,
        None => host.split(':').next().unwrap_or_default(),
    };
    Some(host.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked_part_by_part() {
        let allowed = ["127.0.0.1".to_owned(), "::1".to_owned()];
        let check = |url: &str| check_url(url, &allowed).err().unwrap_or_default();
        for (url, expected) in [
            ("http://127.0.0.1:80/v1/a/c", ""),
            ("HTTPS://user:pw@127.0.0.1/v1/a/c", ""),
            ("http://[::1]:80/v1/a/c", ""),
            ("http://127.0.0.1", "Path required in X-Container-Sync-To"),
            (
                "http://Other/v1/a/c",
                "Invalid host 'other' in X-Container-Sync-To",
            ),
            (
                "127.0.0.1/v1/a/c",
                "Invalid scheme '' in X-Container-Sync-To, must be \"//\", \"http\", or \"https\".",
            ),
            (
                "ftp://127.0.0.1/v1/a/c",
                "Invalid scheme 'ftp' in X-Container-Sync-To, must be \"//\", \"http\", or \"https\".",
            ),
            (
                "http://[::1/v1/a/c",
                "Invalid X-Container-Sync-To format 'http://[::1/v1/a/c'",
            ),
        ] {
            assert_eq!(check(url), expected, "{url}");
        }
        for extra in [";p", "?q", "#f"] {
            let url = format!("http://127.0.0.1/v1/a/c{extra}");
            assert!(check(&url).starts_with("Params, queries"), "{url}");
        }
    }
}
