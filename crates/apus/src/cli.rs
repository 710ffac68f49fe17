//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Swift's account and container servers, over storage engines that you choose.
#[derive(Debug, Parser)]
#[command(name = "apus", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run both servers on this machine, without any configuration.
    Serve(ServeArgs),
    /// Run an account server with Swift's configuration file.
    AccountServer(ServerArgs),
    /// Run a container server with Swift's configuration file.
    ContainerServer(ServerArgs),
    /// Show what a store says about itself, as swift-account-info and swift-container-info do.
    Info(InfoArgs),
    /// List the containers of an account or the objects of a container.
    List(ListArgs),
    /// Print the keys and values of a key-value engine's database.
    DumpKeys(DumpKeysArgs),
    /// Copy stores from one engine to another, verified; servers must be stopped.
    Convert(ConvertArgs),
    /// Write a store to a new file that Swift can use.
    Export(ExportArgs),
    /// Make a store from a file that Swift wrote.
    Import(ImportArgs),
    /// List the engines: what they keep, what they were certified for, and their settings.
    Engines(EnginesArgs),
    /// Run the conformance suite against an engine, or against running servers.
    Certify(CertifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Folder for devices and configuration; made when absent.
    #[arg(long, default_value = "apus-data")]
    pub(crate) data: PathBuf,
    /// Engine that keeps the stores [default: the one that the data belongs to, or sqlite].
    #[arg(long)]
    pub(crate) engine: Option<String>,
    /// Port of the account server.
    #[arg(long, default_value_t = 6202)]
    pub(crate) account_port: u16,
    /// Port of the container server.
    #[arg(long, default_value_t = 6201)]
    pub(crate) container_port: u16,
}

#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Configuration file, or folder of *.conf files.
    pub(crate) conf: PathBuf,
    /// Also write the log to standard error.
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Load the configuration, say whether it can be used, and exit.
    #[arg(short = 't', long)]
    pub(crate) test_config: bool,
}

/// Which store to look at, and where it may be.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// An account, account/container, path of a .db file, or device/accounts/partition/hash.
    pub(crate) target: String,
    /// Folder of `apus serve`; stands for --devices and --swift-dir. Default: apus-data, when it is here.
    #[arg(long, conflicts_with_all = ["devices", "swift_dir"])]
    pub(crate) data: Option<PathBuf>,
    /// Folder of the devices [default: /srv/node].
    #[arg(long)]
    pub(crate) devices: Option<PathBuf>,
    /// Folder of swift.conf [default: /etc/swift].
    #[arg(short = 'd', long)]
    pub(crate) swift_dir: Option<PathBuf>,
    /// Engine that keeps the store [default: the one that its device belongs to].
    #[arg(long)]
    pub(crate) engine: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Show metadata keys without X-Container-Meta- and the like.
    #[arg(long)]
    pub(crate) drop_prefixes: bool,
    /// Also show sync points.
    #[arg(short, long)]
    pub(crate) sync: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Only names that start so.
    #[arg(long, default_value = "")]
    pub(crate) prefix: String,
    /// Fold names at this text.
    #[arg(long, default_value = "")]
    pub(crate) delimiter: String,
    /// Begin after this name.
    #[arg(long, default_value = "")]
    pub(crate) marker: String,
    /// End before this name.
    #[arg(long, default_value = "")]
    pub(crate) end_marker: String,
    /// The largest number of entries.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) limit: usize,
    /// Descending order.
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Show one policy's objects instead of those of the container's own.
    #[arg(long)]
    pub(crate) policy: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct DumpKeysArgs {
    /// Name of the device.
    pub(crate) device: String,
    /// Which of its databases.
    #[arg(default_value = "containers", value_parser = ["accounts", "containers"])]
    pub(crate) kind: String,
    /// Engine that keeps the stores.
    #[arg(long)]
    pub(crate) engine: String,
    /// Folder of the devices.
    #[arg(long, default_value = "/srv/node")]
    pub(crate) devices: PathBuf,
    /// Only what one store holds, by its number, which the lines of locations show.
    #[arg(long)]
    pub(crate) store: Option<u64>,
    /// The largest number of keys.
    #[arg(long)]
    pub(crate) limit: Option<u64>,
    /// Print an object for each key: key and value in hexadecimal, and the text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EnginesArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CertifyArgs {
    /// Engine to run the suite against.
    #[arg(
        long,
        required_unless_present = "account_url",
        conflicts_with = "account_url"
    )]
    pub(crate) engine: Option<String>,
    #[command(flatten)]
    pub(crate) servers: ServersArgs,
    /// Cases that are known to fail: a name and a reason on each line.
    #[arg(long)]
    pub(crate) expect: Option<PathBuf>,
    /// Only cases whose name contains this; nothing is certified then.
    #[arg(long)]
    pub(crate) filter: Option<String>,
    /// Seed of what the cases draw at random.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Write the report as JSON to this file.
    #[arg(long)]
    pub(crate) report: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Name the cases and run none.
    #[arg(long)]
    pub(crate) list: bool,
}

