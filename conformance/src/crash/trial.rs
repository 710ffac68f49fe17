//! The parent's side: starts children, kills them, and compares what is left with what was said.

use super::child::{PREFIX, Part};
use super::history::{Kind, Op};
use super::look::look;
use super::text::{Picture, check_is_one_of};
use super::world::World;
use crate::check::{Check, Failure, check, check_eq};
use crate::fixture::Fixture;
use broker_api::Durability;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// When a child is killed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kill {
    /// So many acknowledgements were heard (with none: the child began to open the engine), and then so
    /// long after; operations are under way.
    Working(u64, Duration),
    /// So many acknowledgements were given, and nothing is under way.
    Resting(u64),
}

/// A history that is played in several lives, and what is known of it.
pub(crate) struct Trial {
    kind: Kind,
    writers: Vec<Writer>,
    /// Rows of the shared container that were shown, by number; kept over all lives.
    shown: BTreeMap<i64, String>,
    with_reader: bool,
}

/// One writer's history and how far it has got.
struct Writer {
    ops: Vec<Op>,
    acknowledged: usize,
    world: World,
}

/// What a child said before it was killed.
#[derive(Debug, Default)]
struct Heard {
    /// Acknowledgements of each writer.
    done: BTreeMap<usize, usize>,
    shown: BTreeMap<i64, String>,
    failed: Option<String>,
    /// It began to open the engine.
    has_begun: bool,
    /// The history is at its end.
    has_ended: bool,
}

impl Trial {
    /// A history of one writer.
    pub(crate) fn alone(fixture: &Fixture, kind: Kind) -> Self {
        Self::of(fixture, kind, 1)
    }

    /// Histories of several writers on one container and one account.
    pub(crate) fn together(fixture: &Fixture, writers: usize) -> Self {
        Self::of(fixture, Kind::Together, writers)
    }

    fn of(fixture: &Fixture, kind: Kind, writers: usize) -> Self {
        let writer = |number| Writer {
            ops: kind.history(fixture.origin(), number),
            acknowledged: 0,
            world: World::default(),
        };
        Self {
            kind,
            writers: (0..writers).map(writer).collect(),
            shown: BTreeMap::new(),
            with_reader: false,
        }
    }

    /// The same, with a reader beside the writers.
    pub(crate) fn with_reader(self) -> Self {
        Self {
            with_reader: true,
            ..self
        }
    }

    /// Operations that no writer has done yet.
    pub(crate) fn left(&self) -> usize {
        let left = |writer: &Writer| writer.ops.len() - writer.acknowledged;
        self.writers.iter().map(left).sum()
    }

    /// Lets the next life begin with what was done last, as if nobody had heard that it was.
    pub(crate) fn repeat_last(&mut self) {
        for writer in &mut self.writers {
            writer.acknowledged = writer.acknowledged.saturating_sub(1);
        }
    }

    /// One life: closes the engine, lets a child go on with the history, kills it, opens the engine
    /// and compares. What was under way is begun anew in the next life.
    pub(crate) async fn live(&mut self, fixture: Fixture, kill: Kill) -> Check<Fixture> {
        self.live_and_open(fixture, kill, &[]).await
    }

    /// The same, with a few children more before this process opens the engine: each is killed so long
    /// after it began to open the engine.
    pub(crate) async fn live_and_open(
        &mut self,
        fixture: Fixture,
        kill: Kill,
        openings: &[Duration],
    ) -> Check<Fixture> {
        check!(
            fixture.engine().capabilities().durability != Durability::Memory,
            "the engine says that its writes survive nothing: it cannot claim durable"
        );
        let part = self.part(&fixture, kill);
        let closed = fixture.close().await;
        let heard = kill_child(closed.child(), &part, kill).await?;
        closed.killed().await?;
        let opener = Part {
            from: Vec::new(),
            ..part
        };
        for after in openings {
            kill_child(closed.child(), &opener, Kill::Working(0, *after)).await?;
            closed.killed().await?;
        }
        if let Some(failure) = heard.failed {
            return Err(Failure::new(format!("in the child: {failure}")));
        }
        let fixture = closed.open().await?;
        self.shown.extend(heard.shown);
        let picture = look(&fixture).await?;
        let nothing_under_way = matches!(kill, Kill::Resting(_));
        match self.writers.len() {
            1 => self.compare_alone(&picture, heard.done, nothing_under_way)?,
            _ => self.compare_together(&picture, &heard.done)?,
        }
        self.compare_shown(&picture)?;
        Ok(fixture)
    }

