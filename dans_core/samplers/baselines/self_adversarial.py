"""Self-adversarial negatives: uniform ones, of which those that the model believes count more."""

from __future__ import annotations

import torch
from torch import Tensor

from dans_core.batch import Batch, Negatives
from dans_core.declaration import Cost, Declaration
from dans_core.kernels.scores import Scores, shared_scores
from dans_core.samplers.uniform import Uniform

DECLARATION = Declaration(
    name="self-adversarial",
    title="Self-adversarial",
    about="Random entities; those that the model scores highest count most.",
    settings=("negatives", "shared", "filter_known", "temperature"),
    shares=True,
    cost=Cost(
        draw=(10e-9, 0.0),
        scored=lambda config, work: work.pairs * config.negatives,
        step_bytes=lambda config, work: 8 * work.pairs * config.negatives,
    ),
)


class SelfAdversarial(Uniform):
    """Weights K · softmax(T · score) over the K uniform negatives of a pair.

    Sun et al., RotatE, ICLR 2019, https://arxiv.org/abs/1902.10197; DeepGraphLearning/KnowledgeGraphEmbedding.

    T is the temperature, an inverse one: 0 would weigh all alike. No gradient flows through the weights, as in the
    source. There the negatives of a pair together weigh as much as its positive; here they weigh as much as K uniform
    ones, so that samplers differ in their negatives only.

    A step scores the negatives once more, without gradient: one table of Q · N scores on small graphs, else P · K
    scores of chosen pairs, or one product of matrices for each group of pairs that share theirs.
    """

    declaration = DECLARATION

    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """N_s fresh ids for every pair, weighted by the scores of the current vectors."""
        given = super().negatives(batch, entities, queries)
        ids, shared = given.ids, given.shared
        assert ids is not None, "uniform negatives are entities"
        vectors = entities.detach(), queries.detach()
        k = ids.shape[1]
        if shared > 1:
            scores = shared_scores(self.decoder, *vectors, batch.query, ids, shared)
            # A pair's own answer is no negative of it, so it takes no weight from the others.
            scores = scores.masked_fill(given.own(batch), -torch.inf)
        else:
            scores = Scores(self.decoder, *vectors, batch.query, k).of(ids)
        return Negatives(ids=ids, weights=k * (self.config.temperature * scores).softmax(1), shared=shared)
