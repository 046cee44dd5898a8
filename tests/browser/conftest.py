"""A real server on a free port and a real Chromium, for tests that look at the app as a person does."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dans_data import own
from dans_lab.runs.run import list_runs
from dans_lab.runs.trash import CACHE
from tests.browser.server import ARGUMENTS, WITHOUT_WINDOWS, Server, processes
from tests.browser.states import WATCH
from tests.waiting import PATIENCE, wait_for

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
SCREENS_FIRST = {"DANS_GIVE_WAY": "1"}
"""Two processors share themselves out by processes: with runs that train as others do, nothing is left to a browser."""

playwright_api.expect.set_options(timeout=1000 * PATIENCE)


@pytest.fixture(scope="session")
def long_lived_server(tmp_path_factory: pytest.TempPathFactory, a_cache_of_its_own: None) -> Iterator[Server]:
    """The server of all tests that do not need a fresh one: to start one takes seconds, and UMAP and torch with it."""
    folder = tmp_path_factory.mktemp("server") / "runs"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("DANS_DATA_DIR", "DANS_LIMITS"):
            patch.delenv(variable, raising=False)
        started = Server(folder, **SCREENS_FIRST)
    yield started
    started.stop()
    _end_processes(folder)


@pytest.fixture
def server(long_lived_server: Server) -> Server:
    """A server without runs, studies and data sets of one's own; a test puts what it needs into `server.runs`."""
    runs = long_lived_server.runs
    under_way = [run for run in list_runs(runs) if run.status.live or run.status.state == "queued"]
    for run in under_way:
        run.request(stop=True)
    for run in under_way:
        wait_for(lambda run=run: not run.status.live and run.status.state != "queued", f"the end of {run.id}")
    # Here and not after the test, when its pages may still be open.
    for left in runs.iterdir():
        if left.is_dir() and left.name != CACHE:
            shutil.rmtree(left)
        elif left.is_file():
            left.unlink()
    for name in own.names():
        own.remove(name)
    long_lived_server.forget_log()
    return long_lived_server


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    """An empty runs folder for servers of the test's own; all their processes are ended after the test."""
    folder = tmp_path / "runs"
    folder.mkdir()
    yield folder
    _end_processes(folder)


@pytest.fixture
def serve(runs: Path) -> Iterator[Callable[[], Server]]:
    """Start a fresh server; each call another one on the same runs."""
    started: list[Server] = []

    def start() -> Server:
        started.append(Server(runs, **SCREENS_FIRST))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def _end_processes(runs: Path) -> None:
    """End what trains below `runs`, and what servers on it had beside them, which may still be importing torch."""
    for module in ("dans_lab.worker", "dans_app.server.fitting", "dans_app.server.inspecting"):
        for process in processes(module, runs):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, 9)


@pytest.fixture(scope="session")
def browser() -> Iterator[playwright_api.Browser]:
    """Chromium. Where there is none the test is skipped; with CI in the environment it fails."""
    if WITHOUT_WINDOWS is None:
        reason = "no chromium found; on Debian: apt install chromium-headless-shell"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with playwright_api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=WITHOUT_WINDOWS, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: playwright_api.Browser) -> Iterator[Callable[..., playwright_api.Page]]:
    """Open a page in a profile of its own, on a desktop of someone who asks for less motion unless told otherwise.

    What moves for seconds at each first visit would take the processor from what is looked at. The test fails if a
    script on one of them does, or if one asks another host for anything.
    """
    contexts: list[playwright_api.BrowserContext] = []
    problems: list[str] = []

    def opened(**look: Any) -> playwright_api.Page:
        usual = {"viewport": {"width": 1400, "height": 1000}, "reduced_motion": "reduce"}
        context = browser.new_context(**usual | look)
        contexts.append(context)
        context.set_default_timeout(1000 * PATIENCE)
        context.add_init_script(WATCH)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request", lambda request: problems.append(request.url) if _is_elsewhere(request.url) else None
        )
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture
def page(open_page: Callable[..., playwright_api.Page]) -> playwright_api.Page:
    """A desktop page."""
    return open_page()


@pytest.fixture
def moving_page(open_page: Callable[..., playwright_api.Page]) -> playwright_api.Page:
    """A desktop page on which things move, as they do for most."""
    return open_page(reduced_motion="no-preference")


def _is_elsewhere(url: str) -> bool:
    return url.startswith(("http:", "https:", "ws:", "wss:")) and "//127.0.0.1:" not in url
