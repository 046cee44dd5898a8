"""A real server on a free port and a real Chromium, for tests that look at the app as a person does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.server import ARGUMENTS, CHROMIUM, Server, workers
from tests.browser.states import WATCH
from tests.waiting import PATIENCE

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
playwright_api.expect.set_options(timeout=1000 * PATIENCE)

__all__ = ["ARGUMENTS", "CHROMIUM", "Server", "workers"]


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    """An empty runs folder; its training processes are ended after the test."""
    folder = tmp_path / "runs"
    folder.mkdir()
    yield folder
    for process in workers(folder):
        os.kill(process, 9)


@pytest.fixture
def serve(runs: Path) -> Iterator[Callable[[], Server]]:
    """Start a fresh server; each call another one on the same runs."""
    started: list[Server] = []

    def start() -> Server:
        started.append(Server(runs))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[playwright_api.Browser]:
    """Chromium. Where there is none the test is skipped; with CI in the environment it fails."""
    if CHROMIUM is None:
        reason = "no chromium found; on Debian: apt install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with playwright_api.sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: playwright_api.Browser) -> Iterator[Callable[..., playwright_api.Page]]:
    """Open a page in a profile of its own, on a desktop unless told otherwise.

    The test fails if a script on one of them does, or if one asks another host for anything.
    """
    contexts: list[playwright_api.BrowserContext] = []
    problems: list[str] = []

    def opened(**look: Any) -> playwright_api.Page:
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 1000}, **look})
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


def _is_elsewhere(url: str) -> bool:
    return url.startswith(("http:", "https:", "ws:", "wss:")) and "//127.0.0.1:" not in url
