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

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

_CELLS = 1 << 24
"""Cosines in memory at once, 64 MiB."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One snapshot in memory, floats in float32, read-only. S kept entities, Q queries, C distinct heads.

    Of a small graph all N entities are kept, of a large one a sample (see `studied`). Ids are always those of the
    graph; where an id has its row is said by `rows_of`.

    Attributes:
        epoch: finished epochs when it was taken.
        num_entities: of the graph, N.
        entity_ids: shape (S,), the kept entities, ascending.
        entities: shape (S, dim).
        relations: shape (2|R|, dim of relations), (0, 0) where the file holds none.
        queries: shape (Q, 2), head and relation (reciprocals too).
        answers, random: shape (Q,), one true answer and one random entity of each query.
        score_true, score_random: shape (Q,), their decoder scores.
        heads_e, fakes_e: shape (C,) and (C, dim), the heads of the queries, ascending, and a fake of G_E for each;
            empty without G_E.
        fakes_r: shape (Q, dim), one of each query; empty without G_R.
        score_e, score_r: shape (Q,), decoder scores of the fakes for each query; empty without the pathway.
        nearest_e, cosine_e, nearest_r, cosine_r: shape (C,) and (Q,), the entity nearest to each fake of all N, and its
            cosine, where they are a sample; empty where they are not: see `nearest`.
        median_length: of all N entities.
        d_entities, d_fakes_e, d_fakes_r: probability "real" by D_adv, shape (S,), (C,), (Q,); d_entities is NaN without
            a GAN.
        aux_fakes_e, aux_fakes_r: probability "made by G_R" by D_aux, shape (C,), (Q,); NaN without D_aux.
        spread_e, spread_r: copy spread of each pathway, 0 = all draws for a condition are copies; NaN without it.
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
        """Check the arrays of a snapshot file, named as in `snapshot.snapshot_of`, against the graph.

        What the file does not hold is NaN, and fakes of a pathway that did not exist are none.

        Raises:
            InputError: in words, when it is not a snapshot of a run on this graph.
        """
        for name in ("entities", "queries", "answers", "random"):
            if name not in arrays:
                raise InputError(f"the snapshot holds no {name}: an earlier version kept it")
        n, dim = num_entities, arrays["entities"].shape[-1:]
        some = "entity_ids" in arrays
        made = [name for name in ("e", "r") if f"fakes_{name}" in arrays]
        for name in ["median_length", *(f"nearest_{each}" for each in made)] if some else []:
            if name not in arrays:
                raise InputError(f"the snapshot holds a sample of the entities but no {name}")
        s = len(np.atleast_1d(arrays["entity_ids"])) if some else n
        if len(np.atleast_1d(arrays["entities"])) != s:
            raise InputError(
                f"the snapshot holds {len(np.atleast_1d(arrays['entities'])):,} entities and the data set {n:,}: it is "
                "not the same data"
            )
        q = len(np.atleast_1d(arrays["queries"]))
        c = len(np.atleast_1d(arrays.get("heads_e", np.zeros(0))))
        made_e, made_r = q if c else 0, q if "fakes_r" in arrays else 0
        ids: dict[str, tuple[tuple[int, ...], Any]] = {
            "queries": ((q, 2), np.array([n, 2 * num_relations])),
            "answers": ((q,), n),
            "random": ((q,), n),
            "heads_e": ((c,), n),
            "entity_ids": ((s,), n),
            "nearest_e": ((c if some else 0,), n),
            "nearest_r": ((made_r if some else 0,), n),
        }
        floats: dict[str, tuple[int, ...]] = {
            "entities": (s, *dim),
            "relations": (2 * num_relations, *arrays["relations"].shape[1:])
            if "relations" in arrays
            else (0, 0),
            "score_true": (q,),
            "score_random": (q,),
            "fakes_e": (c, *dim),
            "fakes_r": (made_r, *dim),
            "score_e": (made_e,),
            "score_r": (made_r,),
            "median_length": (),
            "cosine_e": (c if some else 0,),
            "cosine_r": (made_r if some else 0,),
            "d_entities": (s,),
            "d_fakes_e": (c,),
            "d_fakes_r": (made_r,),
            "aux_fakes_e": (c,),
            "aux_fakes_r": (made_r,),
        }
        ready: dict[str, npt.NDArray[Any]] = {}
        for name, shape in floats.items():
            array = arrays.get(name, np.full(shape, np.nan))
            if array.shape != shape or len(shape) != array.ndim or array.dtype.kind != "f":
                raise InputError(f"the snapshot's {name} do not match the data set or its queries")
            ready[name] = np.ascontiguousarray(array, dtype=np.float32)
        for name, (shape, limit) in ids.items():
            array = arrays.get(name, np.arange(n) if name == "entity_ids" else np.zeros(shape, np.int64))
            if array.shape != shape or array.dtype.kind not in "iu":
                raise InputError(f"the snapshot's {name} do not match the data set or its queries")
            if (array < 0).any() or (array >= limit).any():
                raise InputError(f"the snapshot names {name} that the data set does not have")
            ready[name] = np.ascontiguousarray(array, dtype=np.int64)
        heads = ready["heads_e"]
        if c and not ((np.diff(heads) > 0).all() and np.isin(ready["queries"][:, 0], heads).all()):
            raise InputError("the snapshot's heads_e do not match the data set or its queries")
        kept = ready["entity_ids"]
        said = float(ready.pop("median_length").item())
        length = said if some else float(np.median(np.linalg.norm(ready["entities"], axis=1)))
        if (
            not len(kept)
            or not (np.diff(kept) > 0).all()
            or not all(np.isin(ready[name], kept).all() for name in ("answers", "random"))
        ):
            raise InputError("the snapshot's entity_ids do not match its queries")
        for array in ready.values():
            array.setflags(write=False)
        return cls(
            epoch=int(arrays.get("epoch", np.array(0))),
            num_entities=n,
            median_length=max(length, 1e-12),
            spread_e=float(arrays.get("spread_e", np.array(np.nan))),
            spread_r=float(arrays.get("spread_r", np.array(np.nan))),
            **ready,
        )


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
