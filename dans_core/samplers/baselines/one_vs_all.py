"""No sampling at all: every other entity is a negative."""

from __future__ import annotations

from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.declaration import Cost, Declaration
from dans_core.samplers.contract import Sampler

DECLARATION = Declaration(
    name="one-vs-all",
    title="One-vs-all",
    about="No sampling: every other entity is a negative. Slow on large graphs.",
    settings=(),
    chooses=False,
    why_no_fakes="To this run every other entity is a negative, so there are no fakes; random ones stand for them.",
    defaults={"loss": "softmax"},
    cost=Cost(
        step_bytes=lambda config, work: (
            10 * 4 * min(1 << 22, work.asked * work.entities) + 2 * 4 * work.entities * config.dim
        ),
    ),
)


class OneVsAll(Sampler):
    """The upper reference where there are few entities: the cross-entropy of an answer against all entities.

    It takes the softmax loss (Lacroix et al., 2018, https://arxiv.org/abs/1806.07297); N_s has no say.

    Other known answers of the query are among the negatives, as in the source. A step costs Q · N scores and their
    gradients, in blocks of bounded memory: on UMLS 2 · 10⁵ scores, as many as 20 negatives a pair make, on WN18RR 10⁹
    and more.
    """

    declaration = DECLARATION

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """Everyone; there is nothing to draw."""
        return Negatives(everyone=True)
