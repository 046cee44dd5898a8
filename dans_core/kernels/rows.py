"""Sums over whole rows of scores, a row being a query against every entity, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dans_core.kernels.blocks import slices

ScoreAll = Callable[[Tensor, Tensor], Tensor]
"""(Q, dim) and (N, dim) → (Q, N)."""

OfRows = Callable[[Tensor], Tensor]
"""(Q, N) → (Q,)."""

# Scores against all entities are made this many at a time; with their gradients they are below 64 MiB of float32.
_BLOCK = 1 << 22


def sum_over_rows(
    score_all: ScoreAll, of_rows: OfRows, counts: Tensor, queries: Tensor, entities: Tensor
) -> Tensor:
    """Σ_q counts_q · of_rows(scores of q against all entities), a scalar; counts (Q,)."""
    # `apply` of a torch Function has no types.
    out: Tensor = _SumOverRows.apply(score_all, of_rows, counts, queries, entities)  # type: ignore[no-untyped-call] # torch: untyped
    return out


def sum_over_rows_plain(
    score_all: ScoreAll, of_rows: OfRows, counts: Tensor, queries: Tensor, entities: Tensor
) -> Tensor:
    """The same with all scores in memory."""
    return counts @ of_rows(score_all(queries, entities))


class _SumOverRows(torch.autograd.Function):
    """The gradient is made along with the value, so that no scores are kept for it."""

    @staticmethod
    def forward(
        ctx: Any, score_all: ScoreAll, of_rows: OfRows, counts: Tensor, queries: Tensor, entities: Tensor
    ) -> Tensor:
        total = queries.new_zeros(())
        grad_queries, grad_entities = torch.empty_like(queries), torch.zeros_like(entities)
        e = entities.detach().requires_grad_()
        for part in slices(len(queries), _BLOCK // len(entities)):
            q = queries[part].detach().requires_grad_()
            with torch.enable_grad():
                value = counts[part] @ of_rows(score_all(q, e))
            total += value.detach()
            grad_queries[part], of_entities = torch.autograd.grad(value, (q, e))
            grad_entities += of_entities
        ctx.save_for_backward(grad_queries, grad_entities)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, None, Tensor, Tensor]:
        grad_queries, grad_entities = ctx.saved_tensors
        return None, None, None, grads[0] * grad_queries, grads[0] * grad_entities
