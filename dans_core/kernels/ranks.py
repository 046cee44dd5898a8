"""Filtered ranks of many answers: scores in blocks, and the known answers taken off again instead of searched for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dans_data.known import Ids, KnownAnswers

# Scores in memory at once, 16 MiB of float32: more leave the cache, fewer starve the matrix product.
_MAX_SCORES = 1 << 22

ScoreQueries = Callable[[Tensor, Tensor], Tensor]
"""Head and relation ids, (B,) each → scores (B, N)."""

RanksOf = Callable[[ScoreQueries, Ids, KnownAnswers, torch.device], Tensor]
"""What `ranks` is: the filtered ranks (P,) of pairs (P, 3)."""


def ranks(scores: ScoreQueries, pairs: Ids, known: KnownAnswers, device: torch.device) -> Tensor:
    """The filtered rank of each answer among all entities, shape (P,), on the CPU; ties count half.

    Args:
        scores: head and relation ids (B,) → (B, N), all on `device`; each distinct query is asked once.
        pairs: shape (P, 3), queries with an answer each.
        known: the answers that are left out, all but the pair's own; those of the pairs are among them.

    Raises:
        ValueError: if a score is not a number.
    """
    asked = _questions(pairs, known, device)
    known_answers = torch.from_numpy(known.answers.copy()).to(device)
    out = torch.empty(len(asked.answer), dtype=torch.double, device=device)
    step = max(1, _MAX_SCORES // known.num_entities)
    for begin in range(0, len(out), step):
        part = slice(begin, begin + step)
        query = asked.query[part]
        first, last = int(query[0]), int(query[-1]) + 1
        table = scores(asked.heads[first:last], asked.relations[first:last])
        # A sum is quick and any NaN reaches it; infinities of both signs make one too.
        if table.sum().isnan() and table.isnan().any():
            raise ValueError("some scores are not numbers, so nothing can be ranked")
        if len(table) < len(query):
            table = table.index_select(0, query - first)
        target = table.gather(1, asked.answer[part, None])
        # As floats, counts add up several times as fast, and exactly up to 2^23 entities.
        flags = torch.empty(table.shape, device=device)
        above = torch.gt(table, target, out=flags).sum(1) + torch.ge(table, target, out=flags).sum(1)
        # The known answers leave again, by the scores that they were counted with; the answer is one of them.
        length = asked.length[part]
        row = torch.repeat_interleave(torch.arange(len(length), device=device), length)
        shift = asked.known[part] - (length.cumsum(0) - length)
        place = torch.arange(len(row), device=device) + shift.index_select(0, row)
        column = known_answers.index_select(0, place)
        others = table.reshape(-1).index_select(0, row * table.shape[1] + column)
        against = target.squeeze(1).index_select(0, row)
        above.index_add_(0, row, (others > against).float() + (others >= against).float(), alpha=-1)
        out[asked.position[part]] = 1 + above.double() / 2
    return out.cpu()


def ranks_plain(scores: ScoreQueries, pairs: Ids, known: KnownAnswers) -> Tensor:
    """The same, one pair and one candidate after the other: the mean of the best and the worst rank."""
    out = []
    for head, relation, answer in pairs.tolist():
        table = scores(torch.tensor([head]), torch.tensor([relation]))[0].tolist()
        rivals = [
            score for e, score in enumerate(table) if e != answer and not known.contains(head, relation, e)
        ]
        best = 1 + sum(score > table[answer] for score in rivals)
        worst = best + sum(score == table[answer] for score in rivals)
        out.append((best + worst) / 2)
    return torch.tensor(out, dtype=torch.double)


class _Questions(NamedTuple):
    """The Q distinct queries of a split, both sides, and its P answers in the order of their queries.

    heads, relations  (Q,)  the queries
    query             (P,)  which of them each answer belongs to, ascending
    answer            (P,)  the true answers
    position          (P,)  where each stands among the tails of the split, then its heads
    known, length     (P,)  where the known answers of its query begin in the index, and how many
    """

    heads: Tensor
    relations: Tensor
    query: Tensor
    answer: Tensor
    position: Tensor
    known: Tensor
    length: Tensor


def _questions(pairs: Ids, known: KnownAnswers, device: torch.device) -> _Questions:
    key = pairs[:, 0] * known.num_relations + pairs[:, 1]
    position = np.argsort(key, kind="stable")
    distinct, query = np.unique(key[position], return_inverse=True)
    heads, relations = np.divmod(distinct, known.num_relations)
    start, stop = (bound[query] for bound in known.ranges(heads, relations))
    columns = (heads, relations, query, pairs[position, 2], position, start, stop - start)
    return _Questions(*(torch.from_numpy(column).to(device) for column in columns))
