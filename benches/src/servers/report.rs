//! Figures as a table for people and as JSON.

use crate::load::Figures;
use crate::workload::Workload;
use broker_bench::figures::Ratio;
use broker_bench::plot::{self, Group};
use serde_json::{Value, json};
use std::error::Error;
use std::fmt::Write;
use std::path::Path;

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

fn ratio(measured: &Measured, to: &Measured) -> Ratio {
    let rates = |of: &Measured| of.runs.iter().map(|run| run.rate).collect::<Vec<_>>();
    Ratio::between(rates(measured), rates(to))
}

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    rounds: usize,
    seconds: f64,
    rows: u64,
    lines: Vec<Line>,
}

/// A workload and what each subject did under it.
#[derive(Debug)]
struct Line {
    workload: &'static Workload,
    measured: Vec<Measured>,
}

impl Line {
    fn of(&self, subject: &str) -> Option<&Measured> {
        self.measured.iter().find(|one| one.subject == subject)
    }

    /// A rate with its 99th percentile, its ratio to stock Swift with the range over the rounds, and the memory
    /// where that is asked for.
    fn cell(&self, one: &Measured) -> String {
        let figures = Figures::median(&one.runs);
        let digits = if figures.rate < 100.0 { 1 } else { 0 };
        let mut cell = format!("{:.digits$}/s, p99 {:.1} ms", figures.rate, figures.p99_ms);
        if !["stock", "bare"].contains(&one.subject.as_str())
            && let Some(stock) = self.of("stock")
        {
            let ratio = ratio(one, stock);
            // Writing to a string does not fail, here and below.
            let _ = write!(
                cell,
                "; **{:.1}×** ({:.1}–{:.1})",
                ratio.median, ratio.least, ratio.greatest
            );
        }
        if let Some(memory) = one.memory_mib.filter(|_| self.workload.memory) {
            let _ = write!(cell, "; {memory} MiB");
        }
        cell
    }

    fn as_json(&self) -> Value {
        let subject = |one: &Measured| {
            let mut figures = json!({
                "subject": one.subject,
                "median": Figures::median(&one.runs).as_json(),
                "runs": one.runs.iter().map(Figures::as_json).collect::<Vec<_>>(),
                "at_half_rate": one.at_half_rate.as_ref().map(Figures::as_json),
                "memory_mib": one.memory_mib,
            });
            for to in ["stock", "bare"] {
                if let Some(other) = self.of(to) {
                    figures[format!("ratio_to_{to}")] = ratio(one, other).as_json();
                }
            }
            figures
        };
        json!({
            "workload": self.workload.name,
            "question": self.workload.question,
            "connections": self.workload.connections,
            "subjects": self.measured.iter().map(subject).collect::<Vec<_>>(),
        })
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
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
        self.lines.push(Line { workload, measured });
    }

    /// A line for each workload and subject.
    pub(crate) fn table(&self) -> String {
        let mut table = format!(
            "{} round(s) of {} s each, medians; ms are latencies seen by the client; ratios as median (min-max)\n",
            self.rounds, self.seconds
        );
        for line in &self.lines {
            // Writing to a string does not fail, here and below.
            let _ = writeln!(table, "{}", line.workload.name);
            for one in &line.measured {
                let figures = Figures::median(&one.runs);
                let _ = write!(
                    table,
                    "  {:14} {:>10.1}/s  p50 {:>8.3} ms  p99 {:>8.3} ms",
                    one.subject, figures.rate, figures.p50_ms, figures.p99_ms
                );
                for to in ["stock", "bare"] {
                    if let Some(other) = line.of(to).filter(|_| one.subject != to) {
                        let ratio = ratio(one, other);
                        let _ = write!(
                            table,
                            "  {:>6.2} of {to} ({:.2}-{:.2})",
                            ratio.median, ratio.least, ratio.greatest
                        );
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
        let subjects = self.subjects();
        let mut text = format!(
            "Medians of {} rounds of {} s; {} processors, shared by the load and the server; the large \
             container has {} rows.\n\n| workload | {} |\n|---|{}\n",
            self.rounds,
            self.seconds,
            processors(),
            self.rows,
            subjects.join(" | "),
            "---|".repeat(subjects.len())
        );
        for line in &self.lines {
            // Writing to a string does not fail, here and below.
            let _ = write!(text, "| {} |", line.workload.name);
            for subject in &subjects {
                let _ = match line.of(subject) {
                    Some(one) => write!(text, " {} |", line.cell(one)),
                    None => write!(text, " |"),
                };
            }
            text.push('\n');
        }
        text
    }

    /// Draws the ratios to stock Swift, or to the bare server without it.
    pub(crate) fn plot(&self, file: &Path) -> Result<(), Box<dyn Error + Send + Sync>> {
        let to = match self.lines.iter().any(|line| line.of("stock").is_some()) {
            true => "stock",
            false => "bare",
        };
        let subjects: Vec<String> = self
            .subjects()
            .into_iter()
            .filter(|one| *one != to)
            .collect();
        let groups = self.lines.iter().map(|line| {
            let ratio = |subject: &String| match (line.of(subject), line.of(to)) {
                (Some(one), Some(other)) => ratio(one, other).median,
                _ => 0.0,
            };
            Group {
                name: line.workload.name.to_owned(),
                values: subjects.iter().map(ratio).collect(),
            }
        });
        let groups: Vec<_> = groups.collect();
        plot::bars(file, &format!("rate beside {to}"), &subjects, &groups)
    }

    /// Whatever was measured, in its order.
    fn subjects(&self) -> Vec<String> {
        let mut subjects: Vec<String> = Vec::new();
        for one in self.lines.iter().flat_map(|line| &line.measured) {
            if !subjects.contains(&one.subject) {
                subjects.push(one.subject.clone());
            }
        }
        subjects
    }

    pub(crate) fn as_json(&self) -> Value {
        let lines = self.lines.iter().map(Line::as_json);
        json!({
            "rounds": self.rounds,
            "seconds": self.seconds,
            "rows_of_the_large_container": self.rows,
            "processors": processors(),
            "workloads": lines.collect::<Vec<_>>(),
        })
    }
}
