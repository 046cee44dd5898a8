"""What a run will take on this machine, from all that is known of it: finished runs, practice, and the formulas.

Nothing here needs torch.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from dans_core.config import Config
from dans_lab.budget import speed
from dans_lab.budget.estimates import Need, predict
from dans_lab.budget.sizes import Sizes
from dans_lab.runs import machine
from dans_lab.runs.run import Run
from dans_lab.runs.writer import versions

Basis = Literal["runs", "practice", "busy", "formulas"]
"""What a time rests on: finished runs of the same kind, practice, practice beside other work, or the formulas alone."""

_NEAREST = 3
"""Finished runs that tell how long such a run takes, at most."""


@dataclass(frozen=True)
class Expected:
    """What a run will take, and what its times rest on; `share` is the part of the processor that it is to get."""

    need: Need
    basis: Basis
    share: float = 1.0

    @property
    def free_seconds(self) -> float:
        """What the run would take had it the processor to itself, in seconds."""
        return self.share * self.need.run_seconds


class Experience:
    """What is known here of runs on one graph, looked up once for as many settings as are asked about."""

    def __init__(
        self,
        sizes: Sizes,
        data_hash: str,
        runs: Iterable[Run],
        threads: int | None = None,
        device: str | None = None,
    ) -> None:
        """Of `runs`, those tell that finished on the same data, on this machine and with this torch.

        They were trained with so many threads (None: those of a new process) on this device (None: the one it
        practised on).
        """
        self._sizes, self._known = sizes, speed.here(threads, device)
        device = device or (self._known.device if self._known else None)
        place = data_hash, machine.name(threads), versions()["torch"], "1"
        self._said: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for run in runs:
            meta, its = run.meta, run.config
            if (meta.hash, meta.machine, meta.versions.get("torch"), meta.processes) != place:
                continue
            status = run.stored_status
            if status.state == "finished" and device in (None, meta.device):
                said = predict(its, sizes, self._known).run_seconds
                self._said.setdefault((its.decoder, its.sampler), []).append((said, status.seconds / said))

    def expect(self, config: Config) -> Expected:
        """What a run with these settings will take here.

        Finished runs with the same decoder and sampler tell first, the nearest by their length; then practice, then the
        formulas alone.
        """
        need = predict(config, self._sizes, self._known)
        if found := self._said.get((config.decoder, config.sampler)):
            nearest = sorted((abs(math.log(said / need.run_seconds)), factor) for said, factor in found)
            factors = [factor for _, factor in nearest[:_NEAREST]]
            return Expected(need.taking(statistics.median(factors)), "runs")
        if self._known is None:
            return Expected(need, "formulas")
        practised = self._known.of(config, self._sizes)
        return Expected(need, "busy" if practised.provisional else "practice", practised.share)


def expect(
    config: Config,
    sizes: Sizes,
    data_hash: str,
    runs: Iterable[Run],
    threads: int | None = None,
    device: str | None = None,
) -> Expected:
    """What a run with these settings on this graph will take here; of `runs` those that tell, as in `Experience`."""
    return Experience(sizes, data_hash, runs, threads, device).expect(config)
