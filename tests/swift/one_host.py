#!/usr/bin/env python3
"""Runs a whole Swift on this host's loopback, in one folder: memcached, proxy, object, account, container servers.

The account and container servers are Swift's own, or those of Apus (`--apus PATH`, and `--engine NAME` to choose
its storage engine). Everything else is real Swift from the private environment of python_env.py. Nothing outside
the folder is read or written, so any number of hosts run side by side.

    one_host.py up DIR [--apus PATH [--engine NAME]] [--replicas N] [--json]
    one_host.py status DIR [--json]
    one_host.py down DIR [--remove]

    DIR/etc        swift.conf, rings, one configuration file per server, test.conf for Swift's functional tests
    DIR/devices    sd0, sd1, ...: the data, kept by `down` and used again by the next `up`
    DIR/log        what each server printed
    DIR/state.json processes and addresses

Users (tempauth): test:tester with key testing owns AUTH_test; see host_config.py for the others.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import host_config
import processes
import python_env
from processes import ADDRESS, HostFailure

READY_SECONDS = 60
LOG_TAIL_LINES = 25


@dataclasses.dataclass
class Settings:
    """What may differ between two hosts."""

    apus: str | None = None
    engine: str | None = None
    replicas: int = 1
    policies: tuple = ("gold", "silver")
    workers: int = 1
    log_level: str = "INFO"
    ports: dict = dataclasses.field(default_factory=dict)
    proxy: bool = True
    backend_options: dict = dataclasses.field(default_factory=dict)

    def servers(self):
        """Names of the servers to start, those first that others call."""
        return ["account", "container"] + (["memcached", "object", "proxy"] if self.proxy else [])


class OneHost:
    """A Swift in one folder. As a context manager it is up inside the block and down after it."""

    def __init__(self, folder, settings=None, environment=None):
        self.folder = Path(folder).absolute()
        self.settings = settings or Settings()
        self.environment = environment
        self.etc = self.folder / "etc"
        self.devices = self.folder / "devices"
        self.state_file = self.folder / "state.json"
        self.ports = {}
        self.processes = {}

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_):
        self.down()

    # What callers ask

    def url(self, server="proxy"):
        """The base address of a server."""
        return f"http://{ADDRESS}:{self.ports[server]}"

    def endpoints(self):
        """Everything a client needs to know, as plain data."""
        found = {
            "folder": str(self.folder),
            "devices": str(self.devices),
            "environment": str(self.environment.folder),
            "account_server": self.url("account"),
            "container_server": self.url("container"),
            "replicas": self.settings.replicas,
            "policies": list(self.settings.policies),
            "apus": self.settings.apus,
            "engine": self.settings.engine,
            "pids": {name: process["pid"] for name, process in self.processes.items()},
        }
        if self.settings.proxy:
            found.update(proxy=self.url(), auth=f"{self.url()}/auth/v1.0", object_server=self.url("object"),
                         user="test:tester", key=host_config.USERS["test_tester"][0],
                         test_config=str(self.etc / "test.conf"))
        return found

    def client_environment(self):
        """Variables for Swift's command line client."""
        return {"ST_AUTH": f"{self.url()}/auth/v1.0", "ST_USER": "test:tester",
                "ST_KEY": host_config.USERS["test_tester"][0]}

    def log(self, server):
        """Path of a server's log."""
        return self.folder / "log" / f"{server}.log"

    # Up and down

    def up(self):
        """Writes the configuration, starts all servers and returns when all of them answer."""
        self.environment = self.environment or python_env.ensure()
        if self.running():
            raise HostFailure(f"{self.folder} is up already: {', '.join(self.running())}")
        for part in ("etc", "log", "cache"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        for number in range(self.settings.replicas):
            (self.devices / f"sd{number}").mkdir(parents=True, exist_ok=True)
        if self.settings.proxy:
            self.require_extended_attributes()
        with processes.start_lock():
            self.choose_ports()
            host_config.write_configuration(self)
            self.make_rings()
            try:
                self.start_all()
            except BaseException:
                self.down()
                raise

    def start_all(self):
        """Starts the servers together, then waits for each."""
        self.processes = {}
        popens = {}
        for server in self.settings.servers():
            popens[server] = self.start(server)
        for server, popen in popens.items():
            self.wait_until_ready(server, popen)

    def start(self, server):
        """Starts one server in a process group of its own and records it."""
        environment = dict(os.environ, APUS_SWIFT_DIR=str(self.etc))
        with open(self.log(server), "ab") as log:
            try:
                popen = subprocess.Popen(self.command(server), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         cwd=self.folder, env=environment, start_new_session=True)
            except OSError as error:
                raise HostFailure(f"cannot start the {server} server: {error}") from error
        self.processes[server] = {"pid": popen.pid, "started": processes.start_time(popen.pid)}
        self.save_state()
        return popen

    def command(self, server):
        """The command line of a server, which stays in the foreground."""
        if server == "memcached":
            return [python_env.memcached(), "-u", processes.user_name(), "-l", ADDRESS, "-p", str(self.ports[server]),
                    "-U", "0", "-m", "64"]
        configuration = str(self.etc / f"{server}-server.conf")
        if self.settings.apus and server in ("account", "container"):
            return [str(Path(self.settings.apus).absolute()), f"{server}-server", configuration, "-v"]
        return [self.environment.command(f"swift-{server}-server"), configuration, "-v"]

    def wait_until_ready(self, server, popen):
        """Returns when the server answers; fails at once when it ends, or when it takes too long."""
        answers = processes.memcached_answers if server == "memcached" else processes.healthcheck_answers
        deadline = time.monotonic() + READY_SECONDS
        while not answers(self.ports[server]):
            if popen.poll() is not None:
                raise HostFailure(f"the {server} server ended with status {popen.returncode}\n{self.log_tail(server)}")
            if time.monotonic() > deadline:
                raise HostFailure(f"the {server} server does not answer on port {self.ports[server]} after "
                                  f"{READY_SECONDS} seconds\n{self.log_tail(server)}")
            time.sleep(processes.POLL_SECONDS)
        if popen.poll() is not None:
            raise HostFailure(f"something else answers on port {self.ports[server]}, the {server} server ended with "
                              f"status {popen.returncode}\n{self.log_tail(server)}")

    def log_tail(self, server):
        """The end of a server's log, for a message."""
        lines = self.log(server).read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return f"--- end of {self.log(server)}\n" + "\n".join(lines or ["(empty)"])

    def down(self):
        """Stops what was started here, also by an earlier process; returns the names that were running."""
        self.load_processes()
        names = self.running()
        groups = [process["pid"] for process in self.processes.values() if processes.is_ours(process)]
        processes.stop_groups(groups)
        self.processes = {}
        if self.state_file.exists():
            self.save_state()
        return names

    def remove(self):
        """Removes what `up` made; whatever else lies in the folder stays."""
        for part in ("devices", "etc", "log", "cache"):
            shutil.rmtree(self.folder / part, ignore_errors=True)
        self.state_file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def running(self):
        """Names of the recorded servers whose process lives."""
        self.load_processes()
        return [name for name, process in self.processes.items()
                if processes.start_time(process["pid"]) == process["started"]]

    # State

    def save_state(self):
        """Records processes and addresses for later calls."""
        settings = dataclasses.asdict(self.settings)
        state = {"processes": self.processes, "ports": self.ports, "settings": settings,
                 "environment": str(self.environment.folder) if self.environment else None}
        temporary = self.state_file.with_suffix(".new")
        temporary.write_text(json.dumps(state, indent=1) + "\n")
        temporary.replace(self.state_file)

    def load_processes(self):
        """Takes over the processes that were recorded in the folder."""
        with contextlib.suppress(FileNotFoundError):
            self.processes = json.loads(self.state_file.read_text())["processes"]

    @classmethod
    def load(cls, folder):
        """The host recorded in a folder."""
        host = cls(folder)
        try:
            state = json.loads(host.state_file.read_text())
        except FileNotFoundError:
            raise HostFailure(f"no host was ever started in {host.folder}") from None
        host.settings = Settings(**state["settings"])
        host.ports = state["ports"]
        host.processes = state["processes"]
        host.environment = python_env.Environment(state["environment"])
        return host

    # Preparation

    def require_extended_attributes(self):
        """Fails early where the object server would: its metadata live in extended attributes."""
        probe = self.devices / "sd0" / ".probe"
        probe.touch()
        try:
            os.setxattr(probe, "user.swift.probe", b"x" * 1000)
        except OSError as error:
            raise HostFailure(f"the file system of {self.devices} has no extended attributes, which Swift's object "
                              f"server needs ({error.strerror}); choose another folder") from error
        finally:
            probe.unlink()

    def choose_ports(self):
        """Keeps the given ports and finds free ones for the rest."""
        self.ports = dict(self.settings.ports)
        for server, port in self.ports.items():
            if not processes.is_free(port):
                raise HostFailure(f"port {port}, given for the {server} server, is taken")
        for server in self.settings.servers():
            if server not in self.ports:
                self.ports[server] = processes.free_port(set(self.ports.values()))
        self.ports.setdefault("object", 1)  # the ring needs one even when nothing listens there

    def make_rings(self):
        """Has Swift build its rings: one device per replica, all on this host."""
        rings = {"account": "account", "container": "container"}
        for index in range(len(self.settings.policies)):
            rings["object" if index == 0 else f"object-{index}"] = "object"
        order = {"folder": str(self.etc), "address": ADDRESS, "replicas": self.settings.replicas,
                 "rings": {name: self.ports[server] for name, server in rings.items()}}
        code = """
import json, os, sys
from swift.common.ring import RingBuilder
order = json.load(sys.stdin)
for name, port in order["rings"].items():
    builder = RingBuilder(part_power=6, replicas=order["replicas"], min_part_hours=1)
    for number in range(order["replicas"]):
        builder.add_dev(dict(region=1, zone=number, ip=order["address"], port=port, weight=1, device=f"sd{number}",
                             replication_ip=order["address"], replication_port=port))
    builder.rebalance(seed="apus")
    builder.save(os.path.join(order["folder"], name + ".builder"))
    builder.get_ring().save(os.path.join(order["folder"], name + ".ring.gz"))
"""
        done = subprocess.run([str(self.environment.python), "-c", code], input=json.dumps(order), text=True,
                              capture_output=True, env=dict(os.environ, APUS_SWIFT_DIR=str(self.etc)))
        if done.returncode != 0:
            raise HostFailure(f"Swift cannot make the rings:\n{done.stderr.strip()}")


# Command line


def add_server_options(parser):
    """The options that choose the account and container servers; the same in every script of this folder."""
    parser.add_argument("--apus", metavar="PATH", help="the apus binary to serve accounts and containers")
    parser.add_argument("--stock", action="store_true", help="Swift's own servers (the default without --apus)")
    parser.add_argument("--engine", metavar="NAME", help="storage engine of apus")


def check_server_options(parser, options):
    """Refuses contradictions."""
    if options.stock and options.apus:
        parser.error("--stock and --apus exclude each other")
    if options.engine and not options.apus:
        parser.error("--engine needs --apus")
    if options.apus and not os.access(options.apus, os.X_OK):
        parser.error(f"{options.apus} is not a program")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start all servers and return when they answer")
    up.add_argument("folder", metavar="DIR")
    add_server_options(up)
    up.add_argument("--replicas", type=int, default=1, help="devices, each with one replica (default: 1)")
    up.add_argument("--policies", default="gold,silver", help="names, the first is the default (gold,silver)")
    up.add_argument("--workers", type=int, default=1, help="worker processes per server (default: 1)")
    up.add_argument("--log-level", default="INFO")
    up.add_argument("--without-proxy", action="store_true", help="only the account and container servers")
    for server in ("proxy", "object", "account", "container", "memcached"):
        up.add_argument(f"--{server}-port", type=int, metavar="PORT", help="(default: a free one)")
    up.add_argument("--json", action="store_true", help="print addresses as JSON")
    status = commands.add_parser("status", help="say what runs; status 0 if all of it does, else 1")
    status.add_argument("folder", metavar="DIR")
    status.add_argument("--json", action="store_true", help="print addresses as JSON")
    down = commands.add_parser("down", help="stop all servers")
    down.add_argument("folder", metavar="DIR")
    down.add_argument("--remove", action="store_true", help="remove the folder, data included")
    options = parser.parse_args()
    if options.command == "up":
        check_server_options(up, options)
        if options.replicas < 1 or options.workers < 0 or not options.policies:
            up.error("--replicas must be 1 or more, --workers 0 or more, --policies not empty")
    return options


def settings_of(options):
    """Settings from the options of `up`."""
    ports = {server: getattr(options, f"{server}_port")
             for server in ("proxy", "object", "account", "container", "memcached")
             if getattr(options, f"{server}_port")}
    return Settings(apus=options.apus, engine=options.engine, replicas=options.replicas,
                    policies=tuple(options.policies.split(",")), workers=options.workers,
                    log_level=options.log_level, ports=ports, proxy=not options.without_proxy)


def up(options):
    host = OneHost(options.folder, settings_of(options))
    host.up()
    if options.json:
        print(json.dumps(host.endpoints(), indent=1))
        return 0
    print(f"up in {host.folder}: " + ", ".join(f"{name} {host.url(name)}" for name in host.processes
                                               if name != "memcached"))
    if host.settings.proxy:
        print("\n".join(f"export {name}={value}" for name, value in host.client_environment().items()))
    return 0


def status(options):
    host = OneHost.load(options.folder)
    running = host.running()
    wanted = host.settings.servers()
    if options.json:
        print(json.dumps(host.endpoints() | {"running": running}, indent=1))
    else:
        for name in wanted:
            state = f"runs, pid {host.processes[name]['pid']}" if name in running else "does not run"
            print(f"{name:<10} {host.url(name):<24} {state}")
    return 0 if set(running) == set(wanted) else 1


def down(options):
    host = OneHost.load(options.folder)
    print(f"stopped: {', '.join(host.down()) or 'nothing ran'}")
    if options.remove:
        host.remove()
    return 0


def main():
    options = parse()
    try:
        with processes.interruptible():
            return {"up": up, "status": status, "down": down}[options.command](options)
    except (HostFailure, python_env.EnvironmentFailure) as failure:
        print(f"one_host: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("one_host: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
