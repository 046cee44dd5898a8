"""Diagnoses of a run in words and rows: verdicts, troubles and how long they lasted, and the table of all figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dans_app.shared import theme
from dans_core.config import Config
from dans_core.events import QUANTILES, Diagnostics, PathwayHealth, SampledHealth
from dans_data.words import count, rough, share
from dans_lab.event_words import PATHWAY, Told
from dans_lab.health import (
    COLLAPSED_COSINE,
    COPIES,
    EASY,
    HealthWarning,
    collapsed_nearest,
    most_false_negatives,
)

TROUBLES = {
    "collapse": "Collapse",
    "copies": "Copies",
    "easier-than-random": "Easier than random",
    "d-too-strong": "D too strong",
    "d-too-weak": "D too weak",
    "unstable": "Losses swing",
    "false-negatives": "False negatives",
    "below-floor": "Below the floor",
    "tells-nothing": "Tells nothing apart",
}
"""The troubles that are watched for, in the order of the lanes."""

OF_D = ("d-too-strong", "d-too-weak", "unstable")
"""Those that are D's where they are of no pathway."""

_HARDER, _LIKE_RANDOM = 0.6, 0.4
_FEW, _SOME = 0.1, 0.3
_NOTHING = 0.005

PROPOSALS = (
    "A fake is read as a proposal: it gives each real entity a chance of being drawn as a negative. Negatives are "
    "drawn from a mixture of the pathways’ proposals and uniform chances. Weights make up for unequal chances, so "
    "proposals change how well the loss is estimated, not the loss itself: the closer to what the decoder believes, "
    "the better."
)
"""What proposals are, in Markdown."""


def watched(config: Config) -> dict[str, str]:
    """The troubles that are watched for in a run.

    Known facts are none where fakes are proposals, nor where every entity is a negative, or any at random.
    """
    codes = set(TROUBLES) if config.fakes else {"false-negatives", "below-floor", "tells-nothing"}
    if config.proposes or not (config.fakes or config.declaration.chooses):
        codes.discard("false-negatives")
    return {code: name for code, name in TROUBLES.items() if code in codes}


def percent(part: float) -> str:
    """ "31 %"; a share that is not quite nothing is never shown as nothing."""
    return share(part).replace(" %", "\N{NO-BREAK SPACE}%")


def pathways(found: Diagnostics) -> dict[str, PathwayHealth]:
    """The health of each pathway by its name; empty without a GAN."""
    return {name: health for name, health in (("G_E", found.g_e), ("G_R", found.g_r)) if health is not None}


# --- verdicts --------------------------------------------------------------------------------------------------


def verdicts(found: Diagnostics, sampler: str = "") -> list[str]:
    """A sentence or two in Markdown for each pathway, and on entities of the sampler's choice; else on random ones."""
    known = percent(found.random_false_negatives)
    if proposals := _proposals(found):
        trained_on = [] if found.sampled is None else [_trained_on(found.sampled, found, sampler)]
        return trained_on + proposals
    if found.sampled is not None:
        own = found.sampled
        return [
            f"{theme.mark(theme.SAMPLER)} **{theme.own_negatives(sampler).name}**: its negatives are {_hardness(own)} "
            f"and outscore the positive in {percent(own.outscores_positive)} of cases (random: "
            f"{percent(found.random_outscores_positive)}). {percent(own.false_negatives)} are known facts, "
            f"{_false_negatives(own, found)} ({known}){_consequence(own, found)}."
        ]
    if not (by_name := pathways(found)):
        return [
            f"{theme.mark(theme.RANDOM)} **Random negatives** outscore the positive in "
            f"{percent(found.random_outscores_positive)} of cases, and {known} are known facts."
        ]
    return [
        f"{theme.mark(theme.BY_SOURCE[name])} **{name}** makes fakes that are {_hardness(health)} and outscore the "
        f"positive in {percent(health.outscores_positive)} of cases "
        f"(random: {percent(found.random_outscores_positive)}). "
        f"{_diversity(health, found.num_entities)}; {_copies(health)}. "
        f"{percent(health.false_negatives)} would be known facts, {_false_negatives(health, found)} ({known})."
        for name, health in by_name.items()
    ]


