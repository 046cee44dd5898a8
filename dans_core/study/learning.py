"""How runs learned over training time: their points, and the medians over seeds (nothing here needs torch)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from dans_core.study.folder import RunRecord

Curve = list[tuple[float, float]]
"""Points (seconds of training, valid MRR) in the order of time."""


def timed(record: RunRecord) -> list[tuple[float, float, float]]:
    """Epoch, seconds of training until then and valid MRR of a run, in order; empty for a record without seconds."""
    names = ("epoch", "seconds", "valid_mrr")
    every = zip(*(record.curves.get(name, []) for name in names), strict=False)
    return [(e, s, v) for e, s, v in every if e is not None and s is not None and v is not None]


def median(records: Sequence[RunRecord]) -> Curve:
    """At each epoch the medians, over the runs that came so far, of their seconds and of their valid MRR."""
    at: dict[float, Curve] = {}
    for record in records:
        for epoch, seconds, value in timed(record):
            at.setdefault(epoch, []).append((seconds, value))
    return [
        (statistics.median(s for s, _ in at[e]), statistics.median(v for _, v in at[e])) for e in sorted(at)
    ]


def unit(seconds: float) -> tuple[str, float]:
    """What to measure a time of this length in, and how many seconds that is."""
    return (
        ("hours", 3600.0) if seconds > 3 * 3600 else ("minutes", 60.0) if seconds > 180 else ("seconds", 1.0)
    )
