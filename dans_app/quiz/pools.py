"""Everything that a game could ask of a run, with what is measured of it, and the ten that a seed draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import streamlit as st

from dans_app.quiz.games import GAMES, ROUNDS, Game, Name
from dans_app.server import inspecting, loading
from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_data.errors import InputError
from dans_data.stamps import Stamp, stamp
from dans_lab.runs.frames import Frame
from dans_lab.runs.run import Run

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

MOST_FACTS = 500
"""Facts of a split that the game of triplets draws from, and as many that its threshold is fitted to."""

_CELLS = 1 << 22


@dataclass(frozen=True, eq=False)
class Pool:
    """n candidates of a game, each the tail of a query.

    Attributes:
        kinds: shape (n,), "real", "G_E", "G_R", "fact" or "swapped".
        sought: shape (n,), whether it is of the kind that the game seeks.
        drawable: shape (n,), whether it may be asked; the others set thresholds only.
        heads, relations: shape (n,), the query; a relation may be a reciprocal.
        answers: shape (n,), a true answer of the query.
        rows: shape (n,), where its vector is in `vectors`.
        vectors: shape (S + …, dim), the kept entities first, then fakes of G_E, then of G_R.
        sizes: how many of these are entities, and fakes of each pathway.
        entity_ids: shape (S,), which entities these are, ascending.
        unit: the median length of an entity.
        measures: shape (n,) each: "score", "d_adv", "d_aux", "length", and of entities and fakes "cosine", of triplets
            "common". NaN where there is none.
        origin: which weights these are of, such as "epoch 300".
    """

    kinds: npt.NDArray[np.str_]
    sought: Marks
    drawable: Marks
    heads: Ids
    relations: Ids
    answers: Ids
    rows: Ids
    vectors: npt.NDArray[np.float32]
    sizes: tuple[int, ...]
    entity_ids: Ids
    unit: float
    measures: dict[str, Floats]
    origin: str

    def entity(self, place: int) -> int | None:
        """The id of the entity that this candidate is; None for a fake."""
        row = int(self.rows[place])
        return int(self.entity_ids[row]) if row < len(self.entity_ids) else None


def pool(run: Run, kg: KnowledgeGraph, game: Name, epoch: int | None) -> Pool:
    """What this game can ask of a run; `epoch` says which snapshot, where the game is about one.

    Raises InputError where files are missing or damaged.
    """
    if game == "triplet":
        which = inspecting.checkpoints(run)[0]
        return _of_weights(str(run.path), which, stamp(run.path / f"{which}.pt"), kg.hash, run, kg)
    assert epoch is not None, "a snapshot has an epoch"
    frame = loading.frame(run, epoch, kg)
    writing = stamp(run.path / "snapshots" / f"{epoch:06d}.npz")
    return _of_snapshot(str(run.path), epoch, writing, kg.hash, game, frame)


def draw(candidates: Pool, game: Game, seed: int) -> list[int]:
    """The places of ten candidates, five of each kind in an order of chance; the same for the same seed.

    Queries are drawn before it is known what stands for them, so they tell nothing of the kind. No two have a head or
    a vector in common. Raises InputError where a run is too small for that.
    """
    random = np.random.default_rng([seed, list(GAMES).index(game.name)])
    sides = random.permutation(np.arange(ROUNDS) % 2 == 0).tolist()
    kinds = _kinds(candidates, random)
    wanted = [kinds[side][sides[:i].count(side) % len(kinds[side])] for i, side in enumerate(sides)]
    stands = _by_query(candidates)
    queries = list(stands)
    found: list[int] = []
    used: set[int] = set()
    heads: set[int] = set()
    for number in random.permutation(len(queries)):
        head, place = queries[number][0], stands[queries[number]][wanted[len(found)]]
        row = int(candidates.rows[place])
        if head in heads or row in used:
            continue
        heads.add(head)
        used.add(row)
        found.append(place)
        if len(found) == ROUNDS:
            return found
    raise InputError(f"it has not enough queries for {ROUNDS} rounds without a repetition")


def _by_query(candidates: Pool) -> dict[tuple[int, int, int], dict[str, int]]:
    """The places of the candidates of each query and answer, by their kinds."""
    found: dict[tuple[int, int, int], dict[str, int]] = {}
    for place in np.flatnonzero(candidates.drawable).tolist():
        query = (
            int(candidates.heads[place]),
            int(candidates.relations[place]),
            int(candidates.answers[place]),
        )
        found.setdefault(query, {})[str(candidates.kinds[place])] = place
    return found


def _kinds(candidates: Pool, random: np.random.Generator) -> dict[bool, list[str]]:
    """The kinds that stand for what is sought and for the other, in an order of chance."""
    found = {}
    for side in (True, False):
        names = np.unique(candidates.kinds[candidates.sought == side])
        found[side] = random.permutation(names).tolist()
    return found


# --- entities and fakes of a snapshot ----------------------------------------------------------------------------


@st.cache_resource(max_entries=32, show_spinner=False)
def _of_snapshot(
    path: str, epoch: int, writing: Stamp | None, graph_hash: str, game: Name, _frame: Frame
) -> Pool:
    frame = _frame
    kept, queries = len(frame.entities), len(frame.queries)
    by_head = np.searchsorted(frame.heads_e, frame.queries[:, 0])
    rows = frame.rows_of(frame.answers)
    parts = [("real", rows, frame.score_true, frame.d_entities[rows], frame.aux_entities[rows])]
    if "G_E" in frame.pathways:
        fakes = frame.d_fakes_e[by_head], frame.aux_fakes_e[by_head]
        parts.append(("G_E", kept + by_head, frame.score_e, *fakes))
    if "G_R" in frame.pathways:
        first = kept + len(frame.fakes_e)
        parts.append(("G_R", first + np.arange(queries), frame.score_r, frame.d_fakes_r, frame.aux_fakes_r))
    if game == "pathway":
        parts = parts[1:]
    kinds = np.repeat([part[0] for part in parts], queries)
    where, scores, d_adv, d_aux = (np.concatenate([part[i] for part in parts]) for i in range(1, 5))
    vectors = np.concatenate(frame.groups)
    lengths = np.linalg.norm(vectors, axis=1) / frame.median_length
    measures = {"score": scores, "d_adv": d_adv, "d_aux": d_aux, "length": lengths[where]}
    measures["cosine"] = nearest_others(vectors, kept)[where]
    return Pool(
        kinds,
        kinds == "G_R" if game == "pathway" else kinds != "real",
        np.ones(len(kinds), bool),
        np.tile(frame.queries[:, 0], len(parts)),
        np.tile(frame.queries[:, 1], len(parts)),
        np.tile(frame.answers, len(parts)),
        where,
        vectors,
        tuple(len(group) for group in frame.groups),
        frame.entity_ids,
        frame.median_length,
        {name: values.astype(float) for name, values in measures.items()},
        f"epoch {frame.epoch:,}",
    )


def nearest_others(vectors: npt.NDArray[np.float32], entities: int) -> Floats:
    """The cosine of each vector (n, dim) to the nearest of the first `entities` of them, itself left out; (n,)."""
    directions = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    found = np.zeros(len(vectors))
    step = max(1, _CELLS // max(1, entities))
    for start in range(0, len(vectors), step):
        cosines = directions[start : start + step] @ directions[:entities].T
        own = np.arange(start, min(start + len(cosines), entities))
        cosines[own - start, own] = -np.inf
        found[start : start + step] = cosines.max(axis=1)
    return found


# --- triplets, judged by the weights of a run ----------------------------------------------------------------------


@st.cache_resource(max_entries=8, show_spinner=False)
def _of_weights(
    path: str,
    which: inspecting.Which,
    writing: Stamp | None,
    graph_hash: str,
    _run: Run,
    _kg: KnowledgeGraph,
) -> Pool:
    run, kg, random = _run, _kg, np.random.default_rng(0)
    tests, valids = (_some(kg.array(split), random) for split in ("test", "valid"))
    facts = np.concatenate([tests, valids])
    swapped = np.column_stack([facts[:, :2], swapped_tails(kg, facts, random)])
    triplets = np.concatenate([facts, swapped])
    said = inspecting.judge(run, kg, which, triplets)
    vectors = inspecting.entities(run, kg, which)
    lengths = np.linalg.norm(vectors, axis=1)
    unit = max(float(np.median(lengths)), 1e-12)
    train = kg.array("train")
    common = np.bincount(train[:, 1] * kg.num_entities + train[:, 2], minlength=1)
    slot = triplets[:, 1] * kg.num_entities + triplets[:, 2]
    measures = {
        "score": said.scores,
        "d_adv": said.d_adv,
        "d_aux": said.d_aux,
        "length": lengths[triplets[:, 2]] / unit,
        "common": np.where(slot < len(common), common[np.minimum(slot, len(common) - 1)], 0),
    }
    real = np.arange(len(triplets)) < len(facts)
    return Pool(
        np.where(real, "fact", "swapped"),
        real,
        np.tile(np.arange(len(facts)) < len(tests), 2),
        triplets[:, 0],
        triplets[:, 1],
        np.tile(facts[:, 2], 2),
        triplets[:, 2],
        vectors,
        (kg.num_entities,),
        np.arange(kg.num_entities),
        unit,
        {name: values.astype(float) for name, values in measures.items()},
        "the best epoch" if which == "best" else "the last epoch",
    )


def _some(facts: Ids, random: np.random.Generator) -> Ids:
    chosen = random.permutation(len(facts))[:MOST_FACTS]
    return facts[np.sort(chosen)]


def swapped_tails(kg: KnowledgeGraph, facts: Ids, random: np.random.Generator) -> Ids:
    """For each fact (n, 3), another tail with which it is a fact of no split; of a kind that the relation takes.

    It is one of the known tails of the relation, so that its type does not give it away; where all of those are
    answers, it is any entity. Raises InputError where every entity answers.
    """
    every = np.concatenate([kg.array(split) for split in SPLITS])
    tails = {
        int(relation): np.unique(every[every[:, 1] == relation, 2]) for relation in np.unique(facts[:, 1])
    }
    found = []
    for head, relation, _ in facts.tolist():
        answers = np.concatenate(list(kg.answers(head, relation).values()))
        left = np.setdiff1d(tails[relation], answers)
        if not len(left):
            left = np.setdiff1d(np.arange(kg.num_entities), answers)
        if not len(left):
            raise InputError("every entity answers one of its queries, so no tail can be swapped")
        found.append(int(random.choice(left)))
    return np.array(found)
