"""Scores of queries with chosen entities, looked up in a table of all of them where that pays."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.kernels.chosen import chosen_plain

# All queries are scored against all entities up to this many scores (64 MiB of float32) …
_TABLE = 1 << 24
# … unless few of those are asked for: a score of a chosen pair costs about as much as so many of a table.
_CHOSEN_COST = 8


class Scorer(Protocol):
    """What is asked of a decoder."""

    def score(self, q: Tensor, t: Tensor) -> Tensor:
        """(…, dim) and (…, dim), broadcast → (…)."""

    def score_all(self, q: Tensor, entities: Tensor) -> Tensor:
        """(Q, dim) and (N, dim) → (Q, N)."""

    def score_groups(self, q: Tensor, t: Tensor) -> Tensor:
        """(G, S, dim) and (G, K, dim) → (G, S, K)."""

    def score_chosen(self, q: Tensor, entities: Tensor, rows: Tensor, ids: Tensor) -> Tensor:
        """Query rows[p] of (Q, dim) against entities ids[p] of (N, dim) → (P, K)."""


class Scores:
    """Scores of Q queries with entities of each row's own choice; a row is a pair of a batch, or a query.

    Args:
        entities, queries: (N, dim) and (Q, dim), with their history where a gradient is wanted.
        rows: (P,) the query of each row, as a position in `queries`: `batch.query`, or 0 … Q − 1.
        per_row: about how many scores of each row will be asked for, all together.
    """

    def __init__(
        self, decoder: Scorer, entities: Tensor, queries: Tensor, rows: Tensor, per_row: int
    ) -> None:
        self._decoder, self._entities, self._queries, self._rows = decoder, entities, queries, rows
        cells = len(queries) * len(entities)
        self._table: Tensor | None = None
        if cells <= min(_TABLE, _CHOSEN_COST * per_row * len(rows)):
            self._table = decoder.score_all(queries, entities).flatten()

    def of(self, ids: Tensor) -> Tensor:
        """Scores (P, K) of each row's query with its ids (P, K)."""
        if self._table is None:
            return self._decoder.score_chosen(self._queries, self._entities, self._rows, ids)
        return self._table.gather(0, self._cells(ids)).view_as(ids)

    def sum_of_softplus(self, ids: Tensor, weights: Tensor | None) -> Tensor:
        """Σ weight · softplus(score), a scalar; each cell of a table is visited once, however often it was drawn."""
        if self._table is None:
            losses = F.softplus(self.of(ids))
            return (losses if weights is None else weights * losses).sum()
        each = self._table.new_ones(()).expand(ids.numel()) if weights is None else weights.flatten()
        tally = torch.zeros_like(self._table).scatter_add_(0, self._cells(ids), each)
        return tally @ F.softplus(self._table)

    def sum_of_softplus_plain(self, ids: Tensor, weights: Tensor | None) -> Tensor:
        """The same, draw by draw."""
        scores = chosen_plain(self._decoder.score, self._queries, self._entities, self._rows, ids)
        return (F.softplus(scores) if weights is None else weights * F.softplus(scores)).sum()

    def _cells(self, ids: Tensor) -> Tensor:
        return ((self._rows * len(self._entities)).unsqueeze(1) + ids).flatten()


def shared_scores(
    decoder: Scorer, entities: Tensor, queries: Tensor, rows: Tensor, ids: Tensor, shared: int
) -> Tensor:
    """Scores (P, K) of the queries of rows (P,) with ids (⌈P / shared⌉, K), one row of ids for `shared` rows in turn.

    One product of matrices a group: a fraction of the time of `Scores.of` for as many candidates of each row's own.
    """
    groups = len(ids)
    # The last group is filled up with its last row.
    filled = torch.cat([rows, rows[-1:].expand(groups * shared - len(rows))])
    asked = F.embedding(filled, queries).view(groups, shared, -1)
    candidates = F.embedding(ids.flatten(), entities).view(*ids.shape, -1)
    return decoder.score_groups(asked, candidates).flatten(0, 1)[: len(rows)]


def shared_scores_plain(
    decoder: Scorer, entities: Tensor, queries: Tensor, rows: Tensor, ids: Tensor, shared: int
) -> Tensor:
    """The same, with ids (P, K) of each row's own."""
    own = ids.repeat_interleave(shared, dim=0)[: len(rows)]
    return chosen_plain(decoder.score, queries, entities, rows, own)
