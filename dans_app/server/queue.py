"""The queue of a shared server: whose turn is next, and when. No files and no processes here.

A core that is free goes to the visitor with the fewest runs under way; of several, to the one who was served longest
ago. So thirty who start one run each come in the order in which they did, and one who starts ten waits for the others.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dans_data.words import seconds_in_words


@dataclass(frozen=True)
class Going:
    """A run under way: whose it is, and the seconds it has left; infinite for one that is paused."""

    owner: str
    seconds: float


@dataclass(frozen=True)
class Asked:
    """A run that waits: which, whose, and the seconds that it will take; `number` counts those that ever waited."""

    run_id: str
    owner: str
    seconds: float
    number: int


A = TypeVar("A", bound=Asked)


@dataclass(frozen=True)
class Place:
    """Where a run stands in the queue, from 1, of how many, and the seconds until its turn; infinite if unknown."""

    place: int
    of: int
    seconds: float

    def __str__(self) -> str:
        when = (
            "a run before it is paused, so there is no telling when it starts"
            if math.isinf(self.seconds)
            else "it starts any moment"
            if self.seconds < 5
            else f"it starts in {seconds_in_words(self.seconds)}, if those before it train to their end"
        )
        return f"Waits for a free core, {self.place:,} of {self.of:,} in the queue: {when}."


def turns(
    going: Iterable[Going], waiting: Sequence[A], cores: int, served: Mapping[str, int]
) -> list[tuple[A, float]]:
    """Those who wait in the order of their turns, and the seconds until each; `served` counts up at each start."""
    last = dict(served)
    clock = max(last.values(), default=0)
    under_way: Counter[str] = Counter()
    ends: list[tuple[float, int, str]] = []
    order = itertools.count()
    for each in going:
        under_way[each.owner] += 1
        heapq.heappush(ends, (max(0.0, each.seconds), next(order), each.owner))
    left, found, now = list(waiting), [], 0.0
    while left:
        while len(ends) >= max(1, cores):
            now, _, owner = heapq.heappop(ends)
            under_way[owner] -= 1
        turn = min(left, key=lambda each: (under_way[each.owner], last.get(each.owner, -1), each.number))
        left.remove(turn)
        found.append((turn, now))
        under_way[turn.owner] += 1
        clock += 1
        last[turn.owner] = clock
        heapq.heappush(ends, (now + turn.seconds, next(order), turn.owner))
    return found


def places(found: Sequence[tuple[Asked, float]]) -> dict[str, Place]:
    """By the id of each run that waits, where it stands."""
    return {
        asked.run_id: Place(place, len(found), seconds)
        for place, (asked, seconds) in enumerate(found, start=1)
    }
