"""DANS: the adversarial game between the two-way generator and the discriminator (method, sections 3 to 5)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Batch
from dans_core.config import Config
from dans_core.gan import Discriminator, Generator
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
        betas = (0.5, 0.999)
        self.optimizers = {
            name: torch.optim.Adam(players.parameters(), lr=lr, betas=betas, fused=True)
            for name, players, lr in (
                ("G_E", self.generator.entity, config.lr_g),
                ("G_R", self.generator.relation, config.lr_g),
                ("D", self.discriminator, config.lr_d),
            )
        }

    def make_fakes(
        self, pathway: str, batch: Batch, entities: Tensor, queries: Tensor, draws: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fakes of one pathway, one row per distinct condition.

        Returns
        -------
        fakes (C, draws, dim), the conditions' pair counts (C,), and the FiLM regulariser.
        """
        if pathway == "G_E":
            condition, counts = entities[batch.conditions], batch.condition_counts
        else:
            condition, counts = queries, batch.counts
        noise = torch.randn(len(condition), draws, condition.shape[1], generator=self.noise_source)
        noise *= noise_scale(self.config, entities)
        fakes, regulariser = self.generator.pathway(pathway)(condition, noise)
        return fakes, counts, regulariser

    def update_generator(
        self, pathway: str, batch: Batch, entities: Tensor, queries: Tensor
    ) -> dict[str, float]:
        """One step of G_E or G_R: L_G = BCE(D_adv(G(c)), 1) + λ · FiLM (+ w · L_aux, as in AC-GAN)."""
        fakes, counts, film = self.make_fakes(pathway, batch, entities, queries, draws=1)
        adv, aux = self.discriminator(fakes.squeeze(1))
        weights = counts / counts.sum()
        loss = weights @ F.softplus(-adv) + self.config.film_weight * film
        if self.config.aux_weight_g > 0:
            loss = loss + self.config.aux_weight_g * (weights @ _pathway_loss(aux, pathway))
        # D is the referee here, not a player: only the pathway's own gradients are computed.
        self._descend(pathway, loss, list(self.generator.pathway(pathway).parameters()))
        side = pathway[-1].lower()
        return {f"g_{side}": float(loss.detach()), f"film_{side}": float(film.detach())}

    def update_discriminator(self, batch: Batch, entities: Tensor, queries: Tensor) -> dict[str, float]:
        """One step of D: L_adv = ½ real + ¼ G_E + ¼ G_R, plus w_aux · L_aux over the fakes."""
        with torch.no_grad():
            fakes_e, counts_e, _ = self.make_fakes("G_E", batch, entities, queries, draws=1)
            fakes_r, counts_r, _ = self.make_fakes("G_R", batch, entities, queries, draws=1)
        counts = (batch.answer_counts, counts_e, counts_r)
        vectors = torch.cat([entities[batch.answers], fakes_e.squeeze(1), fakes_r.squeeze(1)])
        adv, aux = self.discriminator(vectors)
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
        loss = l_adv + self.config.aux_weight * l_aux
        self._descend("D", loss, list(self.discriminator.parameters()))
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
        with torch.no_grad():
            fakes_e, _, _ = self.make_fakes("G_E", batch, entities, queries, draws=k)
            fakes_r, _, _ = self.make_fakes("G_R", batch, entities, queries, draws=k)
        return Negatives(ids=ids, vectors=torch.cat([fakes_e[batch.condition], fakes_r], dim=1))

    def _descend(self, player: str, loss: Tensor, parameters: list[torch.nn.Parameter]) -> None:
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(parameters, self.config.clip_norm, foreach=True)
        self.optimizers[player].step()


def noise_scale(config: Config, entities: Tensor) -> float:
    """σ in the units of the embeddings: as it is, or times their standard deviation."""
    return config.sigma * (float(entities.std()) if config.sigma_relative else 1.0)


def _pathway_loss(aux: Tensor, pathway: str) -> Tensor:
    """−log of the probability D_aux gives to the true pathway, from its logits for G_R."""
    return F.softplus(aux if pathway == "G_E" else -aux)
