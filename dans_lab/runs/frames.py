"""One snapshot of a run in memory, checked against its graph, and how its fakes are read by their nearest entities.

Plain numpy, without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_data.errors import InputError
from dans_lab.runs.snapshot_schema import SAMPLE, SCHEMA

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

_CELLS = 1 << 24
"""Cosines in memory at once, 64 MiB."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One snapshot in memory, floats in float32, read-only. S kept entities, Q queries, C distinct heads.

    The arrays are those of `snapshot_schema.SCHEMA`, by the same names. What the file does not hold is NaN where its
    shape is known, such as d_entities without a GAN, and has no rows where it belongs to a pathway that did not exist,
    or to a sample where all entities are kept (see `nearest`). `entity_ids` are always there. Ids are always those of
    the graph; where an id has its row is said by `rows_of`.

    Attributes:
        num_entities: of the graph, N.
    """

    epoch: int
    num_entities: int
    entity_ids: Ids
    entities: Floats
    relations: Floats
    queries: Ids
    answers: Ids
    random: Ids
    score_true: Floats
    score_random: Floats
    heads_e: Ids
    fakes_e: Floats
    fakes_r: Floats
    score_e: Floats
    score_r: Floats
    nearest_e: Ids
    cosine_e: Floats
    nearest_r: Ids
    cosine_r: Floats
    median_length: float
    d_entities: Floats
    aux_entities: Floats
    d_fakes_e: Floats
    d_fakes_r: Floats
    aux_fakes_e: Floats
    aux_fakes_r: Floats
    spread_e: float
    spread_r: float

    @property
    def pathways(self) -> tuple[str, ...]:
        """The pathways that made fakes, "G_E" before "G_R"; none without a GAN."""
        both = (("G_E", self.fakes_e), ("G_R", self.fakes_r))
        return tuple(name for name, fakes in both if len(fakes))

    @property
    def has_fakes(self) -> bool:
        """Whether there was a GAN when the snapshot was taken."""
        return bool(self.pathways)

    @property
    def has_aux(self) -> bool:
        """Whether D_aux has said which pathway made the fakes."""
        return any(len(aux) and not np.isnan(aux).all() for aux in (self.aux_fakes_e, self.aux_fakes_r))

    @property
    def is_sample(self) -> bool:
        """Whether it holds some of the graph's entities only."""
        return len(self.entity_ids) < self.num_entities

    def rows_of(self, ids: npt.ArrayLike) -> Ids:
        """The rows of these entities, -1 for those that are not kept; any shape."""
        wanted: Ids = np.asarray(ids, np.int64)
        if not self.is_sample:
            return wanted
        place = np.minimum(np.searchsorted(self.entity_ids, wanted), len(self.entity_ids) - 1)
        rows: Ids = np.where(self.entity_ids[place] == wanted, place, -1)
        return rows

    def nearest(self, pathway: str, which: Ids) -> tuple[Ids, Floats]:
        """The entity nearest to some fakes of "G_E" or "G_R", of all of the graph, and its cosine; shape of `which`.

        As the snapshot says, else by the entities that it holds.
        """
        fakes, kept, cosine = (
            (self.fakes_e, self.nearest_e, self.cosine_e)
            if pathway == "G_E"
            else (self.fakes_r, self.nearest_r, self.cosine_r)
        )
        if len(kept):
            return kept[which], cosine[which]
        places, alike = nearest_entities(fakes[which], self.entities)
        return self.entity_ids[places], alike

    @property
    def groups(self) -> tuple[Floats, Floats, Floats]:
        """Entities, fakes of G_E, fakes of G_R: the order of the rows of a projection."""
        return self.entities, self.fakes_e, self.fakes_r

    @property
    def size(self) -> int:
        """Number of points: S + C + Q."""
        return sum(len(group) for group in self.groups)

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]], num_entities: int, num_relations: int) -> Frame:
        """Check the arrays of a snapshot file against `snapshot_schema.SCHEMA` and the graph.

        Raises:
            InputError: in words, when it is not a snapshot of a run on this graph.
        """
        sizes, absent = _sizes(arrays, num_entities, num_relations)
        ready = {name: _checked(name, arrays.get(name), sizes, absent) for name in SCHEMA}
        if SAMPLE in absent:
            ready["entity_ids"] = np.arange(num_entities)
            ready["median_length"] = np.median(np.linalg.norm(ready["entities"], axis=1))
        kept, heads = ready["entity_ids"], ready["heads_e"]
        if len(heads) and not (_ascending(heads) and np.isin(ready["queries"][:, 0], heads).all()):
            raise InputError("the snapshot's heads_e do not match the data set or its queries")
        drawn = ready["answers"], ready["random"]
        if not (len(kept) and _ascending(kept) and all(np.isin(ids, kept).all() for ids in drawn)):
            raise InputError("the snapshot's entity_ids do not match its queries")
        for array in ready.values():
            array.setflags(write=False)
        fields: dict[str, Any] = {
            name: array if SCHEMA[name].shape else array.item() for name, array in ready.items()
        }
        fields["median_length"] = max(fields["median_length"], 1e-12)
        return cls(num_entities=num_entities, **fields)


