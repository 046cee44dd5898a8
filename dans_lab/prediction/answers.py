"""The open place of a triplet filled by all that fit, with scores and filtered ranks; all by ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dans_core.kg import KnowledgeGraph
from dans_data.known import Ids
from dans_lab.inspection import Trained

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_MOST_SCORES = 1 << 22
"""Scores in memory at once: 16 MiB of float32."""


@dataclass(frozen=True)
class Filled:
    """Candidates for one open place, best first; all arrays have shape (candidates,).

    Attributes:
        ids: entities, or relations.
        scores: the decoder's.
        ranks: filtered, as in evaluation: 1 + those above that are no known facts, ties counting half.
        shares: logarithms of two softmaxes of the scores, (candidates, 2): over all candidates, and over the candidate
            and those that are no known facts. Unlike scores, they compare answers to different queries.
        known: whether a split holds the triplet.
    """

    ids: Ids
    scores: Floats
    ranks: Floats
    shares: Floats
    known: Flags

    def until(self, top: int) -> int:
        """How many candidates there are down to the `top`th that is no known fact."""
        unknown = np.flatnonzero(~self.known)
        return int(unknown[top - 1]) + 1 if len(unknown) >= top else len(self.ids)


@torch.no_grad()
def tail_scores(run: Trained, heads: Tensor, relations: Tensor) -> Tensor:
    """Scores (B, N) of all entities as tails of queries (B,), reciprocal relations included."""
    model = run.networks.model
    return model.decoder.score_all(model.queries(run.entities, heads, relations), run.entities)


def fill_tail(run: Trained, head: int, relation: int, typed: bool = False) -> Filled:
    """The answers to (head, relation, ?); a reciprocal relation asks for the head of the original triplet.

    `typed` leaves only entities that train shows in this place of the relation.
    """
    kg = run.kg
    scores = tail_scores(run, torch.tensor([head]), torch.tensor([relation]))[0].double().numpy()
    known = np.zeros(kg.num_entities, dtype=np.bool_)
    start, stop = kg.known_answers.ranges(head, relation)
    known[kg.known_answers.answers[int(start) : int(stop)]] = True
    candidates = seen_in_slot(kg, relation) if typed else np.arange(kg.num_entities)
    return _filled(candidates, scores[candidates], known[candidates])


@torch.no_grad()
def fill_relation(run: Trained, head: int, tail: int) -> Filled:
    """The relations that may join two entities, in this direction, by the scores of (head, r, tail)."""
    kg, every = run.kg, np.arange(run.kg.num_relations)
    triplets = np.stack([np.full_like(every, head), every, np.full_like(every, tail)], axis=1)
    return _filled(every, score(run, triplets), kg.known_answers.contains(head, every, tail))


@torch.no_grad()
def score(run: Trained, triplets: Ids) -> Floats:
    """The decoder's scores (n,) of triplets (n, 3), reciprocals included."""
    model = run.networks.model
    out = np.empty(len(triplets))
    for begin in range(0, len(triplets), 65_536):
        heads, relations, tails = torch.from_numpy(triplets[begin : begin + 65_536].copy()).T
        queries = model.queries(run.entities, heads, relations)
        found = model.decoder.score(queries, run.entities[tails])
        out[begin : begin + 65_536] = found.double().numpy()
    return out


def seen_in_slot(kg: KnowledgeGraph, relation: int) -> Ids:
    """The entities that train shows as tails of a relation, ascending."""
    train = kg.queries("train")
    return np.unique(train[train[:, 1] == relation, 2])


def new_facts(
    run: Trained,
    top: int,
    relation: int | None = None,
    sure: Callable[[Floats], Floats] | None = None,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Ids, Floats]:
    """The triplets (top, 3) of which the model is surest and that no split holds, and their `shares` (top, 2).

    Asked are the heads that train shows with each relation, or with this one. `sure` says by their shares (…, 2) how
    sure it is of answers, (…), such as a calibration does; by default their sum. `told` hears how many queries are
    done, of how many.
    """
    train = run.kg.array("train")
    rows = train if relation is None else train[train[:, 1] == relation]
    asked = np.unique(rows[:, :2], axis=0)
    sure = sure or sum_of_shares
    best = np.zeros((0, 3), dtype=np.int64), np.zeros((0, 2))
    for begin, found, shares in _blocks(run, asked, top, sure):
        told(begin, len(asked))
        best = _best(np.concatenate([best[0], found]), np.concatenate([best[1], shares]), top, sure)
    told(len(asked), len(asked))
    return best


def _blocks(
    run: Trained, asked: Ids, top: int, sure: Callable[[Floats], Floats]
) -> Iterator[tuple[int, Ids, Floats]]:
    """For blocks of queries, where each begins, its best unknown triplets, and their shares."""
    kg = run.kg
    step = max(1, _MOST_SCORES // kg.num_entities)
    for begin in range(0, len(asked), step):
        part = asked[begin : begin + step]
        scores = tail_scores(run, torch.from_numpy(part[:, 0].copy()), torch.from_numpy(part[:, 1].copy()))
        start, stop = kg.known_answers.ranges(part[:, 0], part[:, 1])
        sizes = stop - start
        row = np.repeat(np.arange(len(part)), sizes)
        place = np.arange(len(row)) + np.repeat(start - (np.cumsum(sizes) - sizes), sizes)
        known = torch.from_numpy(row), torch.from_numpy(kg.known_answers.answers[place].copy())
        among_all = scores.double().log_softmax(1)
        scores[known] = -torch.inf
        shares = torch.stack([among_all, scores.double().log_softmax(1)], dim=-1)
        surest = torch.from_numpy(sure(shares.numpy()))
        surest[known] = -torch.inf
        flat, at = surest.flatten().topk(min(top, surest.numel()))
        query, tail = np.divmod(at[flat.isfinite()].numpy(), kg.num_entities)
        yield begin, np.column_stack([part[query], tail]), shares[query, tail].numpy()


def _best(triplets: Ids, shares: Floats, top: int, sure: Callable[[Floats], Floats]) -> tuple[Ids, Floats]:
    order = np.lexsort((*triplets.T[::-1], -sure(shares)))[:top]
    return triplets[order], shares[order]


def _filled(ids: Ids, scores: Floats, known: Flags) -> Filled:
    unknown = np.sort(scores[~known])
    above = len(unknown) - np.searchsorted(unknown, scores, side="right")
    alike = len(unknown) - np.searchsorted(unknown, scores, side="left") - above
    # An unknown candidate is among those that it is compared with.
    ranks = 1 + above + (alike - ~known) / 2
    order = np.lexsort((ids, known, -scores))
    return Filled(ids[order], scores[order], ranks[order], shares_of(scores, known)[order], known[order])


def sum_of_shares(shares: Floats) -> Floats:
    """How sure a model is by its shares (…, 2) alone, (…)."""
    return np.asarray(shares.sum(-1))


def shares_of(scores: Floats, known: Flags) -> Floats:
    """The `shares` (n, 2) of the candidates of one query, from their scores (n,) and which are known facts."""
    every, unknown = np.logaddexp.reduce(scores), np.logaddexp.reduce(scores[~known])
    rivals = np.where(known, np.logaddexp(unknown, scores), unknown)
    return np.stack([scores - every, scores - rivals], axis=-1)
