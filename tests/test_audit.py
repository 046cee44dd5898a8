"""The audit of dependencies: what it says of a report, and that what was not looked up has not passed."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

AUDIT = runpy.run_path(str(Path(__file__).parents[1] / ".ci" / "audit.py"))

GOOD = {"name": "rich", "version": "15.0.0", "vulns": []}
BAD = {
    "name": "lib",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-2"], "fix_versions": ["1.1"]}],
}
UNKNOWN = {"name": "torch", "skip_reason": "not found"}


def test_a_vulnerability_fails_unless_it_is_accepted_with_a_reason(monkeypatch):
    lines, code = AUDIT["verdict"]([GOOD, BAD, UNKNOWN])
    assert code == 1 and lines[0] == "lib 1.0: PYSEC-1, CVE-2, mended in 1.1"
    assert lines[1] == "Audit: 2 packages looked up, vulnerabilities found: 1; NOT looked up: torch."
    monkeypatch.setitem(AUDIT["ACCEPTED"], "CVE-2", "nothing here parses it")
    lines, code = AUDIT["verdict"]([BAD])
    assert code == 0 and lines[0].endswith("; accepted: nothing here parses it")


@pytest.mark.parametrize("packages", [[], [UNKNOWN]])
def test_what_looked_nothing_up_says_that_it_is_no_pass(packages):
    [line], code = AUDIT["verdict"](packages)
    assert code == 0 and line.startswith("AUDIT SKIPPED, NOT PASSED: ")


def test_a_database_that_cannot_be_reached_has_said_nothing(tmp_path, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    packages, reason = AUDIT["report"]("pypi", tmp_path / "report.json")
    assert packages == [] and "ProxyError" in reason
