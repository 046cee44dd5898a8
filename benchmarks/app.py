"""How quickly the app answers: a real server and a real browser, timed from the click to the painted frame."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.app_page import CURVES, HELPERS, RECORDED, Bench, Rows, cold_start
from benchmarks.report import Section
from tests.browser.server import ARGUMENTS, CHROMIUM, processes, workers

COLD, CLICKS, ASKS, SWITCHES, REDRAWS, FITS = 5, 10, 5, 3, 10, 3
"""How often each thing is done."""

SNAPSHOTS = 13
"""As many as a run with the default settings keeps."""


def measure(progress: Callable[[str], None]) -> Section:
    """All figures of the app on this machine; takes some minutes and a Chromium."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        raise SystemExit("error: no Chromium found; on Debian: apt-get install chromium")
    tell = Rows(progress)
    # Not in the system's folder for temporary files, which may be in memory.
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            tell("Cold start to the painted curves of the recorded run",
                 [cold_start(browser, Path(folder) / f"cold-{n}") for n in range(COLD)], 3.0)  # fmt: skip
            with Bench(browser, Path(folder) / "warm") as bench:
                bench.settle()
                _starts(bench, tell)
                _ticks(bench, tell)
                _asks(bench, tell)
                _switches(bench, tell)
                _map(bench, tell)
                _memory(bench, tell)
        finally:
            browser.close()

    return Section(
        "app",
        "The app: from the click to the screen",
        "A real server with a run folder of its own and a real Chromium on the same machine; times are from the "
        "click, or the start of the server's process, to the first frame with the new content. Disk caches are "
        f"warm, the runs are on {RECORDED.split('-')[0].upper()} with the default settings. A bar is for the median "
        f"(of {COLD} cold starts, of {CLICKS} first losses), in the rows of the longest frame for the worst.",
        list(tell.COLUMNS),
        tell.rows,
        tell.records,
    )


def _starts(bench: Bench, tell: Rows) -> None:
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


def _ticks(bench: Bench, tell: Rows) -> None:
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


def _asks(bench: Bench, tell: Rows) -> None:
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
_MAP = "clock.inside('.map', 'canvas.canvas[aria-label]')"
PAGES = {
    name: f"document.querySelector('h1')?.innerText === '{name}' && {content}"
    for name, content in (("Map", _MAP), ("Triplet", _CHART), ("Train", CURVES))
}


def _switches(bench: Bench, tell: Rows) -> None:
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


def _map(bench: Bench, tell: Rows) -> None:
    from dans_core import KnowledgeGraph
    from dans_lab.map import projection
    from dans_lab.runs.frames import Frame
    from dans_lab.runs.run import list_runs

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
            f"clock.inside('.map', '[aria-label*=\"Map of {name} at\"]')",
        )
        times.append(seconds)
        page.wait_for_timeout(300)
    tell("Another relation on the map", times, 0.2)

    # The recorded run keeps some queries only; one that was trained here keeps all.
    run = max(list_runs(bench.runs), key=lambda run: len(run.snapshots()))
    kg = KnowledgeGraph.load("umls")
    frames = [
        Frame.of(run.load_snapshot(epoch), kg.num_entities, kg.num_relations)
        for epoch, _ in run.snapshots()[:SNAPSHOTS]
    ]
    times = []
    for _ in range(REDRAWS):
        began = time.perf_counter()
        axes = projection.Axes.of([projection.Moments.of(frame.groups) for frame in frames])
        points = np.stack([np.concatenate(frame.groups) for frame in frames])
        start = np.stack([axes.place(each) for each in points])
        times.append(time.perf_counter() - began)
    tell(f"PCA of all {len(frames)} snapshots together", times, 0.3)
    rows = np.arange(points.shape[1])

    def fit(part: slice) -> float:
        began = time.perf_counter()
        projection.fit_in_helper("umap", run_epochs[part], rows, points[part], start[part])
        return time.perf_counter() - began

    run_epochs = [frame.epoch for frame in frames]
    tell("Joint UMAP of a snapshot, process started for it", [fit(slice(-1, None))], None)
    tell(f"… process warm ({len(rows):,} points)", [fit(slice(-1, None)) for _ in range(FITS)], 3.0)
    tell(f"… of all {len(frames)} snapshots together", [fit(slice(None)) for _ in range(FITS)], None)


def _memory(bench: Bench, tell: Rows) -> None:
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