/// Running servers to certify over HTTP, in any language.
///
/// They must have storage policies 0 to 31. Stores are made under names of their own and left there.
#[derive(Debug, Args)]
pub(crate) struct ServersArgs {
    /// Account server to run the suite against: http://127.0.0.1:6202
    #[arg(long, requires = "container_url")]
    pub(crate) account_url: Option<String>,
    /// Container server to run the suite against: http://127.0.0.1:6201
    #[arg(long, requires = "account_url")]
    pub(crate) container_url: Option<String>,
    /// A device of both servers; some cases need two.
    #[arg(long, default_value = "sda1", requires = "account_url")]
    pub(crate) device: Vec<String>,
    /// Name and index of a storage policy; not needed where the name ends in - and the index.
    #[arg(long, value_name = "NAME=INDEX", requires = "account_url")]
    pub(crate) policy: Vec<String>,
    /// Name of the servers in the report.
    #[arg(long, default_value = "servers", requires = "account_url")]
    pub(crate) name: String,
    /// Report what HTTP does not show as failures, to write conformance/wire-cases.txt.
    #[arg(long, hide = true, requires = "account_url")]
    pub(crate) undeclared: bool,
}

/// Copies stores, rows and row numbers and all, and proves that the copies are equal.
///
/// Stop the servers and daemons that use these devices first. The source stays as it is until
/// --remove-source. After a crash, run the same command again: it goes on where it was.
///
/// Exit status: 0 when every store is at the target and proven; 1 when one was refused, which is named, or
/// when nothing could be done; 2 for a command line that cannot be used.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// Only this store: an account, account/container, path of a .db file, or device/accounts/partition/hash.
    pub(crate) store: Option<String>,
    /// Engine that keeps the stores.
    #[arg(long)]
    pub(crate) from: String,
    /// Engine that is to keep them.
    #[arg(long)]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Only this device.
    #[arg(long, conflicts_with = "store")]
    pub(crate) device: Option<String>,
    /// Say what would be done and change nothing.
    #[arg(short = 'n', long, conflicts_with = "remove_source")]
    pub(crate) dry_run: bool,
    /// Remove the stores from the source, device by device, once all of a device are proven.
    #[arg(long)]
    pub(crate) remove_source: bool,
    /// Print a line of JSON for every store and one at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where devices and the configuration are.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Folder of `apus serve`; stands for --devices and --swift-dir. Default: apus-data, when it is here.
    #[arg(long, conflicts_with_all = ["devices", "swift_dir", "conf"])]
    pub(crate) data: Option<PathBuf>,
    /// Folder of the devices [default: /srv/node].
    #[arg(long, conflicts_with = "conf")]
    pub(crate) devices: Option<PathBuf>,
    /// Folder of swift.conf [default: /etc/swift].
    #[arg(short = 'd', long)]
    pub(crate) swift_dir: Option<PathBuf>,
    /// Configuration of an account or container server: devices, mount_check and settings of engines.
    #[arg(long)]
    pub(crate) conf: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// File to make; its name ends in .db.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// File of a store, as Swift or `apus export` wrote it.
    pub(crate) file: PathBuf,
    /// Where the store goes: device/accounts/partition/hash or device/containers/partition/hash.
    pub(crate) location: String,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Engine that is to keep the store [default: the one that the device belongs to, or sqlite].
    #[arg(long)]
    pub(crate) engine: Option<String>,
}
