"""A pytest plugin: records the result of each test, and blocks connections to other machines."""

import ipaddress
import json
import sys
from pathlib import Path

_ORDER = ("passed", "skipped", "failed")
_outcomes = {}


def pytest_addoption(parser):
    parser.addoption("--outcomes", required=True, help="write how each test went to this file")


def pytest_configure(config):
    sys.addaudithook(_only_this_machine)


def pytest_runtest_logreport(report):
    # One that is run again says "rerun" for each time but the last.
    if report.outcome in _ORDER and (report.when == "call" or report.outcome != "passed"):
        _note(report)


def pytest_collectreport(report):
    if report.failed:
        _note(report)


def pytest_sessionfinish(session):
    Path(session.config.getoption("--outcomes")).write_text(json.dumps(_outcomes, indent=1))


def _note(report):
    known, text = _outcomes.get(report.nodeid, ("passed", ""))
    outcome = max(known, report.outcome, key=_ORDER.index)
    _outcomes[report.nodeid] = outcome, "\n".join(filter(None, [text, _text_of(report)]))


def _text_of(report):
    if report.passed:
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message if crash else str(report.longrepr)


def _only_this_machine(event, arguments):
    if event == "socket.connect":
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host and host != "localhost" and not _is_loopback(host):
        message = f"the suites reach no other machine, but this one asked for {host}"
        raise PermissionError(message)


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
