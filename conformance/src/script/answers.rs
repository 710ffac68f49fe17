//! The spelling of answers, which `record_goldens.py` shares.

use crate::check::Check;
use broker_api::metadata::push_json_text;
use broker_api::{
    AccountInfo, ContainerEntry, ContainerInfo, ContainerRow, ObjectEntry, ObjectRow,
    ObjectTimestamps, Timestamp,
};

/// A text as JSON, ASCII only.
pub(super) fn quote(text: &str) -> String {
    let mut json = String::new();
    push_json_text(&mut json, text);
    json
}

fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

pub(super) fn object_row(row: &ObjectRow) -> String {
    format!(
        "{} {} at={} size={} type={} etag={} deleted={} policy={}",
        row.row_id,
        quote(&row.name),
        row.created_at,
        row.size,
        quote(&row.content_type),
        quote(&row.etag),
        u8::from(row.deleted),
        row.policy_index
    )
}

pub(super) fn container_row(row: &ContainerRow) -> String {
    format!(
        "{} {} put={} delete={} count={} bytes={} deleted={} policy={}",
        row.row_id,
        quote(&row.name),
        row.put_timestamp,
        row.delete_timestamp,
        row.object_count,
        row.bytes_used,
        u8::from(row.deleted),
        row.policy_index
    )
}

/// An entry of `list`, with everything that Swift's listing shows.
pub(super) fn object_entry(entry: &ObjectEntry) -> Check<String> {
    Ok(match entry {
        ObjectEntry::Subdir(name) => format!("subdir {}", quote(name)),
        ObjectEntry::Row(row) => format!(
            "row {} modified={} size={} type={} etag={}",
            quote(&row.name),
            ObjectTimestamps::decode(&row.created_at)?.metadata,
            row.size,
            quote(&row.content_type),
            quote(&row.etag)
        ),
    })
}

pub(super) fn container_entry(entry: &ContainerEntry) -> String {
    match entry {
        ContainerEntry::Subdir(name) => format!("subdir {}", quote(name)),
        ContainerEntry::Row {
            name,
            put_timestamp,
            object_count,
            bytes_used,
            policy_index,
        } => {
            format!(
                "row {} put={put_timestamp} count={object_count} bytes={bytes_used} \
                 policy={policy_index}",
                quote(name)
            )
        }
    }
}

/// The one line of `names`: subdirs have a plus sign.
pub(super) fn names<'a>(names: impl Iterator<Item = (bool, &'a str)>) -> Vec<String> {
    let sign = |is_subdir| if is_subdir { "+" } else { "" };
    let names: Vec<_> = names
        .map(|(is_subdir, name)| format!("{}{}", sign(is_subdir), quote(name)))
        .collect();
    or_none(match names.is_empty() {
        true => Vec::new(),
        false => vec![names.join(" ")],
    })
}

pub(super) fn or_none(lines: Vec<String>) -> Vec<String> {
    match lines.is_empty() {
        true => vec!["(none)".into()],
        false => lines,
    }
}

fn store_line(store: &broker_api::StoreInfo) -> String {
    format!(
        "put={} delete={} changed={} created={} max_row={} hash={}",
        store.put_timestamp,
        store.delete_timestamp,
        store.status_changed_at,
        store.created_at,
        store.max_row,
        store.hash
    )
}

fn words(words: &[(&str, Option<bool>)]) -> String {
    let said = words
        .iter()
        .filter_map(|(word, value)| value.map(|value| format!("{word}={}", yes(value))));
    said.collect::<Vec<_>>().join(" ")
}

pub(super) fn account_info(info: &AccountInfo, age: Option<Timestamp>) -> Vec<String> {
    let mut stats = String::from("policies");
    for stat in &info.policy_stats {
        stats.push_str(&format!(
            " {}:{}/{}/{}",
            stat.policy_index,
            stat.container_count
                .map_or("-".into(), |count| count.to_string()),
            stat.object_count,
            stat.bytes_used
        ));
    }
    vec![
        store_line(&info.store),
        format!(
            "containers={} objects={} bytes={}",
            info.container_count, info.object_count, info.bytes_used
        ),
        stats,
        words(&[
            ("status_deleted", Some(info.is_status_deleted())),
            ("deleted", Some(info.is_deleted())),
            ("empty", Some(info.is_empty())),
            ("reclaimable", age.map(|age| info.is_reclaimable(age))),
        ]),
    ]
}

pub(super) fn container_info(info: &ContainerInfo, age: Option<Timestamp>) -> Vec<String> {
    let mut stats = String::from("policies");
    for stat in &info.policy_stats {
        stats.push_str(&format!(
            " {}:{}/{}",
            stat.policy_index, stat.object_count, stat.bytes_used
        ));
    }
    vec![
        store_line(&info.store),
        format!(
            "policy={} objects={} bytes={} status={} sync1={} sync2={}",
            info.policy_index,
            info.object_count(),
            info.bytes_used(),
            quote(&info.store.status),
            info.x_container_sync_point1,
            info.x_container_sync_point2
        ),
        format!(
            "reported put={} delete={} objects={} bytes={} reconciler={}",
            info.reported.put_timestamp,
            info.reported.delete_timestamp,
            info.reported.object_count,
            info.reported.bytes_used,
            info.reconciler_sync_point
        ),
        stats,
        words(&[
            ("deleted", Some(info.is_deleted())),
            ("empty", Some(info.is_empty())),
            ("reclaimable", age.map(|age| info.is_reclaimable(age))),
        ]),
    ]
}
