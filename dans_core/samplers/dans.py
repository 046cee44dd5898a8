"""DANS: the adversarial game between the two-way generator and the discriminator (method, sections 3 to 5)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Batch
from dans_core.config import Config
from dans_core.gan import Discriminator, Generator, Modulation
from dans_core.samplers import Negatives
from dans_core.samplers.uniform import draw_uniform


class Dans:
    """Half of N_s from the generator (a quarter each pathway, N_s // 4), the rest uniform.

    Fakes are made once per distinct condition: G_E once per head entity, G_R once per query. Losses
    weigh every condition by the number of pairs it stands for; batch norm counts each once. All
    vectors that come in are detached, so the game never moves the base model.
    """

    def __init__(
        self,
        config: Config,
        num_entities: int,
        noise: torch.Generator,
        negatives: torch.Generator,
    ) -> None:
        self.config, self.num_entities = config, num_entities
        self.noise_source, self.id_source = noise, negatives
        self.generator, self.discriminator = Generator(config.dim), Discriminator(config.dim)
        self._localised: dict[str, tuple[Tensor, list[list[Modulation]]]] = {}
        betas = (0.5, 0.999)
        self.optimizers = {
            name: torch.optim.Adam(players.parameters(), lr=lr, betas=betas, fused=True)
            for name, players, lr in (
                ("G_E", self.generator.entity, config.lr_g),
                ("G_R", self.generator.relation, config.lr_g),
                ("D", self.discriminator, config.lr_d),
            )
        }

    def update_generator(
        self, pathway: str, batch: Batch, entities: Tensor, queries: Tensor
    ) -> dict[str, float]:
        """One step of G_E or G_R: L_G = BCE(D_adv(G(c)), 1) + λ · FiLM (+ w · L_aux, as in AC-GAN)."""
        player = self.generator.pathway(pathway)
        parameters = list(player.parameters())
        conditions, counts = _conditions(pathway, batch, entities, queries)
        weights = counts / counts.sum()
        scale = noise_scale(self.config, entities)
        total, penalty = 0.0, 0.0
        gradients: tuple[Tensor, ...] = ()
        for part in self._parts(len(conditions)):
            local = player.localise(conditions[part])
            fakes = player(self._start(conditions[part], 1, scale), local).squeeze(1)
            # D is the referee here, not a player: none of its gradients are computed.
            with _frozen(self.discriminator):
                adv, aux = self.discriminator(fakes)
            film = torch.stack([layer.penalty() for layer in local]).sum() * (len(fakes) / len(conditions))
            loss = weights[part] @ F.softplus(-adv) + self.config.film_weight * film
            if self.config.aux_weight_g > 0:
                loss = loss + self.config.aux_weight_g * (weights[part] @ _pathway_loss(aux, pathway))
            of_part = torch.autograd.grad(loss, parameters)
            gradients = tuple(torch._foreach_add(gradients, of_part)) if gradients else of_part
            total, penalty = total + float(loss.detach()), penalty + float(film.detach())
        self._descend(pathway, parameters, gradients)
        self._localised.pop(pathway, None)
        side = pathway[-1].lower()
        return {f"g_{side}": total, f"film_{side}": penalty}

    def update_discriminator(self, batch: Batch, entities: Tensor, queries: Tensor) -> dict[str, float]:
        """One step of D: L_adv = ½ real + ¼ G_E + ¼ G_R, plus w_aux · L_aux over the fakes."""
        fakes_e = self.make_fakes("G_E", batch, entities, queries, draws=1).squeeze(1)
        fakes_r = self.make_fakes("G_R", batch, entities, queries, draws=1).squeeze(1)
        counts = (batch.answer_counts, batch.condition_counts, batch.counts)
        adv, aux = self.discriminator(torch.cat([entities[batch.answers], fakes_e, fakes_r]))
        sizes = [len(c) for c in counts]
        real_adv, e_adv, r_adv = adv.split(sizes)
        _, e_aux, r_aux = aux.split(sizes)
        w_real, w_e, w_r = (c / c.sum() for c in counts)
        l_adv = (
            0.5 * (w_real @ F.softplus(-real_adv))
            + 0.25 * (w_e @ F.softplus(e_adv))
            + 0.25 * (w_r @ F.softplus(r_adv))
        )
        l_aux = 0.5 * (w_e @ _pathway_loss(e_aux, "G_E")) + 0.5 * (w_r @ _pathway_loss(r_aux, "G_R"))
        parameters = list(self.discriminator.parameters())
        self._descend(
            "D", parameters, torch.autograd.grad(l_adv + self.config.aux_weight * l_aux, parameters)
        )
        with torch.no_grad():
            named_right = 0.5 * (w_e @ (e_aux < 0).float()) + 0.5 * (w_r @ (r_aux > 0).float())
            return {
                "d_adv": float(l_adv.detach()),
                "d_aux": float(l_aux.detach()),
                "d_real": float(w_real @ real_adv.sigmoid()),
                "d_fake_e": float(w_e @ e_adv.sigmoid()),
                "d_fake_r": float(w_r @ r_adv.sigmoid()),
                "aux_accuracy": float(named_right),
            }

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """N_s // 4 fakes of each pathway for every query, constants to the base loss, the rest uniform."""
        k = self.config.per_pathway
        ids = draw_uniform(batch.answer, self.config.negatives - 2 * k, self.num_entities, self.id_source)
        vectors = queries.new_empty(len(queries), 2 * k, queries.shape[1])
        fakes_e = self.make_fakes("G_E", batch, entities, queries, k)
        vectors[:, :k] = F.embedding(batch.condition, fakes_e.flatten(1)).view(-1, *fakes_e.shape[1:])
        self.make_fakes("G_R", batch, entities, queries, k, out=vectors[:, k:])
        # Nobody asks again before the next encoding, and on a large graph they are large.
        self._localised.clear()
        return Negatives(ids=ids, vectors=vectors)

    @torch.no_grad()
    def make_fakes(
        self,
        pathway: str,
        batch: Batch,
        entities: Tensor,
        queries: Tensor,
        draws: int,
        out: Tensor | None = None,
    ) -> Tensor:
        """Fakes of one pathway as constants, (C, draws, dim), one row per distinct condition; into `out` if given.

        α and β are kept until the pathway's next update or the next encoding, since D and base want the same.
        """
        player = self.generator.pathway(pathway)
        conditions, _ = _conditions(pathway, batch, entities, queries)
        parts = self._parts(len(conditions))
        of, localised = self._localised.get(pathway, (None, []))
        if of is not entities:
            localised = [player.localise(conditions[part]) for part in parts]
            self._localised[pathway] = (entities, localised)
        scale = noise_scale(self.config, entities)
        if out is None:
            out = conditions.new_empty(len(conditions), draws, conditions.shape[1])
        for part, local in zip(parts, localised, strict=True):
            out[part] = player(self._start(conditions[part], draws, scale), local)
        return out

    def _parts(self, conditions: int) -> list[slice]:
        """The conditions of one pass each; interleaved, so that every pass sees all kinds of them."""
        passes = -(-conditions // self.config.condition_chunk)
        return [slice(first, None, passes) for first in range(passes)]

    def _start(self, conditions: Tensor, draws: int, scale: float) -> Tensor:
        """x⁰ = c + σ ε, shape (C, draws, dim)."""
        noise = torch.randn(len(conditions), draws, conditions.shape[1], generator=self.noise_source)
        return noise.mul_(scale).add_(conditions.unsqueeze(1))

    def _descend(
        self, player: str, parameters: list[torch.nn.Parameter], gradients: tuple[Tensor, ...]
    ) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(parameters, self.config.clip_norm, foreach=True)
        self.optimizers[player].step()


def _conditions(pathway: str, batch: Batch, entities: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct conditions of a pathway (C, dim), and how many pairs each stands for (C,)."""
    if pathway == "G_E":
        return F.embedding(batch.conditions, entities), batch.condition_counts
    return queries, batch.counts


@contextmanager
def _frozen(network: torch.nn.Module) -> Iterator[None]:
    """Its parameters as constants."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def noise_scale(config: Config, entities: Tensor) -> float:
    """σ in the units of the embeddings: as it is, or times their standard deviation."""
    return config.sigma * (float(entities.std()) if config.sigma_relative else 1.0)


def _pathway_loss(aux: Tensor, pathway: str) -> Tensor:
    """−log of the probability D_aux gives to the true pathway, from its logits for G_R."""
    return F.softplus(aux if pathway == "G_E" else -aux)
