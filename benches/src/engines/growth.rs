//! What the same operations cost as a container, or the number of containers, grows.

use crate::bench::{Bench, Failure, median, merge, put_numbered};
use broker_api::listing::ListingQuery;
use broker_api::{
    ContainerBroker, ContainerBrokerExt, Engine, Entry, ListObjects, ObjectRowRef, ObjectVisitor,
    RowFilter, RowId,
};
use broker_bench::plot::{Curve, Panel};
use broker_bench::{figures, memory};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Objects that are put at the same time.
const WRITERS: usize = 16;

/// For how long they are put, and how often; the least is kept, as of reading.
const WRITING: Duration = Duration::from_millis(400);
const WINDOWS: usize = 7;

/// How often the costs of reading are taken, and how long after each other. The least is kept: processors run at one
/// of two speeds for seconds at a time.
const ROUNDS: usize = 8;
const PAUSE: Duration = Duration::from_millis(400);

/// So many rows are many.
const REST_AFTER: usize = 100_000;

const PUT: &str = "PUT, 16 at a time: µs each";
const HEAD: &str = "HEAD: µs";
const PAGE_100: &str = "page of 100 in the middle: µs";
const PAGE_10000: &str = "page of 10,000: µs";
const SUBDIRS: &str = "page of 100 subdirs: µs";
const SINCE: &str = "1,000 rows by number: µs";
const MEMORY: &str = "resident memory: MiB";

/// The questions in the order of the table.
const OF_ROWS: [&str; 7] = [PUT, HEAD, PAGE_100, PAGE_10000, SUBDIRS, SINCE, MEMORY];
const PUT_ANY: &str = "PUT into any container, 16 at a time: µs each";
const HEAD_ANY: &str = "HEAD of any container: µs";
const OF_STORES: [&str; 3] = [PUT_ANY, HEAD_ANY, MEMORY];

/// Microseconds, mebibytes or ratios by question.
type Costs = BTreeMap<String, f64>;

/// What is known of one size.
#[derive(Debug, Serialize, Deserialize)]
struct Point {
    size: usize,
    costs: Costs,
    /// The same beside a small container, which had its turns in the same seconds.
    beside_small: Costs,
}

/// Costs of engines at each size.
#[derive(Debug)]
pub(crate) struct Growth {
    what: &'static str,
    questions: &'static [&'static str],
    measured: Vec<(String, Vec<Point>)>,
}

/// Of one container with more and more rows.
pub(crate) fn of_rows() -> Growth {
    Growth {
        what: "rows in the container",
        questions: &OF_ROWS,
        measured: Vec::new(),
    }
}

/// Of more and more containers.
pub(crate) fn of_stores() -> Growth {
    Growth {
        what: "containers on the device",
        questions: &OF_STORES,
        measured: Vec::new(),
    }
}

impl Growth {
    /// Measures an engine at sizes in ascending order. After many rows were added it has a rest for what it does in the
    /// background: the question is what a large container costs, not what filling it does.
    pub(crate) async fn measure_rows(
        &mut self,
        engine: &str,
        bench: &mut Bench,
        sizes: &[usize],
        rest: Duration,
    ) -> Result<(), Failure> {
        let mut rows = Rows {
            bench,
            growing: bench.create("growing").await?,
            small: bench.create("small").await?,
            small_size: *sizes.first().ok_or("no sizes")?,
            written: 0,
        };
        fill(&rows.small, 0..rows.small_size).await?;
        let mut filled = 0;
        let mut measured = Vec::new();
        for &size in sizes {
            fill(&rows.growing, filled..size).await?;
            if size - filled > REST_AFTER {
                std::thread::sleep(rest);
            }
            filled = size;
            measured.push(rows.cost(size).await?);
            eprintln!("{engine}: {size} rows measured");
        }
        self.measured.push((engine.to_owned(), measured));
        Ok(())
    }

