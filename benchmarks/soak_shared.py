"""The server of the long test, shared as one is with a class, and runs that train beside it as its workers do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dans_lab.runs.run import RUNS_DIR_VARIABLE, list_runs
from tests.browser.server import ROOT, Server

WHO = {"X-Remote-User": "someone"}
"""What a reverse proxy in front of it would say of those who come."""

_WAY_IN = ("--behind-proxy", "127.0.0.1", "--user-header", "X-Remote-User", "--usual-role", "teacher")

_GIVES_WAY = """
import sys
from dans_lab.runs import process
from dans_lab.start import main
from dans_lab.worker import COURTESY

process.give_way(COURTESY)
sys.exit(main())
"""


def serve(runs: Path) -> Server:
    """A server for others, behind a reverse proxy: who does not say `WHO` comes is not let in."""
    return Server(runs, serve=_WAY_IN)


@contextmanager
def training(runs: Path, name: str, *settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that trains a run of this name with these settings, and gives way as a shared server's workers do.

    At the end it is killed, unless it has ended.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _GIVES_WAY, "train", *settings, "--out", name, "--json"],
        cwd=ROOT,
        env={**os.environ, RUNS_DIR_VARIABLE: str(runs)},
        stdout=subprocess.DEVNULL,
        # By sessions the system may share out its processor before it looks at processes.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def moves(runs: Path, name: str, trains: subprocess.Popen[bytes]) -> bool:
    """Whether this run has got beyond its first epoch; RuntimeError where its process has ended."""
    if trains.poll() is not None:
        raise RuntimeError(f"the run that is watched ended by itself, with {trains.returncode}")
    return any(run.status.epoch > 0 for run in list_runs(runs) if run.id == name)
