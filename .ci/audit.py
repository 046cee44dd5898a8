"""Looks the installed packages up among known vulnerabilities; where no database can be asked, it says so in a line.

Exit code 1 where there is one that `ACCEPTED` does not name. What was not looked up has not passed, and is told.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ACCEPTED: dict[str, str] = {}
"""Vulnerabilities that stay for now: their id, and why none of it is reached here."""

DATABASES = ("pypi", "osv")
"""As pip-audit calls them; the next one is asked where one does not answer."""

SECONDS = 120
"""For one database; CI trains and tests beside it."""


def report(database: str, file: Path) -> tuple[list[dict[str, Any]], str]:
    """What one database says of each package, or nothing and why it could not be asked."""
    options = ["--local", "--format=json", f"--output={file}", "--progress-spinner=off", "--timeout=10"]
    command = [sys.executable, "-m", "pip_audit", "-s", database, *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return [], f"no answer in {SECONDS} s"
    # It ends with 1 for what it found and for what went wrong, but writes in the first case alone.
    if file.exists():
        return json.loads(file.read_text())["dependencies"], ""
    return [], (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:200]


def verdict(packages: list[dict[str, Any]], reason: str = "") -> tuple[list[str], int]:
    """What is to be said of such a report, and the exit code."""
    asked = _asked(packages)
    if not asked:
        reason = reason or "it knows none of the packages"
        return [f"AUDIT SKIPPED, NOT PASSED: no database of vulnerabilities could be asked ({reason})."], 0
    found = [(each, one) for each in asked for one in each["vulns"]]
    lines, bad = [], 0
    for package, one in found:
        ids = [one["id"], *one["aliases"]]
        why = next((ACCEPTED[each] for each in ids if each in ACCEPTED), "")
        bad += not why
        mended = ", ".join(one["fix_versions"]) or "no version yet"
        lines.append(
            f"{package['name']} {package['version']}: {', '.join(ids)}, mended in {mended}"
            + (f"; accepted: {why}" if why else "")
        )
    left_out = [each["name"] for each in packages if "skip_reason" in each]
    lines.append(
        f"Audit: {len(asked)} packages looked up, vulnerabilities found: {len(found)}"
        + (f"; NOT looked up: {', '.join(left_out)}" if left_out else "")
        + "."
    )
    return lines, int(bad > 0)


def _asked(packages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that the database knows."""
    return [each for each in packages if "skip_reason" not in each]


def main() -> int:
    """Ask, say what was found, and return the exit code."""
    packages, reason = [], ""
    with tempfile.TemporaryDirectory() as folder:
        for database in DATABASES:
            packages, reason = report(database, Path(folder) / database)
            if _asked(packages):
                break
    lines, code = verdict(packages, reason)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