def _proposals(found: Diagnostics) -> list[str]:
    """What each pathway proposes; empty where fakes are negatives themselves, and without a GAN."""
    return [
        f"{theme.mark(theme.BY_SOURCE[name])} **{name}** {words} "
        f"{_diversity(health, found.num_entities, 'Its fakes')}; {_copies(health)}."
        for name, health in pathways(found).items()
        if (words := _proposal(health, found))
    ]


def _proposal(health: PathwayHealth, found: Diagnostics) -> str:
    """Its figures in two sentences; "" where they were not measured."""
    entities, beats = health.proposed_entities, health.proposed_beats
    kl, adds, by_random = health.proposed_kl, health.proposed_adds, found.random_kl
    if entities is None or beats is None or kl is None or adds is None or by_random is None:
        return ""
    near = "closer to" if kl < by_random else "**further from**"
    return (
        f"spreads as widely as an even choice among {rough(entities)} entities; one drawn from it outscores "
        f"{percent(beats)} of the others. "
        f"It is {near} the decoder’s beliefs than random ones (KL {kl:.2f}; random: {by_random:.2f}), and "
        f"{_adds(adds)}."
    )


def _adds(adds: float) -> str:
    if abs(adds) < _NOTHING:
        return "adds nothing to what the others propose"
    if adds < 0:
        return f"**makes the mixture worse** (without it, its KL would be {-adds:.2g} lower)"
    return f"makes the mixture better (without it, its KL would be {adds:.2g} higher)"


def _trained_on(own: SampledHealth, found: Diagnostics, sampler: str) -> str:
    """The negatives that proposals come to, once they are weighed."""
    return (
        f"{theme.mark(theme.SAMPLER)} **{theme.own_negatives(sampler).name}** entities are what is trained on: a "
        f"mixture of the pathways’ proposals and uniform chances. Each as often as it weighs, they are "
        f"{_hardness(own)} and outscore the positive in {percent(own.outscores_positive)} of cases (random: "
        f"{percent(found.random_outscores_positive)}). "
        f"{percent(own.false_negatives)} are known facts (random: {percent(found.random_false_negatives)}), which "
        "is no fault: an entity weighs the more, the more the decoder believes it."
    )


def before(found: Diagnostics, config: Config) -> list[str]:
    """What to know before the verdict: that the sampler had not begun."""
    if not config.waits or found.epoch > config.warmup_epochs:
        return []
    lasts = f"Warm-up lasts to epoch {config.warmup_epochs:,}:"
    if config.fakes:
        return [f"{lasts} the GAN has learned nothing yet, and its fakes are chance."]
    title = config.declaration.title
    return [f"{lasts} random negatives are trained on, and those below are what {title} would choose."]


def left_out(config: Config) -> list[str]:
    """Why a run without a GAN has no fakes, and what is not measured for that reason."""
    if config.fakes:
        return []
    return [
        f"{config.declaration.no_fakes} What only fakes can do is left out: collapse, copy, and follow head and "
        "relation."
    ]


def _consequence(own: SampledHealth, found: Diagnostics) -> str:
    too_many = own.false_negatives > most_false_negatives(found.random_false_negatives)
    return ": the model is taught that so many true facts are false" if too_many else ""


def _hardness(health: SampledHealth) -> str:
    rate = health.outscores_random
    if rate < EASY:
        words = "**much easier than random negatives**"
    elif rate < _LIKE_RANDOM:
        words = "**easier than random negatives**"
    else:
        words = "about as hard as random negatives" if rate <= _HARDER else "**harder than random negatives**"
    return f"{words} ({percent(rate)} outscore one)"


