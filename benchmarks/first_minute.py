"""A newcomer's first minute: to a moving picture, to what an own action does, and by the tour to a named negative."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.app_page import CLOCK, CURVES, RECORDED, Bench, Rows
from benchmarks.report import Section
from tests.browser.server import ARGUMENTS, CHROMIUM, Server, workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

MOVED = (
    "(at => at && (clock.first ??= at.textContent) !== at.textContent)"
    f"({CURVES} && clock.inside('.curves', '[data-key=base] .at'))"
)
"""The epoch that the curves have drawn themselves to is no longer the one that was first seen."""

NAMED = {
    "Map": re.compile("G_R invented a tail that is most like"),
    "Triplet": re.compile("For it G_R invented a tail that is most like"),
}
"""The stops of the tour that name a negative, and the words by which they do."""


def measure(visits: int, progress: Callable[[str], None]) -> Section:
    """All of it on this machine, each `visits` times; takes minutes and a Chromium."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        raise SystemExit("error: no Chromium found; on Debian: apt-get install chromium")
    tell = Rows(progress)
    load = os.getloadavg()[0]
    # Not in the system's folder for temporary files, which may be in memory.
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            with Bench(browser, Path(folder) / "warm") as bench:
                bench.settle()
                tell(
                    "Opening the app to the first movement",
                    [_first_movement(browser, bench.server) for _ in range(visits)],
                    3.0,
                )
                tell(
                    "Click on Start training to its first loss",
                    [_own_run(bench) for _ in range(visits)],
                    10.0,
                )
                _tell_tours(tell, [_tour(browser, bench.server) for _ in range(visits)], "")
            tours = []
            for number in range(visits):
                runs = Path(folder) / f"fresh-{number}" / "runs"
                runs.mkdir(parents=True)
                server = Server(runs)
                try:
                    tours.append(_tour(browser, server))
                finally:
                    server.stop()
                    for process in workers(runs):
                        os.kill(process, 9)
            _tell_tours(tell, tours, ", on a server that has just started")
        finally:
            browser.close()
    return Section(
        "first-minute",
        "A newcomer's first minute",
        "A real server and a real Chromium on the same machine, a browser without history for each visit. The tour is "
        "walked as fast as its cards come, from the opening of the app, so a bar leaves the rest for reading. Work "
        f"waiting for a core when it began (load): {load:.1f} on {os.cpu_count()} cores. A bar is for the median.",
        list(tell.COLUMNS),
        tell.rows,
        tell.records,
    )


def _tell_tours(tell: Rows, tours: list[dict[str, float]], where: str) -> None:
    for title in NAMED:
        tell(f"By the tour to the negative that {title} names{where}", [tour[title] for tour in tours], 60.0)


@contextmanager
def _newcomer(browser: Browser) -> Iterator[Page]:
    """A page of a browser that was never here."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(180_000)
    try:
        yield context.new_page()
    finally:
        context.close()


def _first_movement(browser: Browser, server: Server) -> float:
    """Seconds from the opening of the page until a curve moved."""
    with _newcomer(browser) as page:
        page.add_init_script(f"{CLOCK}; benchmark.arm({json.dumps(MOVED)})")
        page.goto(server.url, wait_until="commit")
        page.wait_for_function("() => window.benchmark && benchmark.at !== null", polling=20)
        return float(page.evaluate("benchmark.at - performance.timeOrigin")) / 1000


def _own_run(bench: Bench) -> float:
    """Seconds from the click on Start training to the first loss of that run."""
    bench.open(f"?run={RECORDED}")
    bench.rest()
    seconds, _ = bench.begin()
    bench.end_runs()
    return seconds


def _tour(browser: Browser, server: Server) -> dict[str, float]:
    """Seconds from the opening of the page to each negative that the tour names, by the title of its stop."""
    found = {}
    with _newcomer(browser) as page:
        began = time.monotonic()
        page.goto(server.url, wait_until="commit")
        page.locator(".st-key-tour_begin button").first.click()
        for stop, title in enumerate(("Train", "How it works", "Map", "Triplet"), 1):
            card = page.locator(".st-key-tour_card").first
            card.get_by_text(f"{stop} of 5").wait_for()
            page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
            if title in NAMED:
                card.get_by_text(NAMED[title]).wait_for()
                found[title] = time.monotonic() - began
            page.locator(".st-key-tour_next button").first.click()
    return found
