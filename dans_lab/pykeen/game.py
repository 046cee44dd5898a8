"""The game of DANS played along with a training of PyKEEN, over the embeddings of its own model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from pykeen.models import ERModel
from pykeen.nn.modules import ComplExInteraction, DistMultInteraction, RotatEInteraction, TransEInteraction
from pykeen.training import TrainingCallback
from torch import Tensor

from dans_core.batch import Batch
from dans_core.config import Config, parse
from dans_core.decoders import DECODERS, Decoder
from dans_core.facts import TrainFacts
from dans_core.kg import KnowledgeGraph
from dans_core.samplers.contract import Sources
from dans_core.samplers.dans import Dans
from dans_data.errors import InputError
from dans_lab.pykeen.proposing import Drawn, drawn_in_parts

Combine = Callable[[Tensor, Tensor], Tensor]

_MEANT = {
    "warmup_epochs", "lr_g", "lr_d", "k_g", "k_d", "pathways", "film", "conditional_d", "sigma", "sigma_relative",
    "film_weight", "aux_weight", "aux_weight_g", "adv_weight", "ce_weight", "condition_chunk", "tau", "random_share",
    "play_every", "clip_norm",
}  # fmt: skip


class Game(TrainingCallback):
    """G_E, G_R and D, trained in rounds between the batches of PyKEEN; D's real entities are the model's own vectors.

    Give the same one to the sampler and to the training:

        game = Game()
        pipeline(..., negative_sampler="dans", negative_sampler_kwargs={"game": game},
                 training_kwargs={"callbacks": game})

    In every `play_every`-th batch each pathway and D have an update on its triplets; after every epoch the draws that
    the sampler keeps are made anew. Until the warm-up is over the negatives are random. The model is one whose queries
    are known: DistMult, ComplEx, RotatE, TransE, or any encoder with one of these as its interaction, such as R-GCN.
    """

    def __init__(self, warmup_epochs: int = 5, sigma_relative: bool = True, **settings: Any) -> None:
        """Settings of DANS by name, as `Config` has them, such as `sigma`, `tau`, `random_share` or `play_every`.

        Raises InputError for another name, or a value out of range.
        """
        super().__init__()  # type: ignore[no-untyped-call] # PyKEEN's has no types
        if other := sorted(set(settings) - _MEANT):
            raise InputError(
                f"{other[0]} is no setting of a game; expected some of {', '.join(sorted(_MEANT))}"
            )
        self._settings = settings | {"warmup_epochs": warmup_epochs, "sigma_relative": sigma_relative}
        parse(self._all(2))
        self.version = 0
        self.losses: list[dict[str, float]] = []
        """Of each round: g_e, g_r, d_adv, d_aux … as the event `Losses` names them."""
        self._dans: Dans | None = None
        self._facts: TrainFacts | None = None
        self._batches = 0

    def _all(self, dim: int) -> dict[str, Any]:
        epochs = int(self._settings["warmup_epochs"]) + 2
        return {"sampler": "dans", "reading": "entities", "dim": dim, "epochs": epochs, **self._settings}

    def joined_by(self, triplets: Tensor, num_entities: int, num_relations: int) -> Game:
        """The game itself, over these training triplets (n, 3)."""
        entities, relations = ([f"{i:012}" for i in range(count)] for count in (num_entities, num_relations))
        none = np.empty((0, 3), dtype=np.int64)
        kg = KnowledgeGraph(triplets.cpu().numpy(), none, none, entities, relations, "PyKEEN's triplets")
        self._facts, self._dans, self._batches = TrainFacts(kg), None, 0
        self.losses.clear()
        self.version += 1
        return self

    @torch.no_grad()
    def draw(self, heads: Tensor, relations: Tensor, draws: int) -> Drawn | None:
        """As `Source` says: nothing before the first round."""
        if self._dans is None:
            return None
        entities, queries = self._vectors()
        return drawn_in_parts(self._dans, heads, relations, entities, queries, draws)

    def post_batch(self, epoch: int, batch: Any, **_: Any) -> None:
        """A round of the game, where it is due."""
        if epoch <= self._settings["warmup_epochs"]:
            return
        if self._facts is None:
            raise InputError(
                'this game has no sampler; give it as {"game": game} in negative_sampler_kwargs, with '
                'negative_sampler="dans"'
            )
        vectors, queries = self._vectors()
        if self._dans is None:
            self._dans = self._begin(vectors.shape[1], vectors.device)
        self._batches += 1
        if (self._batches - 1) % self._dans.config.play_every:
            return
        triplets = batch["positives"].to(vectors.device)
        of = Batch.of_triplets(triplets, self._dans.facts.num_relations)
        asked = queries(of.heads, of.relations)
        told: dict[str, float] = {}
        for _round in range(self._dans.config.k_g):
            for name in self._dans.generator.pathways:
                told |= self._dans.update_generator(name, of, vectors, asked)
        for _round in range(self._dans.config.k_d):
            told |= self._dans.update_discriminator(of, vectors, asked)
        if wrong := next((name for name, value in told.items() if not math.isfinite(value)), None):
            raise InputError(
                f"the game diverged at epoch {epoch}: {wrong} is not a number; a lower lr_g may help"
            )
        self.losses.append(told)

    def post_epoch(self, epoch: int, epoch_loss: float, **_: Any) -> None:
        """What the sampler keeps is out of date."""
        self.version += 1

    def _begin(self, dim: int, device: torch.device) -> Dans:
        assert self._facts is not None
        self._facts.device = device
        decoder = _how(self.model)[1]
        sources = Sources(torch.Generator(), torch.Generator())
        config: Config = parse(self._all(dim))
        return Dans(config, self._facts, decoder, sources)

    @torch.no_grad()
    def _vectors(self) -> tuple[Tensor, Combine]:
        """The entities (N, dim) of now, and what makes queries of ids; complex ones as numbers, real parts first."""
        combine = _how(self.model)[0]
        model = cast(ERModel[Any, Any, Any], self.model)
        entities = model.entity_representations[0](None).detach()
        relations = model.relation_representations[0](None).detach()
        turned_from = len(relations)

        def queries(heads: Tensor, ids: Tensor) -> Tensor:
            h, r = entities[heads], relations[ids % turned_from]
            turned = (ids >= turned_from).unsqueeze(1)
            return _real(torch.where(turned, combine(h, _reciprocal(r, combine)), combine(h, r)))

        return _real(entities), queries


def _how(model: Any) -> tuple[Combine, Decoder]:
    """How a model's queries are made, and how they score: only the scores against all are asked of the latter."""
    interaction = getattr(model, "interaction", None)
    if isinstance(interaction, DistMultInteraction):
        return torch.mul, DECODERS["distmult"]
    if isinstance(interaction, ComplExInteraction):
        return torch.mul, DECODERS["complex"]
    if isinstance(interaction, RotatEInteraction):
        return torch.mul, cast(Decoder, _Distance(2.0))
    if isinstance(interaction, TransEInteraction):
        return torch.add, cast(Decoder, _Distance(float(interaction.p), interaction.power_norm))
    raise InputError(
        f"a game needs to know what a query is, which it does of DistMult, ComplEx, RotatE and TransE, not of "
        f"{type(interaction or model).__name__}; a finished run can propose for any model"
    )


class _Distance:
    """Scores of a model that measures how far a tail is from its query."""

    def __init__(self, p: float, power: bool = False) -> None:
        self.p, self.power = p, power

    def score_all(self, q: Tensor, entities: Tensor) -> Tensor:
        """(Q, dim) and (N, dim) → (Q, N)."""
        far = torch.cdist(q, entities, p=self.p)
        return -(far**self.p if self.power else far)


def _reciprocal(relations: Tensor, combine: Combine) -> Tensor:
    """What asks for the head by the tail, with the same score: −r of a translation, the conjugate of a product."""
    return -relations if combine is torch.add else relations.conj()


def _real(vectors: Tensor) -> Tensor:
    if not vectors.is_complex():
        return vectors
    return torch.cat([vectors.real, vectors.imag], dim=-1)
