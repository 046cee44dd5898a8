"""`streamlit run` on a free port with runs of its own, for browser tests, pictures and measurements."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-headless-shell") or shutil.which("google-chrome")
)
WITHOUT_WINDOWS = shutil.which("chromium-headless-shell") or CHROMIUM
"""The same engine without windows, for less than half the processor's time."""

DRAWN = (
    "svg.plot path.line, svg [role=button], canvas.canvas[aria-label], .js-plotly-plot .points path, "
    "[data-testid=stDataFrame]"
)
"""What a screen has once it shows something."""

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
    """`streamlit run app.py` with runs of its own; `url` is where it answers, `pid` its process."""

    def __init__(
        self,
        runs: Path,
        script: Path = ROOT / "app.py",
        arguments: tuple[str, ...] = (),
        serve: tuple[str, ...] | None = None,
        port: int = 0,
        **environment: str,
    ) -> None:
        """Another `script` that runs app.py gets `arguments`; with `serve` it is that command, with these options.

        Without `port` it takes a free one. RuntimeError where no server comes up.
        """
        self.runs = runs
        port = port or free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = (runs.parent / f"server-{port}.log").open("wb")
        self._forgotten = 0
        options = ["--server.headless=true", f"--server.port={port}"]
        command = ["streamlit", "run", str(script), *options, "--", *arguments]
        if serve is not None:
            command = ["dans_core", "serve", "--port", str(port), *serve]
        self._command = [sys.executable, "-m", *command]
        self._environment = {**os.environ, "DANS_RUNS_DIR": str(runs), **environment}
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdout=self._log, stderr=subprocess.STDOUT
        )
        try:
            self._wait_until_up()
        except BaseException:
            self.stop(kill=True)
            raise

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def _wait_until_up(self, seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2):
                    return
            except urllib.error.HTTPError as answer:
                # A shared server says no more to those who are not in.
                if answer.code in (401, 403):
                    return
                raise
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        raise RuntimeError(f"the server did not answer in {seconds} s:\n{self.log()}")

    def log(self) -> str:
        """What the server said, since `forget_log` if that was called."""
        return Path(self._log.name).read_bytes()[self._forgotten :].decode(errors="replace")

    def forget_log(self) -> None:
        """Leave what the server has said so far out of `log`."""
        self._forgotten = Path(self._log.name).stat().st_size

    def restart(self, away: float) -> float:
        """Kill it, and so many seconds later start it where it was; seconds that this took. Its log goes on."""
        self._process.kill()
        self._process.wait(timeout=PATIENCE)
        time.sleep(away)
        began = time.monotonic()
        self._start()
        return time.monotonic() - began

    def stop(self, kill: bool = False) -> None:
        """End the server, by force if `kill`; calling it again does nothing."""
        if self._process.poll() is None:
            self._process.kill() if kill else self._process.terminate()
            self._process.wait(timeout=PATIENCE)
        self._log.close()


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def processes(module: str, runs: Path) -> list[int]:
    """Ids of the processes that run this Python module for servers or terminals with this runs folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if module.encode() in command and f"DANS_RUNS_DIR={runs}\0".encode() in environment + b"\0":
            found.append(int(folder.name))
    return found


def workers(runs: Path) -> list[int]:
    """Process ids of the training processes, waiting ones too, that write below `runs`."""
    return processes("dans_lab.worker", runs)
