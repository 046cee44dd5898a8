"""The adversarial players: FiLM, one pathway class for G_E and G_R, and the two-headed discriminator."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dans_core.config import Config
from dans_core.kernels.products import Linear

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


def _without_bias(layer: Linear, cancelled: bool) -> Linear:
    """The layer without its bias where batch norm follows at once and cancels it.

    Its gradient would be rounding alone, which Adam makes into steps of full size. Under FiLM it stays, since α makes
    it another one for each condition. It is drawn in any case, so that a seed gives the same weights with FiLM and
    without.
    """
    if cancelled:
        layer.register_parameter("bias", None)
    return layer


class Pathway(nn.Module):
    """One way of the generator: noise around a condition → the embedding of a fake tail.

        x⁰ = c + σ ε,   x^{l+1} = LeakyReLU(BN(α^l ∘ (W^l x^l + b^l) + β^l)),   ẽ = linear(x^L)

    G_E is this class on e_h, G_R is this class on e_h ⊗ e_r. `film` is that of `Config`: frozen ones stay as they
    began, and with "none" there are no α and β.
    """

    def __init__(self, dim: int, layers: int = 2, film: str = "trained") -> None:
        super().__init__()
        self.linears = nn.ModuleList(_without_bias(Linear(dim, dim), film == "none") for _ in range(layers))
        self.films = nn.ModuleList(FiLM(dim) for _ in range(0 if film == "none" else layers))
        self.films.requires_grad_(film == "trained")
        self.norms = nn.ModuleList(nn.BatchNorm1d(dim) for _ in range(layers))
        self.output = Linear(dim, dim)

    def localise(self, condition: Tensor) -> list[Modulation]:
        """α and β of every layer for conditions (C, dim); none without FiLM."""
        return [film(condition) for film in self.films]

    def forward(self, start: Tensor, local: list[Modulation]) -> Tensor:
        """Fakes from noisy conditions.

        Args:
            start: x⁰, shape (C, K, dim): K draws per condition.
            local: what `localise` says of the C conditions; empty for α = 1 and β = 0.

        Returns:
            fakes, shape (C, K, dim).
        """
        x = start.flatten(0, 1)
        for place, (linear, norm) in enumerate(zip(self.linears, self.norms, strict=True)):
            x = linear(x)
            if local:
                alpha, beta = local[place]
                x = torch.addcmul(beta.unsqueeze(1), alpha.unsqueeze(1), x.view_as(start)).flatten(0, 1)
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


def noise_scale(config: Config, entities: Tensor) -> float:
    """σ in the units of the embeddings: as it is, or times their standard deviation."""
    return config.sigma * (float(entities.std()) if config.sigma_relative else 1.0)


def noisy(conditions: Tensor, draws: int, scale: float, random: torch.Generator) -> Tensor:
    """x⁰ = c + σ ε: conditions (C, dim) and σ = `scale` → (C, draws, dim). The noise is drawn on the CPU."""
    noise = torch.randn(len(conditions), draws, conditions.shape[1], generator=random)
    return noise.to(conditions.device).mul_(scale).add_(conditions.unsqueeze(1))


class Generator(nn.Module):
    """The two-way generator: `entity` is G_E, `relation` is G_R; where one is alone, the other is None."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.entity = None if config.pathways == "G_R" else Pathway(config.dim, film=config.film)
        self.relation = None if config.pathways == "G_E" else Pathway(config.dim, film=config.film)

    @property
    def pathways(self) -> dict[str, Pathway]:
        """Those that exist, by name, G_E first."""
        both = zip(PATHWAYS, (self.entity, self.relation), strict=True)
        return {name: pathway for name, pathway in both if pathway is not None}


class Discriminator(nn.Module):
    """A shared trunk on an entity vector and two heads of one logit each (method, section 4).

    D_adv: real or fake. D_aux: which pathway made this fake (0 = G_E, 1 = G_R); it does not exist where there is one
    pathway only, or where its loss has no weight. With `conditional_d` the trunk sees the query beside the vector.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.conditional = config.conditional_d
        self.trunk = nn.Sequential(
            Linear(2 * config.dim if self.conditional else config.dim, 50),
            nn.LeakyReLU(SLOPE, inplace=True),
            Linear(50, 32),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.adv = Linear(32, 1)
        cares = config.aux_weight > 0 or config.aux_weight_g > 0
        self.aux = Linear(32, 1) if config.pathways == "both" and cares else None

    def forward(self, vectors: Tensor, queries: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(…, dim) → logits of D_adv (high = real) and, if it exists, D_aux (high = G_R), (…) each.

        `queries` broadcast to the vectors; a conditional D needs them, another one does not look at them.
        """
        if self.conditional:
            assert queries is not None, "a conditional D judges a vector for a query"
            vectors = torch.cat([vectors, queries.expand_as(vectors)], dim=-1)
        hidden = self.trunk(vectors)
        adv: Tensor = self.adv(hidden).squeeze(-1)
        return adv, None if self.aux is None else self.aux(hidden).squeeze(-1)