    /// As [`measure_rows`](Self::measure_rows).
    pub(crate) async fn measure_stores(
        &mut self,
        engine: &str,
        bench: &mut Bench,
        sizes: &[NonZeroUsize],
    ) -> Result<(), Failure> {
        let (mut made, mut written) = (0, 0);
        let mut measured = Vec::new();
        for size in sizes.iter().map(|size| size.get()) {
            for number in made..size {
                bench.create(&number.to_string()).await?;
            }
            made = size;
            let engine = Arc::clone(bench.engine()?);
            measured.push(Point {
                size,
                costs: stores_cost(&engine, size, &mut written).await?,
                beside_small: Costs::new(),
            });
            eprintln!("{}: {size} containers measured", engine.name());
        }
        self.measured.push((engine.to_owned(), measured));
        Ok(())
    }

    /// Takes over what another process has measured of an engine and written as JSON.
    pub(crate) fn take(
        &mut self,
        engine: &str,
        figures: &serde_json::Value,
    ) -> Result<(), Failure> {
        let points = Vec::deserialize(&figures[engine])?;
        self.measured.push((engine.to_owned(), points));
        Ok(())
    }

    /// A table: a line for each question and engine, a column for each size, the last beside the first, and the last
    /// beside a small container in turns.
    pub(crate) fn markdown(&self) -> String {
        let points = self.measured.iter().flat_map(|(_, points)| points);
        let sizes: BTreeSet<usize> = points.map(|point| point.size).collect();
        let mut text = format!("| {} | |", self.what);
        // Writing to a string does not fail, here and below.
        sizes.iter().for_each(|size| {
            let _ = write!(text, " {size} |");
        });
        let _ = writeln!(
            text,
            " last beside first | in turns |\n|---|---|{}",
            "---|".repeat(sizes.len() + 2)
        );
        for question in self.questions {
            for (engine, points) in &self.measured {
                let _ = write!(text, "| {question} | {engine} |");
                for size in &sizes {
                    let point = points.iter().find(|point| point.size == *size);
                    let cost = point.and_then(|point| point.costs.get(*question));
                    let _ = match cost {
                        Some(cost) if *cost < 100.0 => write!(text, " {cost:.1} |"),
                        Some(cost) => write!(text, " {cost:.0} |"),
                        None => write!(text, " |"),
                    };
                }
                let mut costs = points.iter().filter_map(|point| point.costs.get(*question));
                let _ = match (costs.next(), costs.next_back()) {
                    (Some(first), Some(last)) => write!(text, " {:.2} |", last / first),
                    _ => write!(text, " |"),
                };
                let last = points.last();
                let _ = match last.and_then(|point| point.beside_small.get(*question)) {
                    Some(ratio) => writeln!(text, " {ratio:.2} |"),
                    None => writeln!(text, " |"),
                };
            }
        }
        text
    }

    /// A plot for each question, a curve for each engine.
    pub(crate) fn panels(&self) -> Vec<Panel> {
        let panel = |question: &&'static str| {
            let curve = |(engine, points): &(String, Vec<Point>)| {
                let cost = |point: &Point| {
                    let cost = point.costs.get(*question).filter(|cost| **cost > 0.0)?;
                    Some((point.size as f64, *cost))
                };
                Curve {
                    name: engine.clone(),
                    points: points.iter().filter_map(cost).collect(),
                }
            };
            Panel {
                title: (*question).to_owned(),
                x: self.what.to_owned(),
                curves: self.measured.iter().map(curve).collect(),
            }
        };
        self.questions.iter().map(panel).collect()
    }

    pub(crate) fn as_json(&self) -> serde_json::Value {
        let engines = self.measured.iter();
        let engines = engines.map(|(engine, points)| (engine.clone(), serde_json::json!(points)));
        engines.collect::<serde_json::Map<_, _>>().into()
    }
}

/// Puts objects for some windows of time, each into the container that is chosen for its number, and says how long each
/// takes when all are counted together, in the best window. Numbers go on from those that were written before.
async fn put_cost(
    container: impl Fn(usize) -> Arc<dyn ContainerBroker> + Clone + Send + 'static,
    written: &mut usize,
) -> Result<f64, Failure> {
    let mut least = f64::INFINITY;
    for window in 0..WINDOWS {
        if window > 0 {
            std::thread::sleep(PAUSE);
        }
        let (count, cost) = put_for_a_while(&container, *written).await?;
        least = least.min(cost);
        *written += count;
    }
    Ok(least)
}

