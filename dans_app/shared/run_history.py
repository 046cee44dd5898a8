"""What the events of one run have told so far, kept up to date by reading only what is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dans_core.events import Diagnostics, Event, Finished, Losses, Ranking
from dans_lab.event_words import LOSSES
from dans_lab.health import HealthWarning
from dans_lab.runs.run import Cursor, Run
from dans_lab.standing import late_gain


@dataclass
class Curve:
    """Points of one line: ascending epochs and their values."""

    epochs: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, epoch: int, value: float | None) -> None:
        """Append one point; a missing value adds none."""
        if value is not None:
            self.epochs.append(epoch)
            self.values.append(value)

    def __len__(self) -> int:
        return len(self.epochs)


@dataclass
class RunHistory:
    """Curves, best ranking, diagnoses and warnings of a run, as its events have told them so far.

    `losses` are those of the newest epoch, `played` those of the newest one with a round of the game.
    `follow` reads the events that are new since the last call and costs nothing where there are none.
    """

    run_id: str
    cursor: Cursor | None = None
    curves: dict[str, Curve] = field(default_factory=dict)
    epoch: int = 0
    warm_up: int = 0
    losses: Losses | None = None
    played: Losses | None = None
    best: Ranking | None = None
    diagnoses: list[Diagnostics] = field(default_factory=list)
    finished: Finished | None = None
    warnings: list[HealthWarning] = field(default_factory=list)
    active: dict[tuple[str, str | None], HealthWarning] = field(default_factory=dict)

    @property
    def diagnostics(self) -> Diagnostics | None:
        """The newest diagnosis."""
        return self.diagnoses[-1] if self.diagnoses else None

    @property
    def late_gain(self) -> float | None:
        """The share of the best valid MRR that came late, as in `standing.late_gain`."""
        mrr = self.curve("mrr")
        return late_gain(list(zip(mrr.epochs, mrr.values, strict=True)))

    def follow(self, run: Run) -> RunHistory:
        """Take in the new events of `run`; starts again where a resume has cut the file shorter."""
        batch = run.follow(self.cursor)
        if batch.restarted:
            vars(self).update(vars(RunHistory(self.run_id)))
        for event in batch.events:
            self.take(event)
        self.cursor = batch.cursor
        return self

    def take(self, event: Event) -> None:
        """Add one event to the curves and to what is known."""
        match event:
            case Losses():
                self.epoch, self.losses = event.epoch, event
                self.played = event if event.played else self.played
                self.warm_up = event.epoch if event.warm_up else self.warm_up
                for name in LOSSES:
                    self.curve(name).add(event.epoch, getattr(event, name))
            case Ranking(split="valid"):
                self.curve("mrr").add(event.epoch, event.mrr)
                self.best = event if event.best else self.best
            case Diagnostics():
                self.diagnoses.append(event)
            case Finished():
                self.finished = event
            case HealthWarning():
                self.warnings.append(event)
                if event.active:
                    self.active[event.code, event.pathway] = event
                else:
                    self.active.pop((event.code, event.pathway), None)

    def curve(self, name: str) -> Curve:
        """The curve of a loss, or of "mrr"."""
        return self.curves.setdefault(name, Curve())


def thin(curve: Curve, last_epoch: int, points: int = 800) -> tuple[list[int], list[float], int]:
    """At most about `points` points that keep every peak: of each stretch of epochs its lowest and highest point.

    Returns epochs, values, and the length of a stretch in epochs (1: nothing was left out). The length depends
    on `last_epoch`, the planned end, so the drawing does not change its mind while a run grows.
    """
    width = 1
    while 2 * last_epoch / width > points and width < last_epoch:
        width *= 2
    if width == 1 or len(curve) <= points:
        return curve.epochs, _rounded(curve.values), 1
    epochs, values = np.asarray(curve.epochs), np.asarray(curve.values)
    starts = np.flatnonzero(np.diff(epochs // width, prepend=-1))
    stops = np.append(starts[1:], len(epochs))
    kept: set[int] = {0, len(epochs) - 1}
    for start, stop in zip(starts, stops, strict=True):
        part = values[start:stop]
        kept |= {int(start + part.argmin()), int(start + part.argmax())}
    order = np.array(sorted(kept))
    return epochs[order].tolist(), _rounded(values[order]), width


def _rounded(values: Sequence[float] | np.ndarray[Any, Any]) -> list[float]:
    return [float(value) for value in np.asarray(values, dtype=float).round(5)]
