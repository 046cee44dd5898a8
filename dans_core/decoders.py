"""DistMult, ComplEx and RotatE: a query vector from head and relation, and its score against tails.

Every decoder is two functions, `query(h, r)` and `score(q, t)`; the query is the paper's e_h ⊗ e_r. All
vectors have the same even length `dim`; ComplEx and RotatE read it as dim / 2 complex numbers, the real
parts first.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from dans_core.device import at_once
from dans_core.products import linear

# `apply` of a torch Function has no types, hence the marks at its calls below.

# Numbers worked on at a time on a CPU, where a whole would not fit the cache: 1 MiB of float32.
_CACHED = 1 << 18


class Decoder(ABC):
    """Scores triplets; higher is more likely. Holds no parameters."""

    offset = 0.0
    """What a score begins with, before its terms are added."""

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
        """Queries (Q, dim) and entities (N, dim), rows (P,) and ids (P, K) → (P, K): query rows[p] against ids[p].

        Works in blocks and again in the backward pass, so that no (P, K, dim) tensor is ever held.
        """
        scores: Tensor = _Chosen.apply(self, q, entities, rows, ids)  # type: ignore[no-untyped-call] # torch: untyped
        return scores

    @abstractmethod
    def coordinates(self, h: Tensor, r: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same three as the formula reads them, (…, n) each: n = dim real or dim / 2 complex numbers."""

    @abstractmethod
    def terms(self, h: Tensor, r: Tensor, t: Tensor) -> Tensor:
        """The formula's own terms, to be read and not for speed: (…, n), offset + Σ_k of them is the score.

        h and t are (…, dim), r is (…, relation_dim); they broadcast.
        """


