"""The negatives of one triplet, from each source of a run, with everything said of them and how a score adds up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Batch
from dans_core.config import Config
from dans_core.diagnostics import draw_fakes
from dans_core.kernels.edges import train_graph
from dans_core.kernels.nearest import nearest
from dans_core.kg import KnowledgeGraph
from dans_core.networks import Networks, borrowed
from dans_core.samplers.uniform import draw_uniform
from dans_data.errors import InputError

Numbers = npt.NDArray[np.generic]


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

    source   "positive", "G_E", "G_R", "sampler" (neither DANS nor uniform) or "random"; `draw` counts from 0 within one
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

    Of DANS they are G_E's draws, then G_R's, of the pathways that it has.
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
    decoder = model.decoder
    parts = (*decoder.coordinates(h, r, t), decoder.coordinates(h, r, fake)[2])
    terms = decoder.terms(h, r, t), decoder.terms(h, r, fake)
    return Arithmetic(decoder.offset, *(array.numpy() for array in (*parts, *terms)))


def _sources(run: Trained, asked: Question) -> Iterator[_Drawn]:
    """The negatives of each source."""
    networks, entities, draws, seed = run.networks, run.entities, asked.draws, asked.seed
    batch = _single(run.kg, asked)
    for name, fakes in draw_fakes(networks, run.config, batch, entities, draws, _random(seed, 2)).items():
        yield _Drawn(name, fakes.made[0])
    if networks.sampler is not None:
        queries = networks.model.queries(entities, batch.heads, batch.relations)
        given = borrowed(networks.sampler, _random(seed, 4)).negatives(batch, entities, queries)
        if given.ids is not None:
            chosen, weights = given.ids[0, :draws], given.weights
            weights = None if weights is None else weights[0, :draws]
            yield _Drawn("sampler", F.embedding(chosen, entities), chosen, weights)
    ids = draw_uniform(batch.answer, draws, len(entities), _random(seed, 3))[0]
    yield _Drawn("random", F.embedding(ids, entities), ids)


def _random(seed: int, purpose: int) -> torch.Generator:
    state = np.random.SeedSequence([seed, purpose]).generate_state(1)
    return torch.Generator().manual_seed(int(state[0]))


def _single(kg: KnowledgeGraph, asked: Question) -> Batch:
    h, r, t = torch.tensor([[asked.head], [asked.relation], [asked.tail]])
    return Batch.of_pairs(h, r, t, kg.num_relations)
