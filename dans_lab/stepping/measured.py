"""What the stages of a round do to one triplet, in numbers: its fakes, what D says of them, and its losses."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.decoders import DECODERS
from dans_core.facts import TrainFacts
from dans_core.gan import Discriminator, Modulation, Pathway, noise_scale, noisy
from dans_core.kernels.nearest import nearest
from dans_core.kg import KnowledgeGraph
from dans_core.proposals import beliefs, log_importance, log_reading, of_conditions
from dans_core.samplers.catalogue import class_of
from dans_core.samplers.contract import Sources
from dans_core.samplers.dans import Dans, conditions_of
from dans_data.errors import InputError
from dans_lab.stepping.plane import Plane
from dans_lab.stepping.relived import Round, Weights

FAKES = 5
"""Fakes of the triplet that are shown of each pathway."""

FOREMOST = 3
"""Entities that the decoder expects first, to be told."""

_MADE = 8
"""Sets of fakes kept for other triplets of the same rounds."""

Place = tuple[float, float]


@dataclass(frozen=True)
class Encoded:
    """The triplet as the R-GCN and the decoder have it; head, relation and tail are those of the query.

    Attributes:
        length_head, length_tail, length_query: of e_h, e_t and e_h ⊗ e_r.
        score: of the triplet. belief: p(t | q), the softmax of the scores over all entities.
        rank: place of the tail among all entities by score, other known answers left out, ties by the mean.
        foremost, beliefs: the entities of largest belief, best first, and their p.
    """

    length_head: float
    length_tail: float
    length_query: float
    score: float
    belief: float
    rank: float
    foremost: list[int]
    beliefs: list[float]


@dataclass(frozen=True)
class Fake:
    """One fake of the triplet, made from the same noise at every stop.

    Attributes:
        place: on the map.
        length: ‖ẽ‖ over the median length of entities. nearest, cosine: the entity nearest by cosine.
        score: the decoder's, as a tail of the query.
        d_adv, d_aux: the probabilities D gives to "real" and to "made by G_R"; the second None without D_aux.
        adversarial: −log D_adv(ẽ). entropy: against the decoder's beliefs, None where fakes are negatives themselves.
        loss: this fake's own term of L_G.
        pull: −∂L_G/∂ẽ within the plane, for that term; slope: its length in all dimensions; in_plane: the share of the
            squared length that lies in the plane.
        reads, chances: the entities that it proposes most and their q, empty where it is a negative itself.
    """

    place: Place
    length: float
    nearest: int
    cosine: float
    score: float
    d_adv: float
    d_aux: float | None
    adversarial: float
    entropy: float | None
    loss: float
    pull: Place
    slope: float
    in_plane: float
    reads: list[int]
    chances: list[float]


@dataclass(frozen=True)
class Played:
    """A pathway's last update in the round.

    Attributes:
        before, after: the fakes of the triplet around it; D is the same for both.
        loss_before, loss_after: L_G over all conditions, from the fixed noise.
        alpha, beta: mean |α − 1| and mean |β| of FiLM for the condition, before; None without FiLM.
        noise: σ in the units of the embeddings.
    """

    before: list[Fake]
    after: list[Fake]
    loss_before: float
    loss_after: float
    alpha: float | None
    beta: float | None
    noise: float


@dataclass(frozen=True)
class Opinion:
    """What D says of the tail and of the triplet's fakes, by pathway, and its losses.

    Attributes:
        real: D_adv(e_t). fakes, pathway: D_adv and D_aux of each fake; `pathway` is empty without D_aux.
        adversarial: L_adv of the tail and the first fakes alone. auxiliary: L_aux of the first fakes, None without it.
        loss: L_D over all answers and conditions, from the fixed noise.
    """

    real: float
    fakes: dict[str, list[float]]
    pathway: dict[str, list[float]]
    adversarial: float
    auxiliary: float | None
    loss: float


@dataclass(frozen=True)
class Negative:
    """A negative that the base model was given for the triplet.

    Attributes:
        source: "proposed" or "random" for an entity, else the pathway whose fake it is.
        entity: the entity, or the one nearest to the fake. split: where the triplet with it is a known fact, or "".
        chance: m of a proposed one. weight: in the loss.
        before, after: its scores around the update of the base model.
    """

    source: str
    entity: int
    split: str
    chance: float | None
    weight: float
    before: float
    after: float


@dataclass(frozen=True)
class BaseUpdate:
    """The base model's update, seen from the triplet; negatives and their weights are the same before and after."""

    negatives: list[Negative]
    score_before: float
    score_after: float
    loss_before: float
    loss_after: float
    belief_after: float
    rank_after: float


