"""A real server on a free port and a real Chromium, for tests that look at the app as a person does."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-headless-shell") or shutil.which("google-chrome")
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Server:
    """`streamlit run app.py` with runs of its own; `url` is where it answers."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = (runs.parent / f"server-{port}.log").open("wb")
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "streamlit",
                "run",
                "app.py",
                "--server.headless=true",
                f"--server.port={port}",
            ],
            cwd=ROOT,
            env={**os.environ, "DANS_RUNS_DIR": str(runs)},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait_until_up()

    def _wait_until_up(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self._process.poll() is None, self.log()
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        pytest.fail(f"the server did not answer in {seconds} s:\n{self.log()}")

    def log(self) -> str:
        """What the server said."""
        return Path(self._log.name).read_text(errors="replace")

    def stop(self, kill: bool = False) -> None:
        """End the server, by force if `kill`; calling it again does nothing."""
        if self._process.poll() is None:
            self._process.kill() if kill else self._process.terminate()
            self._process.wait(timeout=20)
        self._log.close()


def workers(runs: Path) -> list[int]:
    """Process ids of the training processes that write below `runs`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"dans_core.worker" in command and f"DANS_RUNS_DIR={runs}\0".encode() in environment + b"\0":
            found.append(int(folder.name))
    return found


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
def page(browser: playwright_api.Browser) -> Iterator[playwright_api.Page]:
    """A desktop page; the test fails if a script on it does, or if it asks another host for anything."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(60_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.append(request.url) if _is_elsewhere(request.url) else None)
    yield page
    context.close()
    assert not problems


def _is_elsewhere(url: str) -> bool:
    return url.startswith(("http:", "https:", "ws:", "wss:")) and "//127.0.0.1:" not in url
