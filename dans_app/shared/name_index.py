"""Names found by what a person types: those that begin with it first, then those that hold it. No Streamlit here."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from weakref import WeakKeyDictionary

from dans_core.kg import KnowledgeGraph

LONGEST = 200
"""Characters of a search that are looked at."""


def fold(text: str) -> str:
    """As names are compared."""
    return text.casefold().replace("_", " ")


class NameIndex:
    """Some names, to be searched in any case of letters, "_" standing for a space; made in 0.1 s for 200,000 names."""

    def __init__(self, names: Sequence[str]) -> None:
        """No name may hold a line break; those of a graph do not."""
        folded = [fold(name) for name in names]
        self._ids = sorted(range(len(names)), key=folded.__getitem__)
        self._folded = [folded[number] for number in self._ids]
        # One long text, since looking through it once is many times faster than asking name by name.
        self._text = "\n".join(self._folded)
        self._starts = [0, *accumulate(len(name) + 1 for name in self._folded)]

    def find(self, text: str, most: int) -> list[int]:
        """Positions, in the names given, of at most `most` that match; each kind in alphabetical order.

        Nothing is found for a text without letters, or for one with a line break in it.
        """
        wanted = fold(text.strip()[:LONGEST])
        if not wanted or "\n" in wanted:
            return []
        found: list[int] = []
        place = bisect_left(self._folded, wanted)
        while len(found) < most and place < len(self._folded) and self._folded[place].startswith(wanted):
            found.append(self._ids[place])
            place += 1
        at = self._text.find(wanted)
        while len(found) < most and at >= 0:
            place = bisect_right(self._starts, at) - 1
            if not self._folded[place].startswith(wanted):
                found.append(self._ids[place])
            at = self._text.find(wanted, self._starts[place + 1])
        return found


_made: WeakKeyDictionary[KnowledgeGraph, NameIndex] = WeakKeyDictionary()


def of_entities(kg: KnowledgeGraph) -> NameIndex:
    """The index of a graph's entities, made when first asked for."""
    if (found := _made.get(kg)) is None:
        found = _made[kg] = NameIndex(kg.entities)
    return found