@dataclass(frozen=True)
class Measured:
    """A round as one triplet lives it.

    `entities` and `entities_after` are places on the map; `held` is the share of the entities' variance in its plane.
    """

    number: int
    epoch: int
    values: dict[str, dict[str, float]]
    updates: dict[str, int]
    held: float
    entities: list[Place]
    entities_after: list[Place]
    encoded: Encoded
    played: dict[str, Played]
    judged: tuple[Opinion, Opinion]
    trained: BaseUpdate


@dataclass(frozen=True)
class _Made:
    """Fakes (C, K, dim) of all conditions of a pathway, in training mode, and α and β of its layers."""

    fakes: Tensor
    local: list[Modulation]


class Measure:
    """Measures the rounds of one run, for any query of its training triplets. Nothing here reaches the Trainer.

    The fakes that are shown, `FAKES` for each condition, come from a noise that never changes, and batch norm takes its
    statistics from them alone. So they move only because weights moved or entities were encoded anew.
    """

    def __init__(self, kg: KnowledgeGraph, config: Config) -> None:
        self.kg, self.config = kg, config
        self.decoder = DECODERS[config.decoder]
        self.batch = Batch.of_triplets(kg.train, kg.num_relations)
        self._first_plane: Plane | None = None
        self._made: OrderedDict[tuple[int, str, int], _Made] = OrderedDict()
        with torch.random.fork_rng(devices=[]):
            self._pathway = Pathway(config.dim, film=config.film)
            self._judge = Discriminator(config)

    def plane(self, of: Round) -> Plane:
        """The plane of a round's entities, turned like that of the first round that was asked for."""
        plane = Plane.of(_array(of.entities), self._first_plane)
        if self._first_plane is None:
            self._first_plane = plane
        return plane

    def measure(self, of: Round, triplet: tuple[int, int, int]) -> Measured:
        """The round as this triplet lives it, by its tail query; (t, r⁻¹, h) is the head query of (h, r, t).

        Raises InputError where that is no training triplet.
        """
        pair, row = self._places_of(triplet)
        tail = triplet[2]
        plane = self.plane(of)
        return Measured(
            number=of.number,
            epoch=of.epoch,
            values=of.values,
            updates=of.updates,
            held=plane.held,
            entities=_places(plane, of.entities),
            entities_after=_places(plane, of.entities_after),
            encoded=self._encoded(of, row, tail),
            played={name: self._played(of, name, row, plane) for name in of.weights if name != "D"},
            judged=self._judged(of, row, tail),
            trained=self._trained(of, pair, row, tail),
        )

    def _places_of(self, triplet: tuple[int, int, int]) -> tuple[int, int]:
        """The pair of the triplet in the batch, and its query."""
        head, relation, tail = triplet
        batch = self.batch
        asked = (batch.heads[batch.query] == head) & (batch.relations[batch.query] == relation)
        found = (asked & (batch.answer == tail)).nonzero()
        if not len(found):
            raise InputError("it is no training triplet, so no step is ever made for it")
        pair = int(found[0, 0])
        return pair, int(batch.query[pair])

    # --- encode ------------------------------------------------------------------------------------------------

    def _encoded(self, of: Round, row: int, tail: int) -> Encoded:
        query, head = of.queries[row], int(self.batch.heads[row])
        scores = self._scores(of.entities, query)
        chances = scores.softmax(0)
        first = chances.topk(min(FOREMOST, len(chances)))
        return Encoded(
            length_head=float(of.entities[head].norm()),
            length_tail=float(of.entities[tail].norm()),
            length_query=float(query.norm()),
            score=float(scores[tail]),
            belief=float(chances[tail]),
            rank=self._rank(scores, row, tail),
            foremost=first.indices.tolist(),
            beliefs=first.values.tolist(),
        )

    def _scores(self, entities: Tensor, query: Tensor) -> Tensor:
        return self.decoder.score_all(query.unsqueeze(0), entities).squeeze(0)

    def _rank(self, scores: Tensor, row: int, tail: int) -> float:
        others = torch.ones(len(scores), dtype=torch.bool)
        for ids in self.kg.answers(int(self.batch.heads[row]), int(self.batch.relations[row])).values():
            others[torch.tensor(ids)] = False
        others[tail] = False
        rivals = scores[others]
        return 1.0 + float((rivals > scores[tail]).sum()) + 0.5 * float((rivals == scores[tail]).sum())

    # --- G_E and G_R -------------------------------------------------------------------------------------------

    def _played(self, of: Round, name: str, row: int, plane: Plane) -> Played:
        before, after = (self._make(of, name, when) for when in (0, 1))
        place = self._condition(name, row)
        local = [Modulation(layer.alpha[place], layer.beta[place]) for layer in before.local]
        return Played(
            before=self._fakes(of, name, before.fakes[place], row, plane),
            after=self._fakes(of, name, after.fakes[place], row, plane),
            loss_before=self._loss_g(of, name, before),
            loss_after=self._loss_g(of, name, after),
            alpha=_mean([(layer.alpha - 1).abs() for layer in local]),
            beta=_mean([layer.beta.abs() for layer in local]),
            noise=noise_scale(self.config, of.entities),
        )

    def _condition(self, name: str, row: int) -> int:
        return int(self.batch.condition[row]) if name == "G_E" else row

    @torch.no_grad()
    def _make(self, of: Round, name: str, when: int) -> _Made:
        """The fakes of a pathway before (0) or after (1) its update, for all conditions."""
        key = (of.number, name, when)
        if key not in self._made:
            self._pathway.load_state_dict(of.weights[name][when])
            conditions = conditions_of(name, self.batch, of.entities, of.queries)
            start = noisy(conditions, FAKES, noise_scale(self.config, of.entities), self._noise(name))
            local = self._pathway.localise(conditions)
            self._made[key] = _Made(self._pathway(start, local), local)
        self._made.move_to_end(key)
        while len(self._made) > _MADE:
            self._made.popitem(last=False)
        return self._made[key]

    def _noise(self, name: str) -> torch.Generator:
        """The source of the noise that never changes."""
        return torch.Generator().manual_seed(2 * self.config.seed + (name == "G_R"))

    def _fakes(self, of: Round, name: str, fakes: Tensor, row: int, plane: Plane) -> list[Fake]:
        """The fakes (K, dim) of the triplet before the D that was their referee."""
        own = fakes.detach().clone().requires_grad_()
        adv, aux = self._d(of.referee)(own)
        adversarial = F.softplus(-adv)
        loss = self.config.adv_weight * adversarial
        entropy: Tensor | None = None
        read = log_reading(own, of.entities, self.config.tau)
        if self._believes:
            believed = self._believed(of, name)[self._condition(name, row)]
            entropy = -(read * believed).sum(1)
            loss = loss + self.config.ce_weight * entropy
        if aux is not None and self.config.aux_weight_g > 0:
            loss = loss + self.config.aux_weight_g * F.softplus(aux if name == "G_E" else -aux)
        (slope,) = torch.autograd.grad(loss.sum(), own)
        pulls, inside = plane.arrows(-_array(slope))
        opinions = [None if logits is None else logits.detach().sigmoid().tolist() for logits in (adv, aux)]
        d_adv, d_aux = opinions[0] or [], opinions[1] or [None] * len(fakes)
        adversarial, loss = adversarial.detach(), loss.detach()
        ids, cosines = nearest(fakes, of.entities)
        scores = self.decoder.score(of.queries[row], fakes)
        median = of.entities.norm(dim=1).median()
        most = read.detach().exp().topk(min(FOREMOST, read.shape[1]))
        proposes = self.config.proposes
        return [
            Fake(
                place=_pair(place),
                length=float(fakes[k].norm() / median),
                nearest=int(ids[k]),
                cosine=float(cosines[k]),
                score=float(scores[k]),
                d_adv=d_adv[k],
                d_aux=d_aux[k],
                adversarial=float(adversarial[k]),
                entropy=None if entropy is None else float(entropy[k].detach()),
                loss=float(loss[k]),
                pull=_pair(pulls[k]),
                slope=float(slope[k].norm()),
                in_plane=float(inside[k]),
                reads=most.indices[k].tolist() if proposes else [],
                chances=most.values[k].tolist() if proposes else [],
            )
            for k, place in enumerate(plane.places(_array(fakes)))
        ]

    @property
    def _believes(self) -> bool:
        """Whether L_G has a cross-entropy against the decoder's beliefs."""
        return self.config.reading == "entities" and self.config.ce_weight > 0

    def _believed(self, of: Round, name: str) -> Tensor:
        """What the proposals of each condition are held to, (C, N), each adding up to 1."""
        mass = of_conditions(name, self.batch, beliefs(self.decoder, of.queries, of.entities))
        return mass / self._counts(name).unsqueeze(1)

    def _counts(self, name: str) -> Tensor:
        return self.batch.condition_counts if name == "G_E" else self.batch.counts

    def _d(self, weights: Weights) -> Discriminator:
        self._judge.load_state_dict(weights)
        return self._judge

    @torch.no_grad()
    def _loss_g(self, of: Round, name: str, made: _Made) -> float:
        """L_G over all conditions, each by its pairs."""
        weights = self._counts(name) / self.batch.counts.sum()
        adv, aux = self._d(of.referee)(made.fakes)
        loss = self.config.adv_weight * F.softplus(-adv)
        if self._believes:
            read = log_reading(made.fakes, of.entities, self.config.tau)
            loss = loss - self.config.ce_weight * (read * self._believed(of, name).unsqueeze(1)).sum(-1)
        if aux is not None and self.config.aux_weight_g > 0:
            loss = loss + self.config.aux_weight_g * F.softplus(aux if name == "G_E" else -aux)
        film = sum((float(layer.penalty()) for layer in made.local), 0.0)
        trained = self.config.film_weight * film if self.config.film == "trained" else 0.0
        return float(weights @ loss.mean(1)) + trained

    # --- D -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _judged(self, of: Round, row: int, tail: int) -> tuple[Opinion, Opinion]:
        before, after = of.weights["D"]
        return self._opinion(of, before, row, tail), self._opinion(of, after, row, tail)

    def _opinion(self, of: Round, weights: Weights, row: int, tail: int) -> Opinion:
        judge, made = self._d(weights), {name: self._make(of, name, 1) for name in of.weights if name != "D"}
        real = judge(of.entities)[0]
        pairs = self.batch.counts.sum()
        adversarial = 0.5 * float(F.softplus(-real[tail]))
        loss = 0.5 * float(self.batch.answer_counts / pairs @ F.softplus(-real[self.batch.answers]))
        auxiliary: float | None = None
        fakes, pathway = {}, {}
        for name, each in made.items():
            adv, aux = judge(each.fakes)
            place, share = self._condition(name, row), self._counts(name) / pairs
            fakes[name] = adv[place].sigmoid().tolist()
            adversarial += 0.5 / len(made) * float(F.softplus(adv[place, 0]))
            loss += 0.5 / len(made) * float(share @ F.softplus(adv).mean(1))
            if aux is not None:
                told = F.softplus(aux if name == "G_E" else -aux)
                pathway[name] = aux[place].sigmoid().tolist()
                auxiliary = (auxiliary or 0.0) + 0.5 * float(told[place, 0])
                loss += self.config.aux_weight * 0.5 * float(share @ told.mean(1))
        return Opinion(float(real[tail].sigmoid()), fakes, pathway, adversarial, auxiliary, loss)

    # --- base --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def negatives(self, of: Round) -> Negatives:
        """The negatives that the round's step of the base model was given, made once more by a sampler like it."""
        sources = Sources(*(_source(of.random[name]) for name in ("negatives", "noise")))
        with torch.random.fork_rng(devices=[]):
            sampler = class_of(self.config.sampler)(self.config, TrainFacts(self.kg), self.decoder, sources)
        assert isinstance(sampler, Dans), "checked when the run was opened"
        for name, pathway in sampler.generator.pathways.items():
            pathway.load_state_dict(of.weights[name][1])
        return sampler.negatives(self.batch, of.entities, of.queries)

    @torch.no_grad()
    def _trained(self, of: Round, pair: int, row: int, tail: int) -> BaseUpdate:
        given = self.negatives(of)
        ids = given.ids_of(torch.tensor([pair]))[0] if given.ids is not None else torch.empty(0).long()
        vectors = of.queries.new_empty(0, self.config.dim) if given.vectors is None else given.vectors[row]

        def scored(entities: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
            every = self._scores(entities, query)
            return every, torch.cat([every[ids], self.decoder.score(query, vectors)])

        (all_before, before), (all_after, after) = (
            scored(of.entities, of.queries[row]),
            scored(of.entities_after, of.queries_after[row]),
        )
        chances = None if given.chances is None else given.chances[pair]
        # What pairs share may be the answer itself, and then is no negative.
        weights = torch.cat([(ids != tail).float(), torch.ones(len(vectors))])
        if chances is not None:
            own = (ids == tail).unsqueeze(0)
            found = log_importance(before.unsqueeze(0), chances.unsqueeze(0), self.config.temperature, own)
            weights = found[0].exp()
        return BaseUpdate(
            negatives=self._told(row, ids, vectors, chances, weights, before, after, of.entities),
            score_before=float(all_before[tail]),
            score_after=float(all_after[tail]),
            loss_before=self._pair_loss(all_before[tail], before, weights),
            loss_after=self._pair_loss(all_after[tail], after, weights),
            belief_after=float(all_after.softmax(0)[tail]),
            rank_after=self._rank(all_after, row, tail),
        )

    def _pair_loss(self, positive: Tensor, scores: Tensor, weights: Tensor) -> float:
        """The base loss of one pair."""
        if self.config.loss == "softmax":
            parts = torch.cat([positive.unsqueeze(0), scores + weights.log()])
            return float(parts.logsumexp(0) - positive)
        total = F.softplus(-positive) + (weights * F.softplus(scores)).sum()
        return float(total / (1 + len(scores)))

    def _told(
        self,
        row: int,
        ids: Tensor,
        vectors: Tensor,
        chances: Tensor | None,
        weights: Tensor,
        before: Tensor,
        after: Tensor,
        entities: Tensor,
    ) -> list[Negative]:
        shares = self.config.fakes if len(vectors) else {}
        source = "random" if chances is None else "proposed"
        sources = [source] * len(ids) + [name for name, count in shares.items() for _ in range(count)]
        read = torch.cat([ids, nearest(vectors, entities)[0]]) if len(vectors) else ids
        head, relation = int(self.batch.heads[row]), int(self.batch.relations[row])
        return [
            Negative(
                source=sources[k],
                entity=entity,
                split=self.kg.split_of(head, relation, entity) or "",
                chance=None if chances is None else float(chances[k].exp()),
                weight=float(weights[k]),
                before=float(before[k]),
                after=float(after[k]),
            )
            for k, entity in enumerate(read.tolist())
        ]


def _source(state: Tensor) -> torch.Generator:
    found = torch.Generator()
    found.set_state(state)
    return found


def _mean(parts: list[Tensor]) -> float | None:
    return float(torch.cat(parts).mean()) if parts else None


def _array(values: Tensor) -> np.ndarray:
    return values.detach().double().numpy()


def _pair(of: np.ndarray) -> Place:
    return float(of[0]), float(of[1])


def _places(plane: Plane, points: Tensor) -> list[Place]:
    return [_pair(place) for place in plane.places(_array(points))]
