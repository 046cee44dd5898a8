"""The messages of an R-GCN layer: tables of edge weights on small graphs, and relation by relation on others.

On a GPU those of other graphs are sums over all edges at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from dans_core.kernels.edges import EdgePlan
from dans_core.kernels.products import linear

# Up to this many numbers (4 MiB), tables of edge weights between all nodes, one a basis, cost less than the
# many small products of a layer with many relations, and never much more.
_DENSE = 1 << 20
# Numbers that the messages' gradients have at most at once (1 GiB); with more, they are made some columns at a time.
_MOST_SHARES = 1 << 28


def add_messages(own: Tensor, x: Tensor, comp: Tensor, bases: Tensor, plan: EdgePlan) -> Tensor:
    """own_i + Σ_r (mean of x_j over j in N_r(i)) W_r,  W_r = Σ_b c_rb V_b.

    Args:
        own: shape (N, out); it may be overwritten.
        x: shape (N, in).
        comp: c, shape (R, B). bases: V, shape (B, in, out).
    """
    if len(bases) * plan.num_nodes**2 <= _DENSE:
        return own + _by_tables(x, comp, bases, plan)
    if x.device.type != "cpu":
        return own + _all_at_once(x, comp, bases, plan)
    weight = (comp @ bases.flatten(1)).view(-1, *bases.shape[1:])
    # `apply` of a torch Function has no types.
    out: Tensor = _ByRelation.apply(own, x, weight, plan)  # type: ignore[no-untyped-call] # torch: untyped
    return out


def add_messages_plain(
    own: Tensor, x: Tensor, comp: Tensor, bases: Tensor, edge_index: Tensor, edge_type: Tensor
) -> Tensor:
    """The same for edges (2, E) and their types (E,): one node, one relation after the other."""
    rows = []
    for i, row in enumerate(own):
        for r, shares in enumerate(comp):
            sources = edge_index[0, (edge_index[1] == i) & (edge_type == r)]
            if len(sources):
                row = row + x[sources].mean(0) @ (shares[:, None, None] * bases).sum(0)
        rows.append(row)
    return torch.stack(rows)


def _by_tables(x: Tensor, comp: Tensor, bases: Tensor, plan: EdgePlan) -> Tensor:
    """Σ_b (A_b x) V_b, with A_b (N, N) the sum of c_rb / |N_r(i)| over the edges from j to i."""
    slot, cell = plan.cells
    by_slot = comp.T.index_select(1, plan.relation) / plan.slot_ptr.diff()
    tables = x.new_zeros(len(bases), len(x) ** 2).index_add(1, cell, by_slot.index_select(1, slot))
    sums = linear(tables.view(len(bases) * len(x), len(x)), x.T).view(len(bases), *x.shape)
    return linear(sums.transpose(0, 1).flatten(1), bases.flatten(0, 1).T)


def _all_at_once(x: Tensor, comp: Tensor, bases: Tensor, plan: EdgePlan) -> Tensor:
    """Σ_b (Σ_r c_rb · mean of x_j over N_r(i)) V_b: few large operations, where there is no cache to stay in."""
    sums = x.new_zeros(len(plan.relation), x.shape[1])
    sums = sums.index_add(0, plan.slot_of_edge, x.index_select(0, plan.source))
    by_slot = comp.T.index_select(1, plan.relation) / plan.slot_ptr.diff()
    nothing = torch.zeros_like(x)
    means = [nothing.index_add(0, plan.destination, weight.unsqueeze(1) * sums) for weight in by_slot]
    return linear(torch.cat(means, dim=1), bases.flatten(0, 1).T)


class _ByRelation(torch.autograd.Function):
    """out_i += Σ_r m_ir W_r, with m_ir the mean of x over N_r(i), one slot of the plan.

    A block of slots of one edge type makes its sums in the cache, and the backward pass makes them again,
    so nothing of the size of the edges is held in between. The gradient goes from the sums back to x by an
    `embedding_bag` too, over the edges source by source; torch's own would scatter them one after another.
    """

    @staticmethod
    def forward(ctx: Any, out: Tensor, x: Tensor, weight: Tensor, plan: EdgePlan) -> Tensor:
        ctx.mark_dirty(out)
        ctx.save_for_backward(x, weight)
        ctx.plan = plan
        sizes = _sizes(plan, x)
        for relation, slots, edges in plan.blocks:
            messages = linear(_sums(x, plan, slots, edges), weight[relation].T)
            out.index_add_(0, plan.destination[slots], messages.div_(sizes[slots]))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        plan: EdgePlan = ctx.plan
        grad_weight = torch.zeros_like(weight)
        sizes = _sizes(plan, x)
        width = max(1, min(x.shape[1], _MOST_SHARES // max(1, len(plan.relation))))
        parts = []
        for first in range(0, x.shape[1], width):
            columns = slice(first, first + width)
            # Of every slot, what each of its edges carries back to its source.
            shares = x.new_empty(len(plan.relation), min(width, x.shape[1] - first))
            for relation, slots, edges in plan.blocks:
                arrived = grad.index_select(0, plan.destination[slots]).div_(sizes[slots])
                if not first:
                    grad_weight[relation].addmm_(_sums(x, plan, slots, edges).T, arrived)
                shares[slots] = linear(arrived, weight[relation][columns])
            parts.append(
                F.embedding_bag(plan.slot, shares, plan.source_ptr, mode="sum", include_last_offset=True)
            )
        grad_x = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return grad, grad_x, grad_weight, None


def _sums(x: Tensor, plan: EdgePlan, slots: slice, edges: slice) -> Tensor:
    """The sum over the sources of each slot: (slots, in)."""
    ptr = plan.slot_ptr[slots.start : slots.stop + 1] - edges.start
    # Means, and tensors that ask for gradients, would have `embedding_bag` number the bags of all edges.
    return F.embedding_bag(plan.source[edges], x.detach(), ptr, mode="sum", include_last_offset=True)


def _sizes(plan: EdgePlan, x: Tensor) -> Tensor:
    """How many edges each slot has, (S, 1), as numbers like those of x."""
    return plan.slot_ptr.diff().unsqueeze(1).to(x.dtype)