    fn part(&self, fixture: &Fixture, kill: Kill) -> Part {
        let (scratch, origin) = (fixture.scratch(), fixture.origin());
        let from = self.writers.iter();
        Part {
            origin: origin.clone(),
            path: scratch.path().to_owned(),
            token: scratch.token().to_owned(),
            devices: scratch.devices().to_vec(),
            kind: self.kind,
            from: from.map(|writer| writer.acknowledged).collect(),
            rest_after: match kill {
                Kill::Resting(count) => Some(count),
                Kill::Working(..) => None,
            },
            reader: self.with_reader,
        }
    }

    fn compare_alone(
        &mut self,
        picture: &Picture,
        done: BTreeMap<usize, usize>,
        nothing_under_way: bool,
    ) -> Check {
        let writer = &mut self.writers[0];
        let when = writer.go_on(done.get(&0).copied().unwrap_or(0));
        let next = writer.after_next().filter(|_| !nothing_under_way);
        let mut expected = vec![writer.world.picture()];
        expected.extend(next.iter().map(World::picture));
        picture.check_is_one_of(&expected, &when)?;
        if let Some(next) = next.filter(|next| next.picture() == *picture) {
            writer.world = next;
        }
        Ok(())
    }

    fn compare_together(&mut self, picture: &Picture, done: &BTreeMap<usize, usize>) -> Check {
        for (number, writer) in self.writers.iter_mut().enumerate() {
            let prefix = format!("{number}-");
            let when = writer.go_on(done.get(&number).copied().unwrap_or(0));
            let when = format!("writer {number} {when}");
            let found = picture.of_writer(&prefix);
            let now = writer.world.picture().of_writer(&prefix);
            let next = writer.after_next();
            let mut expected = vec![now.clone()];
            expected.extend(next.iter().map(|next| next.picture().of_writer(&prefix)));
            check_is_one_of(&found, &expected, &when)?;
            if let Some(next) = next.filter(|_| found != now) {
                writer.world = next;
            }
        }
        Ok(())
    }

    /// A row that was shown is there with its number, unless its name has a row of a higher one.
    fn compare_shown(&self, picture: &Picture) -> Check {
        let Some((highest, _)) = self.shown.last_key_value() else {
            return Ok(());
        };
        let Some(store) = picture.stores.get("container 0") else {
            return Err(Failure::new("a container that was read is gone"));
        };
        let max_row = store.facts["highest number"].parse().unwrap_or(-1);
        check!(
            max_row >= *highest,
            "number {highest} was shown, but the highest is {max_row}: it will be used again"
        );
        let lines = store.rows.iter();
        let lines: BTreeMap<_, _> = lines
            .map(|(number, row)| (*number, format!("{} {}", row.name, row.attributes)))
            .collect();
        let mut latest = BTreeMap::new();
        for (number, line) in &lines {
            latest.insert(line.split(' ').next(), *number);
        }
        for (number, line) in &self.shown {
            match lines.get(number) {
                Some(found) => check_eq!(found, line, "row {number}, which was shown"),
                None => {
                    let later = latest.get(&line.split(' ').next());
                    check!(
                        later.is_some_and(|later| later > number),
                        "row {number} was shown and is gone: {line}"
                    );
                }
            }
        }
        Ok(())
    }
}

