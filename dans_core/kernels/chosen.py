"""Scores of pairs given by their places, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from dans_core.kernels.blocks import at_once, slices

Score = Callable[[Tensor, Tensor], Tensor]
"""(…, dim) and (…, dim), broadcast → (…)."""


def chosen(score: Score, q: Tensor, entities: Tensor, rows: Tensor, ids: Tensor) -> Tensor:
    """Queries (Q, dim) and entities (N, dim), rows (P,) and ids (P, K) → (P, K): query rows[p] against ids[p].

    Works in blocks and again in the backward pass, so that no (P, K, dim) tensor is ever held.
    """
    # `apply` of a torch Function has no types.
    out: Tensor = _Chosen.apply(score, q, entities, rows, ids)  # type: ignore[no-untyped-call] # torch: untyped
    return out


def chosen_plain(score: Score, q: Tensor, entities: Tensor, rows: Tensor, ids: Tensor) -> Tensor:
    """The same at once."""
    return score(q[rows].unsqueeze(1), entities[ids])


class _Chosen(torch.autograd.Function):
    """`score` of pairs given by their places, block by block."""

    @staticmethod
    def forward(ctx: Any, score: Score, q: Tensor, entities: Tensor, rows: Tensor, ids: Tensor) -> Tensor:
        ctx.save_for_backward(q, entities, rows, ids)
        ctx.score = score
        out = q.new_empty(ids.shape)
        for part in _blocks(q, ids):
            candidates = F.embedding(ids[part], entities)
            out[part] = score(F.embedding(rows[part], q).unsqueeze(1), candidates)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, Tensor, None, None]:
        q, entities, rows, ids = ctx.saved_tensors
        grad_q, grad_entities = torch.zeros_like(q), torch.zeros_like(entities)
        for part in _blocks(q, ids):
            asked = F.embedding(rows[part], q).requires_grad_()
            candidates = F.embedding(ids[part], entities).requires_grad_()
            with torch.enable_grad():
                scores = ctx.score(asked.unsqueeze(1), candidates)
            of_asked, of_candidates = torch.autograd.grad(scores, (asked, candidates), grads[0][part])
            grad_q.index_add_(0, rows[part], of_asked)
            grad_entities.index_add_(0, ids[part].flatten(), of_candidates.flatten(0, 1))
        return None, grad_q, grad_entities, None, None


def _blocks(q: Tensor, ids: Tensor) -> Iterator[slice]:
    """Slices of the rows of ids (P, K) whose candidates' vectors fit the cache together."""
    return slices(len(ids), at_once(q.device) // (ids.shape[1] * q.shape[1]))
