"""The base model: entity and relation embeddings, the R-GCN encoder, and a decoder on top."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dans_core.config import Config
from dans_core.decoders import DECODERS
from dans_core.kernels.edges import EdgePlan
from dans_core.rgcn import Encoder


class Model(nn.Module):
    """The embedding model that is trained, ranked and inspected (method, section 2).

    entity    (N, dim)                   the encoder's input
    relation  (2|R|, relation_dim)       r⁻¹ has id r + |R| and an embedding of its own
    """

    def __init__(self, num_entities: int, num_relations: int, config: Config) -> None:
        super().__init__()
        self.decoder = DECODERS[config.decoder]
        self.entity = nn.Parameter(torch.empty(num_entities, config.dim))
        self.relation = nn.Parameter(torch.empty(2 * num_relations, self.decoder.relation_dim(config.dim)))
        self.encoder = Encoder(config.dim, 2 * num_relations, config.layers, config.bases, config.dropout)
        nn.init.xavier_normal_(self.entity)
        self.decoder.init_relations(self.relation.data)

    def encode(self, plan: EdgePlan, dropout: torch.Generator | None = None) -> Tensor:
        """Entity vectors (N, dim) after messages along the plan's edges."""
        out: Tensor = self.encoder(self.entity, plan, dropout)
        return out

    def queries(self, entities: Tensor, heads: Tensor, relations: Tensor) -> Tensor:
        """The query vectors e_h ⊗ e_r, (Q, dim), from encoded entities (N, dim) and ids (Q,)."""
        return self.decoder.query(F.embedding(heads, entities), F.embedding(relations, self.relation))
