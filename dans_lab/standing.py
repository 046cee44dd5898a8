"""What a comparison of two rankings rests on: whether both are above knowing nothing, and whether they still learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

NEAR = 1.4
"""A ranking is near the floor where its odds, m / (1 − m), are less than so many times those of the floor.

So is 0.037 beside a floor of 0.027, 0.31 beside 0.25, 0.72 beside 0.66.
"""

LATE = 0.25
"""The last part of the epochs, in which a ranking that has levelled off gains next to nothing."""

RISING = 0.02
"""A ranking still rises where more than this share of its best valid MRR came in the last part of its epochs."""

Withheld = Literal["near the floor", "still rising"]
"""Why a verdict is withheld."""

ABOUT: dict[Withheld, str] = {
    "near the floor": "both rank hardly better than popularity alone, or not even that, so which of them is ahead says "
    "nothing",
    "still rising": "what one of them gained in the last quarter of its epochs is more than the difference, so more "
    "epochs may turn it round",
}


def is_near(value: float, floor: float | None) -> bool:
    """Whether a mean over ranks, from 0 to 1, is near that of the popularity floor; False where this is not known."""
    return floor is not None and _odds(value) < NEAR * _odds(floor)


def late_gain(points: Sequence[tuple[float, float]]) -> float | None:
    """The share of a run's best valid MRR that came in the last quarter of its epochs, from (epoch, MRR) in order.

    None where there are too few points to tell, or the best is 0.
    """
    if not points:
        return None
    until = (1 - LATE) * points[-1][0]
    early = [value for epoch, value in points if epoch <= until]
    best = max(value for _, value in points)
    return (best - max(early)) / best if early and best > 0 else None


def is_rising(gain: float | None) -> bool:
    """Whether a run with this `late_gain` had not levelled off; False where it is not known."""
    return gain is not None and gain > RISING


def why_withheld(
    values: tuple[float, float], floor: float | None, gains: tuple[float | None, float | None], sure: bool
) -> Withheld | None:
    """Why it may not be said which of two values of a metric is the better one; None where it may.

    `gains` are their `late_gain`s, `sure` whether they differ by more than luck.
    """
    if all(is_near(value, floor) for value in values):
        return "near the floor"
    late = [
        value * gain
        for value, gain in zip(values, gains, strict=True)
        if gain is not None and is_rising(gain)
    ]
    if sure and late and abs(values[1] - values[0]) < max(late):
        return "still rising"
    return None


def _odds(value: float) -> float:
    return value / (1 - value) if value < 1 else math.inf
