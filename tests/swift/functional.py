#!/usr/bin/env python3
"""Runs Swift's own functional tests against a real Swift whose accounts and containers are served by Apus.

    functional.py --apus PATH [--engine NAME]     with Apus's account and container servers
    functional.py --stock                         with Swift's own, as the reference
    functional.py --stock -k slo                  only tests whose name matches (pytest's -k)

All of test/functional (tests.py and the s3api folder included) and test/s3api of the Swift version pinned in
requirements.txt are run. Two Swifts ("lanes") work side by side, each on its own folder and ports; a free lane
takes the next test file, so accounts are shared within a lane only, as in a run from front to back.

exclusions.txt lists what cannot pass, with reasons. The run fails when a test fails or is not run, when an excluded
test passes, when a pattern matches no test, when no test ran, or when a server died.

Results: WORK/results.json, WORK/junit/*.xml; after a failure also the servers' logs in WORK/logs.
"""

import argparse
import collections
import dataclasses
import fnmatch
import http.client
import json
import os
import queue
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import one_host
import processes
import python_env

HERE = Path(__file__).resolve().parent
FOLDERS = ("test/functional/s3api", "test/functional", "test/s3api")  # the first that fits names a test's folder
ROOTS = ("test/functional", "test/s3api")
EXCLUSIONS = HERE / "exclusions.txt"
ACCOUNTS = (("test:tester", "testing"), ("test2:tester2", "testing2"))
SLOWEST_FIRST = ("functional/tests.py", "test_object_versioning.py", "test_symlink.py", "test_versioned_writes.py",
                 "test_object.py", "test_mpu.py", "test_bucket.py", "test_multi_upload.py", "test_slo.py")
LARGE_ATTRIBUTE = 16384  # Swift's largest object metadata; ext4 holds 4 KiB and answers "no space" to more
HANG_SECONDS = 180
LINE_EVERY_TESTS = 50
SKIP_REASONS_SHOWN = 12


class RunFailure(Exception):
    """The run cannot be completed."""


@dataclasses.dataclass
class Exclusion:
    pattern: str
    reason: str

    def matches(self, name):
        return fnmatch.fnmatchcase(name, self.pattern)


# Collecting


def read_exclusions(path):
    """Reads patterns and reasons; a pattern without a reason is an error."""
    exclusions = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, reason = line.strip().partition(" ")
        if not reason.strip():
            raise RunFailure(f"{path}:{number}: the exclusion {pattern} has no reason")
        exclusions.append(Exclusion(pattern.replace("[", "[[]"), reason.strip()))
    return exclusions


def pytest_command(environment, *arguments):
    """Pytest without the configuration of the folder it happens to be called from."""
    return [str(environment.python), "-m", "pytest", "-c", os.devnull, f"--rootdir={environment.source}", "-q",
            "-p", "no:cacheprovider", "-p", "no:requests_mock", "-p", "pytest_record", "--tb=short",
            "-o", "python_files=test_*.py tests.py", *arguments]


def test_environment(host=None):
    """Variables for a pytest process; no proxy between it and the servers, no texts of the user's language."""
    variables = dict(os.environ, PYTHONPATH=str(HERE), LC_ALL="C.UTF-8", SWIFT_TEST_QUIET_BOTO_LOGS="true",
                     SWIFT_TEST_IN_PROCESS="false", no_proxy=processes.ADDRESS, NO_PROXY=processes.ADDRESS)
    variables["SWIFT_TEST_CONFIG_FILE"] = str(host.etc / "test.conf") if host else os.devnull
    variables["APUS_SWIFT_DIR"] = str(host.etc) if host else ""
    return variables


def collect(environment, selection=None):
    """Names of all tests, or of those that a -k expression selects."""
    arguments = ["--collect-only", *ROOTS] + (["-k", selection] if selection else [])
    reader, writer = os.pipe()
    names, output = None, tempfile.TemporaryFile("w+")
    with output, os.fdopen(reader) as events:
        process = subprocess.Popen(pytest_command(environment, *arguments), cwd=environment.source, stdout=output,
                                   stderr=output, stdin=subprocess.DEVNULL, pass_fds=[writer],
                                   env=test_environment() | {"APUS_RECORD_FD": str(writer)})
        os.close(writer)
        for line in events:
            event = json.loads(line)
            if event["event"] == "collected":
                names = event["names"]
        status = process.wait()
        output.seek(0)
        if names is None or status not in (0, 5):
            raise RunFailure(f"pytest cannot collect the tests (status {status}):\n{output.read()[-3000:]}")
    return names


# Running


