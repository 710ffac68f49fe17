//! Converting the stores of one device.

use super::owner::Owners;
use super::place::Place;
use super::plan::{DevicePlan, PAGE, Planned};
use super::progress::Bar;
use super::report::Report;
use crate::cli::ConvertArgs;
use crate::{Failure, chain};
use broker_api::{Engine, Location};
use broker_copy::{CopyError, StoreBroker, copy_store, same_image};
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
        let owned = match self.args.dry_run {
            true => self.owners.check(&path),
            false => self.owners.hold(&path),
        };
        if let Err(error) = owned {
            report.refused(&plan.device, &chain(&error));
            return Ok(());
        }
        let refused_before = report.refusals();
        for planned in &plan.stores {
            match self.args.dry_run {
                true => self.try_out(planned, report).await,
                false => self.store(planned, report).await,
            }
            self.bar.next_store(planned.rows);
        }
        let listed = self.synced(&plan, report).await;
        self.left_behind(&plan, report);
        if self.args.dry_run || report.refusals() > refused_before {
            return Ok(());
        }
        if plan.whole {
            self.owners.transfer(&path)?;
        }
        if self.args.remove_source {
            self.remove(&plan, &listed, report).await;
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

    /// Puts on the target's list of container sync what is on the source's, and says what that is.
    async fn synced(&self, plan: &DevicePlan, report: &mut Report) -> Vec<Location> {
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
                if !self.args.dry_run
                    && let Err(error) = self.target.set_synced(&location, true).await
                {
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

    /// Removes from the source what is proven to be at the target.
    async fn remove(&self, plan: &DevicePlan, listed: &[Location], report: &mut Report) {
        for planned in &plan.stores {
            let location = &planned.location;
            let (source, target) = self.brokers(location);
            let removed = match same_image(&source, &target).await {
                Ok(true) => self
                    .source
                    .remove(location)
                    .await
                    .map_err(|error| chain(&error)),
                Ok(false) => Err(CopyError::Changed.to_string()),
                Err(error) => Err(chain(&error)),
            };
            match removed {
                Ok(()) => report.removed(),
                Err(reason) => report.refused(location, &reason),
            }
        }
        for location in listed {
            if let Err(error) = self.source.set_synced(location, false).await {
                report.refused(location, &chain(&error));
            }
        }
    }
}
