"""A sampler of someone else's, in one file: importing it registers it."""

from __future__ import annotations

import torch
from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.declaration import Cost, Declaration
from dans_core.samplers.catalogue import register
from dans_core.samplers.contract import Sampler


@register
class Toy(Sampler):
    """The entities that follow a pair's answer in the order of their numbers, `hops` apart."""

    declaration = Declaration(
        name="toy",
        title="Toy neighbours",
        about="The entities whose numbers follow that of the answer.",
        settings=("negatives", "hops"),
        cost=Cost(draw=(1e-6, 2e-6), kept_bytes=lambda config, work: 1e6 * work.entities),
    )

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """N_s ids for every pair, the same in each step."""
        others = len(entities) - 1
        steps = (
            torch.arange(self.config.negatives, device=batch.answer.device) * self.config.hops % others + 1
        )
        return Negatives(ids=(batch.answer.unsqueeze(1) + steps) % len(entities))