class Run:
    """What both lanes share: the files still to run, the results, and the progress shown."""

    def __init__(self, options, environment, names, exclusions):
        self.options = options
        self.environment = environment
        self.names = names
        self.exclusions = exclusions
        self.work = Path(options.work).absolute()
        self.files = queue.SimpleQueue()
        self.lock = threading.Lock()
        self.results = {}
        self.problems = []
        self.stopped = threading.Event()
        self.started = time.monotonic()
        self.last_line = 0
        for file in sorted({name.partition("::")[0] for name in names}, key=slowness):
            self.files.put(file)

    def excluded(self, name):
        """The exclusion that covers a test, if any."""
        return next((exclusion for exclusion in self.exclusions if exclusion.matches(name)), None)

    def problem(self, text):
        """Notes something that makes the whole run fail, apart from tests."""
        with self.lock:
            self.problems.append(text)
            self.clear_line()
            print(f"PROBLEM {text}", flush=True)

    def ended(self, lane, event):
        """Notes the result of a test."""
        name, outcome = event["name"], event["outcome"]
        exclusion = self.excluded(name)
        if exclusion:
            outcome = {"failed": "expected", "passed": "stale"}.get(outcome, outcome)
        result = {"outcome": outcome, "seconds": event["seconds"], "message": event["message"], "lane": lane}
        if exclusion:
            result["reason"] = exclusion.reason
        with self.lock:
            self.results[name] = result
            if outcome in ("failed", "stale"):
                self.clear_line()
                print(f"{outcome.upper()} {name}\n{indent(event['message'])}", flush=True)
            self.show_progress(name)

    def show_progress(self, name):
        """One line that is rewritten on a terminal; a line for every so many tests in a log."""
        done, total = len(self.results), len(self.names)
        counts = collections.Counter(result["outcome"] for result in self.results.values())
        seconds = int(time.monotonic() - self.started)
        text = (f"[{seconds // 60}:{seconds % 60:02}] {done}/{total} tests, {counts['passed']} passed, "
                f"{counts['failed'] + counts['stale']} failed, {counts['skipped']} skipped")
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns - 1
            print("\r" + f"{text}  {name}"[:width].ljust(width), end="", flush=True)
        elif done - self.last_line >= LINE_EVERY_TESTS or done == total:
            self.last_line = done
            print(text, flush=True)

    @staticmethod
    def clear_line():
        if sys.stdout.isatty():
            print("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r", end="")


class Lane(threading.Thread):
    """One Swift and the pytest processes that test it, one file after the other."""

    def __init__(self, run, number, folder, settings):
        super().__init__(name=f"lane-{number}")
        self.suite = run
        self.number = number
        self.host = one_host.OneHost(folder, settings, run.environment)
        self.process = None

    def run(self):
        try:
            with self.host:
                create_accounts(self.host)
                self.work_through()
        except Exception as failure:  # whatever it is, the other lane must not wait for this one's share
            self.suite.problem(f"lane {self.number}: {failure}")

    def work_through(self):
        """Takes files until none is left."""
        while not self.suite.stopped.is_set():
            try:
                file = self.suite.files.get_nowait()
            except queue.Empty:
                return
            self.test(file)
            lost = set(self.host.settings.servers()) - set(self.host.running())
            if lost:
                tails = "\n".join(self.host.log_tail(server) for server in sorted(lost))
                raise RunFailure(f"died during {file}: {', '.join(sorted(lost))}\n{tails}")

    def test(self, file):
        """Runs the tests of a file and passes their results on."""
        label = file.removesuffix(".py").replace("/", "-")
        arguments = [f"--junitxml={self.suite.work / 'junit' / (label + '.xml')}", file]
        if self.suite.options.k:
            arguments += ["-k", self.suite.options.k]
        reader, writer = os.pipe()
        with open(self.suite.work / "output" / f"{label}.txt", "w+") as output:
            self.process = subprocess.Popen(
                pytest_command(self.suite.environment, *arguments), cwd=self.suite.environment.source,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, pass_fds=[writer], start_new_session=True,
                env=test_environment(self.host) | {"APUS_RECORD_FD": str(writer)})
            os.close(writer)
            hung = self.follow(reader)
            status = self.process.wait()
            if status not in (0, 1) and not self.suite.stopped.is_set():  # 1: some tests failed, which is on record
                output.seek(0)
                told = hung or f"pytest ended with status {status}:\n{indent(output.read()[-3000:])}"
                self.suite.problem(f"{file}: {told}")

    def follow(self, reader):
        """Reads the reports of a pytest process until it ends; ends it when a test makes no progress."""
        current, rest = "(start)", b""
        with os.fdopen(reader, "rb", buffering=0) as events:
            while True:
                readable, _, _ = select.select([events], [], [], HANG_SECONDS)
                if not readable:
                    self.kill()
                    return f"{current} made no progress for {HANG_SECONDS} seconds"
                chunk = events.read(65536)
                if not chunk:
                    return None
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    current = event.get("name", current)
                    if event["event"] == "end":
                        self.suite.ended(self.number, event)

    def kill(self):
        """Ends the pytest process, if one runs."""
        process = self.process
        if process and process.poll() is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has just ended


