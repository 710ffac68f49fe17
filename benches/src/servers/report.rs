//! Figures as a table for people and as JSON.

use crate::load::{Figures, median};
use crate::workload::Workload;
use serde_json::{Value, json};
use std::fmt::Write;

/// What one subject did under one workload.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) subject: String,
    /// One for each round.
    pub(crate) runs: Vec<Figures>,
    /// Under an open load of half the rate of the first round.
    pub(crate) at_half_rate: Option<Figures>,
    /// Resident memory of the server afterwards.
    pub(crate) memory_mib: Option<u64>,
}

impl Measured {
    pub(crate) fn new(subject: String) -> Self {
        Self {
            subject,
            runs: Vec::new(),
            at_half_rate: None,
            memory_mib: None,
        }
    }
}

/// A ratio of rates: the median, the least and the greatest over the rounds.
#[derive(Debug, Clone, Copy)]
struct Ratio {
    median: f64,
    least: f64,
    greatest: f64,
}

impl Ratio {
    fn between(measured: &Measured, to: &Measured) -> Self {
        let rounds = measured.runs.iter().zip(&to.runs);
        let ratios: Vec<f64> = rounds.map(|(one, other)| one.rate / other.rate).collect();
        Self {
            least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            greatest: ratios.iter().copied().fold(0.0, f64::max),
            median: median(ratios),
        }
    }

    fn as_json(&self) -> Value {
        json!({"median": self.median, "min": self.least, "max": self.greatest})
    }
}

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    rounds: usize,
    seconds: f64,
    rows: u64,
    lines: Vec<(&'static str, &'static str, usize, Vec<Measured>)>,
}

impl Report {
    pub(crate) fn new(rounds: usize, seconds: f64, rows: u64) -> Self {
        Self {
            rounds,
            seconds,
            rows,
            lines: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, workload: &'static Workload, measured: Vec<Measured>) {
        self.lines.push((
            workload.name,
            workload.question,
            workload.connections,
            measured,
        ));
    }

    /// A line for each workload and subject.
    pub(crate) fn table(&self) -> String {
        let mut table = format!(
            "{} round(s) of {} s each, medians; ms are latencies seen by the client; ratios as median (min-max)\n",
            self.rounds, self.seconds
        );
        for (name, _, _, measured) in &self.lines {
            // Writing to a string does not fail, here and below.
            let _ = writeln!(table, "{name}");
            for one in measured {
                let figures = Figures::median(&one.runs);
                let _ = write!(
                    table,
                    "  {:14} {:>10.1}/s  p50 {:>8.3} ms  p99 {:>8.3} ms",
                    one.subject, figures.rate, figures.p50_ms, figures.p99_ms
                );
                for to in ["stock", "bare"] {
                    let other = measured.iter().find(|other| other.subject == to);
                    if let Some(other) = other.filter(|_| one.subject != to) {
                        let Ratio {
                            median,
                            least,
                            greatest,
                        } = Ratio::between(one, other);
                        let _ = write!(table, "  {median:>6.2} of {to} ({least:.2}-{greatest:.2})");
                    }
                }
                if let Some(half) = one.at_half_rate {
                    let _ = write!(
                        table,
                        "  at half the rate p50 {:.3} p99 {:.3} ms",
                        half.p50_ms, half.p99_ms
                    );
                }
                if let Some(memory) = one.memory_mib {
                    let _ = write!(table, "  {memory} MiB");
                }
                table.push('\n');
            }
        }
        table
    }

    /// The section of a document that shows the figures: a line for each workload, a column for each subject.
    pub(crate) fn markdown(&self) -> String {
        let mut subjects: Vec<&str> = Vec::new();
        for one in self.lines.iter().flat_map(|(.., measured)| measured) {
            if !subjects.contains(&one.subject.as_str()) {
                subjects.push(&one.subject);
            }
        }
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        let mut text = format!(
            "Medians of {} rounds of {} s; {processors} processors, shared by the load and the server; the large \
             container has {} rows.\n\n| workload | {} |\n|---|{}\n",
            self.rounds,
            self.seconds,
            self.rows,
            subjects.join(" | "),
            "---|".repeat(subjects.len())
        );
        for (name, _, _, measured) in &self.lines {
            // Writing to a string does not fail, here and below.
            let _ = write!(text, "| {name} |");
            for subject in &subjects {
                let _ = match measured.iter().find(|one| one.subject == *subject) {
                    Some(one) => write!(text, " {} |", cell(one, measured)),
                    None => write!(text, " |"),
                };
            }
            text.push('\n');
        }
        text
    }

    pub(crate) fn as_json(&self) -> Value {
        let lines = self
            .lines
            .iter()
            .map(|(name, question, connections, measured)| {
                let subject = |one: &Measured| {
                    let mut figures = json!({
                        "subject": one.subject,
                        "median": Figures::median(&one.runs).as_json(),
                        "runs": one.runs.iter().map(Figures::as_json).collect::<Vec<_>>(),
                        "at_half_rate": one.at_half_rate.as_ref().map(Figures::as_json),
                        "memory_mib": one.memory_mib,
                    });
                    for to in ["stock", "bare"] {
                        if let Some(other) = measured.iter().find(|other| other.subject == to) {
                            figures[format!("ratio_to_{to}")] =
                                Ratio::between(one, other).as_json();
                        }
                    }
                    figures
                };
                json!({
                    "workload": name,
                    "question": question,
                    "connections": connections,
                    "subjects": measured.iter().map(subject).collect::<Vec<_>>(),
                })
            });
        json!({
            "rounds": self.rounds,
            "seconds": self.seconds,
            "rows_of_the_large_container": self.rows,
            "processors": std::thread::available_parallelism().map_or(0, usize::from),
            "workloads": lines.collect::<Vec<_>>(),
        })
    }
}

/// A rate with its 99th percentile and its ratio to stock Swift with the range over the rounds.
fn cell(one: &Measured, all: &[Measured]) -> String {
    let figures = Figures::median(&one.runs);
    let digits = if figures.rate < 100.0 { 1 } else { 0 };
    let mut cell = format!("{:.digits$}/s, p99 {:.1} ms", figures.rate, figures.p99_ms);
    let stock = all.iter().find(|other| other.subject == "stock");
    if let Some(stock) = stock.filter(|_| one.subject != "stock" && one.subject != "bare") {
        let Ratio {
            median,
            least,
            greatest,
        } = Ratio::between(one, stock);
        let _ = write!(cell, "; **{median:.1}×** ({least:.1}–{greatest:.1})");
    }
    cell
}
