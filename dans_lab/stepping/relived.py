"""A run lived through again by a Trainer of its own, which is looked at between its stages and never touched."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dans_core.config import Config
from dans_core.kg import KnowledgeGraph
from dans_core.training import Diverged, Shared, Stage, Trainer
from dans_lab.stepping.rounds import check, total_rounds

KEPT = 30
"""Rounds that are kept, the newest ones; one of UMLS takes 2.5 MB."""

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Round:
    """What one round of the game saw, and what it moved.

    Attributes:
        number, epoch: both from 1; a round is one step of the base model, and that is one epoch.
        values: what the Trainer told of the last stage of each name.
        updates: how many stages of each name the round had.
        entities, queries: (N, dim) and (Q, dim) as encoded, which G and D see as constants.
        entities_after, queries_after: the same encoded again after the base model's update.
        weights: those of G_E, G_R and D before and after their last update in this round.
        referee: the weights of D that judged the fakes as G learned.
        random: the states of the random sources just before the negatives were drawn.
    """

    number: int
    epoch: int
    values: dict[str, dict[str, float]]
    updates: dict[str, int]
    entities: Tensor
    queries: Tensor
    entities_after: Tensor
    queries_after: Tensor
    weights: dict[str, tuple[Weights, Weights]]
    referee: Weights
    random: dict[str, Tensor]


class Relived:
    """The training of a run from its start, with the rounds that it came to last.

    Settings and seed are those of the run, so its numbers are the run's, up to how a machine rounds. Only ranking and
    diagnostics, which change nothing, are left out on the way.

    Attributes:
        rounds: those that are kept, by number. `total` is how many the run has.
        problem: why training cannot go on, in words, or "".
    """

    def __init__(self, kg: KnowledgeGraph, config: Config) -> None:
        check(kg, config)
        self.kg, self.config = kg, config
        quiet = dict.fromkeys(("eval_every", "diagnose_every", "snapshot_every"), config.epochs)
        self.trainer = Trainer(kg, config.with_values(**quiet), "cpu")
        self.rounds: dict[int, Round] = {}
        self.total = total_rounds(config)
        self.problem = ""
        self._done = 0
        self._weights: dict[str, Weights] = {name: self._copied(name) for name in self._players()}
        self._open: dict[str, Any] = {}

    @property
    def done(self) -> int:
        """Finished rounds."""
        return self._done

    def reach(self, number: int, seconds: float = float("inf")) -> bool:
        """Train up to the end of this round, for so many seconds at most; whether it is there, and kept."""
        end = time.monotonic() + seconds
        while self._done < min(number, self.total) and not self.problem:
            if time.monotonic() > end:
                return False
            self.advance()
        return number in self.rounds

    def advance(self) -> Stage | None:
        """The next stage, by the Trainer's own step, and what is to be kept of it; None where the run diverges."""
        trainer, name = self.trainer, self.trainer.stage
        plays = len(trainer.stages) > 2
        if plays and name == "base":
            self._open["random"] = trainer.state_dict()["random"]
        try:
            stage = trainer.step()
        except Diverged as error:
            self.problem = str(error)
            return None
        if plays:
            self._keep(stage)
        return stage

    def _keep(self, stage: Stage) -> None:
        if stage.name == "encode":
            shared = self.trainer.shared
            assert shared is not None, "an iteration begins with encode"
            still = {name: (weights, weights) for name, weights in self._weights.items()}
            self._open = {"values": {}, "updates": {}, "weights": still, "referee": self._weights["D"]}
            self._open |= dict(zip(("entities", "queries"), shared.constants, strict=True))
        if stage.name in self._weights:
            before, self._weights[stage.name] = self._weights[stage.name], self._copied(stage.name)
            self._open["weights"][stage.name] = before, self._weights[stage.name]
        self._open["values"][stage.name] = stage.values
        self._open["updates"][stage.name] = self._open["updates"].get(stage.name, 0) + 1
        if stage.name == "base":
            self._close(stage.epoch)

    def _close(self, epoch: int) -> None:
        again = encoded_again(self.trainer)
        self._done += 1
        self._open |= {"entities_after": again.entities, "queries_after": again.queries}
        self.rounds[self._done] = Round(number=self._done, epoch=epoch, **self._open)
        self.rounds.pop(self._done - KEPT, None)

    def _players(self) -> dict[str, torch.nn.Module]:
        networks = self.trainer.networks
        assert networks.generator is not None and networks.discriminator is not None, "checked before"
        return {**networks.generator.pathways, "D": networks.discriminator}

    def _copied(self, name: str) -> Weights:
        return {part: values.clone() for part, values in self._players()[name].state_dict().items()}


@torch.no_grad()
def encoded_again(trainer: Trainer) -> Shared:
    """What the last iteration shares, encoded by the weights of now with the same edges and the same dropout.

    Where every step takes all triplets. Nothing that trains is changed.
    """
    random, began = trainer._random, trainer._at_encode
    assert trainer._num_chunks == 1 and began, "only where a step is the whole graph"
    now = {name: random[name].get_state() for name in began}
    try:
        for name, state in began.items():
            random[name].set_state(state)
        return trainer._make_step()
    finally:
        for name, state in now.items():
            random[name].set_state(state)
