//! What the headers of an answer say about a store.
//!
//! What they do not say is given a value that no case expects, so that a case which looks at it fails:
//! an id and a status in words, a hash and numbers that no store has.

use super::Servers;
use super::client::Answer;
use super::refused::nonsense;
use super::sent::Sent;
use crate::door::NOT_SHOWN;
use crate::fixture::{ACCOUNT, CONTAINER};
use broker_api::info::STATUS_DELETED;
use broker_api::{
    AccountInfo, AccountPolicyStat, ContainerInfo, DbState, Metadata, MetadataEntry, PolicyIndex,
    PolicyStat, Reported, Result, RollingHash, RowId, StoreInfo, TimestampText,
};
use http::StatusCode;

/// A number that no response shows.
pub(super) const NO_NUMBER: i64 = i64::MIN;

/// A time that no response shows.
const NO_TIME: &str = "0000000000.00001";

/// Later than any time: of a deletion that only its effect is shown of.
const LATEST: &str = "9999999999.99999";

fn time(text: &str) -> Result<TimestampText> {
    TimestampText::parse(text).map_err(|error| nonsense(error.to_string()))
}

fn header(answer: &Answer, name: &str) -> Result<String> {
    let absent = || nonsense(format!("{} lacks {name}", answer.status));
    answer.header(name).ok_or_else(absent)
}

fn number(answer: &Answer, name: &str) -> Result<i64> {
    let text = header(answer, name)?;
    text.parse()
        .map_err(|_| nonsense(format!("{name} is {text:?}")))
}

/// A store whose every fact is yet to be filled in.
fn store(answer: &Answer, sent: &Sent) -> Result<StoreInfo> {
    Ok(StoreInfo {
        account: ACCOUNT.to_owned(),
        created_at: time(NO_TIME)?,
        put_timestamp: time(NO_TIME)?,
        delete_timestamp: TimestampText::never(),
        status: NOT_SHOWN.to_owned(),
        status_changed_at: time(NO_TIME)?,
        hash: RollingHash::default().toggled(NOT_SHOWN, NOT_SHOWN),
        id: NOT_SHOWN.to_owned(),
        raw_metadata: metadata(answer, sent)?,
        max_row: RowId(NO_NUMBER),
    })
}

/// The container that a HEAD tells of; nothing when there is none.
pub(super) fn container(answer: &Answer, sent: &Sent) -> Result<Option<ContainerInfo>> {
    let is_deleted = answer.status == StatusCode::NOT_FOUND;
    if !is_deleted && !answer.status.is_success() {
        return Err(super::refused::refused(answer));
    }
    let created_at = time(&header(answer, "x-backend-timestamp")?)?;
    if is_deleted && created_at.value().is_zero() {
        return Ok(None);
    }
    let count = |name| match is_deleted {
        true => Ok(0),
        false => number(answer, name),
    };
    let policy_index = PolicyIndex(number(answer, "x-backend-storage-policy-index")?);
    let own = PolicyStat {
        policy_index,
        object_count: count("x-container-object-count")?,
        bytes_used: count("x-container-bytes-used")?,
    };
    let store = StoreInfo {
        created_at,
        put_timestamp: time(&header(answer, "x-backend-put-timestamp")?)?,
        delete_timestamp: time(&header(answer, "x-backend-delete-timestamp")?)?,
        status_changed_at: time(&header(answer, "x-backend-status-changed-at")?)?,
        ..store(answer, sent)?
    };
    let info = ContainerInfo {
        store,
        container: CONTAINER.to_owned(),
        policy_index,
        policy_stats: vec![own],
        reported: Reported {
            put_timestamp: NOT_SHOWN.to_owned(),
            delete_timestamp: NOT_SHOWN.to_owned(),
            object_count: NO_NUMBER,
            bytes_used: NO_NUMBER,
        },
        x_container_sync_point1: NO_NUMBER,
        x_container_sync_point2: NO_NUMBER,
        reconciler_sync_point: NO_NUMBER,
        db_state: DbState::Unsharded,
    };
    agree(answer, is_deleted, info.is_deleted())?;
    Ok(Some(info))
}

