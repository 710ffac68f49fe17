//! Listings: delimiters, reserved names, paths, and what is filtered.

use crate::flaw::Flaw::{Asks, Lists, Plays};
use crate::flaw::{object_rows, show};
use crate::mutant::mutants;
use broker_api::{
    ContainerBrokerExt, DeletedFilter, ListObjects, ListingQuery, ObjectEntry, PolicyFilter,
    PolicyIndex, RowId,
};
use broker_layers::{Call, Target};

/// The names part of a listing of either kind.
fn names(call: &mut Call) -> Option<&mut ListingQuery> {
    match call {
        Call::ListObjects(query) => Some(&mut query.names),
        Call::ListContainers(query) => Some(query),
        _ => None,
    }
}

fn asked(call: &mut Call, change: impl FnOnce(&mut ListingQuery)) {
    if let Some(names) = names(call) {
        change(names);
    }
}

fn objects(call: &mut Call, change: impl FnOnce(&mut ListObjects)) {
    if let Call::ListObjects(query) = call {
        change(query);
    }
}

fn is_row(entry: &ObjectEntry) -> bool {
    matches!(entry, ObjectEntry::Row(_))
}

/// The listing of all names, without the limit and what restricts it.
async fn listed(target: &Target, query: ListObjects) -> broker_api::Result<Vec<ObjectEntry>> {
    match target {
        Target::Container(container, _) => container.object_page(&query).await,
        _ => Ok(Vec::new()),
    }
}

