"""Presets that go wrong on purpose: settings, what to watch, the figure that shows it, and how sure it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from dans_core.config import Config, parse
from dans_core.events import Diagnostics, Event, Losses, PathwayHealth, Ranking
from dans_data.shipped import TOP
from dans_lab.health import WINDOW
from dans_lab.presets import PRESETS

T = TypeVar("T", bound=Event)
Read = Callable[[Sequence[Event]], float]

DATASET = "umls"
"""The data set on which they were measured, and go wrong."""

MEASURED = TOP / "assets" / "failing.json"
"""The figure of each with some seeds, in their order, as `python -m assets.failing` found them."""


def _last(events: Sequence[Event], kind: type[T]) -> T:
    return next(event for event in reversed(events) if isinstance(event, kind))


def _pathways(events: Sequence[Event]) -> list[PathwayHealth]:
    found = _last(events, Diagnostics)
    return [side for side in (found.g_e, found.g_r) if side is not None]


def _g_r(events: Sequence[Event]) -> PathwayHealth:
    side = _last(events, Diagnostics).g_r
    assert side is not None, "these presets have a G_R"
    return side


def _share_of_places(events: Sequence[Event]) -> float:
    entities = _last(events, Diagnostics).num_entities or 1
    return max(side.distinct_nearest for side in _pathways(events)) / entities


def _gap_of_d(events: Sequence[Event]) -> float:
    """By how much D thinks real entities likelier to be real than fakes, the mean over the last rounds."""
    rounds = [event for event in events if isinstance(event, Losses) and event.d_real is not None][-WINDOW:]
    gaps = [(each.d_real or 0.0) - ((each.d_fake_e or 0.0) + (each.d_fake_r or 0.0)) / 2 for each in rounds]
    return sum(gaps) / len(gaps)


def _by_film(events: Sequence[Event]) -> float:
    side = _g_r(events)
    return (side.between_heads or 0.0) / (side.between_heads_neutral or 1.0)


def _mrr(events: Sequence[Event]) -> float:
    return _last(events, Ranking).mrr


def _known(events: Sequence[Event]) -> float:
    own = _last(events, Diagnostics).sampled
    return own.false_negatives if own else 0.0


@dataclass(frozen=True)
class Failing:
    """One of them.

    Attributes:
        title: for people. settings: of the run, the seed among them. sound: those of a run to compare it with.
        about: what happens and why. watch: where to look, and at what. screen: the title of that screen.
        figure: what `read` takes from the events of a finished run. low, high: where it lies if the promise is kept.
        form: how it reads, as in `format`.
    """

    title: str
    settings: dict[str, Any] = field(repr=False)
    sound: dict[str, Any] = field(repr=False)
    about: str
    watch: str
    figure: str
    read: Read
    low: float = float("-inf")
    high: float = float("inf")
    form: str = ".2f"
    screen: str = "Diagnostics"

    @property
    def config(self) -> Config:
        """All its settings."""
        return parse(self.settings)

    def keeps(self, figure: float) -> bool:
        """Whether the figure of a finished run is as promised."""
        return self.low <= figure <= self.high

    def number(self, figure: float) -> str:
        """The figure as it reads."""
        return format(figure, self.form).replace("-", "−").replace("%", " %")

    @property
    def promise(self) -> str:
        """ "at most 0.10"."""
        if self.high == float("inf"):
            return f"at least {self.number(self.low)}"
        if self.low == float("-inf"):
            return f"at most {self.number(self.high)}"
        return f"{self.number(self.low)} to {self.number(self.high)}"


_SHORT: dict[str, Any] = {"epochs": 40, "warmup_epochs": 10, "seed": 0, "diagnose_every": 5}
_VECTORS = PRESETS["fakes-as-negatives"] | _SHORT
_KBGAN: dict[str, Any] = {
    "sampler": "kbgan",
    "epochs": 60,
    "warmup_epochs": 10,
    "seed": 0,
    "diagnose_every": 5,
}

FAILING: dict[str, Failing] = {
    "mode-collapse": Failing(
        "Mode collapse", _VECTORS | {"lr_g": 0.05}, _VECTORS,
        "G learns a hundred times too fast. It runs to one place that D takes for real, and hundreds of conditions "
        "get the same few fakes. Fakes are negatives here; where they are read as proposals, their cross-entropy to "
        "the decoder’s beliefs holds them apart, and the same learning rate does not collapse them.",
        "how many entities are nearest to any fake, and the mean cosine of two fakes.",
        "entities that are nearest to a fake, of all, in the pathway that has more", _share_of_places, high=0.1,
        form=".0%",
    ),
    "d-too-strong": Failing(
        "D too strong", _VECTORS | {"lr_d": 0.05}, _VECTORS,
        "D learns a hundred times too fast. It tells fakes from real entities at once, and what G learns from it "
        "swings from round to round. The base model learns on, since half of its negatives are random.",
        "the curves of G_E and G_R: they reach 5 and more, and jump, where those of a sound game stay near 0.7.",
        "how much likelier D thinks real entities to be real than fakes", _gap_of_d, low=0.5, screen="Train",
    ),
    "g-too-strong": Failing(
        "G too strong", _VECTORS | {"lr_g": 5e-3, "lr_d": 1e-5}, _VECTORS,
        "G learns 500 times as fast as D. It finds what D has wrong and goes there, however far that is from any "
        "entity: the fakes get several times as long as entities, and D takes them for real.",
        "the curve of D_adv: it rises above 0.7, which guessing would give.",
        "how much likelier D thinks real entities to be real than fakes", _gap_of_d, high=-0.1, screen="Train",
    ),
    "copies": Failing(
        "Noise too small", _VECTORS | {"sigma": 0.01}, _VECTORS,
        "With σ = 0.01, the paper’s value, the noise is nothing beside the condition. All draws for one condition are "
        "copies, so several negatives teach no more than one.",
        "the copy spread: how far the draws for one condition lie apart, against all fakes.",
        "copy spread, of the pathway that has less", lambda events: min(side.copy_spread for side in _pathways(events)),
        high=0.02, form=".3f",
    ),
    "film-off": Failing(
        "FiLM off", _VECTORS | {"film": "none"}, _VECTORS,
        "Without FiLM, one generator serves all conditions, and the fakes of G_R differ less between the heads of a "
        "relation. The ranking need not suffer from it.",
        "how far the fakes of G_R differ between heads.",
        "how far the fakes of G_R differ between heads, against entities",
        lambda events: _g_r(events).between_heads or 0.0, high=0.24,
    ),
    "as-released": Failing(
        "As released", PRESETS["released-faults"] | _SHORT, _VECTORS,
        "What the released code of DANS trains by mistake: fakes of G_R only, a FiLM that never learns, and no D_aux.",
        "what FiLM does to the fakes: with it, they differ as much as they would without it.",
        "how far the fakes of G_R differ between heads, with FiLM ÷ without", _by_film, low=0.9, high=1.1,
    ),
    "easy-negatives": Failing(
        "Easy negatives", _VECTORS | {"lr_g": 0.02}, _VECTORS,
        "G learns too fast for D and drifts away from the entities. The decoder scores its fakes far below random "
        "negatives, so they teach the base model less than these would.",
        "how many fakes outscore a random negative; half would be as hard as random ones.",
        "fakes that outscore a random negative, of the pathway that has fewer",
        lambda events: min(side.outscores_random for side in _pathways(events)), high=0.1, form=".0%",
    ),
    "hard-false-negatives": Failing(
        "Hard false negatives", _KBGAN | {"lr_g": 0.01}, _KBGAN,
        "KBGAN’s generator learns which entities score high, and on a graph as small as UMLS many of these are true "
        "answers: the base model is taught that facts are false. With the default learning rate of G, it does not get "
        "so far in 60 epochs.",
        "known facts among the negatives, beside random ones.",
        "negatives that are known facts", _known, low=0.2, form=".0%",
    ),
    "no-warm-up": Failing(
        "No warm-up", _VECTORS | {"warmup_epochs": 0}, _VECTORS,
        "The game begins while entities still mean nothing. One expects that to go wrong, and here it does not: the "
        "model ranks better than after ten epochs of warm-up, when the first fakes meet a model that they outscore at "
        "once. Where fakes are read as proposals, it makes little difference.",
        "the ranking, and the base loss in the first epochs.",
        "valid MRR at the end", _mrr, low=0.71, screen="Train",
    ),
    "learning-rate-too-high": Failing(
        "Learning rate too high", _SHORT | {"lr": 0.2}, _SHORT,
        "The base model learns 20 times too fast. After a few steps all entities look alike to it, and it ranks like "
        "chance.",
        "the ranking: it stays far below the floor, which knows no more than how often an entity fills a slot.",
        "valid MRR at the end", _mrr, high=0.1, screen="Train",
    ),
}  # fmt: skip
"""By their names in links, in the order of all lists."""


EVERY: dict[str, dict[str, Any]] = PRESETS | {name: preset.settings for name, preset in FAILING.items()}
"""The settings of every preset, sound or not."""


@dataclass(frozen=True)
class Measured:
    """The figures of a preset with seeds 0, 1, …, and the same figure of sound runs."""

    figures: list[float]
    sound: list[float]


@cache
def measured() -> dict[str, Measured]:
    """What was found, by the names of the presets."""
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    return {name: Measured(**figures) for name, figures in found.items()}


def how_often(name: str) -> str:
    """ "Seen with 5 of 5 seeds."."""
    figures = measured()[name].figures
    return f"Seen with {sum(map(FAILING[name].keeps, figures))} of {len(figures)} seeds."


def how_sure(name: str) -> str:
    """What was measured, beside what is promised and what a sound run shows."""
    preset, found = FAILING[name], measured()[name]
    return (
        f"After {preset.config.epochs} epochs, {preset.figure}: {_range(preset, found.figures)} (promised: "
        f"{preset.promise}); in sound runs {_range(preset, found.sound)}."
    )


def _range(preset: Failing, figures: list[float]) -> str:
    low, high = preset.number(min(figures)), preset.number(max(figures))
    return low if low == high else f"{low} to {high}"


def of(config: Config, dataset: str) -> str | None:
    """The name of the preset that a run was trained with, whatever its seed."""
    if dataset != DATASET:
        return None
    settings = config.model_dump(exclude={"seed"})
    names = (
        name for name, preset in FAILING.items() if preset.config.model_dump(exclude={"seed"}) == settings
    )
    return next(names, None)
