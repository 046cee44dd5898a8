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
from dans_core.diagnostics import draw_fakes, nearest
from dans_core.errors import InputError
from dans_core.kg import KnowledgeGraph
from dans_core.model import train_graph
from dans_core.networks import Networks
from dans_core.samplers.uniform import draw_uniform

Numbers = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Row:
    """One candidate tail of the inspected query.

    source   "positive", "G_E", "G_R" or "random"; `draw` counts from 0 within a source
    nearest  name of the nearest entity by cosine, or the entity itself; `cosine` to it
    scale    its length ÷ the median length of an entity: cosine hides it
    score    the decoder's score; the positive's is the one to compare with
    d_adv    D's probability that it is real; d_aux D's probability that G_R made it; None without a GAN
    known    the split in which (h, r, nearest) is a fact, or None
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


@dataclass(frozen=True)
class Inspection:
    """The positive and its negatives, source by source: G_E's draws, then G_R's, then random ones."""

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


@torch.no_grad()
def encode(networks: Networks, kg: KnowledgeGraph) -> Tensor:
    """Entity vectors (N, dim) after messages along all train edges, as in ranking."""
    return networks.model.encode(train_graph(kg).plan())


@torch.no_grad()
def inspect_triplet(
    networks: Networks,
    kg: KnowledgeGraph,
    config: Config,
    head: int,
    relation: int,
    tail: int,
    draws: int = 5,
    seed: int = 0,
    entities: Tensor | None = None,
) -> Inspection:
    """Negatives for the tail of (head, relation, tail), by ids.

    A reciprocal relation (id ≥ |R|) asks for fake heads of the original triplet: pass its tail as `head`. The
    generator is in evaluation mode. Random entities depend on the graph and `seed` alone, so that two runs are
    asked about the same ones. `entities` are what `encode` gives, where they are at hand.
    """
    if entities is None:
        entities = encode(networks, kg)
    model = networks.model
    batch = _single(head, relation, tail)
    query = model.queries(entities, batch.heads, batch.relations)[0]
    median = entities.norm(dim=1).median().clamp_min(1e-12)

    def rows(source: str, vectors: Tensor, ids: Tensor | None) -> list[Row]:
        if ids is None:
            ids, cosines = nearest(vectors, entities)
        else:
            cosines = torch.ones(len(ids))
        scores = model.decoder.score(query, vectors)
        adv = aux = None
        if networks.discriminator is not None:
            adv, aux = (logits.sigmoid().tolist() for logits in networks.discriminator(vectors))
        return [
            Row(
                source=source,
                draw=i,
                nearest=kg.entities[entity],
                nearest_id=entity,
                cosine=float(cosines[i]),
                scale=float(vectors[i].norm() / median),
                score=float(scores[i]),
                d_adv=adv[i] if adv else None,
                d_aux=aux[i] if aux else None,
                known=kg.split_of(head, relation, entity),
            )
            for i, entity in enumerate(ids.tolist())
        ]

    drawn = _sources(networks, config, batch, entities, draws, seed)
    negatives = [row for source in drawn for row in rows(*source)]
    return Inspection(rows("positive", entities[batch.answer], batch.answer)[0], tuple(negatives))


@torch.no_grad()
def explain_score(
    networks: Networks,
    kg: KnowledgeGraph,
    config: Config,
    head: int,
    relation: int,
    tail: int,
    source: str,
    draw: int,
    draws: int = 5,
    seed: int = 0,
    entities: Tensor | None = None,
) -> Arithmetic:
    """How the scores of the positive and of one negative of `inspect_triplet` add up, in double precision.

    `source` and `draw` are those of its row; the other arguments are the same as there.

    Raises InputError where no negative has this source and draw.
    """
    if entities is None:
        entities = encode(networks, kg)
    model = networks.model
    for name, vectors, _ in _sources(networks, config, _single(head, relation, tail), entities, draws, seed):
        if name == source and 0 <= draw < len(vectors):
            break
    else:
        raise InputError(f"there is no draw {draw + 1} of {source} among {draws} of each source")
    h, t, fake = (vector.double() for vector in (entities[head], entities[tail], vectors[draw]))
    r = model.relation[relation].double()
    decoder = model.decoder
    parts = (*decoder.coordinates(h, r, t), decoder.coordinates(h, r, fake)[2])
    terms = decoder.terms(h, r, t), decoder.terms(h, r, fake)
    return Arithmetic(decoder.offset, *(array.numpy() for array in (*parts, *terms)))


def _sources(
    networks: Networks, config: Config, batch: Batch, entities: Tensor, draws: int, seed: int
) -> Iterator[tuple[str, Tensor, Tensor | None]]:
    """The name of each source with its vectors (draws, dim) and, where they are entities, their ids (draws,)."""
    if fakes := draw_fakes(networks, config, batch, entities, draws, _random(seed, 2)):
        yield "G_E", fakes.by_head[0], None
        yield "G_R", fakes.by_query[0], None
    ids = draw_uniform(batch.answer, draws, len(entities), _random(seed, 3))[0]
    yield "random", F.embedding(ids, entities), ids


def _random(seed: int, purpose: int) -> torch.Generator:
    state = np.random.SeedSequence([seed, purpose]).generate_state(1)
    return torch.Generator().manual_seed(int(state[0]))


def _single(head: int, relation: int, tail: int) -> Batch:
    one, zero = torch.ones(1, dtype=torch.long), torch.zeros(1, dtype=torch.long)
    heads, answers = torch.tensor([head]), torch.tensor([tail])
    return Batch(
        heads=heads,
        relations=torch.tensor([relation]),
        counts=one,
        query=zero,
        answer=answers,
        conditions=heads,
        condition=zero,
        condition_counts=one,
        answers=answers,
        answer_counts=one,
    )
