"""The negatives of one triplet, from each source of a run, with everything said of them and how a score adds up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Batch
from dans_core.config import Config
from dans_core.diagnostics import Fakes, draw_fakes, known
from dans_core.kernels.edges import train_graph
from dans_core.kernels.nearest import nearest
from dans_core.kg import KnowledgeGraph
from dans_core.networks import Networks, borrowed
from dans_core.proposals import Proposals, divergence, log_reading, mixture, weighed, without
from dans_core.samplers.uniform import draw_uniform
from dans_data.errors import InputError
from dans_lab.terms import formula_of

Numbers = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """The networks of a run with what they are used with; `entities` are the encoder's vectors, (N, dim)."""

    networks: Networks
    kg: KnowledgeGraph
    config: Config
    entities: Tensor

    @classmethod
    def of(cls, networks: Networks, kg: KnowledgeGraph, config: Config) -> Trained:
        """The same, with entities encoded now."""
        return cls(networks, kg, config, encode(networks, kg))


@dataclass(frozen=True)
class Question:
    """A query and its answer, by ids: what else may its tail be? At most `draws` negatives of each source, by `seed`.

    A reciprocal relation (id ≥ |R|) asks for fake heads of the original triplet, whose tail is `head` here.
    """

    head: int
    relation: int
    tail: int
    draws: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """One candidate tail of the inspected query.

    source   "positive", "G_E", "G_R", "sampler" (entities of its own choice, of DANS those drawn from what the first
             draws of its pathways propose) or "random"; `draw` counts from 0 within one
    nearest  name of the nearest entity by cosine, or the entity itself; `cosine` to it
    scale    its length ÷ the median length of an entity: cosine hides it
    score    the decoder's score; the positive's is the one to compare with
    d_adv    D's probability that it is real; d_aux D's probability that G_R made it; None without a GAN, d_aux also
             without D_aux
    known    the split in which (h, r, nearest) is a fact, or None
    weight   by a sampler that weighs its negatives, 1 on the mean; None by others
    """

    source: str
    draw: int
    nearest: str
    nearest_id: int
    cosine: float
    scale: float
    score: float
    d_adv: float | None
    d_aux: float | None
    known: str | None
    weight: float | None = None


@dataclass(frozen=True)
class Inspection:
    """The positive and its negatives, source by source: those of the run's sampler, then random ones.

    Of DANS they are G_E's draws, then G_R's, of the pathways that it has, then what these propose if they do.
    """

    positive: Row
    negatives: tuple[Row, ...]


@dataclass(frozen=True)
class Arithmetic:
    """The decoder's formula for the positive and one negative, number by number; all arrays have shape (n,).

    h, r, positive, negative         what is multiplied: real numbers for DistMult, else complex ones
    positive_terms, negative_terms   what each coordinate adds; `offset` and their sum are the score
    """

    offset: float
    h: Numbers
    r: Numbers
    positive: Numbers
    negative: Numbers
    positive_terms: npt.NDArray[np.float64]
    negative_terms: npt.NDArray[np.float64]


@dataclass(frozen=True)
class ProposalFigures:
    """What one distribution over the entities is like as a proposal.

    source    "G_E", "G_R", "mixture" (m, which negatives are drawn from) or "random" (uniform)
    entities  in even use: exp of its entropy
    kl        Σ_t p log(p / q) from the decoder's beliefs p, in nats
    facts     share on known facts of any split, the answer included
    adds      of a pathway: the KL of the mixture without it minus that with it; None of the others
    """

    source: str
    entities: float
    kl: float
    facts: float
    adds: float | None = None


@dataclass(frozen=True)
class Proposed:
    """What the first draw of each pathway proposes for one query, and what it is measured by, over all N entities.

    readings  q of each pathway by its name, (N,), each of sum 1
    mixed     m, which negatives are drawn from, (N,)
    beliefs   p, the softmax of the decoder's scores, (N,)
    weights   the share of the negatives' weight that an entity has on average over many draws: the softmax of T times
              the scores of all but the answer, which has none, (N,)
    figures   of each pathway, of the mixture and of uniform chances
    """

    readings: dict[str, Floats]
    mixed: Floats
    beliefs: Floats
    weights: Floats
    figures: tuple[ProposalFigures, ...]

    def foremost(self, most: int, answer: int) -> npt.NDArray[np.int64]:
        """Ids of the entities with the largest m or share of the weight, and of the answer; the largest m first."""
        largest = np.argsort(-np.maximum(self.mixed, self.weights), kind="stable")[:most]
        ids = np.union1d(largest, [answer])
        return ids[np.argsort(-self.mixed[ids], kind="stable")]


