"""The encoder: R-GCN layers, with the parameters of PyTorch Geometric's."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dans_core.kernels.dropout import dropout_factors
from dans_core.kernels.edges import EdgePlan
from dans_core.kernels.messages import add_messages
from dans_core.kernels.products import linear


class RGCNLayer(nn.Module):
    """R-GCN layer with basis decomposition (Schlichtkrull et al., https://arxiv.org/abs/1703.06103).

        h_i' = Σ_r (mean of h_j over j in N_r(i)) W_r  +  h_i W_0  +  bias,     W_r = Σ_b c_rb V_b

    Parameters, their first values and results are those of `torch_geometric.nn.RGCNConv` with `num_bases` and mean
    aggregation, so state dicts are interchangeable; `dans_lab.pyg` has this layer as PyG's own kind.
    """

    def __init__(self, dim_in: int, dim_out: int, num_relations: int, bases: int) -> None:
        super().__init__()
        self.weight = _glorot(bases, dim_in, dim_out)
        self.comp = _glorot(num_relations, bases)
        self.root = _glorot(dim_in, dim_out)
        self.bias = nn.Parameter(torch.zeros(dim_out))

    def propagate_plan(self, x: Tensor, plan: EdgePlan) -> Tensor:
        """The layer on a prepared plan: x (N, in) → (N, out)."""
        own = linear(x, self.root.T, self.bias)
        return add_messages(own, x, self.comp, self.weight, plan)


def _glorot(*shape: int) -> nn.Parameter:
    limit = math.sqrt(6 / (shape[-2] + shape[-1]))
    return nn.Parameter(torch.empty(shape).uniform_(-limit, limit))


class Encoder(nn.Module):
    """R-GCN layers with ReLU and dropout between them, none after the last."""

    def __init__(self, dim: int, num_relations: int, layers: int, bases: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(RGCNLayer(dim, dim, num_relations, bases) for _ in range(layers))
        self.dropout = dropout

    def forward(self, x: Tensor, plan: EdgePlan, dropout: torch.Generator | None = None) -> Tensor:
        """Entity vectors (N, dim) → encoded ones (N, dim). Dropout is applied only with a random generator for it."""
        for depth, layer in enumerate(self.layers):
            x = layer.propagate_plan(x, plan)  # type: ignore[operator] # a ModuleList does not know what it holds
            if depth + 1 < len(self.layers):
                x = x.relu()
                if dropout is not None and self.dropout > 0:
                    x = x * dropout_factors(x, self.dropout, dropout)
        return x
