#!/usr/bin/env python3
"""Makes the private Python environment in which real Swift runs.

The folder holds a virtual environment with Swift, its client and what its functional tests import (versions in
requirements.txt), and the tests themselves, unpacked from Swift's source distribution:

    <environment>/venv                Python, swift-proxy-server, swift, ...
    <environment>/source/test         Swift's test folder, without a second copy of the swift package beside it
    <environment>/stamp.json          written last: what was made, so that the next call has nothing to do

The environment is ${APUS_SWIFT_ENV}, else ${XDG_CACHE_HOME:-~/.cache}/apus/swift-<version>. A call that finds it
complete returns at once; two calls at once take turns; an interrupted one is repeated from the start.

Swift reads its storage policies from /etc/swift alone. A start-up hook in this environment moves that place to
${APUS_SWIFT_DIR} where that variable is set, so that several Swifts live on one host and /etc stays untouched.

    python_env.py             make it if need be, then print its folder
    python_env.py --check     only say whether it is complete (exit status 0 or 1)
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
LAYOUT = 2  # raise it when this file makes something else than before
OLDEST_PYTHON = (3, 10)
MARKER = "made-by-apus"

# Debian packages that supply a command or a Python module, with the reason printed when one is installed.
PACKAGES_TO_RUN = {
    "memcached": "the proxy keeps tokens and container information in it",
    "python3-venv": "makes the private environment",
}
PACKAGES_TO_COMPILE = {
    "gcc": "compiles Python packages that have no wheel for this Python",
    "python3-dev": "headers for the same",
    "libffi-dev": "cffi and cryptography",
    "liberasurecode-dev": "pyeclib",
    "libxml2-dev": "lxml",
    "libxslt1-dev": "lxml",
}

HOOK_NAME = "apus_swift_dir"
HOOK = '''\
"""Lets Swift read swift.conf from ${APUS_SWIFT_DIR} instead of /etc/swift (made by Apus, tests/swift/python_env.py).

Every module of Swift that reads it (storage policies, constraints, hash prefix) asks swift.common.utils for the
place when it is imported, so the place is changed at the moment when that module has been loaded.
"""
import importlib.machinery
import os
import sys

TARGET = "swift.common.utils"


class Finder:
    """Finds the one module as usual, and has its loader call Swift's own set_swift_dir afterwards."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != TARGET:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_move(module):
            load(module)
            module.set_swift_dir(os.environ["APUS_SWIFT_DIR"])

        spec.loader.exec_module = load_and_move
        return spec


if os.environ.get("APUS_SWIFT_DIR"):
    sys.meta_path.insert(0, Finder)
