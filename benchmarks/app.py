"""How quickly the app answers: a real server and a real browser, timed from the click to the painted frame.

Streamlit also runs this file, in place of app.py, to time what the server does for each click and tick.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.server import ARGUMENTS, CHROMIUM, ROOT, Server, processes, workers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from benchmarks.report import Section
COLD, CLICKS, ASKS, SWITCHES, REDRAWS, FITS = 5, 10, 5, 3, 10, 3
"""How often each thing is done."""

HELPERS = {"UMAP": "dans_app.projection", "torch": "dans_app.inspecting"}

RECORDED = "umls-complex-dans"

# Looks at every frame. A condition that holds in one frame is on the screen when the next begins.
CLOCK = """
(() => {
  const clock = { from: null, at: null, seen: null, worst: 0, condition: null, host: null, last: performance.now() }
  const now = (clock.now = () => performance.timeOrigin + performance.now())
  // Custom components live in shadow roots, which querySelector does not enter.
  clock.curves = (selector) => {
    if (!clock.host || !clock.host.isConnected || !clock.host.shadowRoot.querySelector(".curves"))
      clock.host = [...document.querySelectorAll("*")].find((e) => e.shadowRoot?.querySelector(".curves"))
    return clock.host ? clock.host.shadowRoot.querySelector(selector) : null
  }
  clock.says = (text) => document.body && document.body.innerText.includes(text)
  clock.arm = (condition) => {
    Object.assign(clock, { from: null, at: null, soon: null, seen: null, worst: 0 })
    clock.condition = new Function("clock", `return ${condition}`)
  }
  for (const kind of ["click", "keydown"])
    document.addEventListener(kind, (e) => { if (kind === "click" || e.key === "Enter") clock.from ??= now() }, true)
  const look = () => {
    const here = performance.now()
    if (clock.from !== null && clock.at === null) clock.worst = Math.max(clock.worst, here - clock.last)
    clock.last = here
    if (clock.seen && clock.at === null) clock.at = now()
    else if (clock.condition && clock.at === null && clock.condition(clock)) clock.seen = true
    requestAnimationFrame(look)
  }
  requestAnimationFrame(look)
  window.benchmark = clock
})()
"""

CURVES = "clock.curves('[data-key=base] svg.plot path.line')"


def measure(progress: Callable[[str], None]) -> Section:
    """All figures of the app on this machine; takes some minutes and a Chromium."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        raise SystemExit("error: no Chromium found; on Debian: apt-get install chromium")
    rows: list[list[str]] = []
    records: list[dict[str, Any]] = []

    def tell(what: str, values: list[float], bar: float | None, unit: str = "s", key: str = "") -> None:
        """A row of median, worst and bar, and the figures behind it."""
        digits = 0 if unit in ("ms", "MB") else 2
        middle, worst = statistics.median(values), max(values)
        cells = [f"{value:,.{digits}f} {unit}" for value in (middle, worst)]
        rows.append([what, *cells, "" if bar is None else f"≤ {bar:g} {unit}", str(len(values))])
        records.append(
            {"name": key or what, "unit": unit, "values": values, "median": middle, "max": worst, "bar": bar}
        )
        progress(f"{what}: {cells[0]}")

    # Not in the system's folder for temporary files, which may be in memory.
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            tell("Cold start to the painted curves of the recorded run",
                 [_cold_start(browser, Path(folder) / f"cold-{n}") for n in range(COLD)], 3.0)  # fmt: skip
            with _Bench(browser, Path(folder) / "warm") as bench:
                bench.settle()
                _starts(bench, tell)
                _ticks(bench, tell)
                _asks(bench, tell)
                _switches(bench, tell)
                _map(bench, tell)
                _memory(bench, tell)
        finally:
            browser.close()

    from benchmarks.report import Section

    return Section(
        "app",
        "The app: from the click to the screen",
        "A real server with a run folder of its own and a real Chromium on the same machine; times are from the "
        "click, or the start of the server's process, to the first frame with the new content. Disk caches are "
        f"warm, the runs are on {RECORDED.split('-')[0].upper()} with the default settings.",
        ["what", "median", "worst", "bar", "times"],
        rows,
        records,
    )


