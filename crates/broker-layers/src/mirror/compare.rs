//! When two answers are the same, by the table of [`mirror`](super).

use crate::call::{Answer, Call, Visitor};
use crate::target::Target;
use broker_api::{
    AccountBrokerExt, ContainerBrokerExt, ContainerEntry, ContainerRowRef, ContainerVisitor, Entry,
    Error, ErrorKind, ListObjects, Location, ObjectEntry, ObjectVisitor, Outcome, PolicyFilter,
    PolicyIndex, Result, StoreKind,
};
use std::collections::BTreeSet;

/// Stores in one page when all pages are compared.
const PAGE: usize = 1000;

/// What both engines said.
pub(super) struct Answers {
    pub(super) first: Result<Said>,
    second: Result<Said>,
}

/// An answer that can be compared: a listing is collected.
#[derive(Debug)]
pub(super) enum Said {
    Plain(Box<Answer>),
    Containers(Vec<ContainerEntry>),
    Objects(Vec<ObjectEntry>),
    /// The page that was asked for, and all that there is.
    Stores(Vec<Location>, BTreeSet<Location>),
}

impl Said {
    /// The answer for the caller; a listing is shown to its visitor now.
    pub(super) fn shown_to(self, visitor: Visitor) -> Answer {
        match (self, visitor) {
            (Said::Plain(answer), _) => *answer,
            (Said::Stores(page, _), _) => page.into(),
            (Said::Containers(entries), Visitor::Containers(mut visitor)) => {
                show_containers(&entries, &mut *visitor);
                visitor.into()
            }
            (Said::Objects(entries), Visitor::Objects(mut visitor)) => {
                show_objects(&entries, &mut *visitor);
                visitor.into()
            }
            // Only listings are collected, and they come with a visitor of their kind.
            (Said::Containers(_) | Said::Objects(_), visitor) => Answer::Visitor(visitor),
        }
    }
}

fn show_containers(entries: &[ContainerEntry], visitor: &mut dyn ContainerVisitor) {
    for entry in entries {
        let entry = match entry {
            ContainerEntry::Subdir(name) => Entry::Subdir(name.as_str()),
            ContainerEntry::Row {
                name,
                put_timestamp,
                object_count,
                bytes_used,
                policy_index,
            } => Entry::Row(ContainerRowRef {
                name,
                put_timestamp,
                object_count: *object_count,
                bytes_used: *bytes_used,
                policy_index: *policy_index,
            }),
        };
        if visitor.visit(entry).is_break() {
            return;
        }
    }
}

fn show_objects(entries: &[ObjectEntry], visitor: &mut dyn ObjectVisitor) {
    for entry in entries {
        let entry = match entry {
            ObjectEntry::Subdir(name) => Entry::Subdir(name.as_str()),
            ObjectEntry::Row(row) => Entry::Row(row.as_ref()),
        };
        if visitor.visit(entry).is_break() {
            return;
        }
    }
}

/// Plays a call on both engines, one after the other.
pub(super) async fn answers(first: &Target, second: &Target, call: &Call) -> Answers {
    let answers = Answers {
        first: answer(first, call).await,
        second: match call {
            Call::DeviceHealth(_) => Ok(Said::Plain(Box::new(Answer::Done(())))),
            call => answer(second, call).await,
        },
    };
    if is_buffered(call) {
        for target in [first, second] {
            // What is wrong with a store shows in its answers.
            let _ = target.ask(Call::UpdateMetadata(Vec::new(), None)).await;
        }
    }
    answers
}

fn is_buffered(call: &Call) -> bool {
    match call {
        Call::MergeContainers(_, options) | Call::MergeObjects(_, options) => options.may_buffer,
        _ => false,
    }
}

async fn answer(target: &Target, call: &Call) -> Result<Said> {
    Ok(match (target, call) {
        (Target::Account(account, _), Call::ListContainers(query)) => {
            Said::Containers(account.container_page(query).await?)
        }
        (Target::Container(container, _), Call::ListObjects(query)) => {
            Said::Objects(container.object_page(query).await?)
        }
        (_, Call::Stores { .. } | Call::Synced { .. }) => {
            let page = target.ask(call.clone()).await?.try_into()?;
            Said::Stores(page, all_pages(target, call).await?)
        }
        _ => Said::Plain(Box::new(target.ask(call.clone()).await?)),
    })
}

