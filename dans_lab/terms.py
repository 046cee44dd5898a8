"""The formulas of the decoders term by term, to be read: how a score adds up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dans_core.decoders import DECODERS, Decoder, RotatE

Parts = tuple[Tensor, Tensor, Tensor]
"""Head, relation and tail, (…, n) each."""


@dataclass(frozen=True)
class Formula:
    """How one decoder scores a triplet: `offset` and the sum of the terms.

    `coordinates` takes h and t (…, dim) and r (…, relation_dim), which broadcast, to the same three as the formula
    reads them, n = dim real or dim / 2 complex numbers each; `of_coordinates` takes these to the n terms.
    """

    coordinates: Callable[[Tensor, Tensor, Tensor], Parts]
    of_coordinates: Callable[[Tensor, Tensor, Tensor], Tensor]
    offset: float = 0.0

    def terms(self, h: Tensor, r: Tensor, t: Tensor) -> Tensor:
        """The terms (…, n) of h, r and t as the model has them."""
        return self.of_coordinates(*self.coordinates(h, r, t))


def _complex(x: Tensor) -> Tensor:
    """(…, dim) as dim / 2 complex numbers."""
    return torch.complex(*x.chunk(2, dim=-1))


FORMULAS = {
    "distmult": Formula(lambda h, r, t: (h, r, t), lambda h, r, t: h * r * t),
    "complex": Formula(
        lambda h, r, t: (_complex(h), _complex(r), _complex(t)), lambda h, r, t: (h * r * t.conj()).real
    ),
    "rotate": Formula(
        lambda h, r, t: (_complex(h), torch.polar(torch.ones_like(r), r), _complex(t)),
        lambda h, r, t: -(h * r - t).abs(),
        offset=RotatE.gamma,
    ),
}
"""By the names of `DECODERS`."""


def formula_of(decoder: Decoder) -> Formula:
    """The formula of a decoder of `DECODERS`, or of a copy of it."""
    return next(FORMULAS[name] for name, each in DECODERS.items() if type(each) is type(decoder))