def _diversity(health: PathwayHealth, num_entities: int | None, who: str = "They") -> str:
    nearest = count(health.distinct_nearest, "entity", "entities")
    if num_entities is None:
        return f"{who} fall nearest to {nearest}"
    places = min(num_entities, health.conditions)
    of_all = f"{health.distinct_nearest:,} of {num_entities:,} are nearest to any"
    if health.distinct_nearest <= collapsed_nearest(num_entities, health.conditions):
        return f"{who} have **collapsed** onto few entities ({of_all})"
    if health.mean_cosine > COLLAPSED_COSINE:
        return f"{who} have **collapsed** into one direction (mean cosine {health.mean_cosine:.2f})"
    evenly = (health.effective_nearest or health.distinct_nearest) / places
    if health.effective_nearest is not None:
        # What the words go by, and what a person can compare between pathways.
        of_all = f"as widely as an even choice among {rough(health.effective_nearest)} of {num_entities:,}"
    if evenly < _FEW:
        return f"{who} **crowd around few entities** ({of_all})"
    return f"{who} {'spread over some entities' if evenly < _SOME else 'are diverse'} ({of_all})"


def _copies(health: PathwayHealth) -> str:
    if health.copy_spread < COPIES:
        return "the draws for one condition are **copies**"
    little = " little" if health.copy_spread < 5 * COPIES else ""
    return f"the draws for one condition differ{little}"


def _false_negatives(health: SampledHealth, found: Diagnostics) -> str:
    rate, chance = health.false_negatives, found.random_false_negatives
    if rate > most_false_negatives(chance):
        return "**far more than random negatives**"
    if rate > 1.25 * chance + 0.01:
        return "more than random negatives"
    return (
        "fewer than random negatives" if rate < 0.8 * chance - 0.01 else "about as many as random negatives"
    )


def adaptivity(found: Diagnostics) -> list[str]:
    """What FiLM and the condition do to the fakes of each pathway, a sentence or two each; empty where unmeasured."""
    return [
        f"{theme.mark(theme.BY_SOURCE[name])} **{name}**: {words}"
        for name, health in pathways(found).items()
        if (words := " ".join(_adaptivity(name, health)))
    ]


def _times(value: float) -> str:
    return f"{value:.2g} times" if value < 10 else f"{value:,.0f} times"


def _adaptivity(name: str, health: PathwayHealth) -> Iterator[str]:
    spread = {
        "between heads": (health.between_heads, health.between_heads_neutral),
        "between relations": (health.between_relations, health.between_relations_neutral),
    }
    known = {words: (film, neutral) for words, (film, neutral) in spread.items() if film is not None}
    if name == "G_E":
        known.pop("between relations", None)
    if known:
        now = " and ".join(f"{words} {_times(with_film)}" for words, (with_film, _) in known.items())
        yield f"its fakes differ {now} as much as entities do."
        parts = [f"{words} {_times(neutral)}" for words, (_, neutral) in known.items() if neutral is not None]
        if parts:
            yield f"Without FiLM, they would differ {' and '.join(parts)} as much as entities do."
        if name == "G_E":
            yield "It does not know the relation, so all relations of a head get the same fakes."


# --- troubles --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Span:
    """A trouble from the epoch at which it began to the one at which it was over; `end` None: it is not."""

    warning: HealthWarning
    end: int | None

    @property
    def begin(self) -> int:
        """The epoch at which it was first found."""
        return self.warning.epoch

    @property
    def words(self) -> str:
        """ "epochs 40 to 90", or "since epoch 40"."""
        if self.end is None:
            return f"since epoch {self.begin:,}"
        return f"epochs {self.begin:,} to {self.end:,}"


def spans(warnings: Sequence[HealthWarning]) -> list[Span]:
    """Every trouble of a run, by the epoch at which it began."""
    found: list[Span] = []
    going: dict[tuple[str, str | None], int] = {}
    for warning in warnings:
        key = (warning.code, warning.pathway)
        if warning.active and key not in going:
            going[key] = len(found)
            found.append(Span(warning, None))
        elif not warning.active and key in going:
            place = going.pop(key)
            found[place] = Span(found[place].warning, warning.epoch)
    return found


