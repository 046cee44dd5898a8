"""KBGAN: a small DistMult learns, by REINFORCE, to choose negatives that the base model scores high.

After Cai & Wang, "KBGAN: Adversarial Learning for Knowledge Graph Embeddings" (2018, arXiv 1711.04071,
github.com/cai-lw/KBGAN). There the generator is pre-trained, then draws 20 uniform candidates for each positive, picks
one by the softmax of its scores, and earns the score that the other model gives to that negative. What is decided here:

- **N_s negatives** are N_s independent copies of the original's one, each with candidates of its own. So that this is
  cheap, the N_s · C candidates are drawn once for each block of at most 64 queries, whose softmaxes are then one matrix
  product; every pair still chooses for itself. The original may draw a pair's own answer; here it is left out of the
  softmax, so the others are what the pair chooses from.
- **Rehearsal**, in the warm-up: cross-entropy of each answer against C − 1 uniform entities, as in the original's
  pre-training; with the base model's learning rate, since the generator is such a model then, and an Adam of its own.
- **Reward**: the base model's score, with no normalising, as in the original. Dot products and γ − distance differ in
  scale and in zero: the baseline takes away the zero, and Adam's step does not depend on the scale.
- **Baseline**: the original's is the mean reward of the epoch before; here b ← b + (mean of the batch − b) · P / pairs
  of an epoch, the same where an epoch is one batch. It begins with what a uniform negative earns, not with 0.
- **L2**: the original's λ = 0.1 for a sum over an epoch, which is λ / (pairs of an epoch) for a mean over pairs.

A generator that knows train well chooses its facts. Measured on UMLS, ComplEx, one seed: 45 to 54 % of the negatives
are facts of train (uniform 12 %, with 5 candidates 30 %), and the valid MRR falls from 0.76 at the end of the warm-up
to 0.63.

Time for a step: P · N_s · C choices (a few operations each, in the cache) and Q · N_s · C · generator_dim
multiplications, twice. Memory: 64 queries' pairs · N_s · C numbers, (N + 2|R|) · generator_dim · 7 for the generator,
its gradient and both Adams. Measured, one thread: UMLS 0.03 s; 100,000 pairs of 41,000 entities 0.8 s.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dans_core.batch import Batch, Negatives
from dans_core.config import Config
from dans_core.declaration import Cost, Declaration
from dans_core.decoders import DECODERS, Decoder
from dans_core.facts import TrainFacts
from dans_core.kernels.scores import Scores
from dans_core.loss import base_loss
from dans_core.samplers.contract import Sampler, Sources
from dans_core.samplers.uniform import draw_uniform

DECLARATION = Declaration(
    name="kbgan",
    title="KBGAN",
    about="A second, small embedding model learns to choose hard negatives among random ones.",
    settings=("negatives", "shared", "filter_known", "candidates", "generator_dim", "warmup_epochs", "lr_g"),
    cost=Cost(
        draw=(210e-9, 450e-9),
        draws=lambda config, work: work.pairs * config.negatives * config.candidates / 20,
        scored=lambda config, work: work.pairs * config.negatives,
        step_bytes=lambda config, work: 32 * work.pairs * config.negatives,
        kept_bytes=lambda config, work: 40 * (work.entities + 2 * work.relations) * config.generator_dim,
        saved=lambda config, work: 6 * (work.entities + 2 * work.relations) * config.generator_dim,
    ),
)

_DISTMULT = DECODERS["distmult"]
_L2 = 0.1
# Scores begin with this standard deviation.
_SPREAD = 0.2
# Queries that share candidates, at most …
_BLOCK = 64
# … and fewer where their pairs' choices would leave the cache: 1 MiB of float32.
_CACHED = 1 << 18


class Chooser(nn.Module):
    """KBGAN's generator, a DistMult: entity (N, dim), relation (2|R|, dim)."""

    def __init__(self, num_entities: int, num_relations: int, dim: int) -> None:
        super().__init__()
        scale = (_SPREAD**2 / dim) ** (1 / 6)
        self.entity = nn.Parameter(scale * torch.randn(num_entities, dim))
        self.relation = nn.Parameter(scale * torch.randn(2 * num_relations, dim))


