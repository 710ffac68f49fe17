//! `apus convert`: stores from one engine to another, and `apus export` and `import`: to and from files.
//!
//! ```text
//! plan       devices, their stores, how many rows there may be
//! hold       the device is the source's until all is proven
//! copy       broker_copy::copy_store for each: restores, or proves what is there; refusals are named
//! list       what is on the list of container sync moves too
//! transfer   a device whose stores are all proven belongs to the other engine
//! remove     with --remove-source, and only then
//! ```
//!
//! Everything that a later run needs to know is in the target engine: stores that are there are proven
//! and passed over, and an unfinished one is gone on with behind its last row.

mod device;
mod exchange;
mod owner;
mod place;
mod plan;
mod progress;
mod report;

pub(crate) use exchange::{export, import};

use crate::cli::ConvertArgs;
use crate::registry::Registry;
use crate::{Failure, block_on_threads};
use device::Conversion;
use owner::Owners;
use place::Place;
use plan::Plan;
use progress::Bar;
use report::Report;
use std::process::ExitCode;

/// Runs the command.
pub(crate) fn run(registry: &Registry, args: &ConvertArgs) -> ExitCode {
    match block_on_threads(convert(registry, args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("apus: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every store is at the target and proven.
async fn convert(registry: &Registry, args: &ConvertArgs) -> Result<bool, Failure> {
    if args.from == args.to {
        let (from, message) = (
            &args.from,
            "the stores are there already; choose another --to",
        );
        return Err(Failure::new(format!(
            "--from and --to are both {from}: {message}"
        )));
    }
    let place = Place::of(&args.place, args.store.as_deref())?;
    let owners = Owners {
        registry,
        from: registry.find(&args.from)?,
        to: registry.find(&args.to)?,
    };
    let source = place.open(registry, &args.from)?;
    let target = place.open(registry, &args.to)?;
    let mut report = Report::new(args.json, args.dry_run);
    let plan = Plan::make(&*source, &place, args, &mut report).await?;
    let bar = Bar::new(plan.rows(), plan.stores());
    let conversion = Conversion {
        source,
        target,
        owners,
        place: &place,
        args,
        bar: &bar,
    };
    for device in plan.devices {
        conversion.device(device, &mut report).await?;
    }
    bar.end();
    Ok(report.end(args, &bar))
}
