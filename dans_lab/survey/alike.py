"""Names that a person would take for one: alike but for case, spaces, and how Unicode writes their letters."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence


def alike(names: Sequence[str]) -> list[list[str]]:
    """Groups of two or more names that differ only so, in the order of the first of each."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[_core(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _core(name: str) -> str:
    """The name without what is easily typed otherwise. Signs stay: "a-b" and "a b" may well be two things."""
    folded = name.casefold() if name.isascii() else unicodedata.normalize("NFKC", name).casefold()
    return " ".join(folded.split())
