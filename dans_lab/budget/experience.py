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


def expect(
    config: Config,
    sizes: Sizes,
    data_hash: str,
    runs: Iterable[Run],
    threads: int | None = None,
    device: str | None = None,
) -> Expected:
    """What a run with these settings on this graph will take here, and of `runs` those that tell.

    Those are finished runs on the same data with the same decoder and sampler, trained on this machine with so many
    threads (None: those of a new process) on this device (None: the one it practised on): the nearest by their length.
    """
    known = speed.here(threads, device)
    device = device or (known.device if known else None)
    need = predict(config, sizes, known)
    kind = data_hash, config.decoder, config.sampler, machine.name(threads), versions()["torch"]
    factors = []
    for run in runs:
        meta, its = run.meta, run.config
        if (meta.hash, its.decoder, its.sampler, meta.machine, meta.versions.get("torch")) != kind:
            continue
        status = run.stored_status
        if status.state == "finished" and device in (None, meta.device):
            said = predict(its, sizes, known).run_seconds
            factors.append((abs(math.log(said / need.run_seconds)), status.seconds / said))
    if factors:
        nearest = [factor for _, factor in sorted(factors)[:_NEAREST]]
        return Expected(need.taking(statistics.median(nearest)), "runs")
    if known is None:
        return Expected(need, "formulas")
    practised = known.of(config, sizes)
    return Expected(need, "busy" if practised.provisional else "practice", practised.share)