class Kbgan(Sampler):
    """N_s negatives for each pair, each chosen by the generator from `candidates` uniform entities.

    Attributes:
        generator: the chooser. `baseline` is the running mean of its rewards, None before the first choice.
    """

    declaration = DECLARATION

    def __init__(self, config: Config, facts: TrainFacts, decoder: Decoder, random: Sources) -> None:
        super().__init__(config, facts, decoder, random)
        self.generator = Chooser(facts.num_entities, facts.num_relations, config.generator_dim).to(
            facts.device
        )
        self.baseline: float | None = None
        self._pairs_of_epoch = len(facts.queries)
        self._optimizers = {
            name: torch.optim.Adam(
                self.generator.parameters(), lr=lr, weight_decay=_L2 / self._pairs_of_epoch, fused=True
            )
            for name, lr in (("rehearsal", config.lr), ("game", config.lr_g))
        }

    def rehearse(self, batch: Batch) -> None:
        """A step of pre-training: each answer of the batch against C − 1 uniform entities."""
        entity, relation = self.generator.entity, self.generator.relation
        others = draw_uniform(batch.answer, self.config.candidates - 1, len(entity), self.random.negatives)
        queries = _DISTMULT.query(F.embedding(batch.heads, entity), F.embedding(batch.relations, relation))
        loss = base_loss(_DISTMULT, "softmax", batch, entity, queries, Negatives(ids=others))
        self._descend("rehearsal", torch.autograd.grad(loss, (entity, relation)))

    @torch.no_grad()
    def negatives(self, batch: Batch, entities: Tensor, queries: Tensor) -> Negatives:
        """The generator's choices, after which it takes its own step: ∇ mean of (reward − baseline) · log π(choice)."""
        config, pairs = self.config, len(batch.answer)
        if self.baseline is None:
            by_chance = draw_uniform(batch.answer, 1, len(entities), self.random.negatives)
            scores = Scores(self.decoder, entities, queries, batch.query, 1)
            self.baseline = float(scores.of(by_chance).mean())
        ids = batch.answer.new_empty(pairs, config.negatives)
        ascent = torch.zeros_like(self.generator.entity), torch.zeros_like(self.generator.relation)
        rewards = []
        order, ends = batch.query.argsort(stable=True), batch.counts.cumsum(0).tolist()
        width = _CACHED // (config.negatives * config.candidates) * len(queries) // pairs
        width = min(max(width, 1), _BLOCK)
        for start in range(0, len(queries), width):
            rows = slice(start, min(start + width, len(queries)))
            of_block = order[ends[start - 1] if start else 0 : ends[rows.stop - 1]]
            ids[of_block], reward = self._choose(batch, rows, of_block, entities, queries, ascent)
            rewards.append(reward)
        # All at once, since a GPU is waited for at each number that is read.
        earned = sum(torch.stack(rewards).tolist())
        self._descend("game", tuple(gradient.div_(-ids.numel()) for gradient in ascent))
        weight = min(1.0, pairs / self._pairs_of_epoch)
        self.baseline += (earned / ids.numel() - self.baseline) * weight
        return Negatives(ids=ids)

    def _choose(
        self,
        batch: Batch,
        rows: slice,
        pairs: Tensor,
        entities: Tensor,
        queries: Tensor,
        ascent: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """The choices of a block of queries' pairs (n, S) and the sum of their rewards.

        Adds Σ (reward − baseline) · ∇ log π to `ascent`, of entity and relation. S is N_s, C `candidates`.
        """
        assert self.baseline is not None
        s, c = self.config.negatives, self.config.candidates
        source = self.random.negatives
        pool = torch.randint(len(entities), (s * c,), generator=source).to(entities.device)
        heads, relations = batch.heads[rows], batch.relations[rows]
        of_head, of_relation = self.generator.entity[heads], self.generator.relation[relations]
        asked, offered = of_head * of_relation, self.generator.entity[pool]
        local, answer = batch.query[pairs] - rows.start, batch.answer[pairs].unsqueeze(1)

        logits = (asked @ offered.T)[local].masked_fill_(pool == answer, -torch.inf).view(-1, s, c)
        # A set that is the own answer alone has no largest: its weights become 0, not NaN.
        weights = logits.sub_(logits.amax(-1, keepdim=True).clamp_min(torch.finfo().min)).exp_()
        upto = weights.cumsum(-1)
        total = upto[..., -1]
        point = torch.rand(total.shape, generator=source).to(total.device).mul_(total)
        sets = torch.arange(0, s * c, c, device=total.device)
        place = (upto <= point.unsqueeze(-1)).sum(-1).clamp_max_(c - 1) + sets
        chosen = pool[place]
        nothing = total == 0
        if nothing.any():
            chosen = torch.where(nothing, draw_uniform(answer[:, 0], s, len(entities), source), chosen)

        reward = Scores(self.decoder, entities, queries[rows], local, s).of(chosen)
        advantage = (reward - self.baseline).masked_fill_(nothing, 0.0)
        # ∂ log π(choice) / ∂ logits = [choice] − π, summed over the pairs of each query.
        by_logit = weights.mul_(-(advantage / total.clamp_min(torch.finfo().tiny)).unsqueeze(-1)).flatten(1)
        by_logit.scatter_add_(1, place, advantage)
        by_query = by_logit.new_zeros(len(heads), s * c).index_add_(0, local, by_logit)
        by_asked = by_query @ offered
        ascent[0].index_add_(0, pool, by_query.T @ asked).index_add_(0, heads, by_asked * of_relation)
        ascent[1].index_add_(0, relations, by_asked * of_head)
        return chosen, reward.sum()

    def _descend(self, optimizer: str, gradients: tuple[Tensor, ...]) -> None:
        parameters = [self.generator.entity, self.generator.relation]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(parameters, self.config.clip_norm, foreach=True)
        self._optimizers[optimizer].step()

    def state_dict(self) -> dict[str, Any]:
        """The generator, its optimizers and the baseline."""
        return {
            "generator": self.generator.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
            "baseline": self.baseline,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self.generator.load_state_dict(state["generator"])
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.baseline = state["baseline"]