/// Puts objects from a number on; says how many numbers it came past, and what each object cost.
async fn put_for_a_while(
    container: &(impl Fn(usize) -> Arc<dyn ContainerBroker> + Clone + Send + 'static),
    from: usize,
) -> Result<(usize, f64), Failure> {
    let begin = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let container = container.clone();
            tokio::spawn(async move {
                let mut count = 0;
                while begin.elapsed() < WRITING {
                    let number = from + count * WRITERS + writer;
                    // Among the names that are there.
                    let mut record = put_numbered(number * 7919, 3);
                    record.name.push_str("+new");
                    container(number).put_object(record).await?;
                    count += 1;
                }
                broker_api::Result::Ok(count)
            })
        })
        .collect();
    let (mut count, mut most) = (0, 0);
    for writer in writers {
        let of_writer: usize = writer.await??;
        count += of_writer;
        most = most.max(of_writer);
    }
    let cost = begin.elapsed().as_secs_f64() * 1e6 / count as f64;
    Ok((most * WRITERS, cost))
}

fn micros(times: Vec<Duration>) -> f64 {
    median(times).as_secs_f64() * 1e6
}

/// Merges the objects of some numbers.
async fn fill(container: &Arc<dyn ContainerBroker>, numbers: Range<usize>) -> Result<(), Failure> {
    merge(container, numbers.map(|i| put_numbered(i, 2)), 10_000).await
}

/// A container that grows, and a small one of the same device. What a device has done lately costs both, and so does a
/// slow second of the machine.
struct Rows<'a> {
    bench: &'a Bench,
    growing: Arc<dyn ContainerBroker>,
    small: Arc<dyn ContainerBroker>,
    small_size: usize,
    /// Objects that were put so far. No name is put twice.
    written: usize,
}

impl Rows<'_> {
    async fn cost(&mut self, size: usize) -> Result<Point, Failure> {
        // What is buffered is merged before the reads are timed.
        for container in [&self.growing, &self.small] {
            let last = RowId(i64::MAX - 1);
            container.items_since(last, 1, RowFilter::All).await?;
        }
        let mut turns = Turns::default();
        for _ in 0..ROUNDS {
            let growing = read_costs(&self.growing, size).await?;
            let small = read_costs(&self.small, self.small_size).await?;
            turns.add(growing, &small);
            std::thread::sleep(PAUSE);
        }
        let memory = memory::of_this_process().0 as f64;
        // Last, since it adds rows.
        for window in 0..WINDOWS {
            let empty = format!("empty beside {size} rows, {window}");
            let empty = self.bench.create(&empty).await?;
            let growing = Arc::clone(&self.growing);
            // Who is second has the flushes of the first beside it.
            let (growing, empty) = match window % 2 {
                0 => {
                    let growing = self.put_cost(growing).await?;
                    (growing, self.put_cost(empty).await?)
                }
                _ => {
                    let empty = self.put_cost(empty).await?;
                    (self.put_cost(growing).await?, empty)
                }
            };
            turns.add(growing, &empty);
            std::thread::sleep(PAUSE);
        }
        let mut point = turns.finish(size);
        point.costs.insert(MEMORY.into(), memory);
        Ok(point)
    }

    async fn put_cost(&mut self, container: Arc<dyn ContainerBroker>) -> Result<Costs, Failure> {
        let always = move |_| Arc::clone(&container);
        let (count, cost) = put_for_a_while(&always, self.written).await?;
        self.written += count;
        Ok(Costs::from([(PUT.into(), cost)]))
    }
}

/// Costs of two containers that are measured one after the other, again and again.
#[derive(Default)]
struct Turns {
    least: Costs,
    ratios: BTreeMap<String, Vec<f64>>,
}

