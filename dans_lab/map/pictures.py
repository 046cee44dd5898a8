"""Which snapshots of a run make its map, which of their points are placed, and where the pictures of them are kept.

Plain numpy, without torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dans_data.errors import InputError
from dans_lab.map.projection import LARGEST, LARGEST_JOINT, Rows, sample_rows
from dans_lab.runs import bounded
from dans_lab.runs.frames import Frame
from dans_lab.runs.run import Run, runs_dir
from dans_lab.runs.trash import CACHE, PICTURES

MOST_SNAPSHOTS = 40
"""Snapshots of a run in one map."""

MOST_NUMBERS = 64_000_000
"""Numbers of all its snapshots held in memory for a map, 4 bytes each."""

MOST_PLACES = 80_000
"""Points of all snapshots in the map of a large graph, each of which holds a sample; UMAP places them in a minute."""


def shown_epochs(epochs: Sequence[int], size: int, dim: int, whole: bool = False) -> list[int]:
    """Those snapshots of a run that its map holds: all, or evenly some and the newest, so that they fit in memory.

    Every second, fourth, eighth …, so that those on the map stay there for long while a run adds to them. `whole` says
    that all points of each are placed, however many they are.
    """
    most = max(2, min(MOST_SNAPSHOTS, MOST_NUMBERS // (size * dim)))
    if whole:
        most = max(2, min(most, MOST_PLACES // size))
    step = 1
    while len(epochs[:-1:step]) + 1 > most:
        step *= 2
    return [*epochs[:-1:step], *epochs[-1:]]


def check_alike(frames: Sequence[Frame]) -> None:
    """Raises InputError where one of these snapshots is of other queries than the last one."""
    for each in frames:
        if each.size != frames[-1].size or not np.array_equal(each.queries, frames[-1].queries):
            raise InputError(
                f"its snapshots of epochs {each.epoch} and {frames[-1].epoch} hold other queries"
            )


def placed_rows(frames: Sequence[Frame], focus: Rows) -> Rows:
    """Which points of these snapshots are placed; where they are too many, those of `focus` come first.

    A sample of a large graph is placed whole, so that one picture serves all relations.
    """
    size = frames[-1].size
    limit = size if frames[-1].is_sample else min(LARGEST, LARGEST_JOINT // len(frames))
    return sample_rows(size, focus, limit)


def folders(run: Run) -> list[Path]:
    """Where pictures of a run are kept: the cache, then what a recorded run ships."""
    settings = hashlib.sha256(bounded.content(run.path / "config.json")).hexdigest()[:8]
    return [runs_dir() / CACHE / PICTURES / f"{run.id}-{settings}", run.path / "projections"]


def content_of(run: Run, epoch: int) -> bytes:
    """What tells one writing of a snapshot from any other; part of the key of each picture that shows it."""
    file = run.path / "snapshots" / f"{epoch:06d}.npz"
    return hashlib.sha256(bounded.content(file, bounded.ARRAY_BYTES)).digest()