def troubles(found: Sequence[Span]) -> list[list[Span]]:
    """The spans of each trouble, newest first; a trouble of the same pathway is one, however often it came."""
    groups: dict[tuple[str, str | None], list[Span]] = {}
    for span in sorted(found, key=lambda span: span.begin, reverse=True):
        groups.setdefault((span.warning.code, span.warning.pathway), []).append(span)
    # What is wrong now stands before what was.
    return sorted(groups.values(), key=lambda group: (group[0].end is not None, -group[0].begin))


def title(warning: HealthWarning) -> str:
    """ "Collapse, G_R"; a code of a later version stands for itself."""
    name = TROUBLES.get(warning.code, warning.code)
    return f"{name}, {warning.pathway}" if warning.pathway else name


# --- tables ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measure:
    """One row of the table: a field of the negatives' health, or one of its `QUANTILES` (`place`)."""

    name: str
    field: str
    said: Told
    place: int | None = None

    def read(self, side: SampledHealth) -> float | None:
        """The figure of a pathway, or of a sampler's own negatives; None where these do not have it."""
        return self._of(getattr(side, self.field, None))

    def of_random(self, found: Diagnostics) -> float | None:
        """The figure of random negatives."""
        return self._of(getattr(found, self.said.random)) if self.said.random else None

    def of_positive(self, found: Diagnostics) -> float | None:
        """The figure of true answers."""
        return self._of(getattr(found, self.said.positive)) if self.said.positive else None

    def form(self, number: float) -> str:
        """The figure as it reads."""
        return percent(number) if self.said.form == "%" else format(number, self.said.form)

    def _of(self, value: Any) -> float | None:
        found: float | None = value if value is None or self.place is None else value[self.place]
        return found


def _part(below: int) -> str:
    return "median" if below == 50 else f"{below} %"


def _measures() -> Iterator[Measure]:
    for field, said in PATHWAY.items():
        if field not in ("scores", "hardness"):
            yield Measure(said.title, field, said)
            continue
        for place, below in enumerate(QUANTILES):
            yield Measure(f"{said.title}, {_part(below)}", field, said, place)


MEASURES = list(_measures())


def _sides(found: Diagnostics, sampler: str) -> dict[str, SampledHealth]:
    """The negatives that are not random: of each pathway by its name, or of the sampler by its title."""
    own = {} if found.sampled is None else {theme.own_negatives(sampler).name: found.sampled}
    return {**pathways(found), **own}


def table(found: Diagnostics, sampler: str = "") -> pd.DataFrame:
    """All figures of one diagnosis as numbers: a row each, with a column for each source that the run has."""
    sides = _sides(found, sampler)
    rows = [
        {
            "figure": measure.name,
            **{name: measure.read(side) for name, side in sides.items()},
            "random": measure.of_random(found),
            "positive": measure.of_positive(found),
        }
        for measure in MEASURES
    ]
    columns = ["figure", *sides, "random", "positive"]
    return pd.DataFrame(rows, columns=columns).dropna(subset=columns[1:], how="all").reset_index(drop=True)


def shown(rows: pd.DataFrame) -> pd.DataFrame:
    """The same table as text, each figure with its unit; empty where it means nothing."""
    forms = {measure.name: measure.form for measure in MEASURES}
    text = rows.copy()
    for column in rows.columns[1:]:
        text[column] = [
            "" if pd.isna(value) else forms[name](float(value))
            for name, value in zip(rows["figure"], rows[column], strict=True)
        ]
    return text


def history(diagnoses: Sequence[Diagnostics], sampler: str = "") -> pd.DataFrame:
    """All figures of all diagnoses as numbers: a row for each epoch and source, a column for each figure."""
    rows = []
    for found in diagnoses:
        sides = _sides(found, sampler)
        sources = {
            **{name: [measure.read(side) for measure in MEASURES] for name, side in sides.items()},
            "random": [measure.of_random(found) for measure in MEASURES],
            "positive": [measure.of_positive(found) for measure in MEASURES],
        }
        rows += [[found.epoch, source, *values] for source, values in sources.items()]
    names = ["epoch", "source", *(measure.name for measure in MEASURES)]
    return pd.DataFrame(rows, columns=names).dropna(axis=1, how="all")
