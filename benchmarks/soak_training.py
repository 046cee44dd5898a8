"""What a process of `soak_kills` does: train a run on, and perhaps be killed at the nth thing it does to a file."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from dans_core.training import Trainer
from dans_lab.runs import drive, process
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter

WRITES = ("open", "os.rename", "os.truncate", "os.remove")
"""What Python tells an audit hook of before it is done to a file."""


def train(path: str, trap: int | None) -> None:
    """Train the run in this folder to its end; with a `trap`, be killed at the so-manyth thing done to its files."""
    process.prepare()
    # So that there are several checkpoints in some seconds of training.
    drive.CHECKPOINT_EVERY = drive.BEST_EVERY = 0.05
    run = Run(Path(path))
    if trap is not None:
        _set(trap, path)
    with RunWriter.reopen(run.path) as writer:
        drive.drive(writer, Trainer(run.load_kg(), run.config), lambda: False)


def _set(trap: int, folder: str) -> None:
    left = [trap]

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event in WRITES and str(given[0]).startswith(folder):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
