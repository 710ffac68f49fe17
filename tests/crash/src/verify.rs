//! Reads the container back.

use crate::load::Expected;
use raw_http::Connection;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// Compares the server's listing with what is expected, settles what was left open, and answers which
/// names lost what was acknowledged.
///
/// # Errors
/// When something is there that nobody wrote, a row is half applied, or counts do not fit the rows.
pub fn verify(address: SocketAddr, expected: &mut Expected) -> Result<Vec<String>, String> {
    let mut connection =
        Connection::open(address, Duration::from_secs(60)).map_err(|e| e.to_string())?;
    let listed = list(&mut connection)?;
    let bytes = listed.values().sum::<u64>();
    let mut lost = Vec::new();
    for (name, may) in expected.iter_mut() {
        let found = listed.get(name).copied();
        if !may.contains(&found) {
            lost.push(format!(
                "{name:?} is {found:?} but may only be one of {may:?}"
            ));
        }
        *may = BTreeSet::from([found]);
    }
    if let Some(name) = listed.keys().find(|name| !expected.contains_key(*name)) {
        return Err(format!("{name:?} was never written"));
    }
    let head = connection
        .request("HEAD", "/sda1/1/a/c", &[], b"")
        .map_err(|e| e.to_string())?;
    let count = |name: &str| head.header(name).and_then(|n| n.parse::<u64>().ok());
    let counted = (
        count("X-Container-Object-Count"),
        count("X-Container-Bytes-Used"),
    );
    if counted != (Some(listed.len() as u64), Some(bytes)) {
        return Err(format!(
            "{} rows of {bytes} bytes are counted as {counted:?}",
            listed.len()
        ));
    }
    Ok(lost)
}

/// Name and size of every row.
fn list(connection: &mut Connection) -> Result<BTreeMap<String, u64>, String> {
    let mut listed = BTreeMap::new();
    let mut marker = String::new();
    loop {
        let target = format!(
            "/sda1/1/a/c?format=json&marker={}",
            marker.replace(' ', "%20")
        );
        let page = connection
            .request("GET", &target, &[], b"")
            .map_err(|e| e.to_string())?;
        if page.status != 200 {
            return Err(format!("the listing was answered {}", page.status));
        }
        let page: Vec<Value> = serde_json::from_slice(&page.body).map_err(|e| e.to_string())?;
        let Some(last) = page.last() else {
            return Ok(listed);
        };
        marker = last["name"].as_str().unwrap_or_default().to_owned();
        for row in &page {
            let size = row["bytes"].as_u64().unwrap_or(u64::MAX);
            if row["hash"] != format!("etag-{size}") {
                return Err(format!("a row is half applied: {row}"));
            }
            listed.insert(row["name"].as_str().unwrap_or_default().to_owned(), size);
        }
    }
}
