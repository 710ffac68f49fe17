//! How far a conversion has got: a bar on a terminal, and lines now and then without one.
//!
//! The unit is a row number: how many rows a store really has is known when it was read. Each row counts
//! twice, copied and read back.

use broker_api::Location;
use broker_copy::{Progress, Step};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often there is a line without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress on standard error.
pub(super) struct Bar {
    bar: ProgressBar,
    is_terminal: bool,
    start: Instant,
    total: u64,
    stores: u64,
    /// What the stores that are done counted for.
    done: AtomicU64,
    done_stores: AtomicU64,
    /// Rows copied, of all stores and of the one at work.
    copied: AtomicU64,
    copied_here: AtomicU64,
    /// What the store at work counts for when it is read back; zero before.
    read_back: AtomicU64,
    last_line: Mutex<Instant>,
}

impl Bar {
    /// Begins to show the progress of `rows` row numbers in `stores` stores.
    pub(super) fn new(rows: u64, stores: u64) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let total = 2 * rows + stores;
        let bar = match is_terminal {
            true => ProgressBar::new(total),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} %, {eta} left, {wide_msg}");
        let start = Instant::now();
        Self {
            bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
            is_terminal,
            start,
            total,
            stores,
            done: AtomicU64::new(0),
            done_stores: AtomicU64::new(0),
            copied: AtomicU64::new(0),
            copied_here: AtomicU64::new(0),
            read_back: AtomicU64::new(0),
            last_line: Mutex::new(start),
        }
    }

    /// A page of rows of a store is done.
    pub(super) fn row(&self, location: &Location, progress: Progress) {
        let at = u64::try_from(progress.at.0).unwrap_or_default();
        let here = match progress.step {
            Step::Counting | Step::Resuming => 0,
            Step::Copying => at,
            Step::Finishing => {
                self.read_back.store(at, Ordering::Relaxed);
                at
            }
            // A store that was there is read on both sides at once.
            Step::Verifying => match self.read_back.load(Ordering::Relaxed) {
                0 => 2 * at,
                copied => copied + at,
            },
        };
        if progress.step == Step::Copying {
            self.copied_here.store(progress.rows, Ordering::Relaxed);
        }
        self.show(self.done.load(Ordering::Relaxed) + here, || {
            let step = match progress.step {
                Step::Counting => "counting",
                Step::Resuming => "going on with",
                Step::Copying => "copying",
                Step::Finishing => "finishing",
                Step::Verifying => "verifying",
            };
            format!("{step} {location}")
        });
    }

    /// A store that could have had `rows` rows is done.
    pub(super) fn next_store(&self, rows: u64) {
        self.read_back.store(0, Ordering::Relaxed);
        let here = self.copied_here.swap(0, Ordering::Relaxed);
        self.copied.fetch_add(here, Ordering::Relaxed);
        self.done_stores.fetch_add(1, Ordering::Relaxed);
        let done = self.done.fetch_add(2 * rows + 1, Ordering::Relaxed) + 2 * rows + 1;
        self.show(done, || "next store".to_owned());
    }

    fn show(&self, position: u64, what: impl Fn() -> String) {
        if self.is_terminal {
            self.bar.set_position(position);
            let rows = self.rows_per_second();
            self.bar.set_message(format!("{rows} rows/s, {}", what()));
            return;
        }
        let Ok(mut last) = self.last_line.try_lock() else {
            return;
        };
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            self.line(position, &what());
        }
    }

    fn line(&self, position: u64, what: &str) {
        let elapsed = self.start.elapsed().as_secs_f64();
        let left = elapsed * (self.total.saturating_sub(position)) as f64 / position.max(1) as f64;
        let (percent, rows) = (100 * position / self.total.max(1), self.rows_per_second());
        let (done, stores) = (self.done_stores.load(Ordering::Relaxed), self.stores);
        eprintln!(
            "{percent} %, {done} of {stores} stores, {rows} rows/s, {left:.0} s left, {what}"
        );
    }

    /// Rows copied in a second so far.
    pub(super) fn rows_per_second(&self) -> u64 {
        let copied = self.copied.load(Ordering::Relaxed) + self.copied_here.load(Ordering::Relaxed);
        (copied as f64 / self.start.elapsed().as_secs_f64().max(0.001)) as u64
    }

    /// How long it has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
