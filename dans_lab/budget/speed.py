"""How fast this machine trains, as a small file in the cache keeps it; nothing here needs torch.

`practice` measures it, in a worker that waits or in a terminal before a long run. A file of another machine, of another
torch or of another shape is passed over, and the log says so.
"""

from __future__ import annotations

import logging
import time
import zlib
from pathlib import Path

from pydantic import Field

from dans_core.config import Config
from dans_data.cache import cache_dir
from dans_data.errors import InputError
from dans_lab.budget import costs
from dans_lab.budget.sizes import Sizes
from dans_lab.runs import machine
from dans_lab.runs.records import Record, read, replace, to_json
from dans_lab.runs.writer import versions

FRESH = 3600.0
"""Seconds for which a measurement is not made again: a machine may be busier or thriftier later."""

SOON = 120.0
"""The same for the first provisional one. After it ever longer, as each takes some three seconds of a core that others
want as well, and a machine that is shared for good will not be found free."""

STEADY = 0.8
"""Share of the processor below which a practice was disturbed."""

_log = logging.getLogger(__name__)


class Slower(Record):
    """How many times as long as `costs` says a step takes: one of the base model alone, and one with the game.

    `share` is the part of that time in which the thread that trains had the processor, at its worst. On a machine where
    nothing else runs it is nearly 1, and times it each step would have taken there.
    """

    base: float = Field(default=1.0, gt=0)
    game: float = Field(default=1.0, gt=0)
    share: float = Field(default=1.0, ge=0, le=1)

    @property
    def provisional(self) -> bool:
        """Whether other work kept the thread waiting: for now, or always, as on a core that is shared out."""
        return self.share < STEADY


class Speed(Record):
    """What was measured: `small` and `large` graphs, told apart by how their messages are made (`costs.are_sparse`).

    `machine` as `machine.name` has it, `device` as runs record it, `measured` the time in seconds since 1970;
    `disturbed` since when all measurements were provisional, None where this one is not.
    """

    machine: str
    torch: str
    device: str
    measured: float
    small: Slower
    large: Slower
    disturbed: float | None = Field(default=None, gt=0)

    @property
    def provisional(self) -> bool:
        """Whether other work kept a part of it waiting."""
        return self.small.provisional or self.large.provisional

    def of(self, config: Config, sizes: Sizes) -> Slower:
        """What holds for a run with these settings on a graph of these sizes."""
        return self.large if costs.are_sparse(config, sizes.entities) else self.small


def here(threads: int | None = None, device: str | None = None) -> Speed | None:
    """What was measured on this machine with so many threads (None: those of a new process); None before it was.

    `device` (None: whatever a new process takes) must be the one that was measured.
    """
    path = _file(machine.name(threads))
    if not path.exists():
        return None
    try:
        found = read(path, Speed)
    except InputError as error:
        _log.warning("ignored: %s", error)
        return None
    known = found.machine, found.torch, device or found.device
    if known != (machine.name(threads), versions()["torch"], found.device):
        _log.info("ignored: %s is of another machine, torch or device", path)
        return None
    return found


def is_fresh(speed: Speed) -> bool:
    """Whether a measurement need not be made again yet."""
    lasts = FRESH
    if speed.provisional:
        disturbed = speed.measured - (speed.disturbed or speed.measured)
        lasts = min(FRESH, max(SOON, disturbed))
    return abs(time.time() - speed.measured) < lasts


def keep(speed: Speed) -> None:
    """Replace what is known of this machine; where the folder cannot be written, the log says so."""
    path = _file(speed.machine)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, to_json(speed))
    except OSError as error:
        _log.warning("%s cannot be written (%s)", path, error.strerror)


def _file(name: str) -> Path:
    """A file for each machine, as several may share a person's folders."""
    return cache_dir() / "speed" / f"{zlib.crc32(name.encode()):08x}.json"