class DistMult(Decoder):
    """score = Σ_k h_k r_k t_k (Yang et al., https://arxiv.org/abs/1412.6575)."""

    def query(self, h: Tensor, r: Tensor) -> Tensor:
        return h * r

    def coordinates(self, h: Tensor, r: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return h, r, t

    def terms(self, h: Tensor, r: Tensor, t: Tensor) -> Tensor:
        return h * r * t


class ComplEx(Decoder):
    """score = Re Σ_k h_k r_k conj(t_k), complex (Trouillon et al., https://arxiv.org/abs/1606.06357)."""

    def query(self, h: Tensor, r: Tensor) -> Tensor:
        h_re, h_im = h.chunk(2, dim=-1)
        r_re, r_im = r.chunk(2, dim=-1)
        return torch.cat([h_re * r_re - h_im * r_im, h_re * r_im + h_im * r_re], dim=-1)

    def coordinates(self, h: Tensor, r: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _complex(h), _complex(r), _complex(t)

    def terms(self, h: Tensor, r: Tensor, t: Tensor) -> Tensor:
        head, relation, tail = self.coordinates(h, r, t)
        return (head * relation * tail.conj()).real


class RotatE(Decoder):
    """score = γ − Σ_k |h_k e^{iθ_k} − t_k|, complex (Sun et al., https://arxiv.org/abs/1902.10197).

    A relation is dim / 2 phases θ in radians; γ = 12 is fixed.
    """

    gamma = 12.0
    offset = gamma

    def relation_dim(self, dim: int) -> int:
        return dim // 2

    def init_relations(self, relations: Tensor) -> None:
        torch.nn.init.uniform_(relations, -math.pi, math.pi)

    def query(self, h: Tensor, r: Tensor) -> Tensor:
        h_re, h_im = h.chunk(2, dim=-1)
        cos, sin = r.cos(), r.sin()
        return torch.cat([h_re * cos - h_im * sin, h_re * sin + h_im * cos], dim=-1)

    def score(self, q: Tensor, t: Tensor) -> Tensor:
        distance: Tensor = _Moduli.apply(*(q - t).chunk(2, dim=-1))  # type: ignore[no-untyped-call] # torch: untyped
        return self.gamma - distance

    def score_own(self, q: Tensor, t: Tensor) -> Tensor:
        return self.score(q.unsqueeze(1), t)

    def score_all(self, q: Tensor, entities: Tensor) -> Tensor:
        distance: Tensor = _SumOfModuli.apply(q, entities)  # type: ignore[no-untyped-call] # torch: untyped
        return self.gamma - distance

    def score_groups(self, q: Tensor, t: Tensor) -> Tensor:
        return torch.stack([self.score_all(*group) for group in zip(q, t, strict=True)])

    def coordinates(self, h: Tensor, r: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _complex(h), torch.polar(torch.ones_like(r), r), _complex(t)

    def terms(self, h: Tensor, r: Tensor, t: Tensor) -> Tensor:
        head, rotation, tail = self.coordinates(h, r, t)
        return -(head * rotation - tail).abs()


def _complex(x: Tensor) -> Tensor:
    """(…, dim) as dim / 2 complex numbers."""
    return torch.complex(*x.chunk(2, dim=-1))


class _Chosen(torch.autograd.Function):
    """`score` of pairs given by their places, block by block."""

    @staticmethod
    def forward(ctx: Any, decoder: Decoder, q: Tensor, entities: Tensor, rows: Tensor, ids: Tensor) -> Tensor:
        ctx.save_for_backward(q, entities, rows, ids)
        ctx.decoder = decoder
        out = q.new_empty(ids.shape)
        for part in _blocks(ids, q.shape[1]):
            candidates = F.embedding(ids[part], entities)
            out[part] = decoder.score(F.embedding(rows[part], q).unsqueeze(1), candidates)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, Tensor, None, None]:
        q, entities, rows, ids = ctx.saved_tensors
        grad_q, grad_entities = torch.zeros_like(q), torch.zeros_like(entities)
        for part in _blocks(ids, q.shape[1]):
            asked = F.embedding(rows[part], q).requires_grad_()
            candidates = F.embedding(ids[part], entities).requires_grad_()
            with torch.enable_grad():
                scores = ctx.decoder.score(asked.unsqueeze(1), candidates)
            of_asked, of_candidates = torch.autograd.grad(scores, (asked, candidates), grads[0][part])
            grad_q.index_add_(0, rows[part], of_asked)
            grad_entities.index_add_(0, ids[part].flatten(), of_candidates.flatten(0, 1))
        return None, grad_q, grad_entities, None, None


def _blocks(ids: Tensor, dim: int) -> Iterator[slice]:
    """Slices of the rows of ids (P, K) whose candidates' vectors fit the cache together."""
    rows = max(1, at_once(ids.device, _CACHED) // (ids.shape[1] * dim))
    return (slice(start, start + rows) for start in range(0, len(ids), rows))


# Where a modulus is 0 so are both its parts, and any positive floor of the divisor gives the subgradient 0.
_TINY = 1e-20


class _Moduli(torch.autograd.Function):
    """Σ_k |x_k| over the last dimension, from real and imaginary parts; its gradient is 0 where a modulus is."""

    @staticmethod
    def forward(ctx: Any, real: Tensor, imaginary: Tensor) -> Tensor:
        modulus = torch.addcmul(real.square(), imaginary, imaginary).sqrt_()
        ctx.save_for_backward(real, imaginary, modulus)
        return modulus.sum(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        real, imaginary, modulus = ctx.saved_tensors
        factor = grads[0].unsqueeze(-1) / modulus.clamp_min(_TINY)
        return real * factor, imaginary * factor


class _SumOfModuli(torch.autograd.Function):
    """Σ_k |q_k − e_k| for all pairs, tile by tile, recomputed in the backward pass."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, entities: Tensor) -> Tensor:
        ctx.save_for_backward(q, entities)
        e_re, e_im = (half.contiguous() for half in entities.chunk(2, dim=1))
        out = q.new_empty(len(q), len(entities))
        for rows, columns in _tiles(q, entities):
            re, im = q[rows, None].chunk(2, dim=-1)
            real = (re - e_re[columns]).square_()
            real.addcmul_(imaginary := im - e_im[columns], imaginary)
            torch.sum(real.sqrt_(), -1, out=out[rows, columns])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (grad,) = grads
        q, entities = ctx.saved_tensors
        e_re, e_im = (half.contiguous() for half in entities.chunk(2, dim=1))
        grad_q = torch.zeros_like(q)
        grad_re, grad_im = torch.zeros_like(e_re), torch.zeros_like(e_im)
        half = e_re.shape[1]
        for rows, columns in _tiles(q, entities):
            re, im = q[rows, None].chunk(2, dim=-1)
            re, im = re - e_re[columns], im - e_im[columns]
            modulus = torch.addcmul(re.square(), im, im).sqrt_()
            factor = grad[rows, columns, None] / modulus.clamp_min_(_TINY)
            re.mul_(factor)
            im.mul_(factor)
            grad_q[rows, :half] += re.sum(1)
            grad_q[rows, half:] += im.sum(1)
            grad_re[columns] -= re.sum(0)
            grad_im[columns] -= im.sum(0)
        return grad_q, torch.cat([grad_re, grad_im], dim=1)


def _tiles(q: Tensor, entities: Tensor) -> Iterator[tuple[slice, slice]]:
    """16 queries against as many entities as the cache holds the moduli of."""
    width = max(1, at_once(q.device, _CACHED) // (16 * q.shape[1]))
    for row in range(0, len(q), 16):
        for column in range(0, len(entities), width):
            yield slice(row, row + 16), slice(column, column + width)


DECODERS: dict[str, Decoder] = {"distmult": DistMult(), "complex": ComplEx(), "rotate": RotatE()}