def _sizes(
    arrays: Mapping[str, npt.NDArray[Any]], num_entities: int, num_relations: int
) -> tuple[dict[str, int], set[str]]:
    """What `snapshot_schema.SYMBOLS` are in this file, and which of `Array.needs` it does not have.

    Raises InputError where an array is missing without which there is nothing to see, or the data are others.
    """
    for name in ("entities", "queries", "answers", "random"):
        if name not in arrays:
            raise InputError(f"the snapshot holds no {name}: an earlier version kept it")

    def rows(name: str) -> int:
        return len(np.atleast_1d(arrays[name])) if name in arrays else 0

    def width(name: str) -> int:
        return np.shape(arrays[name])[-1] if name in arrays and np.ndim(arrays[name]) else 0

    there = {"entity_ids": SAMPLE, "heads_e": "G_E", "fakes_r": "G_R"}
    absent = {part for name, part in there.items() if name not in arrays}
    if SAMPLE not in absent:
        made = [f"nearest_{name[-1].lower()}" for name in ("G_E", "G_R") if name not in absent]
        for name in ("median_length", *made):
            if name not in arrays:
                raise InputError(f"the snapshot holds a sample of the entities but no {name}")
    kept = num_entities if SAMPLE in absent else rows("entity_ids")
    if rows("entities") != kept:
        raise InputError(
            f"the snapshot holds {rows('entities'):,} entities and the data set {num_entities:,}: it is not the same "
            "data"
        )
    sizes = {
        "N": num_entities,
        "S": kept,
        "2R": 2 * num_relations,
        "Q": rows("queries"),
        "C": rows("heads_e"),
    }
    return sizes | {"d": width("entities"), "d_r": width("relations")}, absent


def _checked(
    name: str, array: npt.NDArray[Any] | None, sizes: Mapping[str, int], absent: set[str]
) -> npt.NDArray[Any]:
    """An array of a file in memory: int64, or float32; where it is missing, what stands for it."""
    schema = SCHEMA[name]
    shape = schema.sizes(sizes)
    missing = not absent.isdisjoint(schema.needs) or (array is None and name == "relations")
    if missing and shape:
        shape = (0, *shape[1:])
    whole = np.issubdtype(schema.type, np.integer)
    if array is None:
        return np.zeros(shape, np.int64) if whole else np.full(shape, np.nan, np.float32)
    array = np.asarray(array)
    if array.shape != shape or array.dtype.kind not in ("iu" if whole else "f"):
        raise InputError(f"the snapshot's {name} do not match the data set or its queries")
    limits = [sizes[symbol] for symbol in schema.below]
    if limits and ((array < 0).any() or (array >= np.array(limits)).any()):
        raise InputError(f"the snapshot names {name} that the data set does not have")
    return np.array(array, np.int64 if whole else np.float32, order="C")


def _ascending(ids: Ids) -> bool:
    return bool((np.diff(ids) > 0).all())


def nearest_entities(points: Floats, entities: Floats, cells: int = _CELLS) -> tuple[Ids, Floats]:
    """The nearest entity of each point by cosine, and that cosine; (n, dim) and (N, dim) → (n,) and (n,).

    Of entities alike in cosine it is the first. At most `cells` cosines are in memory at once.
    """
    directions = entities / np.maximum(np.linalg.norm(entities, axis=1, keepdims=True), 1e-12)
    nearest, cosine = np.zeros(len(points), np.int64), np.zeros(len(points), np.float32)
    size = max(1, cells // len(entities))
    for start in range(0, len(points), size):
        block = points[start : start + size]
        cosines = block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-12) @ directions.T
        nearest[start : start + size] = cosines.argmax(axis=1)
        cosine[start : start + size] = cosines.max(axis=1)
    return nearest, cosine


def known_splits(kg: KnowledgeGraph, heads: Ids, relations: Ids | int, tails: Ids) -> Ids:
    """Which split holds each (head, relation, tail): 0 train, 1 valid, 2 test, -1 none."""
    found = np.full(len(heads), -1, dtype=np.int64)
    for number in reversed(range(len(SPLITS))):
        found[kg.known_in(SPLITS[number]).contains(heads, relations, tails)] = number
    return found
