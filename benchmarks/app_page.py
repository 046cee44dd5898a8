"""The app as a person has it, under a clock: a server with runs of its own, and a page of it in a browser."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.server import DRAWN, Server, processes, workers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
CLOCK = (HERE / "clock.js").read_text(encoding="utf-8")

HELPERS = {"UMAP": "dans_app.server.fitting", "torch": "dans_app.server.inspecting"}

RECORDED = "umls-complex-dans"

CURVES = "clock.inside('.curves', '[data-key=base] svg.plot path.line')"


class Rows:
    """What was measured, row by row: called with what it is, its values, and the bar for it, if any."""

    COLUMNS = ("what", "median", "worst", "bar", "times")

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.rows: list[list[str]] = []
        self.records: list[dict[str, Any]] = []
        self._progress = progress

    def __call__(
        self, what: str, values: list[float], bar: float | None, unit: str = "s", key: str = ""
    ) -> None:
        """A row of median, worst and bar, and the figures behind it."""
        digits = 0 if unit in ("ms", "MB") else 2
        middle, worst = statistics.median(values), max(values)
        cells = [f"{value:,.{digits}f} {unit}" for value in (middle, worst)]
        self.rows.append([what, *cells, "" if bar is None else f"≤ {bar:g} {unit}", str(len(values))])
        self.records.append(
            {"name": key or what, "unit": unit, "values": values, "median": middle, "max": worst, "bar": bar}
        )
        self._progress(f"{what}: {cells[0]}")


class Bench:
    """A server that times itself and a page on it; ends every process it began."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.browser = browser
        self.runs = folder / "runs"
        self.runs.mkdir(parents=True)
        self.log = folder / "server.jsonl"

    def __enter__(self) -> Bench:
        self.server: Server = Server(self.runs, HERE / "timed_app.py", (str(self.log),))
        self.context = self.browser.new_context(viewport={"width": 1400, "height": 1000})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.add_init_script(CLOCK)
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()
        self.server.stop()
        for process in workers(self.runs):
            os.kill(process, 9)

    def open(self, address: str = "") -> None:
        """Load a page of the app and wait until it is drawn and at rest."""
        self.page.goto(f"{self.server.url}/{address}")
        self.page.locator(DRAWN).first.wait_for(state="attached")
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")

    def settle(self) -> None:
        """Wait until a worker and the UMAP process are there and nothing is being made ready any more."""
        self.open()
        _until(lambda: workers(self.runs) and len(self.helpers()) == len(HELPERS), 120)
        self.rest()

    def rest(self) -> None:
        """Wait until a worker waits for a run, and it, the UMAP process and the server are at rest."""
        _until(lambda: workers(self.runs), 60)
        quiet = 0
        while quiet < 3:
            before = self._cpu(every := [self.server.pid, *workers(self.runs), *self.helpers()])
            time.sleep(0.3)
            quiet = quiet + 1 if self._cpu(every) - before < 0.05 else 0

    def helpers(self) -> list[int]:
        """The processes of the server for UMAP and for the networks of runs."""
        return [pid for module in HELPERS.values() for pid in processes(module, self.runs)]

    def processor_time(self) -> float:
        """Seconds of processor time that the server and its helpers have used."""
        return self._cpu([self.server.pid, *self.helpers()])

    @staticmethod
    def _cpu(processes: list[int]) -> float:
        """Seconds of processor time that they have used."""
        total = 0
        for process in processes:
            try:
                fields = Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def time(self, act: Callable[[], object], *conditions: str) -> tuple[float, float]:
        """Seconds from the click within `act` until the condition is on the screen, and the longest frame until then.

        The conditions are JavaScript.
        """
        self.page.evaluate("condition => benchmark.arm(condition)", " && ".join(conditions))
        act()
        self.page.wait_for_function("() => benchmark.at !== null", polling=20)
        found = self.page.evaluate("() => [benchmark.at - benchmark.from, benchmark.worst]")
        return found[0] / 1000, found[1] / 1000

    def press(self, name: str) -> Callable[[], object]:
        """Clicks the button of this name."""
        return lambda: self.page.get_by_role("button", name=name, exact=True).first.click()

    def visit(self, name: str) -> Callable[[], object]:
        """Clicks this page in the menu."""
        return lambda: self.page.get_by_role("link", name=name).first.click()

    def begin(self) -> tuple[float, float]:
        """Start a run from the screen of the recorded run; as `time`, until its first loss."""
        self.used = workers(self.runs)
        return self.time(
            self.press("Start training"),
            CURVES,
            f"clock.inside('.curves', '.curves').dataset.run !== '{RECORDED}'",
            "!clock.inside('.curves', '[data-key=base] svg.plot').hasAttribute('hidden')",
        )

    def end_runs(self) -> None:
        """Stop the run that `begin` started, and wait until its process is gone."""
        from dans_lab.runs.run import list_runs

        for run in list_runs(self.runs):
            if run.is_live:
                run.request(stop=True)
        _until(lambda: not set(self.used) & set(workers(self.runs)), 30)

    def server_times(self, since: float) -> list[dict[str, Any]]:
        """What the server did since then."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["at"] >= since]


def _until(condition: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"something did not happen in {seconds} s")
        time.sleep(0.02)


def cold_start(browser: Browser, folder: Path) -> float:
    """Seconds from the start of a server's process to the painted curves, with runs in this folder."""
    runs = folder / "runs"
    runs.mkdir(parents=True)
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.add_init_script(f"{CLOCK}; benchmark.arm({json.dumps(CURVES)})")
    began = time.time()
    server = Server(runs)
    try:
        page.goto(server.url, wait_until="commit")
        page.wait_for_function("() => window.benchmark && benchmark.at !== null", polling=20, timeout=60_000)
        return float(page.evaluate("benchmark.at")) / 1000 - began
    finally:
        context.close()
        server.stop()
        for process in workers(runs):
            os.kill(process, 9)
