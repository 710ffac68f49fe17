//! What HTTP shows of the answers that were recorded from Swift.

use super::{Command, answers, end_of_json_text, parse};
use crate::check::{Check, Failure};
use crate::door::Door;
use crate::shown;
use broker_api::{ObjectRow, PolicyIndex, RowId, Timestamp};

/// What headers say of a container, of all that Swift's broker says.
const OF_A_CONTAINER: [&str; 6] = ["put", "delete", "changed", "policy", "objects", "bytes"];

/// The answer that must be found.
pub(super) fn recorded(door: Door, command: &Command, answer: &[&str]) -> Check<Vec<String>> {
    let whole = || answer.iter().map(|line| (*line).to_owned());
    match command.word.as_str() {
        _ if door == Door::Process => Ok(whole().collect()),
        "rows" => {
            let rows: Vec<_> = answer.iter().map(|line| row(line)).collect::<Check<_>>()?;
            let rows = shown::rows(door, rows)?;
            Ok(rows.iter().map(answers::object_row).collect())
        }
        "list" => answer.iter().map(|line| listed(line)).collect(),
        "info" => Ok(vec![info(whole())?]),
        _ => Ok(whole().collect()),
    }
}

/// The answer that was found, without what the door fills in by itself.
pub(super) fn found(door: Door, command: &Command, answer: Vec<String>) -> Check<Vec<String>> {
    match command.word.as_str() {
        "info" if door == Door::Wire => Ok(vec![info(answer.into_iter())?]),
        _ => Ok(answer),
    }
}

/// Headers normalise timestamps, and a container that is deleted has no counts.
fn info(lines: impl Iterator<Item = String>) -> Check<String> {
    let lines: Vec<_> = lines
        .take_while(|line| !line.starts_with("reported"))
        .collect();
    let mut said = Vec::new();
    let words = lines.iter().flat_map(|line| line.split(' '));
    for (key, value) in words.filter_map(|word| word.split_once('=')) {
        if !OF_A_CONTAINER.contains(&key) {
            continue;
        }
        said.push(match key {
            "put" | "delete" | "changed" => {
                format!("{key}={}", Timestamp::parse(value)?.internal())
            }
            _ => format!("{key}={value}"),
        });
    }
    Ok(said.join(" "))
}

/// A line of `rows`: `7 "name" at=… size=… type="…" etag="…" deleted=0 policy=1`.
fn row(line: &str) -> Check<ObjectRow> {
    let strange = || Failure::new(format!("the script's row {line} does not parse"));
    let (_, rest) = line.split_once(' ').ok_or_else(strange)?;
    let end = end_of_json_text(rest).ok_or_else(strange)?;
    let name = serde_json::from_str(&rest[..end]).map_err(|_| strange())?;
    let said = parse(&format!("row{}", &rest[end..])).ok_or_else(strange)?;
    Ok(ObjectRow {
        row_id: RowId::NONE,
        name,
        created_at: said.text("at"),
        size: said.number("size")?.unwrap_or_default(),
        content_type: said.text("type"),
        etag: said.text("etag"),
        deleted: said.text("deleted") == "1",
        policy_index: PolicyIndex(said.number("policy")?.unwrap_or_default()),
    })
}

/// A line of `list`: `row "name" modified=… size=… type="…" etag="…"`, a subdir, or none.
fn listed(line: &str) -> Check<String> {
    if !line.starts_with("row ") {
        return Ok(line.to_owned());
    }
    let shown = shown::row(row(&line.replacen(" modified=", " at=", 1))?)?;
    answers::object_entry(&broker_api::ObjectEntry::Row(shown))
}
