"""A pytest plugin that reports each test, as it happens, as one JSON line on a pipe (functional.py reads it).

The pipe's number is in ${APUS_RECORD_FD}. Events: collected (all names), start (name), end (name, outcome, seconds,
message). A test has failed if any of its phases or subtests has; it was skipped if its set-up or body says so.
"""

import json
import os

import pytest

OUTCOMES = ("passed", "skipped", "failed")  # the last one that occurs in a test is the test's


class Recorder:
    def __init__(self, stream):
        self.stream = stream
        self.outcome = "passed"
        self.seconds = 0.0
        self.message = ""

    def tell(self, event, **details):
        self.stream.write(json.dumps({"event": event, **details}) + "\n")
        self.stream.flush()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session):
        self.tell("collected", names=[item.nodeid for item in session.items])

    def pytest_runtest_logstart(self, nodeid):
        self.outcome, self.seconds, self.message = "passed", 0.0, ""
        self.tell("start", name=nodeid)

    def pytest_runtest_logreport(self, report):
        self.seconds += report.duration
        is_subtest = hasattr(report, "context")
        if is_subtest and not report.failed:
            return
        if OUTCOMES.index(report.outcome) > OUTCOMES.index(self.outcome):
            self.outcome = report.outcome
            self.message = skip_reason(report) if report.skipped else report.longreprtext[-6000:]

    def pytest_runtest_logfinish(self, nodeid):
        self.tell("end", name=nodeid, outcome=self.outcome, seconds=round(self.seconds, 3), message=self.message)


def skip_reason(report):
    """The text given with a skip, which pytest keeps as (file, line, text)."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return report.longreprtext


def pytest_configure(config):
    number = os.environ.get("APUS_RECORD_FD")
    if number:
        config.pluginmanager.register(Recorder(os.fdopen(int(number), "w")), "apus-recorder")
