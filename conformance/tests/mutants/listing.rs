//! Listings: order, limits, markers and prefixes.

use crate::flaw::Flaw::{Asks, Lists, Plays};
use crate::flaw::{place, show};
use crate::mutant::mutants;
use broker_api::{ContainerBrokerExt, ListObjects, ListingQuery, ObjectEntry, RowId};
use broker_layers::{Answer, Call, Target, Visitor};

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
    /// Names are sorted without regard to case.
    order_ignores_case breaks ["LIST-1"] = Lists(|query, entries| {
        entries.sort_by_key(|entry| entry.name().to_lowercase());
        if query.names.reverse {
            entries.reverse();
        }
    });

    /// Names are sorted as UTF-16.
    order_is_of_utf16 breaks ["LIST-1", "VALUE-1"] = Lists(|query, entries| {
        entries.sort_by_key(|entry| entry.name().encode_utf16().collect::<Vec<_>>());
        if query.names.reverse {
            entries.reverse();
        }
    });

    /// Names always ascend.
    reverse_is_ignored breaks ["LIST-1"] = Asks(|call| asked(call, |names| names.reverse = false));

    /// Reverse pages are the first page turned round.
    reverse_turns_the_first_page breaks ["LIST-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let Call::ListObjects(mut query) = call else {
                return target.play(call, visitor).await;
            };
            let is_reverse = std::mem::replace(&mut query.names.reverse, false);
            let names = &mut query.names;
            if is_reverse {
                std::mem::swap(&mut names.marker, &mut names.end_marker);
            }
            let mut entries = listed(target, query).await?;
            if is_reverse {
                entries.reverse();
            }
            show(&entries, visitor)
        }));

    /// One entry more than asked for is shown.
    limits_are_too_large breaks ["LIST-1"] = Asks(|call| asked(call, |names| {
        names.limit += usize::from(names.limit > 0);
    }));

    /// One entry fewer than asked for is shown.
    limits_are_too_small breaks ["LIST-1"] =
        Asks(|call| asked(call, |names| names.limit = names.limit.saturating_sub(1)));

    /// Limit zero is no limit.
    limit_zero_is_no_limit breaks ["LIST-1"] = Asks(|call| asked(call, |names| {
        if names.limit == 0 {
            names.limit = 10_000;
        }
    }));

    /// Subdirs do not count towards the limit.
    subdirs_are_not_counted breaks ["LIST-1", "LIST-3"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let Call::ListObjects(query) = call else {
                return target.play(call, visitor).await;
            };
            let mut left = query.names.limit;
            let mut all = query;
            all.names.limit = 10_000;
            let mut entries = listed(target, all).await?;
            entries.retain(|entry| {
                let fits = left > 0;
                left = left.saturating_sub(usize::from(is_row(entry)));
                fits
            });
            show(&entries, visitor)
        }));

    /// A visitor cannot end a listing.
    visitors_cannot_stop breaks ["LIST-1"] = Plays(|_, target, call, visitor| Box::pin(async move {
        let (query, mut visitor) = match (call, visitor) {
            (Call::ListObjects(query), Visitor::Objects(visitor)) => (query, visitor),
            (call, visitor) => return target.play(call, visitor).await,
        };
        for entry in listed(target, query).await? {
            if let ObjectEntry::Row(row) = entry {
                let _ = visitor.visit(broker_api::Entry::Row(row.as_ref()));
            }
        }
        Ok(visitor.into())
    }));

    /// A listing shows what was there at the listing before.
    listings_lag_behind breaks ["LIST-1", "CONCUR-3"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let Call::ListObjects(query) = call else {
                return target.play(call, visitor).await;
            };
            let key = format!("{} {query:?}", place(target));
            let now = listed(target, query).await?;
            let before = world.remember(key, now.clone()).unwrap_or(now);
            show(&before, visitor)
        }));

    /// Names come in the order of their rows.
    order_is_of_rows breaks ["LIST-1"] = Lists(|_, entries| {
        if entries.iter().all(is_row) {
            entries.sort_by_key(|entry| match entry {
                ObjectEntry::Row(row) => row.row_id,
                ObjectEntry::Subdir(_) => RowId::NONE,
            });
        }
    });

    /// The marker is shown too.
    markers_are_inclusive breaks ["LIST-2"] =
        Asks(|call| asked(call, |names| { names.marker.pop(); }));

    /// The end marker is shown too.
    end_markers_are_inclusive breaks ["LIST-2"] = Asks(|call| asked(call, |names| {
        if !names.end_marker.is_empty() && !names.reverse {
            names.end_marker.push('\u{1}');
        }
    }));

    /// The end marker is ignored.
    end_markers_are_ignored breaks ["LIST-2"] =
        Asks(|call| asked(call, |names| names.end_marker.clear()));

    /// In reverse the markers change places.
    markers_are_swapped_in_reverse breaks ["LIST-2"] = Asks(|call| asked(call, |names| {
        if names.reverse {
            std::mem::swap(&mut names.marker, &mut names.end_marker);
        }
    }));

    /// The prefix is ignored.
    prefixes_are_ignored breaks ["LIST-2"] = Asks(|call| asked(call, |names| names.prefix.clear()));

    /// The marker is ignored when there is a prefix.
    prefixes_replace_markers breaks ["LIST-2"] = Asks(|call| asked(call, |names| {
        if !names.prefix.is_empty() {
            names.marker.clear();
        }
    }));

    /// The end marker is ignored when there is a prefix.
    prefixes_replace_end_markers breaks ["LIST-2"] = Asks(|call| asked(call, |names| {
        if !names.prefix.is_empty() {
            names.end_marker.clear();
        }
    }));

    /// Markers are kept within ASCII.
    markers_end_at_ascii breaks ["LIST-2"] = Asks(|call| asked(call, |names| {
        names.marker = names.marker.chars().take_while(char::is_ascii).collect();
    }));

    /// Listings of accounts are empty.
    accounts_list_nothing breaks ["LIST-1", "LIST-6"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            match call {
                Call::ListContainers(_) => Ok(Answer::Visitor(visitor)),
                call => target.play(call, visitor).await,
            }
        }));
}
