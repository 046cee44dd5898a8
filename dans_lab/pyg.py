"""The fast R-GCN layer as PyTorch Geometric's own kind, for networks that are made of its layers."""

from __future__ import annotations

from torch import Tensor
from torch_geometric.nn import RGCNConv

from dans_core.kernels.edges import EdgePlan
from dans_core.rgcn import RGCNLayer


class FastRGCN(RGCNConv):
    """PyG's `RGCNConv` with `num_bases` and mean aggregation, and a fast way beside its own.

    `forward(x, edge_index, edge_type)` is PyG's; `propagate_plan` has its values and first derivatives, on edges that
    were sorted once. State dicts go to and from PyG's layer and the encoder of a run (`dans_core.rgcn.RGCNLayer`).
    """

    def __init__(self, in_channels: int, out_channels: int, num_relations: int, num_bases: int) -> None:
        super().__init__(in_channels, out_channels, num_relations, num_bases=num_bases)

    def _set_jittable_templates(self, raise_on_error: bool = False) -> None:
        """Nothing: PyG would write a module for its `propagate`, in each process another file that stays."""

    def propagate_plan(self, x: Tensor, plan: EdgePlan) -> Tensor:
        """The layer on a prepared plan: x (N, in) → (N, out)."""
        return RGCNLayer.propagate_plan(self, x, plan)
