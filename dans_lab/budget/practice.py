"""Steps of small runs, timed, so that the times that are promised are those of this machine.

Seconds and not processor time count: a machine that gives a process a third of a core is three times slower. Both are
taken all the same, since their ratio tells when that may have been for the moment only (`speed.STEADY`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from dans_core.config import Config
from dans_core.device import choose, name_of
from dans_core.kg import KnowledgeGraph
from dans_core.training import Trainer
from dans_lab.budget import costs, speed
from dans_lab.budget.sizes import Sizes
from dans_lab.budget.speed import Slower, Speed
from dans_lab.runs import machine
from dans_lab.runs.writer import versions

_NEVER = 100_000
_TRAINING_ALONE = dict.fromkeys(("epochs", "eval_every", "diagnose_every", "snapshot_every"), _NEVER) | {
    "play_every": 1
}


class Interrupted(Exception):
    """The practice was asked to stop; nothing was measured."""


@dataclass(frozen=True)
class Timed:
    """What a step takes: seconds, and the seconds of processor time that its thread got in them."""

    seconds: float
    processor: float


@dataclass(frozen=True)
class Exercise:
    """A random graph whose triplets are all in one batch, so that an epoch is a step; steps without and with the game.

    The first step of each kind is not timed.
    """

    entities: int
    relations: int
    triplets: int
    base_steps: int
    game_steps: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def graph(self) -> KnowledgeGraph:
        """The graph, the same each time."""
        random = np.random.default_rng(0)
        counts = (self.entities, self.relations, self.entities)
        rows = np.stack([random.integers(count, size=2 * self.triplets) for count in counts], axis=1)
        train = random.permutation(np.unique(rows, axis=0))[: self.triplets]
        entities, relations = ([f"{number:06d}" for number in range(count)] for count in counts[:2])
        return KnowledgeGraph(train, [], [], entities, relations, "practice")

    def config(self) -> Config:
        """DANS after a warm-up of `base_steps`, and nothing between its epochs."""
        return Config(**{**_TRAINING_ALONE, "warmup_epochs": self.base_steps, **self.settings})


SMALL = Exercise(entities=135, relations=46, triplets=1_000, base_steps=16, game_steps=6)
LARGE = Exercise(
    entities=20_000,
    relations=11,
    triplets=5_000,
    base_steps=4,
    game_steps=3,
    settings={
        "batch_size": 5_000,
        "loss": "softmax",
        "negatives": 200,
        "shared": 100,
        "reading": "vectors",
        "pathway_fakes": 5,
    },
)


def renew(stop: Callable[[], bool] = lambda: False, device: str | torch.device = "auto") -> None:
    """Measure and keep how fast this machine is on a device, unless what is known of it is fresh.

    It takes some seconds; when `stop()` says so it ends, after the stage it is in, and keeps nothing.
    """
    threads = torch.get_num_threads()
    known = speed.here(threads, name_of(choose(device)))
    if known is None or not speed.is_fresh(known):
        try:
            found = measure(stop, device)
        except Interrupted:
            return
        if found.provisional:
            since = known.disturbed if known and known.disturbed else found.measured
            found = found.model_copy(update={"disturbed": since})
        speed.keep(found)


def measure(stop: Callable[[], bool] = lambda: False, device: str | torch.device = "auto") -> Speed:
    """How fast this process trains now.

    Raises Interrupted when `stop()` said so.
    """
    place = choose(device)
    return Speed(
        machine=machine.name(torch.get_num_threads()),
        torch=versions()["torch"],
        device=name_of(place),
        small=_practised(SMALL, place, stop),
        large=_practised(LARGE, place, stop),
        measured=time.time(),
    )


def compared(found: Sequence[Timed], expected: Sequence[float]) -> Slower:
    """A step of the base model alone and one with the game, each as timed and as the formulas expect it, in seconds."""
    base, game = (timed.seconds / seconds for timed, seconds in zip(found, expected, strict=True))
    share = min(1.0, *(timed.processor / timed.seconds for timed in found))
    return Slower(base=base, game=game, share=share)


def _practised(exercise: Exercise, device: torch.device, stop: Callable[[], bool]) -> Slower:
    if stop():
        raise Interrupted
    trainer = Trainer(exercise.graph(), exercise.config(), device)
    config, sizes = trainer.config, Sizes.of(trainer.kg)
    steps = costs.Steps(config, sizes)
    base, own = costs.base_seconds(config, sizes, steps), costs.own_seconds(config, steps)
    found = [_time_steps(trainer, count, stop) for count in (exercise.base_steps, exercise.game_steps)]
    return compared(found, (base, base + own))


def _time_steps(trainer: Trainer, count: int, stop: Callable[[], bool]) -> Timed:
    """A step, the mean of so many without the first; a median would not see a process put to sleep."""
    _step(trainer, stop)
    begun, used = time.perf_counter(), time.thread_time()
    for _ in range(count - 1):
        _step(trainer, stop)
    seconds, processor = time.perf_counter() - begun, time.thread_time() - used
    # A thread that waits for another device is not kept from its processor.
    of_cpu = trainer.device.type == "cpu"
    return Timed(seconds / (count - 1), (processor if of_cpu else seconds) / (count - 1))


def _step(trainer: Trainer, stop: Callable[[], bool]) -> None:
    while trainer.step().name != "base":
        if stop():
            raise Interrupted
