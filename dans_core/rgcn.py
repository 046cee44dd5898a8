"""The encoder: R-GCN layers, as tables of edge weights on small graphs and relation by relation on others.

On a GPU those of other graphs are sums over all edges at once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch_geometric.nn import RGCNConv

from dans_core.edges import EdgePlan, MessageGraph
from dans_core.products import linear

# Up to this many numbers (4 MiB), tables of edge weights between all nodes, one a basis, cost less than the
# many small products of a layer with many relations, and never much more.
_DENSE = 1 << 20


class _AddMessages(torch.autograd.Function):
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
        # Of every slot, what each of its edges carries back to its source.
        shares = x.new_empty(len(plan.relation), x.shape[1])
        sizes = _sizes(plan, x)
        for relation, slots, edges in plan.blocks:
            arrived = grad.index_select(0, plan.destination[slots]).div_(sizes[slots])
            grad_weight[relation].addmm_(_sums(x, plan, slots, edges).T, arrived)
            shares[slots] = linear(arrived, weight[relation])
        grad_x = F.embedding_bag(plan.slot, shares, plan.source_ptr, mode="sum", include_last_offset=True)
        return grad, grad_x, grad_weight, None


def _sums(x: Tensor, plan: EdgePlan, slots: slice, edges: slice) -> Tensor:
    """The sum over the sources of each slot: (slots, in)."""
    ptr = plan.slot_ptr[slots.start : slots.stop + 1] - edges.start
    # Means, and tensors that ask for gradients, would have `embedding_bag` number the bags of all edges.
    return F.embedding_bag(plan.source[edges], x.detach(), ptr, mode="sum", include_last_offset=True)


def _sizes(plan: EdgePlan, x: Tensor) -> Tensor:
    """How many edges each slot has, (S, 1), as numbers like those of x."""
    return plan.slot_ptr.diff().unsqueeze(1).to(x.dtype)


class FastRGCN(RGCNConv):
    """R-GCN layer with basis decomposition (Schlichtkrull et al., https://arxiv.org/abs/1703.06103).

        h_i' = Σ_r (mean of h_j over j in N_r(i)) W_r  +  h_i W_0  +  bias,     W_r = Σ_b c_rb V_b

    Values, first derivatives and parameters are those of `torch_geometric.nn.RGCNConv` with `num_bases` and
    mean aggregation, so state dicts are interchangeable.
    """

    def __init__(self, in_channels: int, out_channels: int, num_relations: int, num_bases: int) -> None:
        super().__init__(in_channels, out_channels, num_relations, num_bases=num_bases)

    def forward(self, x: Any, edge_index: Any, edge_type: Tensor | None = None) -> Tensor:
        """The layer on plain edges, as PyG's: x (N, in), edges (2, E) and their types (E,) → (N, out).

        Anything else that PyG's layer takes (node ids or None for x, a pair of sources and destinations, a
        sparse matrix of edges, mixed precision) goes to PyG's own code, at its speed.

        Raises
        ------
        IndexError
            if a node or an edge type is outside its range.
        """
        plain = isinstance(x, Tensor) and x.is_floating_point() and isinstance(edge_index, Tensor)
        plain = plain and edge_index.layout == torch.strided and not torch.is_autocast_enabled(x.device.type)
        if not plain or edge_type is None:
            return super().forward(x, edge_index, edge_type)
        return self.propagate_plan(x, MessageGraph(edge_index, edge_type, len(x), self.num_relations).plan())

    def propagate_plan(self, x: Tensor, plan: EdgePlan) -> Tensor:
        """The layer on a prepared plan: x (N, in) → (N, out)."""
        own = linear(x, self.root.T, self.bias)
        if self.num_bases * plan.num_nodes**2 <= _DENSE:
            return own + self._dense_messages(x, plan)
        if x.device.type != "cpu":
            return own + self._plain_messages(x, plan)
        weight = (self.comp @ self.weight.flatten(1)).view(-1, *self.root.shape)
        # `apply` of a torch Function has no types.
        out: Tensor = _AddMessages.apply(own, x, weight, plan)  # type: ignore[no-untyped-call] # torch: untyped
        return out

    def _dense_messages(self, x: Tensor, plan: EdgePlan) -> Tensor:
        """Σ_b (A_b x) V_b, with A_b (N, N) the sum of c_rb / |N_r(i)| over the edges from j to i."""
        slot, cell = plan.cells
        by_slot = self.comp.T.index_select(1, plan.relation) / plan.slot_ptr.diff()
        tables = x.new_zeros(self.num_bases, len(x) ** 2).index_add(1, cell, by_slot.index_select(1, slot))
        sums = linear(tables.view(self.num_bases * len(x), len(x)), x.T).view(self.num_bases, *x.shape)
        return linear(sums.transpose(0, 1).flatten(1), self.weight.flatten(0, 1).T)

    def _plain_messages(self, x: Tensor, plan: EdgePlan) -> Tensor:
        """Σ_b (Σ_r c_rb · mean of x_j over N_r(i)) V_b: few large operations, where there is no cache to stay in."""
        sums = x.new_zeros(len(plan.relation), x.shape[1])
        sums = sums.index_add(0, plan.slot_of_edge, x.index_select(0, plan.source))
        by_slot = self.comp.T.index_select(1, plan.relation) / plan.slot_ptr.diff()
        nothing = torch.zeros_like(x)
        bases = [nothing.index_add(0, plan.destination, weight.unsqueeze(1) * sums) for weight in by_slot]
        return linear(torch.cat(bases, dim=1), self.weight.flatten(0, 1).T)


class Encoder(nn.Module):
    """R-GCN layers with ReLU and dropout between them, none after the last."""

    def __init__(self, dim: int, num_relations: int, layers: int, bases: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(FastRGCN(dim, dim, num_relations, bases) for _ in range(layers))
        self.dropout = dropout

    def forward(self, x: Tensor, plan: EdgePlan, dropout: torch.Generator | None = None) -> Tensor:
        """Entity vectors (N, dim) → encoded entity vectors (N, dim).

        Dropout is applied only if a random generator is given for it, so that evaluation needs no mode
        switch and draws no random numbers.
        """
        for depth, layer in enumerate(self.layers):
            # A ModuleList does not know what it holds.
            x = layer.propagate_plan(x, plan)  # type: ignore[operator]
            if depth + 1 < len(self.layers):
                x = x.relu()
                if dropout is not None and self.dropout > 0:
                    x = x * _dropout_factors(x, self.dropout, dropout)
        return x


def _dropout_factors(x: Tensor, rate: float, random: torch.Generator) -> Tensor:
    """0 or a number for each of x, 1 on the mean; the chance of 0 is the multiple of 1/65,536 nearest to `rate`.

    Four decisions from every 64 random bits: eight times as fast as a Bernoulli draw for each.
    """
    zeros = min(round(rate * 2**16), 2**16 - 1)
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None, generator=random)
    keep = bits.view(torch.int16)[: x.numel()].view_as(x) >= zeros - 2**15
    return keep.to(x.device).to(x.dtype).div_(1 - zeros / 2**16)
