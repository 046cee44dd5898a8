"""The knowledge graph as the method asks for it: the triplets of a `Graph` as tensors.

Every relation r has a reciprocal r⁻¹ with id r + |R|; the head query (?, r, t) is the tail query (t, r⁻¹, ?),
so all prediction is tail prediction (method, section 1). Nothing needs torch until a tensor is asked for.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from dans_data.graph import Graph

if TYPE_CHECKING:
    import torch


class KnowledgeGraph(Graph):
    """Triplets over named entities and relations, split into train, valid and test.

    `Graph` has what needs no tensors, above all `queries`, both directions of a split, and `known_answers`.
    """

    @cached_property
    def train(self) -> torch.Tensor:
        """Shape (n, 3), int64: head, relation, tail, in the original direction."""
        return self._tensor("train")

    @cached_property
    def valid(self) -> torch.Tensor:
        """Shape (n, 3), int64: head, relation, tail, in the original direction."""
        return self._tensor("valid")

    @cached_property
    def test(self) -> torch.Tensor:
        """Shape (n, 3), int64: head, relation, tail, in the original direction."""
        return self._tensor("test")

    def _tensor(self, split: str) -> torch.Tensor:
        import torch

        return torch.from_numpy(self.array(split).copy())
