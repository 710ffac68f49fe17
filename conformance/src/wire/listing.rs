//! Listings: pages of JSON, joined.

use super::client::{Ask, quote};
use super::refused::{nonsense, refused};
use super::store::Store;
use broker_api::{ListingQuery, ObjectRow, PolicyIndex, Result, RowId, Timestamp};
use serde_json::Value;

/// The most that a server puts into one page.
const MOST: usize = 10_000;

/// One entry of a page.
pub(super) enum Shown {
    Row(Value),
    Subdir(String),
}

impl Shown {
    fn parse(entry: Value) -> Result<Self> {
        match entry.get("subdir") {
            None => Ok(Shown::Row(entry)),
            Some(subdir) => Ok(Shown::Subdir(text(subdir)?)),
        }
    }

    fn name(&self) -> Result<String> {
        match self {
            Shown::Row(row) => text(&row["name"]),
            Shown::Subdir(name) => Ok(name.clone()),
        }
    }
}

/// The text that a value is.
pub(super) fn text(value: &Value) -> Result<String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| nonsense(format!("{value} in a listing is no text")))
}

/// The number that a value is.
pub(super) fn number(value: &Value) -> Result<i64> {
    let number = value.as_i64();
    number.ok_or_else(|| nonsense(format!("{value} in a listing is no number")))
}

/// Asks for pages until the listing ends or has as many entries as were asked for.
pub(super) async fn whole(
    store: &Store,
    query: &ListingQuery,
    policy: Option<PolicyIndex>,
) -> Result<Vec<Shown>> {
    let mut query = query.clone();
    let mut shown: Vec<Shown> = Vec::new();
    let wanted = query.limit;
    loop {
        query.limit = MOST.min(wanted - shown.len());
        let page = page(store, &query, policy).await?;
        let is_last = page.len() < query.limit;
        shown.extend(page);
        if is_last || shown.len() >= wanted {
            return Ok(shown);
        }
        if let Some(last) = shown.last() {
            query.marker = last.name()?;
        }
    }
}

async fn page(
    store: &Store,
    query: &ListingQuery,
    policy: Option<PolicyIndex>,
) -> Result<Vec<Shown>> {
    let mut ask = Ask::new("GET", format!("{}?{}", store.path(), parameters(query)));
    if query.allow_reserved {
        ask = ask.header("x-backend-allow-reserved-names", "true")?;
    }
    if let Some(policy) = policy {
        ask = ask.header("x-backend-storage-policy-index", policy)?;
    }
    let answer = store.send(ask).await?;
    if !answer.status.is_success() {
        if answer.status != http::StatusCode::NOT_FOUND {
            return Err(refused(&answer));
        }
        return store
            .gone_or(answer, "a listing")
            .await
            .map(|()| Vec::new());
    }
    let parsed: serde_json::Result<Vec<Value>> = serde_json::from_slice(&answer.body);
    let entries =
        parsed.map_err(|error| nonsense("the listing is no JSON array").caused_by(error))?;
    entries.into_iter().map(Shown::parse).collect()
}

fn parameters(query: &ListingQuery) -> String {
    let mut parameters = format!("format=json&limit={}", query.limit);
    let texts = [
        ("marker", &query.marker),
        ("end_marker", &query.end_marker),
        ("prefix", &query.prefix),
        ("delimiter", &query.delimiter),
    ];
    for (name, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
        parameters.push_str(&format!("&{name}={}", quote(value)));
    }
    if let Some(path) = &query.path {
        parameters.push_str(&format!("&path={}", quote(path)));
    }
    if query.reverse {
        parameters.push_str("&reverse=true");
    }
    parameters
}

/// A row as a listing shows it. Of its times the last alone is shown, without offset.
pub(super) fn object(row: &Value, policy_index: PolicyIndex) -> Result<ObjectRow> {
    Ok(ObjectRow {
        row_id: RowId::NONE,
        name: text(&row["name"])?,
        created_at: modified(row)?,
        size: number(&row["bytes"])?,
        content_type: text(&row["content_type"])?,
        etag: text(&row["hash"])?,
        deleted: false,
        policy_index,
    })
}

/// `last_modified` as a timestamp in its normal form.
pub(super) fn modified(row: &Value) -> Result<String> {
    let shown = text(&row["last_modified"])?;
    let time = from_iso(&shown);
    let time = time.ok_or_else(|| nonsense(format!("{shown} in a listing is no time")))?;
    Ok(time.normal())
}

/// `2023-11-14T22:13:23.123450`, always UTC, as a timestamp.
fn from_iso(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T')?;
    let (time, micros) = time.split_once('.').unwrap_or((time, "0"));
    let numbers = |text: &str, by: char| -> Option<[u64; 3]> {
        let parts: Option<Vec<u64>> = text.split(by).map(|part| part.parse().ok()).collect();
        parts?.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hours, minutes, seconds] = numbers(time, ':')?;
    let days = days_since_1970(year, month, day)?;
    let seconds = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
    let micros: u64 = format!("{micros:0<6}").parse().ok()?;
    Timestamp::new(seconds * 100_000 + micros / 10, 0).ok()
}

/// Days of the proleptic Gregorian calendar; years are counted from March, so that a leap day ends one.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    const UNTIL_1970: u64 = 719_468;
    let year = if month <= 2 {
        year.checked_sub(1)?
    } else {
        year
    };
    let month = (month + 9) % 12;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    days.checked_sub(UNTIL_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_listings_are_timestamps() {
        for seconds in [
            "0000000000.00000",
            "1700000003.12345",
            "1709164800.00001",
            "9999999999.99999",
        ] {
            let time = Timestamp::parse(seconds).expect("a timestamp");
            assert_eq!(from_iso(&time.isoformat()), Some(time));
        }
        for bad in [
            "",
            "2023-11-14",
            "2023-11T1:2:3.4",
            "1960-01-01T00:00:00.000000",
        ] {
            assert_eq!(from_iso(bad), None, "{bad}");
        }
    }
}
