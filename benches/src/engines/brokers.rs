//! What brokers do in process, beside Swift's own brokers and beside the store below them.

use crate::bench::{Bench, Failure, merge, per_second, put_numbered};
use crate::raw;
use broker_api::listing::ListingQuery;
use broker_api::{
    AccountBrokerExt, ContainerBrokerExt, ContainerRecord, ListObjects, ObjectRecord, PolicyIndex,
    ReclaimAge, RowFilter, RowId, Timestamp, TimestampText,
};
use broker_bench::figures::{Ratio, median};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const SWIFT_SIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/swift_brokers.py");

/// Merges beside the store alone, and how many rows have a batch.
const NEW_ROWS: [(&str, usize); 2] = [
    ("merge of new rows, 1,000 a batch", 1000),
    ("merge of new rows, 10,000 a batch", 10_000),
];

/// What else is asked; in this order, and by these names on both sides.
const OTHERS: [&str; 6] = [
    "merge over rows, 1,000 a batch",
    "rows listed, pages of 10,000",
    "rows by number, pages of 1,000",
    "tombstones reclaimed",
    "PUT, then a page of 10",
    "PUT of a container's row",
];

/// How often a broker and the store below it merge in turns.
const TURNS: usize = 5;

/// Of so many rows one is put alone.
const ROWS_A_PAIR: usize = 10;

/// Things a second, by question.
type Rates = BTreeMap<String, f64>;

/// What is compared.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) engines: &'a [String],
    pub(crate) settings: &'a [String],
    pub(crate) folder: &'a Path,
    /// The interpreter that can import Swift.
    pub(crate) python: Option<PathBuf>,
    pub(crate) rows: usize,
    pub(crate) rounds: usize,
}

/// What was measured: the rounds of each subject, stores below engines included.
#[derive(Debug, Default)]
pub(crate) struct Compared(Vec<(String, Vec<Rates>)>);