'''


class EnvironmentFailure(Exception):
    """The environment cannot be made; the message says what to do."""


class Environment:
    """Paths of a complete environment."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.venv = self.folder / "venv"
        self.bin = self.venv / "bin"
        self.python = self.bin / "python"
        self.source = self.folder / "source"
        self.stamp = self.folder / "stamp.json"

    def command(self, name):
        """The path of a command of the environment, such as swift-proxy-server."""
        return str(self.bin / name)


def swift_version():
    """The pinned version of Swift."""
    for line in REQUIREMENTS.read_text().splitlines():
        if line.startswith("swift=="):
            return line.partition("==")[2].strip()
    raise EnvironmentFailure(f"{REQUIREMENTS} does not pin swift")


def default_folder():
    """Where the environment lives."""
    chosen = os.environ.get("APUS_SWIFT_ENV")
    if chosen:
        return Path(chosen).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache).absolute() / "apus" / f"swift-{swift_version()}"


def say(text):
    """Prints a progress line; standard output is kept for the result."""
    print(f"python_env: {text}", file=sys.stderr, flush=True)


def wanted():
    """What the stamp of a complete environment says."""
    return {
        "layout": LAYOUT,
        "python": ".".join(map(str, sys.version_info[:2])),
        "swift": swift_version(),
        "requirements": hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest(),
        "hook": hashlib.sha256(HOOK.encode()).hexdigest(),
    }


def is_complete(environment):
    """True when nothing has to be done; looks at files only."""
    return is_made(environment) and memcached() is not None


def is_made(environment):
    """True when the folder is as this file makes it. One made by another version of Python will do."""
    try:
        stamp = json.loads(environment.stamp.read_text())
    except (OSError, ValueError):
        return False
    expected = wanted()
    expected["python"] = stamp.get("python")
    return stamp == expected and environment.python.exists()


def memcached():
    """The memcached command; Debian keeps it where every PATH has it, but cron and CI may have a short PATH."""
    return shutil.which("memcached") or shutil.which("memcached", path="/usr/local/bin:/usr/bin:/usr/sbin:/sbin")


def ensure(folder=None):
    """Returns a complete environment, making it first if need be."""
    environment = Environment(folder or default_folder())
    if is_complete(environment):
        return environment
    environment.folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(environment.folder.with_name(environment.folder.name + ".lock")):
        install_packages(missing_packages(), PACKAGES_TO_RUN)
        if not is_made(environment):
            make(environment)
    return environment


@contextlib.contextmanager
def locked(path):
    """Holds the lock file; the system releases it when the process ends, however it ends."""
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is making the environment, waiting for it ({path})")
            fcntl.flock(file, fcntl.LOCK_EX)
        os.set_inheritable(file.fileno(), True)  # a killed caller's pip, still at work, keeps the lock
        yield


def make(environment):
    """Makes the environment from nothing."""
    if sys.version_info < OLDEST_PYTHON:
        raise EnvironmentFailure(f"Python {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed")
    say(f"making {environment.folder} (Swift {swift_version()}, Python {sys.version.split()[0]})")
    clear(environment.folder)
    say("virtual environment")
    run([sys.executable, "-m", "venv", environment.venv])
    install_requirements(environment)
    install_hook(environment)
    unpack_tests(environment)
    check(environment)
    temporary = environment.stamp.with_suffix(".new")
    temporary.write_text(json.dumps(wanted(), indent=1) + "\n")
    temporary.replace(environment.stamp)
    say("complete")


def clear(folder):
    """Empties a folder of ours; never one that somebody else filled."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise EnvironmentFailure(f"{folder} holds other files; choose another folder with APUS_SWIFT_ENV")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    for entry in folder.iterdir():
        if entry.name == MARKER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def missing_packages():
    """The Debian packages whose commands or modules are not there."""
    missing = []
    if memcached() is None:
        missing.append("memcached")
    probe = subprocess.run([sys.executable, "-c", "import venv, ensurepip"], capture_output=True)
    if probe.returncode != 0:
        missing.append("python3-venv")
    return missing


def install_packages(names, reasons):
    """Installs Debian packages, saying why; or says what the reader has to install."""
    if not names:
        return
    for name in names:
        say(f"needs the Debian package {name}: {reasons[name]}")
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise EnvironmentFailure(f"install these and call again: sudo apt-get install {' '.join(names)}")
    quiet = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    try:
        run(command, env=quiet)
    except EnvironmentFailure:
        say("apt-get does not know them yet, updating its lists")
        run(["apt-get", "update"], env=quiet)
        run(command, env=quiet)


def install_requirements(environment):
    """Installs the pinned Python packages, from wheels if there are some for this Python."""
    say(f"{REQUIREMENTS.name}: downloading and installing")
    command = [environment.python, "-m", "pip", "install", "--quiet", "--prefer-binary", "--requirement", REQUIREMENTS]
    try:
        run(command)
    except EnvironmentFailure as failure:
        say(f"{failure}; trying again with compilers and headers")
        lacking = [name for name in PACKAGES_TO_COMPILE if not is_installed(name)]
        if not lacking:
            raise
        install_packages(lacking, PACKAGES_TO_COMPILE)
        run(command)


def is_installed(package):
    """True when dpkg has the package, or when there is no dpkg to ask."""
    if shutil.which("dpkg-query") is None:
        return True
    status = subprocess.run(["dpkg-query", "-W", "-f=${Status}", package], capture_output=True, text=True)
    return status.stdout.endswith(" installed")


def install_hook(environment):
    """Puts the start-up hook into the environment. A .pth line runs even where a distribution has its own
    sitecustomize, which would hide ours."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run([environment.python, "-c", code]).strip())
    (packages / f"{HOOK_NAME}.py").write_text(HOOK)
    (packages / f"{HOOK_NAME}.pth").write_text(f"import {HOOK_NAME}\n")


def unpack_tests(environment):
    """Fetches Swift's source distribution and unpacks its test folder."""
    version = swift_version()
    say(f"Swift's own tests, from the source distribution of {version}")
    download = environment.folder / "download"
    run([environment.python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "swift",
         "--dest", download, f"swift=={version}"])
    archives = sorted(download.glob("swift-*.tar.gz"))
    if len(archives) != 1:
        raise EnvironmentFailure(f"expected one archive in {download}, found {[a.name for a in archives]}")
    prefix = f"swift-{version}/"
    with tarfile.open(archives[0]) as archive:
        members = [member for member in archive.getmembers() if member.name.startswith(prefix + "test/")]
        for member in members:
            member.name = member.name[len(prefix):]
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(environment.source, members=members, **safe)
    if not (environment.source / "test" / "functional" / "__init__.py").exists():
        raise EnvironmentFailure(f"{archives[0].name} holds no functional tests")
    shutil.rmtree(download)


def check(environment):
    """Proves that the modules load and that the hook moves the place of swift.conf."""
    probe = environment.folder / "probe"
    probe.mkdir()
    (probe / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = probe\n"
        "[storage-policy:7]\nname = probed\ndefault = yes\n[storage-policy:0]\nname = zero\n"
        "[swift-constraints]\nmax_meta_count = 77\n")
    code = ("import pyeclib.ec_iface, lxml.etree, xattr, boto3, pytest, swiftclient\n"
            "from swift.common import constraints, storage_policy, utils\n"
            "print(utils.HASH_PATH_PREFIX.decode(), storage_policy.POLICIES.default.name, constraints.MAX_META_COUNT)")
    told = run([environment.python, "-c", code], env=dict(os.environ, APUS_SWIFT_DIR=str(probe)))
    if told.split() != ["probe", "probed", "77"]:
        raise EnvironmentFailure(f"Swift does not read swift.conf from APUS_SWIFT_DIR: {told.strip()}")
    shutil.rmtree(probe)


def run(command, env=None):
    """Runs a command and returns its output; a failure shows what it said."""
    command = [str(word) for word in command]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, close_fds=False)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise EnvironmentFailure(f"{shlex.join(command)} failed with status {done.returncode}:\n{tail}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether it is complete")
    options = parser.parse_args()
    if options.check:
        environment = Environment(default_folder())
        complete = is_complete(environment)
        say(f"{environment.folder} is {'complete' if complete else 'not complete'}")
        return 0 if complete else 1
    try:
        environment = ensure()
    except EnvironmentFailure as failure:
        say(str(failure))
        return 1
    print(environment.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
