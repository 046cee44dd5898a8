"""A Trainer that is one of several: a share of the positives is its own, and gradients are the mean over all."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dans_core.batch import Batch
from dans_core.config import Config
from dans_core.kernels.ranks import ScoreQueries, ranks
from dans_core.kg import KnowledgeGraph
from dans_core.training import Stage, Trainer
from dans_data.errors import InputError
from dans_data.known import Ids, KnownAnswers
from dans_lab.names import SAMPLERS
from dans_lab.ranks.group import Ranks, Word


class RankTrainer(Trainer):
    """Trains a run together with those of the other processes, all of the same graph, settings and kind of device.

    A step is the step of one process: the same triplets, message edges and dropout, of the same seed. Of the triplets
    of a step each process has every n-th. Its negatives and noise are its own, of the seed, its rank and the stage, so
    that nothing of them has to be kept; those of the first process are the ones that it would have alone. A gradient
    is the mean over the triplets of all, cut to the longest length as a whole. So weights, optimizers and losses
    are the same everywhere, bit by bit, and so are the statistics of batch norm after each stage, though each pass
    measures the spread of its own share. Queries are ranked by shares, too; what is measured is measured by each.

    Raises:
        InputError: when made, for fewer triplets than processes and for a sampler with a memory of its own.
    """

    def __init__(self, kg: KnowledgeGraph, config: Config, device: torch.device, others: Ranks) -> None:
        if len(kg.train) < others.count:
            raise InputError(
                f"{kg.name} has {len(kg.train)} training triplets for {others.count} processes; start fewer"
            )
        # The gradient of a share keeps its length; the mean is cut.
        super().__init__(kg, config.model_copy(update={"clip_norm": math.inf}), device)
        if self._dans is None and self._sampler.state_dict():
            raise InputError(
                f"sampler = {config.sampler}: {SAMPLERS[config.sampler]} learns or remembers, which each of several "
                "processes would do apart; train this run on one, or take another sampler, such as dans"
            )
        self._others, self._clip_norm, self._share = others, config.clip_norm, 1.0
        self._ranks_of = self._ranks_by_shares
        optimizers = self._dans.optimizers.values() if self._dans else ()
        for optimizer in (self._optimizer, *optimizers):
            optimizer.register_step_pre_hook(self._average_gradients)
        generator = self.networks.generator
        self._statistics = [
            buffer for buffer in (generator.buffers() if generator else ()) if buffer.is_floating_point()
        ]

    def meet(self) -> None:
        """What all do at once when each has its trainer."""
        self._others.use(self.device)

    def also(self, what: str) -> None:
        """Take part in what the first process does between two stages; only where more than a step is shared out."""
        raise NotImplementedError(what)

    def step(self) -> Stage:
        """The next stage, together with the others, who do it when the first process says so."""
        if self._others.rank == 0:
            with self._others.all_do(Word.STEP):
                return super().step()
        entropy = [self.config.seed, self._others.rank, self.stage_number]
        seeds = np.random.SeedSequence(entropy).generate_state(2)
        for name, seed in zip(("negatives", "noise"), seeds, strict=True):
            self._random[name].manual_seed(int(seed))
        return super().step()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a run of however many processes, on the others as well."""
        if self._others.rank:
            return super().load_state_dict(state)
        packed = io.BytesIO()
        torch.save(state, packed)
        with self._others.all_do(Word.STATE, packed.getvalue()):
            super().load_state_dict(state)

    def _batch(self, rows: Tensor | None) -> Batch:
        every = torch.arange(len(self.kg.train)) if rows is None else rows
        own = every[self._others.rank :: self._others.count]
        self._share = len(own) / len(every)
        if rows is not None:
            # A process that has none left takes one that counts for nothing.
            return super()._batch(own if len(own) else every[:1])
        if self._whole_batch is None:
            self._whole_batch = super()._batch(own)
        return self._whole_batch

    def _base(self) -> dict[str, float]:
        return self._agreed(super()._base())

    def _play(self, name: str) -> dict[str, float]:
        return self._agreed(super()._play(name))

    def _agreed(self, losses: dict[str, float]) -> dict[str, float]:
        """The losses and the statistics of batch norm over all, and whether someone was asked to stop."""
        own = [torch.tensor(list(losses.values()), dtype=torch.double)]
        own += [buffer.flatten().cpu().double() for buffer in self._statistics]
        asked = torch.tensor([self._others.stop.asked], dtype=torch.double)
        found = self._others.sum_up(torch.cat([torch.cat(own) * self._share, asked]))
        self._others.stop.asked |= bool(found[-1] > 0)
        means, *statistics = found[:-1].split([len(losses), *(buffer.numel() for buffer in self._statistics)])
        for buffer, value in zip(self._statistics, statistics, strict=True):
            buffer.copy_(value.view_as(buffer))
        return dict(zip(losses, means.tolist(), strict=True))

    @torch.no_grad()
    def _average_gradients(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Before a step: the gradient of all triplets instead of that of the own ones, cut to the longest length."""
        moving = self._average(optimizer)
        torch.nn.utils.clip_grad_norm_(moving, self._clip_norm, foreach=True)

    def _average(self, optimizer: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
        """Gradients become their means over the triplets of all; those that have one."""
        every = (parameter for group in optimizer.param_groups for parameter in group["params"])
        moving = [parameter for parameter in every if parameter.grad is not None]
        gradients = [parameter.grad for parameter in moving]
        if any(gradient.is_sparse for gradient in gradients):
            raise InputError("gradients that name rows only cannot be averaged over processes; train on one")
        flat = torch.cat([gradient.flatten() for gradient in gradients]).mul_(self._share)
        parts = self._others.sum_up(flat).split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return moving

    def _ranks_by_shares(
        self, scores: ScoreQueries, pairs: Ids, known: KnownAnswers, device: torch.device
    ) -> Tensor:
        """The filtered ranks (P,) of pairs (P, 3), of which each process finds its share, query by query."""
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        own = np.array_split(order, self._others.count)[self._others.rank]
        found = torch.zeros(len(pairs), dtype=torch.double)
        if len(own):
            found[torch.from_numpy(own)] = ranks(scores, pairs[own], known, device)
        return self._others.sum_up(found)