def slowness(file):
    """Sort key: files that take long come first, so that the lanes end together."""
    for place, ending in enumerate(SLOWEST_FIRST):
        if file.endswith(ending):
            return place, file
    return len(SLOWEST_FIRST), file


def create_accounts(host):
    """Creates the accounts of the tests. They would come into being at the first write, but until then a HEAD of
    one is answered by the proxy alone, with another status than test_account.py expects."""
    for user, key in ACCOUNTS:
        connection = http.client.HTTPConnection(processes.ADDRESS, host.ports["proxy"], timeout=30)
        try:
            connection.request("GET", "/auth/v1.0", headers={"X-Auth-User": user, "X-Auth-Key": key})
            answer = connection.getresponse()
            answer.read()
            token = answer.getheader("X-Auth-Token")
            if answer.status != 200 or not token:
                raise RunFailure(f"cannot authenticate as {user}: {answer.status} {answer.reason}")
            path = answer.getheader("X-Storage-Url").removeprefix(host.url())
            connection.request("POST", path, headers={"X-Auth-Token": token})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 204:
                raise RunFailure(f"cannot create the account of {user}: {answer.status} {answer.reason}")
        finally:
            connection.close()


# Judging and reporting


def judge(run, all_names):
    """Everything that makes the run a failure, in words."""
    failures = list(run.problems)
    for exclusion in run.exclusions:
        if not any(exclusion.matches(name) for name in all_names):
            failures.append(f"the exclusion {exclusion.pattern} matches no test")
    for name, result in run.results.items():
        if result["outcome"] == "failed":
            failures.append(f"failed: {name}")
        if result["outcome"] == "stale":
            failures.append(f"excluded, but passes: {name}")
    not_run = sorted(set(run.names) - set(run.results))
    failures += [f"not run: {name}" for name in not_run[:20]]
    if len(not_run) > 20:
        failures.append(f"not run: {len(not_run) - 20} more")
    if not any(result["outcome"] != "skipped" for result in run.results.values()):
        failures.append("no test ran")
    return failures


def folder_of(name):
    return next(folder for folder in FOLDERS if name.startswith(folder + "/"))


def counts_by_folder(run):
    """{folder: {outcome: count, seconds: sum}} with a line for all together."""
    counts = {}
    for folder in sorted(FOLDERS) + ["all"]:
        chosen = [result for name, result in run.results.items() if folder in ("all", folder_of(name))]
        if chosen:
            counts[folder] = dict(collections.Counter(result["outcome"] for result in chosen))
            counts[folder]["seconds"] = round(sum(result["seconds"] for result in chosen), 1)
    return counts


def summary(run, counts, seconds):
    """The table printed at the end."""
    columns = ("passed", "failed", "skipped", "expected", "stale", "seconds")
    lines = [f"{'folder':<24}" + "".join(f"{column:>10}" for column in columns)]
    for folder, row in counts.items():
        lines.append(f"{folder:<24}" + "".join(f"{row.get(column, 0):>10}" for column in columns))
    skips = collections.Counter(result["message"] for result in run.results.values() if result["outcome"] == "skipped")
    if skips:
        lines += ["", "skipped because:"]
        lines += [f"{count:>6}  {first_line(reason)}" for reason, count in skips.most_common(SKIP_REASONS_SHOWN)]
        if len(skips) > SKIP_REASONS_SHOWN:
            lines.append(f"        and {len(skips) - SKIP_REASONS_SHOWN} other reasons, see results.json")
    lines += ["", f"{seconds:.0f} seconds from start to end; servers: {servers_label(run.options)}"]
    return "\n".join(lines)


def servers_label(options):
    if not options.apus:
        return "Swift's own"
    return f"{options.apus}, engine {options.engine or '(default)'}"


def write_results(run, counts, failures, seconds):
    """Everything about the run, for machines."""
    results = {
        "swift": python_env.swift_version(),
        "servers": {"apus": run.options.apus, "engine": run.options.engine},
        "replicas": run.options.replicas,
        "seconds": round(seconds, 1),
        "success": not failures,
        "failures": failures,
        "counts": counts,
        "tests": {name: run.results[name] for name in sorted(run.results)},
    }
    (run.work / "results.json").write_text(json.dumps(results, indent=1) + "\n")