Tell = Callable[..., None]


class _Bench:
    """A server that times itself and a page on it; ends every process it began."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self.browser = browser
        self.runs = folder / "runs"
        self.runs.mkdir(parents=True)
        self.log = folder / "server.jsonl"

    def __enter__(self) -> _Bench:
        self.server: Server = Server(self.runs, Path(__file__), (str(self.log),))
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
        self.page.locator("svg.plot path.line, .js-plotly-plot .points path").first.wait_for(state="attached")
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
            f"clock.curves('.curves').dataset.run !== '{RECORDED}'",
            "!clock.curves('[data-key=base] svg.plot').hasAttribute('hidden')",
        )

    def end_runs(self) -> None:
        """Stop the run that `begin` started, and wait until its process is gone."""
        from dans_core.runs import list_runs

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


def _cold_start(browser: Browser, folder: Path) -> float:
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


def _starts(bench: _Bench, tell: Tell) -> None:
    times, frames = [], []
    for _ in range(CLICKS):
        bench.open(f"?run={RECORDED}")
        bench.rest()
        seconds, worst = bench.begin()
        times.append(seconds)
        frames.append(worst)
        bench.end_runs()
    tell("Click on Start training to the first loss", times, 0.5)
    tell("… longest frame meanwhile", frames, 0.3)


def _ticks(bench: _Bench, tell: Tell) -> None:
    bench.open(f"?run={RECORDED}")
    bench.rest()
    bench.begin()
    # The first second belongs to the start.
    time.sleep(1.0)
    since = time.time()
    time.sleep(10.0)
    ticks = [line for line in bench.server_times(since) if line["tick"]]
    bench.end_runs()
    tell("A live tick in the server", [1000 * line["wall"] for line in ticks], 50, "ms")
    tell("… of processor time", [1000 * line["cpu"] for line in ticks], 50, "ms")


def _asks(bench: _Bench, tell: Tell) -> None:
    found: dict[str, list[float]] = {"Pausing": [], "Paused": [], "Stopping": [], "Stopped": []}
    for _ in range(ASKS):
        bench.open(f"?run={RECORDED}")
        bench.rest()
        bench.begin()
        time.sleep(1.5)
        for button, soon, done in (("Pause", "Pausing", "Paused"), ("Stop", "Stopping", "Stopped")):
            # It may be done before the word that it will be could be drawn.
            seconds, _ = bench.time(
                bench.press(button),
                f"((clock.says('{soon} at') || clock.says('{done} at')) && (clock.soon ??= clock.now()), "
                f"clock.says('{done} at'))",
            )
            found[done].append(seconds)
            found[soon].append(bench.page.evaluate("benchmark.soon - benchmark.from") / 1000)
            time.sleep(0.5)
        bench.end_runs()
    tell("Click on Pause to “Pausing”", found["Pausing"], 0.3)
    tell("… to “Paused”", found["Paused"], 0.5)
    tell("Click on Stop to “Stopping”", found["Stopping"], 0.3)
    tell("… to “Stopped”", found["Stopped"], 0.5)


_CHART = "document.querySelector('.js-plotly-plot .points path')"
PAGES = {
    name: f"document.querySelector('h1')?.innerText === '{name}' && {content}"
    for name, content in (("Map", _CHART), ("Triplet", _CHART), ("Train", CURVES))
}


def _switches(bench: _Bench, tell: Tell) -> None:
    """From page to page while a run trains: the first visit of each, then the others."""
    bench.open(f"?run={RECORDED}&epochs=3000")
    bench.rest()
    bench.begin()
    time.sleep(3.0)
    first: dict[str, float] = {}
    later: dict[str, list[float]] = {name: [] for name in PAGES}
    frames: list[float] = []
    since = time.time()
    for round_ in range(1 + SWITCHES):
        for name, condition in PAGES.items():
            seconds, worst = bench.time(bench.visit(name), condition)
            frames.append(worst)
            if round_:
                later[name].append(seconds)
            else:
                first[name] = seconds
            time.sleep(1.0)
    ticks = [line["wall"] for line in bench.server_times(since) if line["tick"]]
    bench.end_runs()
    for name in PAGES:
        tell(f"To the page {name} while a run trains, first visit", [first[name]], None)
        tell("… later", later[name], None)
    tell("Longest frame of the browser in these switches", frames, 0.3)
    tell("Ticks in the server meanwhile", [1000 * tick for tick in ticks], 300, "ms")


def _map(bench: _Bench, tell: Tell) -> None:
    from dans_app import projection
    from dans_app.snapshots import Frame
    from dans_core import KnowledgeGraph
    from dans_core.runs import open_run

    page = bench.page
    times = []
    bench.open(f"map?run={RECORDED}&projection=pca&relation=affects")
    bench.rest()
    for number in range(REDRAWS):
        name = ("causes", "affects")[number % 2]
        box = page.get_by_role("combobox", name="Relation")
        box.click()
        box.fill(name)
        page.get_by_role("option", name=name, exact=True).first.wait_for()
        seconds, _ = bench.time(
            lambda: page.keyboard.press("Enter"),
            f"document.querySelector('[aria-label*=\"Map of {name} at\"]')",
        )
        times.append(seconds)
        page.wait_for_timeout(300)
    tell("Another relation on the map", times, 0.3)

    run = open_run(RECORDED)
    kg = KnowledgeGraph.load("umls")
    frame = Frame.of(run.load_snapshot(run.snapshots()[-1][0]), kg.num_entities, kg.num_relations)
    flat = projection.pca(frame.groups, trust=False)
    began = time.perf_counter()
    projection.umap_aside(frame.groups, flat.points)
    tell("Joint UMAP of a snapshot, process started for it", [time.perf_counter() - began], None)
    fits = []
    for _ in range(FITS):
        began = time.perf_counter()
        projection.umap_aside(frame.groups, flat.points)
        fits.append(time.perf_counter() - began)
    tell(f"… process warm ({frame.size:,} points)", fits, 3.0)


def _memory(bench: _Bench, tell: Tell) -> None:
    def megabytes(process: int) -> float:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    bench.rest()
    tell("Memory of the server after all this", [megabytes(bench.server.pid)], None, "MB")
    tell("Memory of a waiting worker", [megabytes(pid) for pid in workers(bench.runs)][:1], None, "MB")
    for what, module in HELPERS.items():
        tell(
            f"Memory of its process for {what}",
            [megabytes(pid) for pid in processes(module, bench.runs)],
            None,
            "MB",
        )


def _timed_app(log: Path) -> None:
    """app.py, in a server that writes to `log` how long each of its script runs took."""
    import runpy

    from streamlit.runtime.scriptrunner.script_runner import ScriptRunner

    plain = ScriptRunner._run_script
    if marks := getattr(plain, "marks", None):
        marks.whole = True
        runpy.run_path(str(ROOT / "app.py"), run_name="__main__")
        return
    # Whether the script was run from its beginning, since a tick may end with that.
    marks = threading.local()

    def timed(self: ScriptRunner, rerun: Any) -> None:
        marks.whole = False
        at, wall, cpu = time.time(), time.perf_counter(), time.thread_time()
        try:
            plain(self, rerun)
        finally:
            line = {
                "at": at,
                "wall": time.perf_counter() - wall,
                "cpu": time.thread_time() - cpu,
                "tick": bool(rerun.fragment_id_queue) and not marks.whole,
            }
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")

    timed.marks = marks  # type: ignore[attr-defined]
    ScriptRunner._run_script = timed  # type: ignore[method-assign]
    runpy.run_path(str(ROOT / "app.py"), run_name="__main__")


if __name__ == "__main__":
    _timed_app(Path(sys.argv[1]))