impl Writer {
    /// Takes over what was acknowledged, and says in words where the history stands.
    fn go_on(&mut self, done: usize) -> String {
        let end = (self.acknowledged + done).min(self.ops.len());
        for op in &self.ops[self.acknowledged..end] {
            self.world.apply(op);
        }
        self.acknowledged = end;
        let last = end.checked_sub(1).map(|last| &self.ops[last]);
        let last: String = format!("{last:?}").chars().take(200).collect();
        format!("killed after {end} acknowledged operations, the last {last}")
    }

    /// The world when the operation that may have been under way had happened.
    fn after_next(&self) -> Option<World> {
        let op = self.ops.get(self.acknowledged)?;
        let mut world = self.world.clone();
        world.apply(op);
        Some(world)
    }
}

/// A child that does not outlive its case.
struct Guard(Child);

impl Guard {
    fn kill(&mut self) -> std::io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.kill();
    }
}

/// Starts a child, kills it in time, and answers what it had said by then.
async fn kill_child(command: io::Result<Command>, part: &Part, kill: Kill) -> Check<Heard> {
    let (variable, value) = part.variable();
    let mut command = command.map_err(|error| no_child(&error))?;
    command.env(variable, value);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Guard(command.spawn().map_err(|error| no_child(&error))?);
    let mut lines = lines_of(&mut child.0);
    let mut heard = Heard::default();
    let (count, after) = match kill {
        Kill::Working(count, after) => (count as usize, after),
        Kill::Resting(count) => (count as usize, Duration::ZERO),
    };
    while !heard.has_come_to(count) {
        match lines.recv().await {
            Some(line) => heard.take(&line),
            None if heard.failed.is_some() => break,
            None => return Err(Failure::new(ENDED)),
        }
    }
    // Timers of the runtime are too coarse for a moment within an operation.
    std::thread::sleep(after);
    child.kill().map_err(|error| no_child(&error))?;
    while let Some(line) = lines.recv().await {
        heard.take(&line);
    }
    Ok(heard)
}

const ENDED: &str = "the child ended before it was killed: this program must come to \
    `Certification::run` or `run` when it is started again with the same arguments, or its \
    `Subject` must say how to start it";

fn no_child(error: &io::Error) -> Failure {
    Failure::new(format!("no child to kill: {error}"))
}

/// The lines of a child as they come; what it was writing when it was killed is none.
fn lines_of(child: &mut Child) -> UnboundedReceiver<String> {
    let (send, lines) = unbounded_channel();
    let out = child.stdout.take();
    std::thread::spawn(move || {
        let Some(mut out) = out.map(BufReader::new) else {
            return;
        };
        let mut line = Vec::new();
        while out.read_until(b'\n', &mut line).is_ok() && line.pop() == Some(b'\n') {
            let text = String::from_utf8_lossy(&line).into_owned();
            if send.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    lines
}

impl Heard {
    /// Whether so many acknowledgements were given, or there are no more to wait for.
    fn has_come_to(&self, count: usize) -> bool {
        self.has_ended || (self.has_begun && self.done.values().sum::<usize>() >= count)
    }

    fn take(&mut self, line: &str) {
        let Some(line) = line.strip_prefix(PREFIX) else {
            return;
        };
        match line.split_once(' ') {
            None => {
                self.has_begun |= line == "opening";
                self.has_ended |= line == "ended";
            }
            Some(("done", writer)) => {
                let writer = writer.parse().unwrap_or(usize::MAX);
                *self.done.entry(writer).or_default() += 1;
            }
            Some(("saw", row)) => {
                if let Some((number, text)) = row.split_once(' ') {
                    let number = number.parse().unwrap_or(i64::MAX);
                    self.shown.insert(number, text.to_owned());
                }
            }
            Some(("failed", why)) => self.failed = Some(why.to_owned()),
            Some(_) => {}
        }
    }
}
