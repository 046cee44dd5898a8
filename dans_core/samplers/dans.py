"""DANS: the adversarial game between the two-way generator and the discriminator (method, sections 3 to 5)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.declaration import Declaration
from dans_core.decoders import Decoder
from dans_core.facts import TrainFacts
from dans_core.gan import Discriminator, Generator, Modulation, noise_scale, noisy
from dans_core.proposals import MOST_READ, Proposals, beliefs, log_reading, mixture, of_conditions
from dans_core.samplers.contract import Sampler, Sources
from dans_core.samplers.uniform import random_negatives

DECLARATION = Declaration(
    name="dans",
    title="DANS",
    about="A GAN proposes entities as negatives, or makes negatives itself, by two pathways, one from the head and one "
    "from head and relation; half is random.",
    settings=(
        "negatives", "shared", "filter_known", "warmup_epochs", "lr_g", "lr_d", "k_g", "k_d", "pathways", "film",
        "conditional_d", "random_negatives", "pathway_fakes", "sigma", "sigma_relative", "film_weight", "aux_weight",
        "aux_weight_g", "adv_weight", "ce_weight", "condition_chunk", "reading", "tau", "random_share",
        "temperature", "play_every",
    ),
    only_if_read={
        "pathway_fakes": "vectors", "random_negatives": "vectors", "tau": "entities", "random_share": "entities",
        "ce_weight": "entities", "temperature": "entities",
    },
    shares=True,
    defaults={"temperature": 0.5},
    fakes=lambda config: _shares(config),
    refuses=lambda config: _refusal(config),
)  # fmt: skip


class Dans(Sampler):
    """The entities that fakes propose; or the fakes, half of N_s (N_s // 4 each pathway), and uniform ones.

    Fakes are made once per distinct condition: G_E once per head entity, G_R once per query. Losses
    weigh every condition by the number of pairs it stands for; batch norm counts each once. All
    vectors that come in are detached, so the game never moves the base model.

    A conditional D judges every vector for a query: an answer for its own, a fake of G_R for its own, and a fake of
    G_E for each query of its head, one term of the loss each.
    """

    declaration = DECLARATION

    def __init__(self, config: Config, facts: TrainFacts, decoder: Decoder, random: Sources) -> None:
        super().__init__(config, facts, decoder, random)
        self.generator = Generator(config).to(facts.device)
        self.discriminator = Discriminator(config).to(facts.device)
        self._localised: dict[str, tuple[Batch, Tensor, list[list[Modulation]]]] = {}
        self._proposals: Proposals | None = None
        self._steps = 0
        players: list[tuple[str, torch.nn.Module, float]] = [
            (name, player, config.lr_g) for name, player in self.generator.pathways.items()
        ]
        players.append(("D", self.discriminator, config.lr_d))
        self.optimizers = {
            name: torch.optim.Adam(_trained(player), lr=lr, betas=(0.5, 0.999), fused=True)
            for name, player, lr in players
        }

    def update_generator(
        self, pathway: str, batch: Batch, entities: Tensor, queries: Tensor
    ) -> dict[str, float]:
        """One step of G_E or G_R: L_G = w_adv · BCE(D_adv(G(c)), 1) + λ · FiLM (+ w · L_aux, as in AC-GAN).

        Where fakes are proposals, − w_ce · Σ_q n_q / P · Σ_t p(t | q) log q(t | c) joins it, p the decoder's beliefs.
        A FiLM that is not trained has no regulariser, and tells none.
        """
        player = self.generator.pathways[pathway]
        parameters = _trained(player)
        conditions = conditions_of(pathway, batch, entities, queries)
        pairs = batch.counts.sum()
        scale = noise_scale(self.config, entities)
        total, penalty, entropy = 0.0, 0.0, 0.0
        believed, read = self._believed(pathway, batch, entities, queries)
        gradients: tuple[Tensor, ...] = ()
        for part in self._parts(len(conditions)):
            local = player.localise(conditions[part])
            fakes = player(noisy(conditions[part], 1, scale, self.random.noise), local).squeeze(1)
            case = self._case(pathway, batch, queries, fakes, part)
            # D is the referee here, not a player: none of its gradients are computed.
            with _frozen(self.discriminator):
                adv, aux = self.discriminator(case.vectors, case.queries)
            weights = case.counts / pairs
            loss = self.config.adv_weight * (weights @ F.softplus(-adv))
            if believed is not None:
                cross = -(believed[part] * log_reading(fakes, read, self.config.tau)).sum() / pairs
                loss = loss + self.config.ce_weight * cross
                entropy += float(cross.detach())
            if self.config.film == "trained":
                film = torch.stack([layer.penalty() for layer in local]).sum()
                film = film * (len(fakes) / len(conditions))
                loss = loss + self.config.film_weight * film
                penalty += float(film.detach())
            if aux is not None and self.config.aux_weight_g > 0:
                loss = loss + self.config.aux_weight_g * (weights @ _pathway_loss(aux, pathway))
            of_part = torch.autograd.grad(loss, parameters)
            gradients = tuple(torch._foreach_add(gradients, of_part)) if gradients else of_part
            total += float(loss.detach())
        self._descend(pathway, parameters, gradients)
        self._localised.pop(pathway, None)
        side = pathway[-1].lower()
        told = {f"g_{side}": total}
        if self.config.film == "trained":
            told[f"film_{side}"] = penalty
        if believed is not None:
            told[f"ce_{side}"] = entropy
        return told

    def update_discriminator(self, batch: Batch, entities: Tensor, queries: Tensor) -> dict[str, float]:
        """One step of D: L_adv = ½ real + ¼ G_E + ¼ G_R, plus w_aux · L_aux over the fakes.

        A pathway that is alone has the whole other half, and leaves D_aux nothing to tell.
        """
        names = list(self.generator.pathways)
        cases = [self._real(batch, entities, queries)]
        for name in names:
            fakes = self.make_fakes(name, batch, entities, queries, draws=1).squeeze(1)
            cases.append(self._case(name, batch, queries, fakes))
        asked = [case.queries for case in cases if case.queries is not None]
        adv, aux = self.discriminator(
            torch.cat([case.vectors for case in cases]), torch.cat(asked) if asked else None
        )
        sizes = [len(case.counts) for case in cases]
        pairs = batch.counts.sum()
        w_real, *w_fakes = (case.counts / pairs for case in cases)
        real, *fake = adv.split(sizes)
        l_adv = 0.5 * (w_real @ F.softplus(-real))
        for weights, logits in zip(w_fakes, fake, strict=True):
            l_adv = l_adv + 0.5 / len(names) * (weights @ F.softplus(logits))
        loss, told = l_adv, {"d_adv": l_adv.detach()}
        if aux is not None:
            (w_e, w_r), (_, e_aux, r_aux) = w_fakes, aux.split(sizes)
            l_aux = 0.5 * (w_e @ _pathway_loss(e_aux, "G_E")) + 0.5 * (w_r @ _pathway_loss(r_aux, "G_R"))
            loss = loss + self.config.aux_weight * l_aux
            told["d_aux"] = l_aux.detach()
            told["aux_accuracy"] = 0.5 * (w_e @ (e_aux < 0).float()) + 0.5 * (w_r @ (r_aux > 0).float())
        parameters = _trained(self.discriminator)
        self._descend("D", parameters, torch.autograd.grad(loss, parameters))
        with torch.no_grad():
            told["d_real"] = w_real @ real.sigmoid()
            for name, weights, logits in zip(names, w_fakes, fake, strict=True):
                told[f"d_fake_{name[-1].lower()}"] = weights @ logits.sigmoid()
        return {name: float(value) for name, value in told.items()}

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """The fakes of each pathway for every query, constants to the base loss, and random entities.

        Where fakes are proposals, entities drawn from them instead. Proposals are made anew with each round of the
        game; in the steps between they are kept for the same queries, since a weight knows what its draw came from.
        """
        if self.config.reading == "entities":
            return self._drawn(batch, entities, queries)
        shares = self.config.fakes
        generated = sum(shares.values())
        rest = self.config.negatives - generated
        given = Negatives()
        if rest:
            given = random_negatives(batch, rest, self.config, self.facts, self.random.negatives)
        vectors = queries.new_empty(len(queries), generated, queries.shape[1])
        for name, out in zip(shares, vectors.split(list(shares.values()), dim=1), strict=True):
            if name == "G_R":
                self.make_fakes(name, batch, entities, queries, shares[name], out=out)
            else:
                fakes = self.make_fakes(name, batch, entities, queries, shares[name])
                out[:] = F.embedding(batch.condition, fakes.flatten(1)).view_as(out)
        # Nobody asks again before the next encoding, and on a large graph they are large.
        self._localised.clear()
        return Negatives(ids=given.ids, vectors=vectors, shared=given.shared)

    def _drawn(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        proposals = self._proposals
        if proposals is None or self._steps % self.config.play_every == 0 or not proposals.fit(batch):
            proposals = self.propose(batch, entities, queries)
            # Another chunk asks other queries.
            whole = len(batch.answer) == len(self.facts.queries)
            self._proposals = proposals if whole and self.config.play_every > 1 else None
        self._steps += 1
        return proposals.draw(batch, self.config.negatives, self.random.negatives)

    def propose(self, batch: Batch, entities: Tensor, queries: Tensor) -> Proposals:
        """The proposals of one fake a condition for every query, with their random share."""
        candidates = self._candidates(entities)
        read = F.embedding(candidates, entities)
        readings = {
            name: log_reading(
                self.make_fakes(name, batch, entities, queries, 1).squeeze(1), read, self.config.tau
            )
            for name in self.generator.pathways
        }
        self._localised.clear()
        mixed = mixture(readings, batch, self.config.random_share)
        order = torch.randperm(len(candidates), generator=self.random.negatives).to(entities.device)
        return Proposals(mixed, candidates, order, batch.heads, batch.relations)

    def _candidates(self, entities: Tensor) -> Tensor:
        """Ids of the entities that are read, ascending."""
        if len(entities) <= MOST_READ:
            return torch.arange(len(entities), device=entities.device)
        drawn = torch.randperm(len(entities), generator=self.random.negatives)[:MOST_READ]
        return drawn.sort().values.to(entities.device)

    def _believed(
        self, pathway: str, batch: Batch, entities: Tensor, queries: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """What the cross-entropy of G is against, (C, M), or None without it, and the vectors of its M entities."""
        if self.config.reading == "vectors" or self.config.ce_weight == 0:
            return None, entities
        read = F.embedding(self._candidates(entities), entities)
        return of_conditions(pathway, batch, beliefs(self.decoder, queries, read)), read

    def state_dict(self) -> dict[str, Any]:
        """The optimizers and the proposals; the weights of the players are kept with those of the model."""
        state: dict[str, Any] = {name: each.state_dict() for name, each in self.optimizers.items()}
        if self.config.reading == "entities":
            kept = self._proposals
            state["proposals"] = {"steps": self._steps, "kept": kept and kept.tensors()}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[name])
        if self.config.reading == "entities":
            self._steps, kept = state["proposals"]["steps"], state["proposals"]["kept"]
            self._proposals = (
                None
                if kept is None
                else Proposals(**{name: part.to(self.facts.device) for name, part in kept.items()})
            )

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
        player = self.generator.pathways[pathway]
        conditions = conditions_of(pathway, batch, entities, queries)
        parts = self._parts(len(conditions))
        of, at, localised = self._localised.get(pathway, (None, None, []))
        if of is not batch or at is not entities:
            localised = [player.localise(conditions[part]) for part in parts]
            self._localised[pathway] = (batch, entities, localised)
        scale = noise_scale(self.config, entities)
        if out is None:
            out = conditions.new_empty(len(conditions), draws, conditions.shape[1])
        for part, local in zip(parts, localised, strict=True):
            out[part] = player(noisy(conditions[part], draws, scale, self.random.noise), local)
        return out

    def _real(self, batch: Batch, entities: Tensor, queries: Tensor) -> _Case:
        """The true answers before D; a conditional D sees each pair."""
        if self.discriminator.conditional:
            asked = F.embedding(batch.query, queries)
            return _Case(F.embedding(batch.answer, entities), asked, torch.ones_like(batch.answer))
        return _Case(entities[batch.answers], None, batch.answer_counts)

    def _case(
        self, pathway: str, batch: Batch, queries: Tensor, fakes: Tensor, part: slice = slice(0, None, 1)
    ) -> _Case:
        """Fakes (n, dim) for a part of a pathway's conditions before D."""
        if not self.discriminator.conditional:
            counts = batch.condition_counts if pathway == "G_E" else batch.counts
            return _Case(fakes, None, counts[part])
        if pathway == "G_R":
            return _Case(fakes, queries[part], batch.counts[part])
        rows = (batch.condition % part.step == part.start).nonzero().squeeze(1)
        of_head = F.embedding(batch.condition[rows] // part.step, fakes)
        return _Case(of_head, F.embedding(rows, queries), batch.counts[rows])

    def _parts(self, conditions: int) -> list[slice]:
        """The conditions of one pass each; interleaved, so that every pass sees all kinds of them."""
        passes = -(-conditions // self.config.condition_chunk)
        return [slice(first, None, passes) for first in range(passes)]

    def _descend(
        self, player: str, parameters: list[torch.nn.Parameter], gradients: tuple[Tensor, ...]
    ) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(parameters, self.config.clip_norm, foreach=True)
        self.optimizers[player].step()


class _Case(NamedTuple):
    """What D judges: vectors (n, dim), the queries (n, dim) it sees beside them, and how many pairs each counts for."""

    vectors: Tensor
    queries: Tensor | None
    counts: Tensor


def conditions_of(pathway: str, batch: Batch, entities: Tensor, queries: Tensor) -> Tensor:
    """The distinct conditions of a pathway, (C, dim)."""
    return F.embedding(batch.conditions, entities) if pathway == "G_E" else queries


def _trained(player: torch.nn.Module) -> list[torch.nn.Parameter]:
    return [parameter for parameter in player.parameters() if parameter.requires_grad]


@contextmanager
def _frozen(network: torch.nn.Module) -> Iterator[None]:
    """Its parameters as constants."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _pathway_loss(aux: Tensor, pathway: str) -> Tensor:
    """−log of the probability D_aux gives to the true pathway, from its logits for G_R."""
    return F.softplus(aux if pathway == "G_E" else -aux)


def _shares(config: Config) -> dict[str, int]:
    """Fakes of a query by pathway: N_s // 4 each, unless `pathway_fakes` says how many; half without random ones.

    A pathway that is alone makes the fakes of both. As a proposal, one fake a condition is read.
    """
    if config.reading == "entities":
        return {name: 1 for name in (("G_E", "G_R") if config.pathways == "both" else (config.pathways,))}
    each = config.pathway_fakes or config.negatives // 4
    generated = 2 * each if config.random_negatives else config.negatives
    if config.pathways == "both":
        return {"G_E": generated - generated // 2, "G_R": generated // 2}
    return {config.pathways: generated}


def _refusal(config: Config) -> str:
    if config.reading == "entities":
        return ""
    if config.negatives < 4:
        return (
            f"negatives = {config.negatives} must be at least 4 with sampler = dans, which makes a quarter of them by "
            "each pathway"
        )
    if config.random_negatives and 2 * config.pathway_fakes >= config.negatives:
        return (
            f"pathway_fakes = {config.pathway_fakes} leaves nothing of negatives = {config.negatives} for random ones; "
            "it must be below half of them, or random_negatives off"
        )
    return ""
