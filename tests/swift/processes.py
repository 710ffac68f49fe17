"""Processes, ports and readiness of servers on this host's loopback."""

import contextlib
import errno
import fcntl
import http.client
import os
import pwd
import random
import signal
import socket
import tempfile
import time
from pathlib import Path

ADDRESS = "127.0.0.1"
# Below the range from which Linux takes the ports of outgoing connections, of which the tests make many.
PORT_RANGE = range(20000, 32000)
STOP_SECONDS = 10
POLL_SECONDS = 0.05


class HostFailure(Exception):
    """The host cannot be brought up; the message holds what the failing server said."""


# Processes


def start_time(pid):
    """When a living process started, in ticks since boot; None for a dead one. With the pid it names a process."""
    fields = process_fields(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def process_fields(pid):
    """The fields of /proc/PID/stat from the state on (its command name may hold blanks and brackets)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_ours(process):
    """True unless the recorded pid now belongs to another process. (A group keeps its number from being reused.)"""
    return start_time(process["pid"]) in (None, process["started"])


def group_members(groups):
    """Living processes of the given process groups."""
    members = []
    for entry in os.listdir("/proc"):
        fields = process_fields(entry) if entry.isdigit() else None
        if fields and fields[0] not in "ZX" and int(fields[2]) in groups:
            members.append(int(entry))
    return members


def stop_groups(groups):
    """Ends process groups: politely, then by force. Returns when they are gone."""
    for wish, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        deadline = time.monotonic() + patience
        for group in groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, wish)
        while group_members(groups):
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        else:
            reap(groups)
            return
    raise HostFailure(f"processes {group_members(groups)} do not end")


def reap(pids):
    """Collects those that are children of this process."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def user_name():
    """The user under whom the servers run: the caller."""
    return pwd.getpwuid(os.geteuid()).pw_name


# Ports and readiness


@contextlib.contextmanager
def start_lock():
    """Lets one host at a time choose its ports and bind them: Swift shares a port that another Swift listens on."""
    path = Path(tempfile.gettempdir()) / f"apus-one-host-{os.geteuid()}.lock"
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_free(port):
    """True when nobody listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
            return True
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise


def free_port(taken):
    """A port that nobody uses."""
    for port in random.sample(PORT_RANGE, 200):
        if port not in taken and is_free(port):
            return port
    raise HostFailure(f"no free port between {PORT_RANGE.start} and {PORT_RANGE.stop}")


def healthcheck_answers(port):
    """True when a server says that it is well."""
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=2)
    try:
        connection.request("GET", "/healthcheck")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def memcached_answers(port):
    """True when memcached tells its version."""
    try:
        with socket.create_connection((ADDRESS, port), timeout=2) as connection:
            connection.sendall(b"version\r\n")
            return connection.recv(64).startswith(b"VERSION")
    except OSError:
        return False


@contextlib.contextmanager
def interruptible():
    """Turns polite requests to end into exceptions, so that `finally` and `with` run."""
    def stop(number, _):
        raise SystemExit(128 + number)

    kept = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
