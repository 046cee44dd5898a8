"""What a snapshot says of one relation: true answers, fakes of each pathway, random negatives, and words for them.

Plain numpy on the arrays of a snapshot file; no Streamlit and no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dans_core.datasets import RECIPROCAL, SPLITS
from dans_core.kg import KnowledgeGraph

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Frame:
    """One snapshot in memory, floats in float32, read-only. N entities, Q queries, C distinct heads.

    Attributes:
        epoch: finished epochs when it was taken.
        entities: shape (N, dim).
        queries: shape (Q, 2), head and relation (reciprocals too).
        answers, random: shape (Q,), one true answer and one random entity of each query.
        score_true, score_random: shape (Q,), their decoder scores.
        heads_e, fakes_e: shape (C,) and (C, dim), the head of each fake of G_E and the fake; empty without a GAN.
        fakes_r: shape (Q, dim), one of each query; empty without a GAN.
        score_e, score_r: shape (Q,), decoder scores of the fakes for each query; empty without a GAN.
        d_entities, d_fakes_e, d_fakes_r: probability "real" by D_adv, shape (N,), (C,), (Q,); NaN without a GAN.
        aux_fakes_e, aux_fakes_r: probability "made by G_R" by D_aux, shape (C,), (Q,).
        spread_e, spread_r: copy spread of each pathway, 0 = all draws for a condition are copies; NaN without a GAN.
    """

    epoch: int
    entities: Floats
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
    d_entities: Floats
    d_fakes_e: Floats
    d_fakes_r: Floats
    aux_fakes_e: Floats
    aux_fakes_r: Floats
    spread_e: float
    spread_r: float

    @property
    def has_fakes(self) -> bool:
        """Whether there was a GAN when the snapshot was taken."""
        return bool(len(self.fakes_e))

    @cached_property
    def median_length(self) -> float:
        """Of an entity."""
        return max(float(np.median(np.linalg.norm(self.entities, axis=1))), 1e-12)

    @property
    def groups(self) -> tuple[Floats, Floats, Floats]:
        """Entities, fakes of G_E, fakes of G_R: the order of the rows of a projection."""
        return self.entities, self.fakes_e, self.fakes_r

    @property
    def size(self) -> int:
        """Number of points: N + C + Q."""
        return sum(len(group) for group in self.groups)

    @classmethod
    def of(
        cls, arrays: Mapping[str, npt.NDArray[np.generic]], num_entities: int, num_relations: int
    ) -> Frame:
        """Check the arrays of a snapshot file against the graph.

        Raises ValueError in words when the file is not a snapshot of a run on this graph.
        """
        if "entities" not in arrays or arrays["entities"].ndim != 2:
            raise ValueError("the snapshot holds no entity embeddings")
        if "queries" not in arrays:
            raise ValueError("the snapshot holds no queries: it was kept by an earlier version")
        if len(arrays["entities"]) != num_entities:
            raise ValueError(
                f"the snapshot holds {len(arrays['entities']):,} entities and the data set {num_entities:,}: "
                "it is not the same data"
            )
        dim, q = arrays["entities"].shape[1], len(arrays["queries"])
        gan = "fakes_r" in arrays
        c = len(arrays["heads_e"]) if "heads_e" in arrays else 0
        made = q if gan else 0
        ids: dict[str, tuple[tuple[int, ...], int]] = {
            "queries": ((q, 2), 0),
            "answers": ((q,), num_entities),
            "random": ((q,), num_entities),
            "heads_e": ((c,), num_entities),
        }
        floats = {
            "entities": (num_entities, dim),
            "score_true": (q,),
            "score_random": (q,),
            "fakes_e": (c, dim),
            "fakes_r": (made, dim),
            "score_e": (made,),
            "score_r": (made,),
            "d_entities": (num_entities,),
            "d_fakes_e": (c,),
            "d_fakes_r": (made,),
            "aux_fakes_e": (c,),
            "aux_fakes_r": (made,),
        }
        ready: dict[str, npt.NDArray[Any]] = {}
        for name, shape in floats.items():
            array = arrays.get(name, np.full(shape, np.nan))
            if array.shape != shape:
                raise ValueError(f"the snapshot's {name} do not match their conditions")
            ready[name] = np.ascontiguousarray(array, dtype=np.float32)
        for name, (shape, limit) in ids.items():
            array = np.ascontiguousarray(arrays.get(name, np.zeros(shape)), dtype=np.int64)
            if array.shape != shape:
                raise ValueError(f"the snapshot's {name} do not match their conditions")
            limits = np.array([num_entities, 2 * num_relations]) if name == "queries" else limit
            if array.size and (array.min() < 0 or (array >= limits).any()):
                raise ValueError("the snapshot names entities or relations that the data set does not have")
            ready[name] = array
        for array in ready.values():
            array.setflags(write=False)
        return cls(
            epoch=int(arrays.get("epoch", np.array(0))),
            spread_e=float(arrays.get("spread_e", np.array(np.nan))),
            spread_r=float(arrays.get("spread_r", np.array(np.nan))),
            **ready,
        )


@dataclass(frozen=True, eq=False)
class Negatives:
    """Negatives of one source for the k kept queries of one relation, at E snapshots.

    Attributes:
        source: "G_E", "G_R" or "random".
        rows: shape (k,), the row of each in the projection (a random negative has the row of its entity).
        nearest, cosine: shape (E, k), nearest entity by cosine; a random negative is its own nearest, cosine 1.
        scale: shape (E, k), length divided by the median length of an entity.
        score: shape (E, k), decoder score for its query.
        d_adv, aux: shape (E, k), probability "real" by D_adv and "made by G_R" by D_aux, NaN where there is none.
        known: shape (E, k), index into `SPLITS` of the split that holds (head, relation, nearest), -1 for none.
    """

    source: str
    rows: Ids
    nearest: Ids
    cosine: Floats
    scale: Floats
    score: Floats
    d_adv: Floats
    aux: Floats
    known: Ids


@dataclass(frozen=True, eq=False)
class RelationView:
    """Everything the map shows of one relation at E snapshots.

    Attributes:
        relation: id, maybe of a reciprocal.
        answers, counts: distinct true answers in train and the number of heads each answers.
        held_out: answers that only valid or test has.
        heads: shape (k,), the heads of the kept queries.
        asked: how many queries the relation has in train; a run may keep fewer.
        true: shape (k,), one true answer of each kept query.
        score_true: shape (E, k), its decoder score.
        negatives: by source, in the order G_E, G_R, random; without a GAN the last alone.
        side: what the answers are in the data set, "tail", or "head" for a reciprocal.
    """

    relation: int
    answers: Ids
    counts: Ids
    held_out: Ids
    heads: Ids
    asked: int
    true: Ids
    score_true: Floats
    negatives: dict[str, Negatives]
    side: str

    @property
    def focus(self) -> Ids:
        """Rows of the projection that this view draws in the foreground."""
        return np.concatenate([self.answers, self.held_out, *(part.rows for part in self.negatives.values())])


def nearest_entities(points: Floats, entities: Floats) -> tuple[Ids, Floats]:
    """The nearest entity of each point by cosine, and that cosine; (n, dim) and (N, dim) → (n,) and (n,)."""
    directions = entities / np.maximum(np.linalg.norm(entities, axis=1, keepdims=True), 1e-12)
    nearest = np.zeros(len(points), dtype=np.int64)
    cosine = np.zeros(len(points), dtype=np.float32)
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK]
        cosines = block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-12) @ directions.T
        best = cosines.argmax(axis=1)
        nearest[start : start + _BLOCK] = best
        cosine[start : start + _BLOCK] = cosines[np.arange(len(best)), best]
    return nearest, cosine


def known_splits(kg: KnowledgeGraph, heads: Ids, relation: int, tails: Ids) -> Ids:
    """Which split holds each (head, relation, tail): 0 train, 1 valid, 2 test, -1 none."""
    found = np.full(len(heads), -1, dtype=np.int64)
    for number in reversed(range(len(SPLITS))):
        found[kg.known_in(SPLITS[number]).contains(heads, relation, tails)] = number
    return found


def view_of(frames: Sequence[Frame], kg: KnowledgeGraph, relation: int) -> RelationView:
    """The view of one relation (id below 2|R|) at these snapshots, which hold the same queries."""
    train = kg.queries("train")
    train = train[train[:, 1] == relation]
    answers, counts = np.unique(train[:, 2], return_counts=True)
    others = np.concatenate([kg.queries(split) for split in SPLITS[1:]])
    held_out = np.setdiff1d(others[others[:, 1] == relation, 2], answers)
    last = frames[-1]
    kept = np.flatnonzero(last.queries[:, 1] == relation)
    heads = last.queries[kept, 0]
    negatives = {}
    if last.has_fakes:
        at = np.searchsorted(last.heads_e, heads)
        first = kg.num_entities
        negatives["G_E"] = _negatives(
            "G_E", frames, kg, relation, heads, first + at,
            [(f.fakes_e[at], f.score_e[kept], f.d_fakes_e[at], f.aux_fakes_e[at]) for f in frames],
        )  # fmt: skip
        first += len(last.heads_e)
        negatives["G_R"] = _negatives(
            "G_R", frames, kg, relation, heads, first + kept,
            [(f.fakes_r[kept], f.score_r[kept], f.d_fakes_r[kept], f.aux_fakes_r[kept]) for f in frames],
        )  # fmt: skip
    drawn = last.random[kept]
    nothing = np.full(len(kept), np.nan, dtype=np.float32)
    negatives["random"] = _negatives(
        "random", frames, kg, relation, heads, drawn,
        [(f.entities[drawn], f.score_random[kept], f.d_entities[drawn], nothing) for f in frames],
    )  # fmt: skip
    return RelationView(
        relation,
        answers,
        counts,
        held_out,
        heads,
        len(np.unique(train[:, 0])),
        last.answers[kept],
        np.stack([f.score_true[kept] for f in frames]),
        negatives,
        "head" if relation >= kg.num_relations else "tail",
    )


def _negatives(
    source: str,
    frames: Sequence[Frame],
    kg: KnowledgeGraph,
    relation: int,
    heads: Ids,
    rows: Ids,
    found: Sequence[tuple[Floats, Floats, Floats, Floats]],
) -> Negatives:
    """From vectors (k, dim), scores, D_adv and D_aux of each snapshot."""
    nearest, cosine, scale = [], [], []
    for frame, (vectors, *_) in zip(frames, found, strict=True):
        if source == "random":
            near, alike = rows, np.ones(len(rows), dtype=np.float32)
        else:
            near, alike = nearest_entities(vectors, frame.entities)
        nearest.append(near)
        cosine.append(alike)
        scale.append(np.linalg.norm(vectors, axis=1) / frame.median_length)
    ids = np.stack(nearest)
    known = known_splits(kg, np.tile(heads, len(frames)), relation, ids.reshape(-1)).reshape(ids.shape)
    score, d_adv, aux = (np.stack(part) for part in list(zip(*found, strict=True))[1:])
    return Negatives(source, rows, ids, np.stack(cosine), np.stack(scale), score, d_adv, aux, known)


# --- words -----------------------------------------------------------------------------------------------------


def relation_label(kg: KnowledgeGraph, relation: int) -> str:
    """ "affects", and "affects⁻¹ (fake heads)" for its reciprocal."""
    name = kg.relation_name(relation)
    return f"{name} (fake heads)" if name.endswith(RECIPROCAL) else name


def share(part: int, whole: int) -> str:
    """ "31 %"; a share that is not quite nothing is never shown as nothing."""
    percent = 100 * part / whole
    return "under 1 %" if 0 < percent < 0.5 else f"{percent:.0f} %"


def count(number: int, one: str, many: str | None = None) -> str:
    """ "1 fake", "35 fakes", "1,200 fakes"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
