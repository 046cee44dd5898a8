"""The encoder: R-GCN layers, with the parameters of PyTorch Geometric's."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import RGCNConv

from dans_core.kernels.dropout import dropout_factors
from dans_core.kernels.edges import EdgePlan
from dans_core.kernels.messages import add_messages
from dans_core.kernels.products import linear


class FastRGCN(RGCNConv):
    """R-GCN layer with basis decomposition (Schlichtkrull et al., https://arxiv.org/abs/1703.06103).

        h_i' = Σ_r (mean of h_j over j in N_r(i)) W_r  +  h_i W_0  +  bias,     W_r = Σ_b c_rb V_b

    Values, first derivatives and parameters are those of `torch_geometric.nn.RGCNConv` with `num_bases` and
    mean aggregation, so state dicts are interchangeable. `forward`, on plain edges, is PyG's own.
    """

    def __init__(self, in_channels: int, out_channels: int, num_relations: int, num_bases: int) -> None:
        super().__init__(in_channels, out_channels, num_relations, num_bases=num_bases)

    def _set_jittable_templates(self, raise_on_error: bool = False) -> None:
        """Nothing: PyG would write a module for its `propagate`, in each process another file that stays."""

    def propagate_plan(self, x: Tensor, plan: EdgePlan) -> Tensor:
        """The layer on a prepared plan: x (N, in) → (N, out)."""
        own = linear(x, self.root.T, self.bias)
        return add_messages(own, x, self.comp, self.weight, plan)


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
            x = layer.propagate_plan(x, plan)  # type: ignore[operator] # a ModuleList does not know what it holds
            if depth + 1 < len(self.layers):
                x = x.relu()
                if dropout is not None and self.dropout > 0:
                    x = x * dropout_factors(x, self.dropout, dropout)
        return x