async fn all_pages(target: &Target, call: &Call) -> Result<BTreeSet<Location>> {
    let mut all = BTreeSet::new();
    let mut last: Option<Location> = None;
    loop {
        let next = match call {
            Call::Stores { device, kind, .. } => stores(device, *kind, last),
            Call::Synced { device, .. } => synced(device, last),
            _ => return Ok(all),
        };
        let page: Vec<Location> = target.ask(next).await?.try_into()?;
        last = page.last().cloned();
        let before = all.len();
        all.extend(page);
        if all.len() == before {
            return Ok(all);
        }
    }
}

fn stores(device: &str, kind: StoreKind, after: Option<Location>) -> Call {
    Call::Stores {
        device: device.to_owned(),
        kind,
        after,
        limit: PAGE,
    }
}

fn synced(device: &str, after: Option<Location>) -> Call {
    Call::Synced {
        device: device.to_owned(),
        after,
        limit: PAGE,
    }
}

/// What each engine said, when that is not the same.
pub(super) fn difference(call: &Call, answers: &Answers) -> Option<(String, String)> {
    let same = match (&answers.first, &answers.second) {
        (Ok(one), Ok(other)) => is_same(call, one, other),
        (Err(one), Err(other)) => reason(one) == reason(other),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    };
    (!same).then(|| (words(&answers.first), words(&answers.second)))
}

fn reason(error: &Error) -> (ErrorKind, Outcome) {
    (error.kind(), error.outcome())
}

fn words(answer: &Result<Said>) -> String {
    match answer {
        Ok(Said::Plain(answer)) => format!("{answer:?}"),
        Ok(said) => format!("{said:?}"),
        Err(error) => format!("{:?}, {:?}: {error}", error.kind(), error.outcome()),
    }
}

fn is_same(call: &Call, one: &Said, other: &Said) -> bool {
    match (one, other) {
        (Said::Plain(one), Said::Plain(other)) => is_same_answer(one, other),
        (Said::Containers(one), Said::Containers(other)) => one == other,
        (Said::Objects(one), Said::Objects(other)) => match call {
            Call::ListObjects(query) => is_same_listing(query, one, other),
            _ => false,
        },
        // An order of the engine's choice: the pages may differ, what is found may not.
        (Said::Stores(page, one), Said::Stores(_, other)) => {
            one == other && page.iter().all(|store| one.contains(store))
        }
        _ => false,
    }
}

fn is_same_answer(one: &Answer, other: &Answer) -> bool {
    match (one, other) {
        (Answer::Health(_), _) => true,
        (Answer::Done(()), Answer::Done(())) => true,
        (Answer::Exists(one), Answer::Exists(other)) => one == other,
        (Answer::Initialized(one), Answer::Initialized(other)) => one == other,
        (Answer::AccountInfo(one), Answer::AccountInfo(other)) => one == other,
        (Answer::ContainerInfo(one), Answer::ContainerInfo(other)) => one == other,
        (Answer::Containers(one), Answer::Containers(other)) => one == other,
        (Answer::Objects(one), Answer::Objects(other)) => one == other,
        (Answer::Reclaimed(one), Answer::Reclaimed(other)) => one == other,
        (Answer::SyncPoints(one), Answer::SyncPoints(other)) => {
            let points = |of: &[broker_api::SyncPoint]| {
                let points = of.iter();
                let points = points.map(|point| (point.remote_id.clone(), point.sync_point));
                points.collect::<Vec<_>>()
            };
            points(one) == points(other)
        }
        _ => false,
    }
}

fn is_same_listing(query: &ListObjects, one: &[ObjectEntry], other: &[ObjectEntry]) -> bool {
    if query.policy != PolicyFilter::All {
        return one == other;
    }
    let names = |of: &[ObjectEntry]| of.iter().map(|e| e.name().to_owned()).collect::<Vec<_>>();
    // A page that is full may end among rows of one name, at different ones of them.
    let is_full = one.len() >= query.names.limit;
    names(one) == names(other) && (is_full || by_policy(one) == by_policy(other))
}

fn by_policy(entries: &[ObjectEntry]) -> Vec<&ObjectEntry> {
    let policy = |entry: &ObjectEntry| match entry {
        ObjectEntry::Row(row) => row.policy_index,
        ObjectEntry::Subdir(_) => PolicyIndex(i64::MIN),
    };
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by(|a, b| (a.name(), policy(a)).cmp(&(b.name(), policy(b))));
    entries
}
