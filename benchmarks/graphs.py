"""The graphs that are measured, how much is done on each, and what to say of one that is not here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dans_core import InputError, KnowledgeGraph
from dans_data import DATA_DIR_VARIABLE

TITLES = {"umls": "UMLS", "wn18rr": "WN18RR", "nell-995": "NELL-995"}
# Up to so many train triplets a graph is small: everything is measured on it, the slowest peer too.
_SMALL = 10_000
# A peer that holds more than this at once is not run, in bytes.
MOST_MEMORY = 4 * 10**9


def load(names: Sequence[str]) -> tuple[dict[str, KnowledgeGraph], list[str]]:
    """The graphs by name, and a sentence for each of ours that is not here; no names mean all of `TITLES`.

    Raises:
        InputError: for a name that was asked for and is none of `TITLES`.
    """
    found: dict[str, KnowledgeGraph] = {}
    missing = []
    for name in names or TITLES:
        try:
            found[name] = KnowledgeGraph.load(name)
        except InputError:
            if name not in TITLES:
                raise
            missing.append(f"{TITLES[name]} not found: set {DATA_DIR_VARIABLE} to the folder with {name}/")
    return found, missing


def title(name: str) -> str:
    """The graph's name in a table."""
    return TITLES.get(name, name)


def small(kg: KnowledgeGraph) -> bool:
    """Whether every peer can run on it."""
    return len(kg.array("train")) <= _SMALL


def rounds(found: Mapping[str, KnowledgeGraph], repeats: int, most_on_large: int) -> dict[str, int]:
    """Rounds of each graph: `repeats`, but not more than `most_on_large` on one that is not small."""
    return {name: repeats if small(kg) else min(repeats, most_on_large) for name, kg in found.items()}