@dataclass(frozen=True)
class Judged:
    """What a run says of n triplets; shape (n,) each.

    scores   of the decoder
    d_adv    D's probability that the tail is a real entity, of a conditional D for this query; NaN without a GAN
    d_aux    D's probability that G_R made the tail, though it is an entity; NaN without D_aux
    """

    scores: Floats
    d_adv: Floats
    d_aux: Floats


@dataclass(frozen=True)
class _Drawn:
    """The draws of one source: vectors (K, dim) and, where they are entities, ids (K,) and maybe weights (K,)."""

    source: str
    vectors: Tensor
    ids: Tensor | None = None
    weights: Tensor | None = None


@torch.no_grad()
def encode(networks: Networks, kg: KnowledgeGraph) -> Tensor:
    """Entity vectors (N, dim) after messages along all train edges, as in ranking."""
    return networks.model.encode(train_graph(kg).plan())


@torch.no_grad()
def inspect_triplet(run: Trained, asked: Question) -> Inspection:
    """Negatives of one triplet.

    The generator is in evaluation mode. Random entities depend on the graph and the seed alone, so that two runs are
    asked about the same ones.
    """
    networks, kg, entities = run.networks, run.kg, run.entities
    model = networks.model
    batch = _single(kg, asked)
    query = model.queries(entities, batch.heads, batch.relations)[0]
    median = entities.norm(dim=1).median().clamp_min(1e-12)

    def rows(drawn: _Drawn) -> list[Row]:
        vectors, ids = drawn.vectors, drawn.ids
        if ids is None:
            ids, cosines = nearest(vectors, entities)
        else:
            cosines = torch.ones(len(ids))
        scores = model.decoder.score(query, vectors)
        adv = aux = None
        if networks.discriminator is not None:
            opinions = networks.discriminator(vectors, query)
            adv, aux = (None if logits is None else logits.sigmoid().tolist() for logits in opinions)
        return [
            Row(
                source=drawn.source,
                draw=i,
                nearest=kg.entities[entity],
                nearest_id=entity,
                cosine=float(cosines[i]),
                scale=float(vectors[i].norm() / median),
                score=float(scores[i]),
                d_adv=adv[i] if adv else None,
                d_aux=aux[i] if aux else None,
                known=kg.split_of(asked.head, asked.relation, entity),
                weight=None if drawn.weights is None else float(drawn.weights[i]),
            )
            for i, entity in enumerate(ids.tolist())
        ]

    negatives = [row for drawn in _sources(run, asked) for row in rows(drawn)]
    positive = _Drawn("positive", entities[batch.answer], batch.answer)
    return Inspection(rows(positive)[0], tuple(negatives))


@torch.no_grad()
def explain_score(run: Trained, asked: Question, source: str, draw: int) -> Arithmetic:
    """How the scores of the positive and of one negative of `inspect_triplet` add up, in double precision.

    `source` and `draw` are those of its row.

    Raises InputError where no negative has this source and draw.
    """
    model, entities = run.networks.model, run.entities
    for drawn in _sources(run, asked):
        if drawn.source == source and 0 <= draw < len(drawn.vectors):
            break
    else:
        raise InputError(f"there is no draw {draw + 1} of {source} among {asked.draws} of each source")
    given = entities[asked.head], entities[asked.tail], drawn.vectors[draw]
    h, t, fake = (vector.double() for vector in given)
    r = model.relation[asked.relation].double()
    formula = formula_of(model.decoder)
    parts = (*formula.coordinates(h, r, t), formula.coordinates(h, r, fake)[2])
    terms = formula.terms(h, r, t), formula.terms(h, r, fake)
    return Arithmetic(formula.offset, *(array.numpy() for array in (*parts, *terms)))


@torch.no_grad()
def judge(run: Trained, triplets: npt.NDArray[np.int64]) -> Judged:
    """Opinions of the tails of triplets (n, 3), whose relation may be a reciprocal."""
    networks = run.networks
    heads, relations, tails = torch.from_numpy(triplets).unbind(1)
    queries = networks.model.queries(run.entities, heads, relations)
    vectors = run.entities[tails]
    scores = networks.model.decoder.score(queries, vectors).double().numpy()
    none = np.full(len(triplets), np.nan)
    heads_of_d = (None, None) if networks.discriminator is None else networks.discriminator(vectors, queries)
    d_adv, d_aux = (none if logits is None else logits.sigmoid().double().numpy() for logits in heads_of_d)
    return Judged(scores, d_adv, d_aux)


