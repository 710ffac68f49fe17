//! Facts, the hash, and the values of rows.

use crate::flaw::Flaw::{
    AccountCounts, AccountFacts, Asks, ContainerCounts, ContainerFacts, Plays, Rows,
};
use crate::flaw::place;
use crate::mutant::mutants;
use broker_api::{
    AccountInfo, ContainerInfo, ObjectRecord, ObjectTimestamps, PolicyIndex, RollingHash, RowId,
    Timestamp,
};
use broker_layers::{Answer, Call};

fn records(call: &mut Call, change: impl FnMut(&mut ObjectRecord)) {
    if let Call::MergeObjects(records, _) = call {
        records.iter_mut().for_each(change);
    }
}

/// Everything but the bytes that a careless store keeps of a long text.
fn cut(text: &mut String, length: usize) {
    let end = text
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= length)
        .last();
    if text.len() > length {
        text.truncate(end.unwrap_or(0));
    }
}

mutants! {
    /// Facts are those before the last write.
    facts_lag_behind breaks ["INFO-1", "CONCUR-3"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let answer = target.play(call, visitor).await?;
            Ok(match answer {
                Answer::ContainerInfo(info) => {
                    let before = world.remember(place(target), info.clone());
                    Option::<Option<ContainerInfo>>::unwrap_or(before, info).into()
                }
                Answer::AccountInfo(info) => {
                    let before = world.remember(place(target), info.clone());
                    Option::<Option<AccountInfo>>::unwrap_or(before, info).into()
                }
                answer => answer,
            })
        }));

    /// A client's write shows a moment after it was acknowledged.
    puts_show_late breaks ["INFO-1", "LIST-1", "CONCUR-3"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let later = match &call {
                Call::MergeObjects(_, options) | Call::MergeContainers(_, options) => {
                    options.may_buffer
                }
                _ => false,
            };
            if !later {
                return target.play(call, visitor).await;
            }
            let target = target.clone();
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                target.ask(call).await.map(drop)
            });
            Ok(().into())
        }));

    /// The sizes of tombstones are not added.
    tombstones_have_no_size breaks ["INFO-2"] = ContainerCounts(|info, rows| {
        for row in rows.iter().filter(|row| row.deleted) {
            for stat in &mut info.policy_stats {
                if stat.policy_index == row.policy_index {
                    stat.bytes_used = stat.bytes_used.saturating_sub(row.size);
                }
            }
        }
    });

    /// The objects of deleted containers are not added.
    deleted_containers_have_no_objects breaks ["INFO-2"] = AccountCounts(|info, rows| {
        let live = rows.iter().filter(|row| !row.deleted);
        info.object_count = live.fold(0, |sum, row| sum.saturating_add(row.object_count));
    });

    /// Statistics at zero go away.
    zero_statistics_go_away breaks ["INFO-2"] = ContainerFacts(|info| {
        let own = info.policy_index;
        let stays = |count, bytes, index| count != 0 || bytes != 0 || index == own;
        info.policy_stats
            .retain(|stat| stays(stat.object_count, stat.bytes_used, stat.policy_index));
    });

    /// Statistics of accounts go away with their last container.
    zero_account_statistics_go_away breaks ["INFO-2"] = AccountFacts(|info| {
        info.policy_stats.retain(|stat| stat.container_count != Some(0));
    });

    /// The totals of an account are those of policy zero.
    account_totals_are_of_one_policy breaks ["INFO-2"] = AccountFacts(|info| {
        let zero = info.policy_stats.iter().find(|stat| stat.policy_index == PolicyIndex(0));
        info.bytes_used = zero.map_or(0, |stat| stat.bytes_used);
    });

    /// Statistics come in descending order.
    statistics_descend breaks ["INFO-2"] = ContainerFacts(|info| info.policy_stats.reverse());

    /// The highest number is that of a row that is present.
    removed_numbers_are_forgotten breaks ["INFO-3"] = ContainerCounts(|info, rows| {
        info.store.max_row = rows.last().map_or(RowId::NONE, |row| row.row_id);
    });

    /// The highest number is the number of rows.
    numbers_are_counted breaks ["INFO-3"] = ContainerCounts(|info, rows| {
        info.store.max_row = RowId(rows.len() as i64);
    });

    /// The highest number of an account is one too low.
    account_numbers_lag breaks ["INFO-3"] = AccountFacts(|info| info.store.max_row.0 -= 1);

    /// The hash is of something else.
    hash_is_of_something_else breaks ["HASH-1", "HASH-2"] = crate::flaw::Flaw::Facts(|info| {
        info.hash = RollingHash::default().toggled(&info.hash.to_string(), "");
    });

    /// The hash leaves out tombstones.
    hash_leaves_out_tombstones breaks ["HASH-1"] = ContainerCounts(|info, rows| {
        let live = rows.iter().filter(|row| !row.deleted);
        info.store.hash = live.fold(RollingHash::default(), |hash, row| {
            hash.toggled(&row.name, &row.created_at)
        });
    });

    /// The hash covers the data time alone.
    hash_covers_the_data_time breaks ["HASH-1"] = ContainerCounts(|info, rows| {
        info.store.hash = rows.iter().fold(RollingHash::default(), |hash, row| {
            let times = ObjectTimestamps::decode(&row.created_at).unwrap();
            hash.toggled(&row.name, &times.data.internal())
        });
    });

    /// The hash of an account leaves out tombstones.
    account_hash_leaves_out_tombstones breaks ["HASH-2"] = AccountCounts(|info, rows| {
        let live = rows.iter().filter(|row| !row.deleted);
        info.store.hash = live.fold(RollingHash::default(), |hash, row| {
            hash.toggled(&row.name, &row.hash_suffix())
        });
    });

    /// The hash of an account normalises timestamps.
    account_hash_normalises breaks ["HASH-2"] = AccountCounts(|info, rows| {
        info.store.hash = rows.iter().fold(RollingHash::default(), |hash, row| {
            let mut row = row.clone();
            row.put_timestamp = row.put_timestamp.value().into();
            row.delete_timestamp = row.delete_timestamp.value().into();
            hash.toggled(&row.name, &row.hash_suffix())
        });
    });

    /// Offsets of data times are dropped.
    offsets_are_dropped breaks ["ENCODE-1", "OBJECT-MERGE-1"] =
        Asks(|call| records(call, |record| {
            record.created_at.data = record.created_at.data.normalized();
        }));

    /// Offsets are written in full length.
    offsets_are_padded breaks ["ENCODE-1"] = Rows(|row| {
        let times = ObjectTimestamps::decode(&row.created_at).unwrap();
        row.created_at = row.created_at.replace(&times.data.short(), &times.data.internal());
    });

    /// The differences of times are always written.
    times_are_always_three breaks ["ENCODE-1"] = Rows(|row| {
        if !row.created_at.contains(['+', '-']) {
            row.created_at.push_str("+0+0");
        }
    });

    /// Earlier times are written as the data time.
    earlier_times_are_lost breaks ["ENCODE-1"] = Asks(|call| records(call, |record| {
        let mut times = record.timestamps();
        times.content_type = times.content_type.max(times.data);
        times.metadata = times.metadata.max(times.content_type);
        (record.created_at, record.ctype_timestamp, record.meta_timestamp) = (times, None, None);
    }));

    /// The metadata time is not written.
    metadata_time_is_not_written breaks ["ENCODE-1", "OBJECT-MERGE-1"] =
        Asks(|call| records(call, |record| {
            let mut times = record.timestamps();
            times.metadata = times.content_type;
            (record.created_at, record.ctype_timestamp, record.meta_timestamp) = (times, None, None);
        }));

    /// Names are folded to lower case.
    names_are_folded breaks ["VALUE-1"] =
        Asks(|call| records(call, |record| record.name = record.name.to_lowercase()));

    /// Blanks at the end of names are cut off.
    names_are_trimmed breaks ["VALUE-1"] =
        Asks(|call| records(call, |record| record.name = record.name.trim_end().to_owned()));

    /// Names end at the first NUL.
    names_end_at_nul breaks ["VALUE-1"] = Asks(|call| records(call, |record| {
        if let Some(at) = record.name.find('\0').filter(|at| *at > 0) {
            record.name.truncate(at);
        }
    }));

    /// Accents are composed.
    names_are_composed breaks ["VALUE-1"] = Asks(|call| records(call, |record| {
        record.name = record.name.replace("e\u{301}", "\u{e9}");
    }));

    /// Long names are cut.
    long_names_are_cut breaks ["VALUE-1"] =
        Asks(|call| records(call, |record| cut(&mut record.name, 1024)));

    /// Long content types are cut.
    long_content_types_are_cut breaks ["VALUE-1"] =
        Asks(|call| records(call, |record| cut(&mut record.content_type, 4096)));

    /// Content types are normalised when they come.
    content_types_are_normalised breaks ["VALUE-1"] = Asks(|call| records(call, |record| {
        record.content_type = record.content_type.to_lowercase();
    }));

    /// Quotes around etags are dropped.
    etags_are_unquoted breaks ["VALUE-1"] =
        Asks(|call| records(call, |record| record.etag = record.etag.replace('"', "")));

    /// Sizes have 32 bits.
    sizes_have_32_bits breaks ["VALUE-2"] =
        Asks(|call| records(call, |record| record.size = i64::from(record.size as i32)));

    /// Negative sizes become zero.
    negative_sizes_become_zero breaks ["VALUE-2"] =
        Asks(|call| records(call, |record| record.size = record.size.max(0)));

    /// Policy indexes are small and not negative.
    policies_are_small breaks ["VALUE-2"] = Asks(|call| records(call, |record| {
        record.policy_index = PolicyIndex(record.policy_index.0.clamp(0, 1000));
    }));

    /// Timestamps of reports are normalised.
    reports_are_normalised breaks ["VALUE-2", "HASH-2"] = Asks(|call| {
        if let Call::MergeContainers(records, _) = call {
            for record in records {
                let put: Option<Timestamp> = record.put_timestamp.as_ref().map(|put| put.value());
                record.put_timestamp = put.map(Into::into);
            }
        }
    });

    /// Negative counts of reports become zero.
    negative_counts_become_zero breaks ["VALUE-2"] = Asks(|call| {
        if let Call::MergeContainers(records, _) = call {
            for record in records {
                record.object_count = record.object_count.map(|count| count.max(0));
            }
        }
    });
}
