"""How runs learned, over training time and over epochs: points, and medians over seeds (nothing here needs torch)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

from dans_lab.study.folder import RunRecord

Curve = list[tuple[float, float]]
"""Points (seconds of training or epochs, valid MRR) in the order of time."""

Over = Literal["seconds", "epochs"]
"""What learning is drawn over."""


def timed(record: RunRecord) -> list[tuple[float, float, float]]:
    """Epoch, seconds of training until then and valid MRR of a run, in order; empty for a record without seconds."""
    names = ("epoch", "seconds", "valid_mrr")
    every = zip(*(record.curves.get(name, []) for name in names), strict=False)
    return [(e, s, v) for e, s, v in every if e is not None and s is not None and v is not None]


def curve(record: RunRecord, over: Over) -> Curve:
    """The points of a run."""
    return [(seconds if over == "seconds" else epoch, value) for epoch, seconds, value in timed(record)]


def median(records: Sequence[RunRecord], over: Over) -> Curve:
    """At each epoch the medians, over the runs that came so far, of their seconds and of their valid MRR."""
    at: dict[float, Curve] = {}
    for record in records:
        for (epoch, _, _), point in zip(timed(record), curve(record, over), strict=True):
            at.setdefault(epoch, []).append(point)
    return [
        (statistics.median(x for x, _ in at[e]), statistics.median(v for _, v in at[e])) for e in sorted(at)
    ]


def unit(seconds: float) -> tuple[str, float]:
    """What to measure a time of this length in, and how many seconds that is."""
    return (
        ("hours", 3600.0) if seconds > 3 * 3600 else ("minutes", 60.0) if seconds > 180 else ("seconds", 1.0)
    )
