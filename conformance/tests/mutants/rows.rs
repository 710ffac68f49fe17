//! Rows by number, removal, policies, marks.

use crate::flaw::Flaw::{Answers, Asks, ContainerFacts, Plays};
use crate::flaw::{container_info, object_rows};
use crate::mutant::mutants;
use broker_api::{
    ContainerMarks, DeletedFilter, ListObjects, ListingQuery, MergeOptions, ObjectRow,
    PolicyFilter, PolicyIndex, RemoveObjects, RowFilter, RowId, Timestamp,
};
use broker_layers::{Answer, Call};

fn object_answer(
    answer: &mut broker_api::Result<Answer>,
    change: impl FnOnce(&mut Vec<ObjectRow>),
) {
    if let Ok(Answer::Objects(rows)) = answer {
        change(rows);
    }
}

fn removal(call: &mut Call, change: impl FnOnce(&mut RemoveObjects)) {
    if let Call::RemoveObjects(remove) = call {
        change(remove);
    }
}

fn marks(call: &mut Call, change: impl FnOnce(&mut ContainerMarks)) {
    if let Call::SetMarks(marks) = call {
        change(marks);
    }
}

mutants! {
    /// Rows are numbered by their place on the page.
    rows_are_renumbered breaks ["SINCE-1"] = Answers(|call, answer| {
        if let Call::ObjectsSince(start, ..) = call {
            object_answer(answer, |rows| {
                for (number, row) in rows.iter_mut().enumerate() {
                    row.row_id = RowId(start.0.max(0) + number as i64 + 1);
                }
            });
        }
    });

    /// The row at the start is shown too.
    start_is_inclusive breaks ["SINCE-1"] = Asks(|call| match call {
        Call::ObjectsSince(start, ..) | Call::ContainersSince(start, _) => start.0 -= 1,
        _ => {}
    });

    /// Rows come in descending order.
    rows_descend breaks ["SINCE-1"] = Answers(|_, answer| {
        object_answer(answer, |rows| rows.reverse());
    });

    /// Rows come in the order of names.
    rows_follow_names breaks ["SINCE-1"] = Answers(|_, answer| {
        if let Ok(Answer::Containers(rows)) = answer {
            rows.sort_by(|a, b| a.name.cmp(&b.name));
        }
    });

    /// Tombstones are left out.
    tombstones_are_left_out breaks ["SINCE-1"] = Answers(|_, answer| match answer {
        Ok(Answer::Objects(rows)) => rows.retain(|row| !row.deleted),
        Ok(Answer::Containers(rows)) => rows.retain(|row| !row.deleted),
        _ => {}
    });

    /// Rows of other policies are left out.
    other_policies_are_left_out breaks ["SINCE-1"] = Answers(|call, answer| {
        if let Call::ObjectsSince(_, _, RowFilter::All) = call {
            object_answer(answer, |rows| rows.retain(|row| row.policy_index == PolicyIndex(0)));
        }
    });

    /// A page holds a row more than asked for.
    pages_are_too_long breaks ["SINCE-1"] = Asks(|call| match call {
        Call::ObjectsSince(_, limit, _) | Call::ContainersSince(_, limit) => *limit += 1,
        _ => {}
    });

    /// Limit zero is no limit.
    zero_is_no_limit breaks ["SINCE-1"] = Asks(|call| match call {
        Call::ObjectsSince(_, limit @ 0, _) | Call::ContainersSince(_, limit @ 0) => *limit = 1000,
        _ => {}
    });

    /// The first row of a page is there twice.
    rows_come_twice breaks ["SINCE-1"] = Answers(|_, answer| {
        object_answer(answer, |rows| rows.extend(rows.first().cloned()));
    });

    /// All rows are misplaced.
    misplacement_is_ignored breaks ["SINCE-2"] = Asks(|call| {
        if let Call::ObjectsSince(_, _, filter) = call {
            *filter = RowFilter::All;
        }
    });

    /// Misplaced rows are those of other policies than zero.
    zero_is_the_right_policy breaks ["SINCE-2"] = Answers(|call, answer| {
        if let Call::ObjectsSince(_, _, RowFilter::Misplaced) = call {
            object_answer(answer, |rows| rows.retain(|row| row.policy_index != PolicyIndex(0)));
        }
    });

    /// Tombstones are never misplaced.
    tombstones_are_not_misplaced breaks ["SINCE-2"] = Answers(|call, answer| {
        if let Call::ObjectsSince(_, _, RowFilter::Misplaced) = call {
            object_answer(answer, |rows| rows.retain(|row| !row.deleted));
        }
    });

    /// The limit counts rows that are not misplaced.
    misplaced_rows_share_the_limit breaks ["SINCE-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let Call::ObjectsSince(start, limit, RowFilter::Misplaced) = call else {
                return target.play(call, visitor).await;
            };
            let own = container_info(target).await?.policy_index;
            let all = target.ask(Call::ObjectsSince(start, limit, RowFilter::All)).await?;
            let mut rows: Vec<ObjectRow> = all.try_into()?;
            rows.retain(|row| row.policy_index != own);
            Ok(rows.into())
        }));

    /// The lower bound is removed too.
    removal_includes_the_lower_bound breaks ["REMOVE-1"] =
        Asks(|call| removal(call, |remove| { remove.lower.pop(); }));

    /// The upper bound is left.
    removal_excludes_the_upper_bound breaks ["REMOVE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let mut kept = Vec::new();
            if let Call::RemoveObjects(remove) = &call {
                kept = object_rows(target).await?;
                kept.retain(|row| row.name == remove.upper);
            }
            let answer = target.play(call, visitor).await;
            if !kept.is_empty() {
                let records = kept.iter().map(|row| row.to_record().unwrap()).collect();
                target.ask(Call::MergeObjects(records, MergeOptions::default())).await?;
            }
            answer
        }));

    /// The bound on row numbers is ignored.
    removal_ignores_numbers breaks ["REMOVE-1"] =
        Asks(|call| removal(call, |remove| remove.max_row = None));

    /// The bound on row numbers is exclusive.
    removal_excludes_the_last_number breaks ["REMOVE-1"] = Asks(|call| removal(call, |remove| {
        remove.max_row = remove.max_row.map(|bound| RowId(bound.0 - 1));
    }));

    /// Names are not looked at.
    removal_ignores_names breaks ["REMOVE-1"] = Asks(|call| removal(call, |remove| {
        (remove.lower, remove.upper) = (String::new(), String::new());
    }));

    /// Removal leaves tombstones.
    removal_leaves_tombstones breaks ["REMOVE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let mut rows = Vec::new();
            if let Call::RemoveObjects(_) = &call {
                rows = object_rows(target).await?;
            }
            let answer = target.play(call, visitor).await;
            let left = if rows.is_empty() { rows.clone() } else { object_rows(target).await? };
            rows.retain(|row| !left.contains(row));
            let tombstones = rows.iter().map(|row| ObjectRow { deleted: true, ..row.clone() });
            let records: Vec<_> = tombstones.map(|row| row.to_record().unwrap()).collect();
            if !records.is_empty() {
                target.ask(Call::MergeObjects(records, MergeOptions::default())).await?;
            }
            answer
        }));

    /// Only live rows of the own policy are removed.
    removal_looks_at_live_rows breaks ["REMOVE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let mut kept = Vec::new();
            if let Call::RemoveObjects(_) = &call {
                let own = container_info(target).await?.policy_index;
                kept = object_rows(target).await?;
                kept.retain(|row| row.deleted || row.policy_index != own);
            }
            let answer = target.play(call, visitor).await;
            let left = if kept.is_empty() { kept.clone() } else { object_rows(target).await? };
            kept.retain(|row| !left.contains(row));
            if !kept.is_empty() {
                let records = kept.iter().map(|row| row.to_record().unwrap()).collect();
                target.ask(Call::MergeObjects(records, MergeOptions::default())).await?;
            }
            answer
        }));

    /// A new policy has no statistic until it has a row.
    new_policies_have_no_statistic breaks ["POLICY-1"] = ContainerFacts(|info| {
        let (own, is_empty) = (info.policy_index, info.object_count() == 0);
        info.policy_stats.retain(|stat| stat.policy_index != own || !is_empty);
    });

    /// Setting a policy does not say when the status changed.
    policies_change_silently breaks ["POLICY-1"] = Asks(|call| {
        if let Call::SetStoragePolicyIndex(_, at) = call {
            *at = Timestamp::ZERO;
        }
    });

    /// Setting the policy that is set raises the time of the change.
    idle_policies_change_the_status breaks ["POLICY-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::SetStoragePolicyIndex(_, at) = &call {
                target.ask(Call::UpdateStatusChangedAt(*at)).await?;
            }
            target.play(call, visitor).await
        }));

    /// Setting a policy does nothing.
    policies_cannot_be_set breaks ["POLICY-1", "POLICY-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            match call {
                Call::SetStoragePolicyIndex(..) => Ok(().into()),
                call => target.play(call, visitor).await,
            }
        }));

    /// Objects move with the container.
    objects_move_with_the_policy breaks ["POLICY-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let Call::SetStoragePolicyIndex(index, _) = &call {
                let rows = object_rows(target).await?;
                let moved = rows.iter().map(|row| {
                    row.to_record().unwrap().in_policy(*index)
                });
                let moved = moved.collect();
                target.ask(Call::MergeObjects(moved, MergeOptions::default())).await?;
            }
            target.play(call, visitor).await
        }));

    /// Listings show the policy of creation.
    listings_stay_in_policy_zero breaks ["POLICY-2", "LIST-6"] = Asks(|call| {
        if let Call::ListObjects(query) = call && query.policy == PolicyFilter::Own {
            query.policy = PolicyFilter::Only(PolicyIndex(0));
        }
    });

    /// Marks and reports are not stored.
    marks_are_not_stored breaks ["MARK-1"] =
        Asks(|call| marks(call, |marks| *marks = ContainerMarks::default()));

    /// Marks only rise.
    marks_only_rise breaks ["MARK-1"] = Plays(|_, target, call, visitor| Box::pin(async move {
        let mut call = call;
        if let Call::SetMarks(marks) = &mut call {
            let stored = container_info(target).await?.x_container_sync_point1;
            marks.x_container_sync_point1 = marks.x_container_sync_point1.map(|it| it.max(stored));
        }
        target.play(call, visitor).await
    }));

    /// Marks that are not given are cleared.
    other_marks_are_cleared breaks ["MARK-1"] = Asks(|call| marks(call, |marks| {
        marks.reconciler_sync_point.get_or_insert(-1);
    }));

    /// The two marks of container sync are swapped.
    marks_are_swapped breaks ["MARK-1"] = Asks(|call| marks(call, |marks| {
        let one = marks.x_container_sync_point1;
        marks.x_container_sync_point1 = std::mem::replace(&mut marks.x_container_sync_point2, one);
    }));

    /// An older report is not stored.
    older_reports_are_not_stored breaks ["MARK-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let mut call = call;
            if let Call::SetMarks(marks) = &mut call {
                let stored = container_info(target).await?.reported;
                marks.reported.take_if(|given| given.put_timestamp < stored.put_timestamp);
            }
            target.play(call, visitor).await
        }));

    /// Sizes of reports are not stored.
    reported_sizes_are_not_stored breaks ["MARK-1"] =
        ContainerFacts(|info| info.reported.bytes_used = 0);

    /// Listings of tombstones show what is live.
    tombstones_are_listed_as_live breaks ["LIST-6"] = Asks(|call| {
        if let Call::ListObjects(ListObjects { names: ListingQuery { .. }, deleted, .. }) = call
            && *deleted == DeletedFilter::Tombstones
        {
            *deleted = DeletedFilter::Both;
        }
    });
}