/// The account that a HEAD tells of; nothing when there is none.
pub(super) fn account(
    answer: &Answer,
    sent: &Sent,
    servers: &Servers,
) -> Result<Option<AccountInfo>> {
    let is_status_deleted = answer.header("x-account-status").as_deref() == Some("Deleted");
    let mut store = store(answer, sent)?;
    if answer.status == StatusCode::NOT_FOUND {
        store.status = STATUS_DELETED.to_owned();
        let info = AccountInfo {
            store,
            container_count: NO_NUMBER,
            object_count: NO_NUMBER,
            bytes_used: NO_NUMBER,
            policy_stats: Vec::new(),
        };
        return Ok(is_status_deleted.then_some(info));
    }
    if !answer.status.is_success() {
        return Err(super::refused::refused(answer));
    }
    store.created_at = time(&header(answer, "x-timestamp")?)?;
    store.put_timestamp = time(&header(answer, "x-put-timestamp")?)?;
    if is_status_deleted {
        store.delete_timestamp = time(LATEST)?;
    }
    let info = AccountInfo {
        store,
        container_count: number(answer, "x-account-container-count")?,
        object_count: number(answer, "x-account-object-count")?,
        bytes_used: number(answer, "x-account-bytes-used")?,
        policy_stats: account_stats(answer, servers)?,
    };
    agree(answer, false, info.is_deleted())?;
    Ok(Some(info))
}

/// What the status says and what follows from the facts must be one thing.
fn agree(answer: &Answer, said: bool, follows: bool) -> Result<()> {
    match said == follows {
        true => Ok(()),
        false => Err(nonsense(format!(
            "the server answers {}, but from its headers follows that deleted is {follows}",
            answer.status
        ))),
    }
}

fn account_stats(answer: &Answer, servers: &Servers) -> Result<Vec<AccountPolicyStat>> {
    const BEFORE: &str = "x-account-storage-policy-";
    let mut stats = Vec::new();
    for (header, _) in answer.headers() {
        let of = |end| header.strip_prefix(BEFORE)?.strip_suffix(end);
        let Some(name) = of("-container-count") else {
            continue;
        };
        let count = |what: &str| number(answer, &format!("{BEFORE}{name}-{what}"));
        stats.push(AccountPolicyStat {
            policy_index: PolicyIndex(servers.policy(name)),
            container_count: Some(count("container-count")?),
            object_count: count("object-count")?,
            bytes_used: count("bytes-used")?,
        });
    }
    stats.sort_by_key(|stat| stat.policy_index);
    Ok(stats)
}

/// Whether a header's name is one of stored metadata.
pub(super) fn is_metadata(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["x-account-", "x-container-"].iter().any(|kind| {
        name.strip_prefix(kind).is_some_and(|rest| {
            let is_free = |word: &str| rest.strip_prefix(word).is_some_and(|rest| !rest.is_empty());
            is_free("meta-")
                || is_free("sysmeta-")
                || matches!(rest, "read" | "write" | "sync-key" | "sync-to")
        })
    })
}

/// The stored spelling of a metadata header: a capital after whatever is no letter.
pub(super) fn canonical(name: &str) -> String {
    let mut after_letter = false;
    let spell = |letter: char| {
        let spelled = match after_letter {
            true => letter.to_ascii_lowercase(),
            false => letter.to_ascii_uppercase(),
        };
        after_letter = letter.is_ascii_alphabetic();
        spelled
    };
    name.chars().map(spell).collect()
}

/// The metadata that is shown, with the times with which it was sent, in the order of first mention.
fn metadata(answer: &Answer, sent: &Sent) -> Result<String> {
    let mut shown: Vec<(usize, MetadataEntry)> = Vec::new();
    for (name, value) in answer.headers().filter(|(name, _)| is_metadata(name)) {
        let key = canonical(name);
        shown.push(match sent.metadata(&key, &value) {
            Some((place, entry)) => (place, entry.clone()),
            None => (usize::MAX, MetadataEntry::new(key, value, NO_TIME)),
        });
    }
    shown.sort_by_key(|(place, _)| *place);
    if shown.is_empty() {
        return Ok(String::new());
    }
    let mut metadata = Metadata::default();
    let shown: Vec<_> = shown.into_iter().map(|(_, entry)| entry).collect();
    metadata.update(&shown, None)?;
    Ok(metadata.to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_headers_are_told_apart_and_spelled_as_stored() {
        for name in [
            "X-Container-Meta-a",
            "x-account-sysmeta-B",
            "X-Container-Sync-To",
        ] {
            assert!(is_metadata(name), "{name}");
        }
        for name in [
            "X-Container-Meta-",
            "X-Container-Object-Count",
            "X-Timestamp",
        ] {
            assert!(!is_metadata(name), "{name}");
        }
        assert_eq!(
            canonical("x-account-meta-a1b-c2D"),
            "X-Account-Meta-A1B-C2D"
        );
    }
}
