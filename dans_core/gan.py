"""The adversarial players: FiLM, one pathway class for G_E and G_R, and the two-headed discriminator."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dans_core.products import Linear

SLOPE = 0.2
FILM_HIDDEN = 100
PATHWAYS = ("G_E", "G_R")


class Modulation(NamedTuple):
    """What FiLM says to a layer: α and β, (C, dim) each for C conditions."""

    alpha: Tensor
    beta: Tensor

    def penalty(self) -> Tensor:
        """Mean over conditions and features of (α − 1)² + β², a scalar (method, section 3)."""
        one, zero = self.alpha.new_ones(()), self.alpha.new_zeros(())
        return F.mse_loss(self.alpha, one.expand_as(self.alpha)) + F.mse_loss(
            self.beta, zero.expand_as(self.beta)
        )


def _mlp(dim: int, bias: bool) -> nn.Sequential:
    """dim → 100 → dim with a small random output layer.

    An exact identity at the start (zero weights) would leave the first layer without a gradient.
    """
    output = Linear(FILM_HIDDEN, dim, bias=bias)
    nn.init.normal_(output.weight, std=0.02)
    if bias:
        nn.init.zeros_(output.bias)
    return nn.Sequential(Linear(dim, FILM_HIDDEN), nn.LeakyReLU(SLOPE, inplace=True), output)


class FiLM(nn.Module):
    """α = 1 + MLP(c), β = MLP(c): makes one global layer local to a condition (method, section 3)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.alpha = _mlp(dim, bias=True)
        # A constant in β shifts every sample alike, and the batch norm that follows would cancel it.
        self.beta = _mlp(dim, bias=False)

    def forward(self, condition: Tensor) -> Modulation:
        """(C, dim) → α and β, (C, dim) each."""
        return Modulation(1 + self.alpha(condition), self.beta(condition))


class Pathway(nn.Module):
    """One way of the generator: noise around a condition → the embedding of a fake tail.

        x⁰ = c + σ ε,   x^{l+1} = LeakyReLU(BN(α^l ∘ (W^l x^l + b^l) + β^l)),   ẽ = linear(x^L)

    G_E is this class on e_h, G_R is this class on e_h ⊗ e_r.
    """

    def __init__(self, dim: int, layers: int = 2) -> None:
        super().__init__()
        self.linears = nn.ModuleList(Linear(dim, dim) for _ in range(layers))
        self.films = nn.ModuleList(FiLM(dim) for _ in range(layers))
        self.norms = nn.ModuleList(nn.BatchNorm1d(dim) for _ in range(layers))
        self.output = Linear(dim, dim)

    def localise(self, condition: Tensor) -> list[Modulation]:
        """α and β of every layer for conditions (C, dim)."""
        return [film(condition) for film in self.films]

    def forward(self, start: Tensor, local: list[Modulation]) -> Tensor:
        """Fakes from noisy conditions.

        Parameters
        ----------
        start: x⁰, shape (C, K, dim): K draws per condition.
        local: what `localise` says of the C conditions.

        Returns
        -------
        fakes, shape (C, K, dim).
        """
        x = start.flatten(0, 1)
        for linear, norm, (alpha, beta) in zip(self.linears, self.norms, local, strict=True):
            y = linear(x).view_as(start)
            x = torch.addcmul(beta.unsqueeze(1), alpha.unsqueeze(1), y).flatten(0, 1)
            x = F.leaky_relu_(_normed(norm, x), SLOPE)
        out: Tensor = self.output(x)
        return out.view_as(start)


def _normed(norm: nn.Module, rows: Tensor) -> Tensor:
    """Batch norm of (n, dim); a single row has no spread of its own, so it gets the running statistics."""
    if len(rows) > 1 or not norm.training:
        return norm(rows)
    norm.eval()
    out: Tensor = norm(rows)
    norm.train()
    return out


class Generator(nn.Module):
    """The two-way generator: `entity` is G_E, `relation` is G_R."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.entity = Pathway(dim)
        self.relation = Pathway(dim)

    def pathway(self, name: str) -> Pathway:
        """The pathway named "G_E" or "G_R"."""
        return {"G_E": self.entity, "G_R": self.relation}[name]


class Discriminator(nn.Module):
    """A shared trunk on an entity vector and two heads of one logit each (method, section 4).

    D_adv: real or fake. D_aux: which pathway made this fake (0 = G_E, 1 = G_R).
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            Linear(dim, 50),
            nn.LeakyReLU(SLOPE, inplace=True),
            Linear(50, 32),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.adv = Linear(32, 1)
        self.aux = Linear(32, 1)

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """(…, dim) → logits of D_adv (high = real) and D_aux (high = G_R), (…) each."""
        hidden = self.trunk(vectors)
        return self.adv(hidden).squeeze(-1), self.aux(hidden).squeeze(-1)
