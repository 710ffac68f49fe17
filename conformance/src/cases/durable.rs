//! What is left when the process was killed. The histories and what they must leave are in
//! [`crash`](crate::crash).

use crate::case::cases;
use crate::check::{Check, check};
use crate::crash::{Kill, Kind, Trial};
use crate::fixture::Fixture;
use crate::rng::Rng;
use broker_api::Durability;
use std::time::Duration;

/// A kill after up to `count` acknowledgements and a random part of an operation, or of several.
fn at_random(rng: &mut Rng, count: u64) -> Kill {
    let micros = *rng.pick(&[50, 200, 1000, 5000, 20_000]);
    Kill::Working(rng.below(count), Duration::from_micros(rng.below(micros)))
}

/// Plays a history in several lives, each of which a kill ends with something under way.
async fn live_on(fixture: Fixture, mut trial: Trial, lives: usize, count: u64) -> Check {
    let mut rng = fixture.rng();
    let mut fixture = fixture;
    for _ in 0..lives {
        let kill = at_random(&mut rng, count);
        fixture = trial.live(fixture, kill).await?;
    }
    Ok(())
}

cases! {
    /// What an engine claims must fit: an engine in memory survives no crash.
    #[case(Durable, clauses = ["DURABLE-6"])]
    async fn engine_states_what_its_writes_survive(fixture: Fixture) -> Check {
        let durability = fixture.engine().capabilities().durability;
        check!(
            durability >= Durability::Process,
            "the level durable is claimed, and {} stated",
            durability.as_str()
        );
        Ok(())
    }

    /// A client was told that it is done, and the server crashed: it must be done, whatever it was.
    #[case(Durable, clauses = ["DURABLE-1", "DURABLE-5"])]
    async fn each_operation_survives_a_kill_right_after_it(fixture: Fixture) -> Check {
        let mut trial = Trial::alone(&fixture, Kind::Every);
        let mut fixture = fixture;
        while trial.left() > 0 {
            fixture = trial.live(fixture, Kill::Resting(1)).await?;
        }
        Ok(())
    }

    /// The answer got lost in a crash, so a client asks once more: what it asked for counts once.
    #[case(Durable, clauses = ["DURABLE-4"])]
    async fn each_operation_may_be_repeated_after_a_kill(fixture: Fixture) -> Check {
        let mut trial = Trial::alone(&fixture, Kind::Every);
        let mut fixture = fixture;
        while trial.left() > 0 {
            fixture = trial.live(fixture, Kill::Resting(1)).await?;
            trial.repeat_last();
            fixture = trial.live(fixture, Kill::Resting(1)).await?;
        }
        Ok(())
    }

    /// A server crashes again and again while one client works with it.
    #[case(Durable, clauses = ["DURABLE-1", "DURABLE-2", "DURABLE-4"])]
    async fn history_goes_on_over_kills(fixture: Fixture) -> Check {
        let trial = Trial::alone(&fixture, Kind::Random);
        live_on(fixture, trial, 16, 40).await
    }

    /// A crash in a merge leaves the batch, its sync point, counts and hash, or nothing of them.
    #[case(Durable, clauses = ["DURABLE-2", "DURABLE-4"])]
    async fn batches_are_whole_after_a_kill(fixture: Fixture) -> Check {
        let trial = Trial::alone(&fixture, Kind::Batches);
        live_on(fixture, trial, 16, 12).await
    }

    /// A crash while a store is made, removed or quarantined leaves one that is there or is not.
    #[case(Durable, clauses = ["DURABLE-1", "DURABLE-2", "DURABLE-4"])]
    async fn stores_and_the_synced_list_survive_kills(fixture: Fixture) -> Check {
        let trial = Trial::alone(&fixture, Kind::Stores);
        live_on(fixture, trial, 16, 12).await
    }

    /// A server crashes while many write: every one finds what it was told is done.
    #[case(Durable, clauses = ["DURABLE-1", "DURABLE-2", "DURABLE-4"])]
    async fn no_writer_of_many_loses_a_write_in_a_kill(fixture: Fixture) -> Check {
        let trial = Trial::together(&fixture, 6);
        live_on(fixture, trial, 10, 300).await
    }

    /// A peer has got rows up to a number; a crash must not give that number to another row.
    #[case(Durable, clauses = ["DURABLE-3"])]
    async fn numbers_that_were_shown_stay_over_kills(fixture: Fixture) -> Check {
        let trial = Trial::together(&fixture, 3).with_reader();
        live_on(fixture, trial, 10, 200).await
    }

    /// The rows with the highest numbers went before a crash: their numbers are not used again.
    #[case(Durable, clauses = ["DURABLE-3"])]
    async fn numbers_of_rows_that_went_are_not_used_again(fixture: Fixture) -> Check {
        let mut trial = Trial::alone(&fixture, Kind::Numbers);
        let mut fixture = fixture;
        while trial.left() > 0 {
            fixture = trial.live(fixture, Kill::Resting(1)).await?;
        }
        Ok(())
    }

    /// A server crashes, and crashes again while it starts: the next start finds everything.
    #[case(Durable, clauses = ["DURABLE-5", "DURABLE-1"])]
    async fn engine_opens_after_kills_while_it_opened(fixture: Fixture) -> Check {
        let mut trial = Trial::alone(&fixture, Kind::Random);
        let mut rng = fixture.rng();
        let mut fixture = fixture;
        for _ in 0..6 {
            let kill = at_random(&mut rng, 30);
            let openings = [1000, 10_000, 30_000];
            let openings = openings.map(|most| Duration::from_micros(rng.below(most)));
            fixture = trial.live_and_open(fixture, kill, &openings).await?;
        }
        Ok(())
    }
}
