"""The encoder: R-GCN layers that read their neighbours through one `embedding_bag` per basis."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import RGCNConv


class EdgePlan(NamedTuple):
    """Edges sorted by destination, ready for `FastRGCN`; E edges, N nodes.

    source     (E,)    long, node a message comes from
    relation   (E,)    long, its edge type
    norm       (E,)    float, 1 / |N_r(i)|: edges of that type into the same destination
    ptr        (N + 1,) long, edges ptr[i] … ptr[i + 1] arrive at node i
    """

    source: Tensor
    relation: Tensor
    norm: Tensor
    ptr: Tensor


class MessageGraph:
    """A graph's edges, sorted once, from which the plan of any subset follows without sorting again."""

    def __init__(self, edge_index: Tensor, edge_type: Tensor, num_nodes: int, num_relations: int) -> None:
        """Sort the edges.

        Parameters
        ----------
        edge_index: long, shape (2, E): sources and destinations.
        edge_type: long, shape (E,), in [0, num_relations).
        """
        source, destination = edge_index
        slot = destination * num_relations + edge_type
        self.order = torch.argsort(slot, stable=True)
        self.num_nodes = num_nodes
        self._source = source[self.order]
        self._destination = destination[self.order]
        self._relation = edge_type[self.order]
        _, self._slot = torch.unique_consecutive(slot[self.order], return_inverse=True)
        self._num_slots = int(self._slot[-1]) + 1 if len(self._slot) else 0

    @classmethod
    def of_triplets(cls, triplets: Tensor, num_entities: int, num_relations: int) -> MessageGraph:
        """Both directions of every triplet, 2 · num_relations edge types.

        Edge e < n is triplet e from head to tail; edge n + e is triplet e from tail to head.
        """
        heads, relations, tails = triplets.T
        edges = torch.stack([torch.cat([heads, tails]), torch.cat([tails, heads])])
        return cls(edges, torch.cat([relations, relations + num_relations]), num_entities, 2 * num_relations)

    def plan(self, keep: Tensor | None = None, dtype: torch.dtype = torch.float32) -> EdgePlan:
        """The plan of all edges, or of those with `keep` (bool, (E,), in the order they were given)."""
        source, destination, relation, slot = self._source, self._destination, self._relation, self._slot
        if keep is not None:
            kept = keep[self.order].nonzero().squeeze(1)
            source, destination = source[kept], destination[kept]
            relation, slot = relation[kept], slot[kept]
        norm = torch.bincount(slot, minlength=self._num_slots).to(dtype).reciprocal()[slot]
        ptr = torch.zeros(self.num_nodes + 1, dtype=torch.long, device=source.device)
        torch.cumsum(torch.bincount(destination, minlength=self.num_nodes), 0, out=ptr[1:])
        return EdgePlan(source, relation, norm, ptr)

    def plan_of_triplets(self, keep: Tensor) -> EdgePlan:
        """The plan of the triplets with `keep` (bool, (n,)), both directions, for `of_triplets` graphs."""
        return self.plan(torch.cat([keep, keep]))


class FastRGCN(RGCNConv):
    """R-GCN layer with basis decomposition (Schlichtkrull et al., https://arxiv.org/abs/1703.06103).

        h_i' = Σ_b (Σ_e c_{r(e) b} / |N_r(i)| · h_{src(e)}) V_b  +  h_i W_0  +  bias

    The sums over the edges into i come first, as one weighted `embedding_bag` per basis, then a single matrix
    product. Values, gradients and parameters are those of `torch_geometric.nn.RGCNConv` with
    `num_bases` and mean aggregation, so state dicts are interchangeable.
    """

    def __init__(self, in_channels: int, out_channels: int, num_relations: int, num_bases: int) -> None:
        super().__init__(in_channels, out_channels, num_relations, num_bases=num_bases)

    def forward(self, x: Tensor, edge_index: Tensor, edge_type: Tensor) -> Tensor:
        """The layer on plain edges, as PyG's: x (N, in) → (N, out)."""
        graph = MessageGraph(edge_index, edge_type, len(x), self.num_relations)
        return self.propagate_plan(x, graph.plan(dtype=x.dtype))

    def propagate_plan(self, x: Tensor, plan: EdgePlan) -> Tensor:
        """The layer on a prepared plan: x (N, in) → (N, out)."""
        coefficients = F.embedding(plan.relation, self.comp) * plan.norm.unsqueeze(1)
        sums = [
            F.embedding_bag(
                plan.source, x, plan.ptr, mode="sum", include_last_offset=True, per_sample_weights=column
            )
            for column in coefficients.T.contiguous()
        ]
        stacked = torch.cat([*sums, x], dim=1)
        weight = torch.cat([self.weight.flatten(0, 1), self.root])
        return torch.addmm(self.bias, stacked, weight)


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
                    keep = torch.empty_like(x).bernoulli_(1 - self.dropout, generator=dropout)
                    x = x * keep / (1 - self.dropout)
        return x
