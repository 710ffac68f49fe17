#!/usr/bin/env python3
"""smoke.py APUS ENGINE: serves with an engine, kills the server with -9, serves again and finds everything.

Prints one line for each step; exits with 1 at the first that fails.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(method, url, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Serve:
    """`apus serve` until the end of a `with`, which is a kill -9."""

    def __init__(self, apus, data, *more):
        self.ports = [free_port(), free_port()]
        account, container = map(str, self.ports)
        command = [apus, "serve", "--data", data, "--account-port", account, "--container-port", container, *more]
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def __enter__(self):
        until = time.monotonic() + 60
        for port in self.ports:
            while True:
                try:
                    ask("GET", f"http://127.0.0.1:{port}/healthcheck")
                    break
                except OSError:
                    if self.server.poll() is not None or time.monotonic() > until:
                        sys.exit("smoke: the server does not answer")
                    time.sleep(0.05)
        return [f"http://127.0.0.1:{port}/sda1/1/AUTH_test" for port in self.ports]

    def __exit__(self, *_):
        self.server.kill()
        self.server.wait()


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"smoke: {what}: {found!r}, not {wanted!r}")
    print(f"smoke: {what}: {found!r}")


def main():
    apus, engine = sys.argv[1:]
    with tempfile.TemporaryDirectory() as data:
        with Serve(apus, data, "--engine", engine) as (account, container):
            expect("PUT account", ask("PUT", account, X_Timestamp="1700000000")[0], 201)
            expect("PUT container", ask("PUT", f"{container}/photos", X_Timestamp="1700000000")[0], 201)
            for name in ("one", "two"):
                put = ask("PUT", f"{container}/photos/{name}", X_Timestamp="1700000001", X_Size="5",
                          X_Content_Type="text/plain", X_Etag="5d41402abc4b2a76b9719d911017c592")
                expect(f"PUT {name}", put[0], 201)
        # Nobody names the engine: the device remembers it.
        with Serve(apus, data) as (account, container):
            expect("HEAD account after kill -9", ask("HEAD", account)[0], 204)
            listing = json.loads(ask("GET", f"{container}/photos?format=json")[1])
            expect("GET container after kill -9", [row["name"] for row in listing], ["one", "two"])
        refused = subprocess.run([apus, "serve", "--data", data, "--engine", "sqlite"], capture_output=True, text=True)
        expect("another engine is refused", (refused.returncode, f"engine {engine}" in refused.stderr), (1, True))


if __name__ == "__main__":
    main()
