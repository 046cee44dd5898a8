"""What happens on a server, one line of JSON a fact, for whoever keeps it running; no secrets, no names of visitors.

    {"time": "2026-02-03T10:11:12.345+00:00", "process": 4711, "fact": "run ended", "run": "first", "state": "finished"}

A log tells what was, and is never why something fails: what cannot be written is left out.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from dans_lab.runs.records import appending
from dans_lab.runs.run import runs_dir
from dans_lab.runs.trash import CACHE

LOG_VARIABLE = "DANS_LOG"
"""A file, "-" for standard error, or "off"; `.cache/log.jsonl` of the runs folder where it is not set."""

LONGEST = 5_000_000
"""Bytes of the file from which on it is put aside, as its name and ".1"; so there are twice as many at most."""

_LONGEST_TEXT = 300
_SECRET = re.compile("secret|token|password|cookie|authorization|code$", re.IGNORECASE)
_CREDENTIALS = re.compile(r"//[^/\s@]*@")

Value = str | int | float | bool | None


def place() -> Path | None:
    """The file that facts are written to; None where they go to standard error, or nowhere."""
    chosen = os.environ.get(LOG_VARIABLE, "")
    if chosen in ("-", "off"):
        return None
    return Path(chosen) if chosen else runs_dir() / CACHE / "log.jsonl"


def tell(fact: str, **values: Value) -> None:
    """Write a fact, such as "run ended", with what belongs to it; a name that sounds like a secret loses its value."""
    line = _line(fact, values)
    if (path := place()) is not None:
        # Made for a folder of runs that is there, and for no other.
        with suppress(OSError):
            if LOG_VARIABLE not in os.environ and path.parent.parent.is_dir():
                path.parent.mkdir(exist_ok=True)
            _append(path, line)
    elif os.environ.get(LOG_VARIABLE) == "-":
        with suppress(OSError, ValueError):
            sys.stderr.write(line.decode())
            sys.stderr.flush()


def _line(fact: str, values: dict[str, Value]) -> bytes:
    told = {name: "…" if _SECRET.search(name) else _plain(value) for name, value in values.items()}
    head = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "process": os.getpid(),
        "fact": fact,
    }
    # Escaped, so that a line stays a line in whatever shows it.
    return (json.dumps(head | told) + "\n").encode("ascii")


def _plain(value: Value) -> Value:
    if isinstance(value, str):
        return _CREDENTIALS.sub("//…@", value)[:_LONGEST_TEXT]
    return round(value, 3) if isinstance(value, float) else value


def _append(path: Path, line: bytes) -> None:
    with appending(path) as file:
        # At once, so that lines of several processes do not mix.
        os.write(file.fileno(), line)
        if os.fstat(file.fileno()).st_size < LONGEST:
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        # Unless another process has put it aside by now.
        if os.path.sameopenfile(file.fileno(), again := os.open(path, os.O_RDONLY | os.O_CLOEXEC)):
            path.replace(path.with_name(f"{path.name}.1"))
        os.close(again)
