"""Health of the adversarial game in words: what is wrong, since when, and what to try."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from dans_core.events import Diagnostics, HealthWarning, Losses, PathwayHealth

# A trouble counts as over when this many checks in a row did not find it, so that a figure that hovers about
# its bound does not begin and end again and again.
_CALM = 3

_Key = tuple[str, str | None]


class Watch:
    """Turns figures into warnings, one when a trouble begins and one when it is over."""

    def __init__(self, num_entities: int) -> None:
        self.num_entities = num_entities
        self._active: dict[_Key, HealthWarning] = {}
        self._calm: dict[_Key, int] = {}

    def check(self, losses: Losses, measured: Diagnostics) -> list[HealthWarning]:
        """The warnings that begin or end with these figures of one epoch."""
        now = {(w.code, w.pathway): w for w in _troubles(losses, measured, self.num_entities)}
        news = [warning for key, warning in now.items() if key not in self._active]
        for key, warning in list(self._active.items()):
            self._calm[key] = 0 if key in now else self._calm.get(key, 0) + 1
            if self._calm[key] == _CALM:
                del self._active[key], self._calm[key]
                news.append(dataclasses.replace(warning, epoch=measured.epoch, active=False))
        self._active = now | self._active
        return news

    def state_dict(self) -> list[list[str | int | None]]:
        """The active warnings, and how long each has been calm, as plain values."""
        return [
            [w.epoch, w.code, w.pathway, w.message, w.advice, self._calm.get(key, 0)]
            for key, w in self._active.items()
        ]

    def load_state_dict(self, state: list[list[str | int | None]]) -> None:
        """Take up the warnings of `state_dict`."""
        self._active, self._calm = {}, {}
        for *fields, calm in state:
            warning = HealthWarning(*fields)  # type: ignore[arg-type]
            self._active[warning.code, warning.pathway] = warning
            self._calm[warning.code, warning.pathway] = int(calm or 0)


def _troubles(losses: Losses, measured: Diagnostics, num_entities: int) -> Iterator[HealthWarning]:
    epoch = measured.epoch
    for pathway, health in (("G_E", measured.g_e), ("G_R", measured.g_r)):
        if health is not None:
            yield from _pathway_troubles(epoch, pathway, health, measured, num_entities)
    if losses.d_real is None or losses.d_fake_e is None or losses.d_fake_r is None:
        return
    gap = losses.d_real - (losses.d_fake_e + losses.d_fake_r) / 2
    if gap > 0.9:
        yield HealthWarning(
            epoch, "d-too-strong", None,
            f"D tells real from fake almost always (mean probability {losses.d_real:.2f} for real, "
            f"{losses.d_real - gap:.2f} for fakes), so G gets little to learn from.",
            "Lower the learning rate of D, or give G more steps (k_G).",
        )  # fmt: skip
    elif gap < 0.02:
        yield HealthWarning(
            epoch, "d-too-weak", None,
            f"D rates real entities and fakes alike ({losses.d_real:.2f} against {losses.d_real - gap:.2f}): "
            "the fakes are perfect, or D has not learned.",
            "Look at the map; if the fakes do not lie among the entities, raise the learning rate of D or k_D.",
        )  # fmt: skip


def _pathway_troubles(
    epoch: int, pathway: str, health: PathwayHealth, measured: Diagnostics, num_entities: int
) -> Iterator[HealthWarning]:
    few = max(4, round(0.05 * num_entities))
    if health.mean_cosine > 0.95 or health.distinct_nearest <= few:
        yield HealthWarning(
            epoch, "collapse", pathway,
            f"{pathway} has collapsed: its fakes for different conditions have a mean cosine of "
            f"{health.mean_cosine:.2f}, and only {health.distinct_nearest} of {num_entities} entities are ever "
            "nearest to one.",
            "Try a longer warm-up, more noise (σ), a smaller FiLM weight (λ), or a lower learning rate of G.",
        )  # fmt: skip
    if health.copy_spread < 0.02:
        yield HealthWarning(
            epoch, "copies", pathway,
            f"The draws of {pathway} for one condition are copies: they spread only "
            f"{100 * health.copy_spread:.1f} % as far as all its fakes.",
            "Raise the noise (σ), also relative to the spread of the entities.",
        )  # fmt: skip
    if health.outscores_random < 0.1:
        yield HealthWarning(
            epoch, "easier-than-random", pathway,
            f"The fakes of {pathway} are easier than random negatives: only {100 * health.outscores_random:.0f} % "
            "score above one, so they teach the base model less than a random entity would.",
            "Give G more steps (k_G) or a higher learning rate; check the scale of the fakes.",
        )  # fmt: skip
    if health.false_negatives > max(0.2, 2 * measured.random_false_negatives):
        yield HealthWarning(
            epoch, "false-negatives", pathway,
            f"{100 * health.false_negatives:.0f} % of the fakes of {pathway} lie nearest to a known true answer "
            f"(random negatives: {100 * measured.random_false_negatives:.0f} %), so true facts are trained as false.",
            "Use fewer generated negatives (N_s), or more noise (σ).",
        )  # fmt: skip