def indent(text):
    return "\n".join("    " + line for line in text.splitlines())


def first_line(text):
    return (text.splitlines() or [""])[0][:200]


# Folders


def default_work():
    """Below cargo's target folder, where nothing is kept for long."""
    target = os.environ.get("CARGO_TARGET_DIR") or HERE.parent.parent / "target"
    return Path(target).absolute() / "swift-functional"


def data_folder(options):
    """A folder whose file system can hold Swift's largest object metadata."""
    candidates = [options.data] if options.data else [tempfile.gettempdir(), "/dev/shm"]
    for candidate in candidates:
        if os.path.isdir(candidate) and holds_large_attributes(candidate):
            return Path(tempfile.mkdtemp(prefix="apus-functional-", dir=candidate))
    raise RunFailure(f"none of {', '.join(candidates)} is on a file system that holds extended attributes of "
                     f"{LARGE_ATTRIBUTE} bytes (XFS does, tmpfs does since Linux 6.6, ext4 does not); "
                     "name a folder that is, with --data")


def holds_large_attributes(folder):
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as probe:
            os.setxattr(probe.name, "user.swift.probe", b"x" * LARGE_ATTRIBUTE)
        return True
    except OSError:
        return False


def prepare_work(work):
    """Empties what an earlier run left there."""
    for part in ("junit", "output", "logs"):
        shutil.rmtree(work / part, ignore_errors=True)
    (work / "results.json").unlink(missing_ok=True)
    for part in ("junit", "output"):
        (work / part).mkdir(parents=True)


# Command line


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    one_host.add_server_options(parser)
    parser.add_argument("-k", metavar="EXPRESSION", help="only tests whose name matches, as in pytest")
    parser.add_argument("--lanes", type=int, default=2, help="Swifts side by side (default: 2)")
    parser.add_argument("--replicas", type=int, default=1, help="devices, each with one replica (default: 1)")
    parser.add_argument("--work", default=default_work(), help="folder for results (default: %(default)s)")
    parser.add_argument("--data", metavar="DIR", help="where data go (default: the temporary folder or /dev/shm)")
    parser.add_argument("--keep", action="store_true", help="keep the data and the servers' logs")
    options = parser.parse_args()
    one_host.check_server_options(parser, options)
    if not (options.stock or options.apus):
        parser.error("choose --stock or --apus PATH")
    return options


def run_lanes(run, data):
    """Runs all lanes to their end; stops them when this process is asked to end."""
    settings = one_host.Settings(apus=run.options.apus, engine=run.options.engine, replicas=run.options.replicas)
    count = min(run.options.lanes, run.files.qsize())
    lanes = [Lane(run, number, data / f"lane-{number}", settings) for number in range(count)]
    try:
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
    finally:
        run.stopped.set()
        for lane in lanes:
            if lane.ident is not None:
                lane.kill()
                lane.join()
    run.clear_line()


def keep_logs(work, data):
    for lane in sorted(data.glob("lane-*")):
        for part in ("log", "etc"):
            shutil.copytree(lane / part, work / "logs" / lane.name / part, dirs_exist_ok=True)


def execute(options):
    started = time.monotonic()
    environment = python_env.ensure()
    exclusions = read_exclusions(EXCLUSIONS)
    all_names = collect(environment)
    names = collect(environment, options.k) if options.k else all_names
    run = Run(options, environment, names, exclusions)
    prepare_work(run.work)
    data = data_folder(options)
    print(f"{len(names)} of {len(all_names)} tests, servers: {servers_label(options)}, data in {data}", flush=True)
    success = False
    try:
        run_lanes(run, data)
        seconds = time.monotonic() - started
        failures = judge(run, all_names)
        counts = counts_by_folder(run)
        write_results(run, counts, failures, seconds)
        print("\n" + summary(run, counts, seconds))
        success = not failures
        print(f"results: {run.work / 'results.json'}")
        for text in failures:
            print(f"FAILURE {first_line(text)}")
    finally:
        if not success or options.keep:
            keep_logs(run.work, data)
            print(f"logs of the servers: {run.work / 'logs'}")
        if options.keep:
            print(f"data: {data}")
        else:
            shutil.rmtree(data, ignore_errors=True)
    return 0 if success else 1


def main():
    options = parse()
    try:
        with processes.interruptible():
            return execute(options)
    except (RunFailure, processes.HostFailure, python_env.EnvironmentFailure) as failure:
        print(f"functional: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("functional: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
