"""Random negatives: entities drawn uniformly, never the pair's own answer."""

from __future__ import annotations

import torch
from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.declaration import Declaration
from dans_core.facts import TrainFacts
from dans_core.kernels.outside import evenly_outside
from dans_core.samplers.contract import Sampler

DECLARATION = Declaration(
    name="uniform",
    title="Uniform",
    about="Entities drawn at random, each as likely as any other.",
    settings=("negatives", "shared", "filter_known"),
    chooses=False,
    shares=True,
    why_no_fakes="This run trains with random negatives only, so there are no fakes.",
)


def draw_uniform(answer: Tensor, k: int, num_entities: int, generator: torch.Generator) -> Tensor:
    """(P,) answers → (P, k) ids, uniform over the other num_entities − 1 entities."""
    ids = torch.randint(num_entities - 1, (len(answer), k), generator=generator).to(answer.device)
    return ids + (ids >= answer.unsqueeze(1))


def draw_others(
    batch: Batch, k: int, facts: TrainFacts, generator: torch.Generator, filter_known: bool
) -> Tensor:
    """(P, k) ids, uniform over all entities but the pair's own answer; `filter_known` leaves out all known answers.

    Known are the facts of train; a query that train does not have has none. Where every other entity is a known
    answer of the query, all of them are drawn from as without the filter.
    """
    ids = draw_uniform(batch.answer, k, facts.num_entities, generator)
    if not filter_known:
        return ids
    return evenly_outside(facts).redraw(ids, batch, facts, generator)[0]


def random_negatives(
    batch: Batch, k: int, config: Config, facts: TrainFacts, generator: torch.Generator
) -> Negatives:
    """k uniform negatives for every pair, drawn, shared and filtered as the settings say."""
    if config.shared > 1:
        rows = -(-len(batch.answer) // config.shared)
        ids = torch.randint(facts.num_entities, (rows, k), generator=generator).to(batch.answer.device)
        return Negatives(ids=ids, shared=config.shared)
    return Negatives(ids=draw_others(batch, k, facts, generator, config.filter_known))


class Uniform(Sampler):
    """The baseline, Rand in the paper: N_s uniform negatives a pair. Other true answers may be drawn, unless filtered.

    Costs P · K random numbers a step, and what `Outside` says with the filter; P / shared · K where pairs share them.
    """

    declaration = DECLARATION

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """N_s fresh ids for every pair, or for all that share them."""
        return random_negatives(batch, self.config.negatives, self.config, self.facts, self.random.negatives)