impl Comparison<'_> {
    /// All subjects in turns.
    pub(crate) async fn run(&self) -> Result<Compared, Failure> {
        let mut compared = Compared::default();
        for _ in 0..self.rounds.max(1) {
            if let Some(python) = &self.python {
                compared.add("swift", self.swift(python)?);
            }
            for engine in self.engines {
                let bench = Bench::new(engine, self.settings, self.folder)?;
                let (mut broker, mut store) = (rates(&bench, self.rows).await?, Rates::new());
                drop(bench);
                for (question, group) in NEW_ROWS {
                    let (own, alone) = self.merges(engine, group).await?;
                    broker.insert(question.into(), own);
                    store.extend(alone.map(|alone| (question.into(), alone)));
                }
                compared.add(engine, broker);
                compared.add(&format!("{engine}, store alone"), store);
            }
        }
        Ok(compared)
    }

    /// Merges of new rows into empty containers, by the broker and by the store alone where that is known: medians of
    /// turns, as the machine changes its speed within seconds.
    async fn merges(&self, engine: &str, group: usize) -> Result<(f64, Option<f64>), Failure> {
        let (mut own, mut alone) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let bench = Bench::new(engine, self.settings, self.folder)?;
            let container = bench.create("new").await?;
            let records = numbered(self.rows, 2);
            own.push(per_second(self.rows, merge(&container, records, group)).await?);
            // What works in the background ends.
            drop((container, bench));
            let took = raw::merge_of_new_rows(engine, self.folder, self.rows, group).await?;
            alone.extend(took.map(|took| self.rows as f64 / took.as_secs_f64()));
        }
        let alone = (!alone.is_empty()).then(|| median(alone));
        Ok((median(own), alone))
    }

    fn swift(&self, python: &Path) -> Result<Rates, Failure> {
        let folder = tempfile::tempdir_in(self.folder)?;
        let mut command = Command::new(python);
        command.arg(SWIFT_SIDE).arg(folder.path());
        let output = command.arg(self.rows.to_string()).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("{SWIFT_SIDE} failed: {said}").into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Records that are made before the time is taken.
fn numbered(rows: usize, seconds: u64) -> std::vec::IntoIter<ObjectRecord> {
    let records: Vec<_> = (0..rows).map(|i| put_numbered(i, seconds)).collect();
    records.into_iter()
}

/// The rates of [`OTHERS`].
async fn rates(bench: &Bench, rows: usize) -> Result<Rates, Failure> {
    let (one, large) = (bench.create("one").await?, bench.create("large").await?);
    let records = |seconds| numbered(rows, seconds);
    merge(&one, records(2), 1000).await?;
    merge(&large, records(2), 10_000).await?;
    let over = per_second(rows, merge(&one, records(3), 1000)).await?;
    let listed = per_second(rows, async {
        let mut query = ListObjects::new(ListingQuery::new(10_000));
        while let Some(last) = one.object_page(&query).await?.last() {
            last.name().clone_into(&mut query.names.marker);
        }
        Ok(())
    });
    let listed = listed.await?;
    let by_number = per_second(rows, async {
        let mut since = RowId::NONE;
        while let Some(last) = one.items_since(since, 1000, RowFilter::All).await?.last() {
            since = last.row_id;
        }
        Ok(())
    });
    let by_number = by_number.await?;

    let at = Timestamp::from_seconds(4);
    let deleted = records(4).map(|record| ObjectRecord::delete(record.name, at));
    merge(&large, deleted, 10_000).await?;
    let age = Timestamp::from_seconds(5);
    let age = ReclaimAge {
        tombstones: age,
        sync_points: age,
    };
    let reclaimed = per_second(rows, async {
        let done = large.replicate().reclaim(age).await?;
        match done.removed == rows as u64 {
            true => Ok(()),
            false => Err(format!("{done:?} of {rows} tombstones").into()),
        }
    });
    let reclaimed = reclaimed.await?;

    let small = bench.create("small").await?;
    let for_clients = bench.container_for_clients("small")?;
    let pairs = rows / ROWS_A_PAIR;
    let put_then_page = per_second(pairs, async {
        let page = ListObjects::new(ListingQuery::new(10));
        for i in 0..pairs {
            small.put_object(put_numbered(i, 2)).await?;
            for_clients.object_page(&page).await?;
        }
        Ok(())
    });
    let put_then_page = put_then_page.await?;
    let account = bench.create_account().await?;
    let account_rows = per_second(pairs, async {
        for i in 0..pairs {
            let (put, never) = (Timestamp::from_seconds(2).into(), TimestampText::never());
            let name = format!("c{i:06}");
            let record = ContainerRecord::report(name, put, never, 1, 2, PolicyIndex(0));
            account.put_container(record).await?;
        }
        Ok(())
    });
    let rates = [
        over,
        listed,
        by_number,
        reclaimed,
        put_then_page,
        account_rows.await?,
    ];
    Ok(OTHERS.map(str::to_owned).into_iter().zip(rates).collect())
}

impl Compared {
    fn add(&mut self, subject: &str, rates: Rates) {
        match self.0.iter_mut().find(|(name, _)| name == subject) {
            Some((_, rounds)) => rounds.push(rates),
            None => self.0.push((subject.to_owned(), vec![rates])),
        }
    }

    fn rounds(&self, subject: &str) -> Option<&[Rates]> {
        let found = self.0.iter().find(|(name, _)| name == subject);
        found.map(|(_, rounds)| rounds.as_slice())
    }

    /// The table of a document: a line for each question, a column for each subject that is a broker.
    pub(crate) fn markdown(&self, rows: usize) -> String {
        let brokers: Vec<&str> = (self.0.iter().map(|(name, _)| name.as_str()))
            .filter(|name| !name.ends_with("store alone"))
            .collect();
        let rounds = self.0.first().map_or(0, |(_, rounds)| rounds.len());
        let mut text = format!(
            "Things a second, medians of {rounds} rounds; {rows} rows.\n\n| in process | {} |\n|---|{}\n",
            brokers.join(" | "),
            "---|".repeat(brokers.len())
        );
        let new_rows = NEW_ROWS.map(|(question, _)| question);
        for question in new_rows.into_iter().chain(OTHERS) {
            // Writing to a string does not fail.
            let _ = write!(text, "| {question} |");
            for broker in &brokers {
                let _ = write!(text, " {} |", self.cell(broker, question));
            }
            text.push('\n');
        }
        text
    }

    /// A rate with its ratios to Swift and to the store alone, each with its range over the rounds.
    fn cell(&self, broker: &str, question: &str) -> String {
        let rates = |rounds: &[Rates]| -> Vec<f64> {
            let of_question = rounds.iter().filter_map(|rates| rates.get(question));
            of_question.copied().collect()
        };
        let own = rates(self.rounds(broker).unwrap_or_default());
        let mut cell = format!("{:.0}", median(own.clone()));
        let store = format!("{broker}, store alone");
        for (other, bold, what) in [("swift", "**", ""), (store.as_str(), "", " of the store")] {
            let others = rates(self.rounds(other).unwrap_or_default());
            if other == broker || others.is_empty() {
                continue;
            }
            let Ratio {
                median,
                least,
                greatest,
            } = Ratio::between(own.iter().copied(), others);
            let digits = if what.is_empty() { 1 } else { 2 };
            // Writing to a string does not fail.
            let _ = write!(
                cell,
                "; {bold}{median:.digits$}×{bold}{what} ({least:.digits$}–{greatest:.digits$})"
            );
        }
        cell
    }

    pub(crate) fn as_json(&self) -> serde_json::Value {
        self.0
            .iter()
            .map(|(name, rounds)| (name.clone(), serde_json::json!(rounds)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}
