"""DistMult, ComplEx and RotatE: a query vector from head and relation, and its score against tails.

Every decoder is two functions, `query(h, r)` and `score(q, t)`; the query is the paper's e_h ⊗ e_r. All
vectors have the same even length `dim`; ComplEx and RotatE read it as dim / 2 complex numbers, the real
parts first.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from dans_core.kernels.chosen import chosen
from dans_core.kernels.moduli import all_moduli, moduli
from dans_core.kernels.products import linear


class Decoder(ABC):
    """Scores triplets; higher is more likely. Holds no parameters."""

    def relation_dim(self, dim: int) -> int:
        """Numbers per relation for entities of `dim` numbers."""
        return dim

    def init_relations(self, relations: Tensor) -> None:
        """Fill a fresh relation table in place."""
        torch.nn.init.xavier_normal_(relations)

    @abstractmethod
    def query(self, h: Tensor, r: Tensor) -> Tensor:
        """(…, dim) and (…, relation_dim) → (…, dim)."""

    def score(self, q: Tensor, t: Tensor) -> Tensor:
        """(…, dim) and (…, dim), broadcast → (…): one score per pair."""
        return torch.linalg.vecdot(q, t)

    def score_own(self, q: Tensor, t: Tensor) -> Tensor:
        """(Q, dim) and (Q, K, dim) → (Q, K): every query against candidates of its own."""
        return (q.unsqueeze(1) @ t.mT).squeeze(1)

    def score_all(self, q: Tensor, entities: Tensor) -> Tensor:
        """(Q, dim) and (N, dim) → (Q, N): every query against every entity."""
        return linear(q, entities)

    def score_groups(self, q: Tensor, t: Tensor) -> Tensor:
        """(G, S, dim) and (G, K, dim) → (G, S, K): in every group, each query against each candidate."""
        return q @ t.mT

    def score_chosen(self, q: Tensor, entities: Tensor, rows: Tensor, ids: Tensor) -> Tensor:
        """Queries (Q, dim) and entities (N, dim), rows (P,) and ids (P, K) → (P, K): query rows[p] against ids[p]."""
        return chosen(self.score, q, entities, rows, ids)


class DistMult(Decoder):
    """score = Σ_k h_k r_k t_k (Yang et al., https://arxiv.org/abs/1412.6575)."""

    def query(self, h: Tensor, r: Tensor) -> Tensor:
        return h * r


class ComplEx(Decoder):
    """score = Re Σ_k h_k r_k conj(t_k), complex (Trouillon et al., https://arxiv.org/abs/1606.06357)."""

    def query(self, h: Tensor, r: Tensor) -> Tensor:
        h_re, h_im = h.chunk(2, dim=-1)
        r_re, r_im = r.chunk(2, dim=-1)
        return torch.cat([h_re * r_re - h_im * r_im, h_re * r_im + h_im * r_re], dim=-1)


class RotatE(Decoder):
    """score = γ − Σ_k |h_k e^{iθ_k} − t_k|, complex (Sun et al., https://arxiv.org/abs/1902.10197).

    A relation is dim / 2 phases θ in radians; γ = 12 is fixed.
    """

    gamma = 12.0

    def relation_dim(self, dim: int) -> int:
        return dim // 2

    def init_relations(self, relations: Tensor) -> None:
        torch.nn.init.uniform_(relations, -math.pi, math.pi)

    def query(self, h: Tensor, r: Tensor) -> Tensor:
        h_re, h_im = h.chunk(2, dim=-1)
        cos, sin = r.cos(), r.sin()
        return torch.cat([h_re * cos - h_im * sin, h_re * sin + h_im * cos], dim=-1)

    def score(self, q: Tensor, t: Tensor) -> Tensor:
        return self.gamma - moduli(q, t)

    def score_own(self, q: Tensor, t: Tensor) -> Tensor:
        return self.score(q.unsqueeze(1), t)

    def score_all(self, q: Tensor, entities: Tensor) -> Tensor:
        return self.gamma - all_moduli(q, entities)

    def score_groups(self, q: Tensor, t: Tensor) -> Tensor:
        return torch.stack([self.score_all(*group) for group in zip(q, t, strict=True)])


DECODERS: dict[str, Decoder] = {"distmult": DistMult(), "complex": ComplEx(), "rotate": RotatE()}
