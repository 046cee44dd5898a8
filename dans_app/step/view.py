"""The stops as a component of a page: what the browser is given, and what it has told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dans_app.shared import components, theme
from dans_app.step import stops
from dans_app.step.asked import Asked
from dans_app.step.stops import Found

KEY = "step"
_SCRIPT = Path(__file__).parent / "step.js"

_MARKS = {"diamond": "◆", "square": "■", "star": "★", "x": "✕"}


def show(asked: Asked, rounds: Iterable[Found], busy: str = "") -> None:
    """Draw the stops, or hand more rounds to what is drawn; `busy` says what is waited for, if anything is."""
    components.draw(
        _SCRIPT, payload(asked, rounds, busy), KEY, default={"at": None}, on_at_change=lambda: None
    )


def payload(asked: Asked, rounds: Iterable[Found], busy: str = "") -> dict[str, Any]:
    """What the component draws: `round` and `stop` are where it begins; then they are the browser's."""
    return {
        "token": asked.token,
        "round": asked.number,
        "stop": asked.stop,
        "total": asked.total,
        "perRound": len(stops.kinds(asked.run.config)),
        "busy": busy,
        "triplet": asked.names,
        "side": asked.side,
        "names": list(asked.kg.entities),
        "looks": looks(),
        "rounds": [of_round(asked, found) for found in rounds],
    }


def of_round(asked: Asked, found: Found) -> dict[str, Any]:
    """One round: its stops in words, and the places of all that the map shows."""
    told = stops.stops(found, asked.query, asked.kg, asked.run.config)
    played = found["played"]
    sides = {
        name: {side: [_rounded(fake["place"]) for fake in of[side]] for side in ("before", "after")}
        for name, of in played.items()
    }
    pulls = {name: [_rounded(fake["pull"]) for fake in of["before"]] for name, of in played.items()}
    return {
        "number": found["number"],
        "epoch": found["epoch"],
        "head": asked.triplet[0],
        "tail": asked.triplet[2],
        "answer": asked.query[2],
        "held": stops.share(found["held"]),
        "longest": max((x * x + y * y) ** 0.5 for each in pulls.values() for x, y in each),
        "map": {
            "entities": list(map(_rounded, found["entities"])),
            "after": list(map(_rounded, found["entities_after"])),
            "fakes": sides,
            "pulls": pulls,
        },
        "stops": [
            dataclasses.asdict(stop) | {"letters": stops.letters(stop.formula, asked.side)} for stop in told
        ],
    }


def looks() -> dict[str, dict[str, str]]:
    """How stages, heads of D and sources of negatives are marked."""
    known = {
        "encode": theme.BASE, "base": theme.BASE, "D": theme.D_ADV, "G_E": theme.G_E, "G_R": theme.G_R,
        "D_adv": theme.D_ADV, "D_aux": theme.D_AUX, "random": theme.RANDOM, "proposed": theme.own_negatives("dans"),
    }  # fmt: skip
    return {
        name: {"name": look.name, "color": look.color, "mark": _MARKS.get(look.marker, "●")}
        for name, look in known.items()
    }


def at(asked: Asked) -> tuple[int, int] | None:
    """Round and stop that the browser is at, or wants; None before it told. It is checked, since anyone may send it."""
    told = components.told(KEY, "at")
    if not isinstance(told, dict) or told.get("token") != asked.token:
        return None
    number, stop = told.get("round"), told.get("stop")
    if not isinstance(number, int) or not isinstance(stop, int):
        return None
    there = 1 <= number <= asked.total and 1 <= stop <= len(stops.kinds(asked.run.config))
    return (number, stop) if there else None


def _rounded(place: list[float]) -> tuple[float, float]:
    return round(place[0], 4), round(place[1], 4)
