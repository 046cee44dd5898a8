"""The long test of what must not happen: runs lost, screens down, sessions left over, a way in."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import soak_browsers, soak_fuzz, soak_kills, soak_restart, soak_shared, soak_visits
from benchmarks.report import Section
from dans_data.words import count, plural
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
    studies: int = 5
    visitors: int = 28
    browsers: int = 2
    runs: int = 2
    pause: float = 10.0
    seconds: float = 300.0
    sessions: int = 1_000
    cases: int = 5_000
    wait: float = TIME_OVER
    viewers: int = 10


SHORT = Size(
    kills=5,
    servers=0,
    studies=0,
    visitors=4,
    browsers=1,
    runs=1,
    pause=2.0,
    seconds=4.0,
    sessions=10,
    cases=300,
    wait=0.0,
    viewers=2,
)


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
        if size.visitors or size.browsers or size.sessions or size.cases or size.viewers:
            _served(size, place / "served", seed, tell)
        if size.kills:
            _kills(size, place / "kills", seed, tell)
    return Section(
        "soak",
        "The long test",
        "Kills are SIGKILL at random moments; each run that suffered some is trained to its end and compared, to the "
        "last bit, with one that was never broken off, in events, checkpoints and snapshots, while someone reads it "
        "every 20 ms; killed studies are compared by their table. Visitors are WebSocket clients that behave as "
        "Streamlit's page does, browsers are Chromium's; the server is shared as with a class (`dans serve`), where "
        "training gives way to screens; a click is the way to another screen, from the message "
        "to the end of the answer or from the click to the drawn screen. Sessions open one and go. "
        "Browsers from under which the server is killed look at a run that trains, on four screens. "
        f"Inputs are sound ones damaged at random, and hostile ones. Seed {seed}; {time.monotonic() - began:.0f} s in "
        f"all; load at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        COLUMNS,
        tell.rows,
        tell.records,
    )


def _kills(size: Size, folder: Path, seed: int, tell: _Rows) -> None:
    found = soak_kills.measure(size.kills, folder, seed, size.servers, size.studies)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.by_kind.items()))
    runs = found.same + len(found.other)
    tell(
        f"{found.kills} kills ({kinds}) of {runs} runs and studies",
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
    server = soak_shared.serve(runs)
    try:
        if size.visitors or size.browsers:
            _visits(size, server, runs, seed, tell)
        if size.sessions:
            _sessions(size, server, tell)
        if size.cases:
            _inputs(size, sound, folder / "fuzz", server, seed, tell)
        if size.viewers:
            _viewers(size, server, tell)
        failed = [line for line in server.log().splitlines() if "Traceback" in line or "Uncaught" in line]
        tell("Tracebacks in what the server said", f"{len(failed)}", "0", not failed)
    finally:
        server.stop()
        for worker in workers(runs):
            os.kill(worker, 9)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def _visits(size: Size, server: Server, runs: Path, seed: int, tell: _Rows) -> None:
    settings = ("--dataset", "umls", "--epochs", "100000", "--set", "warmup_epochs=10")
    names = [f"watched-{number}" for number in range(size.runs)]
    with ExitStack() as trained:
        processes = {
            name: trained.enter_context(soak_shared.training(runs, name, *settings, "--seed", f"{number}"))
            for number, name in enumerate(names)
        }
        wait_for(
            lambda: all(soak_shared.moves(runs, name, each) for name, each in processes.items()),
            "the first epoch of the runs that are watched",
        )
        _watched(size, server, [Run(runs / name) for name in names], seed, tell)


def _watched(size: Size, server: Server, live: list[Run], seed: int, tell: _Rows) -> None:
    with soak_visits.visitor(server.url) as first:
        for page in soak_visits.PAGES:
            first.open(page, f"run={live[0].id}")
    names = [run.id for run in live]
    with ThreadPoolExecutor(1) as beside:
        how = size.seconds, seed, size.pause
        looked = size.browsers and beside.submit(soak_browsers.watch, server.url, names, size.browsers, *how)
        seen = soak_visits.watch(server.url, names, size.visitors, *how)
        looks = looked.result() if looked else soak_browsers.Looks()
    clicks = sum(len(each) for part in (looks, seen) for each in part.clicks.values())
    tell(
        f"{size.browsers} browsers and {size.visitors} visitors for {size.seconds:.0f} s while "
        f"{count(size.runs, 'run')} {plural(size.runs, 'trains', 'train')}, a click in {size.pause:.0f} s each: "
        f"{clicks} clicks, {seen.ticks} renewals",
        f"{len(seen.errors) + len(looks.errors)} errors",
        "0",
        not seen.errors and not looks.errors,
        visitors=asdict(seen),
        browsers=asdict(looks),
    )
    if seen.clicks:
        p95 = soak_visits.share(seen.clicks, 0.95)
        tell("… 95 of 100 clicks answered by the server within", f"{p95:.2f} s", "≤ 2 s", p95 <= 2)
    if looks.clicks:
        p95 = soak_visits.share(looks.clicks, 0.95)
        tell("… 95 of 100 clicks drawn by a browser within", f"{p95:.2f} s", "≤ 4 s", p95 <= 4)
    live_looks = len(looks.clicks.get("Train", []))
    tell(
        "… curves that moved on in browsers",
        f"{looks.moves} of {live_looks} looked at",
        "all",
        looks.moves == live_looks,
    )
    epochs = " and ".join(f"{run.status.epoch:,}" for run in live)
    tell(
        "… the runs trained all the time", f"epochs {epochs}", "they train", all(r.status.live for r in live)
    )
    for run in live:
        run.request(stop=True)
    wait_for(lambda: not any(run.status.live for run in live), "the end of the runs that were watched")


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


def _viewers(size: Size, server: Server, tell: _Rows) -> None:
    # Longer than a page waits at first from one try to the next.
    away = 10.0 if size.viewers > 2 else 0.0
    found = soak_restart.measure(server, size.viewers, away)
    what = f"The server killed under {size.viewers} browsers that look at a run, and started again {away:.0f} s later"
    back = "; ".join([f"{len(found.back)} of {size.viewers} back on the run by themselves", *found.errors])
    holds = len(found.back) == size.viewers and not found.errors
    tell(what, back, "all", holds, **asdict(found))
    last = max(found.back, default=math.inf)
    words = f"{last:.1f} s, of which {found.answers:.1f} s to its first answer"
    tell("… the last of them, from the start of the new server", words, "≤ 10 s", last <= 10)


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
