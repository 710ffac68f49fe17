//! Cuts the power of a container server under load.

use crate::Args;
use crate::disk::{Cut, Disk};
use crate::shim::Shim;
use broker_crash::{Draw, Load, Site, verify};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

/// Cuts the power as often as was asked for; what was lost, in words.
///
/// # Errors
/// When something was lost, or nothing was though it had to be.
pub(crate) fn rounds(args: &Args, folder: &Path) -> Result<String, String> {
    let mut trial = Trial::prepare(args, folder)?;
    let bar = indicatif::ProgressBar::new(u64::from(args.rounds));
    let mut lost = Vec::new();
    for round in 0..args.rounds {
        let in_round = |problem: String| format!("round {round}: {problem}");
        let lost_now = match trial.round(round) {
            // What cannot even be listed is lost.
            Err(problem) if args.expect_loss => vec![problem],
            ended => ended.map_err(in_round)?,
        };
        if let (Some(first), false) = (lost_now.first(), args.expect_loss) {
            let count = lost_now.len();
            return Err(in_round(format!("{count} names lost, the first: {first}")));
        }
        lost.extend(lost_now);
        bar.inc(1);
    }
    bar.finish_and_clear();
    trial.check_log()?;
    let (engine, durability) = (&args.engine, &args.durability);
    let acknowledged = trial.load.acknowledged;
    if args.expect_loss && lost.is_empty() {
        return Err(format!(
            "{acknowledged} acknowledged writes on {engine} at {durability} and none lost: \
             this test would not notice a loss"
        ));
    }
    Ok(format!(
        "{} power cuts on {engine} at {durability}: {acknowledged} acknowledged writes, {} names lost",
        args.rounds,
        lost.len()
    ))
}

struct Trial {
    site: Site,
    load: Load,
    draw: Draw,
    shim: Shim,
}

impl Trial {
    fn prepare(args: &Args, folder: &Path) -> Result<Self, String> {
        let site = Site::make(folder, args.apus.as_deref(), &args.engine, &args.durability)?;
        let mut draw = Draw::new(args.seed);
        Ok(Self {
            load: Load::new(args.writers, Draw::new(draw.next())),
            draw,
            shim: Shim::install(folder, &site.devices())?,
            site,
        })
    }

    /// Starts the server with its operations on files logged.
    fn start(&self) -> Result<(Disk, raw_http::Server), String> {
        let disk = self.shim.scan()?;
        let server = self.site.start(&self.shim.variables())?;
        Ok((disk, server))
    }

    /// One cut; every second one leaves random parts of what was not synced.
    fn round(&mut self, round: u32) -> Result<Vec<String>, String> {
        let (mut disk, mut server) = self.start()?;
        if round == 0 {
            Load::create_container(self.site.address)?;
        }
        self.load.write_until_killed(&mut server)?;
        let mut cut = match round % 2 {
            0 => Cut::Strict,
            _ => Cut::Torn(&mut self.draw),
        };
        self.shim.cut(&mut disk, &mut cut)?;
        let server = self.site.start::<&str>(&[])?;
        let lost = verify(self.site.address, &mut self.load.expected);
        drop(server);
        lost
    }

    /// Ends a server in order: the log must then explain every file, or it proves nothing.
    fn check_log(&mut self) -> Result<(), String> {
        let (mut disk, mut server) = self.start()?;
        let mut quick = Load::new(4, Draw::new(self.draw.next()));
        quick.write_for_a_while(&server)?;
        let killed = Command::new("kill")
            .arg("-TERM")
            .arg(server.pid().to_string())
            .status();
        let ended = server.wait().map_err(|e| e.to_string())?;
        if !killed.is_ok_and(|status| status.success()) || ended.signal().is_some() {
            return Err(format!("the server did not end in order: {ended}"));
        }
        self.shim.replay(&mut disk)?;
        let differences = disk.differences().map_err(|e| e.to_string())?;
        match differences.first() {
            None => Ok(()),
            Some(first) => Err(format!(
                "the log does not explain {} files, as {first}: operations went past it",
                differences.len()
            )),
        }
    }
}