mutants! {
    /// The delimiter is ignored.
    delimiters_are_ignored breaks ["LIST-3"] =
        Asks(|call| asked(call, |names| names.delimiter.clear()));

    /// Only the first character of the delimiter counts.
    delimiters_are_one_character breaks ["LIST-3"] = Asks(|call| asked(call, |names| {
        names.delimiter = names.delimiter.chars().take(1).collect();
    }));

    /// A subdir that the marker names is shown.
    marked_subdirs_are_shown breaks ["LIST-3"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let Call::ListObjects(query) = call else {
                return target.play(call, visitor).await;
            };
            let (marker, delimiter) = (query.names.marker.clone(), query.names.delimiter.clone());
            let mut entries = listed(target, query.clone()).await?;
            let is_subdir = !delimiter.is_empty() && marker.ends_with(&delimiter);
            if is_subdir && !query.names.reverse {
                let mut inside = query.clone();
                (inside.names.delimiter, inside.names.prefix) = (String::new(), marker.clone());
                if !listed(target, inside).await?.is_empty() {
                    entries.insert(0, ObjectEntry::Subdir(marker));
                    entries.truncate(query.names.limit);
                }
            }
            show(&entries, visitor)
        }));

    /// A subdir smaller than the marker is not shown.
    passed_subdirs_are_hidden breaks ["LIST-3"] = Lists(|query, entries| {
        if !query.names.reverse {
            let marker = query.names.marker.as_str();
            entries.retain(|entry| is_row(entry) || entry.name() >= marker);
        }
    });

    /// A subdir is shown once for each of its rows.
    subdirs_come_twice breaks ["LIST-3"] = Lists(|query, entries| {
        if let Some(at) = entries.iter().position(|entry| !is_row(entry)) {
            entries.insert(at, entries[at].clone());
            entries.truncate(query.names.limit);
        }
    });

    /// Subdirs come after all rows.
    subdirs_come_last breaks ["LIST-3"] = Lists(|_, entries| entries.sort_by_key(|e| !is_row(e)));

    /// A subdir lacks its delimiter.
    subdirs_lack_the_delimiter breaks ["LIST-3"] = Lists(|query, entries| {
        for entry in entries {
            if let ObjectEntry::Subdir(name) = entry {
                name.truncate(name.len() - query.names.delimiter.len());
            }
        }
    });

    /// Names roll up at a delimiter within the prefix.
    delimiters_in_the_prefix_count breaks ["LIST-3"] = Lists(|query, entries| {
        let prefix = query.names.prefix.clone();
        if let (delimiter, Some(at)) = (
            &query.names.delimiter,
            prefix.find(&query.names.delimiter).filter(|_| !query.names.delimiter.is_empty()),
        ) && !entries.is_empty()
        {
            *entries = vec![ObjectEntry::Subdir(prefix[..at + delimiter.len()].to_owned())];
        }
    });

    /// Tombstones make subdirs.
    tombstones_make_subdirs breaks ["LIST-3"] = Asks(|call| objects(call, |query| {
        if !query.names.delimiter.is_empty() {
            query.deleted = DeletedFilter::Both;
        }
    }));

    /// Reserved names are shown.
    reserved_names_are_shown breaks ["LIST-4"] =
        Asks(|call| asked(call, |names| names.allow_reserved = true));

    /// Reserved names are never shown.
    reserved_names_are_hidden breaks ["LIST-4"] =
        Asks(|call| asked(call, |names| names.allow_reserved = false));

    /// A prefix that starts with NUL shows reserved names.
    reserved_prefixes_ask breaks ["LIST-4"] = Asks(|call| asked(call, |names| {
        names.allow_reserved |= names.prefix.starts_with('\0');
    }));

    /// A marker that starts with NUL shows reserved names.
    reserved_markers_ask breaks ["LIST-4"] = Asks(|call| asked(call, |names| {
        names.allow_reserved |= names.marker.starts_with('\0');
    }));

    /// Names with NUL anywhere are hidden.
    names_with_nul_are_hidden breaks ["LIST-4"] = Lists(|query, entries| {
        let shown = query.names.allow_reserved;
        entries.retain(|entry| shown || !entry.name().contains('\0'));
    });

    /// The path is ignored.
    paths_are_ignored breaks ["LIST-5"] = Asks(|call| asked(call, |names| names.path = None));

    /// A path shows all that lies below.
    paths_show_all_levels breaks ["LIST-5"] = Asks(|call| asked(call, |names| {
        if let Some(path) = names.path.take().filter(|path| !path.is_empty()) {
            names.prefix = format!("{}/", path.trim_end_matches('/'));
        }
    }));

    /// A path shows subdirs.
    paths_show_subdirs breaks ["LIST-5"] = Asks(|call| asked(call, |names| {
        if let Some(path) = names.path.take() {
            let path = path.trim_end_matches('/');
            names.prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
            names.delimiter = "/".into();
        }
    }));

    /// A path hides names that end in a delimiter.
    paths_hide_directories breaks ["LIST-5"] = Lists(|query, entries| {
        entries.retain(|entry| query.names.path.is_none() || !entry.name().ends_with('/'));
    });

    /// A path shows the object that is named as it.
    paths_show_themselves breaks ["LIST-5"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let Call::ListObjects(query) = call else {
                return target.play(call, visitor).await;
            };
            let path = query.names.path.clone().unwrap_or_default();
            let mut entries = listed(target, query).await?;
            let rows = object_rows(target).await?;
            let own = rows.into_iter().find(|row| {
                !path.is_empty() && row.name == format!("{}/", path.trim_end_matches('/'))
            });
            entries.splice(0..0, own.map(ObjectEntry::Row));
            show(&entries, visitor)
        }));

    /// Tombstones are shown.
    tombstones_are_shown breaks ["LIST-6"] =
        Asks(|call| objects(call, |query| query.deleted = DeletedFilter::Both));

    /// Tombstones are never shown.
    tombstones_are_never_shown breaks ["LIST-6"] =
        Asks(|call| objects(call, |query| query.deleted = DeletedFilter::Live));

    /// Rows of all policies are shown.
    all_policies_are_shown breaks ["LIST-6"] =
        Asks(|call| objects(call, |query| query.policy = PolicyFilter::All));

    /// Only rows of the own policy are shown.
    only_the_own_policy_is_shown breaks ["LIST-6"] =
        Asks(|call| objects(call, |query| query.policy = PolicyFilter::Own));

    /// Only rows of policy zero are shown.
    only_policy_zero_is_shown breaks ["LIST-6", "POLICY-2"] = Asks(|call| objects(call, |query| {
        query.policy = PolicyFilter::Only(PolicyIndex(0));
    }));

    /// Row numbers are not looked at.
    numbers_are_not_filtered breaks ["LIST-6"] =
        Asks(|call| objects(call, |query| query.since_row = None));

    /// The bound on row numbers is inclusive.
    numbers_are_filtered_inclusively breaks ["LIST-6"] = Asks(|call| objects(call, |query| {
        query.since_row = query.since_row.map(|bound| RowId(bound.0 - 1));
    }));

    /// Entries lack their etag.
    listings_lack_etags breaks ["LIST-6"] = Lists(|_, entries| {
        for entry in entries {
            if let ObjectEntry::Row(row) = entry {
                row.etag.clear();
            }
        }
    });
}
