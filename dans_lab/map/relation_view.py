"""What a snapshot says of one relation: true answers, fakes of each pathway, random negatives, and its name.

Plain numpy on the arrays of a snapshot file; no Streamlit and no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from dans_core.kg import KnowledgeGraph
from dans_data import RECIPROCAL, SPLITS
from dans_lab.runs.frames import Floats, Frame, Ids, known_splits


@dataclass(frozen=True, eq=False)
class KeptNegatives:
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
        kept: shape (S,), the entities that the snapshots keep; a row of the projection each, from 0 on.
        heads: shape (k,), the heads of the kept queries.
        asked: how many queries the relation has in train; a run may keep fewer.
        true: shape (k,), one true answer of each kept query.
        score_true: shape (E, k), its decoder score.
        negatives: by source, in the order G_E, G_R, random; of the pathways those that the run has.
        side: what the answers are in the data set, "tail", or "head" for a reciprocal.
    """

    relation: int
    answers: Ids
    counts: Ids
    held_out: Ids
    kept: Ids
    heads: Ids
    asked: int
    true: Ids
    score_true: Floats
    negatives: dict[str, KeptNegatives]
    side: str

    @property
    def focus(self) -> Ids:
        """Rows of the projection that this view draws in the foreground."""
        known = np.flatnonzero(np.isin(self.kept, np.concatenate([self.answers, self.held_out])))
        return np.concatenate([known, *(part.rows for part in self.negatives.values())])


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
    first = len(last.entities)
    if "G_E" in last.pathways:
        at = np.searchsorted(last.heads_e, heads)
        negatives["G_E"] = _negatives(
            "G_E", frames, kg, relation, heads, first + at,
            [(f.fakes_e[at], f.score_e[kept], f.d_fakes_e[at], f.aux_fakes_e[at]) for f in frames],
            [f.nearest("G_E", at) for f in frames],
        )  # fmt: skip
        first += len(last.heads_e)
    if "G_R" in last.pathways:
        negatives["G_R"] = _negatives(
            "G_R", frames, kg, relation, heads, first + kept,
            [(f.fakes_r[kept], f.score_r[kept], f.d_fakes_r[kept], f.aux_fakes_r[kept]) for f in frames],
            [f.nearest("G_R", kept) for f in frames],
        )  # fmt: skip
    drawn = last.random[kept]
    places, nothing = last.rows_of(drawn), np.full(len(kept), np.nan, dtype=np.float32)
    negatives["random"] = _negatives(
        "random", frames, kg, relation, heads, places,
        [(f.entities[places], f.score_random[kept], f.d_entities[places], nothing) for f in frames],
        [(drawn, np.ones(len(drawn), dtype=np.float32)) for _ in frames],
    )  # fmt: skip
    return RelationView(
        relation,
        answers,
        counts,
        held_out,
        last.entity_ids,
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
    near: Sequence[tuple[Ids, Floats]],
) -> KeptNegatives:
    """From vectors (k, dim), scores, D_adv and D_aux of each snapshot, and the nearest entities with their cosines."""
    scale = [
        np.linalg.norm(vectors, axis=1) / frame.median_length
        for frame, (vectors, *_) in zip(frames, found, strict=True)
    ]
    ids, cosine = (np.stack(part) for part in zip(*near, strict=True))
    known = known_splits(kg, np.tile(heads, len(frames)), relation, ids.reshape(-1)).reshape(ids.shape)
    score, d_adv, aux = (np.stack(part) for part in list(zip(*found, strict=True))[1:])
    return KeptNegatives(source, rows, ids, cosine, np.stack(scale), score, d_adv, aux, known)


def busiest_relation(kg: KnowledgeGraph) -> int:
    """The relation with the most facts in train: the one with most to see."""
    return int(np.bincount(kg.array("train")[:, 1], minlength=kg.num_relations).argmax())


_asked: WeakKeyDictionary[KnowledgeGraph, int] = WeakKeyDictionary()


def asked_in_train(kg: KnowledgeGraph) -> int:
    """The number of distinct queries of train, both directions."""
    if kg not in _asked:
        queries = kg.queries("train")
        _asked[kg] = len(np.unique(queries[:, 0] * (2 * kg.num_relations) + queries[:, 1]))
    return _asked[kg]


# --- words -----------------------------------------------------------------------------------------------------


def relation_label(kg: KnowledgeGraph, relation: int) -> str:
    """ "affects", and "affects⁻¹ (fake heads)" for its reciprocal."""
    name = kg.relation_name(relation)
    return f"{name} (fake heads)" if name.endswith(RECIPROCAL) else name
