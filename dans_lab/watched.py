"""A run under watch: the events of its trainer, each followed by the warnings that come of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from dans_core.events import Diagnostics, Event, Losses, Ranking
from dans_core.ranking import popularity_floor
from dans_core.training import Trainer
from dans_lab.health import Watch


class Onlooker:
    """Hears all events of a run in their order, also of one that goes on from a checkpoint."""

    def __init__(self, trainer: Trainer) -> None:
        self._kg, self._warm_up = trainer.kg, False
        self._watch = Watch(trainer.kg.num_entities, trainer.config.epochs)

    def told(self, events: Iterable[Event]) -> Iterator[Event]:
        """The next events, with the warnings that begin or end at each behind it."""
        for event in events:
            yield event
            if isinstance(event, Losses):
                self._warm_up = event.warm_up
                if event.played:
                    self._watch.played(event)
            elif isinstance(event, Ranking):
                self._watch.ranked(event.mrr, self._floor)
            elif isinstance(event, Diagnostics) and not self._warm_up:
                yield from self._watch.check(event)

    @cached_property
    def _floor(self) -> float:
        return popularity_floor(self._kg, "valid").mrr

    def state_dict(self) -> dict[str, Any]:
        """What is being watched, as plain values; to be taken after the last event of an epoch."""
        return self._watch.state_dict()

    def load_state_dict(self, state: Any) -> None:
        """Take up what `state_dict` gave."""
        self._watch.load_state_dict(state)


def watched(trainer: Trainer) -> Iterator[Event]:
    """Train under watch: the trainer's events, and a `HealthWarning` where a trouble begins and where it ends.

    To pause, leave the iteration and take up the same iterator again; another one would not know what came before.
    """
    return Onlooker(trainer).told(trainer)
