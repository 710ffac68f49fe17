#!/usr/bin/env python3
"""Shows that Apus's servers and Swift's own Python brokers work on the same database files.

    shared_files.py --apus PATH [--engine NAME] [--seconds N]
    shared_files.py --stock [--seconds N]            both sides are Swift: checks this test itself

Three parts, on containers and accounts in one devices folder:

 1. what is written through the servers (as object servers and proxies write, plain HTTP) is listed by Swift's
    brokers, with the same rows and counts, and `swift-container-info` and `apus info` print the same text;
 2. the same the other way round, with records that the brokers left in .pending files;
 3. both write the same container and the same account at once for --seconds: afterwards every acknowledged record
    is there, nothing else is, and the counts and the hash in the file equal a recomputation from its rows.

The engine must be one that keeps Swift's files (sqlite). The checks are in shared_files_check.py, which runs in the
private environment of python_env.py.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import one_host
import processes
import python_env

CHECKS = Path(__file__).resolve().with_name("shared_files_check.py")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    one_host.add_server_options(parser)
    parser.add_argument("--seconds", type=float, default=60, help="how long both sides write at once (default: 60)")
    parser.add_argument("--workers", type=int, default=1, help="worker processes per server (default: 1)")
    parser.add_argument("--info-command", metavar="WORDS",
                        help="prints what is in a file; {swift_dir} and {path} are filled in "
                             "(default: PATH info -d {swift_dir} {path}, or Swift's tool with --stock)")
    parser.add_argument("--data", metavar="DIR", help="where data go (default: the temporary folder)")
    parser.add_argument("--keep", action="store_true", help="keep the data and the servers' logs")
    options = parser.parse_args()
    one_host.check_server_options(parser, options)
    if not (options.stock or options.apus):
        parser.error("choose --stock or --apus PATH")
    return options


def info_command(options, environment):
    """The command under test that prints a database, as a list of words with blanks to fill in."""
    if options.info_command:
        return options.info_command.split()
    if options.apus:
        return [str(Path(options.apus).absolute()), "info", "-d", "{swift_dir}", "{path}"] + (
            ["--engine", options.engine] if options.engine else [])
    return [environment.command("swift-{kind}-info"), "-d", "{swift_dir}", "{path}"]


def swift_dir_without_rings(host, folder):
    """A copy of swift.conf without rings beside it: with rings the tools would go on about nodes."""
    folder.mkdir()
    shutil.copy(host.etc / "swift.conf", folder)
    return folder


def run_checks(host, options, data):
    """Runs the checks in the private environment; they end with this process."""
    order = {
        "account_server": host.url("account"),
        "container_server": host.url("container"),
        "devices": str(host.devices),
        "swift_dir": str(host.etc),
        "info_swift_dir": str(swift_dir_without_rings(host, data / "info")),
        "info_command": info_command(options, host.environment),
        "seconds": options.seconds,
    }
    process = subprocess.Popen([str(host.environment.python), str(CHECKS), json.dumps(order)], start_new_session=True,
                               stdin=subprocess.DEVNULL, env=dict(os.environ, APUS_SWIFT_DIR=str(host.etc)))
    try:
        return process.wait()
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the usual case: it has ended and so have its writers


def execute(options):
    data = Path(tempfile.mkdtemp(prefix="apus-shared-files-", dir=options.data))
    settings = one_host.Settings(apus=options.apus, engine=options.engine, workers=options.workers, proxy=False)
    host = one_host.OneHost(data / "host", settings, python_env.ensure())
    status = None  # as long as there is no answer
    try:
        with host:
            print(f"servers: {'Apus, ' + options.apus if options.apus else 'Swift'}, devices: {host.devices}",
                  flush=True)
            status = run_checks(host, options, data)
            lost = set(settings.servers()) - set(host.running())
            if lost:
                print("\n".join(["FAILURE a server died"] + [host.log_tail(server) for server in sorted(lost)]))
                status = 1
    finally:
        if status or options.keep:
            print(f"data and logs: {host.folder}")
        else:
            shutil.rmtree(data)
    return 0 if status == 0 else 1


def main():
    options = parse()
    try:
        with processes.interruptible():
            return execute(options)
    except (processes.HostFailure, python_env.EnvironmentFailure) as failure:
        print(f"shared_files: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("shared_files: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
