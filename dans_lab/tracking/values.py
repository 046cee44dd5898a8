"""An event as numbers by name, the same for every tracker: `loss/base`, `valid/mrr`, `warning/collapse/G_E`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from dans_core.events import QUANTILES, Diagnostics, Event, Finished, Losses, Ranking, to_dict
from dans_lab.health import HealthWarning

_PLACES = {Losses: "loss", Diagnostics: "negatives", Finished: "run"}
_NO_FIGURES = ("event", "epoch", "split", "best_epoch")


def numbers(event: Event) -> dict[str, float]:
    """All finite numbers of an event; empty for a snapshot. A warning is 1 from its beginning and 0 from its end."""
    if isinstance(event, HealthWarning):
        of = f"/{event.pathway}" if event.pathway else ""
        return {f"warning/{event.code}{of}": float(event.active)}
    place = event.split if isinstance(event, Ranking) else _PLACES.get(type(event))
    if place is None:
        return {}
    return dict(_flat(place, to_dict(event)))


def _flat(place: str, record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if name in _NO_FIGURES or value is None:
            continue
        if isinstance(value, Mapping):
            yield from _flat(f"{place}/{name}", value)
        elif isinstance(value, list | tuple):
            parts = {f"q{q}": part for q, part in zip(QUANTILES, value, strict=True)}
            yield from _flat(f"{place}/{name}", parts)
        elif isinstance(value, bool | int | float) and math.isfinite(value):
            yield f"{place}/{name}", float(value)
