"""What a snapshot says of one relation: true answers, fakes of each pathway, random negatives, and words for them.

Plain numpy on the arrays of a snapshot file; no Streamlit and no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dans_core.datasets import RECIPROCAL, SPLITS
from dans_core.kg import KnowledgeGraph

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

_BLOCK = 512

ALIKE = 0.4
"""Below this cosine the nearest entity is nearest only because one has to be."""


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
    """Negatives of one source for the queries of one relation; all arrays have one entry a negative.

    Attributes:
        source: "G_E", "G_R" or "random".
        heads: the head of the query each was made for.
        rows: its row in the projection (a random negative has the row of its entity).
        nearest, cosine: nearest entity by cosine; a random negative is its own nearest, cosine 1.
        scale: length divided by the median length of an entity.
        d_adv: probability "real" by D_adv, NaN without a GAN.
        known: index into `SPLITS` of the split that holds (head, relation, nearest), -1 for no known fact.
    """

    source: str
    heads: Ids
    rows: Ids
    nearest: Ids
    cosine: Floats
    scale: Floats
    d_adv: Floats
    known: Ids

    def __len__(self) -> int:
        return len(self.heads)


@dataclass(frozen=True, eq=False)
class RelationView:
    """Everything the map shows of one relation at one snapshot.

    Attributes:
        relation: id, maybe of a reciprocal.
        answers, counts: distinct true answers in train and the number of heads each answers.
        held_out: answers that only valid or test has.
        negatives: by source, in the order G_E, G_R, random; a pathway without fakes here is left out.
        side: what the answers are in the data set, "tail", or "head" for a reciprocal.
    """

    relation: int
    answers: Ids
    counts: Ids
    held_out: Ids
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


def view_of(frame: Frame, kg: KnowledgeGraph, relation: int) -> RelationView:
    """The view of one relation (id below 2|R|). Random negatives: one entity for each head, by a fixed seed."""
    train = kg.queries("train")
    train = train[train[:, 1] == relation]
    heads = np.unique(train[:, 0])
    answers, counts = np.unique(train[:, 2], return_counts=True)
    others = np.concatenate([kg.queries(split) for split in SPLITS[1:]])
    held_out = np.setdiff1d(others[others[:, 1] == relation, 2], answers)
    typical = max(float(np.median(np.linalg.norm(frame.entities, axis=1))), 1e-12)

    def fakes(
        source: str, chosen: Ids, conditions: Ids, points: Floats, opinions: Floats, first: int
    ) -> Negatives:
        nearest, cosine = nearest_entities(points[chosen], frame.entities)
        return Negatives(
            source,
            conditions[chosen],
            first + chosen,
            nearest,
            cosine,
            np.linalg.norm(points[chosen], axis=1) / typical,
            opinions[chosen],
            known_splits(kg, conditions[chosen], relation, nearest),
        )

    negatives = {}
    of_e = np.flatnonzero(np.isin(frame.heads_e, heads))
    if len(of_e):
        negatives["G_E"] = fakes(
            "G_E", of_e, frame.heads_e, frame.fakes_e, frame.d_fakes_e, len(frame.entities)
        )
    of_r = np.flatnonzero(frame.queries[:, 1] == relation) if frame.has_fakes else np.zeros(0, np.int64)
    if len(of_r):
        first = len(frame.entities) + len(frame.fakes_e)
        negatives["G_R"] = fakes("G_R", of_r, frame.queries[:, 0], frame.fakes_r, frame.d_fakes_r, first)
    if len(heads):
        drawn = np.random.default_rng([relation, 0]).integers(kg.num_entities, size=len(heads))
        negatives["random"] = Negatives(
            "random",
            heads,
            drawn,
            drawn,
            np.ones(len(heads), dtype=np.float32),
            (np.linalg.norm(frame.entities[drawn], axis=1) / typical).astype(np.float32),
            frame.d_entities[drawn],
            known_splits(kg, heads, relation, drawn),
        )
    side = "head" if relation >= kg.num_relations else "tail"
    return RelationView(relation, answers, counts, held_out, negatives, side)


def neighbours(frame: Frame, entity: int, count: int = 5) -> list[tuple[int, float]]:
    """The `count` entities nearest to this one in all dimensions, with their cosines."""
    lengths = np.maximum(np.linalg.norm(frame.entities, axis=1), 1e-12)
    cosines = frame.entities @ frame.entities[entity] / (lengths * lengths[entity])
    cosines[entity] = -np.inf
    order = np.argsort(-cosines, kind="stable")[: min(count, len(cosines) - 1)]
    return [(int(i), float(cosines[i])) for i in order]


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


def summary(negatives: Negatives, side: str) -> str:
    """One sentence on the negatives of one source, in Markdown; holds no names.

    `side` is what they are: "tail", or "head" for those of a reciprocal relation, which are made for tails.
    """
    size, known = len(negatives), int((negatives.known >= 0).sum())
    other = "tail" if side == "head" else "head"
    facts = f"**{share(known, size)}** would be known facts" if known else "none would be a known fact"
    if size == 1:
        facts = f"it {'would' if known else 'would not'} be a known fact"
    if negatives.source == "random":
        return f"Of {count(size, 'random ' + side)}, {facts}." if size > 1 else f"One random {side}: {facts}."
    made = f"{negatives.source} made {count(size, 'fake ' + side)} for {count(len(np.unique(negatives.heads)), other)}"
    cosine = float(np.median(negatives.cosine))
    alike = "" if cosine >= ALIKE else ", though far from alike"
    if size == 1:
        return f"{made}; by its nearest entity{alike} (cosine {cosine:.2f}), {facts}."
    nearest = len(np.unique(negatives.nearest))
    place = "**one and the same entity**" if nearest == 1 else f"**{nearest:,} different entities**"
    return f"{made}; they fall nearest to {place}{alike} (typical cosine {cosine:.2f}); {facts}."
