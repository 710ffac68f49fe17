//! Converting the stores of one device.

use super::owner::Owners;
use super::place::Place;
use super::plan::{DevicePlan, PAGE, Planned, stores_of};
use super::progress::Bar;
use super::report::Report;
use crate::cli::ConvertArgs;
use crate::{Failure, chain};
use broker_api::{Engine, Location};
use broker_copy::{CopyError, StoreBroker, copy_store, same_image};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// What a conversion works with.
pub(super) struct Conversion<'a> {
    pub(super) source: Arc<dyn Engine>,
    pub(super) target: Arc<dyn Engine>,
    pub(super) owners: Owners<'a>,
    pub(super) place: &'a Place,
    pub(super) args: &'a ConvertArgs,
    pub(super) bar: &'a Bar,
}

impl Conversion<'_> {
    /// Converts what is planned of a device. What is refused is reported; the rest is done.
    pub(super) async fn device(
        &self,
        plan: DevicePlan,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let path = self.place.devices.join(&plan.device);
        let refused_before = report.refusals();
        let is_transferred = match self.begin(&plan, &path) {
            Ok(is_transferred) => is_transferred,
            Err(failure) => {
                report.refused(&plan.device, &failure.to_string());
                return Ok(());
            }
        };
        for planned in &plan.stores {
            match (is_transferred, self.args.dry_run) {
                (true, _) => self.look_again(planned, report).await,
                (false, true) => self.try_out(planned, report).await,
                (false, false) => self.store(planned, report).await,
            }
            self.bar.next_store(planned.rows);
        }
        let is_copied = !is_transferred && !self.args.dry_run;
        let listed = self.synced(&plan, is_copied, report).await;
        self.left_behind(&plan, report);
        if self.args.dry_run || report.refusals() > refused_before {
            return Ok(());
        }
        if plan.whole && !is_transferred {
            self.require_unchanged(&plan).await?;
            self.owners.transfer(&path)?;
        }
        if self.args.remove_source {
            self.remove(&plan, &listed, report).await;
        }
        Ok(())
    }

    /// Sees whether the device may be converted, and whether it is the target's already.
    fn begin(&self, plan: &DevicePlan, path: &Path) -> Result<bool, Failure> {
        let is_transferred = self.owners.is_transferred(path)?;
        if !plan.whole && self.args.remove_source && !is_transferred {
            let from = &self.args.from;
            return Err(Failure::new(format!(
                "it belongs to {from}, and a store that is only elsewhere would be found by nobody; \
                 convert the whole device, or leave out --remove-source"
            )));
        }
        if !self.args.dry_run && !is_transferred {
            self.owners.hold(path)?;
        }
        Ok(is_transferred)
    }

    /// A server that still runs may have changed what was copied already, or made stores since.
    async fn require_unchanged(&self, plan: &DevicePlan) -> Result<(), Failure> {
        let changed = |what: &dyn std::fmt::Display| {
            let device = &plan.device;
            Failure::new(format!(
                "{what} changed while others of {device} were copied; stop its servers and run this again"
            ))
        };
        let planned: HashSet<_> = plan
            .stores
            .iter()
            .map(|planned| &planned.location)
            .collect();
        for location in stores_of(&*self.source, &plan.device).await? {
            let (source, target) = self.brokers(&location);
            let same = planned.contains(&location) && same_image(&source, &target).await?;
            if !same {
                return Err(changed(&location));
            }
        }
        Ok(())
    }

    fn brokers(&self, location: &Location) -> (StoreBroker, StoreBroker) {
        let source = StoreBroker::open(&*self.source, location);
        (source, StoreBroker::open(&*self.target, location))
    }

    async fn store(&self, planned: &Planned, report: &mut Report) {
        let location = &planned.location;
        let (source, target) = self.brokers(location);
        let watch = |progress| self.bar.row(location, progress);
        match copy_store(&source, &target, &watch).await {
            Ok(copied) => report.copied(location, &copied),
            Err(error) => {
                if matches!(error, CopyError::Spoilt(_)) {
                    self.quarantine(location, &error).await;
                }
                report.refused(location, &chain(&error));
            }
        }
    }

    /// Compares a store that was converted by an earlier run. What became of it at the target since is right.
    async fn look_again(&self, planned: &Planned, report: &mut Report) {
        let location = &planned.location;
        let (source, target) = self.brokers(location);
        match target.facts().await {
            Ok(Some(_)) => {}
            Ok(None) => return report.went_on(location),
            Err(error) => return report.refused(location, &chain(&error)),
        }
        let watch = |progress| self.bar.row(location, progress);
        match copy_store(&source, &target, &watch).await {
            Ok(copied) => report.copied(location, &copied),
            Err(CopyError::Occupied(_)) => report.went_on(location),
            Err(error) => report.refused(location, &chain(&error)),
        }
    }

    async fn quarantine(&self, location: &Location, why: &CopyError) {
        if let Err(error) = self.target.quarantine(location, &why.to_string()).await {
            eprintln!(
                "apus: cannot quarantine the copy of {location}: {}",
                chain(&error)
            );
        }
    }

    /// Says what would become of a store.
    async fn try_out(&self, planned: &Planned, report: &mut Report) {
        let location = &planned.location;
        let (source, target) = self.brokers(location);
        let there = match source.facts().await {
            Ok(Some(_)) => target.facts().await,
            Ok(None) => return report.refused(location, "there is no store at the source"),
            Err(error) => return report.refused(location, &chain(&error)),
        };
        match there {
            Ok(None) => report.would_copy(location, planned.rows),
            Ok(Some(_)) => match same_image(&source, &target).await {
                Ok(true) => report.would_prove(location),
                Ok(false) => report.refused(location, &CopyError::Occupied("facts").to_string()),
                Err(error) => report.refused(location, &chain(&error)),
            },
            Err(error) => report.refused(location, &chain(&error)),
        }
    }

    /// Says what is on the source's list of container sync, and puts it on the target's when it is to be copied.
    async fn synced(
        &self,
        plan: &DevicePlan,
        is_copied: bool,
        report: &mut Report,
    ) -> Vec<Location> {
        let (mut listed, mut after): (Vec<Location>, Option<Location>) = (Vec::new(), None);
        let is_planned = |location: &Location| {
            plan.whole
                || plan
                    .stores
                    .iter()
                    .any(|planned| planned.location == *location)
        };
        loop {
            let page = self.source.synced(&plan.device, after.as_ref(), PAGE).await;
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    let what = format!("the list of container sync of {}", plan.device);
                    report.refused(&what, &chain(&error));
                    return listed;
                }
            };
            let Some(last) = page.last() else {
                return listed;
            };
            after = Some(last.clone());
            for location in page.into_iter().filter(is_planned) {
                if is_copied && let Err(error) = self.target.set_synced(&location, true).await {
                    report.refused(&location, &chain(&error));
                }
                report.synced();
                listed.push(location);
            }
        }
    }

    /// Names what is on a device and belongs to no store that can be read.
    fn left_behind(&self, plan: &DevicePlan, report: &mut Report) {
        if !plan.whole {
            return;
        }
        for kind in ["accounts", "containers"] {
            let folder = self
                .place
                .devices
                .join(&plan.device)
                .join("quarantined")
                .join(kind);
            let count = std::fs::read_dir(&folder).map_or(0, Iterator::count);
            if count > 0 {
                report.left_behind(&folder, count as u64);
            }
        }
    }

    /// Removes from the source what is proven to be at the target, or what was, before the target went on.
    async fn remove(&self, plan: &DevicePlan, listed: &[Location], report: &mut Report) {
        for planned in &plan.stores {
            let location = &planned.location;
            match self.source.remove(location).await {
                Ok(()) => report.removed(),
                Err(error) => report.refused(location, &chain(&error)),
            }
        }
        for location in listed {
            if let Err(error) = self.source.set_synced(location, false).await {
                report.refused(location, &chain(&error));
            }
        }
    }
}
