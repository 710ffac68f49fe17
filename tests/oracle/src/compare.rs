//! Plays one history on both sides and finds the first step that differs.

use crate::driver::{Detail, Driver};
use crate::error::Result;
use crate::listing::settle_ties;
use crate::op::{History, Op};
use crate::stage::{Stage, location};
use broker_api::{Engine, Location};
use md5::{Digest, Md5};
use serde_json::Value;
use std::sync::Arc;

/// A step at which an engine and Swift differ.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Which operation, from zero.
    pub step: usize,
    /// What Swift answered and held: `[result, state]`.
    pub swift: Value,
    /// What the engine answered and held.
    pub engine: Value,
}

/// Compares engines with Swift.
#[derive(Debug)]
pub struct Comparer {
    driver: Driver,
    runtime: tokio::runtime::Runtime,
    number: u64,
}

/// A history that has been sent to Swift, whose steps have not been fetched yet.
#[derive(Debug)]
pub struct Sent {
    history: History,
    location: Location,
}

impl Comparer {
    /// Compares by a running driver.
    ///
    /// # Errors
    /// When the system gives no event loop.
    pub fn new(driver: Driver) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self {
            driver,
            runtime,
            number: 0,
        })
    }

    /// Lets Swift begin with a history; it works on it while the caller does other things.
    ///
    /// # Errors
    /// When the driver is gone.
    pub fn begin(&mut self, history: History) -> Result<Sent> {
        let location = self.next_location(&history);
        self.driver
            .send_play(&location, &history.ops, Detail::Digest)?;
        Ok(Sent { history, location })
    }

    /// Plays a begun history to an engine and compares digest by digest.
    ///
    /// Returns the history, with the number of the first step that differs.
    ///
    /// # Errors
    /// When one side cannot be asked.
    pub fn finish(
        &mut self,
        sent: Sent,
        engines: &[&Arc<dyn Engine>],
    ) -> Result<(History, Vec<Option<usize>>)> {
        let Sent { history, location } = sent;
        let played: Vec<Vec<String>> = engines
            .iter()
            .map(|engine| self.digests(engine, &location, &history.ops))
            .collect::<Result<_>>()?;
        let swift = self.driver.receive_steps()?;
        let first = |ours: &Vec<String>| {
            let pairs = ours.iter().zip(&swift);
            let mut differing = pairs.map(|(ours, swift)| swift.as_str() != Some(ours));
            differing.position(|differs| differs)
        };
        Ok((history, played.iter().map(first).collect()))
    }

    /// Plays a history in full and tells the first difference.
    ///
    /// # Errors
    /// When one side cannot be asked.
    pub fn explain(
        &mut self,
        history: &History,
        engine: &Arc<dyn Engine>,
    ) -> Result<Option<Difference>> {
        let location = self.next_location(history);
        self.driver
            .send_play(&location, &history.ops, Detail::Full)?;
        let ours = self.play(engine, &location, &history.ops)?;
        let swift = self.driver.receive_steps()?;
        let pairs = swift.into_iter().zip(ours).enumerate();
        let mut differing = pairs.filter(|(_, (swift, ours))| swift != ours);
        Ok(differing.next().map(|(step, (swift, engine))| Difference {
            step,
            swift,
            engine,
        }))
    }

    fn next_location(&mut self, history: &History) -> Location {
        self.number += 1;
        location(history, self.number)
    }

    fn digests(
        &self,
        engine: &Arc<dyn Engine>,
        location: &Location,
        ops: &[Op],
    ) -> Result<Vec<String>> {
        let steps = self.play(engine, location, ops)?;
        let digest = |step: &Value| format!("{:x}", Md5::digest(step.to_string()));
        Ok(steps.iter().map(digest).collect())
    }

    fn play(
        &self,
        engine: &Arc<dyn Engine>,
        location: &Location,
        ops: &[Op],
    ) -> Result<Vec<Value>> {
        let stage = Stage::new(engine, location);
        self.runtime.block_on(async {
            let mut steps = Vec::with_capacity(ops.len());
            for op in ops {
                let mut step = stage.perform(op).await;
                settle_ties(op, &mut step[0]);
                steps.push(step);
            }
            stage.clear().await?;
            Ok(steps)
        })
    }
}
