"""Draws from what the pathways of DANS propose for any queries, in parts of bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from dans_core.batch import Batch
from dans_core.samplers.dans import Dans

_PART = 8192
"""Queries at a time: with 1,024 candidates, 64 MiB of cumulative sums."""


class Drawn(NamedTuple):
    """Entities `ids` (Q, draws), and `weights` (Q, draws): how much likelier each had been were all equally likely.

    So the mean of weight times anything over the draws is on average the mean of it over all entities.
    """

    ids: Tensor
    weights: Tensor


@torch.no_grad()
def drawn_in_parts(
    dans: Dans,
    heads: Tensor,
    relations: Tensor,
    entities: Tensor,
    queries: Callable[[Tensor, Tensor], Tensor],
    draws: int,
) -> Drawn:
    """Entities for distinct queries, drawn from the mixture of both pathways and its random share.

    Its random numbers come from one of torch's global source.

    Args:
        heads, relations: (Q,) ids, the reciprocal of r being r + |R|.
        entities: vectors, (N, dim).
        queries: their vectors (n, dim) for ids (n,), (n,).
    """
    seed = int(torch.randint(2**62, ()))
    for source in (dans.random.negatives, dans.random.noise):
        source.manual_seed(seed)
    found = Drawn(torch.empty(len(heads), draws, dtype=torch.int64), torch.empty(len(heads), draws))
    for first in range(0, len(heads), _PART):
        part = slice(first, first + _PART)
        h, r = heads[part].to(entities.device), relations[part].to(entities.device)
        batch = Batch.of_pairs(h, r, h, dans.facts.num_relations)
        proposals = dans.propose(batch, entities, queries(batch.heads, batch.relations))
        given = proposals.draw(batch, draws, dans.random.negatives)
        assert given.ids is not None and given.chances is not None, "proposals are over entities"
        found.ids[part] = given.ids.cpu()
        # The candidates are drawn from all entities with equal chances, so they stand for them.
        found.weights[part] = (-given.chances).exp().div(len(proposals.candidates)).cpu()
    return found
