"""The negatives of one triplet, from each pathway and from random sampling, with everything said of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dans_core.batch import Batch
from dans_core.config import Config
from dans_core.diagnostics import draw_fakes, nearest
from dans_core.kg import KnowledgeGraph
from dans_core.model import train_graph
from dans_core.networks import Networks
from dans_core.samplers.uniform import draw_uniform


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
    """The positive and its negatives: G_E's draws, then G_R's, then random ones."""

    positive: Row
    negatives: tuple[Row, ...]


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
) -> Inspection:
    """Negatives for the tail of (head, relation, tail), by ids.

    A reciprocal relation (id ≥ |R|) asks for fake heads of the original triplet: pass its tail as `head`. The
    generator is in evaluation mode, and messages pass along all train edges, as in ranking.
    """
    model = networks.model
    random = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, 2]).generate_state(1)[0]))
    entities = model.encode(train_graph(kg).plan())
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

    answer = torch.tensor([tail])
    negatives: list[Row] = []
    if fakes := draw_fakes(networks, config, batch, entities, draws, random):
        negatives += rows("G_E", fakes.by_head[0], None) + rows("G_R", fakes.by_query[0], None)
    drawn = draw_uniform(answer, draws, kg.num_entities, random)[0]
    negatives += rows("random", entities[drawn], drawn)
    return Inspection(rows("positive", entities[answer], answer)[0], tuple(negatives))


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