impl Turns {
    fn add(&mut self, growing: Costs, small: &Costs) {
        for (question, cost) in growing {
            if let Some(small) = small.get(&question) {
                let ratios = self.ratios.entry(question.clone()).or_default();
                ratios.push(cost / small);
            }
            let least = self.least.entry(question).or_insert(cost);
            *least = least.min(cost);
        }
    }

    fn finish(self, size: usize) -> Point {
        let ratios = self.ratios.into_iter();
        let ratios = ratios.map(|(question, ratios)| (question, figures::median(ratios)));
        Point {
            size,
            costs: self.least,
            beside_small: ratios.collect(),
        }
    }
}

/// Looks at entries as a server does, which writes them down at once. With texts of their own a page of 10,000 would
/// measure the allocator, and what it has become by filling the container.
struct Shown(usize);

impl ObjectVisitor for Shown {
    fn visit(&mut self, entry: Entry<'_, ObjectRowRef<'_>>) -> ControlFlow<()> {
        self.0 += match entry {
            Entry::Row(row) => {
                row.name.len() + row.created_at.len() + row.content_type.len() + row.etag.len()
            }
            Entry::Subdir(name) => name.len(),
        };
        ControlFlow::Continue(())
    }
}

async fn read_costs(container: &Arc<dyn ContainerBroker>, size: usize) -> Result<Costs, Failure> {
    let page = |limit| ListObjects::new(ListingQuery::new(limit));
    let (mut middle, many) = (page(100), page(10_000));
    middle.names.marker = put_numbered(size / 2 + 500, 2).name;
    let mut subdirs = page(100);
    subdirs.names.prefix = "photos/2024/".into();
    subdirs.names.delimiter = "/".into();
    let listed = async |query| {
        let shown = container.list_objects(query, Box::new(Shown(0))).await;
        shown.map(drop)
    };
    let half = RowId(size as i64 / 2);
    Ok(Costs::from([
        (
            HEAD.into(),
            timed(200, async || container.info().await.map(drop)).await?,
        ),
        (
            PAGE_100.into(),
            timed(100, async || listed(&middle).await).await?,
        ),
        (
            PAGE_10000.into(),
            timed(5, async || listed(&many).await).await?,
        ),
        (
            SUBDIRS.into(),
            timed(30, async || listed(&subdirs).await).await?,
        ),
        (
            SINCE.into(),
            timed(30, async || {
                let rows = container.items_since(half, 1000, RowFilter::All);
                rows.await.map(drop)
            })
            .await?,
        ),
    ]))
}

/// The median of some turns.
async fn timed(
    turns: usize,
    ask: impl AsyncFn() -> broker_api::Result<()>,
) -> Result<f64, Failure> {
    let mut times = Vec::new();
    for _ in 0..turns {
        let begin = Instant::now();
        ask().await?;
        times.push(begin.elapsed());
    }
    Ok(micros(times))
}

async fn stores_cost(
    engine: &Arc<dyn Engine>,
    size: usize,
    written: &mut usize,
) -> Result<Costs, Failure> {
    let options = broker_api::BrokerOptions::default();
    // In no order that a cache could like.
    let any = move |engine: &Arc<dyn Engine>, number: usize| {
        let name = (number.wrapping_mul(7919) % size).to_string();
        // A valid device and kind give a location.
        crate::bench::location(&name).map(|location| engine.container(&location, &options))
    };
    let mut costs = Costs::new();
    let shared = Arc::clone(engine);
    let fallback = any(engine, 0).ok_or("no location")?;
    let chosen = move |number| any(&shared, number).unwrap_or_else(|| Arc::clone(&fallback));
    costs.insert(PUT_ANY.into(), put_cost(chosen, written).await?);
    let mut times = Vec::new();
    for number in 0..2000 {
        let container = any(engine, number).ok_or("no location")?;
        let begin = Instant::now();
        container.info().await?.ok_or("no container")?;
        times.push(begin.elapsed());
    }
    costs.insert(HEAD_ANY.into(), micros(times));
    costs.insert(MEMORY.into(), memory::of_this_process().0 as f64);
    Ok(costs)
}
