//! What a conversion says: refusals as they come, a summary at the end, or JSON line by line.

use super::progress::Bar;
use crate::cli::ConvertArgs;
use broker_api::{Location, RowId};
use broker_copy::Copied;
use serde_json::{Value, json};
use std::fmt::Display;
use std::path::Path;

/// Counts what happened, and says it.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
    dry_run: bool,
    copied: u64,
    were_there: u64,
    resumed: u64,
    refused: u64,
    removed: u64,
    went_on: u64,
    synced: u64,
    rows: u64,
    left_behind: u64,
}

impl Report {
    pub(super) fn new(json: bool, dry_run: bool) -> Self {
        Self {
            json,
            dry_run,
            copied: 0,
            were_there: 0,
            resumed: 0,
            refused: 0,
            removed: 0,
            went_on: 0,
            synced: 0,
            rows: 0,
            left_behind: 0,
        }
    }

    fn line(&self, line: &Value) {
        if self.json {
            println!("{line}");
        }
    }

    /// A store is at the target and proven.
    pub(super) fn copied(&mut self, location: &Location, copied: &Copied) {
        let state = match copied.was_there {
            true => "was there",
            false => "copied",
        };
        self.were_there += u64::from(copied.was_there);
        self.copied += u64::from(!copied.was_there);
        self.resumed += u64::from(copied.resumed_at > RowId::NONE);
        self.rows += copied.rows;
        self.line(&json!({
            "store": location.to_string(), "state": state, "rows": copied.rows,
            "digest": copied.digest, "resumed_at": copied.resumed_at.0,
        }));
    }

    /// A store would be copied.
    pub(super) fn would_copy(&mut self, location: &Location, rows: u64) {
        self.copied += 1;
        self.rows += rows;
        let store = location.to_string();
        self.line(&json!({"store": store, "state": "would be copied", "rows_at_most": rows}));
    }

    /// A store that says the same is there, and its rows would be compared.
    pub(super) fn would_prove(&mut self, location: &Location) {
        self.were_there += 1;
        self.line(&json!({"store": location.to_string(), "state": "is there"}));
    }

    /// A store, or a device, is not converted.
    pub(super) fn refused(&mut self, what: &impl Display, reason: &str) {
        self.refused += 1;
        eprintln!("apus: refused {what}: {reason}");
        self.line(&json!({"store": what.to_string(), "state": "refused", "reason": reason}));
    }

    /// How many were refused so far.
    pub(super) fn refusals(&self) -> u64 {
        self.refused
    }

    /// A store was converted by an earlier run, and has changed or gone at the target since.
    pub(super) fn went_on(&mut self, location: &Location) {
        self.went_on += 1;
        self.line(&json!({"store": location.to_string(), "state": "went on"}));
    }

    /// A store was removed from the source.
    pub(super) fn removed(&mut self) {
        self.removed += 1;
    }

    /// A container is on the list of container sync.
    pub(super) fn synced(&mut self) {
        self.synced += 1;
    }

    /// A folder holds stores in quarantine.
    pub(super) fn left_behind(&mut self, folder: &Path, stores: u64) {
        self.left_behind += stores;
        let folder = folder.display();
        eprintln!("apus: {stores} quarantined stores stay where they are, in {folder}");
    }

    /// Says what it came to. Returns whether nothing was refused.
    pub(super) fn end(&self, args: &ConvertArgs, bar: &Bar) -> bool {
        let (seconds, rate) = (bar.elapsed().as_secs_f64(), bar.rows_per_second());
        self.line(&json!({
            "copied": self.copied, "resumed": self.resumed, "were_there": self.were_there,
            "refused": self.refused, "removed": self.removed, "went_on": self.went_on, "synced": self.synced, "rows": self.rows,
            "left_behind": self.left_behind, "dry_run": self.dry_run, "seconds": seconds,
            "rows_per_second": rate,
        }));
        if !self.json {
            self.print(args, seconds, rate);
        }
        self.refused == 0
    }

    fn print(&self, args: &ConvertArgs, seconds: f64, rate: u64) {
        let (copied, there, refused) = (self.copied, self.were_there, self.refused);
        if self.dry_run {
            println!("would copy {copied} stores of at most {} rows", self.rows);
            println!("{there} stores are at the target already, {refused} would be refused");
            return;
        }
        println!(
            "copied {copied} stores ({} gone on with), {there} were there already, {refused} refused",
            self.resumed
        );
        println!(
            "{} rows proven in {seconds:.1} s, {rate} copied in a second; {} on the list of container sync",
            self.rows, self.synced
        );
        match (args.remove_source, refused) {
            (true, 0) => println!("removed {} stores from {}", self.removed, args.from),
            (true, _) => println!(
                "removed {} stores from {}: devices with refusals keep theirs",
                self.removed, args.from
            ),
            (false, _) => println!(
                "{} is as it was; run this again with --remove-source to remove what is proven",
                args.from
            ),
        }
    }
}
