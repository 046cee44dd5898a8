"""Health of the adversarial game in words: what is wrong, since when, and what to try."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from dans_core.events import Diagnostics, HealthWarning, Losses, PathwayHealth

# A trouble counts as over when this many checks in a row did not find it, so that a figure that hovers about
# its bound does not begin and end again and again.
_CALM = 3
# Every D starts out guessing; it is called weak when this many checks in a row find it so.
_WEAK = 3

COLLAPSED_COSINE = 0.95
"""Mean cosine of the fakes of different conditions above which they point one way."""

COPIES = 0.02
"""Copy spread below which the draws for one condition are copies."""

EASY = 0.1
"""Share of fakes that outscore a random negative below which they are easier than random."""

_Key = tuple[str, str | None]


def collapsed_nearest(num_entities: int, conditions: int) -> int:
    """How many entities, or fewer, are nearest to the fakes of all conditions once a pathway has collapsed."""
    return max(1, round(0.05 * min(num_entities, conditions)))


def most_false_negatives(by_chance: float) -> float:
    """The share of false negatives above which there are too many, beside the share of random negatives."""
    return max(0.2, 2 * by_chance)


@dataclass
class _Trouble:
    """A warning, whether it was told, and how many checks in a row found it (> 0) or did not (< 0)."""

    warning: HealthWarning
    told: bool = False
    streak: int = 0


class Watch:
    """Turns figures into warnings, one when a trouble begins and one when it is over."""

    def __init__(self, num_entities: int) -> None:
        self.num_entities = num_entities
        self._troubles: dict[_Key, _Trouble] = {}

    def check(self, losses: Losses, measured: Diagnostics) -> list[HealthWarning]:
        """The warnings that begin or end with these figures of one epoch."""
        news = []
        now = {(w.code, w.pathway): w for w in _troubles(losses, measured, self.num_entities)}
        for key, warning in now.items():
            trouble = self._troubles.setdefault(key, _Trouble(warning))
            trouble.streak = max(trouble.streak, 0) + 1
            if not trouble.told and trouble.streak >= (_WEAK if warning.code == "d-too-weak" else 1):
                trouble.told, trouble.warning = True, warning
                news.append(warning)
        for key, trouble in list(self._troubles.items()):
            if key in now:
                continue
            trouble.streak = min(trouble.streak, 0) - 1
            if not trouble.told:
                del self._troubles[key]
            elif trouble.streak == -_CALM:
                del self._troubles[key]
                news.append(dataclasses.replace(trouble.warning, epoch=measured.epoch, active=False))
        return news

    def state_dict(self) -> list[list[str | int | bool | None]]:
        """What is being watched, as plain values."""
        return [
            [*dataclasses.astuple(trouble.warning), trouble.told, trouble.streak]
            for trouble in self._troubles.values()
        ]

    def load_state_dict(self, state: list[list[str | int | bool | None]]) -> None:
        """Take up what `state_dict` gave."""
        self._troubles = {}
        for *fields, told, streak in state:
            # The fields lose their types in a plain list.
            warning = HealthWarning(*fields)  # type: ignore[arg-type]
            self._troubles[warning.code, warning.pathway] = _Trouble(warning, bool(told), int(streak or 0))


def _troubles(losses: Losses, measured: Diagnostics, num_entities: int) -> Iterator[HealthWarning]:
    epoch = measured.epoch
    for pathway, health, film in (
        ("G_E", measured.g_e, losses.film_e),
        ("G_R", measured.g_r, losses.film_r),
    ):
        if health is not None:
            yield from _pathway_troubles(pathway, health, measured, num_entities, film is not None)
    fakes = [share for share in (losses.d_fake_e, losses.d_fake_r) if share is not None]
    if losses.d_real is None or not fakes:
        return
    gap = losses.d_real - sum(fakes) / len(fakes)
    if gap > 0.9:
        yield HealthWarning(
            epoch, "d-too-strong", None,
            f"D tells real from fake almost always (mean probability {losses.d_real:.2f} for real, "
            f"{losses.d_real - gap:.2f} for fakes), so G gets little to learn from.",
            "Lower the learning rate of D, or give G more steps (k_G).",
        )  # fmt: skip
    elif gap < 0.02:
        rates = f"({losses.d_real:.2f} for real, {losses.d_real - gap:.2f} for fakes)"
        yield HealthWarning(
            epoch, "d-too-weak", None,
            f"D takes fakes for real more than real entities {rates}: G has outrun it."
            if gap < -0.02
            else f"D rates real entities and fakes alike {rates}: the fakes are perfect, or D has not learned.",
            "Raise the learning rate of D or k_D, unless the map shows the fakes among the entities.",
        )  # fmt: skip


def _pathway_troubles(
    pathway: str, health: PathwayHealth, measured: Diagnostics, num_entities: int, trains_film: bool
) -> Iterator[HealthWarning]:
    epoch = measured.epoch
    signs = []
    if health.mean_cosine > COLLAPSED_COSINE:
        signs.append(
            f"its fakes for different conditions point one way (mean cosine {health.mean_cosine:.2f})"
        )
    if health.distinct_nearest <= collapsed_nearest(num_entities, health.conditions):
        signs.append(
            f"{health.conditions:,} conditions share {health.distinct_nearest} of {num_entities:,} entities as "
            "the nearest to their fakes"
        )
    if signs:
        yield HealthWarning(
            epoch, "collapse", pathway, f"{pathway} has collapsed: {', and '.join(signs)}.",
            f"Try a longer warm-up, more noise (σ), {'a smaller FiLM weight (λ), ' if trains_film else ''}or a lower "
            "learning rate of G.",
        )  # fmt: skip
    if health.copy_spread < COPIES:
        yield HealthWarning(
            epoch, "copies", pathway,
            f"The draws of {pathway} for one condition are copies: they spread only "
            f"{100 * health.copy_spread:.1f} % as far as all its fakes.",
            "Raise the noise (σ), also relative to the spread of the entities.",
        )  # fmt: skip
    if health.proposed_beats is not None:
        # A proposal leans to likely entities on purpose, facts among them, and weights make up for that.
        if health.proposed_beats < 0.5:
            yield HealthWarning(
                epoch, "easier-than-random", pathway,
                f"The proposals of {pathway} are easier than random negatives: an entity drawn from them outscores "
                f"only {100 * health.proposed_beats:.0f} % of the others.",
                "Play more often, or give the cross-entropy of G more weight.",
            )  # fmt: skip
        return
    if health.outscores_random < EASY:
        yield HealthWarning(
            epoch, "easier-than-random", pathway,
            f"The fakes of {pathway} are easier than random negatives: only {100 * health.outscores_random:.0f} % "
            "outscore a random entity, so they teach the base model less than one would.",
            "Give G more steps (k_G) or a higher learning rate; check the scale of the fakes.",
        )  # fmt: skip
    if health.false_negatives > most_false_negatives(measured.random_false_negatives):
        yield HealthWarning(
            epoch, "false-negatives", pathway,
            f"{100 * health.false_negatives:.0f} % of the fakes of {pathway} lie nearest to a known true answer "
            f"(random negatives: {100 * measured.random_false_negatives:.0f} %), so true facts are trained as false.",
            "Use fewer generated negatives (N_s), or more noise (σ).",
        )  # fmt: skip