@torch.no_grad()
def propose(run: Trained, asked: Question) -> Proposed:
    """What the fakes of draw 1 of `inspect_triplet` propose; with the generator in evaluation mode.

    Raises InputError where the run's fakes are no proposals, or where it has none.
    """
    kg, config, entities, model = run.kg, run.config, run.entities, run.networks.model
    if not config.proposes:
        raise InputError("this run reads no fakes as proposals over entities")
    batch = _single(kg, asked)
    scores = model.decoder.score_all(model.queries(entities, batch.heads, batch.relations), entities).double()
    readings = _readings(_fakes(run, asked, batch), run)
    mixed = mixture(readings, batch, config.random_share)
    log_p, even = scores.log_softmax(1), torch.full_like(scores, 1 / len(entities))
    facts = known(kg, batch, torch.arange(len(entities)).unsqueeze(0)).double()

    def kl(q: Tensor) -> float:
        return float(divergence(log_p, q.double()).sum())

    def figures(source: str, q: Tensor, adds: float | None = None) -> ProposalFigures:
        entropy = float(torch.special.entr(q.double()).sum())
        return ProposalFigures(source, math.exp(entropy), kl(q), float((q * facts).sum()), adds)

    def adds(name: str) -> float:
        return kl(without(name, readings, batch, config.random_share)) - kl(mixed)

    own = F.one_hot(batch.answer, len(entities)).bool()
    weights = (config.temperature * scores).masked_fill(own, -torch.inf).softmax(1)
    q = {name: reading.exp() for name, reading in readings.items()}
    return Proposed(
        {name: _flat(of) for name, of in q.items()},
        _flat(mixed),
        _flat(log_p.exp()),
        _flat(weights),
        (
            *(figures(name, of, adds(name)) for name, of in q.items()),
            figures("mixture", mixed),
            figures("random", even),
        ),
    )


def _flat(of_query: Tensor) -> Floats:
    return of_query[0].double().numpy()


def _fakes(run: Trained, asked: Question, batch: Batch) -> dict[str, Fakes]:
    """The fakes of each pathway."""
    return draw_fakes(run.networks, run.config, batch, run.entities, asked.draws, _random(asked.seed, 2))


def _readings(fakes: dict[str, Fakes], run: Trained) -> dict[str, Tensor]:
    """log q of the first draw of each pathway, (1, N)."""
    return {name: log_reading(of.made[:, 0], run.entities, run.config.tau) for name, of in fakes.items()}


def _sources(run: Trained, asked: Question) -> Iterator[_Drawn]:
    """The negatives of each source."""
    networks, entities, draws, seed = run.networks, run.entities, asked.draws, asked.seed
    batch = _single(run.kg, asked)
    made = _fakes(run, asked, batch)
    for name, fakes in made.items():
        yield _Drawn(name, fakes.made[0])
    if run.config.proposes:
        yield _proposed(_readings(made, run), run, batch, asked)
    if networks.sampler is not None:
        queries = networks.model.queries(entities, batch.heads, batch.relations)
        given = borrowed(networks.sampler, _random(seed, 4)).negatives(batch, entities, queries)
        if given.ids is not None:
            chosen, weights = given.ids[0, :draws], given.weights
            weights = None if weights is None else weights[0, :draws]
            yield _Drawn("sampler", F.embedding(chosen, entities), chosen, weights)
    ids = draw_uniform(batch.answer, draws, len(entities), _random(seed, 3))[0]
    yield _Drawn("random", F.embedding(ids, entities), ids)


def _proposed(readings: dict[str, Tensor], run: Trained, batch: Batch, asked: Question) -> _Drawn:
    """Entities drawn from what one fake of each pathway proposes together, all entities being read."""
    config, entities, decoder = run.config, run.entities, run.networks.model.decoder
    random, every = _random(asked.seed, 4), torch.arange(len(entities))
    order = torch.randperm(len(entities), generator=random)
    mixed = mixture(readings, batch, config.random_share)
    given = Proposals(mixed, every, order, batch.heads, batch.relations).draw(batch, asked.draws, random)
    queries = run.networks.model.queries(entities, batch.heads, batch.relations)
    given = weighed(given, decoder, batch, entities, queries, config.temperature)
    assert given.ids is not None and given.weights is not None, "proposals are over entities"
    return _Drawn("sampler", F.embedding(given.ids[0], entities), given.ids[0], given.weights[0])


def _random(seed: int, purpose: int) -> torch.Generator:
    state = np.random.SeedSequence([seed, purpose]).generate_state(1)
    return torch.Generator().manual_seed(int(state[0]))


def _single(kg: KnowledgeGraph, asked: Question) -> Batch:
    h, r, t = torch.tensor([[asked.head], [asked.relation], [asked.tail]])
    return Batch.of_pairs(h, r, t, kg.num_relations)
