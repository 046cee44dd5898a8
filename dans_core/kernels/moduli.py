"""Sums of moduli of complex numbers, RotatE's distance: pair by pair, and for all pairs in tiles that fit the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dans_core.kernels.blocks import at_once

# `apply` of a torch Function has no types, hence the marks at its calls below.


def moduli(q: Tensor, t: Tensor) -> Tensor:
    """Σ_k |q_k − t_k|: (…, dim) and (…, dim), broadcast → (…). The first half of dim are real parts."""
    out: Tensor = _Moduli.apply(*(q - t).chunk(2, dim=-1))  # type: ignore[no-untyped-call] # torch: untyped
    return out


def moduli_plain(q: Tensor, t: Tensor) -> Tensor:
    """The same by complex numbers."""
    return torch.complex(*(q - t).chunk(2, dim=-1)).abs().sum(-1)


def all_moduli(q: Tensor, entities: Tensor) -> Tensor:
    """Σ_k |q_k − e_k| of all pairs: (Q, dim) and (N, dim) → (Q, N)."""
    out: Tensor = _AllModuli.apply(q, entities)  # type: ignore[no-untyped-call] # torch: untyped
    return out


def all_moduli_plain(q: Tensor, entities: Tensor) -> Tensor:
    """The same, with (Q, N, dim) numbers in memory."""
    return moduli_plain(q.unsqueeze(1), entities)


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


class _AllModuli(torch.autograd.Function):
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
    width = max(1, at_once(q.device) // (16 * q.shape[1]))
    for row in range(0, len(q), 16):
        for column in range(0, len(entities), width):
            yield slice(row, row + 16), slice(column, column + width)
