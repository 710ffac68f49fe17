//! Existence, judgements, absence, brokers that may not write, creation.

use crate::flaw::Flaw::{
    AccountCounts, AccountFacts, Answers, ContainerCounts, ContainerFacts, Facts, Options, Plays,
};
use crate::flaw::{handle, store_info};
use crate::mutant::mutants;
use broker_api::{
    BrokerOptions, Error, ErrorKind, Initialized, ListObjects, ListingQuery, ObjectRecord,
    ObjectRow, Outcome, Timestamp, TimestampText,
};
use broker_layers::{Answer, Call, Target};

fn is_not_found(answer: &broker_api::Result<Answer>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::NotFound)
}

fn was_there(answer: &broker_api::Result<Answer>) -> bool {
    matches!(answer, Ok(Answer::Initialized(Initialized::AlreadyExisted)))
}

fn floor(time: &TimestampText) -> TimestampText {
    Timestamp::from_seconds(time.value().raw() / 100_000).into()
}

mutants! {
    /// A deleted store is said to be gone.
    deleted_stores_do_not_exist breaks ["LIFE-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if call == Call::Exists
                && store_info(target).await.is_ok_and(|info| info.status == "DELETED")
            {
                return Ok(false.into());
            }
            target.play(call, visitor).await
        }));

    /// A broker that saw its store sees it for ever.
    existence_is_remembered breaks ["LIFE-1", "ENGINE-5", "ENGINE-6"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if call == Call::Exists && world.remembered::<Target>(&handle(target)).is_some() {
                return Ok(true.into());
            }
            let answer = target.play(call, visitor).await;
            if let Ok(Answer::Exists(true) | Answer::Initialized(_)) = answer {
                world.remember(handle(target), target.clone());
            }
            answer
        }));

    /// Every store exists.
    everything_exists breaks ["LIFE-1", "ABSENT-1"] = Answers(|_, answer| {
        if let Ok(Answer::Exists(exists)) = answer {
            *exists = true;
        }
    });

    /// Upgrading gives the store a new id.
    upgrade_changes_the_id breaks ["LIFE-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if call == Call::Upgrade {
                let (remote_id, new_id) = ("upgrade".into(), "upgraded".into());
                target.ask(Call::NewId { remote_id, new_id }).await?;
            }
            target.play(call, visitor).await
        }));

    /// Upgrading leaves accounts without counts of containers by policy.
    upgrade_drops_container_counts breaks ["LIFE-2"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            if call == Call::Upgrade {
                world.remember("upgraded".into(), ());
            }
            let mut answer = target.play(call, visitor).await;
            if let (Ok(Answer::AccountInfo(Some(info))), Some(())) =
                (&mut answer, world.remembered("upgraded"))
            {
                info.policy_stats.iter_mut().for_each(|stat| stat.container_count = None);
            }
            answer
        }));

    /// Upgrading writes a row.
    upgrade_writes_a_row breaks ["LIFE-2"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            if let (Call::Upgrade, Target::Container(..)) = (&call, target) {
                let record = ObjectRecord::put("upgraded", Timestamp::ZERO, 0, "", "");
                target.ask(Call::MergeObjects(vec![record], Default::default())).await?;
            }
            target.play(call, visitor).await
        }));

    /// Accounts do not show that they were deleted.
    account_status_is_lost breaks ["LIFE-3", "DELETE-2"] =
        AccountFacts(|info| info.store.status.clear());

    /// Tombstones count as containers.
    tombstones_count_as_containers breaks ["LIFE-3", "INFO-2"] =
        AccountCounts(|info, rows| info.container_count = rows.len() as i64);

    /// Accounts show the time of deletion without its offset.
    account_deletion_loses_offsets breaks ["LIFE-3"] = AccountFacts(|info| {
        let at = info.store.delete_timestamp.clone();
        if at.value().offset() > 0 {
            info.store.delete_timestamp = at.value().normalized().into();
        }
    });

    /// Containers count the objects of all policies as their own.
    containers_count_all_policies breaks ["LIFE-4", "POLICY-2"] = ContainerFacts(|info| {
        let total = info.policy_stats.iter().map(|stat| stat.object_count).sum();
        let own = info.policy_index;
        for stat in &mut info.policy_stats {
            if stat.policy_index == own {
                stat.object_count = total;
            }
        }
    });

    /// Containers know of no policy but their own.
    containers_show_one_policy breaks ["LIFE-4", "POLICY-2", "INFO-2"] = ContainerFacts(|info| {
        let own = info.policy_index;
        info.policy_stats.retain(|stat| stat.policy_index == own);
    });

    /// Tombstones count as objects.
    tombstones_count_as_objects breaks ["LIFE-4", "INFO-2"] = ContainerCounts(|info, rows| {
        for stat in &mut info.policy_stats {
            let of_policy = |row: &&ObjectRow| row.policy_index == stat.policy_index;
            stat.object_count = rows.iter().filter(of_policy).count() as i64;
        }
    });

    /// Times of deletion are shown in whole seconds.
    deletion_is_rounded breaks ["LIFE-5"] =
        Facts(|info| info.delete_timestamp = floor(&info.delete_timestamp));

    /// The put timestamp is shown as the time of creation.
    puts_are_forgotten breaks ["LIFE-3", "LIFE-4", "LIFE-5", "TIME-1"] =
        Facts(|info| info.put_timestamp = info.created_at.clone());

    /// An absent store is reported as a failure of the device.
    absence_is_a_failure breaks ["ABSENT-1"] = Answers(|_, answer| {
        if is_not_found(answer) {
            *answer = Err(Error::new(ErrorKind::Io, "no such file"));
        }
    });

    /// On an absent store the outcome is left open.
    absence_is_uncertain breaks ["ABSENT-1"] = Answers(|_, answer| {
        if is_not_found(answer) {
            *answer = Err(Error::not_found().with_outcome(Outcome::Unknown));
        }
    });

    /// An absent store has an empty listing.
    absence_lists_nothing breaks ["ABSENT-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let is_listing = matches!(call, Call::ListObjects(_) | Call::ListContainers(_));
            if is_listing && store_info(target).await.is_err() {
                return Ok(Answer::Visitor(visitor));
            }
            target.play(call, visitor).await
        }));

    /// A listing of nothing does not look whether there is a store.
    empty_listings_need_no_store breaks ["ABSENT-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let limit = match &call {
                Call::ListObjects(ListObjects { names: ListingQuery { limit, .. }, .. }) => *limit,
                Call::ListContainers(query) => query.limit,
                _ => 1,
            };
            match limit {
                0 => Ok(Answer::Visitor(visitor)),
                _ => target.play(call, visitor).await,
            }
        }));

    /// An absent store has no rows, which is no error.
    absence_has_no_rows breaks ["ABSENT-1"] = Answers(|call, answer| {
        if is_not_found(answer) {
            match call {
                Call::ObjectsSince(..) => *answer = Ok(Vec::<ObjectRow>::new().into()),
                Call::SyncPoints(_) => *answer = Ok(Answer::SyncPoints(Vec::new())),
                _ => {}
            }
        }
    });

    /// Changing marks of an absent container succeeds.
    absence_takes_marks breaks ["ABSENT-1"] = Answers(|call, answer| {
        if let Call::SetMarks(_) = call {
            *answer = Ok(().into());
        }
    });

    /// Facts of an absent store are an error.
    absence_has_no_answer breaks ["ABSENT-1"] = Answers(|_, answer| {
        if let Ok(Answer::AccountInfo(None) | Answer::ContainerInfo(None)) = answer {
            *answer = Err(Error::not_found());
        }
    });

    /// Brokers that skip commits commit.
    commits_are_not_skipped breaks ["READONLY-1"] = Options(|_| BrokerOptions::default());

    /// Brokers that skip commits refuse to read.
    readers_are_refused breaks ["READONLY-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            match target.options() {
                Some(options) if options.skip_commits && !call.operation().is_mutation() => {
                    Err(Error::new(ErrorKind::ReadOnly, "commits not accepted"))
                }
                _ => target.play(call, visitor).await,
            }
        }));

    /// A write that is refused happens all the same.
    refused_writes_happen breaks ["READONLY-1"] =
        Plays(|world, target, call, visitor| Box::pin(async move {
            let answer = target.play(call.clone(), visitor).await;
            if matches!(&answer, Err(error) if error.kind() == ErrorKind::ReadOnly) {
                let location = target.location().unwrap();
                let writer = Target::open(&world.engine, location, &BrokerOptions::default());
                writer.ask(call).await?;
            }
            answer
        }));

    /// A refused write is said to be bad input.
    refusal_has_another_kind breaks ["READONLY-1"] = Answers(|_, answer| {
        if matches!(answer, Err(error) if error.kind() == ErrorKind::ReadOnly) {
            *answer = Err(Error::new(ErrorKind::InvalidInput, "commits not accepted"));
        }
    });

    /// A refused write leaves its outcome open.
    refusal_is_uncertain breaks ["READONLY-1"] = Answers(|_, answer| {
        if matches!(answer, Err(error) if error.kind() == ErrorKind::ReadOnly) {
            let refused = Error::new(ErrorKind::ReadOnly, "commits not accepted");
            *answer = Err(refused.with_outcome(Outcome::Unknown));
        }
    });

    /// Only merges are refused; marks are set.
    readers_set_marks breaks ["READONLY-1"] = Answers(|call, answer| {
        if let Call::SetMarks(_) = call {
            *answer = Ok(().into());
        }
    });

    /// Every creator is told that it created.
    everyone_creates breaks ["INIT-1"] = Answers(|_, answer| {
        if let Ok(Answer::Initialized(found)) = answer {
            *found = Initialized::Created;
        }
    });

    /// A later creator raises the put timestamp.
    later_creators_put breaks ["INIT-1"] = Plays(|_, target, call, visitor| Box::pin(async move {
        let answer = target.play(call.clone(), visitor).await;
        if let (Call::InitializeContainer(new), true) = (call, was_there(&answer)) {
            target.ask(Call::UpdatePutTimestamp(new.put_timestamp.value())).await?;
        }
        answer
    }));

    /// A later creator of a deleted store is told that it created.
    deleted_stores_are_created breaks ["INIT-1"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let is_create = matches!(call, Call::InitializeContainer(_));
            let deleted = is_create
                && store_info(target).await.is_ok_and(|info| info.status == "DELETED");
            match deleted {
                true => Ok(Initialized::Created.into()),
                false => target.play(call, visitor).await,
            }
        }));

    /// A later creator moves the container to its policy.
    later_creators_move breaks ["INIT-1"] = Plays(|_, target, call, visitor| Box::pin(async move {
        let answer = target.play(call.clone(), visitor).await;
        if let (Call::InitializeContainer(new), true) = (call, was_there(&answer)) {
            let at = Timestamp::ZERO;
            target.ask(Call::SetStoragePolicyIndex(new.policy_index, at)).await?;
        }
        answer
    }));
}
