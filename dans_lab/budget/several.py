"""What many runs will take together on this machine, from what each of them will; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from dans_core.config import Config
from dans_lab.budget.estimates import NEARLY
from dans_lab.budget.experience import Basis, Experience

SURE: dict[Basis, float] = {"runs": 1.5, "practice": 1.5, "busy": 2.0, "formulas": 3.0}
"""By what factor the time may be wrong either way, by what it rests on.

*Measured* by `python -m benchmarks estimates`: 1.04 to 1.18 after practice on an idle machine, where the bar is 1.5,
and 1.5 to 1.6 by the formulas alone, on a machine much like that of the formulas.
"""

_WEAKEST_LAST: tuple[Basis, ...] = get_args(Basis)


@dataclass(frozen=True)
class Forecast:
    """What `runs` runs take, `size` at a time, each a process of one thread.

    Attributes:
        seconds: from the first start to the last end; `free_seconds` those with no other work on this machine.
        disk_bytes: of all of them. memory_bytes: of the largest at its peak.
        basis: the weakest of what the times of the runs rest on.
    """

    runs: int
    size: int
    seconds: float
    free_seconds: float
    disk_bytes: int
    memory_bytes: int
    basis: Basis

    @property
    def between(self) -> tuple[float, float]:
        """The seconds that it will most likely take at least and at most."""
        return self.seconds / SURE[self.basis], self.seconds * SURE[self.basis]


def forecast(
    kinds: Sequence[Config], seeds: int, experience: Experience, cores: int, free: int | None
) -> Forecast:
    """What so many seeds of each of these kinds take on so many cores, with so many bytes free (None: enough)."""
    each = [experience.expect(config) for config in kinds]
    memory = max(told.need.memory_bytes for told in each)
    size = min(at_a_time(memory, cores, free), seeds * len(kinds))
    return Forecast(
        runs=seeds * len(kinds),
        size=size,
        seconds=together([told.need.run_seconds for told in each for _ in range(seeds)], size),
        free_seconds=together([told.free_seconds for told in each for _ in range(seeds)], size),
        disk_bytes=seeds * sum(told.need.disk_bytes for told in each),
        memory_bytes=memory,
        basis=max((told.basis for told in each), key=_WEAKEST_LAST.index),
    )


def at_a_time(memory: int, cores: int, free: int | None) -> int:
    """How many runs of at most so many bytes: one a core, or as many as the free memory holds; at least one."""
    return cores if free is None else max(1, min(cores, int(NEARLY * free / memory)))


def together(seconds: Iterable[float], size: int) -> float:
    """How long runs of these lengths take, `size` at a time: not less than the longest of them."""
    lengths = list(seconds)
    return max(sum(lengths) / size, max(lengths, default=0.0))
