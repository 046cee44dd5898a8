"""Health of a run: what is wrong with its negatives, the adversarial game or the ranking, and since when.

`dans_lab.health_words` says it in words, and what to try.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any, ClassVar

from dans_core.events import Diagnostics, Event, Losses, PathwayHealth

WINDOW = 10
"""Rounds of the game over which D and the losses are judged; half will do, a single one tells little."""

TOO_STRONG, TOO_WEAK = (0.7, 0.6), (0.02, 0.05)
"""Gap between the mean probabilities that D gives to real entities and to fakes: beyond which it gets out of balance,
and beyond which it stays so."""

LEARNED = 20
"""Rounds within which no D is called weak, as each starts out guessing."""

UNSTABLE = (0.5, 0.25)
"""Mean change of a loss from one round of the game to the next, above which it begins to swing, and swings on."""

RANKINGS, RISING, SETTLED = 5, 1.1, 50
"""Rankings in a row that have to be below the floor, by what factor the last may exceed the first while they rise, and
the epochs (at most half of them) before that counts."""

COLLAPSED_COSINE = 0.95
"""Mean cosine of the fakes of different conditions above which they point one way."""

COPIES = 0.02
"""Copy spread below which the draws for one condition are copies."""

EASY = 0.1
"""Share of fakes that outscore a random negative below which they are easier than random."""

NOTHING = 0.4
"""Share of random negatives that outscore the true answer from which scores tell nothing; a half is chance."""

# So that a figure that hovers about its bound does not begin and end again and again: how many checks in a row have to
# find a trouble until it is told (1 for what is judged over a window), and not to find it until it is over.
_LASTS = {"collapse": 2, "copies": 2, "false-negatives": 2, "easier-than-random": 3, "tells-nothing": 2}
_CALM = 3

_OF_GAME = ("g_e", "g_r", "d_adv", "d_real", "d_fake_e", "d_fake_r")

_Found = tuple[str, str | None, dict[str, float]]


def collapsed_nearest(num_entities: int, conditions: int) -> int:
    """How many entities, or fewer, are nearest to the fakes of all conditions once a pathway has collapsed."""
    return max(1, round(0.05 * min(num_entities, conditions)))


def most_false_negatives(by_chance: float) -> float:
    """The share of false negatives above which there are too many, beside the share of random negatives."""
    return max(0.2, 2 * by_chance)


@dataclass(frozen=True)
class HealthWarning(Event):
    """Something is wrong with the negatives, the game or the ranking; `active` is False when it ended.

    `code` is one of collapse, copies, easier-than-random, false-negatives, unstable, d-too-strong, d-too-weak,
    below-floor, tells-nothing; `pathway` is "G_E", "G_R" or None. `figures` are what was found; in files of earlier
    versions there are none. `message` and `advice` are that in words, empty until `dans_lab.health_words` puts it so.
    """

    kind: ClassVar[str] = "warning"
    code: str
    pathway: str | None
    message: str = ""
    advice: str = ""
    active: bool = True
    figures: dict[str, float] = dataclasses.field(default_factory=dict)


class Watch:
    """Turns news of a run of so many epochs into warnings, one when a trouble begins and one when it is over."""

    def __init__(self, num_entities: int, epochs: int) -> None:
        self.num_entities, self._settled = num_entities, min(SETTLED, epochs // 2)
        # What was told and is not over; and how many checks in a row found a trouble (> 0) or not (< 0).
        self._told: dict[tuple[str, str | None], HealthWarning] = {}
        self._streaks: dict[tuple[str, str | None], int] = {}
        self._rounds: deque[dict[str, float | None]] = deque(maxlen=WINDOW)
        self._played = 0
        self._ranked: deque[float] = deque(maxlen=RANKINGS)
        self._floor = 0.0

    def played(self, losses: Losses) -> None:
        """Take up the losses of an epoch with a round of the game."""
        self._rounds.append({name: getattr(losses, name) for name in _OF_GAME})
        self._played += 1

    def ranked(self, mrr: float, floor: float) -> None:
        """Take up the MRR of a ranking, and that of ranking by popularity alone."""
        self._ranked.append(mrr)
        self._floor = floor

    def check(self, measured: Diagnostics) -> list[HealthWarning]:
        """The warnings that begin or end with these figures."""
        news = []
        found = [*self._of_negatives(measured), *self._of_game(measured), *self._of_ranking(measured)]
        now = {
            (code, who): HealthWarning(measured.epoch, code, who, figures=seen) for code, who, seen in found
        }
        for key, warning in now.items():
            self._streaks[key] = max(self._streaks.get(key, 0), 0) + 1
            if key not in self._told and self._streaks[key] >= _LASTS.get(warning.code, 1):
                self._told[key] = warning
                news.append(warning)
        for key in [key for key in self._streaks if key not in now]:
            self._streaks[key] = min(self._streaks[key], 0) - 1
            if key not in self._told or self._streaks[key] == -_CALM:
                del self._streaks[key]
                if key in self._told:
                    news.append(dataclasses.replace(self._told.pop(key), epoch=measured.epoch, active=False))
        return news

    def state_dict(self) -> dict[str, Any]:
        """What is being watched, as plain values."""
        windows = {"rounds": [*self._rounds], "played": self._played, "ranked": [*self._ranked]}
        told = [[*dataclasses.astuple(warning)] for warning in self._told.values()]
        streaks = [[*key, streak] for key, streak in self._streaks.items()]
        return {**windows, "floor": self._floor, "told": told, "streaks": streaks}

    def load_state_dict(self, state: Any) -> None:
        """Take up what `state_dict` gave; in earlier versions, a list of troubles."""
        if isinstance(state, list):
            told = [fields for *fields, was_told, _ in state if was_told]
            streaks = [[fields[1], fields[2], fields[-1]] for fields in state]
            state = {"told": told, "streaks": streaks}
        warnings = [HealthWarning(*fields) for fields in state["told"]]
        self._told = {(warning.code, warning.pathway): warning for warning in warnings}
        self._streaks = {(code, pathway): streak for code, pathway, streak in state["streaks"]}
        self._rounds = deque(state.get("rounds", ()), WINDOW)
        self._ranked = deque(state.get("ranked", ()), RANKINGS)
        self._played, self._floor = state.get("played", 0), state.get("floor", 0.0)

    def _of_negatives(self, measured: Diagnostics) -> Iterator[_Found]:
        by_chance = measured.random_false_negatives
        for pathway, side in (("G_E", measured.g_e), ("G_R", measured.g_r)):
            if side is not None:
                yield from self._of_pathway(pathway, side, by_chance)
        own = measured.sampled
        # Proposals lean to likely entities on purpose, facts among them, and weights make up for that.
        if own and measured.random_kl is None and own.false_negatives > most_false_negatives(by_chance):
            yield "false-negatives", None, {"share": own.false_negatives, "by_chance": by_chance}

    def _of_pathway(self, pathway: str, side: PathwayHealth, by_chance: float) -> Iterator[_Found]:
        few = collapsed_nearest(self.num_entities, side.conditions)
        if side.mean_cosine > COLLAPSED_COSINE or side.distinct_nearest <= few:
            counts = {"nearest": side.distinct_nearest, "few": few, "conditions": side.conditions}
            yield "collapse", pathway, {"cosine": side.mean_cosine, **counts, "entities": self.num_entities}
        if side.copy_spread < COPIES:
            yield "copies", pathway, {"spread": side.copy_spread}
        if side.proposed_beats is not None:
            if side.proposed_beats < 0.5:
                yield "easier-than-random", pathway, {"proposed_beats": side.proposed_beats}
            return
        if side.outscores_random < EASY:
            yield (
                "easier-than-random",
                pathway,
                {"outscores_random": side.outscores_random, "scale": side.scale},
            )
        if side.false_negatives > most_false_negatives(by_chance):
            yield "false-negatives", pathway, {"share": side.false_negatives, "by_chance": by_chance}

    def _of_game(self, measured: Diagnostics) -> Iterator[_Found]:
        """Whether its losses swing, and the balance of D."""
        if len(self._rounds) < WINDOW // 2:
            return
        for player, loss in (("G_E", "g_e"), ("G_R", "g_r"), (None, "d_adv")):
            values = self._values(loss)
            swing = fmean([abs(after - before) for before, after in pairwise(values)])
            if swing > UNSTABLE[("unstable", player) in self._told]:
                yield "unstable", player, {"swing": swing, "least": min(values), "most": max(values)}
        real, fake = fmean(self._values("d_real")), fmean(self._values("d_fake_e", "d_fake_r"))
        rates = {"real": real, "fake": fake, "rounds": len(self._rounds)}
        if real - fake > TOO_STRONG[("d-too-strong", None) in self._told]:
            yield "d-too-strong", None, rates
        if not fake or self._played < LEARNED or real - fake > TOO_WEAK[("d-too-weak", None) in self._told]:
            return
        # Where fakes are about as long as entities, being taken for them may be what they deserve.
        scales = [side.scale for side in (measured.g_e, measured.g_r) if side is not None]
        odd = max(scales, key=lambda scale: abs(math.log(max(scale, 1e-9))))
        if real - fake < -TOO_WEAK[0] or not 2 / 3 < odd < 1.5:
            yield "d-too-weak", None, rates | {"scale": odd}

    def _values(self, *losses: str) -> list[float]:
        found = [value for each in self._rounds for name in losses if (value := each[name]) is not None]
        return found or [0.0, 0.0]

    def _of_ranking(self, measured: Diagnostics) -> Iterator[_Found]:
        if measured.random_outscores_positive >= NOTHING and measured.epoch > SETTLED:
            yield "tells-nothing", None, {"share": measured.random_outscores_positive}
        below = [mrr for mrr in self._ranked if mrr < self._floor]
        if len(below) < RANKINGS or measured.epoch <= self._settled:
            return
        if below[-1] <= RISING * below[0] or ("below-floor", None) in self._told:
            yield "below-floor", None, {"mrr": max(below), "floor": self._floor}
