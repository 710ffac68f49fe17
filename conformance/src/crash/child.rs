//! The child's side: this program, started again to be killed.

use super::history::{Kind, Op, SHARED_CONTAINER};
use super::look::{look, object};
use super::play::play;
use crate::check::{Check, Failure};
use crate::fixture::{Fixture, Origin};
use crate::subject::{Scratch, Subject};
use broker_api::{RowFilter, RowId};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The environment variable that makes a program the child of a durable case.
const VARIABLE: &str = "BROKER_CONFORMANCE_CHILD";

/// In front of every line of a child, since others may print too.
pub(super) const PREFIX: &str = "broker-conformance-child ";

/// What a child is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The case that started it, and the engine: a program may certify several.
    pub(super) origin: Origin,
    pub(super) path: PathBuf,
    pub(super) token: String,
    pub(super) devices: Vec<String>,
    pub(super) kind: Kind,
    /// Where each writer goes on.
    pub(super) from: Vec<usize>,
    /// Rest after so many acknowledgements, with nothing under way, until the kill comes.
    pub(super) rest_after: Option<u64>,
    /// Look at the rows of the shared container all the time, and tell what was shown.
    pub(super) reader: bool,
}

impl Part {
    /// The part that this process was started for, if it was.
    pub(crate) fn of_this_process() -> Option<Result<Self, String>> {
        let text = std::env::var(VARIABLE).ok()?;
        let part = serde_json::from_str(&text).ok();
        let part = part.and_then(|value: Value| Self::from_json(&value));
        Some(part.ok_or_else(|| format!("{VARIABLE} is not for this version of the suite")))
    }

    /// The engine whose child is meant.
    pub(crate) fn engine(&self) -> &str {
        &self.origin.engine
    }

    /// The variable that makes a command this part.
    pub(super) fn variable(&self) -> (&'static str, String) {
        let part = json!({
            "engine": self.origin.engine,
            "seed": self.origin.seed,
            "case": self.origin.case,
            "path": self.path,
            "token": self.token,
            "devices": self.devices,
            "kind": self.kind.as_str(),
            "from": self.from,
            "rest_after": self.rest_after,
            "reader": self.reader,
        });
        (VARIABLE, part.to_string())
    }

    fn from_json(part: &Value) -> Option<Self> {
        let text = |name: &str| part[name].as_str().map(str::to_owned);
        let from = part["from"].as_array()?.iter();
        let devices = part["devices"].as_array()?.iter();
        Some(Self {
            origin: Origin {
                engine: text("engine")?,
                seed: part["seed"].as_u64()?,
                case: text("case")?,
            },
            path: text("path")?.into(),
            token: text("token")?,
            devices: devices
                .map(|device| device.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
            kind: Kind::parse(part["kind"].as_str()?)?,
            from: from
                .map(|from| from.as_u64().map(|from| from as usize))
                .collect::<Option<_>>()?,
            rest_after: part["rest_after"].as_u64(),
            reader: part["reader"].as_bool()?,
        })
    }
}

/// Plays the part to its end, if the kill lets it; the answer says whether that went well.
pub(crate) async fn play_part(subject: Arc<dyn Subject>, part: Part) -> bool {
    match played(subject, part).await {
        Ok(()) => true,
        Err(failure) => {
            say(&format!("failed {failure}"));
            false
        }
    }
}

async fn played(subject: Arc<dyn Subject>, part: Part) -> Check {
    say("opening");
    let scratch = Scratch::new(part.path.clone(), part.token.clone(), part.devices.clone());
    let fixture = Fixture::open(subject, scratch, part.origin.clone()).await?;
    if part.from.is_empty() {
        look(&fixture).await?;
        say("looked");
        return Ok(());
    }
    let fixture = Arc::new(fixture);
    let acknowledged = Arc::new(AtomicU64::new(0));
    let reader = part
        .reader
        .then(|| tokio::spawn(show(Arc::clone(&fixture))));
    let mut writers = Vec::new();
    for (writer, from) in part.from.iter().copied().enumerate() {
        let ops = part.kind.history(&part.origin, writer);
        let (fixture, acknowledged) = (Arc::clone(&fixture), Arc::clone(&acknowledged));
        let rest_after = part.rest_after;
        writers.push(tokio::spawn(async move {
            write(&fixture, &ops[from..], writer, &acknowledged, rest_after).await
        }));
    }
    for writer in writers {
        writer
            .await
            .map_err(|error| Failure::new(format!("a writer ended: {error}")))??;
    }
    reader.iter().for_each(|reader| reader.abort());
    say("ended");
    rest()
}

async fn write(
    fixture: &Fixture,
    ops: &[Op],
    writer: usize,
    acknowledged: &AtomicU64,
    rest_after: Option<u64>,
) -> Check {
    for op in ops {
        play(fixture, op).await?;
        say(&format!("done {writer}"));
        let count = acknowledged.fetch_add(1, Ordering::Relaxed) + 1;
        if rest_after == Some(count) {
            return rest();
        }
    }
    Ok(())
}

/// Tells of every row of the shared container when it is first shown.
async fn show(fixture: Arc<Fixture>) -> Check {
    let broker = fixture.container_at(&fixture.location(SHARED_CONTAINER.0, SHARED_CONTAINER.1));
    let mut start = RowId::NONE;
    loop {
        let rows = match broker.items_since(start, 100, RowFilter::All).await {
            Err(error) if error.kind() == broker_api::ErrorKind::NotFound => Vec::new(),
            rows => rows?,
        };
        for row in &rows {
            let (number, text) = object(row);
            say(&format!("saw {number} {} {}", text.name, text.attributes));
            start = row.row_id;
        }
        tokio::task::yield_now().await;
    }
}

/// Waits for the kill. When the parent is gone, standard input ends and so does this process.
fn rest() -> Check {
    let _ = std::io::stdin().read(&mut [0]);
    Ok(())
}

/// Tells the parent, before anything else happens. Nobody is left to play for when that fails.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let line = format!("{PREFIX}{line}\n");
    if out
        .write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .is_err()
    {
        std::process::exit(1);
    }
}
