"""What a snapshot file holds, said once: by this list it is written, checked when read, sized and described.

Plain numpy, without torch.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]

MOST_RELATION_NUMBERS = 1_000_000
"""Numbers of all relations beside a sample: 2 MB in half precision; of more, relations are left out."""

SYMBOLS = {
    "N": "entities of the graph",
    "S": "entities that are kept: all N, or a sample of a large graph",
    "2R": "relations and their reciprocals",
    "Q": "queries that are kept",
    "C": "distinct heads of these queries",
    "d": "numbers of an entity",
    "d_r": "numbers of a relation",
}
"""The sizes in the shapes of `SCHEMA`."""

SAMPLE, GAN, D_AUX = "a sample of the entities", "a GAN", "D_aux"


@dataclass(frozen=True)
class Array:
    """One array of a snapshot.

    shape   its sizes, in `SYMBOLS` or as numbers; empty for a single number
    type    how it is stored; float16 is float32 where a number is too large for it
    about   what it is
    needs   what must be there for it to be there: `SAMPLE`, `GAN`, `D_AUX`, "G_E", "G_R"
    below   of ids: the sizes that they stay below, one for each column
    """

    shape: tuple[str, ...]
    type: type[np.generic]
    about: str
    needs: tuple[str, ...] = ()
    below: tuple[str, ...] = ()

    def sizes(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Its shape in numbers."""
        return tuple(int(each) if each.isdecimal() else sizes[each] for each in self.shape)

    def stored(self, values: npt.ArrayLike) -> Values:
        """These values as they are stored."""
        values = np.asarray(values)
        too_large = self.type is np.float16 and not np.abs(values).max() <= np.finfo(np.float16).max
        return values.astype(np.float32 if too_large else self.type)


def _ids(shape: tuple[str, ...], about: str, *needs: str, below: tuple[str, ...] = ("N",)) -> Array:
    return Array(shape, np.int32, about, needs, below)


def _half(shape: tuple[str, ...], about: str, *needs: str) -> Array:
    return Array(shape, np.float16, about, needs)


def _of_pathway(name: str, conditions: str) -> dict[str, Array]:
    """The arrays of one pathway; `conditions` is the size that says how many fakes it has."""
    key = name[-1].lower()
    each = (conditions,)
    return {
        f"fakes_{key}": _half((conditions, "d"), f"one fake of {name} for each condition", name),
        f"score_{key}": _half(("Q",), f"decoder score of {name}'s fake for each query", name),
        f"d_fakes_{key}": _half(each, f"probability “real” of {name}'s fakes by D_adv", name),
        f"aux_fakes_{key}": _half(each, f"probability “made by G_R” of {name}'s fakes by D_aux", name, D_AUX),
        f"spread_{key}": Array(
            (), np.float32, "spread of the draws for a condition ÷ spread of all fakes", (name,)
        ),
        f"nearest_{key}": _ids(each, "the entity nearest to each fake by cosine, of all N", name, SAMPLE),
        f"cosine_{key}": _half(each, "the cosine to it", name, SAMPLE),
    }


SCHEMA: dict[str, Array] = {
    "epoch": Array((), np.int64, "finished epochs"),
    "entity_ids": _ids(("S",), "which entities are kept, ascending", SAMPLE),
    "entities": _half(("S", "d"), "embeddings of the kept entities"),
    "median_length": Array((), np.float32, "median length of all N entities", (SAMPLE,)),
    "relations": _half(("2R", "d_r"), "embeddings of the relations; left out where too long"),
    "queries": _ids(("Q", "2"), "head and relation of each query", below=("N", "2R")),
    "answers": _ids(("Q",), "one true answer of each query"),
    "random": _ids(("Q",), "one random entity for each query"),
    "score_true": _half(("Q",), "decoder score of the true answer"),
    "score_random": _half(("Q",), "decoder score of the random entity"),
    "d_entities": _half(("S",), "probability “real” of the kept entities by D_adv", GAN),
    "aux_entities": _half(
        ("S",), "probability “made by G_R” of them by D_aux, which never learns from entities", GAN, D_AUX
    ),
    "heads_e": _ids(("C",), "the heads of the queries, ascending: the conditions of G_E", "G_E"),
    **_of_pathway("G_E", "C"),
    **_of_pathway("G_R", "Q"),
}
"""The arrays of a snapshot by their names in the file. A condition of G_R is a query."""


def packed(arrays: Mapping[str, npt.ArrayLike]) -> dict[str, Values]:
    """These arrays in the types of `SCHEMA`, in its order; KeyError for one that is not in it."""
    if unknown := arrays.keys() - SCHEMA.keys():
        raise KeyError(*unknown)
    return {name: each.stored(arrays[name]) for name, each in SCHEMA.items() if name in arrays}


def file_bytes(sizes: Mapping[str, int], there: Collection[str]) -> int:
    """The size of a snapshot file of a run that has what is `there` of `Array.needs`.

    `sizes` are those of `SYMBOLS`.
    """
    held = {name: each for name, each in SCHEMA.items() if set(each.needs) <= set(there)}
    if SAMPLE in there and sizes["2R"] * sizes["d_r"] > MOST_RELATION_NUMBERS:
        del held["relations"]
    # Heads of the array and of its place in the archive: some 250 bytes.
    return sum(math.prod(each.sizes(sizes)) * np.dtype(each.type).itemsize + 250 for each in held.values())


def described() -> str:
    """`SCHEMA` and `SYMBOLS` as Markdown."""
    rows = ["| array | shape | type | what it is | where there is |", "| --- | --- | --- | --- | --- |"]
    for name, each in SCHEMA.items():
        shape = " × ".join(each.shape) or "one number"
        where = ", ".join(each.needs)
        rows.append(f"| `{name}` | {shape} | {np.dtype(each.type).name} | {each.about} | {where} |")
    symbols = "; ".join(f"{symbol}: {about}" for symbol, about in SYMBOLS.items())
    return "\n".join([*rows, "", f"{symbols}."])
