"""The long test of what must not happen: runs lost, screens down, sessions left over, a way in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import soak_fuzz, soak_kills, soak_visits
from benchmarks.report import Section
from dans_lab.runs.run import RUNS_DIR_VARIABLE, Run
from tests import small_run
from tests.browser.server import Server, workers
from tests.waiting import wait_for

COLUMNS = ["what", "found", "must be", "holds"]

TIME_OVER = 140.0
"""Seconds after which a session whose browser has gone is over and has been let go."""


@dataclass(frozen=True)
class Size:
    """How much of each is done; nothing of a part that has 0."""

    kills: int = 100
    servers: int = 5
    visitors: int = 30
    seconds: float = 300.0
    sessions: int = 1_000
    cases: int = 5_000
    wait: float = TIME_OVER


SHORT = Size(kills=5, servers=0, visitors=5, seconds=4.0, sessions=10, cases=300, wait=0.0)


class _Rows:
    """Collects rows, and tells each as it comes."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self.rows: list[list[str]] = []
        self.records: list[dict[str, object]] = []

    def __call__(self, what: str, found: str, bar: str, holds: bool, **record: object) -> None:
        self.rows.append([what, found, bar, "yes" if holds else "**no**"])
        self.records.append({"what": what, "found": found, "bar": bar, "holds": holds, **record})
        self._progress(f"{what}: {found} ({bar}: {'yes' if holds else 'NO'})")


def measure(size: Size, seed: int, progress: Callable[[str], None]) -> Section:
    """Do all that `size` says, random by `seed`; the raw findings are in the records."""
    tell = _Rows(progress)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if size.kills:
            _kills(size, place / "kills", seed, tell)
        if size.visitors or size.sessions or size.cases:
            _served(size, place / "served", seed, tell)
    return Section(
        "soak",
        "The long test",
        "Kills are SIGKILL at random moments; each run that suffered some is trained to its end and compared, to the "
        "last bit, with one that was never broken off, in events, checkpoints and snapshots, while someone reads it "
        "every 20 ms. Visitors are WebSocket clients that behave as Streamlit's page does, "
        "on a server on which a run trains; a click is the way to another screen. Sessions open one and go. "
        f"Inputs are sound ones damaged at random, and hostile ones. Seed {seed}; {time.monotonic() - began:.0f} s in "
        f"all; load at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        COLUMNS,
        tell.rows,
        tell.records,
    )


def _kills(size: Size, folder: Path, seed: int, tell: _Rows) -> None:
    found = soak_kills.measure(size.kills, folder, seed, size.servers)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.by_kind.items()))
    runs = found.same + len(found.other)
    tell(
        f"{found.kills} kills ({kinds}) of {runs} runs",
        f"{found.same} of {runs} to the same numbers",
        "all",
        not found.other,
        **asdict(found),
    )
    tell("… torn files that a reader met meanwhile", f"{len(found.torn)}", "0", not found.torn)


def _served(size: Size, folder: Path, seed: int, tell: _Rows) -> None:
    runs = folder / "runs"
    sound = small_run.trained(runs, "sound")
    environment = {
        RUNS_DIR_VARIABLE: str(runs),
        "DANS_OWN_DIR": str(folder / "own"),
        "DANS_CACHE_DIR": str(folder / "cache"),
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    server = Server(runs)
    try:
        if size.visitors:
            _visits(size, server, runs, seed, tell)
        if size.sessions:
            _sessions(size, server, tell)
        if size.cases:
            _inputs(size, sound, folder / "fuzz", server, seed, tell)
        failed = [line for line in server.log().splitlines() if "Traceback" in line or "Uncaught" in line]
        tell("Tracebacks in what the server said", f"{len(failed)}", "0", not failed)
    finally:
        server.stop()
        for worker in workers(runs):
            os.kill(worker, 9)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def _visits(size: Size, server: Server, runs: Path, seed: int, tell: _Rows) -> None:
    settings = json.dumps({"epochs": 100_000, "dim": 16, "warmup_epochs": 10})
    code = (
        "import json, sys\n"
        "from dans_app.server.jobs import pool\n"
        "from dans_core.config import Config\n"
        "print(pool().start(Config(**json.loads(sys.argv[1])), 'nations').id, flush=True)\n"
    )
    started = subprocess.run(
        [sys.executable, "-c", code, settings], capture_output=True, text=True, check=True, cwd=small_run.ROOT
    )
    live = Run(runs / started.stdout.strip())
    wait_for(lambda: live.status.epoch > 0, "the first epoch of a run that is watched")
    if size.visitors:
        with soak_visits.visitor(server.url) as first:
            for page in soak_visits.PAGES:
                first.open(page, f"run={live.id}")
        seen = soak_visits.watch(server.url, live.id, size.visitors, size.seconds, seed)
        p95 = seen.share(0.95)
        what = (
            f"{size.visitors} visitors for {size.seconds:.0f} s while a run trains: {len(seen.clicks)} clicks"
        )
        tell(
            f"{what}, {seen.ticks} renewals",
            f"{len(seen.errors)} errors",
            "0",
            not seen.errors,
            **asdict(seen),
        )
        tell("… 95 of 100 clicks answered by the server within", f"{p95:.2f} s", "≤ 2 s", p95 <= 2)
        tell("… the run trained all the time", f"epoch {live.status.epoch:,}", "it trains", live.status.live)
    live.request(stop=True)
    wait_for(lambda: not live.status.live, "the end of the run that was watched")


def _sessions(size: Size, server: Server, tell: _Rows) -> None:
    held = soak_visits.come_and_go(server, size.sessions, size.wait)
    first, after, last = held.handles
    what = f"{size.sessions} sessions opened and closed"
    tell(what, f"{len(held.errors)} errors", "0", not held.errors, **asdict(held))
    most = first + 3 * min(size.sessions + 60, 130) + 20
    tell("… handles of the server before and right after", f"{first} and {after}", f"≤ {most}", after <= most)
    if size.wait >= TIME_OVER:
        tell(f"… handles {size.wait:.0f} s later", f"{last}", f"≤ {first + 10}", last <= first + 10)
        grown = held.megabytes[2] / held.megabytes[0] - 1
        words = f"{held.megabytes[0]:.0f}, {held.megabytes[1]:.0f} and {held.megabytes[2]:.0f} MB"
        tell("… memory before, right after, and then", words, "within 10 %", grown <= 0.1)


def _inputs(size: Size, sound: Run, folder: Path, server: Server, seed: int, tell: _Rows) -> None:
    folder.mkdir()
    found = soak_fuzz.measure(size.cases, sound, folder, server.url, seed)
    kinds = ", ".join(f"{found.refused[kind]} of {count} {kind}" for kind, count in found.cases.items())
    record = {"failures": found.failures, "long": found.long}
    tell(
        f"{found.cases.total()} damaged and hostile inputs; refused were {kinds}",
        f"{len(found.failures)} failures",
        "0",
        not found.failures,
        **record,
    )
    tell(f"… refusals of {soak_fuzz.LONGEST} characters and more", f"{len(found.long)}", "0", not found.long)
