//! What a new store starts with, and names that are refused.

use crate::flaw::Flaw::{AccountFacts, Answers, Asks, ContainerFacts, Facts, Plays};
use crate::mutant::mutants;
use broker_api::{
    AccountPolicyStat, ContainerInfo, Error, ErrorKind, PolicyIndex, Reported, RowId, Timestamp,
};
use broker_layers::Call;

fn is_new(info: &ContainerInfo) -> bool {
    info.store.max_row == RowId::NONE
}

mutants! {
    /// Spellings of put timestamps are normalised.
    put_is_normalised breaks ["INIT-2"] = Facts(|info| {
        info.put_timestamp = info.put_timestamp.value().into();
        info.status_changed_at = info.status_changed_at.value().into();
    });

    /// A new store draws an id of its own.
    ids_are_drawn breaks ["INIT-2"] = Asks(|call| match call {
        Call::InitializeAccount(new) => new.id = "drawn".into(),
        Call::InitializeContainer(new) => new.id = "drawn".into(),
        _ => {}
    });

    /// A new container has no statistic.
    new_containers_have_no_statistic breaks ["INIT-2"] = ContainerFacts(|info| {
        if is_new(info) {
            info.policy_stats.clear();
        }
    });

    /// A new account has a statistic of policy zero.
    new_accounts_have_a_statistic breaks ["INIT-2"] = AccountFacts(|info| {
        if info.policy_stats.is_empty() {
            let (container_count, object_count, bytes_used) = (Some(0), 0, 0);
            let policy_index = PolicyIndex(0);
            info.policy_stats.push(AccountPolicyStat {
                policy_index,
                container_count,
                object_count,
                bytes_used,
            });
        }
    });

    /// A new store changed its status at zero.
    status_changed_never breaks ["INIT-2"] = Facts(|info| {
        if info.status.is_empty() {
            info.status_changed_at = Timestamp::ZERO.into();
        }
    });

    /// The delete timestamp of a new store is spelled out.
    never_is_spelled_out breaks ["INIT-2"] = Facts(|info| {
        if info.delete_timestamp.as_str() == "0" {
            info.delete_timestamp = Timestamp::ZERO.into();
        }
    });

    /// New marks are at zero.
    marks_start_at_zero breaks ["INIT-2"] = ContainerFacts(|info| {
        info.reconciler_sync_point = info.reconciler_sync_point.max(0);
        info.x_container_sync_point1 = info.x_container_sync_point1.max(0);
    });

    /// The highest number of a new store is zero.
    numbers_start_at_zero breaks ["INIT-2"] =
        Facts(|info| info.max_row = info.max_row.max(RowId(0)));

    /// The metadata of a new store is an empty dictionary.
    metadata_starts_as_a_dictionary breaks ["INIT-2"] = Facts(|info| {
        if info.raw_metadata.is_empty() {
            info.raw_metadata = "{}".into();
        }
    });

    /// A new store was created when it was put.
    creation_is_the_put breaks ["INIT-2"] = Asks(|call| {
        if let Call::InitializeContainer(new) = call {
            new.created_at = Timestamp::ZERO;
        }
    });

    /// Names are kept in capitals.
    names_are_kept_in_capitals breaks ["INIT-2"] =
        AccountFacts(|info| info.store.account.make_ascii_uppercase());

    /// A new container has reported already.
    new_containers_have_reported breaks ["INIT-2"] = ContainerFacts(|info| {
        if is_new(info) {
            info.reported = Reported { object_count: 1, ..Reported::default() };
        }
    });

    /// An empty name is another name.
    empty_names_are_accepted breaks ["INIT-3"] = Asks(|call| match call {
        Call::InitializeAccount(new) if new.account.is_empty() => new.account = "a".into(),
        Call::InitializeContainer(new) if new.container.is_empty() => {
            new.container = "c".into();
        }
        _ => {}
    });

    /// An empty name is refused, and its store is there.
    refused_stores_are_made breaks ["INIT-3"] =
        Plays(|_, target, call, visitor| Box::pin(async move {
            let answer = target.play(call.clone(), visitor).await;
            if let (Call::InitializeAccount(mut new), true) = (call, answer.is_err()) {
                new.account = "a".into();
                target.ask(Call::InitializeAccount(new)).await?;
            }
            answer
        }));

    /// An empty name is a defect of the engine.
    empty_names_are_defects breaks ["INIT-3"] = Answers(|call, answer| {
        if let (Call::InitializeContainer(_), true) = (call, answer.is_err()) {
            *answer = Err(Error::new(ErrorKind::Internal, "no name"));
        }
    });
}
